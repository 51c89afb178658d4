//! One account as the page follows it: first what a query finds, then the stream from the newest row on, so that
//! nothing falls between the two.

use std::{sync::Arc, time::Duration};

use futures_util::future::{AbortHandle, abortable};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        line::{Heard, Line, Subscription},
        operations::{
            self, AccountAnswer, ApiError, ErrorCode, FollowAnswer, PAGE_ROWS_MAX, Transaction,
            TransactionsAnswer,
        },
    },
    backoff, browser,
    connection::Connection,
    filter::Filter,
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
/// Rows a download has at most.
const DOWNLOAD_ROWS_MAX: usize = 10_000;

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

/// What the page keeps showing while updates wait.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Frozen {
    rows: Vec<Arc<Row>>,
    balance: Cents,
    version: u64,
}

/// What a filter lets through: found by the gateway, then judged here as it comes in.
#[derive(Clone, Debug, Default)]
struct Filtered {
    filter: Filter,
    rows: Statement,
}

#[derive(Clone, Copy)]
pub(crate) struct Following {
    pub(crate) phase: RwSignal<Phase>,
    pub(crate) loading_older: RwSignal<bool>,
    iban: StoredValue<String>,
    page_rows: Signal<usize>,
    statement: RwSignal<Statement>,
    filtered: RwSignal<Option<Filtered>>,
    shown: RwSignal<usize>,
    frozen: RwSignal<Option<Frozen>>,
    is_paused: RwSignal<bool>,
    is_held: RwSignal<bool>,
    arrived: StoredValue<Vec<(Transaction, Origin)>>,
    frame_asked: StoredValue<bool>,
    tasks: StoredValue<Vec<AbortHandle>>,
    subscription: StoredValue<Option<Subscription>, LocalStorage>,
    line: Line,
    connection: Connection,
    payments: Payments,
    session: Session,
    announcer: Announcer,
}

impl Following {
    /// Follows an account for as long as the current component lives.
    pub(crate) fn start(iban: String, page_rows: Signal<usize>) -> Self {
        let following = Self {
            phase: RwSignal::new(Phase::Loading),
            loading_older: RwSignal::new(false),
            iban: StoredValue::new(iban),
            page_rows,
            statement: RwSignal::default(),
            filtered: RwSignal::new(None),
            shown: RwSignal::new(page_rows.get_untracked()),
            frozen: RwSignal::new(None),
            is_paused: RwSignal::new(false),
            is_held: RwSignal::new(false),
            arrived: StoredValue::default(),
            frame_asked: StoredValue::new(false),
            tasks: StoredValue::default(),
            subscription: StoredValue::new_local(None),
            line: expect_context(),
            connection: expect_context(),
            payments: expect_context(),
            session: expect_context(),
            announcer: expect_context(),
        };
        following.begin();
        following.freeze_while_waiting();
        following.follow_number_of_rows();
        on_cleanup(move || following.stop());
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
        self.frozen.with(|frozen| match frozen {
            Some(frozen) => frozen.rows.clone(),
            None => self.newest_rows(),
        })
    }

    pub(crate) fn balance(self) -> Cents {
        let frozen = self
            .frozen
            .with(|frozen| frozen.as_ref().map(|frozen| frozen.balance));
        frozen.unwrap_or_else(|| self.statement.with(Statement::balance))
    }

    /// Also while the rows wait.
    pub(crate) fn current_balance(self) -> Cents {
        self.statement.with(Statement::balance)
    }

    /// Of the rows shown: how many, what came in and what went out.
    pub(crate) fn totals(self) -> (u64, Cents, Cents) {
        let (mut received, mut paid) = (0_i64, 0_i64);
        let rows = self.rows();
        for row in &rows {
            let change = row.transaction.changed_by.0;
            let sum = if change < 0 { &mut paid } else { &mut received };
            *sum = sum.saturating_add(change);
        }
        (rows.len() as u64, Cents(received), Cents(paid))
    }

