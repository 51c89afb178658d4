//! What flows through Kafka: records and rates per topic, lag per group.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaResult,
};
use serde::Serialize;

use crate::services::CONSUMER_GROUPS;

/// One question to the broker.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The time over which a rate is taken.
const RATE_INTERVAL: Duration = Duration::from_millis(700);

/// What flows through Kafka.
#[derive(Debug, Default)]
pub(super) struct Flows {
    pub(super) topics: Vec<Topic>,
    pub(super) consumer_lag: Vec<Lag>,
}

/// A topic.
#[derive(Debug, Serialize)]
pub(super) struct Topic {
    pub(super) name: String,
    /// Records that can be read now.
    pub(super) records: i64,
    pub(super) records_per_second: f64,
}

/// How far a group is behind in a topic.
#[derive(Debug, Serialize)]
pub(super) struct Lag {
    pub(super) group: String,
    pub(super) topic: String,
    pub(super) lag: i64,
}

/// First and next offset by topic and partition.
type Watermarks = BTreeMap<String, BTreeMap<i32, (i64, i64)>>;

/// Asks the broker; blocks for about [`RATE_INTERVAL`].
pub(super) fn look(brokers: &str) -> KafkaResult<Flows> {
    let client = client(brokers, "bank-status")?;
    let partitions = partitions(&client)?;
    let started = Instant::now();
    let before = watermarks(&client, &partitions)?;
    std::thread::sleep(RATE_INTERVAL);
    let elapsed = started.elapsed();
    let after = watermarks(&client, &partitions)?;
    let topics = after
        .iter()
        .map(|(name, offsets)| Topic {
            name: name.clone(),
            records: offsets.values().map(|(low, high)| high - low).sum(),
            records_per_second: rate(written(&before, name), written(&after, name), elapsed),
        })
        .collect();
    let mut consumer_lag = Vec::new();
    for group in CONSUMER_GROUPS {
        consumer_lag.extend(lag(brokers, group, &after)?);
    }
    Ok(Flows {
        topics,
        consumer_lag,
    })
}

/// Never subscribes, and so is no member of the group it asks about.
fn client(brokers: &str, group: &str) -> KafkaResult<BaseConsumer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .set("group.id", group)
        .set("log_level", "0")
        .create()
}

/// Every topic but Kafka's own.
fn partitions(client: &BaseConsumer) -> KafkaResult<Vec<(String, i32)>> {
    let metadata = client.fetch_metadata(None, TIMEOUT)?;
    Ok(metadata
        .topics()
        .iter()
        .filter(|topic| !topic.name().starts_with("__"))
        .flat_map(|topic| {
            topic
                .partitions()
                .iter()
                .map(|partition| (topic.name().to_owned(), partition.id()))
        })
        .collect())
}

fn watermarks(client: &BaseConsumer, partitions: &[(String, i32)]) -> KafkaResult<Watermarks> {
    let mut found = Watermarks::new();
    for (topic, partition) in partitions {
        let offsets = client.fetch_watermarks(topic, *partition, TIMEOUT)?;
        found
            .entry(topic.clone())
            .or_default()
            .insert(*partition, offsets);
    }
    Ok(found)
}

/// All records ever written to a topic.
fn written(watermarks: &Watermarks, topic: &str) -> i64 {
    watermarks
        .get(topic)
        .map_or(0, |offsets| offsets.values().map(|(_, high)| high).sum())
}

/// One decimal is more than the short interval can tell.
#[expect(clippy::float_arithmetic, reason = "a rate for people, not money")]
fn rate(before: i64, after: i64, elapsed: Duration) -> f64 {
    let records = u32::try_from(after.saturating_sub(before)).unwrap_or(0);
    (f64::from(records) / elapsed.as_secs_f64() * 10.0).round() / 10.0
}

/// Topics in which the group has committed an offset.
fn lag(brokers: &str, group: &str, watermarks: &Watermarks) -> KafkaResult<Vec<Lag>> {
    let mut asked = TopicPartitionList::new();
    for (topic, offsets) in watermarks {
        for partition in offsets.keys() {
            asked.add_partition(topic, *partition);
        }
    }
    if asked.count() == 0 {
        return Ok(Vec::new());
    }
    let committed = client(brokers, group)?.committed_offsets(asked, TIMEOUT)?;
    let mut by_topic: BTreeMap<String, i64> = BTreeMap::new();
    for element in committed.elements() {
        let high = watermarks
            .get(element.topic())
            .and_then(|offsets| offsets.get(&element.partition()));
        if let (Offset::Offset(next), Some((_, high))) = (element.offset(), high) {
            *by_topic.entry(element.topic().to_owned()).or_default() += (high - next).max(0);
        }
    }
    Ok(by_topic
        .into_iter()
        .map(|(topic, lag)| Lag {
            group: group.to_owned(),
            topic,
            lag,
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_two_looks_when_a_rate_is_taken_then_it_is_records_per_second() {
        let cases = [
            (0, 100, 500, 200.0),
            (100, 100, 500, 0.0),
            (100, 0, 500, 0.0),
            (0, 1, 3000, 0.3),
        ];
        for (before, after, milliseconds, expected) in cases {
            let found = rate(before, after, Duration::from_millis(milliseconds));
            assert!(
                (found - expected).abs() < f64::EPSILON,
                "{found} is not {expected}"
            );
        }
    }
}
