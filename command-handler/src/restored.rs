//! Refuses books that are older than the log.
//!
//! A database restored from a backup knows less than it has told the topics. Going on
//! would decide commands a second time, perhaps otherwise: two outcomes for one command.
//! It may not happen silently, so a start looks for what only newer books can have done:
//!
//! - the group's offset in Kafka is ahead of the offset in the books. It is moved only
//!   after the books have committed;
//! - a record at the end of a topic that only we write tells of a command that the books
//!   have no outcome of. It is sent only after the books have committed.
//!
//! Both are read from Kafka before the books are asked, so that a living instance cannot
//! make them look old. While the process runs, it compares what it has committed itself
//! with what it finds after each loss of the connection ([`HighWater`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use tokio_util::sync::CancellationToken;
use topology::kafka::{Connection, KafkaConfig};
use topology::{Backoff, Codec, CommandId, DecodeError, Record, Topic};
use uuid::Uuid;

use crate::batch::OffsetMove;
use crate::store::schema::{consumer_offset, outcome};

/// Records looked at, at the end of each partition that only we write.
const TAIL_RECORDS: i64 = 64;
/// One look at Kafka takes at most this long, then it is tried again.
const LOOK_TIMEOUT: Duration = Duration::from_secs(10);
/// One question to the broker.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Bounds how late a stop is noticed.
const POLL_WAIT: Duration = Duration::from_millis(100);

/// Why the books are refused.
#[derive(Debug, thiserror::Error)]
pub enum OlderBooks {
    /// Commands up to `in_kafka` were dealt with by newer books.
    #[error(
        "the database is older than the log: commands of {topic}[{partition}] were dealt with \
         up to offset {in_kafka}, but the books stand at {in_books}; restore a newer backup"
    )]
    OffsetBehind {
        /// Bare name of the topic.
        topic: &'static str,
        /// Which partition.
        partition: i32,
        /// The group's offset in Kafka, or what this process has committed itself.
        in_kafka: i64,
        /// The offset in the books.
        in_books: i64,
    },
    /// An outcome was sent by newer books.
    #[error(
        "the database is older than the log: {topic} tells of command {command}, of which the \
         books have no outcome; restore a newer backup"
    )]
    OutcomeUnknown {
        /// Bare name of the topic.
        topic: &'static str,
        /// Which command.
        command: CommandId,
    },
}

/// What Kafka says that newer books have done.
#[derive(Debug, Default)]
struct Evidence {
    /// The group's offsets.
    offsets: Vec<(Topic, i32, i64)>,
    /// The ends of the topics that only we write.
    tails: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    topic: Topic,
    value: Option<Vec<u8>>,
}

/// What is asked for: whose offsets, and which topics only we write.
#[derive(Clone, Copy)]
pub struct Question {
    /// Bare name of the consumer group.
    pub group: &'static str,
    /// What it reads.
    pub read: &'static [Topic],
    /// What only it writes.
    pub written: &'static [Topic],
}

/// Compares the log with the books, waiting for both as long as it takes.
///
/// # Errors
/// The first sign that the books are older, if there is one.
pub async fn refuse_older_books(
    kafka: &KafkaConfig,
    codec: &Codec,
    database_url: &str,
    question: Question,
) -> Result<Result<(), OlderBooks>, KafkaError> {
    let evidence = gather(kafka, question).await?;
    let commands = commands_of(evidence.tails, codec).await;
    let mut backoff = Backoff::new("comparing the books with the log");
    loop {
        let what = "connecting to compare the books with the log";
        let mut connection = crate::store::connect_cold(database_url, what).await;
        match judge(&mut connection, &evidence.offsets, &commands).await {
            Ok(judgement) => return Ok(judgement),
            Err(error) => backoff.wait(&error).await,
        }
    }
}

