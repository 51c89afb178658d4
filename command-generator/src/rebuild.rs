//! Knowing again, after a start, who was known before.

use std::collections::BTreeMap;

use rand::Rng;
use topology::consumer::{BATCH_RECORDS_MAX, BatchConsumer, Position, Source};
use topology::kafka::KafkaConfig;
use topology::producer::Producer;
use topology::{Codec, Topic};
use tracing::{info, warn};

use crate::NAME;
use crate::error::GeneratorError;
use crate::generator::account_of;
use crate::positions::Starts;
use crate::public::Public;
use crate::reading::{decode, put_aside};

type Offsets = BTreeMap<(Topic, i32), i64>;

/// Reads all outcomes of account creations up to the end seen at the start, welcomes the
/// accounts, and says where to read on. None of them gets a salary: most had theirs.
pub(crate) async fn rebuild(
    kafka: &KafkaConfig,
    codec: &Codec,
    producer: &Producer,
    starts: &Starts,
    public: &mut Public,
    random: &mut impl Rng,
) -> Result<Vec<Position>, GeneratorError> {
    let mut reached = offsets(&starts.outcomes_first);
    let end = offsets(&starts.outcomes_end);
    let done = offsets(&starts.outcomes_done);
    let mut consumer = BatchConsumer::start(
        kafka,
        "command-generator-rebuild",
        Source::Fixed {
            group: NAME.to_owned(),
            positions: starts.outcomes_first.clone(),
        },
        BATCH_RECORDS_MAX,
    )?;
    while end.iter().any(|(at, end)| reached.get(at) < Some(end)) {
        for consumed in consumer.next().await? {
            let at = (consumed.topic, consumed.partition);
            reached.insert(at, consumed.offset + 1);
            match decode(codec, &consumed).await.and_then(account_of) {
                Ok(Some(account)) => {
                    public.welcome(account, random);
                }
                Ok(None) => {}
                // An earlier run has put it aside already.
                Err(_) if Some(&consumed.offset) < done.get(&at) => {}
                Err(useless) => {
                    put_aside(producer, &kafka.topics(), &consumed, &useless)
                        .await?
                        .wait()
                        .await?;
                }
            }
        }
    }
    // Closing may wait for a poll to end; reading on need not.
    tokio::spawn(consumer.close());
    if public.is_empty() {
        warn!("no account is known yet; the first beats open some");
    }
    info!(accounts = public.len(), "accounts known again");
    Ok(reached
        .into_iter()
        .map(|((topic, partition), next_offset)| Position {
            topic,
            partition,
            next_offset,
            epoch: 0,
        })
        .collect())
}

fn offsets(positions: &[Position]) -> Offsets {
    positions
        .iter()
        .map(|it| ((it.topic, it.partition), it.next_offset))
        .collect()
}
