//! Records as people look at them: read from a topic, decoded, without their secrets.
//!
//! Reading blocks and is bounded: so many readers, so many records, so long. What a record
//! is asked for is looked up in what is shown of it, never in a secret.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use futures_util::Stream;
use futures_util::stream::unfold;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use serde::Deserialize;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};
use topology::kafka::KafkaConfig;
use topology::records::AccountType;
use topology::stamps::Stamps;
use topology::tls;
use topology::topics::DEFINITIONS;
use topology::{Codec, Record, Topic};

use crate::answer::{Code, Refusal};
use crate::error::Error;

/// For lag tools only; nothing is committed under it.
const GROUP: &str = "graphql-endpoint-trail";
/// Readers of a stretch of a topic at a time.
const READERS_MAX: usize = 2;
/// Live readers of a topic at a time: each is a client with its own threads.
const TAILS_MAX: usize = 8;
/// Longest search in one topic.
pub(crate) const SEARCH_MAX: Duration = Duration::from_secs(4);
/// Newest records of a topic in which something is looked for.
const LOOK_BACK_MAX: i64 = 50_000;
/// Time between two groups of live records.
const TAIL_INTERVAL: Duration = Duration::from_millis(250);
/// Live records looked at in that time; what comes faster is skipped.
const TAIL_RECORDS_MAX: usize = 5_000;
/// Newest records of each partition that the first groups begin with.
const TAIL_OVERLAP: i64 = 20;
/// Live records of a group.
pub const TAIL_GROUP_MAX: usize = 50;
pub(crate) const POLL_WAIT: Duration = Duration::from_millis(100);
pub(crate) const BROKER_WAIT: Duration = Duration::from_secs(2);
/// Wait for the registry's word on a schema's version; a record is shown without.
const REGISTRY_WAIT: Duration = Duration::from_secs(1);
/// Schemas whose version is remembered.
const VERSIONS_MAX: usize = 256;
/// Bytes before the datum: a zero and the schema's id.
const FRAME_BYTES: usize = 5;
/// Largest value that is shown; ours are far smaller.
const VALUE_BYTES_MAX: usize = 8 * 1024;
/// Headers shown, and characters of a key or of a header's value.
const HEADERS_MAX: usize = 16;
const TEXT_CHARACTERS_MAX: usize = 256;
/// What stands for a secret.
const SECRET: &str = "(not shown)";
/// Name of the schema of what cannot be read.
const UNREADABLE: &str = "(cannot be read)";

/// One record, as it is shown.
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
    /// The registry's number for the schema it was written with; 0 when it names none.
    pub schema_id: u32,
    /// That schema's version within its subject, if the registry tells.
    pub schema_version: Option<i32>,
    /// Full name of the record.
    pub schema_name: &'static str,
    /// Name and value of each field; a secret is not shown.
    pub fields: Vec<(&'static str, String)>,
    /// Name and text of each header.
    pub headers: Vec<(String, String)>,
    /// Size of key and value.
    pub bytes: usize,
    /// The record itself, if it can be read.
    pub record: Option<Record>,
    /// The times it carries.
    pub stamps: Option<Stamps>,
}

/// A record as it was found.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    pub(crate) offset: i64,
    timestamp_ms: i64,
    key: Vec<u8>,
    /// None when it is too large, or foreign.
    value: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
    stamps: Option<Stamps>,
    bytes: usize,
}

impl Found {
    pub(crate) fn of(topic: Topic, message: &BorrowedMessage<'_>) -> Found {
        let key = message.key().unwrap_or_default();
        let value = message.payload();
        let is_shown =
            |value: &&[u8]| topic != Topic::DeadLetters && value.len() <= VALUE_BYTES_MAX;
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            let shown = headers.iter().take(HEADERS_MAX);
            shown
                .map(|header| {
                    (
                        short(header.key.as_bytes()),
                        short(header.value.unwrap_or(b"")),
                    )
                })
                .collect()
        });
        let trace = message.headers().and_then(topology::stamps::Trace::of);
        Found {
            topic,
            partition: message.partition(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
            bytes: key.len() + value.map_or(0, <[u8]>::len),
            key: key.to_vec(),
            value: value.filter(is_shown).map(<[u8]>::to_vec),
            headers,
            stamps: trace.map(|trace| trace.stamps),
        }
    }
}

