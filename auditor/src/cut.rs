//! The cut: which records and rows belong together, although the bank goes on.
//!
//! Nothing is stopped for an audit. The handler's offsets move in the transaction that
//! does what the records before them ask for, so a snapshot of its books names the exact
//! end of the commands it has dealt with. What it has sent is bounded from both sides:
//! records that stood in the topics before the snapshot belong to decisions in it; records
//! of decisions in it, but for those noted as owed, stand in the topics after it. The same
//! holds of the read model and its offsets.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::database::Database;
use crate::facts::{
    ACCOUNT_ANSWERS, ACCOUNT_COMMANDS, CHANGES, DEAD_LETTERS, Place, TRANSFER_ANSWERS,
    TRANSFER_COMMANDS, topic_number,
};
use crate::invariants::Name;
use crate::kafka::{Kafka, Offsets};
use crate::report::CannotCheck;
use crate::tally::Tally;
use crate::{Options, Sources};

const COMMANDS: [u8; 2] = [ACCOUNT_COMMANDS, TRANSFER_COMMANDS];
const EVENTS: [u8; 3] = [ACCOUNT_ANSWERS, TRANSFER_ANSWERS, CHANGES];
/// Between two looks at what is still waited for.
const PAUSE: Duration = Duration::from_millis(50);
/// A snapshot without debts is tried for so long; under load there is always one.
const QUIET_WANTED: Duration = Duration::from_secs(2);

pub(crate) const HANDLER: &str = "command_handler";
pub(crate) const GATEWAY: &str = "graphql_endpoint";
const HANDLER_OFFSETS: &str = "select topic, partition, next_offset from consumer_offset";
const GATEWAY_OFFSETS: &str = "select topic, partition, next_offset from projection_offset";

/// What belongs together.
pub(crate) struct Cut {
    /// The handler's books.
    pub(crate) handler: Database,
    /// The read model.
    pub(crate) gateway: Database,
    /// Commands before these are dealt with in the books.
    pub(crate) decided: Offsets,
    /// Events before these are of decisions in the books.
    pub(crate) sent_before: Offsets,
    /// Events up to here are read.
    pub(crate) read_to: Offsets,
    /// Events before these are in the read model.
    pub(crate) projected: Offsets,
    /// Partitions of each topic.
    pub(crate) partitions: BTreeMap<u8, usize>,
    /// Commands whose records the books note as owed.
    pub(crate) owed: HashSet<u128>,
    /// Whether dead letters are owed as well.
    pub(crate) are_letters_owed: bool,
    /// Whether the projection was given up on before it had everything.
    pub(crate) is_read_model_behind: bool,
}

/// How far the bank was at an earlier look: for the end, when it must not be further back.
pub(crate) struct Stand {
    handler: Offsets,
    gateway: Offsets,
}

/// Asks on a thread of its own.
pub(crate) fn blocking<T: Send + 'static>(
    kafka: &Kafka,
    ask: impl FnOnce(&Kafka) -> Result<T, CannotCheck> + Send + 'static,
) -> impl Future<Output = Result<T, CannotCheck>> {
    let kafka = kafka.clone();
    let asked = tokio::task::spawn_blocking(move || ask(&kafka));
    async {
        asked
            .await
            .map_err(|error| CannotCheck::Ended(error.to_string()))?
    }
}

async fn offsets(database: &Database, question: &str) -> Result<Offsets, CannotCheck> {
    let rows = database.query(question, &[]).await?;
    Ok(rows
        .iter()
        .filter_map(|row| {
            let topic = topic_number(row.get(0))?;
            Some(((topic, row.get(1)), row.get(2)))
        })
        .collect())
}

/// The first partition that is not as far as wanted.
fn behind(stand: &Offsets, wanted: &Offsets) -> Option<(Place, i64)> {
    wanted.iter().find_map(|((topic, partition), end)| {
        let offset = stand
            .get(&(*topic, *partition))
            .copied()
            .unwrap_or_default();
        let place = Place {
            topic: *topic,
            partition: *partition,
            offset,
        };
        (offset < *end).then_some((place, *end))
    })
}

fn only(offsets: &Offsets, topics: &[u8]) -> Offsets {
    let wanted = offsets
        .iter()
        .filter(|((topic, _), _)| topics.contains(topic));
    wanted.map(|(at, offset)| (*at, *offset)).collect()
}

