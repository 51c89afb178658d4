//! What there is to correct, above the form; takes the focus after a failed submit.

use leptos::prelude::*;

use crate::{
    browser,
    validation::{FieldError, summary_heading},
};

const SELECTOR: &str = "#error-summary";

/// Takes the reader to what there is to correct, once it is shown.
pub(crate) fn focus_summary() {
    browser::focus_next_frame(SELECTOR);
}

#[component]
pub(crate) fn ErrorSummary(#[prop(into)] errors: Signal<Vec<FieldError>>) -> impl IntoView {
    let entry = |error: FieldError| {
        let id = error.field.id();
        let go = move |event: web_sys::MouseEvent| {
            event.prevent_default();
            browser::focus(&format!("#{id}"));
        };
        view! { <li><a href=format!("#{id}") on:click=go>{error.words}</a></li> }
    };
    view! {
        <Show when=move || !errors.with(Vec::is_empty)>
            <div id="error-summary" class="error-summary" tabindex="-1" aria-labelledby="error-summary-heading">
                <h3 id="error-summary-heading">{move || summary_heading(errors.with(Vec::len))}</h3>
                <ul>{move || errors.get().into_iter().map(entry).collect_view()}</ul>
            </div>
        </Show>
    }
}
