//! A trail without a command: there is one to choose.

use leptos::prelude::*;
use leptos_router::{NavigateOptions, hooks::use_navigate};

use crate::browser;

const NOT_AN_ID: &str = "This is no command id: it has 32 digits and letters a to f.";

/// Without a command there is one to choose.
#[component]
pub(super) fn Choose(wrong: Option<String>) -> impl IntoView {
    let typed = RwSignal::new(wrong.clone().unwrap_or_default());
    let error = RwSignal::new(wrong.map(|_| NOT_AN_ID));
    let navigate = use_navigate();
    let go = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        match uuid::Uuid::parse_str(typed.get_untracked().trim()) {
            Ok(id) => navigate(&format!("/trail/{id}"), NavigateOptions::default()),
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
