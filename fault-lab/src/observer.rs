//! Reads every topic of the bank from its beginning and writes what it sees on the board.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use rdkafka::{
    ClientConfig, Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    message::{BorrowedMessage, Headers as _},
};

use crate::{
    board::Board,
    clock::Clock,
    error::LabError,
    wire::{Schemas, topics},
};

/// The wait for a record; also how soon the thread ends when told.
const POLL: Duration = Duration::from_millis(100);
/// One question to the broker.
const QUESTION: Duration = Duration::from_secs(5);

/// Topic without its prefix, and partition.
pub type Place = (String, i32);

/// Watches the topics in a thread of its own until dropped.
pub struct Observer {
    board: Arc<Mutex<Board>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    client: ClientConfig,
    prefix: String,
}

impl Observer {
    /// Starts to read.
    ///
    /// # Errors
    /// When the broker does not tell the partitions.
    pub fn start(
        brokers: &str,
        prefix: &str,
        schemas: Schemas,
        clock: Clock,
    ) -> Result<Observer, LabError> {
        let client = client(brokers);
        let consumer: BaseConsumer = client
            .create()
            .map_err(LabError::kafka("make a consumer"))?;
        let mut assignment = TopicPartitionList::new();
        for (topic, partition) in places(&consumer, prefix)? {
            let topic = format!("{prefix}{topic}");
            assignment
                .add_partition_offset(&topic, partition, Offset::Beginning)
                .map_err(LabError::kafka("choose partitions"))?;
        }
        consumer
            .assign(&assignment)
            .map_err(LabError::kafka("read the topics"))?;
        let board = Arc::new(Mutex::new(Board::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (board, stop, prefix) = (Arc::clone(&board), Arc::clone(&stop), prefix.to_owned());
            std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    // An error is a broker that is away; the client goes on when it is back.
                    if let Some(Ok(message)) = consumer.poll(POLL) {
                        note(&board, &schemas, clock, &prefix, &message);
                    }
                }
            })
        };
        Ok(Observer {
            board,
            stop,
            thread: Some(thread),
            client,
            prefix: prefix.to_owned(),
        })
    }

    /// What was seen so far.
    pub fn board(&self) -> MutexGuard<'_, Board> {
        lock(&self.board)
    }

    /// Where each partition ends.
    ///
    /// # Errors
    /// When the broker does not say.
    pub async fn ends(&self) -> Result<BTreeMap<Place, i64>, LabError> {
        let (client, prefix) = (self.client.clone(), self.prefix.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = client
                .create()
                .map_err(LabError::kafka("make a consumer"))?;
            let mut ends = BTreeMap::new();
            for (topic, partition) in places(&consumer, &prefix)? {
                let (_, end) = consumer
                    .fetch_watermarks(&format!("{prefix}{topic}"), partition, QUESTION)
                    .map_err(LabError::kafka("ask for the end of a topic"))?;
                ends.insert((topic, partition), end);
            }
            Ok(ends)
        });
        asking
            .await
            .map_err(|error| LabError::Died(error.to_string()))?
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It panicked: that was printed.
            let _ = thread.join();
        }
    }
}

/// Settings of the lab's consumers.
#[must_use]
pub fn client(brokers: &str) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .set("group.id", "fault-lab")
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", "100")
        .set("fetch.queue.backoff.ms", "5")
        .set("fetch.error.backoff.ms", "50")
        .set("reconnect.backoff.ms", "50")
        .set("reconnect.backoff.max.ms", "1000")
        // A broker that is away is what we made it.
        .set("log_level", "0");
    client
}

/// Every partition of our topics.
fn places(consumer: &BaseConsumer, prefix: &str) -> Result<Vec<Place>, LabError> {
    let metadata = consumer
        .fetch_metadata(None, QUESTION)
        .map_err(LabError::kafka("ask for the topics"))?;
    let mut places = Vec::new();
    for topic in metadata.topics() {
        if let Some(name) = topic.name().strip_prefix(prefix)
            && topics::ALL.contains(&name)
        {
            let partitions = topic.partitions().iter().map(|it| it.id());
            places.extend(partitions.map(|partition| (name.to_owned(), partition)));
        }
    }
    Ok(places)
}

fn note(
    board: &Mutex<Board>,
    schemas: &Schemas,
    clock: Clock,
    prefix: &str,
    message: &BorrowedMessage<'_>,
) {
    let topic = message.topic();
    let name = topic.strip_prefix(prefix).unwrap_or(topic);
    if name == topics::DEAD_LETTERS {
        let (topic, partition, offset) = source(message);
        lock(board).see_dead_letter(topic, partition, offset);
        return;
    }
    let value = message.payload().unwrap_or_default();
    match schemas.read(name, value) {
        Some(record) => lock(board).see(record, value, clock.now_us()),
        // Anybody may write anything there.
        None if name == topics::CREATIONS || name == topics::TRANSFERS => {}
        None => lock(board).unreadable += 1,
    }
}

/// Where a dead letter comes from; the letter's own place when it does not say.
fn source(message: &BorrowedMessage<'_>) -> Place3 {
    let text = |name: &str| {
        let header = message.headers()?.iter().find(|it| it.key.contains(name))?;
        String::from_utf8(header.value?.to_vec()).ok()
    };
    let stated = || {
        Some((
            text("topic")?,
            text("partition")?.parse().ok()?,
            text("offset")?.parse().ok()?,
        ))
    };
    stated().unwrap_or_else(|| {
        let own = message.topic().to_owned();
        (own, message.partition(), message.offset())
    })
}

type Place3 = (String, i32, i64);

fn lock(board: &Mutex<Board>) -> MutexGuard<'_, Board> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}
