//! Whether what the page shows is live, for the banner and for the word in the bar.

use std::time::Duration;

use leptos::prelude::*;

use crate::{announcer::Announcer, browser, time::LocalTime, words};

/// How often the seconds left are looked at while the line is cut.
const STEP: Duration = Duration::from_millis(250);

/// State of the live connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    /// Nothing is followed on this route.
    Idle,
    Connecting,
    Live,
    /// Cut, and trying again.
    Lost {
        attempt: u32,
        seconds_left: u64,
    },
    /// Live again after a cut; stays until closed.
    Back {
        changes: usize,
    },
}

#[derive(Clone, Copy)]
pub(crate) struct Connection {
    pub(crate) link: RwSignal<Link>,
    /// When the gateway was last heard.
    pub(crate) heard_at: RwSignal<Option<LocalTime>>,
    hurry: RwSignal<bool>,
    announcer: Announcer,
}

impl Connection {
    pub(crate) fn provide(announcer: Announcer) -> Self {
        let connection = Self {
            link: RwSignal::new(Link::Idle),
            heard_at: RwSignal::new(None),
            hurry: RwSignal::new(false),
            announcer,
        };
        provide_context(connection);
        // A device that is online again need not wait for the next try.
        window_event_listener_untyped("online", move |_| connection.try_now());
        connection
    }

    pub(crate) fn idle(self) {
        self.link.set(Link::Idle);
        self.heard_at.set(None);
    }

    pub(crate) fn connecting(self) {
        if self.link.with_untracked(|link| *link == Link::Idle) {
            self.link.set(Link::Connecting);
        }
    }

    pub(crate) fn live(self) {
        self.link.set(Link::Live);
    }

    pub(crate) fn heard(self) {
        self.heard_at.set(Some(browser::local_now()));
    }

    pub(crate) fn back(self, changes: usize) {
        self.link.set(Link::Back { changes });
        self.announcer.status(words::back_again(changes));
    }

    pub(crate) fn dismiss(self) {
        self.link.set(Link::Live);
    }

    pub(crate) fn try_now(self) {
        self.hurry.set(true);
    }

    /// Waits before the next try, unless told to hurry.
    pub(crate) async fn wait(self, attempt: u32, delay: Duration) {
        self.hurry.set(false);
        let mut left = delay;
        if !self
            .link
            .with_untracked(|link| matches!(link, Link::Lost { .. }))
        {
            self.announcer
                .status("Connection lost. What you see is no longer live. Trying again.");
        }
        while !left.is_zero() && !self.hurry.get_untracked() {
            let seconds_left = (left + Duration::from_millis(999)).as_secs();
            let next = Link::Lost {
                attempt,
                seconds_left,
            };
            if self.link.with_untracked(|link| *link != next) {
                self.link.set(next);
            }
            let step = left.min(STEP);
            browser::sleep(step).await;
            left -= step;
        }
        self.link.set(Link::Lost {
            attempt,
            seconds_left: 0,
        });
    }
}
