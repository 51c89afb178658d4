//! Everything known of one account, judged in the order of its versions: the entries, the
//! changes that were told, the rows of the read model, and who looked at the balance.

mod read_model;

use crate::by_command::Reasons;
use crate::facts::{
    Account, Announced, Change, Entry, Followed, Id, NOWHERE, OfAccount, Packed, Party,
    ReadAccount, Row, Spent, dead,
};
use crate::invariants::Name;
use crate::report::CannotCheck;
use crate::tally::Tally;

/// Walks over the facts of one account after another; holds those of one version.
pub(crate) struct ByAccount {
    pub(crate) tally: Tally,
    reasons: Reasons,
    is_order_strict: bool,
    /// Whether the read model was given up on before it had everything.
    is_read_model_behind: bool,
    account: Option<Party>,
    version: i64,
    walk: Walk,
    step: Step,
    /// Changes whose first copy stands before that of an earlier version.
    pub(crate) inversions: u64,
}

/// What is known of the account so far.
#[derive(Default)]
struct Walk {
    account: Vec<Account>,
    read: Vec<ReadAccount>,
    announced: Vec<Announced>,
    followed: Vec<Followed>,
    /// Entries: last version and balance.
    booked: (i64, i64),
    /// Changes: last version and balance without a hole, and whether there was one.
    told: (i64, i64),
    is_torn: bool,
    /// Place of the first copy of the last change: partition and offset.
    first_copy: Option<(i32, i64)>,
    /// Rows: last version and balance.
    shown: (i64, i64),
    /// Projected changes and rows, added up digest by digest.
    fold: u128,
    rows: u128,
    row_count: u64,
    /// The last command that touched the account, by partition of its topic.
    sources: Vec<(u8, i32, i64)>,
    /// The latest that a command booked so far was sent.
    invoked_ns: u64,
    /// A change without a number: what follows cannot be compared with the read model.
    is_numberless: bool,
}

/// What is known of one version.
#[derive(Default)]
struct Step {
    entries: Vec<Entry>,
    changes: Vec<Change>,
    rows: Vec<Row>,
    spent: Vec<Spent>,
}

impl ByAccount {
    pub(crate) fn new(is_order_strict: bool, is_read_model_behind: bool) -> ByAccount {
        ByAccount {
            tally: Tally::default(),
            reasons: Reasons::default(),
            is_order_strict,
            is_read_model_behind,
            account: None,
            version: 0,
            walk: Walk::default(),
            step: Step::default(),
            inversions: 0,
        }
    }

    /// Takes the next fact, in order.
    pub(crate) fn take(&mut self, packed: &Packed) -> Result<(), CannotCheck> {
        let (account, version, fact) = OfAccount::unpack(packed);
        if self.account != Some(account) {
            self.finish();
            self.account = Some(account);
            self.version = version;
        } else if self.version != version {
            self.judge_version();
            self.version = version;
        }
        match fact {
            OfAccount::Account(it) => self.walk.account.push(it),
            OfAccount::ReadAccount(it) => self.walk.read.push(it),
            OfAccount::Announced(it) => self.walk.announced.push(it),
            OfAccount::Followed(it) => self.walk.followed.push(it),
            OfAccount::Entry(it) => self.step.entries.push(it),
            OfAccount::Change(it) => self.step.changes.push(it),
            OfAccount::Row(it) => self.step.rows.push(it),
            OfAccount::Spent(it) => self.step.spent.push(it),
        }
        Ok(())
    }

    /// Judges the account at hand; to be called once more at the end.
    pub(crate) fn finish(&mut self) {
        self.judge_version();
        let Some(iban) = self.account.take() else {
            return;
        };
        let walk = std::mem::take(&mut self.walk);
        self.judge_whole(iban, &walk);
    }

    fn judge_version(&mut self) {
        let Some(iban) = self.account else {
            return;
        };
        let step = std::mem::take(&mut self.step);
        let version = self.version;
        let is_owed = step.entries.iter().any(|it| it.is_owed);
        self.judge_entries(iban, version, &step.entries);
        self.judge_spent(iban, version, &step.spent);
        self.judge_changes(iban, version, &step, is_owed);
        self.judge_rows(iban, version, &step);
        self.step = step;
        self.step.entries.clear();
        self.step.changes.clear();
        self.step.rows.clear();
        self.step.spent.clear();
    }

