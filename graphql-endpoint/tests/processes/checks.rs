//! What must hold after any stop: one booking and one answer for each command id, a read
//! model that is the fold of the topic, followers that saw every change once.

use std::collections::{BTreeMap, BTreeSet};

use topology::{CASH, Record, Topic};

use crate::clients::{Customer, Seen};
use crate::world::World;
use crate::{PATIENCE, eventually};

/// A change as topic and read model have it: balance, change, other side, command.
type Change = (i64, i64, String, String);

/// All changes by account and version.
type Fold = BTreeMap<(String, i64), Change>;

/// What the topics say.
pub(crate) struct Log {
    changes: Fold,
    /// Outcome of each payment: CONFIRMED, or the words of the rule book.
    outcomes: BTreeMap<String, String>,
    /// Own accounts a payment touches.
    accounts: BTreeMap<String, BTreeSet<String>>,
}

impl World {
    /// Reads all topics; asserts that copies of a record are copies.
    pub(crate) async fn log(&self) -> Log {
        let mut log = Log {
            changes: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            accounts: BTreeMap::new(),
        };
        let mut commands: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for consumed in self.read(Topic::ConfirmMoneyTransfer).await {
            let Some(Record::ConfirmMoneyTransfer(command)) = self.decode(&consumed).await else {
                panic!("a command that cannot be read");
            };
            let value = consumed.value.unwrap();
            let id = command.id.to_string();
            let first = commands.entry(id.clone()).or_insert(value.clone());
            assert!(*first == value, "{id} was sent with two contents");
            let accounts = [command.from, command.to];
            let ours = accounts.into_iter().filter(|it| it.contains("OPEN"));
            log.accounts.insert(id, ours.collect());
        }
        for consumed in self.read(Topic::MoneyTransferFeedback).await {
            let (id, outcome) = match self.decode(&consumed).await {
                Some(Record::MoneyTransferConfirmed(it)) => (it.id, "CONFIRMED".to_owned()),
                Some(Record::MoneyTransferFailed(it)) => (it.id, it.reason),
                other => panic!("no outcome: {other:?}"),
            };
            let id = id.to_string();
            let first = log.outcomes.entry(id.clone()).or_insert(outcome.clone());
            assert_eq!(*first, outcome, "{id} has two outcomes");
        }
        for consumed in self.read(Topic::BalanceChanged).await {
            let Some(Record::BalanceChanged(it)) = self.decode(&consumed).await else {
                continue;
            };
            let change = it.change.unwrap();
            let id = change.command_id.to_string();
            let said = (it.new_balance.0, it.changed_by.0, it.from_to, id);
            let key = (it.iban, change.version);
            let first = log.changes.entry(key.clone()).or_insert(said.clone());
            assert_eq!(*first, said, "{key:?} has two contents");
        }
        log
    }

    /// The read model's changes; asserts that its accounts are the fold of them.
    async fn stored(&self) -> Option<Fold> {
        let client = self.sql().await;
        let rows = client
            .query(
                "SELECT iban, version, new_balance_cents, changed_by_cents, from_to,
                        command_id::text FROM account_transaction",
                &[],
            )
            .await
            .unwrap();
        let fold: Fold = rows
            .iter()
            .map(|row| {
                let change = (row.get(2), row.get(3), row.get(4), row.get(5));
                ((row.get(0), row.get(1)), change)
            })
            .collect();
        let rows = client
            .query("SELECT iban, version, balance_cents FROM account", &[])
            .await
            .unwrap();
        rows.iter()
            .all(|row| {
                let (iban, version, balance): (String, i64, i64) =
                    (row.get(0), row.get(1), row.get(2));
                let stored = fold.get(&(iban, version)).map_or(0, |change| change.0);
                stored == balance
            })
            .then_some(fold)
    }

    /// Waits until the read model is what the topic says; then says what that is.
    pub(crate) async fn settled(&self) -> Log {
        eventually(
            "the read model is the fold of the topic",
            PATIENCE,
            async || {
                let stored = self.stored().await;
                let log = self.log().await;
                let is_complete = log.accounts.iter().all(|(id, accounts)| {
                    match log.outcomes.get(id).map(String::as_str) {
                        Some("CONFIRMED") => log.changed_by(id).len() >= accounts.len(),
                        Some(_) => true,
                        None => false,
                    }
                });
                (is_complete && stored.as_ref() == Some(&log.changes)).then_some(log)
            },
        )
        .await
    }
}

impl Log {
    /// Accounts a command has changed, each as often as it was.
    fn changed_by(&self, id: &str) -> Vec<&str> {
        let changes = self.changes.iter();
        changes
            .filter(|(_, change)| change.3 == id)
            .map(|((iban, _), _)| iban.as_str())
            .collect()
    }

    /// How many changes an account has.
    pub(crate) fn last_version(&self, iban: &str) -> i64 {
        let changes = self.changes.keys();
        let own = changes.filter(|(of, _)| of == iban).count();
        i64::try_from(own).unwrap()
    }

    /// Each payment has one answer and one booking; rejected, none.
    pub(crate) fn judge(&self, customer: &Customer) {
        for (id, given) in &customer.given {
            assert_eq!(given.answers.len(), 1, "{id}: {:?}", given.answers);
            let answer = given.answers.first().unwrap();
            let outcome = &self.outcomes[id];
            let said = if outcome == "CONFIRMED" {
                "CONFIRMED"
            } else {
                assert_eq!(outcome, "insufficient funds");
                "INSUFFICIENT_FUNDS"
            };
            assert_eq!(answer, said, "{id}");
            let changed = self.changed_by(id);
            if outcome == "CONFIRMED" {
                let accounts: Vec<&str> = self.accounts[id].iter().map(String::as_str).collect();
                assert_eq!(changed, accounts, "{id} is booked otherwise");
            } else {
                assert!(changed.is_empty(), "{id} is booked though rejected");
            }
        }
        let own = self
            .changes
            .keys()
            .filter(|(iban, _)| *iban == customer.iban);
        let versions: Vec<i64> = own.map(|(_, version)| *version).collect();
        let expected: Vec<i64> = (1..=self.last_version(&customer.iban)).collect();
        assert_eq!(versions, expected, "{} has a hole", customer.iban);
    }

    /// A follower saw the fold, all of it and nothing else.
    pub(crate) fn judge_seen(&self, iban: &str, seen: &[Seen]) {
        let own = self.changes.iter().filter(|((of, _), _)| of == iban);
        let expected: Vec<Seen> = own
            .map(|((_, version), change)| {
                let (balance, changed_by, _, id) = change;
                (
                    *version,
                    balance.to_string(),
                    changed_by.to_string(),
                    id.clone(),
                )
            })
            .collect();
        assert_eq!(seen, expected, "{iban}");
        assert!(expected.iter().all(|change| change.3 != CASH));
    }
}
