//! A no that belongs to a form as a whole.

use leptos::prelude::*;

/// Shows it where the person is; spoken by the alert region of the page.
#[component]
pub(crate) fn Failure(words: RwSignal<Option<String>>) -> impl IntoView {
    move || {
        words
            .get()
            .map(|words| view! { <p class="failure">{words}</p> })
    }
}
