//! Kafka: where topics end, what groups have committed, and every record of a topic.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message, Offset, TopicPartitionList};
use topology::tls;

use crate::facts::{Place, TOPICS};
use crate::report::CannotCheck;

/// One question to the broker.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A topic that gives nothing for so long will not give the rest either.
const SILENCE_MAX: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(100);
/// Records are counted for the progress after so many.
const COUNTED_EACH: u64 = 4_096;

/// First offset after the end, or any other offset, by topic and partition.
pub(crate) type Offsets = BTreeMap<(u8, i32), i64>;

/// The brokers.
#[derive(Clone, Debug)]
pub(crate) struct Kafka {
    brokers: String,
    prefix: String,
}

fn failed(action: impl Into<String>) -> impl FnOnce(KafkaError) -> CannotCheck {
    let action = action.into();
    move |source| CannotCheck::Kafka { action, source }
}

impl Kafka {
    pub(crate) fn new(brokers: &str, prefix: &str) -> Kafka {
        Kafka {
            brokers: brokers.to_owned(),
            prefix: prefix.to_owned(),
        }
    }

    /// The name of a topic with the prefix.
    pub(crate) fn name(&self, topic: u8) -> String {
        format!("{}{}", self.prefix, TOPICS[usize::from(topic)])
    }

    fn consumer(&self, group: &str) -> Result<BaseConsumer, CannotCheck> {
        let mut config = ClientConfig::new();
        tls::secure(&mut config);
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", "bank-auditor")
            // Never joined: partitions are assigned by hand, and nothing is committed.
            .set("group.id", group)
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("auto.offset.reset", "error")
            .set("broker.address.family", "v4")
            // Bounds the memory: records wait in the client while facts are written.
            .set("queued.max.messages.kbytes", "8192")
            .set("fetch.max.bytes", "4194304")
            .set("fetch.message.max.bytes", "1048576")
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .create()
            .map_err(failed("make a client"))
    }

    /// Where the partitions of these topics end.
    pub(crate) fn ends(&self, topics: &[u8]) -> Result<Offsets, CannotCheck> {
        let consumer = self.consumer("bank-auditor")?;
        let mut ends = Offsets::new();
        for topic in topics {
            let name = self.name(*topic);
            for partition in partitions(&consumer, &name)? {
                let (first, end) = watermarks(&consumer, &name, partition)?;
                if first > 0 {
                    return Err(CannotCheck::LogCut {
                        topic: name,
                        partition,
                        first,
                    });
                }
                ends.insert((*topic, partition), end);
            }
        }
        Ok(ends)
    }

    /// What a group has committed for these partitions.
    pub(crate) fn committed(&self, group: &str, of: &Offsets) -> Result<Offsets, CannotCheck> {
        let consumer = self.consumer(&format!("{}{group}", self.prefix))?;
        let mut list = TopicPartitionList::new();
        for (topic, partition) in of.keys() {
            list.add_partition(&self.name(*topic), *partition);
        }
        let committed = consumer
            .committed_offsets(list, TIMEOUT)
            .map_err(failed(format!("ask what {group} has committed")))?;
        Ok(of
            .keys()
            .filter_map(|(topic, partition)| {
                let found = committed.find_partition(&self.name(*topic), *partition)?;
                match found.offset() {
                    Offset::Offset(offset) => Some(((*topic, *partition), offset)),
                    _ => None,
                }
            })
            .collect())
    }

