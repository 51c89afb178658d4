//! A trail without a command: there is one to choose.

use leptos::prelude::*;

use crate::{
    browser,
    components::{frame::going, statement::Statement},
    following::Following,
    session::Session,
};

/// Payments to choose from at first.
const ROWS: usize = 10;

const NOT_AN_ID: &str = "This is no command id: it has 32 digits and letters a to f.";

/// Without a command there is one to choose.
#[component]
pub(super) fn Choose(wrong: Option<String>) -> impl IntoView {
    let typed = RwSignal::new(wrong.clone().unwrap_or_default());
    let error = RwSignal::new(wrong.map(|_| NOT_AN_ID));
    let session: Session = expect_context();
    let own = Memo::new(move |_| session.user()?.account.map(|account| account.iban));
    let go_to = going();
    let go = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        match uuid::Uuid::parse_str(typed.get_untracked().trim()) {
            Ok(id) => go_to.run(format!("/trail/{id}")),
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
        {move || own.get().map(|iban| view! { <OwnPayments iban=iban/> })}
    }
}

#[component]
fn OwnPayments(iban: String) -> impl IntoView {
    let following = Following::start(iban, Signal::stored(ROWS));
    view! { <Statement following=following heading="Your last payments" empty="No transactions yet."/> }
}
