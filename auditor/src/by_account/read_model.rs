//! The read model against what was told.

use super::{ByAccount, Step, Walk};
use crate::facts::{Change, Id, Party, Row, dead, digest};
use crate::invariants::Name;

impl ByAccount {
    pub(super) fn judge_rows(&mut self, iban: Party, version: i64, step: &Step) {
        let walk = &mut self.walk;
        if walk.is_numberless || version <= 0 {
            return;
        }
        let projected = || {
            let told = step.changes.iter();
            told.filter(|it| it.is_projected && it.dead == dead::NOT)
        };
        let first = projected().min_by_key(|it| it.at);
        if let Some(first) = first {
            walk.fold = walk.fold.wrapping_add(row_digest(version, &row_of(first)));
            self.tally.check(Name::D1, step.rows.len() == 1, || {
                format!(
                    "{}: {iban} version {version} has {} rows in the read model",
                    first.at,
                    step.rows.len()
                )
            });
        }
        for row in &step.rows {
            let told = projected().find(|it| it.at == row.at);
            let agrees = told.is_some_and(|it| says(&row_of(it)) == says(row));
            self.tally.check(Name::D1, agrees, || {
                format!(
                    "account_transaction {iban} version {version}: not what {} says",
                    row.at
                )
            });
            walk.rows = walk.rows.wrapping_add(row_digest(version, row));
            walk.row_count += 1;
            walk.shown = (version, row.balance);
        }
    }

    pub(super) fn judge_read_model(&mut self, iban: Party, walk: &Walk) {
        let tally = &mut self.tally;
        let account = walk.account.first();
        if walk.is_numberless {
            return;
        }
        let read = walk.read.first();
        match read {
            Some(read) => {
                let agrees = (read.version, read.balance) == walk.shown && walk.read.len() == 1;
                tally.check(Name::D2, agrees, || {
                    format!(
                        "account {iban} of the read model: version {} with {} cents, its rows give version {} with {}",
                        read.version, read.balance, walk.shown.0, walk.shown.1
                    )
                });
            }
            None if walk.shown.0 > 0 => tally.check(Name::D2, false, || {
                format!("account {iban} of the read model: rows, but no account")
            }),
            None => {}
        }
        if walk.row_count > 0 || walk.fold != 0 {
            tally.check(Name::E1, walk.rows == walk.fold, || {
                format!(
                    "account_transaction {iban}: {:032x}, a rebuild gives {:032x}",
                    walk.rows, walk.fold
                )
            });
        }
        if self.is_read_model_behind {
            return;
        }
        if let Some(account) = account {
            // The read model may be ahead; it must not be behind, nor elsewhere.
            let agrees = match read {
                Some(read) if read.version > account.version => true,
                Some(read) => (read.version, read.balance) == (account.version, account.balance),
                None => false,
            };
            tally.check(Name::D4, agrees || account.is_owed, || {
                let read = read.map(|it| (it.version, it.balance));
                format!(
                    "account {iban}: version {} with {} cents in the books, {read:?} in the read model",
                    account.version, account.balance
                )
            });
        } else if let Some(read) = read {
            let is_late = walk.announced.iter().any(|it| it.is_late);
            tally.check(Name::D4, is_late, || {
                format!(
                    "account {iban}: in the read model at version {}, not in the books",
                    read.version
                )
            });
        }
        for followed in &walk.followed {
            let last = walk.shown.0.max(account.map_or(0, |it| it.version));
            tally.check(Name::D5, followed.version == last, || {
                format!(
                    "subscription {} of {iban} ended at version {}, not {last}",
                    followed.subscription, followed.version
                )
            });
        }
    }
}

fn row_of(change: &Change) -> Row {
    Row {
        at: change.at,
        changed_by: change.changed_by,
        balance: change.balance,
        other: change.other,
        description: change.description,
        id: change.id,
        occurred_at_us: change.occurred_at_us,
    }
}

/// Everything but the place: copies stand at several.
fn says(row: &Row) -> (i64, i64, Party, u64, Id, i64) {
    (
        row.changed_by,
        row.balance,
        row.other,
        row.description,
        row.id,
        row.occurred_at_us,
    )
}

/// Added up, it does not matter in which order.
fn row_digest(version: i64, row: &Row) -> u128 {
    let (changed_by, balance, other, description, id, occurred_at_us) = says(row);
    let numbers = [version, changed_by, balance, occurred_at_us];
    let mut bytes = Vec::with_capacity(80);
    for number in numbers {
        bytes.extend_from_slice(&number.to_be_bytes());
    }
    bytes.extend_from_slice(&other.0.to_be_bytes());
    bytes.extend_from_slice(&description.to_be_bytes());
    bytes.extend_from_slice(&id.0.to_be_bytes());
    u128::from(digest(&bytes)) << 64 | u128::from(digest(&[&bytes[..], b"second"].concat()))
}