    fn judge_entries(&mut self, iban: Party, version: i64, entries: &[Entry]) {
        let Some(entry) = entries.first() else {
            return;
        };
        let walk = &mut self.walk;
        let (last, balance) = walk.booked;
        let folds = balance.wrapping_add(entry.delta) == entry.balance;
        let agrees = entries.len() == 1 && version == last + 1 && folds;
        self.tally.check(Name::A3, agrees, || {
            format!(
                "ledger_entry {} {iban} version {version}: {} entries, behind version {last} with {balance} cents",
                entry.id,
                entries.len()
            )
        });
        walk.booked = (version, entry.balance);
        let limit = walk.account.first().map_or(i64::MIN, |it| it.limit);
        self.tally.check(Name::A4, entry.balance >= limit, || {
            format!(
                "ledger_entry {} {iban} version {version}: {} cents, limit {limit}",
                entry.id, entry.balance
            )
        });
        for entry in entries {
            self.in_order(
                iban,
                version,
                (
                    entry.source.topic,
                    entry.source.partition,
                    entry.source.offset,
                ),
                entry.id,
            );
            let walk = &mut self.walk;
            if entry.invoked_ns > 0 || entry.answered_ns < u64::MAX {
                let is_after = entry.answered_ns >= walk.invoked_ns;
                self.tally.check(Name::B7, is_after, || {
                    format!("{iban} version {version}: {} was answered before one with a lower version was sent", entry.id)
                });
                walk.invoked_ns = walk.invoked_ns.max(entry.invoked_ns);
            }
        }
    }

    /// Commands of one partition touch an account in the order of the log.
    fn in_order(
        &mut self,
        iban: Party,
        version: i64,
        (topic, partition, offset): (u8, i32, i64),
        id: Id,
    ) {
        if topic == NOWHERE {
            return;
        }
        let mut sources = self.walk.sources.iter_mut();
        let last = sources.find(|it| (it.0, it.1) == (topic, partition));
        let agrees = match last {
            Some(last) => {
                let before = std::mem::replace(&mut last.2, offset);
                before < offset
            }
            None => {
                self.walk.sources.push((topic, partition, offset));
                true
            }
        };
        self.tally.check(Name::B8, agrees, || {
            format!("{iban} version {version}: command {id} at partition {partition} offset {offset} came after a later one")
        });
    }

    fn judge_spent(&mut self, iban: Party, version: i64, spent: &[Spent]) {
        for it in spent {
            let account = self.walk.account.first();
            let balance = if version == self.walk.booked.0 {
                Some(self.walk.booked.1)
            } else {
                None
            };
            let offender =
                |what: &str| format!("outcome {} from {}: {iban} {what}", it.id, it.source);
            if it.refusal == self.reasons.token {
                let is_known = account.is_some_and(|account| account.token == it.token);
                // The company's token may be another one now than then.
                let is_true = !is_known || iban == Party::COMPANY;
                self.tally.check(Name::B4, is_true, || {
                    offender("has the token it was refused for")
                });
            } else {
                let is_true = account.is_some_and(|account| {
                    let has_token = account.token == it.token || iban == Party::COMPANY;
                    let has_money = balance
                        .and_then(|balance| balance.checked_sub(it.amount))
                        .map(|left| left >= account.limit);
                    has_token && has_money == Some(it.refusal == 0)
                });
                self.tally.check(Name::B4, is_true, || {
                    let has =
                        balance.map_or("an unknown balance".to_owned(), |it| format!("{it} cents"));
                    offender(&format!(
                        "had {has} at version {version}, to pay {}",
                        it.amount
                    ))
                });
            }
            if it.refusal != 0 && it.observed >= 0 && version > 0 {
                self.in_order(
                    iban,
                    version,
                    (it.source.topic, it.source.partition, it.source.offset),
                    it.id,
                );
            }
        }
    }

