//! What the auditor says, in a shape and a word, on every route.

use leptos::prelude::*;

use crate::{api::status::AuditorVerdict, lamp, watching::Watching};

/// In the bar of every route; leads to the list of invariants.
#[component]
pub(crate) fn AuditorLamp() -> impl IntoView {
    let watching: Watching = expect_context();
    let verdict = Memo::new(move |_| watching.lamp.with(|lamp| lamp.verdict));
    let state = Memo::new(move |_| watching.lamp.with(lamp::Lamp::state));
    view! {
        <a id="auditor-lamp" class="lamp" href="/live#auditor" data-state=move || state.get()>
            <span class="unseen">"Auditor: "</span>
            {move || view! { <LampShape verdict=verdict.get()/> }}
            <span class="lamp-word">{move || lamp::word(verdict.get())}</span>
            <span class="unseen">{move || rest_in_words(&watching.lamp.get())}</span>
        </a>
    }
}

/// What comes after the word: `, 31 of 31, checked 4 s ago`.
fn rest_in_words(lamp: &lamp::Lamp) -> String {
    let all = lamp.in_words();
    all.strip_prefix(lamp.word()).unwrap_or(&all).to_owned()
}

/// A filled disc, a filled square with a bar, a hollow dashed ring; a dash while nothing is known.
#[component]
pub(crate) fn LampShape(verdict: Option<AuditorVerdict>) -> impl IntoView {
    let shape = match verdict {
        None => view! { <line class="lamp-not-known" x1="3" y1="8" x2="13" y2="8"/> }.into_any(),
        Some(AuditorVerdict::Holds) => {
            view! { <circle class="lamp-holds" cx="8" cy="8" r="6"/> }.into_any()
        }
        Some(AuditorVerdict::Violated) => view! {
            <rect class="lamp-violated" x="2" y="2" width="12" height="12"/>
            <rect class="lamp-bar" x="4" y="7" width="8" height="2"/>
        }
        .into_any(),
        Some(AuditorVerdict::CannotCheck) => {
            view! { <circle class="lamp-cannot-check" cx="8" cy="8" r="5.5"/> }.into_any()
        }
    };
    view! { <svg class="lamp-shape" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">{shape}</svg> }
}
