//! A command's way through the topics, read from the topics themselves: the command, its
//! outcome and the changes it caused, each with its place and its schema, and the time it
//! took from each to the next.
//!
//! Nobody keeps where a command stands. Its time is known, so its topic is read from that
//! time on until it is found; what it caused is in the read model with its place.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::consumer::Consumer;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use topology::kafka::KafkaConfig;
use topology::stamps::{Stamp, Stamps};
use topology::{CommandId, Topic};

use crate::answer::Refusal;
use crate::error::Error;
use crate::journeys::{Journey, Moment};
use crate::store::commands::CommandKind;
use crate::topic_records::{
    BROKER_WAIT, Found, POLL_WAIT, SEARCH_MAX, TopicRecords, Trace, reader,
};

/// Clocks of the database and the broker may differ by so much.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(2);
/// Records looked at in one search.
const RECORDS_MAX: usize = 100_000;
/// Longest wait for one change whose place is known.
const FETCH_MAX: Duration = Duration::from_secs(2);

/// Where the changes of a command stand: partition and offset in `balance_changed`.
pub type Place = (i32, i64);

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The command, as it was sent first.
    pub command: Option<Trace>,
    /// Its first outcome.
    pub outcome: Option<Trace>,
}

/// One step of a command's way. A time nobody has stamped is not known.
#[derive(Clone, Debug, PartialEq)]
pub struct Hop {
    /// Which step.
    pub name: &'static str,
    /// When it began: the end of the one before.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub ended_at: Option<DateTime<Utc>>,
    /// Worth knowing.
    pub detail: Option<String>,
}

/// Finds a command that was given at this time, and its outcome.
///
/// # Errors
/// RATE_LIMITED when others are reading, UNAVAILABLE when the broker does not answer.
pub async fn find(
    records: &Arc<TopicRecords>,
    command_id: CommandId,
    kind: CommandKind,
    given_at: DateTime<Utc>,
) -> Result<Trail, Refusal> {
    let topics = match kind {
        CommandKind::OpenAccount => [
            Topic::ConfirmAccountCreation,
            Topic::AccountCreationFeedback,
        ],
        CommandKind::Deposit | CommandKind::Transfer => {
            [Topic::ConfirmMoneyTransfer, Topic::MoneyTransferFeedback]
        }
    };
    let since = given_at - CLOCKS_APART;
    let found = records
        .read(move |kafka| search(kafka, topics, since, command_id))
        .await?;
    let mut trail = Trail::default();
    for found in found {
        let is_command = found.topic == topics[0];
        let trace = records.trace(found).await;
        let place = if is_command {
            &mut trail.command
        } else {
            &mut trail.outcome
        };
        place.get_or_insert(trace);
    }
    Ok(trail)
}

/// The changes at these places.
///
/// # Errors
/// As [`find`].
pub async fn changes(
    records: &Arc<TopicRecords>,
    places: Vec<Place>,
) -> Result<Vec<Trace>, Refusal> {
    let found = records.read(move |kafka| fetch(kafka, &places)).await?;
    let mut changes = Vec::new();
    for found in found {
        changes.push(records.trace(found).await);
    }
    Ok(changes)
}

/// The first record of each topic that carries the id, from this time on.
fn search(
    kafka: &KafkaConfig,
    topics: [Topic; 2],
    since: DateTime<Utc>,
    command_id: CommandId,
) -> Result<Vec<Found>, Error> {
    let reader = reader(kafka)?;
    let names = topics.map(|topic| kafka.topics().name(topic));
    let mut times = TopicPartitionList::new();
    for (topic, name) in topics.iter().zip(&names) {
        for partition in 0..topic.definition().partitions {
            let time = Offset::Offset(since.timestamp_millis());
            times.add_partition_offset(name, partition, time)?;
        }
    }
    let places = reader.offsets_for_times(times, BROKER_WAIT)?;
    let mut starts = TopicPartitionList::new();
    let mut ends: BTreeMap<(String, i32), i64> = BTreeMap::new();
    for place in places.elements() {
        // Nothing is as new in a partition that answers with its end.
        if let Offset::Offset(start) = place.offset() {
            let (name, partition) = (place.topic(), place.partition());
            let (_, end) = reader.fetch_watermarks(name, partition, BROKER_WAIT)?;
            if start < end {
                starts.add_partition_offset(name, partition, Offset::Offset(start))?;
                ends.insert((name.to_owned(), partition), end);
            }
        }
    }
    reader.assign(&starts)?;
    let needle = command_id.0.into_bytes();
    let deadline = Instant::now() + SEARCH_MAX;
    let mut found: Vec<Found> = Vec::new();
    let mut looked_at = 0;
    while found.len() < topics.len()
        && !ends.is_empty()
        && looked_at < RECORDS_MAX
        && Instant::now() < deadline
    {
        let Some(message) = reader.poll(POLL_WAIT) else {
            continue;
        };
        let message = message?;
        looked_at += 1;
        let at = names.iter().position(|name| name == message.topic());
        if let Some(topic) = at.map(|at| topics[at])
            && found.iter().all(|other| other.topic != topic)
            && message
                .payload()
                .is_some_and(|value| value.windows(needle.len()).any(|part| part == needle))
        {
            found.push(Found::of(topic, &message));
        }
        let place = (message.topic().to_owned(), message.partition());
        if ends
            .get(&place)
            .is_some_and(|end| message.offset() + 1 >= *end)
        {
            ends.remove(&place);
        }
    }
    Ok(found)
}

