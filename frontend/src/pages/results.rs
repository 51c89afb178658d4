//! Results.

use leptos::prelude::*;

use crate::components::frame::name_page;

#[component]
pub(crate) fn Results() -> impl IntoView {
    name_page(|| "Results".to_owned());
    view! {
        <div class="route">
            <h1 tabindex="-1">"Results"</h1>
        </div>
    }
}
