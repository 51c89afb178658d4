//! Record trail: one command, all its hops on one scale, its records, the entries it made. The command is in the
//! address.

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::{use_navigate, use_params_map};

use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{
            self, ApiError, CommandId, ErrorCode, Payment, PaymentAnswer, PaymentResult, Role,
        },
        status::{self, TopicRecord, TrailAnswer},
    },
    browser,
    components::{
        amount::Change, frame::name_page, gate::Gate, record::RecordFields,
        statement::LoadingLines, time_line::TimeLineView,
    },
    figures,
    hops::{self, Answer, Asked, Entry},
    iban,
    money::Cents,
    session::Session,
    words,
};

const SENTENCE: &str = "The way of one payment: the command, the bank's answer, both changes, and the time each hop took. \
    A customer sees their own; bank employees see all.";
/// The bank needs so long at most in quiet times; a trail that is not whole yet is looked at again.
const LOOK_AGAIN_AFTER: std::time::Duration = std::time::Duration::from_millis(400);
const LOOKS_MAX: u32 = 12;

#[component]
pub(crate) fn Trail() -> impl IntoView {
    let params = use_params_map();
    let chosen = Memo::new(move |_| params.with(|params| params.get("command_id")));
    let has_errors = RwSignal::new(false);
    name_page(move || {
        if has_errors.get() {
            "Error: Trail".to_owned()
        } else {
            "Trail".to_owned()
        }
    });
    let content = move || match chosen.get() {
        None => view! { <Choose wrong=None/> }.into_any(),
        Some(text) => match uuid::Uuid::parse_str(&text) {
            Ok(id) => view! { <Followed id=CommandId(id)/> }.into_any(),
            Err(_) => view! { <Choose wrong=Some(text)/> }.into_any(),
        },
    };
    view! {
        <div class="route trail">
            <Gate title="Trail" sentence=SENTENCE role=Role::Customer has_errors=has_errors>
                {content}
            </Gate>
        </div>
    }
}

/// Without a command there is one to choose.
#[component]
fn Choose(wrong: Option<String>) -> impl IntoView {
    let typed = RwSignal::new(wrong.clone().unwrap_or_default());
    let error = RwSignal::new(wrong.map(|_| NOT_AN_ID));
    let navigate = use_navigate();
    let go = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        match uuid::Uuid::parse_str(typed.get_untracked().trim()) {
            Ok(id) => navigate(
                &format!("/trail/{id}"),
                leptos_router::NavigateOptions::default(),
            ),
            Err(_) => {
                error.set(Some(NOT_AN_ID));
                browser::focus("#trail-id");
            }
        }
    };
    view! {
        <h1 tabindex="-1">"Trail"</h1>
        <p class="lead">
            "Choose a payment to follow, or make one: each line of a statement on "
            <a href="/client">"Client"</a>
            " leads to its trail."
        </p>
        <form class="trail-choice" on:submit=go novalidate=true>
            <div class="field" class:wrong=move || error.get().is_some()>
                <label for="trail-id">"Command id"</label>
                <p id="trail-id-error" class="field-error">{move || error.get()}</p>
                <input
                    id="trail-id"
                    autocomplete="off"
                    autocapitalize="off"
                    spellcheck="false"
                    aria-invalid=move || error.get().map(|_| "true")
                    aria-describedby="trail-id-error"
                    prop:value=move || typed.get()
                    on:input=move |event| typed.set(event_target_value(&event))
                />
            </div>
            <button type="submit" class="main">"Follow the record"</button>
        </form>
    }
}

const NOT_AN_ID: &str = "This is no command id: it has 32 digits and letters a to f.";

#[derive(Clone, Debug, PartialEq, Eq)]
enum Phase {
    Loading,
    Known(Box<Found>),
    Unknown,
    Failed(String),
}

/// The answer; the route has the same name.
type Found = status::Trail;

