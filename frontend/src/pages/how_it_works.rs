//! How it works.

use leptos::prelude::*;

use crate::components::frame::name_page;

#[component]
pub(crate) fn HowItWorks() -> impl IntoView {
    name_page(|| "How it works".to_owned());
    view! {
        <div class="route">
            <h1 tabindex="-1">"How it works"</h1>
        </div>
    }
}
