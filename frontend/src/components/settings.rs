//! How the page looks on this device: formats and theme.

use leptos::prelude::*;

use crate::{
    choices::{Choices, Theme},
    chosen_formats,
    formats::Locale,
};

/// `place` begins the ids: the controls stand in the menu of a narrow window and elsewhere in a wide one.
#[component]
pub(crate) fn Settings(place: &'static str) -> impl IntoView {
    let choices: Choices = expect_context();
    let choose_formats = move |event| {
        if let Some(locale) = Locale::from_tag(&event_target_value(&event)) {
            chosen_formats::choose(locale);
        }
    };
    let choose_theme =
        move |event| choices.choose_theme(Theme::from_key(&event_target_value(&event)));
    let formats_id = format!("{place}-formats");
    let theme_id = format!("{place}-theme");
    view! {
        <div class="settings">
            <label for=formats_id.clone()>"Formats"</label>
            <select
                id=formats_id
                prop:value=move || chosen_formats::locale().tag()
                on:change=choose_formats
            >
                <option value=Locale::Dutch.tag()>"1.234,56"</option>
                <option value=Locale::English.tag()>"1,234.56"</option>
            </select>
            <label for=theme_id.clone()>"Theme"</label>
            <select id=theme_id prop:value=move || choices.theme.get().key() on:change=choose_theme>
                {Theme::ALL.map(|theme| view! { <option value=theme.key()>{theme.key()}</option> })}
            </select>
        </div>
    }
}
