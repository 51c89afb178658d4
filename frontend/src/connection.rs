//! Whether what the page shows is live, for the banner and for the word in the bar.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use crate::{announcer::Announcer, browser, time::LocalTime, words};

/// What comes so soon after a reconnect, and happened before it, was missed meanwhile.
const SETTLE: Duration = Duration::from_secs(1);
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
    /// When the gateway was last heard, in milliseconds; not a signal, since it moves with every message.
    heard_at: StoredValue<Option<f64>>,
    /// Since when this is the line that took over from a cut one.
    resumed_at: StoredValue<Option<f64>>,
    missed: StoredValue<usize>,
    hurry: RwSignal<bool>,
    announcer: Announcer,
}

impl Connection {
    pub(crate) fn provide(announcer: Announcer) -> Self {
        let connection = Self {
            link: RwSignal::new(Link::Idle),
            heard_at: StoredValue::new(None),
            resumed_at: StoredValue::new(None),
            missed: StoredValue::new(0),
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
        self.heard_at.set_value(None);
    }

    pub(crate) fn connecting(self) {
        if self.link.with_untracked(|link| *link == Link::Idle) {
            self.link.set(Link::Connecting);
        }
    }

    /// The line is open; `resumes` when it takes over from one that was cut.
    pub(crate) fn live(self, resumes: bool) {
        self.heard();
        if !resumes {
            return self.link.set(Link::Live);
        }
        let now = browser::milliseconds();
        self.resumed_at.set_value(Some(now));
        self.missed.set_value(0);
        spawn_local(async move {
            browser::sleep(SETTLE).await;
            if self.resumed_at.get_value() == Some(now) {
                self.resumed_at.set_value(None);
                self.back(self.missed.get_value());
            }
        });
    }

    pub(crate) fn heard(self) {
        self.heard_at.set_value(Some(browser::milliseconds()));
    }

    /// When the gateway was last heard.
    pub(crate) fn heard_at(self) -> Option<LocalTime> {
        self.heard_at.get_value().map(browser::local_time_of)
    }

    /// Whether a change that comes in now happened while the line was cut. It is counted for the banner.
    pub(crate) fn was_missed(self, occurred_at: &str) -> bool {
        let Some(resumed_at) = self.resumed_at.get_value() else {
            return false;
        };
        let was_missed = browser::milliseconds_of(occurred_at) <= resumed_at;
        if was_missed {
            self.missed.update_value(|missed| *missed += 1);
        }
        was_missed
    }

    fn back(self, changes: usize) {
        self.link.set(Link::Back { changes });
        self.announcer.status(words::back_again(changes));
    }

    /// Takes the word that it came back out of sight.
    pub(crate) fn dismiss(self) {
        if self
            .link
            .with_untracked(|link| matches!(link, Link::Back { .. }))
        {
            self.link.set(Link::Live);
        }
    }

    pub(crate) fn try_now(self) {
        self.hurry.set(true);
    }

    /// Waits before the next try, unless told to hurry.
    pub(crate) async fn wait(self, attempt: u32, delay: Duration) {
        self.hurry.set(false);
        self.resumed_at.set_value(None);
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
