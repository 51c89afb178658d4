//! What the machine itself takes, in the same run: a record from a producer to a consumer,
//! one command in the books, its changes in the read model, one forced write. Every figure is worth what its floors were.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use futures_util::join;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Serialize;
use tokio_postgres::{Client, Statement};
use topology::Topic;
use uuid::Uuid;

use crate::clock::Clock;
use crate::commands::command_id;
use crate::error::Error;
use crate::installation::Installation;
use crate::latency::{Latencies, LatencySummary};
use crate::observer;
use crate::read_model;

/// Like an idle bank: a record now and then.
const HOP_INTERVAL: Duration = Duration::from_millis(50);
const HOP_PATIENCE: Duration = Duration::from_secs(10);
const HOP_BYTES: usize = 100;
/// Before the first counts.
const WARM_UP: usize = 20;
const SYNC_BYTES: usize = 8 * 1024;
/// The copy of the books that the applies are written to.
const APPLY_DATABASE: &str = "perf_floor";

/// The floors.
#[derive(Clone, Debug, Serialize)]
pub struct Floors {
    /// A record of 100 bytes from a producer to a consumer with the services' settings.
    pub hop: LatencySummary,
    /// One transfer in a copy of the books: the handler's statements, two pipelined round
    /// trips; as often as records hop.
    pub apply: LatencySummary,
    /// The records of one transfer into a copy of the gateway's tables: its statements, in seven
    /// round trips.
    pub read_model: LatencySummary,
    /// The same with a full batch.
    pub read_model_full: LatencySummary,
    /// 8 KiB written over and forced to disk.
    pub sync: LatencySummary,
}

/// Takes all floors; no handler may run.
///
/// # Errors
/// When one of them cannot be taken.
pub fn floors(installation: &Installation, samples: usize) -> Result<Floors, Error> {
    let summary = |latencies: Latencies| {
        let mut summary = latencies.summary();
        summary.histogram_us.clear();
        summary
    };
    let read_model = installation.runtime.block_on(read_model::measure(
        &installation.administrator,
        &installation.names.gateway_database,
        &installation.accounts,
        installation.clock,
        samples,
    ))?;
    Ok(Floors {
        hop: summary(hop(installation, samples)?),
        apply: summary(apply(installation, samples)?),
        read_model: summary(read_model.one),
        read_model_full: summary(read_model.full),
        sync: summary(sync(
            installation.site.layout.directory(),
            samples,
            installation.clock,
        )?),
    })
}

fn hop(installation: &Installation, samples: usize) -> Result<Latencies, Error> {
    let (kafka, clock) = (&installation.kafka, installation.clock);
    // Nobody beats and nobody listens in an installation that is measured.
    let topic = kafka.topics().name(Topic::Heartbeat);
    let consumer: BaseConsumer = kafka.consumer("perf-hop", "perf-hop").create()?;
    observer::assign_ends(&consumer, kafka, &[Topic::Heartbeat])?;
    let producer: BaseProducer = kafka.producer("perf-hop").create()?;
    let value = [7_u8; HOP_BYTES];
    let mut latencies = Latencies::default();
    for number in 0..samples + WARM_UP {
        let sent = clock.now_ns();
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&topic).key("hop").payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
        let arrived = loop {
            match consumer.poll(HOP_PATIENCE) {
                Some(Ok(message)) if message.payload().is_some() => break clock.now_ns(),
                Some(_) => {}
                None => {
                    return Err(Error::TooLate {
                        what: "a record has hopped".to_owned(),
                        patience: HOP_PATIENCE,
                    });
                }
            }
        };
        if number >= WARM_UP {
            latencies.record(sent, arrived);
        }
        producer.poll(Duration::ZERO);
        installation.pause(HOP_INTERVAL)?;
    }
    producer.flush(HOP_PATIENCE)?;
    Ok(latencies)
}

fn sync(folder: &Path, samples: usize, clock: Clock) -> Result<Latencies, Error> {
    let path = folder.join("perf-sync");
    let failed = |action| Error::io(action, path.clone());
    let mut file = File::create(&path).map_err(failed("create"))?;
    let page = vec![7_u8; SYNC_BYTES];
    file.write_all(&page).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    let mut latencies = Latencies::default();
    for number in 0..samples + WARM_UP {
        let started = clock.now_ns();
        file.write_all_at(&page, 0).map_err(failed("write"))?;
        file.sync_data().map_err(failed("sync"))?;
        if number >= WARM_UP {
            latencies.record(started, clock.now_ns());
        }
    }
    std::fs::remove_file(&path).map_err(failed("remove"))?;
    Ok(latencies)
}

/// In a copy, so that the books themselves stay right.
fn apply(installation: &Installation, samples: usize) -> Result<Latencies, Error> {
    let runtime = installation.runtime.clone();
    let administrator = &installation.administrator;
    let books = &installation.names.database;
    runtime.block_on(async {
        administrator.drop(APPLY_DATABASE).await?;
        administrator.copy(books, APPLY_DATABASE).await
    })?;
    let latencies = runtime.block_on(async {
        let client = administrator.open(APPLY_DATABASE).await?;
        let applied = apply_many(&client, installation, samples).await;
        applied.map_err(Error::postgres("apply a transfer to a copy of the books"))
    });
    runtime.block_on(administrator.drop(APPLY_DATABASE))?;
    latencies
}

type Parameter<'a> = &'a (dyn tokio_postgres::types::ToSql + Sync);

/// The handler's statements, as its store has them.
struct Statements {
    lock_accounts: Statement,
    read_priors: Statement,
    insert_outcomes: Statement,
    insert_entries: Statement,
    update_accounts: Statement,
    advance_offsets: Statement,
    insert_debt: Statement,
}

