//! What stands in the topics, byte for byte.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

/// Wait for an answer of the broker.
const ANSWER_WAIT: Duration = Duration::from_secs(10);
/// A topic that takes longer is not read to its end.
const READ_WAIT: Duration = Duration::from_secs(60);

/// A record as it stands in its topic.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told by its name")]
pub struct LogRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub timestamp_ms: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl LogRecord {
    /// The text of the first header with this name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(of, _)| of == name)?;
        std::str::from_utf8(&header.1).ok()
    }

    /// The key as text.
    ///
    /// # Errors
    /// When there is none, or it is none.
    pub fn key_text(&self) -> Result<&str> {
        let key = self.key.as_deref().context("no key")?;
        Ok(std::str::from_utf8(key)?)
    }
}

/// Settings of a client that reads or writes anything a broker takes.
#[must_use]
pub fn client(brokers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4");
    config
}

/// Every record of a topic that is not part of an open or aborted transaction, partition by
/// partition.
///
/// # Errors
/// When the broker does not answer, or takes too long.
pub fn read_all(brokers: &str, topic: &str) -> Result<Vec<LogRecord>> {
    let consumer: BaseConsumer = client(brokers)
        .set("group.id", "a-reader-of-the-tests")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .create()?;
    let metadata = consumer.fetch_metadata(Some(topic), ANSWER_WAIT)?;
    let found = metadata.topics().first().context("no such topic")?;
    let count = i32::try_from(found.partitions().len())?;
    ensure!(count > 0, "{topic} has no partitions");
    let mut from = TopicPartitionList::new();
    for partition in 0..count {
        from.add_partition_offset(topic, partition, Offset::Beginning)?;
    }
    consumer.assign(&from)?;
    let mut at_end = 0;
    let mut records = Vec::new();
    let deadline = Instant::now() + READ_WAIT;
    while at_end < count {
        ensure!(Instant::now() < deadline, "{topic}: not read to its end");
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => records.push(LogRecord {
                topic: topic.to_owned(),
                partition: message.partition(),
                offset: message.offset(),
                timestamp_ms: message.timestamp().to_millis().unwrap_or(-1),
                key: message.key().map(<[u8]>::to_vec),
                value: message.payload().map(<[u8]>::to_vec),
                headers: message.headers().map_or_else(Vec::new, |headers| {
                    headers
                        .iter()
                        .map(|header| {
                            let value = header.value.unwrap_or_default();
                            (header.key.to_owned(), value.to_vec())
                        })
                        .collect()
                }),
            }),
            Some(Err(rdkafka::error::KafkaError::PartitionEOF(_))) => at_end += 1,
            Some(Err(error)) => return Err(error.into()),
            None => {}
        }
    }
    records.sort_by_key(|record| (record.partition, record.offset));
    Ok(records)
}