/// The balance changes at these places.
fn fetch(kafka: &KafkaConfig, places: &[Place]) -> Result<Vec<Found>, Error> {
    let reader = reader(kafka)?;
    let name = kafka.topics().name(Topic::BalanceChanged);
    let mut found = Vec::new();
    for (partition, offset) in places {
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&name, *partition, Offset::Offset(*offset))?;
        reader.assign(&start)?;
        let deadline = Instant::now() + FETCH_MAX;
        while Instant::now() < deadline {
            if let Some(message) = reader.poll(POLL_WAIT) {
                let message = message?;
                if message.partition() == *partition && message.offset() == *offset {
                    found.push(Found::of(Topic::BalanceChanged, &message));
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// The steps of a command, from the stamps of its records and from what this gateway has
/// noted itself.
#[must_use]
pub fn hops(stamps: Option<Stamps>, journey: Journey, command: Option<&Trace>) -> Vec<Hop> {
    let stamps = stamps.unwrap_or_default();
    let stamped = |stamp| stamps.get(stamp).and_then(DateTime::from_timestamp_micros);
    let noted = |moment| journey.at(moment).and_then(DateTime::from_timestamp_micros);
    let batch = stamps.get(Stamp::Batch);
    let place = command.map(|it| format!("partition {}, offset {}", it.partition, it.offset));
    let sent = stamped(Stamp::Sent).or_else(|| stamped(Stamp::Accepted));
    let polled = stamped(Stamp::Polled);
    let emitted = stamped(Stamp::Emitted);
    let hop = |name, started_at, ended_at, detail| Hop {
        name,
        started_at,
        ended_at,
        detail,
    };
    vec![
        hop("received", stamped(Stamp::Accepted), sent, None),
        // The broker may answer us after it has told the handler.
        hop("accepted", sent, noted(Moment::Acknowledged), place),
        hop("polled", sent, polled, None),
        hop(
            "decided",
            polled,
            stamped(Stamp::Decided),
            batch.map(|records| format!("in a batch of {records}")),
        ),
        hop(
            "committed",
            stamped(Stamp::Decided),
            stamped(Stamp::Committed),
            None,
        ),
        hop("emitted", stamped(Stamp::Committed), emitted, None),
        hop("projected", emitted, noted(Moment::Projected), None),
        hop("pushed", emitted, noted(Moment::Pushed), None),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_stamps_then_each_hop_begins_where_the_one_before_has_ended() {
        let time = |us| DateTime::from_timestamp_micros(us);
        let stamps = Stamp::ALL
            .into_iter()
            .zip(1..)
            .fold(Stamps::default(), |all, (stamp, us)| all.with(stamp, us));
        let hops = hops(Some(stamps), Journey::default(), None);
        let names: Vec<_> = hops.iter().map(|hop| hop.name).collect();
        let expected = [
            "received",
            "accepted",
            "polled",
            "decided",
            "committed",
            "emitted",
            "projected",
            "pushed",
        ];
        assert_eq!(names, expected);
        assert_eq!((hops[0].started_at, hops[0].ended_at), (time(1), time(2)));
        assert_eq!((hops[3].started_at, hops[3].ended_at), (time(3), time(4)));
        assert_eq!(hops[3].detail.as_deref(), Some("in a batch of 7"));
        assert_eq!(hops[7].ended_at, None);
    }

    #[test]
    fn given_no_stamps_then_no_time_is_made_up() {
        let hops = hops(None, Journey::default(), None);
        let times = hops.iter().flat_map(|hop| [hop.started_at, hop.ended_at]);
        assert!(times.flatten().next().is_none());
    }
}
