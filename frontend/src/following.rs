//! One account as the page follows it: first what a query finds, then the stream from the newest row on, so that
//! nothing falls between the two.

use std::sync::Arc;

use futures_util::future::{AbortHandle, abortable};
use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        line::{Line, Subscription},
        types::Transaction,
    },
    connection::Connection,
    filter::Filter,
    money::Cents,
    payments::Payments,
    session::Session,
    statement::{Origin, Row, Statement},
    time::LocalTime,
};

mod feed;
mod older;

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
        // What was under way was given up.
        self.loading_older.set(false);
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
}
