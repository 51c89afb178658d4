//! What the auditor says, in a shape and a word, on every route.

use leptos::prelude::*;

#[component]
pub(crate) fn AuditorLamp() -> impl IntoView {}
