//! The state of the bank as the gateway pushes it, one stream for the whole page: the lamp on every route, the four
//! figures of home, the load, the drawing.

use std::{sync::Arc, time::Duration};

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        line::{Heard, Line, Subscription},
        response::{ApiError, ErrorCode},
        status::{self, AuditorVerdict, Status, StatusAnswer},
    },
    browser,
    lamp::Lamp,
    session::{Session, Who},
    words,
};

/// How often the age of what is known is looked at.
const TICK: Duration = Duration::from_secs(1);
/// A state older than this is no longer live.
const LIVE_FOR_SECONDS: i64 = 5;
const MILLISECONDS: f64 = 1_000.0;

/// Why there is no state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Sight {
    /// Not heard yet.
    Asking,
    /// It comes each second.
    Live,
    /// It came once; the line is cut, or the gateway silent.
    Silent,
    /// Who looks may not, or there is none.
    Refused { words: String, sign_in_helps: bool },
}

#[derive(Clone, Copy)]
pub(crate) struct Watching {
    pub(crate) sight: RwSignal<Sight>,
    pub(crate) lamp: RwSignal<Lamp>,
    newest: RwSignal<Option<Arc<Status>>>,
    /// What a paused page keeps showing.
    frozen: RwSignal<Option<Arc<Status>>>,
    /// When the last state came; before the first, when the page was opened.
    came_at: StoredValue<f64>,
    subscription: StoredValue<Option<Subscription>, LocalStorage>,
    line: Line,
    announcer: Announcer,
}

impl Watching {
    /// Watches for as long as the page is open; begins anew when someone signs in or out.
    pub(crate) fn provide(session: Session, announcer: Announcer) -> Self {
        let watching = Self {
            sight: RwSignal::new(Sight::Asking),
            lamp: RwSignal::new(Lamp::default()),
            newest: RwSignal::new(None),
            frozen: RwSignal::new(None),
            came_at: StoredValue::new(browser::milliseconds()),
            subscription: StoredValue::new_local(None),
            line: expect_context(),
            announcer,
        };
        provide_context(watching);
        // What the session is for the gateway: nobody, or one user.
        let who = Memo::new(move |_| match session.who.get() {
            Who::Asking | Who::Unknown(_) => None,
            Who::Nobody => Some(None),
            Who::User(user) => Some(Some(user.user_name)),
        });
        Effect::new(move |_| {
            if who.get().is_some() {
                watching.begin();
            }
        });
        spawn_local(async move {
            loop {
                browser::sleep(TICK).await;
                watching.look();
            }
        });
        watching
    }

    /// What is shown; tracked.
    pub(crate) fn status(self) -> Option<Arc<Status>> {
        self.frozen.get().or_else(|| self.newest.get())
    }

    /// What is known now, paused or not; tracked.
    pub(crate) fn newest(self) -> Option<Arc<Status>> {
        self.newest.get()
    }

    pub(crate) fn is_paused(self) -> bool {
        self.frozen.with(Option::is_some)
    }

    pub(crate) fn pause(self) {
        self.frozen.set(self.newest.get_untracked());
    }

    pub(crate) fn resume(self) {
        self.frozen.set(None);
    }

    /// Listens anew.
    pub(crate) fn begin(self) {
        // The one before ends first, so that there is never a second.
        self.subscription.set_value(None);
        let listener = move |heard| match heard {
            Heard::Subscribed => {}
            Heard::Next(StatusAnswer { status }) => self.take(status),
            Heard::Refused(error) => self.refused(&error),
        };
        self.subscription
            .set_value(Some(self.line.subscribe(status::watch_status, listener)));
    }

    fn refused(self, error: &ApiError) {
        self.newest.set(None);
        self.frozen.set(None);
        self.set_sight(refusal(error));
        self.look();
    }

    fn take(self, status: Status) {
        self.came_at.set_value(browser::milliseconds());
        self.newest.set(Some(Arc::new(status)));
        self.set_sight(Sight::Live);
        self.look();
    }

    fn set_sight(self, sight: Sight) {
        if self.sight.with_untracked(|known| *known != sight) {
            self.sight.set(sight);
        }
    }

    /// Lets what is known age.
    #[expect(
        clippy::float_arithmetic,
        clippy::cast_possible_truncation,
        reason = "the browser's clock is a float of milliseconds"
    )]
    fn look(self) {
        let silent = ((browser::milliseconds() - self.came_at.get_value()) / MILLISECONDS) as i64;
        if silent > LIVE_FOR_SECONDS && self.sight.get_untracked() == Sight::Live {
            self.sight.set(Sight::Silent);
        }
        let lamp =
            self.newest
                .with_untracked(|status| match (status, self.sight.get_untracked()) {
                    (Some(status), _) => Lamp::of(status, silent),
                    (None, Sight::Refused { words, .. }) => Lamp::unknown(&words),
                    (None, _) => Lamp::waiting(silent),
                });
        let before = self.lamp.get_untracked();
        if before == lamp {
            return;
        }
        let is_first = before.age_seconds.is_none();
        if before.verdict != lamp.verdict {
            match lamp.verdict {
                Some(AuditorVerdict::Violated) => self.announcer.alert(lamp.announcement()),
                // The first verdict of a page is no change.
                _ if !is_first => self.announcer.status(lamp.announcement()),
                _ => {}
            }
        }
        self.lamp.set(lamp);
    }
}

fn refusal(error: &ApiError) -> Sight {
    let sign_in_helps = error.is(ErrorCode::Unauthenticated) || error.is(ErrorCode::Forbidden);
    let words = if sign_in_helps {
        "only bank employees see the state of the bank".to_owned()
    } else {
        words::load_failure(error)
    };
    Sight::Refused {
        words,
        sign_in_helps,
    }
}
