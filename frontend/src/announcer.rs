//! Says to a screen reader what others see happen.

#![expect(
    unreachable_pub,
    reason = "what the component macro makes of a component is `pub`"
)]

use leptos::prelude::*;

/// The two live regions of the page. The lists themselves are never live.
#[derive(Clone, Copy)]
pub(crate) struct Announcer {
    status: RwSignal<String>,
    alert: RwSignal<String>,
}

impl Announcer {
    pub(crate) fn provide() -> Self {
        let announcer = Self {
            status: RwSignal::default(),
            alert: RwSignal::default(),
        };
        provide_context(announcer);
        announcer
    }

    /// When the reader comes to a pause.
    pub(crate) fn status(self, words: impl Into<String>) {
        say(self.status, words.into());
    }

    /// At once: money did not move as asked.
    pub(crate) fn alert(self, words: impl Into<String>) {
        say(self.alert, words.into());
    }
}

fn say(region: RwSignal<String>, words: String) {
    // The same words twice are only spoken twice when the region was empty in between.
    region.set(String::new());
    request_animation_frame(move || region.set(words));
}

/// The regions, in the page from the start.
#[component]
pub(crate) fn Announcements() -> impl IntoView {
    let Announcer { status, alert } = expect_context();
    view! {
        <p id="status" class="unseen" role="status">{move || status.get()}</p>
        <p id="alert" class="unseen" role="alert">{move || alert.get()}</p>
    }
}
