//! What the page knows of one account: the newest stretch of its changes, put together from queries and from the live
//! stream in whatever order they arrive.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    api::types::{Account, Transaction, TransactionPage},
    money::Cents,
};

/// Rows kept in memory while more come in; older ones are asked for again when wanted.
pub const ROWS_KEPT_MAX: usize = 1_000;

/// How a row came here; the page marks what is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Asked for.
    Loaded,
    /// Pushed as it happened.
    Live,
    /// Happened while the connection was away.
    Missed,
}

/// One row of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The change.
    pub transaction: Transaction,
    /// How it came here.
    pub origin: Origin,
}

/// What became of an arriving row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in.
    New,
    /// It was there already; nothing changed.
    Known,
    /// It is in, but the row before it is missing and has to be asked for.
    NewAfterGap,
}

/// The newest stretch of an account's changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    rows: BTreeMap<u64, Arc<Row>>,
    /// As of `version`; rows may know better.
    balance: Cents,
    version: u64,
    limit: Cents,
    has_older: bool,
    is_asked: bool,
}

impl Statement {
    /// Takes in what a query found: the account with its newest rows.
    pub fn load(&mut self, account: Account, origin: Origin) {
        let Account {
            balance,
            limit,
            version,
            transactions,
            ..
        } = account;
        if version >= self.version {
            (self.balance, self.version) = (balance, version);
        }
        self.limit = limit;
        self.is_asked = true;
        let reaches_rows = transactions
            .nodes
            .iter()
            .any(|found| self.rows.contains_key(&found.version));
        if self.rows.is_empty() || !reaches_rows {
            // A stretch has no hole: what cannot be joined to the newest rows is asked for again when wanted.
            let oldest_found = transactions.nodes.iter().map(|found| found.version).min();
            self.rows = self.rows.split_off(&oldest_found.unwrap_or(0));
            self.has_older = transactions.page_info.has_next_page;
        }
        for transaction in transactions.nodes {
            self.insert(transaction, origin);
        }
    }

    /// Takes in the rows that come after the oldest one here.
    pub fn load_older(&mut self, page: TransactionPage) {
        self.is_asked = true;
        self.has_older = page.page_info.has_next_page;
        for transaction in page.nodes {
            self.insert(transaction, Origin::Loaded);
        }
    }

    /// Takes in a pushed row. At least `shown` rows stay.
    pub fn apply(&mut self, transaction: Transaction, origin: Origin, shown: usize) -> Applied {
        let follows = self.newest_version() + 1;
        let version = transaction.version;
        if !self.insert(transaction, origin) {
            return Applied::Known;
        }
        while self.rows.len() > ROWS_KEPT_MAX.max(shown) {
            self.rows.pop_first();
            self.has_older = true;
        }
        if version > follows {
            Applied::NewAfterGap
        } else {
            Applied::New
        }
    }

    /// Whether the gateway has not told anything yet.
    #[must_use]
    pub fn is_new(&self) -> bool {
        !self.is_asked
    }

    /// Rows newer than this version, oldest first.
    pub fn newer_than(&self, version: u64) -> impl Iterator<Item = &Arc<Row>> {
        self.rows
            .range(version.saturating_add(1)..)
            .map(|(_, row)| row)
    }

    /// The balance after the highest version known.
    #[must_use]
    pub fn balance(&self) -> Cents {
        match self.rows.last_key_value() {
            Some((version, row)) if *version >= self.version => row.transaction.new_balance,
            _ => self.balance,
        }
    }

    /// The lowest balance allowed.
    #[must_use]
    pub fn limit(&self) -> Cents {
        self.limit
    }

    /// The highest version known, 0 before the first change.
    #[must_use]
    pub fn newest_version(&self) -> u64 {
        let row = self
            .rows
            .last_key_value()
            .map_or(0, |(version, _)| *version);
        row.max(self.version)
    }

    /// Where the live stream goes on: after the newest row here.
    #[must_use]
    pub fn newest_cursor(&self) -> Option<String> {
        self.rows
            .last_key_value()
            .map(|(_, row)| row.transaction.cursor.clone())
    }

    /// Where the older rows begin.
    #[must_use]
    pub fn oldest_cursor(&self) -> Option<String> {
        self.rows
            .first_key_value()
            .map(|(_, row)| row.transaction.cursor.clone())
    }

    /// Whether more than `shown` rows exist, here or at the bank.
    #[must_use]
    pub fn has_more_than(&self, shown: usize) -> bool {
        self.rows.len() > shown || self.has_older
    }

    /// Number of rows here.
    #[must_use]
    pub fn rows_known(&self) -> usize {
        self.rows.len()
    }

    /// The newest rows, newest first.
    #[must_use]
    pub fn newest(&self, count: usize) -> Vec<Arc<Row>> {
        self.rows.values().rev().take(count).cloned().collect()
    }

