//! What booking takes by itself: the handler's statements for transfers, in a copy of its tables,
//! without Kafka.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::join;
use tokio_postgres::{Client, Row, Statement};
use uuid::Uuid;

use crate::clock::Clock;
use crate::commands::{Account, command_id};
use crate::database::Administrator;
use crate::error::Error;
use crate::latency::Latencies;

/// The copy of the books that is written to, so that the books themselves stay right.
const DATABASE: &str = "perf_floor";
/// Of the handler's batches.
pub const FULL_TRANSFERS: usize = 256;
/// Before the first counts.
const WARM_UP: usize = 20;
/// As often as an idle bank has something to do: the caches are as cold.
const INTERVAL: Duration = Duration::from_millis(25);
/// Full batches come from caches that are warm, one after the other, and few are enough.
const FULL_SHARE: usize = 4;
/// As long as the frames of a transfer are.
const FRAMES: [u8; 420] = [7; 420];
const REQUEST_HASH: [u8; 16] = [7; 16];
/// What nobody else reads from.
const TOPIC: &str = "perf-floor";
/// Of an owner that nobody else is.
const EPOCH: i64 = 1;

/// One transfer at a time, and full batches.
#[derive(Clone, Debug)]
pub struct Books {
    /// One transfer.
    pub one: Latencies,
    /// A full batch.
    pub full: Latencies,
}

/// Books into a copy of the database of a handler that does not run.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn measure(
    administrator: &Administrator,
    books: &str,
    accounts: &[Account],
    clock: Clock,
    samples: usize,
) -> Result<Books, Error> {
    administrator.drop(DATABASE).await?;
    administrator.copy(books, DATABASE).await?;
    let measured = {
        let client = administrator.open(DATABASE).await?;
        let applied = apply_all(&client, accounts, clock, samples).await;
        applied.map_err(Error::postgres("apply transfers to a copy of the books"))
    };
    administrator.drop(DATABASE).await?;
    measured
}

async fn apply_all(
    client: &Client,
    accounts: &[Account],
    clock: Clock,
    samples: usize,
) -> Result<Books, tokio_postgres::Error> {
    let statements = Statements::prepare(client).await?;
    let ibans: Vec<&str> = accounts.iter().map(|it| it.iban.as_str()).collect();
    let mut next = 0;
    let mut measured = Books {
        one: Latencies::default(),
        full: Latencies::default(),
    };
    for number in 0..samples + WARM_UP {
        let batch = Batch::of(next..next + 1, &ibans);
        let started = clock.now_ns();
        statements.apply(client, &batch).await?;
        next += 1;
        if number >= WARM_UP {
            measured.one.record(started, clock.now_ns());
        }
        tokio::time::sleep(INTERVAL).await;
    }
    for number in 0..samples / FULL_SHARE + WARM_UP {
        let batch = Batch::of(next..next + FULL_TRANSFERS, &ibans);
        let started = clock.now_ns();
        statements.apply(client, &batch).await?;
        next += FULL_TRANSFERS;
        if number >= WARM_UP {
            measured.full.record(started, clock.now_ns());
        }
    }
    Ok(measured)
}

/// Transfers of a cent, each between two neighbours in the list of accounts.
struct Batch<'a> {
    ids: Vec<Uuid>,
    /// From and to, in turn.
    parties: Vec<&'a str>,
    /// Each account once.
    accounts: Vec<&'a str>,
    first: usize,
}

