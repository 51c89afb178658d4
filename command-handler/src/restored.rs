//! Refuses books that are older than the log.
//!
//! A database restored from a backup knows less than it has told the topics. Going on
//! would decide commands a second time, perhaps otherwise: two outcomes for one command.
//! It may not happen silently, so a start looks for what only newer books can have done:
//! the group's offset in Kafka is ahead of the offset in the books. It is moved only after
//! the books have committed.
//!
//! It is read from Kafka before the books are asked, so that a living instance cannot make
//! them look old. What stands in the topics we write is no sign: others may write there
//! too, such as a handler of 2019, and a stranger's record must not keep us from starting.
//! While the process runs, it compares what it has committed itself with what it finds
//! after each loss of the connection ([`HighWater`]).

use std::collections::BTreeMap;
use std::time::Duration;

use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use topology::kafka::{Connection, KafkaConfig};
use topology::{Backoff, Topic};

use crate::batch::OffsetMove;
use crate::store::schema::consumer_offset;

/// One question to the broker, then it is asked again; bounds how late a stop is noticed.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);

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
}

/// Compares the offsets of a consumer group with the books, waiting for Kafka and for the
/// database as long as it takes.
///
/// # Errors
/// [`KafkaError`] when the client's settings are not accepted; within, the first sign that
/// the books are older, if there is one.
pub async fn refuse_older_books(
    kafka: &KafkaConfig,
    group: &'static str,
    read: &'static [Topic],
    database_url: &str,
) -> Result<Result<(), OlderBooks>, KafkaError> {
    let in_kafka = committed_offsets(kafka, group, read).await?;
    let mut backoff = Backoff::new("comparing the books with the log");
    loop {
        let what = "connecting to compare the books with the log";
        let mut connection = crate::store::connect_cold(database_url, what).await;
        match judge(&mut connection, &in_kafka).await {
            Ok(judgement) => return Ok(judgement),
            Err(error) => backoff.wait(&error).await,
        }
    }
}

type Offsets = Vec<(Topic, i32, i64)>;

/// Asks Kafka on a thread that may block.
async fn committed_offsets(
    kafka: &KafkaConfig,
    group: &'static str,
    read: &'static [Topic],
) -> Result<Offsets, KafkaError> {
    let mut backoff = Backoff::new("reading the group's offsets");
    loop {
        let kafka = kafka.clone();
        let ask = tokio::task::spawn_blocking(move || ask_kafka(&kafka, group, read));
        match ask.await {
            Ok(Ok(offsets)) => return Ok(offsets),
            Ok(Err(error @ KafkaError::ClientCreation(_))) => return Err(error),
            Ok(Err(error)) => backoff.wait(&error).await,
            Err(error) => backoff.wait(&error).await,
        }
    }
}

fn ask_kafka(kafka: &KafkaConfig, group: &str, read: &[Topic]) -> Result<Offsets, KafkaError> {
    let client_id = format!("{group}-offsets");
    let consumer: BaseConsumer<Connection> = kafka
        .client(&client_id)
        // Never subscribes, and so is no member of the group it asks about.
        .set("group.id", kafka.topics().group(group))
        .create_with_context(Connection::new(&client_id))?;
    let topics = kafka.topics();
    let mut asked = TopicPartitionList::new();
    for topic in read {
        for partition in 0..topic.definition().partitions {
            asked.add_partition(&topics.name(*topic), partition);
        }
    }
    let committed = consumer.committed_offsets(asked, ASK_TIMEOUT)?;
    Ok(committed
        .elements()
        .iter()
        .filter_map(|element| match element.offset() {
            Offset::Offset(offset) => {
                Some((topics.find(element.topic())?, element.partition(), offset))
            }
            _ => None,
        })
        .collect())
}

async fn judge(
    connection: &mut AsyncPgConnection,
    offsets: &[(Topic, i32, i64)],
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
        judge(connection, &reached).await
    }

    /// Whether nothing was committed yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
