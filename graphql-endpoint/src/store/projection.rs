//! One batch of facts into the read model, with the offsets, in one transaction.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::result::Error as DieselError;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use topology::consumer::Position;
use topology::{Topic, Topics};
use tracing::warn;
use uuid::Uuid;

use super::customers::{OpenedAccount, link_accounts, renew_creations};
use super::transactions::ChangeRow;
use super::{Store, statement};
use crate::error::Error;
use crate::facts::{Change, Fact};
use crate::steps::{Interrupted, Step, Steps};

/// First offset not yet dealt with, by partition of `balance_changed`.
pub type Reached = BTreeMap<i32, i64>;

/// One record on its way into the read model.
#[derive(Clone, Debug)]
pub struct Item {
    /// Where it stands.
    pub topic: Topic,
    /// Where it stands.
    pub partition: i32,
    /// Where it stands.
    pub offset: i64,
    /// Under which assignment it was read.
    pub epoch: i64,
    /// What it says; none once it is a dead letter.
    pub fact: Option<Fact>,
    /// The new account's token, sealed, where the fact has one for us.
    pub token_ciphertext: Option<Vec<u8>>,
}

/// An assignment of a partition: its topic, its number, and the epoch it was taken with.
pub type Assignment = (Topic, i32, i64);

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// It is in the read model, but for the items of these assignments: another instance
    /// has taken their partitions since.
    Done {
        /// Over, says the read model.
        fenced: BTreeSet<Assignment>,
    },
    /// Nothing was changed: these items contradict what is stored. They are to be made
    /// dead letters, and the batch is to be applied again without them.
    Corrupt(Vec<usize>),
}

#[derive(QueryableByName)]
struct OffsetRow {
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    next_offset: i64,
    #[diesel(sql_type = BigInt)]
    epoch: i64,
}

#[derive(QueryableByName)]
struct VersionRow {
    #[diesel(sql_type = Text)]
    iban: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

#[derive(QueryableByName)]
struct Inserted {
    #[diesel(sql_type = Integer)]
    source_partition: i32,
    #[diesel(sql_type = BigInt)]
    source_offset: i64,
}

enum RolledBack {
    Corrupt(Vec<usize>),
    Failed(DieselError),
}

impl From<Interrupted> for RolledBack {
    fn from(interrupted: Interrupted) -> RolledBack {
        warn!("{interrupted}");
        // As if the connection was lost.
        RolledBack::Failed(DieselError::BrokenTransactionManager)
    }
}

impl From<DieselError> for RolledBack {
    fn from(error: DieselError) -> RolledBack {
        RolledBack::Failed(error)
    }
}

impl Store {
    /// Takes partitions for the projection: a new epoch for each, so that work of an
    /// earlier owner is refused, and where to go on.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_partitions(
        &self,
        partitions: &[(Topic, i32)],
    ) -> Result<Vec<Position>, Error> {
        let names = Topics::default();
        let topics: Vec<String> = partitions.iter().map(|(it, _)| names.name(*it)).collect();
        let numbers: Vec<i32> = partitions.iter().map(|(_, number)| *number).collect();
        let rows: Vec<OffsetRow> = self
            .rows(
                statement(
                    "INSERT INTO projection_offset (topic, partition, next_offset, epoch)
                     SELECT topic, partition, 0, 1 FROM unnest(?, ?) AS taken (topic, partition)
                     ORDER BY topic, partition
                     ON CONFLICT (topic, partition)
                         DO UPDATE SET epoch = projection_offset.epoch + 1
                     RETURNING topic, partition, next_offset, epoch",
                )
                .bind::<Array<Text>, _>(topics)
                .bind::<Array<Integer>, _>(numbers),
            )
            .await?;
        Ok(rows
            .into_iter()
            .filter_map(|row| {
                Some(Position {
                    topic: names.find(&row.topic)?,
                    partition: row.partition,
                    next_offset: row.next_offset,
                    epoch: row.epoch,
                })
            })
            .collect())
    }

    /// How far the read model has come in `balance_changed`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn reached(&self) -> Result<Reached, Error> {
        let rows: Vec<OffsetRow> = self
            .rows(
                statement(
                    "SELECT topic, partition, next_offset, epoch FROM projection_offset
                     WHERE topic = ?",
                )
                .bind::<Text, _>(Topics::default().name(Topic::BalanceChanged)),
            )
            .await?;
        Ok(rows
            .into_iter()
            .map(|row| (row.partition, row.next_offset))
            .collect())
    }

    /// Applies a batch. Items of an older epoch, and items applied before, are skipped.
    ///
    /// # Errors
    /// When the database does not answer; nothing is changed then.
    pub async fn apply(&self, items: &[Item]) -> Result<Applied, Error> {
        let mut connection = self.connection().await?;
        let outcome = connection
            .transaction::<_, RolledBack, _>(async |connection| {
                apply(connection, items, &self.steps).await
            })
            .await;
        match outcome {
            Ok(fenced) => Ok(Applied::Done { fenced }),
            Err(RolledBack::Corrupt(items)) => Ok(Applied::Corrupt(items)),
            Err(RolledBack::Failed(error)) => Err(error.into()),
        }
    }
}

