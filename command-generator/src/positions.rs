//! Where reading starts.
//!
//! Heartbeats: where the group's committed offset says, for beats are worth nothing once
//! their commands are sent, and losing or repeating a few does no harm. Outcomes of
//! account creations: from the first, to know again who was known.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{Offset, TopicPartitionList};
use topology::Topic;
use topology::consumer::{ConsumeError, Position, end_positions, first_positions};
use topology::kafka::{Connection, KafkaConfig};
use tracing::{debug, info};

use crate::NAME;
use crate::error::GeneratorError;

/// Longest wait for one answer of the broker.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before an unanswered question is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);

/// The parts of the logs that concern a start.
#[derive(Clone, Debug)]
pub struct Starts {
    /// Where heartbeats are read on.
    pub heartbeats: Vec<Position>,
    /// The first outcomes.
    pub outcomes_first: Vec<Position>,
    /// Where the outcomes ended when asked.
    pub outcomes_end: Vec<Position>,
    /// Outcomes before these were dealt with by an earlier run.
    pub outcomes_done: Vec<Position>,
}

/// Asks the broker, waiting as long as it takes.
///
/// # Errors
/// [`GeneratorError`] when a client does not accept its settings.
pub async fn find(kafka: &KafkaConfig) -> Result<Starts, GeneratorError> {
    let topics = [Topic::Heartbeat, Topic::AccountCreationFeedback];
    let (first, end, committed) = tokio::try_join!(
        async { Ok(first_positions(kafka, NAME, &topics).await?) },
        async { Ok(end_positions(kafka, NAME, &topics).await?) },
        committed(kafka, &topics),
    )?;
    let of = |positions: &[Position], topic| {
        let concerned = positions.iter().copied();
        concerned.filter(|it| it.topic == topic).collect::<Vec<_>>()
    };
    let next_offset = |position: &Position| {
        let same =
            |it: &&Position| (it.topic, it.partition) == (position.topic, position.partition);
        committed.iter().find(same).map(|it| it.next_offset)
    };
    let heartbeats = of(&first, Topic::Heartbeat)
        .into_iter()
        .zip(of(&end, Topic::Heartbeat))
        .map(|(low, high)| Position {
            next_offset: resume_at(next_offset(&high), low.next_offset, high.next_offset),
            ..high
        })
        .collect();
    let outcomes_first = of(&first, Topic::AccountCreationFeedback);
    let outcomes_done = outcomes_first
        .iter()
        .map(|position| Position {
            next_offset: next_offset(position).unwrap_or(position.next_offset),
            ..*position
        })
        .collect();
    let starts = Starts {
        heartbeats,
        outcomes_first,
        outcomes_end: of(&end, Topic::AccountCreationFeedback),
        outcomes_done,
    };
    info!(?starts.heartbeats, ?starts.outcomes_end, "positions found");
    Ok(starts)
}

/// The committed offset where the log still has it, else the end: beats are no orders
/// that must be made up for.
fn resume_at(committed: Option<i64>, low: i64, high: i64) -> i64 {
    committed
        .filter(|offset| (low..=high).contains(offset))
        .unwrap_or(high)
}

/// What the group committed, for the partitions it did for.
async fn committed(kafka: &KafkaConfig, topics: &[Topic]) -> Result<Vec<Position>, GeneratorError> {
    let consumer: BaseConsumer<Connection> = kafka
        .consumer(NAME, NAME)
        .create_with_context(Connection::new(NAME))
        .map_err(GeneratorError::Open)?;
    let names = kafka.topics();
    let mut asked = TopicPartitionList::new();
    for topic in topics {
        for partition in 0..topic.definition().partitions {
            asked.add_partition(&names.name(*topic), partition);
        }
    }
    let ask = move || {
        let answer = loop {
            match consumer.committed_offsets(asked.clone(), ANSWER_TIMEOUT) {
                Ok(answer) => break answer,
                Err(error) => {
                    debug!(%error, "waiting for kafka");
                    std::thread::sleep(RETRY_PAUSE);
                }
            }
        };
        let elements = answer.elements();
        let positions = elements.iter().filter_map(|element| {
            let Offset::Offset(next_offset) = element.offset() else {
                return None;
            };
            Some(Position {
                topic: names.find(element.topic())?,
                partition: element.partition(),
                next_offset,
                epoch: 0,
            })
        });
        positions.collect()
    };
    tokio::task::spawn_blocking(ask)
        .await
        .map_err(|_| GeneratorError::Consume(ConsumeError::Ended))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heartbeats_are_read_on_where_they_were_left_if_the_log_still_has_it() {
        for (committed, low, high, expected) in [
            (None, 0, 0, 0),
            (None, 5, 90, 90),
            (Some(40), 5, 90, 40),
            (Some(5), 5, 90, 5),
            (Some(90), 5, 90, 90),
            (Some(4), 5, 90, 90),
            (Some(91), 5, 90, 90),
        ] {
            assert_eq!(resume_at(committed, low, high), expected, "{committed:?}");
        }
    }
}
