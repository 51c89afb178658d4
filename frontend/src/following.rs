//! One account as the page follows it: first what a query finds, then the stream from the newest row on, so that
//! nothing falls between the two.

use std::{sync::Arc, time::Duration};

use futures_util::future::{AbortHandle, abortable};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        live::{self, Heard},
        operations::{self, AccountAnswer, ApiError, ErrorCode, Transaction, TransactionsAnswer},
    },
    backoff, browser,
    connection::Connection,
    money::Cents,
    payments::Payments,
    session::Session,
    statement::{Applied, Origin, Row, Statement},
    time::LocalTime,
    words,
};

/// Arrived changes are shown once per frame; a page nobody looks at has no frames and takes them in by so many.
const WAITING_MAX: usize = 200;
/// An account without changes has no cursor to go on from: it is looked at again when the stream surely runs.
const LOOK_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// How far the first look has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Loading,
    Ready,
    /// There is no such account, or it may not be seen.
    Unknown,
    /// In words, and since when; what may pass is tried again by itself.
    Failed {
        words: String,
        since: LocalTime,
        may_pass: bool,
    },
}

/// What a paused page keeps showing.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frozen {
    rows: Vec<Arc<Row>>,
    balance: Cents,
    version: u64,
}

#[derive(Clone, Copy)]
pub(crate) struct Following {
    pub(crate) phase: RwSignal<Phase>,
    pub(crate) loading_older: RwSignal<bool>,
    iban: StoredValue<String>,
    page_rows: usize,
    statement: RwSignal<Statement>,
    shown: RwSignal<usize>,
    frozen: RwSignal<Option<Frozen>>,
    arrived: StoredValue<Vec<(Transaction, Origin)>>,
    frame_asked: StoredValue<bool>,
    tasks: StoredValue<Vec<AbortHandle>>,
    connection: Connection,
    payments: Payments,
    session: Session,
    announcer: Announcer,
}

impl Following {
    /// Follows an account for as long as the current component lives.
    pub(crate) fn start(iban: String, page_rows: usize) -> Self {
        let following = Self {
            phase: RwSignal::new(Phase::Loading),
            loading_older: RwSignal::new(false),
            iban: StoredValue::new(iban),
            page_rows,
            statement: RwSignal::default(),
            shown: RwSignal::new(page_rows),
            frozen: RwSignal::new(None),
            arrived: StoredValue::default(),
            frame_asked: StoredValue::new(false),
            tasks: StoredValue::default(),
            connection: expect_context(),
            payments: expect_context(),
            session: expect_context(),
            announcer: expect_context(),
        };
        following.connection.idle();
        following.begin();
        on_cleanup(move || {
            following.stop();
            following.connection.idle();
        });
        following
    }

    /// Begins again after a failure.
    pub(crate) fn begin(self) {
        self.stop();
        self.spawn(self.run());
    }

    pub(crate) fn iban(self) -> String {
        self.iban.get_value()
    }

    /// Rows to show, newest first.
    pub(crate) fn rows(self) -> Vec<Arc<Row>> {
        let shown = self.shown.get();
        self.frozen.with(|frozen| match frozen {
            Some(frozen) => frozen.rows.clone(),
            None => self.statement.with(|statement| statement.newest(shown)),
        })
    }

    pub(crate) fn balance(self) -> Cents {
        let frozen = self
            .frozen
            .with(|frozen| frozen.as_ref().map(|frozen| frozen.balance));
        frozen.unwrap_or_else(|| self.statement.with(Statement::balance))
    }

    pub(crate) fn limit(self) -> Cents {
        self.statement.with(Statement::limit)
    }

    pub(crate) fn newest_version(self) -> u64 {
        self.statement.with(Statement::newest_version)
    }

    pub(crate) fn has_older(self) -> bool {
        self.statement
            .with(|statement| statement.has_more_than(self.shown.get()))
    }

    pub(crate) fn page_rows(self) -> usize {
        self.page_rows
    }

    pub(crate) fn is_paused(self) -> bool {
        self.frozen.with(Option::is_some)
    }

    /// Changes that wait behind a pause.
    pub(crate) fn waiting(self) -> u64 {
        let frozen = self
            .frozen
            .with(|frozen| frozen.as_ref().map(|frozen| frozen.version));
        frozen.map_or(0, |version| self.newest_version().saturating_sub(version))
    }