async fn debts(database: &Database) -> Result<HashSet<i64>, CannotCheck> {
    let rows = database
        .query("select debt_id from emission_debt", &[])
        .await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

impl Cut {
    /// Waits until the bank has dealt with what there is, and takes the cut.
    pub(crate) async fn take(
        kafka: &Kafka,
        sources: &Sources,
        options: &Options,
        tally: &mut Tally,
    ) -> Result<(Cut, Stand), CannotCheck> {
        let all = blocking(kafka, |kafka| kafka.ends(&[0, 1, 2, 3, 4, 5])).await?;
        let mut partitions = BTreeMap::new();
        for (topic, _) in all.keys() {
            *partitions.entry(*topic).or_insert(0) += 1;
        }
        let asked = only(&all, &COMMANDS);
        let looking = Database::connect(&sources.handler_database_url, HANDLER).await?;
        let reading = Database::connect(&sources.gateway_database_url, GATEWAY).await?;
        let stand = Stand {
            handler: offsets(&looking, HANDLER_OFFSETS).await?,
            gateway: offsets(&reading, GATEWAY_OFFSETS).await?,
        };
        let started = Instant::now();
        let what = "the handler";
        keeps_up(&looking, HANDLER_OFFSETS, &asked, options.wait, what, tally).await?;
        debts_are_paid(&looking, started, options.wait, tally).await?;

        // Before the snapshot: Kafka must not be told of more than the database has.
        let committed = {
            let asked = asked.clone();
            blocking(kafka, move |kafka| {
                kafka.committed("command-handler", &asked)
            })
            .await?
        };
        let (handler, sent_before) = quiet_snapshot(kafka, sources).await?;
        let decided = offsets(&handler, HANDLER_OFFSETS).await?;
        let now = blocking(kafka, |kafka| kafka.ends(&[0, 1, 2, 3, 4, 5])).await?;
        judge_offsets(tally, "consumer_offset", &committed, &decided, &now);
        let decided: Offsets = decided
            .into_iter()
            .map(|(at, offset)| (at, offset.min(now.get(&at).copied().unwrap_or_default())))
            .collect();

        let rows = handler
            .query(
                "select unnest(command_ids), dead_letters is not null from emission_debt",
                &[],
            )
            .await?;
        let owed = rows.iter().map(|row| row.get::<_, uuid::Uuid>(0).as_u128());
        let owed = owed.collect();
        let letters = "select count(*) from emission_debt where dead_letters is not null";
        let letters: i64 = handler.query(letters, &[]).await?[0].get(0);

        let sent = only(&now, &EVENTS);
        let what = "the projection";
        let is_read_model_behind =
            !keeps_up(&reading, GATEWAY_OFFSETS, &sent, options.wait, what, tally).await?;
        let committed = {
            let sent = sent.clone();
            blocking(kafka, move |kafka| {
                kafka.committed("graphql-endpoint", &sent)
            })
            .await?
        };
        let gateway = Database::snapshot(&sources.gateway_database_url, GATEWAY).await?;
        let projected = offsets(&gateway, GATEWAY_OFFSETS).await?;
        let now = blocking(kafka, |kafka| kafka.ends(&[2, 3, 4, 5])).await?;
        judge_offsets(tally, "projection_offset", &committed, &projected, &now);

        let mut read_to = sent;
        for (at, offset) in &projected {
            if let Some(end) = read_to.get_mut(at) {
                // Not beyond what there is, whatever the database says.
                let limit = now.get(at).copied().unwrap_or_default();
                *end = (*end).max((*offset).min(limit));
            }
        }
        read_to.extend(only(&now, &[DEAD_LETTERS]));
        let cut = Cut {
            handler,
            gateway,
            decided,
            sent_before,
            read_to,
            projected,
            partitions,
            owed,
            are_letters_owed: letters > 0,
            is_read_model_behind,
        };
        Ok((cut, stand))
    }
}

impl Stand {
    /// Looks again: no offset may have gone back.
    pub(crate) async fn look_again(
        &self,
        sources: &Sources,
        tally: &mut Tally,
    ) -> Result<(), CannotCheck> {
        for (url, name, question, before) in [
            (
                &sources.handler_database_url,
                HANDLER,
                HANDLER_OFFSETS,
                &self.handler,
            ),
            (
                &sources.gateway_database_url,
                GATEWAY,
                GATEWAY_OFFSETS,
                &self.gateway,
            ),
        ] {
            let database = Database::connect(url, name).await?;
            let now = offsets(&database, question).await?;
            for ((topic, partition), offset) in before {
                let later = now.get(&(*topic, *partition)).copied().unwrap_or_default();
                tally.check(Name::D3, later >= *offset, || {
                    let place = Place {
                        topic: *topic,
                        partition: *partition,
                        offset: *offset,
                    };
                    format!("{name}: {place} went back to {later}")
                });
            }
        }
        Ok(())
    }
}

/// Takes the books at a moment without debts if there is one, and where events ended just
/// before.
async fn quiet_snapshot(
    kafka: &Kafka,
    sources: &Sources,
) -> Result<(Database, Offsets), CannotCheck> {
    let started = Instant::now();
    loop {
        let before = blocking(kafka, |kafka| kafka.ends(&EVENTS)).await?;
        let handler = Database::snapshot(&sources.handler_database_url, HANDLER).await?;
        if debts(&handler).await?.is_empty() || started.elapsed() > QUIET_WANTED {
            return Ok((handler, before));
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn keeps_up(
    database: &Database,
    question: &str,
    wanted: &Offsets,
    wait: Duration,
    what: &str,
    tally: &mut Tally,
) -> Result<bool, CannotCheck> {
    let started = Instant::now();
    loop {
        let late = behind(&offsets(database, question).await?, wanted);
        let is_over = started.elapsed() > wait;
        if late.is_none() || is_over {
            tally.checked(Name::F7, wanted.len().saturating_sub(1) as u64);
            tally.check(Name::F7, late.is_none(), || {
                let (place, end) = late.unwrap_or((Place::NOWHERE, 0));
                let seconds = wait.as_secs();
                format!("{what} is at {place} of {end} after {seconds} s")
            });
            return Ok(late.is_none());
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// The debts there are must be gone some time.
async fn debts_are_paid(
    database: &Database,
    started: Instant,
    wait: Duration,
    tally: &mut Tally,
) -> Result<(), CannotCheck> {
    let mut left = debts(database).await?;
    let count = left.len() as u64;
    while !left.is_empty() && started.elapsed() <= wait {
        tokio::time::sleep(PAUSE).await;
        let now = debts(database).await?;
        left.retain(|debt| now.contains(debt));
    }
    tally.checked(Name::F3, count - left.len() as u64);
    // Looked at, also when there is none.
    tally.checked(Name::F3, u64::from(count == 0));
    let mut left: Vec<i64> = left.into_iter().collect();
    left.sort_unstable();
    for debt in left {
        tally.check(Name::F3, false, || {
            format!(
                "emission_debt {debt} still stands after {} s",
                wait.as_secs()
            )
        });
    }
    Ok(())
}

fn judge_offsets(
    tally: &mut Tally,
    table: &str,
    committed: &Offsets,
    stored: &Offsets,
    ends: &Offsets,
) {
    for ((topic, partition), offset) in committed {
        let found = stored.get(&(*topic, *partition)).copied();
        let place = Place {
            topic: *topic,
            partition: *partition,
            offset: *offset,
        };
        tally.check(Name::F2, found.is_some_and(|it| it >= *offset), || {
            format!("committed in Kafka: {place}; in {table}: {found:?}")
        });
    }
    for ((topic, partition), offset) in stored {
        let end = ends.get(&(*topic, *partition)).copied().unwrap_or_default();
        tally.check(Name::D3, *offset <= end, || {
            let place = Place {
                topic: *topic,
                partition: *partition,
                offset: *offset,
            };
            format!("{table} is at {place}, the log ends at {end}")
        });
    }
}

/// A directory for the facts of one audit, removed with it.
pub(crate) fn scratch(parent: Option<&Path>) -> Result<tempfile::TempDir, CannotCheck> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("bank-audit-");
    let made = match parent {
        Some(parent) => builder.tempdir_in(parent),
        None => builder.tempdir(),
    };
    made.map_err(|source| CannotCheck::File {
        action: "make a directory in",
        path: parent
            .map_or_else(std::env::temp_dir, Path::to_owned)
            .display()
            .to_string(),
        source,
    })
}
