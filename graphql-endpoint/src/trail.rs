//! A command's way through the topics, read from the topics themselves: the command, its
//! outcome and the changes it caused, each with its place and its schema.
//!
//! Nobody keeps where a command stands. Its time is known, so its topic is read from that
//! time on until it is found; what it caused is in the read model with its place.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use tokio::sync::Semaphore;
use topology::consumer::Consumed;
use topology::kafka::KafkaConfig;
use topology::records::AccountType;
use topology::{Codec, CommandId, Record, Topic};

use crate::answer::{Code, Refusal};
use crate::error::Error;
use crate::store::commands::CommandKind;

/// For lag tools only; nothing is committed under it.
const GROUP: &str = "graphql-endpoint-trail";
/// Trails read at a time: each reads a stretch of a topic.
const READERS_MAX: usize = 2;
/// Clocks of the database and the broker may differ by so much.
const CLOCKS_APART: TimeDelta = TimeDelta::seconds(2);
/// Longest search for one trail.
const SEARCH_MAX: Duration = Duration::from_secs(4);
/// Records looked at in one search.
const RECORDS_MAX: usize = 100_000;
const POLL_WAIT: Duration = Duration::from_millis(100);
const BROKER_WAIT: Duration = Duration::from_secs(2);
/// Wait for the registry's word on a schema's version; the trail does without.
const REGISTRY_WAIT: Duration = Duration::from_secs(1);
/// Bytes before the datum: a zero and the schema's id.
const FRAME_BYTES: usize = 5;

/// Where the changes of a command stand: partition and offset in `balance_changed`.
pub type Place = (i32, i64);

/// One record on the way.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Full name of its topic.
    pub topic: String,
    /// Place of the record.
    pub partition: i32,
    /// Place of the record.
    pub offset: i64,
    /// When its sender says it was sent.
    pub sent_at: DateTime<Utc>,
    /// Its key.
    pub key: String,
    /// The registry's number for the schema it was written with.
    pub schema_id: u32,
    /// That schema's version within its subject, if the registry tells.
    pub schema_version: Option<i32>,
    /// Full name of the record.
    pub schema_name: &'static str,
    /// Name and value of each field; a secret is not shown.
    pub fields: Vec<(&'static str, String)>,
    /// The record itself.
    pub record: Record,
}

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Trail {
    /// The command, as it was sent first.
    pub command: Option<Trace>,
    /// Its first outcome.
    pub outcome: Option<Trace>,
}

/// Reads trails.
pub struct Trails {
    kafka: KafkaConfig,
    registry_url: String,
    codec: OnceLock<Arc<Codec>>,
    readers: Arc<Semaphore>,
}

#[derive(Deserialize)]
struct SubjectVersion {
    subject: String,
    version: i32,
}

impl Trails {
    /// From these brokers; schemas are in this registry.
    #[must_use]
    pub fn new(kafka: KafkaConfig, registry_url: String) -> Trails {
        Trails {
            kafka,
            registry_url,
            codec: OnceLock::new(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
        }
    }

    /// The registry was reached: records can be read from now on.
    pub fn start(&self, codec: Arc<Codec>) {
        // A second start keeps the first: both know the same schemas.
        let _ = self.codec.set(codec);
    }

    /// Finds a command that was given at this time, and its outcome.
    ///
    /// # Errors
    /// RATE_LIMITED when others are reading, UNAVAILABLE when the broker does not answer.
    pub async fn find(
        &self,
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
        let found = self
            .read(move |kafka| search(kafka, topics, since, command_id))
            .await?;
        let mut trail = Trail::default();
        for consumed in found {
            let is_command = consumed.topic == topics[0];
            let Some(trace) = self.trace(&consumed).await else {
                continue;
            };
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
    /// As [`Trails::find`].
    pub async fn changes(&self, places: Vec<Place>) -> Result<Vec<Trace>, Refusal> {
        let found = self.read(move |kafka| fetch(kafka, &places)).await?;
        let mut changes = Vec::new();
        for consumed in found {
            changes.extend(self.trace(&consumed).await);
        }
        Ok(changes)
    }

    async fn read(
        &self,
        read: impl FnOnce(&KafkaConfig) -> Result<Vec<Consumed>, Error> + Send + 'static,
    ) -> Result<Vec<Consumed>, Refusal> {
        let place = Arc::clone(&self.readers)
            .try_acquire_owned()
            .map_err(|_| Refusal::rate_limited(Duration::from_secs(1)))?;
        let kafka = self.kafka.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let found = read(&kafka);
            drop(place);
            found
        });
        match reading.await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(Error::Trail(_))) => Err(Refusal::new(
                Code::Unavailable,
                "the topics cannot be read now; try again soon",
            )),
            Ok(Err(error)) => Err(error.into()),
            Err(ended) => Err(Refusal::internal(&ended)),
        }
    }

    /// What a record says; `None` when it cannot be read.
    async fn trace(&self, consumed: &Consumed) -> Option<Trace> {
        let codec = self.codec.get()?;
        let value = consumed.value.as_deref()?;
        let record = codec.decode(consumed.topic, Some(value)).await.ok()?;
        let id: [u8; 4] = value.get(1..FRAME_BYTES)?.try_into().ok()?;
        let schema_id = u32::from_be_bytes(id);
        let subject = self.kafka.topics().subject(consumed.topic, record.kind());
        Some(Trace {
            topic: self.kafka.topics().name(consumed.topic),
            partition: consumed.partition,
            offset: consumed.offset,
            sent_at: DateTime::from_timestamp_millis(consumed.timestamp_ms).unwrap_or_default(),
            key: String::from_utf8_lossy(consumed.key.as_deref().unwrap_or_default()).into_owned(),
            schema_id,
            schema_version: self.schema_version(schema_id, &subject).await,
            schema_name: record.kind().full_name(),
            fields: fields(&record),
            record,
        })
    }

    async fn schema_version(&self, id: u32, subject: &str) -> Option<i32> {
        let url = format!("{}/schemas/ids/{id}/versions", self.registry_url);
        let asked = async {
            let answer = reqwest::get(url).await.ok()?;
            answer.json::<Vec<SubjectVersion>>().await.ok()
        };
        let versions = tokio::time::timeout(REGISTRY_WAIT, asked).await.ok()??;
        let own = versions.into_iter().find(|it| it.subject == subject)?;
        Some(own.version)
    }
}

