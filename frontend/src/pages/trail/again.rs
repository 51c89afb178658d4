//! Sending a command once more.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, PaymentAnswer},
        types::{CommandId, Payment, PaymentResult},
    },
    figures,
    hops::Asked,
    session::Session,
    words,
};

/// Sends the same command again: the same id gets the same answer.
#[component]
pub(super) fn Again(asked: Option<Asked>, id: CommandId, look: Callback<()>) -> impl IntoView {
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