    /// Gives every record of a topic before these ends to `each`. Returns how many
    /// offsets gave none.
    pub(crate) fn read(
        &self,
        topic: u8,
        from: &Offsets,
        ends: &Offsets,
        counter: &AtomicU64,
        each: &mut dyn FnMut(Place, &BorrowedMessage<'_>) -> Result<(), CannotCheck>,
    ) -> Result<u64, CannotCheck> {
        let name = self.name(topic);
        let begin = |partition: i32| from.get(&(topic, partition)).copied().unwrap_or_default();
        let mut open: BTreeMap<i32, i64> = ends
            .iter()
            .filter(|((of, partition), end)| *of == topic && **end > begin(*partition))
            .map(|((_, partition), end)| (*partition, *end))
            .collect();
        let expected: i64 = open.iter().map(|(it, end)| end - begin(*it)).sum();
        if open.is_empty() {
            return Ok(0);
        }
        let consumer = self.consumer("bank-auditor")?;
        let mut list = TopicPartitionList::new();
        for partition in open.keys() {
            list.add_partition_offset(&name, *partition, Offset::Offset(begin(*partition)))
                .map_err(failed(format!("read {name}")))?;
        }
        consumer
            .assign(&list)
            .map_err(failed(format!("read {name}")))?;
        let (mut seen, mut last) = (0_u64, Instant::now());
        while !open.is_empty() {
            match consumer.poll(POLL) {
                None if last.elapsed() > SILENCE_MAX => {
                    return Err(CannotCheck::Stalled {
                        topic: name,
                        seconds: SILENCE_MAX.as_secs(),
                        left: open.len(),
                    });
                }
                None => past_the_end(&consumer, &name, &mut open)?,
                Some(Err(source)) if last.elapsed() > SILENCE_MAX => {
                    return Err(failed(format!("read {name}"))(source));
                }
                Some(Err(_)) => {}
                Some(Ok(message)) => {
                    let partition = message.partition();
                    let offset = message.offset();
                    let Some(end) = open.get(&partition).copied() else {
                        continue;
                    };
                    if offset < end {
                        let place = Place {
                            topic,
                            partition,
                            offset,
                        };
                        each(place, &message)?;
                        seen += 1;
                        if seen.is_multiple_of(COUNTED_EACH) {
                            counter.fetch_add(COUNTED_EACH, Ordering::Relaxed);
                        }
                    }
                    if offset + 1 >= end {
                        open.remove(&partition);
                    }
                    last = Instant::now();
                }
            }
        }
        counter.fetch_add(seen % COUNTED_EACH, Ordering::Relaxed);
        Ok(u64::try_from(expected)
            .unwrap_or_default()
            .saturating_sub(seen))
    }
}

/// Offsets before an end may give no record (marks of transactions): the position tells.
fn past_the_end(
    consumer: &BaseConsumer,
    name: &str,
    open: &mut BTreeMap<i32, i64>,
) -> Result<(), CannotCheck> {
    let positions = consumer
        .position()
        .map_err(failed(format!("ask how far {name} was read")))?;
    open.retain(|partition, end| {
        let position = positions.find_partition(name, *partition);
        !matches!(position.map(|it| it.offset()), Some(Offset::Offset(at)) if at >= *end)
    });
    Ok(())
}

/// First offset and first one after the end; a new topic has no leader at first.
fn watermarks(
    consumer: &BaseConsumer,
    name: &str,
    partition: i32,
) -> Result<(i64, i64), CannotCheck> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        match consumer.fetch_watermarks(name, partition, TIMEOUT) {
            Ok(found) => return Ok(found),
            Err(source) if Instant::now() > deadline => {
                return Err(failed(format!("ask where {name}[{partition}] ends"))(
                    source,
                ));
            }
            Err(_) => std::thread::sleep(POLL),
        }
    }
}

fn partitions(consumer: &BaseConsumer, name: &str) -> Result<Vec<i32>, CannotCheck> {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let metadata = consumer
            .fetch_metadata(Some(name), TIMEOUT)
            .map_err(failed(format!("ask about {name}")))?;
        let topic = metadata.topics().iter().find(|it| it.name() == name);
        let found: Vec<i32> = topic
            .filter(|it| it.error().is_none())
            .map(|it| it.partitions().iter().map(|it| it.id()).collect())
            .unwrap_or_default();
        if !found.is_empty() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            let unknown = rdkafka::types::RDKafkaErrorCode::UnknownTopic;
            let source = KafkaError::MetadataFetch(unknown);
            return Err(failed(format!("find the topic {name}"))(source));
        }
        // The broker says so at once; a new topic needs a moment.
        std::thread::sleep(POLL);
    }
}

/// The partition a key belongs to, as Java clients have it: Murmur2 with Kafka's seed,
/// its sign cut off.
pub(crate) fn partition_of(key: &[u8], partitions: usize) -> i32 {
    const M: u32 = 0x5bd1_e995;
    let length = u32::try_from(key.len()).unwrap_or(u32::MAX);
    let mut hash = 0x9747_b28c ^ length;
    let mut chunks = key.chunks_exact(4);
    for chunk in &mut chunks {
        let word = chunk
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        let mut word = word.wrapping_mul(M);
        word ^= word >> 24;
        hash = hash.wrapping_mul(M) ^ word.wrapping_mul(M);
    }
    let tail = chunks.remainder();
    if !tail.is_empty() {
        hash ^= tail
            .iter()
            .rev()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^= hash >> 15;
    let count = u32::try_from(partitions).unwrap_or(1).max(1);
    i32::try_from((hash & 0x7fff_ffff) % count).unwrap_or_default()
}

/// Shared counters of what has been read.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) records: AtomicU64,
    pub(crate) rows: AtomicU64,
    pub(crate) facts: AtomicU64,
}

impl Counters {
    pub(crate) fn shared() -> Arc<Counters> {
        Arc::new(Counters::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Partitions out of a thousand million, computed from the vectors of Apache Kafka's
    /// own test of its hash.
    #[test]
    fn given_keys_when_hashed_then_the_partition_is_that_of_java_clients() {
        for (key, hash) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            (
                "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8",
                -58_897_971,
            ),
            ("abc", 479_470_107),
        ] {
            let expected = (hash & 0x7fff_ffff) % 1_000_000_007;
            assert_eq!(
                partition_of(key.as_bytes(), 1_000_000_007),
                expected,
                "{key}"
            );
        }
    }
}
