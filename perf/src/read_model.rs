//! What writing the read model takes by itself: the gateway's statements for the records of
//! transfers, in a copy of its tables, without Kafka and with nobody waiting.

use std::time::{Duration, SystemTime};

use tokio_postgres::{Client, Statement};
use topology::{Topic, Topics};
use uuid::Uuid;

use crate::clock::Clock;
use crate::commands::{Account, command_id};
use crate::database::Administrator;
use crate::error::Error;
use crate::latency::Latencies;

/// The copy of the gateway's tables that is written to.
const DATABASE: &str = "perf_floor_read_model";
/// Of the gateway's batches of 512 records: a transfer has three.
pub const FULL_TRANSFERS: usize = 170;
/// Before the first counts.
const WARM_UP: usize = 10;
/// As often as an idle bank has something to do: the caches are as cold.
const INTERVAL: Duration = Duration::from_millis(25);
/// Full batches come from caches that are warm, one after the other, and few are enough.
const FULL_SHARE: usize = 4;
/// Of an epoch that nobody else takes.
const EPOCH: i64 = 1;

/// One transfer at a time, and full batches.
#[derive(Clone, Debug)]
pub struct ReadModel {
    /// The three records of one transfer.
    pub one: Latencies,
    /// A full batch.
    pub full: Latencies,
}

/// Writes into a copy of the database of a gateway that does not run.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn measure(
    administrator: &Administrator,
    tables: &str,
    accounts: &[Account],
    clock: Clock,
    samples: usize,
) -> Result<ReadModel, Error> {
    administrator.drop(DATABASE).await?;
    administrator.copy(tables, DATABASE).await?;
    let measured = {
        let client = administrator.open(DATABASE).await?;
        let written = write_all(&client, accounts, clock, samples).await;
        written.map_err(Error::postgres("write a copy of the read model"))
    };
    administrator.drop(DATABASE).await?;
    measured
}

async fn write_all(
    client: &Client,
    accounts: &[Account],
    clock: Clock,
    samples: usize,
) -> Result<ReadModel, tokio_postgres::Error> {
    let ibans: Vec<&str> = accounts.iter().map(|it| it.iban.as_str()).collect();
    client
        .execute(
            "insert into account (iban, balance_cents, version, opened_at, changed_at) \
             select iban, 0, 0, now(), now() from unnest($1::text[]) as given (iban) \
             on conflict do nothing",
            &[&ibans],
        )
        .await?;
    client.batch_execute("analyze account").await?;
    let writer = Writer::prepare(client, &ibans).await?;
    let mut next = 0;
    let mut measured = ReadModel {
        one: Latencies::default(),
        full: Latencies::default(),
    };
    for number in 0..samples + WARM_UP {
        let batch = writer.give(next..next + 1).await?;
        let started = clock.now_ns();
        writer.write(&batch).await?;
        next += 1;
        if number >= WARM_UP {
            measured.one.record(started, clock.now_ns());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    for number in 0..samples / FULL_SHARE + WARM_UP {
        let batch = writer.give(next..next + FULL_TRANSFERS).await?;
        let started = clock.now_ns();
        writer.write(&batch).await?;
        next += FULL_TRANSFERS;
        if number >= WARM_UP {
            measured.full.record(started, clock.now_ns());
        }
    }
    Ok(measured)
}

/// The gateway's statements, as its store has them (`graphql-endpoint/src/store/projection.rs`).
struct Writer<'a> {
    client: &'a Client,
    ibans: &'a [&'a str],
    topics: [String; 2],
    lock_offsets: Statement,
    insert_changes: Statement,
    update_accounts: Statement,
    confirm_commands: Statement,
    move_offsets: Statement,
}

