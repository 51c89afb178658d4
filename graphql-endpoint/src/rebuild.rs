//! The read model made anew from the topics, beside the old one, which goes on serving.
//!
//! The new tables are filled in a schema of their own. When they have caught up, both are
//! compared as far as both have come, and the new ones take the place of the old in one
//! short transaction. The topics are the truth: what differs is told, and the new is kept.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, Source, end_positions, first_positions};
use topology::{Codec, Topic};
use tracing::{info, warn};

use crate::config::Config;
use crate::error::Error;
use crate::identity::TokenVault;
use crate::projection::{Projection, TOPICS};
use crate::steps::Steps;
use crate::store::{Store, statement};

/// Where the new tables are filled.
const SCHEMA: &str = "read_model_rebuild";
/// For lag tools only; nothing is committed under it.
const GROUP: &str = "graphql-endpoint-rebuild";
/// Records of a batch: more than the projection takes, since nobody waits for a single one.
const RECORDS_MAX: usize = 4_096;
/// Between two words about how far it is.
const PROGRESS_INTERVAL: Duration = Duration::from_secs(1);
/// The old tables are asked for so often before it is given up: somebody reads for very long.
const SWAPS_MAX: usize = 100;
/// Any number that nobody else uses: only one rebuild at a time.
const LOCK: &str = "SELECT pg_try_advisory_lock(7145201) AS yes";
const PREPARE: &str = "
    DROP SCHEMA IF EXISTS read_model_rebuild CASCADE;
    CREATE SCHEMA read_model_rebuild;
    CREATE TABLE read_model_rebuild.account (LIKE public.account INCLUDING ALL);
    ALTER TABLE read_model_rebuild.account SET (fillfactor = 70);
    CREATE TABLE read_model_rebuild.account_transaction
        (LIKE public.account_transaction INCLUDING ALL);
    CREATE TABLE read_model_rebuild.projection_offset
        (LIKE public.projection_offset INCLUDING ALL);
    ALTER TABLE read_model_rebuild.projection_offset SET (fillfactor = 50);";
/// Rows up to where both have come, summed up: what each has, and what only one has.
const COMPARE: &str = "
    WITH bound AS MATERIALIZED (
        SELECT old.partition, least(old.next_offset, new.next_offset) AS next_offset
        FROM public.projection_offset old
        JOIN read_model_rebuild.projection_offset new USING (topic, partition)
        WHERE topic = 'balance_changed'
    ), old AS (
        SELECT count(*) AS rows, coalesce(sum(hashtextextended(it::text, 0)), 0) AS sum
        FROM public.account_transaction it
        JOIN bound ON source_partition = partition AND source_offset < next_offset
    ), new AS (
        SELECT count(*) AS rows, coalesce(sum(hashtextextended(it::text, 0)), 0) AS sum
        FROM read_model_rebuild.account_transaction it
        JOIN bound ON source_partition = partition AND source_offset < next_offset
    )
    SELECT old.rows AS old_rows, old.sum::text AS old_sum,
           new.rows AS new_rows, new.sum::text AS new_sum
    FROM old, new";
/// The order is the one in which the projection takes them, so that neither waits for ever.
const TAKE_TABLES: &str = "
    SET LOCAL lock_timeout = '3s';
    LOCK TABLE public.projection_offset, public.account_transaction, public.account
        IN ACCESS EXCLUSIVE MODE;";
const BEHIND: &str = "
    SELECT old.topic, old.partition::bigint AS partition, old.next_offset
    FROM public.projection_offset old
    LEFT JOIN read_model_rebuild.projection_offset new USING (topic, partition)
    WHERE old.next_offset > coalesce(new.next_offset, 0)";
/// Higher epochs than the old ones: whoever projects now finds its own over, and takes the
/// partitions again where the new tables are.
const SWAP: &str = "
    UPDATE read_model_rebuild.projection_offset new SET epoch = old.epoch + 1
    FROM public.projection_offset old
    WHERE old.topic = new.topic AND old.partition = new.partition;
    DROP TABLE public.account, public.account_transaction, public.projection_offset;
    ALTER TABLE read_model_rebuild.account SET SCHEMA public;
    ALTER TABLE read_model_rebuild.account_transaction SET SCHEMA public;
    ALTER TABLE read_model_rebuild.projection_offset SET SCHEMA public;
    DROP SCHEMA read_model_rebuild;";

#[derive(QueryableByName)]
struct Yes {
    #[diesel(sql_type = Bool)]
    yes: bool,
}

#[derive(QueryableByName)]
struct Behind {
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = BigInt)]
    partition: i64,
    #[diesel(sql_type = BigInt)]
    next_offset: i64,
}

#[derive(QueryableByName)]
struct Compared {
    #[diesel(sql_type = BigInt)]
    old_rows: i64,
    #[diesel(sql_type = Text)]
    old_sum: String,
    #[diesel(sql_type = BigInt)]
    new_rows: i64,
    #[diesel(sql_type = Text)]
    new_sum: String,
}

/// First offset not yet needed, by topic and partition.
type Goal = BTreeMap<(Topic, i32), i64>;

/// What a rebuild found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// Rows of the new read model that were compared.
    pub rows: i64,
    /// The old one had the same, as far as both had come.
    pub was_equal: bool,
}

/// Rebuilds, and puts the new read model in the place of the old one.
///
/// # Errors
/// When another rebuild runs, or something it needs is away; the old one goes on then.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    tokio::select! {
        rebuilt = rebuild(&config) => {
            let rebuilt = rebuilt?;
            if rebuilt.was_equal {
                info!(rows = rebuilt.rows, "rebuilt: equal to the old read model");
            } else {
                warn!(rows = rebuilt.rows, "rebuilt: the old read model was different");
            }
            Ok(())
        }
        () = stop.cancelled() => {
            info!("the old read model goes on");
            Ok(())
        }
    }
}

