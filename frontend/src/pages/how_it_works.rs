//! How it works: eight steps beside the drawing, each with something to do with the live bank.

use std::sync::Arc;

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_params_map;

use crate::{
    api::{
        http,
        records::{self, TopicRecord, Trail, TrailAnswer},
        types::{CommandId, Payment, Role},
    },
    browser,
    components::{
        amount::Change, auditor_lamp::LampShape, break_it::KILL_HANDLER, drawing::Drawing,
        frame::name_page, iban::Party, record::RecordFields, sign_in::DemoUsers,
    },
    drawing, figures,
    hops::{self, Answer},
    money::Cents,
    payments::Payments,
    session::Session,
    tour::{self, STEPS, Step, Task},
    watching::Watching,
};

/// What the tour deposits.
const AMOUNT: Cents = Cents(1_000);
/// How often a new command's trail is looked at, until it is whole.
const LOOK_EVERY: std::time::Duration = std::time::Duration::from_millis(300);
const LOOKS_MAX: u32 = 20;

/// The command the reader made on this tour, and what is known of it.
#[derive(Clone, Copy)]
struct Own {
    id: RwSignal<Option<CommandId>>,
    trail: RwSignal<Option<Arc<Trail>>>,
}

impl Own {
    fn follow(self, id: CommandId) {
        self.id.set(Some(id));
        self.trail.set(None);
        spawn_local(async move {
            for _ in 0..LOOKS_MAX {
                browser::sleep(LOOK_EVERY).await;
                let found = http::send::<TrailAnswer>(&records::trail(id)).await;
                if self.id.try_get_untracked() != Some(Some(id)) {
                    return;
                }
                if let Ok(TrailAnswer { trail: Some(trail) }) = found {
                    let is_whole =
                        hops::answer(&trail) != Answer::None && !trail.transactions.is_empty();
                    self.trail.set(Some(Arc::new(trail)));
                    if is_whole {
                        return;
                    }
                }
            }
        });
    }
}

#[component]
pub(crate) fn HowItWorks() -> impl IntoView {
    let params = use_params_map();
    let watching: Watching = expect_context();
    let place =
        Memo::new(move |_| params.with(|params| tour::place(params.get("step").as_deref())));
    name_page(move || match place.get() {
        Some(place) => format!("{} - How it works", STEPS[place].title),
        None => "How it works".to_owned(),
    });
    let own = Own {
        id: RwSignal::new(None),
        trail: RwSignal::new(None),
    };
    let entry = move |(number, step): (usize, &'static Step)| {
        let here = move || (place.get() == Some(number)).then_some("step");
        view! { <li><a href=format!("/how-it-works/{}", number + 1) aria-current=here>{step.title}</a></li> }
    };
    let content = move || {
        match place.get() {
        Some(place) => view! { <StepView place=place own=own/> }.into_any(),
        None => view! { <p class="empty">"There is no such step. " <a href="/how-it-works">"Begin at the first"</a></p> }.into_any(),
    }
    };
    let part = Signal::derive(move || place.get().map(|place| STEPS[place].part.to_vec()));
    let has_state = Memo::new(move |_| watching.newest().is_some());
    view! {
        <div class="route tour">
            <div class="section-head">
                <h1 tabindex="-1">"How it works"</h1>
                <p class="hint">{move || place.get().map(|place| format!("{} of {}", place + 1, STEPS.len()))}</p>
            </div>
            <div class="tour-body">
                <nav class="tour-list" aria-label="Steps">
                    <ol>{STEPS.iter().enumerate().map(entry).collect_view()}</ol>
                </nav>
                <div class="tour-step">{content}</div>
                <Show when=move || has_state.get()>
                    <div class="tour-drawing"><Drawing status=Signal::derive(move || watching.newest()) part=part/></div>
                </Show>
            </div>
        </div>
    }
}

