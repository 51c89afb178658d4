//! An address that leads nowhere.

use leptos::prelude::*;

use crate::components::frame::name_page;

#[component]
pub(crate) fn NotFound() -> impl IntoView {
    name_page(|| "Page not found".to_owned());
    view! {
        <div class="route">
            <h1 tabindex="-1">"Page not found"</h1>
            <p>"There is nothing at this address. " <a href="/">"Go to the first page."</a></p>
        </div>
    }
}
