//! Trail.

use leptos::prelude::*;

use crate::components::frame::name_page;

#[component]
pub(crate) fn Trail() -> impl IntoView {
    name_page(|| "Trail".to_owned());
    view! {
        <div class="route">
            <h1 tabindex="-1">"Trail"</h1>
        </div>
    }
}