fn short(bytes: &[u8]) -> String {
    // Four bytes is the longest a character can be.
    let bytes = &bytes[..bytes.len().min(4 * TEXT_CHARACTERS_MAX)];
    let text = String::from_utf8_lossy(bytes);
    text.chars().take(TEXT_CHARACTERS_MAX).collect()
}

/// What records are looked for.
#[derive(Clone, Debug)]
pub struct Wanted {
    text: String,
    /// A command id's bytes.
    id: Option<[u8; 16]>,
}

impl Wanted {
    /// Records with this IBAN, account key or command id.
    #[must_use]
    pub fn new(text: String) -> Wanted {
        let id = uuid::Uuid::parse_str(&text).ok();
        Wanted {
            id: id.map(uuid::Uuid::into_bytes),
            text,
        }
    }

    /// Whether a record may be one: fast, since most are not.
    fn may_be(&self, message: &BorrowedMessage<'_>) -> bool {
        let holds = |bytes: &[u8], part: &[u8]| bytes.windows(part.len()).any(|it| it == part);
        let value = message.payload().unwrap_or_default();
        holds(message.key().unwrap_or_default(), self.text.as_bytes())
            || holds(value, self.text.as_bytes())
            || self.id.is_some_and(|id| holds(value, &id))
    }

    /// Whether what is shown of it has what is looked for.
    fn is(&self, trace: &Trace) -> bool {
        let id = self.id.map(|id| uuid::Uuid::from_bytes(id).to_string());
        trace.key.contains(&self.text)
            || trace.fields.iter().any(|(_, value)| {
                value.contains(&self.text) || id.as_ref().is_some_and(|id| value == id)
            })
    }
}

/// Reads records.
pub struct TopicRecords {
    kafka: KafkaConfig,
    registry_url: String,
    registry: Option<reqwest::Client>,
    codec: OnceLock<Arc<Codec>>,
    readers: Arc<Semaphore>,
    tails: Arc<Semaphore>,
    versions: Mutex<BTreeMap<(u32, String), i32>>,
}

#[derive(Deserialize)]
struct SubjectVersion {
    subject: String,
    version: i32,
}

impl TopicRecords {
    /// From these brokers; schemas are in this registry.
    #[must_use]
    pub fn new(kafka: KafkaConfig, registry_url: String) -> TopicRecords {
        TopicRecords {
            kafka,
            registry_url,
            registry: tls::trusting(reqwest::Client::builder()).build().ok(),
            codec: OnceLock::new(),
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            tails: Arc::new(Semaphore::new(TAILS_MAX)),
            versions: Mutex::default(),
        }
    }

    /// The registry was reached: records can be read from now on.
    pub fn start(&self, codec: Arc<Codec>) {
        // A second start keeps the first: both know the same schemas.
        let _ = self.codec.set(codec);
    }

    /// The topic of this name, with or without the prefix of this installation.
    #[must_use]
    pub fn topic(&self, name: &str) -> Option<Topic> {
        let topics = self.kafka.topics();
        let bare = || DEFINITIONS.iter().find(|it| it.name == name);
        topics.find(name).or_else(|| bare().map(|it| it.topic))
    }

    /// The newest records of a topic, newest first.
    ///
    /// # Errors
    /// RATE_LIMITED when others are reading, UNAVAILABLE when the broker does not answer.
    pub async fn newest(
        &self,
        topic: Topic,
        count: usize,
        wanted: Option<Wanted>,
    ) -> Result<Vec<Trace>, Refusal> {
        let filter = wanted.clone();
        let found = self
            .read(move |kafka| newest(kafka, topic, count, filter.as_ref()))
            .await?;
        let mut traces = self.traces(found, wanted.as_ref()).await;
        traces.truncate(count);
        Ok(traces)
    }

