//! The statement: rows by day, newest first, with what is still on its way above them.

use std::time::Duration;

use leptos::{html::Table, prelude::*};

use super::{
    failure::Failure,
    statement_tools::{Filtering, Tools},
    transaction_row::{SentRow, TransactionRow},
};
use crate::{
    announcer::Announcer,
    browser,
    choices::Choices,
    chosen_formats,
    filter::Filter,
    following::{Following, Phase},
    iban,
    outbox::Sent,
    preferences::Column,
    words,
};

/// What loads faster than this shows nothing in between.
const SHOW_LOADING_AFTER: Duration = Duration::from_millis(200);
/// What loads slower than this is said.
const SAY_LOADING_AFTER: Duration = Duration::from_secs(1);
const LOADING_LINES: usize = 6;
/// The reader is in the list when its head is above this line; the window begins at 0.
const SCROLLED_PIXELS: f64 = -48.0;

/// `sent` are the reader's own payments that are not in the statement yet; `empty` is said when there is nothing.
#[component]
pub(crate) fn Statement(
    following: Following,
    heading: &'static str,
    empty: &'static str,
    /// In the document; another one where there are several.
    #[prop(default = "statement".to_owned(), into)]
    id: String,
    /// Where the reader may choose rows, columns and transactions.
    #[prop(optional)]
    filtering: Option<Filtering>,
    #[prop(optional, into)] sent: Option<Signal<Vec<Sent>>>,
    /// Stands under the heading.
    #[prop(optional)]
    children: Option<Children>,
) -> impl IntoView {
    let phase = following.phase;
    let sent = sent.unwrap_or_else(|| Signal::stored(Vec::new()));
    let has_rows = Memo::new(move |_| !following.rows().is_empty() || !sent.with(Vec::is_empty));
    let is_ready = Memo::new(move |_| phase.get() == Phase::Ready);
    let is_filtered = Memo::new(move |_| !following.filter().is_empty());
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
    let waiting = Memo::new(move |_| {
        if following.is_frozen() {
            following.waiting()
        } else {
            0
        }
    });
    let section = id.clone();
    let catch_up = move |_| {
        following.catch_up();
        browser::scroll_to(&format!("#{section}"));
    };
    let nothing = move || {
        if following.is_unanswered() {
            view! {
                <p class="failure">"The transactions that match were not loaded."</p>
                <button type="button" on:click=move |_| following.ask_filtered()>"Try again"</button>
            }
            .into_any()
        } else if is_filtered.get() {
            let clear = move |_| {
                filtering
                    .iter()
                    .for_each(|filtering| filtering.choose(Filter::default()))
            };
            view! {
                <p class="empty">
                    "Nothing matches these filters. "
                    <button type="button" class="small" on:click=clear>"Clear filters"</button>
                </p>
            }
            .into_any()
        } else {
            view! { <p class="empty">{empty}</p> }.into_any()
        }
    };
    let heading_id = format!("{id}-heading");
    let labelled_by = heading_id.clone();
    let tools_id = id.clone();
    view! {
        <section id=id class="statement" aria-labelledby=labelled_by aria-busy=move || (phase.get() == Phase::Loading).to_string()>
            <div class="section-head">
                <h2 id=heading_id>
                    {heading}
                    <span class="unseen">{format!(" of {}", iban::grouped(&following.iban()))}</span>
                </h2>
                <Show when=move || is_ready.get()>
                    <Tools following=following filtering=filtering id=tools_id.clone()/>
                </Show>
            </div>
            {children.map(|children| children())}
            {unavailable}
            <Show when=move || phase.get() == Phase::Loading && !has_rows.get()>
                <LoadingLines/>
            </Show>
            <Show when=move || waiting.get() != 0>
                <p class="waiting">
                    <button type="button" class="small" on:click=catch_up.clone()>{move || words::new_transactions(waiting.get())}</button>
                </p>
            </Show>
            <Show when=move || is_ready.get() && !has_rows.get() && !following.loading_older.get()>{nothing}</Show>
            <Show when=move || has_rows.get()>
                <Rows following=following sent=sent/>
            </Show>
            <Show when=move || is_ready.get() && following.has_older()>
                <button
                    type="button"
                    class="show-older"
                    aria-disabled=move || following.loading_older.get().then_some("true")
                    on:click=move |_| following.show_older()
                >
                    {move || format!("Show {} older", following.page_rows())}
                </button>
            </Show>
        </section>
    }
}

#[component]
fn Rows(following: Following, sent: Signal<Vec<Sent>>) -> impl IntoView {
    let choices: Choices = expect_context();
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
    let columns = move || {
        choices.preferences.with(|preferences| {
            let mut class = String::new();
            for column in Column::ALL {
                let prefix = if preferences.shows(column) {
                    "with-"
                } else {
                    "no-"
                };
                class.push_str(prefix);
                class.push_str(column.key());
                class.push(' ');
            }
            class
        })
    };
    let table = NodeRef::<Table>::new();
    hold_while_reading(following, table);
    view! {
        <table role="table" class=columns node_ref=table>
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
                            <time datetime=day.iso() lang=move || chosen_formats::locale().tag()>{move || day.in_words()}</time>
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

/// Rows wait while the focus is in the list or the reader has scrolled into it.
fn hold_while_reading(following: Following, table: NodeRef<Table>) {
    let look = move || {
        let Some(Some(table)) = table.try_get_untracked() else {
            return;
        };
        let has_focus = document()
            .active_element()
            .is_some_and(|focused| table.contains(Some(&focused)));
        let is_scrolled = table.get_bounding_client_rect().top() < SCROLLED_PIXELS;
        following.hold(has_focus || is_scrolled);
    };
    let scrolled = window_event_listener(leptos::ev::scroll, move |_| look());
    let focused = window_event_listener(leptos::ev::focusin, move |_| look());
    // Where the focus goes is known only after it has left.
    let blurred =
        window_event_listener(leptos::ev::focusout, move |_| request_animation_frame(look));
    on_cleanup(move || {
        scrolled.remove();
        focused.remove();
        blurred.remove();
        following.hold(false);
    });
}

/// Rules at row height, after a moment.
#[component]
pub(crate) fn LoadingLines() -> impl IntoView {
    let announcer: Announcer = expect_context();
    let is_late = RwSignal::new(false);
    set_timeout(move || _ = is_late.try_set(true), SHOW_LOADING_AFTER);
    let say = move || {
        // Gone when it was loaded in time.
        if is_late.try_get_untracked().is_some() {
            announcer.status("Loading.");
        }
    };
    set_timeout(say, SAY_LOADING_AFTER);
    let lines = move || {
        is_late
            .get()
            .then(|| [(); LOADING_LINES].map(|()| view! { <div></div> }))
    };
    // There from the start: whoever looks can tell that something is still to come.
    view! { <div class="loading-lines" aria-hidden="true">{lines}</div> }
}