async fn apply_many(
    client: &Client,
    installation: &Installation,
    samples: usize,
) -> Result<Latencies, tokio_postgres::Error> {
    client
        .batch_execute(
            "set plan_cache_mode = force_generic_plan; set enable_seqscan = off; \
             set enable_hashjoin = off; set enable_mergejoin = off; \
             insert into consumer_offset values ('perf-floor', 0, 0, 1)",
        )
        .await?;
    let prepare = |text: &'static str| client.prepare(text);
    let statements = Statements {
        lock_accounts: prepare(
            "select iban, token_digest, balance_cents, limit_cents, version \
             from account where iban = any($1) order by iban for no key update",
        )
        .await?,
        read_priors: prepare(
            "select command_id, request_hash, source_topic, source_partition, source_offset, \
             frames from outcome where command_id = any($1)",
        )
        .await?,
        insert_outcomes: prepare(
            "insert into outcome (command_id, request_hash, kind, rejection, observed_version, \
             source_topic, source_partition, source_offset, frames) \
             select * from unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], \
             $5::bigint[], $6::text[], $7::integer[], $8::bigint[], $9::bytea[])",
        )
        .await?,
        insert_entries: prepare(
            "insert into ledger_entry (command_id, account, version, delta_cents, \
             balance_after_cents) select * from unnest($1::uuid[], $2::text[], $3::bigint[], \
             $4::bigint[], $5::bigint[])",
        )
        .await?,
        update_accounts: prepare(
            "update account set balance_cents = given.balance, version = given.version \
             from unnest($1::text[], $2::bigint[], $3::bigint[]) as given(iban, balance, version) \
             where account.iban = given.iban",
        )
        .await?,
        advance_offsets: prepare("select advance_offsets($1, $2, $3, $4)").await?,
        insert_debt: prepare(
            "insert into emission_debt (owner, command_ids, dead_letters) values ($1, $2, $3) \
             returning debt_id",
        )
        .await?,
    };
    let clock = installation.clock;
    let mut latencies = Latencies::default();
    let accounts = installation.accounts.len() - 1;
    for number in 0..samples + WARM_UP {
        let pair = [number * 2 % accounts, (number * 2 + 1) % accounts];
        let ibans = pair.map(|index| installation.accounts[index].iban.as_str());
        let index = u32::try_from(number).unwrap_or(0);
        let id = Uuid::from_bytes(command_id(0, index, 0));
        let started = clock.now_ns();
        apply_one(client, &statements, ibans, id, number).await?;
        if number >= WARM_UP {
            latencies.record(started, clock.now_ns());
        }
        // As often as an idle bank has something to do: the caches are as cold.
        tokio::time::sleep(HOP_INTERVAL / 2).await;
    }
    Ok(latencies)
}

async fn apply_one(
    client: &Client,
    statements: &Statements,
    ibans: [&str; 2],
    id: Uuid,
    number: usize,
) -> Result<(), tokio_postgres::Error> {
    let (ibans, ids) = (ibans.to_vec(), vec![id]);
    let (begun, accounts, priors) = join!(
        client.batch_execute("begin"),
        async { client.query(&statements.lock_accounts, &[&ibans]).await },
        async { client.query(&statements.read_priors, &[&ids]).await },
    );
    begun?;
    priors?;
    let accounts = accounts?;
    let found: Vec<String> = accounts.iter().map(|row| row.get(0)).collect();
    let balances: Vec<i64> = accounts.iter().map(|row| row.get(2)).collect();
    let versions: Vec<i64> = accounts
        .iter()
        .map(|row| row.get::<_, i64>(4) + 1)
        .collect();
    let written: Vec<Option<i64>> = versions.iter().copied().map(Some).collect();
    let after: Vec<Option<i64>> = balances.iter().copied().map(Some).collect();
    let hashes: Vec<&[u8]> = vec![&[7; 16]];
    let nobody: Vec<Option<&str>> = vec![None];
    let observed: Vec<Option<i64>> = vec![written.first().copied().flatten()];
    // As long as the frames of a transfer are.
    let frames: Vec<&[u8]> = vec![&[7; 420]];
    let both = vec![id, id];
    let offset = i64::try_from(number).unwrap_or(0);
    let none: Option<Vec<u8>> = None;
    let (kinds, topics) = (vec!["money_transfer"], vec!["perf-floor"]);
    let (partitions, offsets, epochs) = (vec![0_i32], vec![offset], vec![1_i64]);
    let deltas = vec![-1_i64, 1];
    let (outcomes, entries, updates, moved, debt, committed) = join!(
        async {
            let outcome: [Parameter<'_>; 9] = [
                &ids,
                &hashes,
                &kinds,
                &nobody,
                &observed,
                &topics,
                &partitions,
                &offsets,
                &frames,
            ];
            client.execute(&statements.insert_outcomes, &outcome).await
        },
        async {
            let entries: [Parameter<'_>; 5] = [&both, &found, &written, &deltas, &after];
            client.execute(&statements.insert_entries, &entries).await
        },
        async {
            let updates: [Parameter<'_>; 3] = [&found, &balances, &versions];
            client.execute(&statements.update_accounts, &updates).await
        },
        async {
            let offsets: [Parameter<'_>; 4] = [&topics, &partitions, &offsets, &epochs];
            client.query(&statements.advance_offsets, &offsets).await
        },
        async {
            let debt: [Parameter<'_>; 3] = [&0_i64, &ids, &none];
            client.query(&statements.insert_debt, &debt).await
        },
        client.batch_execute("commit"),
    );
    outcomes?;
    entries?;
    updates?;
    moved?;
    debt?;
    committed
}