impl<'a> Batch<'a> {
    fn of(transfers: std::ops::Range<usize>, ibans: &[&'a str]) -> Batch<'a> {
        let first = transfers.start;
        let places = transfers.start * 2..transfers.end * 2;
        let parties: Vec<&str> = places.map(|place| ibans[place % ibans.len()]).collect();
        let mut accounts = parties.clone();
        accounts.sort_unstable();
        accounts.dedup();
        let id = |number| Uuid::from_bytes(command_id(0, u32::try_from(number).unwrap_or(0), 0));
        Batch {
            ids: transfers.map(id).collect(),
            parties,
            accounts,
            first,
        }
    }

    /// Where each transfer came from: offsets that only grow.
    fn offsets(&self) -> Vec<i64> {
        let all = self.first..self.first + self.ids.len();
        all.map(|number| i64::try_from(number).unwrap_or(i64::MAX))
            .collect()
    }
}

/// What a batch writes, after the accounts it found.
#[derive(Default)]
struct Booked<'a> {
    entry_ids: Vec<Uuid>,
    versions: Vec<i64>,
    deltas: Vec<i64>,
    after: Vec<i64>,
    observed: Vec<Option<i64>>,
    latest: HashMap<&'a str, (i64, i64)>,
}

impl<'a> Booked<'a> {
    fn of(batch: &Batch<'a>, found: &[Row]) -> Booked<'a> {
        let stands: HashMap<&str, (i64, i64)> = found
            .iter()
            .map(|row| (row.get(0), (row.get(2), row.get(4))))
            .collect();
        let mut booked = Booked::default();
        for (parties, id) in batch.parties.chunks_exact(2).zip(&batch.ids) {
            for (iban, delta) in parties.iter().zip([-1, 1]) {
                let stand = stands.get(iban).copied().unwrap_or_default();
                let (balance, version) = booked.latest.entry(iban).or_insert(stand);
                *balance += delta;
                *version += 1;
                booked.entry_ids.push(*id);
                booked.versions.push(*version);
                booked.deltas.push(delta);
                booked.after.push(*balance);
                if delta < 0 {
                    booked.observed.push(Some(*version));
                }
            }
        }
        booked
    }
}

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// The handler's statements, as its store has them (`command-handler/src/store/books.rs`).
struct Statements {
    lock_accounts: Statement,
    read_priors: Statement,
    insert_outcomes: Statement,
    insert_entries: Statement,
    update_accounts: Statement,
    advance_offsets: Statement,
    insert_debt: Statement,
}

impl Statements {
    async fn prepare(client: &Client) -> Result<Statements, tokio_postgres::Error> {
        client
            .batch_execute(&format!(
                "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
                 set enable_hashjoin = off; set enable_mergejoin = off; \
                 insert into consumer_offset values ('{TOPIC}', 0, 0, {EPOCH})"
            ))
            .await?;
        let prepare = |text: &'static str| client.prepare(text);
        Ok(Statements {
            lock_accounts: prepare(
                "select iban, token_digest, balance_cents, limit_cents, version \
                 from account where iban = any($1) order by iban for no key update",
            )
            .await?,
            read_priors: prepare(
                "select command_id, request_hash, source_topic, source_partition, \
                 source_offset, frames from outcome where command_id = any($1)",
            )
            .await?,
            insert_outcomes: prepare(
                "insert into outcome (command_id, request_hash, kind, rejection, \
                 observed_version, source_topic, source_partition, source_offset, frames) \
                 select * from unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], \
                 $5::bigint[], $6::text[], $7::integer[], $8::bigint[], $9::bytea[])",
            )
            .await?,
            insert_entries: prepare(
                "insert into ledger_entry (command_id, account, version, delta_cents, \
                 balance_after_cents) select * from unnest($1::uuid[], $2::text[], \
                 $3::bigint[], $4::bigint[], $5::bigint[])",
            )
            .await?,
            update_accounts: prepare(
                "update account set balance_cents = given.balance, version = given.version \
                 from unnest($1::text[], $2::bigint[], $3::bigint[]) \
                 as given(iban, balance, version) where account.iban = given.iban",
            )
            .await?,
            advance_offsets: prepare("select advance_offsets($1, $2, $3, $4)").await?,
            insert_debt: prepare(
                "insert into emission_debt (owner, command_ids, dead_letters) \
                 values ($1, $2, $3) returning debt_id",
            )
            .await?,
        })
    }

    /// One batch in two round trips, as the handler books it.
    async fn apply(&self, client: &Client, batch: &Batch<'_>) -> Result<(), tokio_postgres::Error> {
        let ids = &batch.ids;
        let (begun, found, priors) = join!(
            client.batch_execute("begin"),
            async { client.query(&self.lock_accounts, &[&batch.accounts]).await },
            async { client.query(&self.read_priors, &[ids]).await },
        );
        begun?;
        priors?;
        let booked = Booked::of(batch, &found?);
        let transfers = ids.len();
        let accounts: Vec<&str> = booked.latest.keys().copied().collect();
        let stands = booked.latest.values();
        let (balances, versions): (Vec<i64>, Vec<i64>) = stands.copied().unzip();
        let offsets = batch.offsets();
        let reached: Vec<i64> = offsets.iter().max().copied().into_iter().collect();
        let hashes = vec![REQUEST_HASH.as_slice(); transfers];
        let frames = vec![FRAMES.as_slice(); transfers];
        let kinds = vec!["money_transfer"; transfers];
        let nobody = vec![None::<&str>; transfers];
        let topics = vec![TOPIC; transfers];
        let partitions = vec![0_i32; transfers];
        let (topic, partition, epoch) = (vec![TOPIC], vec![0_i32], vec![EPOCH]);
        let no_letters: Option<Vec<u8>> = None;
        let outcomes: [Parameter<'_>; 9] = [
            ids,
            &hashes,
            &kinds,
            &nobody,
            &booked.observed,
            &topics,
            &partitions,
            &offsets,
            &frames,
        ];
        let entries: [Parameter<'_>; 5] = [
            &booked.entry_ids,
            &batch.parties,
            &booked.versions,
            &booked.deltas,
            &booked.after,
        ];
        let updates: [Parameter<'_>; 3] = [&accounts, &balances, &versions];
        let moves: [Parameter<'_>; 4] = [&topic, &partition, &reached, &epoch];
        let debt: [Parameter<'_>; 3] = [&0_i64, ids, &no_letters];
        let (outcomes, entries, updates, moved, debt, committed) = join!(
            async { client.execute(&self.insert_outcomes, &outcomes).await },
            async { client.execute(&self.insert_entries, &entries).await },
            async { client.execute(&self.update_accounts, &updates).await },
            async { client.query(&self.advance_offsets, &moves).await },
            async { client.query(&self.insert_debt, &debt).await },
            client.batch_execute("commit"),
        );
        outcomes?;
        entries?;
        updates?;
        moved?;
        debt?;
        committed
    }
}
