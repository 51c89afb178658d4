//! Live.

use leptos::prelude::*;

use crate::components::frame::name_page;

#[component]
pub(crate) fn Live() -> impl IntoView {
    name_page(|| "Live".to_owned());
    view! {
        <div class="route">
            <h1 tabindex="-1">"Live"</h1>
        </div>
    }
}