async fn apply(
    connection: &mut AsyncPgConnection,
    items: &[Item],
    steps: &Steps,
) -> Result<BTreeSet<Assignment>, RolledBack> {
    let positions = lock_offsets(connection, items).await?;
    steps.pass(Step::Locked)?;
    let fenced = items
        .iter()
        .filter(|item| {
            let position = positions.get(&(item.topic, item.partition));
            position.is_none_or(|(_, epoch)| item.epoch != *epoch)
        })
        .map(|item| (item.topic, item.partition, item.epoch))
        .collect();
    let fresh: Vec<(usize, &Item)> = items
        .iter()
        .enumerate()
        .filter(|(_, item)| {
            positions
                .get(&(item.topic, item.partition))
                .is_some_and(|(next_offset, epoch)| {
                    item.epoch == *epoch && item.offset >= *next_offset
                })
        })
        .collect();
    if fresh.is_empty() {
        return Ok(fenced);
    }
    let versions = stored_versions(connection, &fresh).await?;
    let changes = numbered(&fresh, versions);
    insert_changes(connection, &changes).await?;
    update_accounts(connection, &changes).await?;
    apply_openings(connection, &fresh).await?;
    apply_outcomes(connection, &fresh).await?;
    move_offsets(connection, &fresh).await?;
    steps.pass(Step::Written)?;
    Ok(fenced)
}

type Offsets = BTreeMap<(Topic, i32), (i64, i64)>;

async fn lock_offsets(
    connection: &mut AsyncPgConnection,
    items: &[Item],
) -> Result<Offsets, DieselError> {
    let names = Topics::default();
    let places: BTreeSet<(String, i32)> = items
        .iter()
        .map(|item| (names.name(item.topic), item.partition))
        .collect();
    let (topics, numbers): (Vec<String>, Vec<i32>) = places.into_iter().unzip();
    // The commit waits for the disk: one that was lost with the server would be missing for
    // good, since this process reads on from where it is, not from what the server has left.
    let rows: Vec<OffsetRow> = statement(
        "SELECT topic, partition, next_offset, epoch FROM projection_offset
         WHERE (topic, partition) IN (SELECT * FROM unnest(?, ?))
         ORDER BY topic, partition FOR UPDATE OF projection_offset",
    )
    .bind::<Array<Text>, _>(topics)
    .bind::<Array<Integer>, _>(numbers)
    .load(connection)
    .await?;
    Ok(rows
        .into_iter()
        .filter_map(|row| {
            let topic = names.find(&row.topic)?;
            Some(((topic, row.partition), (row.next_offset, row.epoch)))
        })
        .collect())
}

/// Versions of the accounts that have changes without a number in this batch.
async fn stored_versions(
    connection: &mut AsyncPgConnection,
    fresh: &[(usize, &Item)],
) -> Result<BTreeMap<String, i64>, DieselError> {
    let ibans: BTreeSet<String> = fresh
        .iter()
        .filter_map(|(_, item)| match &item.fact {
            Some(Fact::Changed(change)) if change.version == 0 => Some(change.iban.clone()),
            _ => None,
        })
        .collect();
    if ibans.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<VersionRow> = statement(
        "SELECT iban, version FROM account WHERE iban = ANY (?) ORDER BY iban FOR UPDATE",
    )
    .bind::<Array<Text>, _>(ibans.into_iter().collect::<Vec<_>>())
    .load(connection)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| (row.iban, row.version))
        .collect())
}

/// The batch's changes, each with its number: records of the 2019 form get the next one
/// of their account, in the order of the log.
fn numbered(fresh: &[(usize, &Item)], stored: BTreeMap<String, i64>) -> Vec<(usize, Change)> {
    let mut latest = stored;
    let mut changes = Vec::new();
    for (index, item) in fresh {
        if let Some(Fact::Changed(change)) = &item.fact {
            let mut change = change.clone();
            let last = latest.entry(change.iban.clone()).or_insert(0);
            if change.version == 0 {
                change.version = *last + 1;
            }
            *last = change.version.max(*last);
            changes.push((*index, change));
        }
    }
    changes
}