impl Writer<'_> {
    async fn prepare<'a>(
        client: &'a Client,
        ibans: &'a [&'a str],
    ) -> Result<Writer<'a>, tokio_postgres::Error> {
        let names = Topics::default();
        let topics = [Topic::BalanceChanged, Topic::MoneyTransferFeedback];
        let prepare = |text: &'static str| client.prepare(text);
        let writer = Writer {
            client,
            ibans,
            topics: topics.map(|topic| names.name(topic)),
            lock_offsets: prepare(
                "select topic, partition, next_offset, epoch from projection_offset \
                 where (topic, partition) in (select * from unnest($1::text[], $2::integer[])) \
                 order by topic, partition for update of projection_offset",
            )
            .await?,
            insert_changes: prepare(
                "insert into account_transaction (iban, version, new_balance_cents, \
                 changed_by_cents, from_to, description, command_id, occurred_at, \
                 source_partition, source_offset) \
                 select * from unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[], \
                 $5::text[], $6::text[], $7::uuid[], $8::timestamptz[], $9::integer[], \
                 $10::bigint[]) \
                 on conflict do nothing returning source_partition, source_offset",
            )
            .await?,
            update_accounts: prepare(
                "insert into account (iban, balance_cents, version, opened_at, changed_at) \
                 select iban, balance_cents, version, changed_at, changed_at \
                 from unnest($1::text[], $2::bigint[], $3::bigint[], $4::timestamptz[]) \
                 as latest (iban, balance_cents, version, changed_at) order by iban \
                 on conflict (iban) do update set balance_cents = excluded.balance_cents, \
                 version = excluded.version, changed_at = excluded.changed_at \
                 where account.version < excluded.version",
            )
            .await?,
            confirm_commands: prepare(
                "update command set reason = outcome.reason, \
                 status = case when outcome.reason is null then 'CONFIRMED' else 'REJECTED' end \
                 from unnest($1::uuid[], $2::text[]) as outcome (command_id, reason) \
                 where command.command_id = outcome.command_id \
                 and command.status = 'PENDING' and command.kind <> 'OPEN_ACCOUNT'",
            )
            .await?,
            move_offsets: prepare(
                "update projection_offset set next_offset = moved.next_offset \
                 from unnest($1::text[], $2::integer[], $3::bigint[]) \
                 as moved (topic, partition, next_offset) \
                 where projection_offset.topic = moved.topic \
                 and projection_offset.partition = moved.partition",
            )
            .await?,
        };
        client
            .execute(
                "insert into projection_offset (topic, partition, next_offset, epoch) \
                 select topic, 0, 0, $2 from unnest($1::text[]) as given (topic)",
                &[&writer.topics.as_slice(), &EPOCH],
            )
            .await?;
        Ok(writer)
    }

    /// The changes of these transfers, each from one account to the next, whose commands wait in
    /// the tables for their outcomes.
    async fn give(
        &self,
        transfers: std::ops::Range<usize>,
    ) -> Result<Rows<'_>, tokio_postgres::Error> {
        let ibans = self.ibans;
        let mut rows = Rows::default();
        for number in transfers {
            let index = u32::try_from(number).unwrap_or(0);
            let id = Uuid::from_bytes(command_id(0, index, 0));
            for side in 0..2 {
                let place = number * 2 + side;
                let iban = ibans[place % ibans.len()];
                let other = ibans[(number * 2 + 1 - side) % ibans.len()];
                // Each account's changes come in the order of their versions.
                let version = count(place / ibans.len()) + 1;
                rows.add(iban, other, version, id, count(place));
            }
        }
        self.client
            .execute(
                "insert into command (command_id, user_name, request_hash, kind, status) \
                 select command_id, 'perf', 'perf'::bytea, 'TRANSFER', 'PENDING' \
                 from unnest($1::uuid[]) as given (command_id)",
                &[&rows.commands()],
            )
            .await?;
        Ok(rows)
    }

    /// One batch, as the gateway writes it.
    async fn write(&self, rows: &Rows<'_>) -> Result<(), tokio_postgres::Error> {
        let client = self.client;
        let now = SystemTime::now();
        let ids = rows.commands();
        let times = vec![now; rows.ibans.len()];
        let partitions = vec![0_i32; rows.ibans.len()];
        let reasons: Vec<Option<&str>> = vec![None; ids.len()];
        let latest = rows.latest();
        let latest_times = vec![now; latest.ibans.len()];
        let both = [0_i32, 0];
        let reached = rows.offsets.last().map_or(0, |offset| offset + 1);
        client.batch_execute("begin").await?;
        client
            .query(
                &self.lock_offsets,
                &[&self.topics.as_slice(), &both.as_slice()],
            )
            .await?;
        client
            .query(
                &self.insert_changes,
                &[
                    &rows.ibans,
                    &rows.versions,
                    &rows.balances,
                    &rows.changed_by,
                    &rows.from_to,
                    &rows.descriptions,
                    &rows.ids,
                    &times,
                    &partitions,
                    &rows.offsets,
                ],
            )
            .await?;
        client
            .execute(
                &self.update_accounts,
                &[
                    &latest.ibans,
                    &latest.balances,
                    &latest.versions,
                    &latest_times,
                ],
            )
            .await?;
        client
            .execute(&self.confirm_commands, &[&ids, &reasons])
            .await?;
        client
            .execute(
                &self.move_offsets,
                &[
                    &self.topics.as_slice(),
                    &both.as_slice(),
                    &[reached, reached].as_slice(),
                ],
            )
            .await?;
        client.batch_execute("commit").await
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// Changes of accounts, column by column.
#[derive(Default)]
struct Rows<'a> {
    ibans: Vec<&'a str>,
    versions: Vec<i64>,
    balances: Vec<i64>,
    changed_by: Vec<i64>,
    from_to: Vec<&'a str>,
    descriptions: Vec<&'static str>,
    ids: Vec<Uuid>,
    offsets: Vec<i64>,
}

impl<'a> Rows<'a> {
    fn add(&mut self, iban: &'a str, other: &'a str, version: i64, id: Uuid, offset: i64) {
        self.ibans.push(iban);
        self.versions.push(version);
        self.balances.push(version);
        self.changed_by.push(1);
        self.from_to.push(other);
        self.descriptions.push("a payment of the benchmark");
        self.ids.push(id);
        self.offsets.push(offset);
    }

    /// Each command once.
    fn commands(&self) -> Vec<Uuid> {
        self.ids.iter().step_by(2).copied().collect()
    }

    /// Each account once, with its highest version.
    fn latest(&self) -> Rows<'a> {
        let mut latest = std::collections::BTreeMap::new();
        for (place, iban) in self.ibans.iter().enumerate() {
            latest.insert(*iban, place);
        }
        let mut rows = Rows::default();
        for (iban, place) in latest {
            rows.add(
                iban,
                self.from_to[place],
                self.versions[place],
                self.ids[place],
                0,
            );
        }
        rows
    }
}
