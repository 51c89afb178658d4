//! The line under the bar while the live connection is cut, and after it came back. It pushes the page down and never
//! covers it; the data stays, dated.

use leptos::prelude::*;

use crate::{
    connection::{Connection, Link},
    words,
};

#[component]
pub(crate) fn ConnectionBanner() -> impl IntoView {
    let connection: Connection = expect_context();
    let as_of = move || {
        let heard = connection.heard_at();
        heard
            .map(|heard| format!(" What you see is as of {}.", heard.clock()))
            .unwrap_or_default()
    };
    let content = move || {
        match connection.link.get() {
        Link::Idle | Link::Connecting | Link::Live => None,
        Link::Lost { attempt, seconds_left } => {
            let again = match seconds_left {
                0 => "Trying again now.".to_owned(),
                _ => format!("Trying again in {seconds_left} s."),
            };
            Some(
                view! {
                    <p>{format!("Connection lost. {again}{}", as_of())}</p>
                    <p class="serial">{format!("try {attempt}")}</p>
                    <button type="button" class="small" on:click=move |_| connection.try_now()>"Try now"</button>
                }
                .into_any(),
            )
        }
        Link::Back { changes } => Some(
            view! {
                <p>{words::back_again(changes)}</p>
                <button type="button" class="small" on:click=move |_| connection.dismiss()>"Close"</button>
            }
            .into_any(),
        ),
    }
    };
    let state = move || match connection.link.get() {
        Link::Idle => "idle",
        Link::Connecting => "connecting",
        Link::Live => "live",
        Link::Lost { .. } => "lost",
        Link::Back { .. } => "back",
    };
    view! {
        <div id="connection-banner" class="banner" data-state=state>
            {content}
        </div>
    }
}

/// The word in the bar.
#[component]
pub(crate) fn LiveWord() -> impl IntoView {
    let connection: Connection = expect_context();
    let word = move || match connection.link.get() {
        Link::Idle => "",
        Link::Connecting => "Connecting",
        Link::Live | Link::Back { .. } => "Live",
        Link::Lost { .. } => "Not live",
    };
    view! { <span class="live-word" class:lost=move || matches!(connection.link.get(), Link::Lost { .. })>{word}</span> }
}
