//! The pay form. What is typed stays until the bank has confirmed it; then the fields empty, so that the next press
//! needs new input.

use leptos::prelude::*;

use super::{
    error_summary::{ErrorSummary, focus_summary},
    field::TextField,
};
use crate::{
    api::operations::CommandId,
    outbox::Progress,
    payments::Payments,
    validation::{Field, FieldError, PayForm as Form},
};

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
    let is_checked = RwSignal::new(false);
    let errors: Memo<Vec<FieldError>> = Memo::new(move |_| match form().read() {
        Err(errors) if is_checked.get() => errors,
        _ => Vec::new(),
    });
    Effect::new(move |_| has_errors.set(!errors.with(Vec::is_empty)));

    let under_way = RwSignal::new(None::<CommandId>);
    Effect::new(move |_| {
        let Some(id) = under_way.get() else { return };
        let progress = payments
            .outbox
            .with(|outbox| outbox.get(id).map(|sent| sent.progress.clone()));
        match progress {
            Some(Progress::Waiting | Progress::Unreachable) => {}
            // The bank said no: what was typed is there to be corrected.
            Some(Progress::Rejected(_) | Progress::SignInNeeded) => under_way.set(None),
            // It stands in the list from here on.
            Some(Progress::Confirmed | Progress::StillProcessing) | None => {
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
    let reading = move || form().reading().map(crate::money::Cents::as_balance);
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
            </form>
        </section>
    }
}