    fn judge_changes(&mut self, iban: Party, version: i64, step: &Step, is_owed: bool) {
        let all = &step.changes;
        let mut told = all.iter().filter(|it| it.dead != dead::CORRUPTION);
        let first = told.clone().min_by_key(|it| it.at);
        let entry = step.entries.first();
        if version <= 0 {
            for change in all {
                self.walk.is_numberless = true;
                self.tally.check(Name::C1, false, || {
                    format!("{}: a change of {iban} without a version", change.at)
                });
            }
            return;
        }
        if let Some(entry) = entry {
            let agrees = match first {
                Some(change) => {
                    (change.id, change.changed_by, change.balance)
                        == (entry.id, entry.delta, entry.balance)
                }
                None => is_owed,
            };
            self.tally.check(Name::C1, agrees, || {
                let at = first.map_or("nowhere".to_owned(), |it| it.at.to_string());
                format!("ledger_entry {} {iban} version {version}: told otherwise, or not at all ({at})", entry.id)
            });
        }
        for change in told.clone().filter(|it| entry.is_none() && !it.is_late) {
            self.tally.check(Name::C1, false, || {
                format!("{}: {iban} version {version} was never booked", change.at)
            });
        }
        let Some(first) = first else {
            if entry.is_some() && !is_owed {
                self.walk.is_torn = true;
            }
            for change in all {
                self.tally
                    .check(Name::C2, false, || copy_offends(iban, version, change));
            }
            return;
        };
        for change in all {
            let agrees = (change.value, change.at.partition) == (first.value, first.at.partition);
            self.tally
                .check(Name::C2, agrees, || copy_offends(iban, version, change));
        }
        let is_alike = told.all(|it| it.value == first.value);
        self.fold(iban, version, first, entry.is_some(), is_alike);
    }

    fn fold(&mut self, iban: Party, version: i64, first: &Change, is_booked: bool, is_alike: bool) {
        let walk = &mut self.walk;
        let (last, balance) = walk.told;
        // Beyond the books, changes may still be on their way.
        let is_judged = is_booked || !first.is_late;
        if is_judged {
            let folds = version == last + 1
                && balance.wrapping_add(first.changed_by) == first.balance
                && is_alike;
            self.tally.check(Name::C3, folds, || {
                format!(
                    "{}: {iban} version {version} with {} cents, behind version {last} with {balance}",
                    first.at, first.balance
                )
            });
        }
        walk.told = (version, first.balance);
        if let Some((partition, offset)) = walk.first_copy {
            let is_behind = partition != first.at.partition || offset < first.at.offset;
            self.inversions += u64::from(!is_behind);
            let strict = self.is_order_strict;
            self.tally.check(Name::C4, is_behind || !strict, || {
                format!(
                    "{}: {iban} version {version} stands before version {last}",
                    first.at
                )
            });
        }
        walk.first_copy = Some((first.at.partition, first.at.offset));
    }

    fn judge_whole(&mut self, iban: Party, walk: &Walk) {
        let tally = &mut self.tally;
        let (version, balance) = walk.booked;
        let account = walk.account.first();
        match account {
            Some(account) => {
                tally.check(Name::A7, walk.account.len() == 1, || {
                    format!("account {iban} stands there {} times", walk.account.len())
                });
                let agrees = (account.version, account.balance) == (version, balance);
                tally.check(Name::A3, agrees, || {
                    format!(
                        "account {iban}: version {} with {} cents, its entries give version {version} with {balance}",
                        account.version, account.balance
                    )
                });
                if !account.is_owed {
                    judge_told(tally, iban, account, walk);
                }
            }
            None if version > 0 => tally.check(Name::A3, false, || {
                format!("ledger_entry {iban}: entries, but no account")
            }),
            None => {}
        }
        let is_announced = account.is_some_and(|it| it.is_opening) || !walk.announced.is_empty();
        if let Some(account) = account {
            tally.check(Name::E2, is_announced || account.is_owed, || {
                format!("account {iban}: no answer tells that it was opened")
            });
        }
        for announced in &walk.announced {
            let is_opened = account.is_some_and(|it| it.id == announced.id);
            tally.check(Name::E2, is_opened || announced.is_late, || {
                format!(
                    "{}: tells of {iban}, opened by {}, which the books do not have",
                    announced.at, announced.id
                )
            });
        }
        self.judge_read_model(iban, walk);
    }
}

/// The changes alone give what the books say.
fn judge_told(tally: &mut Tally, iban: Party, account: &Account, walk: &Walk) {
    let (version, balance) = walk.told;
    if version > account.version || walk.is_torn && version == 0 {
        return;
    }
    let agrees = (version, balance) == (account.version, account.balance);
    tally.check(Name::C3, agrees, || {
        format!(
            "account {iban}: version {} with {} cents, what was told ends at version {version} with {balance}",
            account.version, account.balance
        )
    });
    tally.check(Name::E2, agrees, || {
        format!("account {iban}: the topics alone give version {version} with {balance} cents")
    });
}

fn copy_offends(iban: Party, version: i64, change: &Change) -> String {
    format!(
        "{}: another copy of {iban} version {version} says something else",
        change.at
    )
}
