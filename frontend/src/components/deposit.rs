//! Cash into one's own account, by fixed notes.

use leptos::prelude::*;

use crate::{
    api::types::{CommandId, Payment},
    money::Cents,
    outbox::Progress,
    payments::Payments,
};

const NOTES: [Cents; 6] = [
    Cents(1_000),
    Cents(2_000),
    Cents(5_000),
    Cents(10_000),
    Cents(20_000),
    Cents(50_000),
];

#[component]
pub(crate) fn Deposit() -> impl IntoView {
    let payments: Payments = expect_context();
    let last = RwSignal::new(None::<CommandId>);
    let is_working = Memo::new(move |_| {
        let progress = last.get().and_then(|id| {
            payments
                .outbox
                .with(|outbox| outbox.get(id).map(|sent| sent.progress.clone()))
        });
        matches!(progress, Some(Progress::Waiting | Progress::Unreachable))
    });
    let button = move |amount: Cents| {
        let deposit = move |event: web_sys::MouseEvent| {
            // The second press of a double click comes after the bank's answer more often than not.
            let is_first_press = event.detail() <= 1;
            if is_first_press && !is_working.get_untracked() {
                last.set(payments.send(Payment::Deposit { amount }));
            }
        };
        let whole_euros = amount.as_balance().replace(",00", "");
        view! {
            <button
                type="button"
                id=format!("deposit-{amount}")
                aria-disabled=move || is_working.get().then_some("true")
                on:click=deposit
            >
                <span class="unseen">"Deposit "</span>
                {whole_euros}
            </button>
        }
    };
    view! {
        <section class="deposit" aria-labelledby="deposit-heading">
            <h2 id="deposit-heading">"Deposit cash"</h2>
            <div class="notes">{NOTES.map(button)}</div>
        </section>
    }
}
