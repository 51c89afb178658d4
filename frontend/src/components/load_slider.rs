//! The pace of the simulated public: what is wanted and what is achieved.

use leptos::prelude::*;

#[component]
pub(crate) fn LoadSlider() -> impl IntoView {}