    pub(crate) fn limit(self) -> Cents {
        self.statement.with(Statement::limit)
    }

    pub(crate) fn newest_version(self) -> u64 {
        self.statement.with(Statement::newest_version)
    }

    pub(crate) fn has_older(self) -> bool {
        let shown = self.shown.get();
        self.filtered.with(|filtered| match filtered {
            Some(filtered) => filtered.rows.has_more_than(shown),
            None => self
                .statement
                .with(|statement| statement.has_more_than(shown)),
        })
    }

    pub(crate) fn page_rows(self) -> usize {
        self.page_rows.get()
    }

    pub(crate) fn is_paused(self) -> bool {
        self.is_paused.get()
    }

    /// Whether rows wait, for whatever reason.
    pub(crate) fn is_frozen(self) -> bool {
        self.frozen.with(Option::is_some)
    }

    /// Changes that wait.
    pub(crate) fn waiting(self) -> u64 {
        let frozen = self
            .frozen
            .with(|frozen| frozen.as_ref().map(|frozen| frozen.version));
        frozen.map_or(0, |version| self.newest_version().saturating_sub(version))
    }

    /// As the reader wishes.
    pub(crate) fn pause(self, paused: bool) {
        self.is_paused.set(paused);
    }

    /// While the reader is in the list: rows that move under a finger or the focus are in the way.
    pub(crate) fn hold(self, held: bool) {
        if self.is_held.get_untracked() != held {
            self.is_held.set(held);
        }
    }

    /// Shows what waits, and goes on waiting if there was a reason.
    pub(crate) fn catch_up(self) {
        self.is_paused.set(false);
        if self.is_frozen() {
            self.frozen.set(Some(self.snapshot()));
        }
    }

    /// The filter in use; the empty one when there is none.
    pub(crate) fn filter(self) -> Filter {
        self.filtered.with(|filtered| {
            filtered
                .as_ref()
                .map(|filtered| filtered.filter.clone())
                .unwrap_or_default()
        })
    }

    /// Shows only what this lets through.
    pub(crate) fn set_filter(self, filter: Filter) {
        self.shown.set(self.page_rows.get_untracked());
        self.frozen.set(None);
        if filter.is_empty() {
            return self.filtered.set(None);
        }
        self.filtered.set(Some(Filtered {
            filter,
            rows: Statement::default(),
        }));
        self.load_up_to(self.page_rows.get_untracked());
    }

    /// Shows one page more, asking for it when it is not here.
    pub(crate) fn show_older(self) {
        self.pause(false);
        self.load_up_to(self.shown.get_untracked() + self.page_rows.get_untracked());
    }

    /// All there is under the filter, newest first, up to a limit.
    ///
    /// # Errors
    /// When the gateway says no, or is not reached.
    pub(crate) async fn everything(self) -> Result<Vec<Transaction>, ApiError> {
        let filter = untrack(|| self.filter());
        let mut found: Vec<Transaction> = Vec::new();
        loop {
            let after = found.last().map(|oldest| oldest.cursor.clone());
            let operation = operations::older_transactions(
                &self.iban(),
                PAGE_ROWS_MAX,
                after.as_deref(),
                &filter,
            );
            let page = http::send::<TransactionsAnswer>(&operation)
                .await?
                .transactions;
            let has_more = page.page_info.has_next_page && !page.nodes.is_empty();
            found.extend(page.nodes);
            if !has_more || found.len() >= DOWNLOAD_ROWS_MAX {
                return Ok(found);
            }
        }
    }

    fn newest_rows(self) -> Vec<Arc<Row>> {
        let shown = self.shown.get();
        self.filtered.with(|filtered| match filtered {
            Some(filtered) => filtered.rows.newest(shown),
            None => self.statement.with(|statement| statement.newest(shown)),
        })
    }