/// As [`run`], and tells what it found.
///
/// # Errors
/// As [`run`].
pub async fn rebuild(config: &Config) -> Result<Rebuilt, Error> {
    let kafka = &config.common.kafka;
    let url = config.database_url.expose();
    let mut own = topology::postgres::establish(url)
        .await
        .map_err(|error| Error::DatabaseAway(Box::new(error)))?;
    let locked: Yes = statement(LOCK).get_result(&mut own).await?;
    if !locked.yes {
        return Err(Error::RebuildRuns);
    }
    own.batch_execute(PREPARE).await?;
    let url = &config.common.schema_registry_url;
    let codec = Codec::connect(url, &kafka.topics(), &[]).await;
    let store = Store::within(&config.database_url, SCHEMA);
    let mut positions = first_positions(kafka, GROUP, &TOPICS).await?;
    let partitions: Vec<(Topic, i32)> = positions
        .iter()
        .map(|position| (position.topic, position.partition))
        .collect();
    // The first epoch of each, as the new tables have it.
    for taken in store.take_partitions(&partitions).await? {
        for position in &mut positions {
            if (position.topic, position.partition) == (taken.topic, taken.partition) {
                position.epoch = taken.epoch;
            }
        }
    }
    let ends = end_positions(kafka, GROUP, &TOPICS).await?;
    let goal: Goal = ends
        .iter()
        .map(|end| ((end.topic, end.partition), end.next_offset))
        .collect();
    let mut rebuild = Rebuild {
        done: positions
            .iter()
            .map(|first| ((first.topic, first.partition), first.next_offset))
            .collect(),
        consumer: BatchConsumer::start(
            kafka,
            GROUP,
            Source::Fixed {
                group: GROUP.to_owned(),
                positions,
            },
            RECORDS_MAX,
        )?,
        projection: Projection {
            store,
            codec: Arc::new(codec),
            producer: None,
            vault: Arc::new(TokenVault::new(&config.token_key_file)),
            steps: Steps::default(),
            journeys: Arc::default(),
            projected: Arc::default(),
        },
        config,
    };
    rebuild.reach(&goal).await?;
    let compared: Compared = statement(COMPARE).get_result(&mut own).await?;
    let was_equal =
        (compared.old_rows, &compared.old_sum) == (compared.new_rows, &compared.new_sum);
    info!(
        old_rows = compared.old_rows,
        old_checksum = compared.old_sum,
        new_rows = compared.new_rows,
        new_checksum = compared.new_sum,
        "compared"
    );
    for _ in 0..SWAPS_MAX {
        match swap(&mut own).await {
            Ok(behind) if behind.is_empty() => {
                rebuild.consumer.close().await;
                return Ok(Rebuilt {
                    rows: compared.new_rows,
                    was_equal,
                });
            }
            Ok(behind) => rebuild.reach(&behind).await?,
            Err(error) => {
                info!(%error, "the old tables are in use, trying again");
                tokio::time::sleep(PROGRESS_INTERVAL).await;
            }
        }
    }
    own.batch_execute("DROP SCHEMA read_model_rebuild CASCADE")
        .await?;
    Err(Error::TablesInUse)
}

struct Rebuild<'a> {
    config: &'a Config,
    consumer: BatchConsumer,
    projection: Projection,
    done: Goal,
}

impl Rebuild<'_> {
    fn missing(&self, goal: &Goal) -> i64 {
        goal.iter()
            .map(|(place, end)| (end - self.done.get(place).copied().unwrap_or(0)).max(0))
            .sum()
    }

    /// Reads and applies until everything before the goal is in the new tables.
    async fn reach(&mut self, goal: &Goal) -> Result<(), Error> {
        let total = self.missing(goal);
        let started = Instant::now();
        let mut told = started;
        while self.missing(goal) > 0 {
            let batch = self.consumer.next().await?;
            self.projection
                .apply(&self.config.common.kafka, &batch)
                .await?;
            for consumed in &batch {
                self.done
                    .insert((consumed.topic, consumed.partition), consumed.offset + 1);
            }
            if told.elapsed() >= PROGRESS_INTERVAL {
                told = Instant::now();
                self.tell(total, goal, started);
            }
        }
        self.tell(total, goal, started);
        Ok(())
    }

    fn tell(&self, total: i64, goal: &Goal, started: Instant) {
        let done = total - self.missing(goal);
        let milliseconds = i64::try_from(started.elapsed().as_millis()).unwrap_or(i64::MAX);
        info!(
            records = done,
            of = total,
            per_second = done.saturating_mul(1_000) / milliseconds.max(1),
            "rebuilding"
        );
    }
}

/// The swap, or what the new tables lack for it.
async fn swap(own: &mut AsyncPgConnection) -> Result<Goal, diesel::result::Error> {
    own.transaction::<_, diesel::result::Error, _>(async |own| {
        own.batch_execute(TAKE_TABLES).await?;
        let behind: Vec<Behind> = statement(BEHIND).load(own).await?;
        if behind.is_empty() {
            own.batch_execute(SWAP).await?;
        }
        let names = topology::Topics::default();
        Ok(behind
            .into_iter()
            .filter_map(|row| {
                let partition = i32::try_from(row.partition).ok()?;
                Some(((names.find(&row.topic)?, partition), row.next_offset))
            })
            .collect())
    })
    .await
}
