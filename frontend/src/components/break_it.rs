//! Try to break it: what the page itself may do, and for the rest the command to type.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, PaymentAnswer},
        records::{self, TrailAnswer},
        response::ApiError,
        types::{CommandId, Payment, PaymentResult},
    },
    money::Cents,
    session::Session,
    validation::new_command_id,
    words,
};

/// What is deposited twice and must arrive once.
const AMOUNT: Cents = Cents(1_000);

/// Ends the handler as nothing kind would.
pub(crate) const KILL_HANDLER: &str = "kill -KILL $(pidof command-handler)";

/// What a person can type to break something, and what they will see.
const COMMANDS: [(&str, &str, &str); 4] = [
    (
        "Kill a handler",
        KILL_HANDLER,
        "The drawing shows it gone; it is started again, sends what it owed, and the auditor goes on holding.",
    ),
    (
        "Pause a handler",
        "kill -STOP $(pidof command-handler)",
        "Commands wait in their topic: its lag grows. The same with -CONT lets it go on.",
    ),
    (
        "Pause the broker",
        "kill -STOP $(cargo bank status | awk '/^kafka / { print $2 }')",
        "Nothing is answered and nothing is lost. The same with -CONT lets it go on.",
    ),
    (
        "All of it, judged",
        "cargo bank chaos all",
        "Breaks a bank of its own in every way it knows, under load, and says what came of it.",
    ),
];

#[derive(Clone, Debug, PartialEq, Eq)]
enum Twice {
    Not,
    Working,
    Done { words: String, id: CommandId },
    Failed(String),
}

#[component]
pub(crate) fn BreakIt() -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let twice = RwSignal::new(Twice::Not);
    let has_account = Memo::new(move |_| session.user().is_some_and(|user| user.account.is_some()));
    let send = move |_| {
        if twice.get_untracked() == Twice::Working {
            return;
        }
        twice.set(Twice::Working);
        spawn_local(async move {
            let done = send_twice().await;
            if let Twice::Done { words, .. } | Twice::Failed(words) = &done {
                announcer.status(words.clone());
            }
            twice.try_set(done);
        });
    };
    let outcome = move || {
        match twice.get() {
        Twice::Not => None,
        Twice::Working => Some(view! { <p class="outcome">"Sent twice. Waiting for the bank."</p> }.into_any()),
        Twice::Done { words, id } => Some(
            view! { <p class="outcome" id="twice-outcome">{words} " " <a href=format!("/trail/{}", id.0)>"Follow the record"</a></p> }
                .into_any(),
        ),
        Twice::Failed(words) => Some(view! { <p class="failure">{words}</p> }.into_any()),
    }
    };
    let commands = COMMANDS.map(|(name, command, then)| {
        view! {
            <details class="breaking">
                <summary>{name}</summary>
                <pre tabindex="0"><code>{command}</code></pre>
                <p class="hint">{then}</p>
            </details>
        }
    });
    view! {
        <section class="break-it" aria-labelledby="break-heading">
            <h2 id="break-heading">"Try to break it"</h2>
            <Show
                when=move || has_account.get()
                fallback=|| view! { <p class="hint">"Sign in as a customer to send a command twice. " <a href="/client">"Sign in"</a></p> }
            >
                <button
                    type="button"
                    id="send-twice"
                    aria-disabled=move || (twice.get() == Twice::Working).then_some("true")
                    on:click=send
                >
                    "Send a deposit of " {move || AMOUNT.as_balance()} " twice"
                </button>
            </Show>
            {outcome}
            <p class="hint">"What the page may not do, a shell on this machine may:"</p>
            {commands}
        </section>
    }
}

/// Sends one command two times at once, then looks how often it was booked.
async fn send_twice() -> Twice {
    let id = new_command_id();
    let payment = Payment::Deposit { amount: AMOUNT };
    let operation = operations::pay(id, &payment);
    let (one, other) = futures_util::future::join(
        http::send::<PaymentAnswer>(&operation),
        http::send::<PaymentAnswer>(&operation),
    )
    .await;
    let (one, other) = match (one, other) {
        (Ok(one), Ok(other)) => (one.payment, other.payment),
        (Err(error), _) | (_, Err(error)) => return failed(&error),
    };
    if one != other {
        return Twice::Failed("The two answers differ. That should not be.".to_owned());
    }
    let answer = match one {
        PaymentResult::PaymentConfirmed => "confirmed",
        PaymentResult::CommandPending => "still being processed",
        PaymentResult::CommandRejected { .. } => "rejected",
    };
    match http::send::<TrailAnswer>(&records::trail(id)).await {
        Ok(TrailAnswer { trail: Some(trail) }) => {
            let booked = match trail.changes.len() {
                0 => "not booked yet".to_owned(),
                1 => "booked once".to_owned(),
                many => format!("{many} changes of your account"),
            };
            Twice::Done {
                words: format!(
                    "Both answers are the same: {answer}. The account shows it {booked}."
                ),
                id,
            }
        }
        Ok(TrailAnswer { trail: None }) => Twice::Done {
            words: format!("Both answers are the same: {answer}."),
            id,
        },
        Err(error) => failed(&error),
    }
}

fn failed(error: &ApiError) -> Twice {
    Twice::Failed(words::load_failure(error))
}