/// Looks at Kafka on a thread that may block.
async fn gather(kafka: &KafkaConfig, question: Question) -> Result<Evidence, KafkaError> {
    let stop = CancellationToken::new();
    // Also when this future is dropped, the thread ends.
    let _stopping = stop.clone().drop_guard();
    let mut backoff = Backoff::new("reading the ends of the topics");
    loop {
        let (kafka, stop) = (kafka.clone(), stop.clone());
        let look = tokio::task::spawn_blocking(move || look(&kafka, question, &stop));
        match look.await {
            Ok(Ok(evidence)) => return Ok(evidence),
            Ok(Err(error @ KafkaError::ClientCreation(_))) => return Err(error),
            Ok(Err(error)) => backoff.wait(&error).await,
            Err(error) => backoff.wait(&error).await,
        }
    }
}

fn look(
    kafka: &KafkaConfig,
    question: Question,
    stop: &CancellationToken,
) -> Result<Evidence, KafkaError> {
    let client_id = format!("{}-look", question.group);
    let consumer: BaseConsumer<Connection> = kafka
        .client(&client_id)
        // Never subscribes, and so is no member of the group it asks about.
        .set("group.id", kafka.topics().group(question.group))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .set("fetch.wait.max.ms", "10")
        .create_with_context(Connection::new(&client_id))?;
    let deadline = Instant::now() + LOOK_TIMEOUT;
    let topics = kafka.topics();
    let mut evidence = Evidence::default();
    let mut asked = TopicPartitionList::new();
    for topic in question.read {
        for partition in 0..topic.definition().partitions {
            asked.add_partition(&topics.name(*topic), partition);
        }
    }
    for element in consumer.committed_offsets(asked, ASK_TIMEOUT)?.elements() {
        if let (Some(topic), Offset::Offset(offset)) =
            (topics.find(element.topic()), element.offset())
        {
            evidence.offsets.push((topic, element.partition(), offset));
        }
    }
    let mut ends = TopicPartitionList::new();
    for topic in question.written {
        for partition in 0..topic.definition().partitions {
            // A time that stands for the end: one request asks for all of them.
            ends.add_partition_offset(&topics.name(*topic), partition, Offset::End)?;
        }
    }
    let ends = consumer.offsets_for_times(ends, ASK_TIMEOUT)?;
    let mut open = BTreeMap::new();
    let mut tails = TopicPartitionList::new();
    for element in ends.elements() {
        element.error()?;
        if let Offset::Offset(end) = element.offset()
            && end > 0
        {
            let (topic, partition) = (element.topic(), element.partition());
            let start = Offset::Offset((end - TAIL_RECORDS).max(0));
            tails.add_partition_offset(topic, partition, start)?;
            open.insert((topic.to_owned(), partition), end);
        }
    }
    consumer.assign(&tails)?;
    let mut ended = BTreeMap::new();
    while !open.is_empty() {
        if stop.is_cancelled() || Instant::now() > deadline {
            let code = RDKafkaErrorCode::OperationTimedOut;
            return Err(KafkaError::MessageConsumption(code));
        }
        match consumer.poll(POLL_WAIT) {
            Some(Ok(message)) => {
                let at = (message.topic().to_owned(), message.partition());
                if open
                    .get(&at)
                    .is_some_and(|end| message.offset() + 1 >= *end)
                {
                    open.remove(&at);
                }
                if let Some(topic) = topics.find(message.topic()) {
                    evidence.tails.push(Told {
                        topic,
                        value: message.payload().map(<[u8]>::to_vec),
                    });
                }
            }
            // The last offset may hold no record. The client does not say whose end it
            // is, so that all of this number must have come to theirs.
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                let count = ended.entry(partition).or_insert(0);
                *count += 1;
                let read = tails.elements();
                let of_this_number = read.iter().filter(|it| it.partition() == partition);
                if *count >= of_this_number.count() {
                    open.retain(|(_, open), _| *open != partition);
                }
            }
            Some(Err(error)) => tracing::debug!(%error, "waiting for kafka"),
            None => {}
        }
    }
    Ok(evidence)
}

