//! The pay form. What is typed stays until the bank has confirmed it; then the fields empty, so that the next press
//! needs new input.

use leptos::prelude::*;

use super::{
    error_summary::{ErrorSummary, focus_summary},
    field::TextField,
};
use crate::{
    api::types::CommandId,
    outbox::Progress,
    payments::Payments,
    validation::{Field, FieldError, PayForm as Form},
    words,
};

/// What is said of the last payment.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// Confirmed, or on its way.
    On(String),
    /// The bank's no.
    No(String),
}

/// `has_errors` tells the page, for its title.
#[component]
pub(crate) fn PayForm(has_errors: RwSignal<bool>) -> impl IntoView {
    let payments: Payments = expect_context();
    let [to, amount, description] = [(); 3].map(|()| RwSignal::new(String::new()));
    let form = move || Form {
        to: to.get(),
        amount: amount.get(),
        description: description.get(),
    };
    let reading = move || form().reading().map(crate::money::Cents::as_balance);
    let paying = move || {
        reading().map_or_else(
            || "Payment".to_owned(),
            |euros| format!("Payment of {euros}"),
        )
    };
    let is_checked = RwSignal::new(false);
    let errors: Memo<Vec<FieldError>> = Memo::new(move |_| match form().read() {
        Err(errors) if is_checked.get() => errors,
        _ => Vec::new(),
    });
    Effect::new(move |_| has_errors.set(!errors.with(Vec::is_empty)));

    let under_way = RwSignal::new(None::<CommandId>);
    // Said beside the button too: on a narrow screen the row is far below.
    let outcome = RwSignal::new(None::<Outcome>);
    Effect::new(move |_| {
        let Some(id) = under_way.get() else { return };
        let sent = payments.outbox.with(|outbox| outbox.get(id).cloned());
        match sent.map(|sent| sent.progress) {
            Some(Progress::Waiting) => outcome.set(Some(Outcome::On(
                "Payment sent. Waiting for the bank.".to_owned(),
            ))),
            Some(Progress::Unreachable) => {
                outcome.set(Some(Outcome::On(words::NOT_KNOWN_YET.to_owned())))
            }
            // The bank said no: what was typed is there to be corrected.
            Some(Progress::Rejected(words)) => {
                outcome.set(Some(Outcome::No(words)));
                under_way.set(None);
            }
            Some(Progress::SignInNeeded) => under_way.set(None),
            // It stands in the list from here on.
            progress @ (Some(Progress::Confirmed | Progress::StillProcessing) | None) => {
                let is_open = progress == Some(Progress::StillProcessing);
                let confirmed = || format!("{} confirmed.", untrack(paying));
                let words = if is_open {
                    words::STILL_PROCESSING.to_owned()
                } else {
                    confirmed()
                };
                outcome.set(Some(Outcome::On(words)));
                [to, amount, description]
                    .iter()
                    .for_each(|field| field.set(String::new()));
                is_checked.set(false);
                under_way.set(None);
            }
        }
    });

    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if under_way.get_untracked().is_some() {
            return;
        }
        match untrack(form).read() {
            Ok(payment) => under_way.set(payments.send(payment)),
            Err(_) => {
                outcome.set(None);
                is_checked.set(true);
                focus_summary();
            }
        }
    };
    let first_press_only = |event: web_sys::MouseEvent| {
        // The second press of a double click would find the fields emptied and complain.
        if event.detail() > 1 {
            event.prevent_default();
        }
    };
    let echo = Signal::derive(move || {
        reading()
            .map(|euros| format!("You pay {euros}"))
            .unwrap_or_default()
    });
    let label = move || match (under_way.get(), reading()) {
        (Some(_), _) => "Paying".to_owned(),
        (None, Some(euros)) => format!("Pay {euros}"),
        (None, None) => "Pay".to_owned(),
    };
    view! {
        <section class="pay" aria-labelledby="pay-heading">
            <h2 id="pay-heading">"Pay"</h2>
            <ErrorSummary errors=errors/>
            <form id="pay-form" novalidate=true autocomplete="off" on:submit=submit>
                <TextField field=Field::PayTo label="IBAN or name of the payee" value=to errors=errors autocomplete="off" literal=true/>
                <TextField
                    field=Field::PayAmount
                    label="Amount in euros"
                    value=amount
                    errors=errors
                    autocomplete="off"
                    inputmode="decimal"
                    hint=echo
                    literal=true
                />
                <TextField field=Field::PayDescription label="Description" value=description errors=errors autocomplete="off"/>
                <button
                    type="submit"
                    id="pay-submit"
                    class="main"
                    aria-disabled=move || under_way.get().map(|_| "true")
                    on:click=first_press_only
                >
                    {label}
                </button>
                {move || outcome.get().map(|outcome| match outcome {
                    Outcome::On(words) => view! { <p class="outcome" id="pay-outcome">{words}</p> },
                    Outcome::No(words) => view! { <p class="failure" id="pay-outcome">{words}</p> },
                })}
            </form>
        </section>
    }
}
