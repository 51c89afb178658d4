//! The bank in four figures, one ruled line of text on the first page.

use leptos::prelude::*;

#[component]
pub(crate) fn FourFigures() -> impl IntoView {}