/// The commands the records tell of. What cannot be read was not written by us.
async fn commands_of(tails: Vec<Told>, codec: &Codec) -> BTreeMap<Uuid, Topic> {
    let mut commands = BTreeMap::new();
    let mut backoff = Backoff::new("asking the schema registry");
    for Told { topic, value } in tails {
        let command = loop {
            match codec.decode(topic, value.as_deref()).await {
                Ok(Record::AccountCreationConfirmed(record)) => break Some(record.id.0),
                Ok(Record::AccountCreationFailed(record)) => break Some(record.id.0),
                Ok(Record::MoneyTransferConfirmed(record)) => break Some(record.id.0),
                Ok(Record::MoneyTransferFailed(record)) => break Some(record.id.0),
                Ok(Record::BalanceChanged(record)) => {
                    break record.change.map(|change| change.command_id.0);
                }
                Ok(_) | Err(DecodeError::Undecodable { .. }) => break None,
                Err(error) => backoff.wait(&error).await,
            }
        };
        commands.extend(command.map(|command| (command, topic)));
    }
    commands
}

async fn judge(
    connection: &mut AsyncPgConnection,
    offsets: &[(Topic, i32, i64)],
    commands: &BTreeMap<Uuid, Topic>,
) -> QueryResult<Result<(), OlderBooks>> {
    let booked = booked_offsets(connection).await?;
    for (topic, partition, in_kafka) in offsets {
        let name = topic.definition().name;
        let in_books = booked
            .get(&(name.to_owned(), *partition))
            .copied()
            .unwrap_or(0);
        if *in_kafka > in_books {
            return Ok(Err(OlderBooks::OffsetBehind {
                topic: name,
                partition: *partition,
                in_kafka: *in_kafka,
                in_books,
            }));
        }
    }
    let ids: Vec<Uuid> = commands.keys().copied().collect();
    let known: BTreeSet<Uuid> = outcome::table
        .filter(outcome::command_id.eq_any(&ids))
        .select(outcome::command_id)
        .load::<Uuid>(connection)
        .await?
        .into_iter()
        .collect();
    for (command, topic) in commands {
        if !known.contains(command) {
            return Ok(Err(OlderBooks::OutcomeUnknown {
                topic: topic.definition().name,
                command: CommandId(*command),
            }));
        }
    }
    Ok(Ok(()))
}

async fn booked_offsets(
    connection: &mut AsyncPgConnection,
) -> QueryResult<BTreeMap<(String, i32), i64>> {
    let rows: Vec<(String, i32, i64)> = consumer_offset::table
        .select((
            consumer_offset::topic,
            consumer_offset::partition,
            consumer_offset::next_offset,
        ))
        .load(connection)
        .await?;
    let at = |(topic, partition, offset)| ((topic, partition), offset);
    Ok(rows.into_iter().map(at).collect())
}

/// How far this process knows the books to be: it has had the answers to its commits.
#[derive(Debug, Default)]
pub struct HighWater(BTreeMap<(Topic, i32), i64>);

impl HighWater {
    /// The books have answered that they stand here.
    pub fn reached(&mut self, moves: &[OffsetMove]) {
        for moved in moves {
            let at = self.0.entry((moved.topic, moved.partition)).or_default();
            *at = moved.next_offset.max(*at);
        }
    }

    /// After the database came back: whether it is still the one that answered.
    ///
    /// # Errors
    /// The database's error; within, the sign that it stands further back than it did.
    pub async fn still_holds(
        &self,
        connection: &mut AsyncPgConnection,
    ) -> QueryResult<Result<(), OlderBooks>> {
        let reached: Vec<(Topic, i32, i64)> = self
            .0
            .iter()
            .map(|((topic, partition), offset)| (*topic, *partition, *offset))
            .collect();
        judge(connection, &reached, &BTreeMap::new()).await
    }

    /// Whether nothing was committed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