#[component]
fn Followed(id: CommandId) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let phase = RwSignal::new(Phase::Loading);
    let look = move || {
        spawn_local(async move {
            for _ in 0..LOOKS_MAX {
                let found = http::send::<TrailAnswer>(&status::trail(id)).await;
                let is_whole =
                    matches!(&found, Ok(TrailAnswer { trail: Some(trail) }) if is_whole(trail));
                let is_error = found.is_err();
                let next = phase_of(found, session);
                if phase.try_get_untracked().is_none() {
                    return;
                }
                if phase.get_untracked() != next {
                    phase.set(next);
                }
                if is_whole || is_error {
                    return;
                }
                browser::sleep(LOOK_AGAIN_AFTER).await;
            }
        });
    };
    look();
    let again = move |_| {
        phase.set(Phase::Loading);
        look();
    };
    let text = id.0.to_string();
    let copied = text.clone();
    let copy = move |_| {
        let text = copied.clone();
        spawn_local(async move {
            let is_copied = browser::copy(&text).await;
            announcer.status(if is_copied {
                "Command id copied."
            } else {
                "Copying is blocked here."
            });
        });
    };
    let content = move || {
        match phase.get() {
        Phase::Loading => view! { <LoadingLines/> }.into_any(),
        Phase::Unknown => view! {
            <p class="empty">"The gateway has never seen this command, or it is not yours. " <a href="/trail">"Choose another"</a></p>
        }
        .into_any(),
        Phase::Failed(words) => view! {
            <p class="failure">{words}</p>
            <button type="button" on:click=again>"Try again"</button>
        }
        .into_any(),
        Phase::Known(trail) => view! { <Whole trail=*trail id=id look=Callback::new(move |()| look())/> }.into_any(),
    }
    };
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Trail"</h1>
            <p class="command-id">
                <span class="label">"command "</span>
                <span class="serial" translate="no" data-command-id=text.clone()>{text.clone()}</span>
                <button type="button" class="small" on:click=copy aria-label="Copy the command id">"Copy"</button>
            </p>
        </div>
        {content}
    }
}

/// Nothing more is to come.
fn is_whole(trail: &Found) -> bool {
    match hops::answer(trail) {
        Answer::None => false,
        Answer::Rejected(_) => true,
        Answer::Confirmed => !trail.changes.is_empty() && !trail.transactions.is_empty(),
    }
}

fn phase_of(found: Result<TrailAnswer, ApiError>, session: Session) -> Phase {
    match found {
        Ok(TrailAnswer { trail: Some(trail) }) => Phase::Known(Box::new(trail)),
        Ok(TrailAnswer { trail: None }) => Phase::Unknown,
        Err(error) if error.is(ErrorCode::NotFound) || error.is(ErrorCode::Forbidden) => {
            Phase::Unknown
        }
        Err(error) => {
            if error.is(ErrorCode::Unauthenticated) {
                session.ask();
            }
            Phase::Failed(words::load_failure(&error))
        }
    }
}

#[component]
fn Whole(trail: Found, id: CommandId, look: Callback<()>) -> impl IntoView {
    let line = hops::time_line(&trail.hops);
    let answer = hops::answer(&trail);
    let asked = trail.command.as_ref().and_then(hops::asked);
    let entries = hops::entries(&trail);
    let total = line.total_ms;
    let standing = match (&answer, total) {
        (Answer::Confirmed, Some(total)) => {
            format!("Confirmed in {}", figures::milliseconds(total))
        }
        (Answer::Confirmed, None) => "Confirmed".to_owned(),
        (Answer::Rejected(reason), _) => format!("Rejected: {reason}. No money moved"),
        (Answer::None, _) => "Still being processed".to_owned(),
    };
    let has_no_stamps = total.is_none();
    let (command, outcome, changes) = (
        trail.command.clone(),
        trail.outcome.clone(),
        trail.changes.clone(),
    );
    view! {
        <Summary asked=asked.clone() standing=standing answer=answer.clone() command=command.clone()/>
        <section aria-labelledby="hops-heading">
            <h2 id="hops-heading">"Hops"</h2>
            {has_no_stamps.then(|| view! {
                <p class="hint">"This command travelled without stamps: where it was is known, when it was there is not."</p>
            })}
            <TimeLineView line=line/>
        </section>
        <div class="two-columns">
            <Entries entries=entries answer=answer/>
            <Again asked=asked id=id look=look/>
        </div>
        <Records command=command outcome=outcome changes=changes/>
    }
}