    fn insert(&mut self, transaction: Transaction, origin: Origin) -> bool {
        let version = transaction.version;
        if self.rows.contains_key(&version) {
            return false;
        }
        self.rows.insert(
            version,
            Arc::new(Row {
                transaction,
                origin,
            }),
        );
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::PageInfo;

    fn change(version: u64) -> Transaction {
        Transaction {
            iban: "NL66OPEN0000000000".to_owned(),
            version,
            new_balance: Cents(i64::try_from(version).unwrap() * 100),
            changed_by: Cents(100),
            counterparty: "cash".to_owned(),
            description: String::new(),
            command_id: None,
            occurred_at: "2026-11-21T12:00:00Z".to_owned(),
            serial: format!("0:{version}"),
            cursor: format!("c{version}"),
        }
    }

    fn page(versions: impl IntoIterator<Item = u64>, has_next_page: bool) -> TransactionPage {
        let nodes = versions.into_iter().map(change).collect();
        TransactionPage {
            nodes,
            page_info: PageInfo {
                has_next_page,
                end_cursor: None,
            },
        }
    }

    fn account(version: u64, transactions: TransactionPage) -> Account {
        let balance = Cents(i64::try_from(version).unwrap() * 100);
        Account {
            iban: String::new(),
            balance,
            limit: Cents(-50_000),
            version,
            transactions,
        }
    }

    fn loaded(newest: u64) -> Statement {
        let mut statement = Statement::default();
        let oldest = newest.saturating_sub(24).max(1);
        statement.load(
            account(newest, page((oldest..=newest).rev(), oldest > 1)),
            Origin::Loaded,
        );
        statement
    }

    fn versions(statement: &Statement) -> Vec<u64> {
        statement
            .newest(usize::MAX)
            .iter()
            .map(|row| row.transaction.version)
            .collect()
    }

    #[test]
    fn rows_come_in_once_whatever_brings_them() {
        let mut statement = loaded(3);
        assert_eq!(statement.apply(change(3), Origin::Live, 25), Applied::Known);
        assert_eq!(statement.apply(change(4), Origin::Live, 25), Applied::New);
        assert_eq!(
            statement.apply(change(4), Origin::Missed, 25),
            Applied::Known
        );
        assert_eq!(versions(&statement), [4, 3, 2, 1]);
        assert_eq!(statement.newest_cursor().as_deref(), Some("c4"));
    }

    #[test]
    fn the_balance_is_that_of_the_highest_version() {
        let mut statement = loaded(3);
        assert_eq!(statement.balance(), Cents(300));
        statement.apply(change(5), Origin::Live, 25);
        statement.apply(change(4), Origin::Live, 25);
        assert_eq!(statement.balance(), Cents(500));
        // The account was read after its rows: its own figure is newer.
        statement.load(account(6, page([5, 4], true)), Origin::Loaded);
        assert_eq!(statement.balance(), Cents(600));
    }

    #[test]
    fn an_account_without_changes_has_a_balance_and_no_cursor() {
        let statement = loaded(0);
        assert_eq!(
            (statement.balance(), statement.newest_cursor()),
            (Cents(0), None)
        );
        assert!(!statement.has_more_than(0));
    }

    #[test]
    fn a_hole_is_noticed_and_filled() {
        let mut statement = loaded(0);
        assert_eq!(
            statement.apply(change(2), Origin::Live, 25),
            Applied::NewAfterGap
        );
        statement.load(account(2, page([2, 1], false)), Origin::Missed);
        assert_eq!(versions(&statement), [2, 1]);
    }

    #[test]
    fn a_stretch_never_has_a_hole_after_a_long_absence() {
        let mut statement = loaded(30);
        statement.load(account(130, page((106..=130).rev(), true)), Origin::Missed);
        assert_eq!(versions(&statement).last(), Some(&106));
        assert!(statement.has_more_than(25));
        statement.load_older(page((81..=105).rev(), true));
        assert_eq!(statement.rows_known(), 50);
    }

    #[test]
    fn given_a_reader_far_down_when_rows_come_in_then_what_is_shown_stays() {
        let mut statement = loaded(30);
        let shown = ROWS_KEPT_MAX + 500;
        for version in 31..=2_000 {
            statement.apply(change(version), Origin::Live, shown);
        }
        assert_eq!(statement.rows_known(), shown);
    }

    #[test]
    fn memory_is_bounded_and_the_rest_can_be_asked_for() {
        let mut statement = loaded(0);
        for version in 1..=1_500 {
            statement.apply(change(version), Origin::Live, 25);
        }
        assert_eq!(statement.rows_known(), ROWS_KEPT_MAX);
        assert_eq!(statement.oldest_cursor().as_deref(), Some("c501"));
        assert!(statement.has_more_than(ROWS_KEPT_MAX));
    }
}