#[component]
fn StepView(place: usize, own: Own) -> impl IntoView {
    let step = STEPS[place];
    let text = step
        .text
        .iter()
        .map(|text| view! { <p>{*text}</p> })
        .collect_view();
    let previous = place.checked_sub(1).map(|before| {
        view! { <a class="previous" href=format!("/how-it-works/{}", before + 1)><span class="hint">"Previous: "</span>{STEPS[before].title}</a> }
    });
    let next = STEPS.get(place + 1).map(|next| {
        view! { <a class="next" href=format!("/how-it-works/{}", place + 2)><span class="hint">"Next: "</span>{next.title}</a> }
    });
    view! {
        <h2 tabindex="-1" data-heading="true">{place + 1} " " {step.title}</h2>
        {text}
        <div class="task"><TaskView task=step.task own=own/></div>
        <p class="hint">"Code: " <code>{step.code}</code></p>
        <nav class="steps-around" aria-label="Step before and after">{previous} {next}</nav>
    }
}

#[component]
fn TaskView(task: Task, own: Own) -> impl IntoView {
    match task {
        Task::Pay => view! { <PayTask own=own/> }.into_any(),
        Task::Command => view! { <OwnRecord own=own name="command" pick=|trail| trail.command.iter().cloned().collect()/> }.into_any(),
        Task::Decide => view! {
            <OwnRecord own=own name="answer" pick=|trail| trail.outcome.iter().cloned().collect()/>
            <p>"Try it: pay more than you have on " <a href="/client">"Client"</a> ". The bank says no, and nothing moves."</p>
        }
        .into_any(),
        Task::Commit => view! { <OwnEntries own=own/> }.into_any(),
        Task::Events => view! { <OwnRecord own=own name="change" pick=|trail| trail.changes.clone()/> }.into_any(),
        Task::Hear => view! { <OwnTime own=own/> }.into_any(),
        Task::Kill => view! { <KillTask/> }.into_any(),
        Task::Audit => view! { <AuditTask/> }.into_any(),
    }
}

/// A deposit of the reader's own, which the next steps follow.
#[component]
fn PayTask(own: Own) -> impl IntoView {
    let session: Session = expect_context();
    let payments: Payments = expect_context();
    let has_account = Memo::new(move |_| session.user().is_some_and(|user| user.account.is_some()));
    let pay = move |_| {
        if let Some(id) = payments.send(Payment::Deposit { amount: AMOUNT }) {
            own.follow(id);
        }
    };
    let outcome = move || {
        let id = own.id.get()?;
        let words = match own.trail.get().map(|trail| hops::answer(&trail)) {
            None | Some(Answer::None) => "Sent. Waiting for the bank.".to_owned(),
            Some(Answer::Confirmed) => "Confirmed. The next steps follow this command.".to_owned(),
            Some(Answer::Rejected(reason)) => format!("Rejected: {reason}. Nothing was deposited."),
        };
        Some(view! {
            <p id="tour-outcome">{words}</p>
            <p class="hint">"Its id: " <span class="serial" translate="no">{id.0.to_string()}</span></p>
        })
    };
    view! {
        <Show
            when=move || has_account.get()
            fallback=|| view! {
                <p>"Try it: sign in as a customer, then send a deposit and follow it through these steps."</p>
                <div class="demo"><DemoUsers role=Role::Customer/></div>
            }
        >
            <p>"Try it: the next steps follow what you send here."</p>
            <button type="button" id="tour-pay" class="main" on:click=pay>"Deposit " {move || AMOUNT.as_balance()}</button>
        </Show>
        {outcome}
    }
}

/// What to do where nothing was sent yet.
fn nothing_sent() -> impl IntoView {
    view! { <p>"Send a deposit in " <a href="/how-it-works/1">"step 1"</a> " to see its own record here."</p> }
}

