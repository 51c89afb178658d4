//! The statement: rows by day, newest first, with what is still on its way above them.

use std::time::Duration;

use leptos::prelude::*;

use super::{
    failure::Failure,
    transaction_row::{SentRow, TransactionRow},
};
use crate::{
    browser,
    following::{Following, Phase},
    iban,
    outbox::Sent,
    words,
};

/// What loads faster than this shows nothing in between.
const SHOW_LOADING_AFTER: Duration = Duration::from_millis(200);
const LOADING_LINES: usize = 6;

/// `sent` are the reader's own payments that are not in the statement yet; `empty` is said when there is nothing.
#[component]
pub(crate) fn Statement(
    following: Following,
    heading: &'static str,
    empty: &'static str,
    #[prop(optional, into)] sent: Option<Signal<Vec<Sent>>>,
) -> impl IntoView {
    let phase = following.phase;
    let sent = sent.unwrap_or_else(|| Signal::stored(Vec::new()));
    let has_rows = Memo::new(move |_| !following.rows().is_empty() || !sent.with(Vec::is_empty));
    let is_ready = Memo::new(move |_| phase.get() == Phase::Ready);
    let unavailable = move || {
        match phase.get() {
        Phase::Loading | Phase::Ready => None,
        Phase::Unknown => Some(view! { <p class="empty">"There is no such account, or you may not see it."</p> }.into_any()),
        Phase::Failed { words, since, .. } => Some(
            view! {
                <Failure words=RwSignal::new(Some(format!("The transactions are not up to date since {}. {words}", since.clock())))/>
                <button type="button" on:click=move |_| following.begin()>"Try again"</button>
            }
            .into_any(),
        ),
    }
    };
    let pause = move || {
        let (label, act): (String, fn(Following)) =
            match (following.is_paused(), following.waiting()) {
                (false, _) => ("Pause updates".to_owned(), Following::pause),
                (true, 0) => ("Resume updates".to_owned(), Following::resume),
                (true, waiting) => (
                    format!("Resume updates: {}", words::new_transactions(waiting)),
                    Following::resume,
                ),
            };
        view! { <button type="button" class="small" on:click=move |_| act(following)>{label}</button> }
    };
    view! {
        <section id="statement" class="statement" aria-labelledby="statement-heading" aria-busy=move || (phase.get() == Phase::Loading).to_string()>
            <div class="section-head">
                <h2 id="statement-heading">{heading}</h2>
                <Show when=move || is_ready.get()>{pause}</Show>
            </div>
            {unavailable}
            <Show when=move || phase.get() == Phase::Loading && !has_rows.get()>
                <LoadingLines/>
            </Show>
            <Show when=move || is_ready.get() && !has_rows.get()>
                <p class="empty">{empty}</p>
            </Show>
            <Show when=move || has_rows.get()>
                <Rows following=following sent=sent/>
            </Show>
            <Show when=move || is_ready.get() && following.has_older()>
                <button
                    type="button"
                    id="show-older"
                    aria-disabled=move || following.loading_older.get().then_some("true")
                    on:click=move |_| following.show_older()
                >
                    {format!("Show {} older", following.page_rows())}
                </button>
            </Show>
        </section>
    }
}

#[component]
fn Rows(following: Following, sent: Signal<Vec<Sent>>) -> impl IntoView {
    let rows = Memo::new(move |_| {
        let with_day = |row: std::sync::Arc<crate::statement::Row>| {
            (browser::local_time(&row.transaction.occurred_at).day, row)
        };
        following
            .rows()
            .into_iter()
            .map(with_day)
            .collect::<Vec<_>>()
    });
    let days = Memo::new(move |_| {
        let mut days: Vec<_> = rows.with(|rows| rows.iter().map(|(day, _)| *day).collect());
        days.dedup();
        days
    });
    let of_day = move |day| {
        rows.with(|rows| {
            rows.iter()
                .filter(|(of, _)| *of == day)
                .map(|(_, row)| row.clone())
                .collect::<Vec<_>>()
        })
    };
    view! {
        <table role="table">
            <caption class="unseen">{format!("Transactions of {}, newest first", iban::grouped(&following.iban()))}</caption>
            <thead role="rowgroup" class="unseen">
                <tr role="row">
                    <th role="columnheader" scope="col">"Time"</th>
                    <th role="columnheader" scope="col">"Other side and description"</th>
                    <th role="columnheader" scope="col">"Version"</th>
                    <th role="columnheader" scope="col">"Amount and balance"</th>
                </tr>
            </thead>
            <tbody role="rowgroup" class="sent">
                // A payment that came further is another row: it looks and reads otherwise.
                <For each=move || sent.get() key=|sent| (sent.id, format!("{:?}", sent.progress)) let:sent>
                    <SentRow sent=sent/>
                </For>
            </tbody>
            <For each=move || days.get() key=|day| *day let:day>
                <tbody role="rowgroup">
                    <tr role="row" class="day">
                        <th role="rowheader" scope="rowgroup" colspan="4">
                            <time datetime=day.iso() lang="nl">{day.in_words()}</time>
                        </th>
                    </tr>
                    <For each=move || of_day(day) key=|row| row.transaction.version let:row>
                        <TransactionRow row=row/>
                    </For>
                </tbody>
            </For>
        </table>
    }
}

/// Rules at row height, after a moment.
#[component]
pub(crate) fn LoadingLines() -> impl IntoView {
    let is_late = RwSignal::new(false);
    set_timeout(move || _ = is_late.try_set(true), SHOW_LOADING_AFTER);
    view! {
        <Show when=move || is_late.get()>
            <div class="loading-lines" aria-hidden="true">{[(); LOADING_LINES].map(|()| view! { <div></div> })}</div>
        </Show>
    }
}