    pub(crate) fn pause(self) {
        let shown = self.shown.get_untracked();
        let frozen = self.statement.with_untracked(|statement| Frozen {
            rows: statement.newest(shown),
            balance: statement.balance(),
            version: statement.newest_version(),
        });
        self.frozen.set(Some(frozen));
    }

    pub(crate) fn resume(self) {
        self.frozen.set(None);
    }

    /// Shows one page more, asking for it when it is not here.
    pub(crate) fn show_older(self) {
        if self.loading_older.get_untracked() {
            return;
        }
        self.resume();
        let wanted = self.shown.get_untracked() + self.page_rows;
        let (known, cursor) = self
            .statement
            .with_untracked(|statement| (statement.rows_known(), statement.oldest_cursor()));
        if known >= wanted {
            return self.shown.set(wanted);
        }
        self.loading_older.set(true);
        let operation = operations::older_transactions(
            &self.iban.get_value(),
            self.page_rows,
            cursor.as_deref(),
        );
        self.spawn(async move {
            let answer = http::send::<TransactionsAnswer>(&operation).await;
            self.loading_older.set(false);
            match answer {
                Ok(answer) => {
                    self.statement
                        .update(|statement| statement.load_older(answer.transactions));
                    self.shown.set(wanted);
                }
                Err(error) => {
                    self.announcer.status(format!(
                        "Older transactions were not loaded. {}",
                        words::load_failure(&error)
                    ));
                }
            }
        });
    }

    fn stop(self) {
        self.tasks
            .update_value(|tasks| tasks.drain(..).for_each(|handle| handle.abort()));
    }

    /// Runs a task that ends with the page at the latest.
    fn spawn(self, task: impl Future<Output = ()> + 'static) {
        let (task, handle) = abortable(task);
        self.tasks.update_value(|tasks| {
            tasks.retain(|task| !task.is_aborted());
            tasks.push(handle);
        });
        spawn_local(async move { _ = task.await });
    }

    async fn run(self) {
        self.phase.set(Phase::Loading);
        let mut attempt = 0;
        while let Err(phase) = self.look(Origin::Loaded).await {
            let may_pass = matches!(phase, Phase::Failed { may_pass: true, .. });
            self.phase.set(phase);
            if !may_pass {
                return;
            }
            attempt += 1;
            self.connection
                .wait(attempt, backoff::delay(attempt, browser::dice()))
                .await;
        }
        self.phase.set(Phase::Ready);
        let cursor = self.statement.with_untracked(Statement::newest_cursor);
        let had_cursor = cursor.is_some();
        let error = live::follow(
            self.connection,
            &self.iban(),
            cursor,
            move |heard| match heard {
                Heard::Subscribed if had_cursor => {}
                Heard::Subscribed => self.look_again(LOOK_AGAIN_AFTER),
                Heard::Change(change, origin) => self.take(change, origin),
            },
        )
        .await;
        self.connection.idle();
        if error.is(ErrorCode::Unauthenticated) {
            self.session.ask();
        }
        self.phase.set(failed(&error));
    }

    async fn look(self, origin: Origin) -> Result<(), Phase> {
        let operation = operations::account(&self.iban(), self.page_rows);
        match http::send::<AccountAnswer>(&operation).await {
            Ok(AccountAnswer {
                account: Some(account),
            }) => {
                let seen: Vec<_> = account
                    .transactions
                    .nodes
                    .iter()
                    .filter_map(|row| row.command_id)
                    .collect();
                self.statement
                    .update(|statement| statement.load(account, origin));
                seen.into_iter()
                    .for_each(|id| self.payments.seen_in_statement(id));
                Ok(())
            }
            Ok(AccountAnswer { account: None }) => Err(Phase::Unknown),
            Err(ApiError::Refused {
                code: ErrorCode::Forbidden | ErrorCode::NotFound,
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

    fn take(self, change: Transaction, origin: Origin) {
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
        let seen: Vec<_> = arrived
            .iter()
            .filter_map(|(change, _)| change.command_id)
            .collect();
        let mut has_gap = false;
        self.statement.update(|statement| {
            for (change, origin) in arrived {
                has_gap |= statement.apply(change, origin) == Applied::NewAfterGap;
            }
        });
        seen.into_iter()
            .for_each(|id| self.payments.seen_in_statement(id));
        if has_gap {
            self.look_again(Duration::ZERO);
        }
    }
}

fn failed(error: &ApiError) -> Phase {
    Phase::Failed {
        words: words::load_failure(error),
        since: browser::local_now(),
        may_pass: error.is_passing(),
    }
}