    /// Records as they come, in groups, oldest first; what comes too fast is left out.
    ///
    /// # Errors
    /// RATE_LIMITED when too many look on, UNAVAILABLE when there is no client for it.
    pub fn live(
        self: &Arc<TopicRecords>,
        topic: Topic,
        wanted: Option<Wanted>,
    ) -> Result<impl Stream<Item = Vec<Trace>> + use<>, Refusal> {
        let place = Arc::clone(&self.tails)
            .try_acquire_owned()
            .map_err(|_| Refusal::rate_limited(Duration::from_secs(5)))?;
        let (kafka, filter) = (self.kafka.clone(), wanted.clone());
        let (sender, groups) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || tail(&kafka, topic, filter.as_ref(), &sender, place));
        let records = Arc::clone(self);
        Ok(unfold(
            (records, groups, wanted),
            async |(records, mut groups, wanted)| {
                loop {
                    let found: Vec<Found> = groups.recv().await?;
                    let traces = records.traces(found, wanted.as_ref()).await;
                    if !traces.is_empty() {
                        return Some((traces, (records, groups, wanted)));
                    }
                }
            },
        ))
    }

    async fn traces(&self, found: Vec<Found>, wanted: Option<&Wanted>) -> Vec<Trace> {
        let mut traces = Vec::with_capacity(found.len());
        for found in found {
            let trace = self.trace(found).await;
            if wanted.is_none_or(|wanted| wanted.is(&trace)) {
                traces.push(trace);
            }
        }
        traces
    }

    /// Reads in the background, when there is a place.
    pub(crate) async fn read(
        &self,
        read: impl FnOnce(&KafkaConfig) -> Result<Vec<Found>, Error> + Send + 'static,
    ) -> Result<Vec<Found>, Refusal> {
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

    /// What a record says; where it cannot be read, where it stands.
    pub(crate) async fn trace(&self, found: Found) -> Trace {
        let mut trace = Trace {
            topic: self.kafka.topics().name(found.topic),
            partition: found.partition,
            offset: found.offset,
            sent_at: DateTime::from_timestamp_millis(found.timestamp_ms).unwrap_or_default(),
            key: short(&found.key),
            schema_id: 0,
            schema_version: None,
            schema_name: UNREADABLE,
            fields: Vec::new(),
            headers: found.headers,
            bytes: found.bytes,
            record: None,
            stamps: found.stamps,
        };
        let (Some(codec), Some(value)) = (self.codec.get(), found.value.as_deref()) else {
            return trace;
        };
        let Ok(record) = codec.decode(found.topic, Some(value)).await else {
            return trace;
        };
        if let Some(id) = value.get(1..FRAME_BYTES).and_then(|id| id.try_into().ok()) {
            trace.schema_id = u32::from_be_bytes(id);
        }
        let subject = self.kafka.topics().subject(found.topic, record.kind());
        trace.schema_version = self.schema_version(trace.schema_id, subject).await;
        trace.schema_name = record.kind().full_name();
        trace.fields = fields(&record);
        trace.record = Some(record);
        trace
    }

    async fn schema_version(&self, id: u32, subject: String) -> Option<i32> {
        let key = (id, subject);
        let mut versions = self.versions.lock().await;
        if let Some(version) = versions.get(&key) {
            return Some(*version);
        }
        let url = format!("{}/schemas/ids/{id}/versions", self.registry_url);
        let asked = async {
            let answer = self.registry.as_ref()?.get(url).send().await.ok()?;
            answer.json::<Vec<SubjectVersion>>().await.ok()
        };
        let told = tokio::time::timeout(REGISTRY_WAIT, asked).await.ok()??;
        let version = told.into_iter().find(|it| it.subject == key.1)?.version;
        if versions.len() < VERSIONS_MAX {
            versions.insert(key, version);
        }
        Some(version)
    }
}

pub(crate) fn reader(kafka: &KafkaConfig) -> Result<BaseConsumer, Error> {
    let mut config = kafka.consumer(GROUP, GROUP);
    // Here for a moment, or for one pair of eyes.
    config
        .set("statistics.interval.ms", "0")
        .set("queued.max.messages.kbytes", "1024");
    Ok(config.create()?)
}

/// Partitions with the first offset to be read and the end, where there is something.
fn stretch(
    reader: &BaseConsumer,
    name: &str,
    topic: Topic,
    newest: i64,
) -> Result<(TopicPartitionList, BTreeMap<i32, i64>), Error> {
    let mut starts = TopicPartitionList::new();
    let mut ends = BTreeMap::new();
    for partition in 0..topic.definition().partitions {
        let (low, high) = reader.fetch_watermarks(name, partition, BROKER_WAIT)?;
        if low < high {
            let start = low.max(high - newest);
            starts.add_partition_offset(name, partition, Offset::Offset(start))?;
            ends.insert(partition, high);
        }
    }
    Ok((starts, ends))
}