    fn snapshot(self) -> Frozen {
        untrack(|| Frozen {
            rows: self.newest_rows(),
            balance: self.statement.with(Statement::balance),
            version: self.newest_version(),
        })
    }

    fn freeze_while_waiting(self) {
        Effect::new(move |was_waiting: Option<bool>| {
            let waits = self.is_paused.get() || self.is_held.get();
            match (was_waiting.unwrap_or(false), waits) {
                (false, true) => self.frozen.set(Some(self.snapshot())),
                (true, false) => self.frozen.set(None),
                _ => {}
            }
            waits
        });
    }

    fn follow_number_of_rows(self) {
        Effect::new(move |before: Option<usize>| {
            let rows = self.page_rows.get();
            if before.is_some_and(|before| before != rows) {
                self.frozen.set(None);
                self.shown.set(rows);
                self.load_up_to(rows);
            }
            rows
        });
    }

    /// Shows so many rows, asking for those that are not here.
    fn load_up_to(self, wanted: usize) {
        if self.loading_older.get_untracked() {
            return;
        }
        self.loading_older.set(true);
        self.spawn(async move {
            loop {
                let filter = untrack(|| self.filter());
                let (known, has_older, cursor) = self.known();
                if known >= wanted || !has_older {
                    break;
                }
                let operation = operations::older_transactions(
                    &self.iban(),
                    wanted - known,
                    cursor.as_deref(),
                    &filter,
                );
                match http::send::<TransactionsAnswer>(&operation).await {
                    // The reader has chosen another filter meanwhile.
                    Ok(_) if untrack(|| self.filter()) != filter => {}
                    Ok(answer) => self.take_older(answer),
                    Err(error) => {
                        self.loading_older.set(false);
                        return self.announcer.alert(format!(
                            "Older transactions were not loaded. {}",
                            words::load_failure(&error)
                        ));
                    }
                }
            }
            self.loading_older.set(false);
            self.shown.set(wanted);
            if self.frozen.with_untracked(Option::is_some) {
                self.frozen.set(Some(self.snapshot()));
            }
        });
    }

    /// Rows here, whether the gateway may have older ones, and where those begin.
    fn known(self) -> (usize, bool, Option<String>) {
        let of = |rows: &Statement| {
            (
                rows.rows_known(),
                rows.has_more_than(rows.rows_known()),
                rows.oldest_cursor(),
            )
        };
        self.filtered.with_untracked(|filtered| match filtered {
            // Not asked yet: then the newest are the next.
            Some(Filtered { rows, .. }) if rows.is_new() => (0, true, None),
            Some(Filtered { rows, .. }) => of(rows),
            None => self.statement.with_untracked(of),
        })
    }

    fn take_older(self, answer: TransactionsAnswer) {
        let page = answer.transactions;
        if self.filtered.with_untracked(Option::is_some) {
            self.filtered.update(|filtered| {
                let Some(Filtered { filter, rows }) = filtered else {
                    return;
                };
                let was_new = rows.is_new();
                let newest = page.nodes.iter().map(|found| found.version).max();
                rows.load_older(page);
                if was_new {
                    // What came in while the gateway was asked may not have been in its tables yet.
                    self.statement.with_untracked(|statement| {
                        let later = statement.newer_than(newest.unwrap_or(0));
                        for row in later.filter(|row| filter.lets_through(&row.transaction)) {
                            rows.apply(row.transaction.clone(), row.origin, 0);
                        }
                    });
                }
            });
        } else {
            self.statement
                .update(|statement| statement.load_older(page));
        }
    }

    fn stop(self) {
        self.subscription
            .try_update_value(|subscription| *subscription = None);
        self.tasks
            .try_update_value(|tasks| tasks.drain(..).for_each(|handle| handle.abort()));
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
            browser::sleep(backoff::delay(attempt, browser::dice())).await;
        }
        self.phase.set(Phase::Ready);
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

    fn seen(self, ids: Vec<operations::CommandId>) {
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