fn consumed(topic: Topic, message: &BorrowedMessage<'_>) -> Consumed {
    Consumed {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        epoch: 0,
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(<[u8]>::to_vec),
        value: message.payload().map(<[u8]>::to_vec),
        trace: message.headers().and_then(topology::stamps::Trace::of).map(Box::new),
    }
}

fn reader(kafka: &KafkaConfig) -> Result<BaseConsumer, Error> {
    Ok(kafka.consumer(GROUP, GROUP).create()?)
}

/// The first record of each topic that carries the id, from this time on.
fn search(
    kafka: &KafkaConfig,
    topics: [Topic; 2],
    since: DateTime<Utc>,
    command_id: CommandId,
) -> Result<Vec<Consumed>, Error> {
    let reader = reader(kafka)?;
    let names = topics.map(|topic| kafka.topics().name(topic));
    let mut times = TopicPartitionList::new();
    for (topic, name) in topics.iter().zip(&names) {
        for partition in 0..topic.definition().partitions {
            times.add_partition_offset(
                name,
                partition,
                Offset::Offset(since.timestamp_millis()),
            )?;
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
    let mut found: Vec<Consumed> = Vec::new();
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
            found.push(consumed(topic, &message));
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
fn fetch(kafka: &KafkaConfig, places: &[Place]) -> Result<Vec<Consumed>, Error> {
    let reader = reader(kafka)?;
    let name = kafka.topics().name(Topic::BalanceChanged);
    let deadline = Instant::now() + SEARCH_MAX;
    let mut found = Vec::new();
    for (partition, offset) in places {
        let mut start = TopicPartitionList::new();
        start.add_partition_offset(&name, *partition, Offset::Offset(*offset))?;
        reader.assign(&start)?;
        while Instant::now() < deadline {
            if let Some(message) = reader.poll(POLL_WAIT) {
                let message = message?;
                if message.partition() == *partition && message.offset() == *offset {
                    found.push(consumed(Topic::BalanceChanged, &message));
                    break;
                }
            }
        }
    }
    Ok(found)
}

/// Name and value of each field, in the order of the schema.
fn fields(record: &Record) -> Vec<(&'static str, String)> {
    const SECRET: &str = "(not shown)";
    let kind = |kind: AccountType| match kind {
        AccountType::Auto => "AUTO".to_owned(),
        AccountType::Manual => "MANUAL".to_owned(),
    };
    match record {
        Record::Heartbeat(it) => vec![("beat", it.beat.to_string())],
        Record::ConfirmAccountCreation(it) => {
            vec![("id", it.id.to_string()), ("a_type", kind(it.account_type))]
        }
        Record::AccountCreationConfirmed(it) => vec![
            ("id", it.id.to_string()),
            ("iban", it.iban.clone()),
            ("token", SECRET.to_owned()),
            ("a_type", kind(it.account_type)),
        ],
        Record::AccountCreationFailed(it) => {
            vec![("id", it.id.to_string()), ("reason", it.reason.clone())]
        }
        Record::ConfirmMoneyTransfer(it) => vec![
            ("id", it.id.to_string()),
            ("token", SECRET.to_owned()),
            ("amount", it.amount.0.to_string()),
            ("from", it.from.clone()),
            ("to", it.to.clone()),
            ("description", it.description.clone()),
        ],
        Record::MoneyTransferConfirmed(it) => vec![("id", it.id.to_string())],
        Record::MoneyTransferFailed(it) => {
            vec![("id", it.id.to_string()), ("reason", it.reason.clone())]
        }
        Record::BalanceChanged(it) => {
            let mut fields = vec![
                ("iban", it.iban.clone()),
                ("new_balance", it.new_balance.0.to_string()),
                ("changed_by", it.changed_by.0.to_string()),
                ("from_to", it.from_to.clone()),
                ("description", it.description.clone()),
            ];
            if let Some(change) = &it.change {
                fields.extend([
                    ("version", change.version.to_string()),
                    ("command_id", change.command_id.to_string()),
                    ("occurred_at", change.occurred_at_us.to_string()),
                ]);
            }
            fields
        }
    }
}
