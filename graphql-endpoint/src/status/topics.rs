//! How far the topics have come, and their readers: asked of Kafka.
//!
//! One request tells the ends of all partitions, one per group how far it has come. The
//! clients that ask are never members of a group.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use topology::Topic;
use topology::kafka::KafkaConfig;
use topology::topics::DEFINITIONS;

/// Longest wait for one answer.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// Longest search for the newest record of each topic, once per stretch of attention.
const NEWEST_WAIT: Duration = Duration::from_secs(2);
/// In which round that is.
const NEWEST_ASKED_AT: u32 = 3;
const POLL_WAIT: Duration = Duration::from_millis(50);

/// Who reads what, by the groups' bare names, which are the services' too.
pub(super) const READERS: [(&str, &[Topic]); 3] = [
    (
        "command-handler",
        &[Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer],
    ),
    (
        "graphql-endpoint",
        &[
            Topic::AccountCreationFeedback,
            Topic::MoneyTransferFeedback,
            Topic::BalanceChanged,
        ],
    ),
    ("command-generator", &[Topic::Heartbeat]),
];

/// How far one topic has come.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Progress {
    /// All records ever written to it.
    pub(super) written: i64,
    /// What its reader has not dealt with; `None` where it has none, or told nothing yet.
    pub(super) lag: Option<i64>,
    /// When the newest came.
    pub(super) last_record_at: Option<DateTime<Utc>>,
}

/// All topics at one moment.
#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub(super) taken_at: Instant,
    pub(super) topics: BTreeMap<Topic, Progress>,
}

/// Asks Kafka. Everything here blocks.
pub(super) struct Asker {
    kafka: KafkaConfig,
    clients: Vec<BaseConsumer>,
    newest: Newest,
    asked: u32,
}

type Ends = BTreeMap<(Topic, i32), i64>;
/// Records written when it was looked at, and when the newest of them came.
type Newest = BTreeMap<Topic, (i64, Option<DateTime<Utc>>)>;

impl Asker {
    pub(super) fn new(kafka: &KafkaConfig) -> KafkaResult<Asker> {
        let clients = READERS.iter().map(|(group, _)| {
            let mut config = kafka.consumer("graphql-endpoint-status", group);
            // Nobody polls these, so nothing may be left for them.
            config
                .set("statistics.interval.ms", "0")
                .set("queued.max.messages.kbytes", "64")
                .set("fetch.message.max.bytes", "4096")
                .set("log_level", "0");
            config.create()
        });
        Ok(Asker {
            kafka: kafka.clone(),
            clients: clients.collect::<KafkaResult<_>>()?,
            newest: BTreeMap::new(),
            asked: 0,
        })
    }

    /// All topics now.
    pub(super) fn ask(&mut self) -> KafkaResult<Sample> {
        let ends = self.ends()?;
        let taken_at = Instant::now();
        let mut topics: BTreeMap<Topic, Progress> = BTreeMap::new();
        for ((topic, _), end) in &ends {
            topics.entry(*topic).or_default().written += end;
        }
        for (client, (_, read)) in self.clients.iter().zip(READERS) {
            for (topic, lag) in self.lag(client, read, &ends)? {
                topics.entry(topic).or_default().lag = Some(lag);
            }
            // Takes away errors that nobody else would.
            let _ = client.poll(Duration::ZERO);
        }
        // Only once there is a rate: nobody is to wait for this.
        self.asked += 1;
        if self.asked == NEWEST_ASKED_AT {
            self.newest = self.newest_records(&ends)?;
        }
        for (topic, progress) in &mut topics {
            let first = (progress.written, None);
            let (written, at) = self.newest.entry(*topic).or_insert(first);
            if progress.written > *written {
                (*written, *at) = (progress.written, Some(Utc::now()));
            }
            progress.last_record_at = *at;
        }
        Ok(Sample { taken_at, topics })
    }

    fn partitions(&self, offset: Offset) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for definition in &DEFINITIONS {
            let name = self.kafka.topics().name(definition.topic);
            for partition in 0..definition.partitions {
                list.add_partition_offset(&name, partition, offset)?;
            }
        }
        Ok(list)
    }

    fn ends(&self) -> KafkaResult<Ends> {
        let Some(client) = self.clients.first() else {
            return Ok(Ends::new());
        };
        // Asked for the offset at time -1, Kafka tells the end.
        let asked = self.partitions(Offset::End)?;
        let found = client.offsets_for_times(asked, ANSWER_WAIT)?;
        let mut ends = Ends::new();
        for element in found.elements() {
            element.error()?;
            let topic = self.kafka.topics().find(element.topic());
            if let (Some(topic), Offset::Offset(end)) = (topic, element.offset()) {
                ends.insert((topic, element.partition()), end);
            }
        }
        Ok(ends)
    }

    fn lag(
        &self,
        client: &BaseConsumer,
        read: &[Topic],
        ends: &Ends,
    ) -> KafkaResult<BTreeMap<Topic, i64>> {
        let mut asked = TopicPartitionList::new();
        for topic in read {
            let name = self.kafka.topics().name(*topic);
            for partition in 0..topic.definition().partitions {
                asked.add_partition(&name, partition);
            }
        }
        let committed = client.committed_offsets(asked, ANSWER_WAIT)?;
        let mut lags = BTreeMap::new();
        for element in committed.elements() {
            let topic = self.kafka.topics().find(element.topic());
            if let (Some(topic), Offset::Offset(next)) = (topic, element.offset()) {
                let end = ends.get(&(topic, element.partition())).copied();
                *lags.entry(topic).or_insert(0) += (end.unwrap_or(next) - next).max(0);
            }
        }
        Ok(lags)
    }

    /// When the newest record of each topic was sent.
    fn newest_records(&self, ends: &Ends) -> KafkaResult<Newest> {
        let mut newest = Newest::new();
        let mut last = TopicPartitionList::new();
        for ((topic, partition), end) in ends {
            newest.entry(*topic).or_default().0 += end;
            if *end > 0 {
                let name = self.kafka.topics().name(*topic);
                last.add_partition_offset(&name, *partition, Offset::Offset(end - 1))?;
            }
        }
        let mut config = self
            .kafka
            .consumer("graphql-endpoint-status", "graphql-endpoint");
        let reader: BaseConsumer = config
            .set("statistics.interval.ms", "0")
            // A record that is no longer kept has no time to tell.
            .set("auto.offset.reset", "latest")
            .set("queued.max.messages.kbytes", "512")
            .set("fetch.message.max.bytes", "65536")
            .create()?;
        let mut left = last.count();
        reader.assign(&last)?;
        let deadline = Instant::now() + NEWEST_WAIT;
        while left > 0 && Instant::now() < deadline {
            let Some(Ok(message)) = reader.poll(POLL_WAIT) else {
                continue;
            };
            left -= 1;
            let sent_at = message.timestamp().to_millis();
            let sent_at = sent_at.and_then(DateTime::from_timestamp_millis);
            if let Some(topic) = self.kafka.topics().find(message.topic()) {
                let (_, at) = newest.entry(topic).or_default();
                *at = sent_at.max(*at);
            }
        }
        Ok(newest)
    }
}