#[component]
fn Summary(
    asked: Option<Asked>,
    standing: String,
    answer: Answer,
    command: Option<TopicRecord>,
) -> impl IntoView {
    let at = command.as_ref().map(|record| {
        let moment = browser::local_time(&record.sent_at);
        view! { <time datetime=record.sent_at.clone() title=format!("{} UTC", record.sent_at)>{moment.in_full()}</time> }
    });
    let class = match answer {
        Answer::Rejected(_) => "standing rejected",
        _ => "standing",
    };
    let what = match asked {
        Some(Asked { from, to, amount, description }) => view! {
            <p class="transfer">
                <strong>"Transfer " {move || amount.as_balance()}</strong>
                " from " <Party account=from/> " to " <Party account=to/>
                <span class="hint with-space">{(!description.is_empty()).then(|| format!("“{description}”"))} " " {at}</span>
            </p>
        }
        .into_any(),
        None => view! { <p class="transfer"><strong>"Opening of an account"</strong> " " <span class="hint">{at}</span></p> }
            .into_any(),
    };
    view! {
        <div class="trail-summary">
            <p id="trail-standing" class=class>{standing}</p>
            {what}
        </div>
    }
}

#[component]
fn Party(account: String) -> impl IntoView {
    if account == "cash" {
        view! { <span>"cash"</span> }.into_any()
    } else if iban::is_valid(&account) {
        view! { <span class="iban" translate="no">{iban::grouped(&account)}</span> }.into_any()
    } else {
        view! { <span translate="no">{account}</span> }.into_any()
    }
}

/// The two entries in the ledger, and their sum.
#[component]
fn Entries(entries: Vec<Entry>, answer: Answer) -> impl IntoView {
    let sum = Cents(
        entries
            .iter()
            .map(|entry| entry.change.0)
            .fold(0, i64::saturating_add),
    );
    let empty = match answer {
        Answer::None => "None yet: the bank has not answered.",
        Answer::Rejected(_) => "None: a rejected command moves no money.",
        Answer::Confirmed => "None: this command moved no money.",
    };
    let is_empty = entries.is_empty();
    let row = |(place, entry): (usize, Entry)| {
        let known = match entry.record {
            Some(record) => format!(
                "v{}, balance {}, record {}",
                record.version,
                record.new_balance.as_balance(),
                record.serial
            ),
            None if iban::is_valid(&entry.account) => "no record that you may see".to_owned(),
            None => "a ledger account without a record of its own".to_owned(),
        };
        view! {
            <tr data-changed-by=entry.change.to_string()>
                <th scope="row"><span class="serial entry-place">{format!("entry {}", place + 1)}</span> <Party account=entry.account/> <span class="hint">{known}</span></th>
                <td class="figure"><Change cents=entry.change/></td>
            </tr>
        }
    };
    let rows = entries.into_iter().enumerate().map(row).collect_view();
    view! {
        <section class="entries" aria-labelledby="entries-heading">
            <h2 id="entries-heading">"Ledger"</h2>
            {is_empty.then(|| view! { <p class="empty">{empty}</p> })}
            {(!is_empty).then(|| view! {
                <table class="plain">
                    <caption class="unseen">"Entries of this transfer"</caption>
                    <tbody>{rows}</tbody>
                    <tfoot>
                        <tr id="entries-sum" data-sum=sum.to_string()>
                            <th scope="row">"Sum"</th>
                            <td class="figure"><data class="amount" value=sum.to_string()>{move || sum.as_balance()}</data></td>
                        </tr>
                    </tfoot>
                </table>
            })}
        </section>
    }
}