async fn insert_changes(
    connection: &mut AsyncPgConnection,
    changes: &[(usize, Change)],
) -> Result<(), RolledBack> {
    if changes.is_empty() {
        return Ok(());
    }
    let column = |_: ()| changes.iter().map(|(_, change)| change);
    let inserted: Vec<Inserted> = statement(
        "INSERT INTO account_transaction
             (iban, version, new_balance_cents, changed_by_cents, from_to, description,
              command_id, occurred_at, source_partition, source_offset)
         SELECT * FROM unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
         ON CONFLICT DO NOTHING RETURNING source_partition, source_offset",
    )
    .bind::<Array<Text>, _>(column(()).map(|it| it.iban.clone()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(()).map(|it| it.version).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(()).map(|it| it.new_balance.0).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(()).map(|it| it.changed_by.0).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(column(()).map(|it| it.from_to.clone()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(
        column(())
            .map(|it| it.description.clone())
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<SqlUuid>>, _>(
        column(())
            .map(|it| it.command_id.map(|id| id.0))
            .collect::<Vec<_>>(),
    )
    .bind::<Array<Timestamptz>, _>(column(()).map(|it| it.occurred_at).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(column(()).map(|it| it.partition).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(column(()).map(|it| it.offset).collect::<Vec<_>>())
    .load(connection)
    .await?;
    if inserted.len() == changes.len() {
        return Ok(());
    }
    let inserted: BTreeSet<(i32, i64)> = inserted
        .into_iter()
        .map(|row| (row.source_partition, row.source_offset))
        .collect();
    let repeated: Vec<&(usize, Change)> = changes
        .iter()
        .filter(|(_, change)| !inserted.contains(&(change.partition, change.offset)))
        .collect();
    let corrupt = contradictions(connection, &repeated).await?;
    if corrupt.is_empty() {
        Ok(())
    } else {
        Err(RolledBack::Corrupt(corrupt))
    }
}

/// Those of the repeated changes that say something else than what is stored.
async fn contradictions(
    connection: &mut AsyncPgConnection,
    repeated: &[&(usize, Change)],
) -> Result<Vec<usize>, DieselError> {
    let ibans: Vec<String> = repeated.iter().map(|(_, it)| it.iban.clone()).collect();
    let versions: Vec<i64> = repeated.iter().map(|(_, it)| it.version).collect();
    let rows: Vec<ChangeRow> = statement(
        "SELECT iban, version, new_balance_cents, changed_by_cents, from_to, description,
                command_id, occurred_at, source_partition, source_offset
         FROM account_transaction
         WHERE (iban, version) IN (SELECT * FROM unnest(?, ?))",
    )
    .bind::<Array<Text>, _>(ibans)
    .bind::<Array<BigInt>, _>(versions)
    .load(connection)
    .await?;
    let stored: BTreeMap<(String, i64), Change> = rows
        .into_iter()
        .map(Change::from)
        .map(|change| ((change.iban.clone(), change.version), change))
        .collect();
    Ok(repeated
        .iter()
        .filter(|(_, change)| {
            stored
                .get(&(change.iban.clone(), change.version))
                .is_none_or(|stored| !stored.says_the_same(change))
        })
        .map(|(index, _)| *index)
        .collect())
}

/// Each touched account takes the balance of its highest version.
async fn update_accounts(
    connection: &mut AsyncPgConnection,
    changes: &[(usize, Change)],
) -> Result<(), DieselError> {
    let mut latest: BTreeMap<&str, &Change> = BTreeMap::new();
    for (_, change) in changes {
        let entry = latest.entry(change.iban.as_str()).or_insert(change);
        if entry.version < change.version {
            *entry = change;
        }
    }
    if latest.is_empty() {
        return Ok(());
    }
    let times: Vec<DateTime<Utc>> = latest.values().map(|it| it.occurred_at).collect();
    statement(
        "INSERT INTO account (iban, balance_cents, version, opened_at, changed_at)
         SELECT iban, balance_cents, version, changed_at, changed_at
         FROM unnest(?, ?, ?, ?) AS latest (iban, balance_cents, version, changed_at)
         ORDER BY iban
         ON CONFLICT (iban) DO UPDATE SET balance_cents = excluded.balance_cents,
             version = excluded.version, changed_at = excluded.changed_at
         WHERE account.version < excluded.version",
    )
    .bind::<Array<Text>, _>(
        latest
            .keys()
            .map(|iban| (*iban).to_owned())
            .collect::<Vec<_>>(),
    )
    .bind::<Array<BigInt>, _>(
        latest
            .values()
            .map(|it| it.new_balance.0)
            .collect::<Vec<_>>(),
    )
    .bind::<Array<BigInt>, _>(latest.values().map(|it| it.version).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(times)
    .execute(connection)
    .await?;
    Ok(())
}

async fn apply_openings(
    connection: &mut AsyncPgConnection,
    fresh: &[(usize, &Item)],
) -> Result<(), DieselError> {
    let mut accounts: BTreeMap<String, DateTime<Utc>> = BTreeMap::new();
    let mut links = Vec::new();
    let mut refused = Vec::new();
    for (_, item) in fresh {
        match &item.fact {
            Some(Fact::AccountOpened {
                command_id,
                iban,
                at,
                ..
            }) => {
                accounts.entry(iban.clone()).or_insert(*at);
                if let Some(token_ciphertext) = &item.token_ciphertext {
                    links.push(OpenedAccount {
                        command_id: *command_id,
                        iban: iban.clone(),
                        token_ciphertext: token_ciphertext.clone(),
                    });
                }
            }
            Some(Fact::AccountRefused { command_id, .. }) => refused.push(command_id.0),
            _ => {}
        }
    }
    if !accounts.is_empty() {
        let (ibans, times): (Vec<String>, Vec<DateTime<Utc>>) = accounts.into_iter().unzip();
        statement(
            "INSERT INTO account (iban, balance_cents, version, opened_at)
             SELECT iban, 0, 0, opened_at FROM unnest(?, ?) AS opened (iban, opened_at)
             ORDER BY iban ON CONFLICT DO NOTHING",
        )
        .bind::<Array<Text>, _>(ibans)
        .bind::<Array<Timestamptz>, _>(times)
        .execute(connection)
        .await?;
    }
    link_accounts(connection, &links).await?;
    renew_creations(connection, refused).await
}

async fn apply_outcomes(
    connection: &mut AsyncPgConnection,
    fresh: &[(usize, &Item)],
) -> Result<(), DieselError> {
    let mut ids: Vec<Uuid> = Vec::new();
    let mut reasons: Vec<Option<String>> = Vec::new();
    for (_, item) in fresh {
        match &item.fact {
            Some(Fact::TransferConfirmed { command_id }) => {
                ids.push(command_id.0);
                reasons.push(None);
            }
            Some(Fact::TransferRefused { command_id, reason }) => {
                ids.push(command_id.0);
                reasons.push(Some(reason.clone()));
            }
            _ => {}
        }
    }
    if ids.is_empty() {
        return Ok(());
    }
    statement(
        "UPDATE command SET reason = outcome.reason,
             status = CASE WHEN outcome.reason IS NULL THEN 'CONFIRMED' ELSE 'REJECTED' END
         FROM unnest(?, ?) AS outcome (command_id, reason)
         WHERE command.command_id = outcome.command_id
           AND command.status = 'PENDING' AND command.kind <> 'OPEN_ACCOUNT'",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Nullable<Text>>, _>(reasons)
    .execute(connection)
    .await?;
    Ok(())
}

async fn move_offsets(
    connection: &mut AsyncPgConnection,
    fresh: &[(usize, &Item)],
) -> Result<(), DieselError> {
    let names = Topics::default();
    let mut next: BTreeMap<(Topic, i32), i64> = BTreeMap::new();
    for (_, item) in fresh {
        let offset = next.entry((item.topic, item.partition)).or_insert(0);
        *offset = (*offset).max(item.offset + 1);
    }
    let topics: Vec<String> = next.keys().map(|(topic, _)| names.name(*topic)).collect();
    let numbers: Vec<i32> = next.keys().map(|(_, partition)| *partition).collect();
    let offsets: Vec<i64> = next.into_values().collect();
    statement(
        "UPDATE projection_offset SET next_offset = moved.next_offset
         FROM unnest(?, ?, ?) AS moved (topic, partition, next_offset)
         WHERE projection_offset.topic = moved.topic
           AND projection_offset.partition = moved.partition",
    )
    .bind::<Array<Text>, _>(topics)
    .bind::<Array<Integer>, _>(numbers)
    .bind::<Array<BigInt>, _>(offsets)
    .execute(connection)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::change;

    fn item(offset: i64, version: i64) -> Item {
        Item {
            topic: Topic::BalanceChanged,
            partition: 3,
            offset,
            epoch: 1,
            fact: Some(Fact::Changed(change(version))),
            token_ciphertext: None,
        }
    }

    #[test]
    fn changes_of_the_2019_form_get_the_next_numbers_of_their_account_in_log_order() {
        let iban = change(1).iban;
        for (stored, written, expected) in [
            (None, vec![0, 0, 0], vec![1, 2, 3]),
            (Some(41), vec![0, 0], vec![42, 43]),
            (Some(41), vec![42, 0, 44], vec![42, 43, 44]),
            (None, vec![7], vec![7]),
        ] {
            let items: Vec<Item> = (0..).zip(&written).map(|(at, it)| item(at, *it)).collect();
            let fresh: Vec<(usize, &Item)> = items.iter().enumerate().collect();
            let stored = stored.map(|version| (iban.clone(), version));
            let versions: Vec<i64> = numbered(&fresh, stored.into_iter().collect())
                .into_iter()
                .map(|(_, change)| change.version)
                .collect();
            assert_eq!(versions, expected, "{written:?}");
        }
    }
}
