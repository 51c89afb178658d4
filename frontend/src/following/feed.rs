//! How changes come in: the first look, then the stream, and another look where the stream has a hole.

use std::time::Duration;

use leptos::prelude::*;

use super::{Filtered, Following, Phase};
use crate::{
    api::{
        http,
        line::Heard,
        operations::{self, AccountAnswer, FollowAnswer},
        response::{ApiError, ErrorCode},
        types::{CommandId, Transaction},
    },
    backoff, browser,
    statement::{Applied, Origin, Statement},
    words,
};

/// Arrived changes are shown once per frame; a page nobody looks at has no frames and takes them in by so many.
const WAITING_MAX: usize = 200;
/// An account without changes has no cursor to go on from: it is looked at again when the stream surely runs.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

impl Following {
    pub(super) async fn run(self) {
        self.phase.set(Phase::Loading);
        let mut attempt = 0;
        while let Err(phase) = self.look(Origin::Loaded).await {
            let may_pass = matches!(phase, Phase::Failed { may_pass: true, .. });
            self.phase.set(phase);
            if !may_pass {
                return;
            }
            attempt += 1;
            browser::sleep(backoff::delay(attempt, browser::dice())).await;
        }
        self.phase.set(Phase::Ready);
        self.ask_filtered();
        let newest = move || self.statement.with_untracked(Statement::newest_cursor);
        let operation = move || {
            // What has arrived but is not shown yet would else be asked for once more.
            self.show_arrived();
            operations::follow(&self.iban(), newest().as_deref())
        };
        let listener = move |heard: Heard<FollowAnswer>| match heard {
            Heard::Subscribed if newest().is_some() => {}
            Heard::Subscribed => self.look_again(LOOK_AGAIN_AFTER),
            Heard::Next(FollowAnswer {
                transactions: change,
            }) => self.take(change),
            Heard::Refused(error) => self.refused(&error),
        };
        let subscription = self.line.subscribe(operation, listener);
        self.subscription.set_value(Some(subscription));
    }

    fn refused(self, error: &ApiError) {
        if error.is(ErrorCode::Unauthenticated) {
            self.session.ask();
        }
        self.phase.set(failed(error));
    }

    async fn look(self, origin: Origin) -> Result<(), Phase> {
        let rows = self.page_rows.get_untracked();
        match http::send::<AccountAnswer>(&operations::account(&self.iban(), rows)).await {
            Ok(AccountAnswer {
                account: Some(account),
            }) => {
                let found = &account.transactions.nodes;
                let seen: Vec<_> = found.iter().filter_map(|row| row.command_id).collect();
                self.judge(found.iter().map(|row| (row, origin)));
                self.statement
                    .update(|statement| statement.load(account, origin));
                self.seen(seen);
                Ok(())
            }
            Ok(AccountAnswer { account: None }) => Err(Phase::Unknown),
            Err(ApiError::Refused {
                code: ErrorCode::Forbidden | ErrorCode::NotFound | ErrorCode::Validation,
                ..
            }) => Err(Phase::Unknown),
            Err(error) => {
                if error.is(ErrorCode::Unauthenticated) {
                    self.session.ask();
                }
                Err(failed(&error))
            }
        }
    }

    fn look_again(self, after: Duration) {
        self.spawn(async move {
            browser::sleep(after).await;
            // Should this fail, the next change shows the hole and asks again.
            _ = self.look(Origin::Live).await;
        });
    }

    fn take(self, change: Transaction) {
        let origin = if self.connection.was_missed(&change.occurred_at) {
            Origin::Missed
        } else {
            Origin::Live
        };
        let mut waiting = 0;
        self.arrived.update_value(|arrived| {
            arrived.push((change, origin));
            waiting = arrived.len();
        });
        if waiting >= WAITING_MAX {
            self.show_arrived();
        } else if !self.frame_asked.get_value() {
            self.frame_asked.set_value(true);
            request_animation_frame(move || {
                self.frame_asked.try_update_value(|asked| *asked = false);
                self.show_arrived();
            });
        }
    }

    fn show_arrived(self) {
        let mut arrived = Vec::new();
        if self
            .arrived
            .try_update_value(|waiting| arrived = std::mem::take(waiting))
            .is_none()
            || arrived.is_empty()
        {
            return;
        }
        let seen = arrived.iter().filter_map(|(change, _)| change.command_id);
        let seen: Vec<_> = seen.collect();
        self.judge(arrived.iter().map(|(change, origin)| (change, *origin)));
        let shown = self.shown.get_untracked();
        let mut has_gap = false;
        self.statement.update(|statement| {
            for (change, origin) in arrived {
                has_gap |= statement.apply(change, origin, shown) == Applied::NewAfterGap;
            }
        });
        self.seen(seen);
        if has_gap {
            self.look_again(Duration::ZERO);
        }
    }

    /// Takes what the filter lets through, if there is one.
    fn judge<'a>(self, changes: impl Iterator<Item = (&'a Transaction, Origin)>) {
        let shown = self.shown.get_untracked();
        if self.filtered.with_untracked(Option::is_none) {
            return;
        }
        self.filtered.update(|filtered| {
            let Some(Filtered { filter, rows }) = filtered else {
                return;
            };
            // Before the gateway's first answer a row would look like the newest of a list without older ones.
            if rows.is_new() {
                return;
            }
            for (change, origin) in changes.filter(|(change, _)| filter.lets_through(change)) {
                rows.apply(change.clone(), origin, shown);
            }
        });
    }

    fn seen(self, ids: Vec<CommandId>) {
        ids.into_iter()
            .for_each(|id| self.payments.seen_in_statement(id));
    }
}

fn failed(error: &ApiError) -> Phase {
    Phase::Failed {
        words: words::load_failure(error),
        since: browser::local_now(),
        may_pass: error.is_passing(),
    }
}