fn newest(
    kafka: &KafkaConfig,
    topic: Topic,
    count: usize,
    wanted: Option<&Wanted>,
) -> Result<Vec<Found>, Error> {
    let reader = reader(kafka)?;
    let name = kafka.topics().name(topic);
    let newest = match wanted {
        None => i64::try_from(count).unwrap_or(LOOK_BACK_MAX),
        Some(_) => LOOK_BACK_MAX / i64::from(topic.definition().partitions),
    };
    let (starts, mut ends) = stretch(&reader, &name, topic, newest)?;
    reader.assign(&starts)?;
    let deadline = Instant::now() + SEARCH_MAX;
    let mut found: BTreeMap<i32, VecDeque<Found>> = BTreeMap::new();
    while !ends.is_empty() && Instant::now() < deadline {
        let Some(message) = reader.poll(POLL_WAIT) else {
            continue;
        };
        let message = message?;
        let partition = message.partition();
        if wanted.is_none_or(|wanted| wanted.may_be(&message)) {
            let kept = found.entry(partition).or_default();
            kept.push_back(Found::of(topic, &message));
            if kept.len() > count {
                kept.pop_front();
            }
        }
        if ends
            .get(&partition)
            .is_some_and(|end| message.offset() + 1 >= *end)
        {
            ends.remove(&partition);
        }
    }
    let mut found: Vec<Found> = found.into_values().flatten().collect();
    found.sort_by_key(|it| std::cmp::Reverse((it.timestamp_ms, it.offset)));
    if wanted.is_none() {
        found.truncate(count);
    }
    Ok(found)
}

/// Hands groups over until nobody takes them.
fn tail(
    kafka: &KafkaConfig,
    topic: Topic,
    wanted: Option<&Wanted>,
    groups: &mpsc::Sender<Vec<Found>>,
    _place: OwnedSemaphorePermit,
) {
    if let Err(error) = try_tail(kafka, topic, wanted, groups) {
        tracing::debug!(
            error = topology::service::chain(&error),
            "a live topic ended"
        );
    }
}

fn try_tail(
    kafka: &KafkaConfig,
    topic: Topic,
    wanted: Option<&Wanted>,
    groups: &mpsc::Sender<Vec<Found>>,
) -> Result<(), Error> {
    let reader = reader(kafka)?;
    let name = kafka.topics().name(topic);
    let mut ends = TopicPartitionList::new();
    let mut starts = TopicPartitionList::new();
    for partition in 0..topic.definition().partitions {
        ends.add_partition_offset(&name, partition, Offset::End)?;
        // Whoever asks for the newest and for what comes, in whatever order, misses nothing
        // that is written while this client finds its way to the broker.
        let (low, high) = reader.fetch_watermarks(&name, partition, BROKER_WAIT)?;
        let start = low.max(high - TAIL_OVERLAP);
        starts.add_partition_offset(&name, partition, Offset::Offset(start))?;
    }
    reader.assign(&starts)?;
    while !groups.is_closed() {
        let until = Instant::now() + TAIL_INTERVAL;
        let mut group: VecDeque<Found> = VecDeque::new();
        let mut looked_at = 0;
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if looked_at >= TAIL_RECORDS_MAX {
                // Faster than anybody reads: goes on with what comes after this pause.
                std::thread::sleep(left);
                reader.assign(&ends)?;
                break;
            }
            let Some(message) = reader.poll(left) else {
                continue;
            };
            // A broker that is away comes back.
            let Ok(message) = message else { continue };
            looked_at += 1;
            if wanted.is_none_or(|wanted| wanted.may_be(&message)) {
                group.push_back(Found::of(topic, &message));
                if group.len() > TAIL_GROUP_MAX {
                    group.pop_front();
                }
            }
        }
        // Whoever has not taken the last group yet misses this one.
        if !group.is_empty() {
            let _ = groups.try_send(group.into());
        }
    }
    Ok(())
}

/// Name and value of each field, in the order of the schema.
fn fields(record: &Record) -> Vec<(&'static str, String)> {
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