/// Sends the same command again: the same id gets the same answer.
#[component]
fn Again(asked: Option<Asked>, id: CommandId, look: Callback<()>) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let times = RwSignal::new(0_u32);
    let working = RwSignal::new(false);
    let outcome = RwSignal::new(None::<String>);
    let own = session
        .user()
        .and_then(|user| user.account)
        .map(|account| account.iban);
    let payment = asked.and_then(|asked| payment_of(asked, own.as_deref()));
    let can = payment.is_some();
    let send = move |_| {
        let Some(payment) = payment.clone() else {
            return;
        };
        if working.get_untracked() {
            return;
        }
        working.set(true);
        spawn_local(async move {
            let answer = http::send::<PaymentAnswer>(&operations::pay(id, &payment)).await;
            let words = match answer {
                Ok(PaymentAnswer { payment: PaymentResult::PaymentConfirmed }) => {
                    "The bank gave the same answer again: confirmed. Nothing was booked a second time.".to_owned()
                }
                Ok(PaymentAnswer { payment: PaymentResult::CommandRejected { message, .. } }) => {
                    format!("The bank gave the same answer again: rejected, {message}")
                }
                Ok(PaymentAnswer { payment: PaymentResult::CommandPending }) => {
                    "Still being processed. The bank has it and will answer.".to_owned()
                }
                Err(error) => words::load_failure(&error),
            };
            announcer.status(words.clone());
            if working.try_set(false).is_some() {
                return;
            }
            times.update(|times| *times += 1);
            outcome.set(Some(words));
            look.run(());
        });
    };
    view! {
        <section class="again" aria-labelledby="again-heading">
            <h2 id="again-heading">"Send it again"</h2>
            <p class="hint">"The same command with the same id, as after a cut line. It must get the same answer and move nothing."</p>
            {if can {
                view! {
                    <button type="button" id="send-again" aria-disabled=move || working.get().then_some("true") on:click=send>"Send again"</button>
                }.into_any()
            } else {
                view! { <p class="hint">"Only who paid can send it again."</p> }.into_any()
            }}
            <p id="again-outcome">{move || outcome.get().map(|words| format!("Sent again {}. {words}", figures::counted(times.get().into(), "time", "times")))}</p>
        </section>
    }
}

/// What was sent, when it was the reader's own.
fn payment_of(asked: Asked, own: Option<&str>) -> Option<Payment> {
    let own = own?;
    if asked.from == "cash" && asked.to == own {
        Some(Payment::Deposit {
            amount: asked.amount,
        })
    } else if asked.from == own {
        Some(Payment::Transfer {
            to: asked.to,
            amount: asked.amount,
            description: asked.description,
        })
    } else {
        None
    }
}

#[component]
fn Records(
    command: Option<TopicRecord>,
    outcome: Option<TopicRecord>,
    changes: Vec<TopicRecord>,
) -> impl IntoView {
    let all: Vec<TopicRecord> = command.into_iter().chain(outcome).chain(changes).collect();
    let count = figures::counted(all.len() as u64, "record", "records");
    let row = |record: TopicRecord| {
        let (name, serial, topic) = (
            hops::short_name(&record).to_owned(),
            hops::serial(&record),
            record.topic.clone(),
        );
        view! {
            <li>
                <details>
                    <summary>
                        <span class="name">{name}</span> " in " <code>{topic.clone()}</code> " "
                        <span class="serial">{serial}</span>
                    </summary>
                    <RecordFields record=record/>
                </details>
            </li>
        }
    };
    view! {
        <section class="trail-records" aria-labelledby="records-heading">
            <h2 id="records-heading">{count} " on the topics"</h2>
            <ul>{all.into_iter().map(row).collect_view()}</ul>
        </section>
    }
}