#[component]
fn OwnRecord(own: Own, name: &'static str, pick: fn(&Trail) -> Vec<TopicRecord>) -> impl IntoView {
    let content = move || {
        if own.id.get().is_none() {
            return nothing_sent().into_any();
        }
        let records = own
            .trail
            .get()
            .map(|trail| pick(&trail))
            .unwrap_or_default();
        if records.is_empty() {
            return view! { <p>"Not there yet."</p> }.into_any();
        }
        let row = |record: TopicRecord| {
            view! {
                <p>
                    "Your " {name} ", in " <code>{record.topic.clone()}</code> " at "
                    <span class="serial">{hops::serial(&record)}</span>
                </p>
                <RecordFields record=record/>
            }
        };
        records.into_iter().map(row).collect_view().into_any()
    };
    view! { {content} }
}

#[component]
fn OwnEntries(own: Own) -> impl IntoView {
    let content = move || {
        if own.id.get().is_none() {
            return nothing_sent().into_any();
        }
        let entries = own
            .trail
            .get()
            .map(|trail| hops::entries(&trail))
            .unwrap_or_default();
        if entries.is_empty() {
            return view! { <p>"Not there yet."</p> }.into_any();
        }
        let row = |entry: hops::Entry| {
            view! {
                <tr role="row">
                    <th scope="row" role="rowheader"><Party account=entry.account/></th>
                    <td role="cell" class="figure"><Change cents=entry.change/></td>
                </tr>
            }
        };
        let sum = Cents(
            entries
                .iter()
                .map(|entry| entry.change.0)
                .fold(0, i64::saturating_add),
        );
        view! {
            <div class="entries">
                <table class="plain" role="table">
                    <caption>"The two entries of your deposit"</caption>
                    <tbody role="rowgroup">{entries.into_iter().map(row).collect_view()}</tbody>
                    <tfoot role="rowgroup">
                        <tr role="row" id="entries-sum">
                            <th scope="row" role="rowheader">"Sum"</th>
                            <td role="cell" class="figure">{move || sum.as_balance()}</td>
                        </tr>
                    </tfoot>
                </table>
            </div>
        }
        .into_any()
    };
    view! { {content} }
}

#[component]
fn OwnTime(own: Own) -> impl IntoView {
    let content = move || {
        let Some(id) = own.id.get() else {
            return nothing_sent().into_any();
        };
        let total = own
            .trail
            .get()
            .and_then(|trail| hops::time_line(&trail.hops).total_ms);
        let words = match total {
            Some(total) => format!(
                "Your deposit took {} from its first stamp to its last.",
                figures::milliseconds(total)
            ),
            None => "Your deposit travelled without stamps.".to_owned(),
        };
        view! { <p>{words} " " <a href=format!("/trail/{}", id.0)>"See each hop"</a></p> }
            .into_any()
    };
    view! { {content} }
}

#[component]
fn KillTask() -> impl IntoView {
    let watching: Watching = expect_context();
    let handler = move || {
        watching.newest().and_then(|status| {
            let found = status
                .services
                .iter()
                .find(|service| service.name == "command-handler")?;
            let since = found
                .since
                .as_ref()
                .map(|since| browser::local_time(since).clock());
            let lag = found
                .lag
                .map(|lag| format!(", lag {}", crate::formats::count(lag)));
            Some(format!(
                "command-handler now: {}{}",
                drawing::state_in_words(found, since.as_deref()),
                lag.unwrap_or_default()
            ))
        })
    };
    view! {
        <p>"Try it: set a load on " <a href="/live">"Live"</a> ", then in a shell on this machine:"</p>
        <pre tabindex="0"><code>{KILL_HANDLER}</code></pre>
        <p id="tour-handler">{handler}</p>
    }
}

#[component]
fn AuditTask() -> impl IntoView {
    let watching: Watching = expect_context();
    let verdict = Memo::new(move |_| watching.lamp.with(|lamp| lamp.verdict));
    view! {
        <p class="verdict" data-state=move || watching.lamp.with(|lamp| lamp.state())>
            {move || view! { <LampShape verdict=verdict.get()/> }}
            {move || watching.lamp.with(|lamp| lamp.in_words())}
        </p>
        <p>"Try it: " <a href="/live#auditor">"read the list of invariants"</a> ", or break a bank of its own: " <code>"cargo bank chaos all"</code></p>
    }
}
