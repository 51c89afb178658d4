//! Reads every topic of the bank from its beginning and writes what it sees on the board.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
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
/// A partition that gives nothing for so long, though it had more all the time, is stuck.
const STUCK_AFTER: Duration = Duration::from_secs(3);

/// Topic without its prefix, and partition.
pub type Place = (String, i32);

/// Watches the topics in a thread of its own until dropped.
pub struct Observer {
    board: Arc<Mutex<Board>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    client: ClientConfig,
    prefix: String,
}

/// What the reading thread and the one that watches it share.
struct Reading {
    client: ClientConfig,
    prefix: String,
    /// The next record of each partition.
    positions: Mutex<BTreeMap<Place, i64>>,
    /// A partition stands still: a new client is wanted.
    is_stuck: AtomicBool,
    stop: Arc<AtomicBool>,
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
        let places = places(&consumer, prefix)?;
        let stop = Arc::new(AtomicBool::new(false));
        let reading = Arc::new(Reading {
            client: client.clone(),
            prefix: prefix.to_owned(),
            positions: Mutex::new(places.into_iter().map(|place| (place, 0)).collect()),
            is_stuck: AtomicBool::new(false),
            stop: Arc::clone(&stop),
        });
        let consumer = reading.open()?;
        let board = Arc::new(Mutex::new(Board::default()));
        let reader = {
            let (reading, board) = (Arc::clone(&reading), Arc::clone(&board));
            std::thread::spawn(move || reading.read(consumer, &board, &schemas, clock))
        };
        let watcher = std::thread::spawn(move || reading.watch());
        Ok(Observer {
            board,
            stop,
            threads: vec![reader, watcher],
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
        let asking = tokio::task::spawn_blocking(move || ends(&client, &prefix));
        asking
            .await
            .map_err(|error| LabError::Died(error.to_string()))?
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // It panicked: that was printed.
            let _ = thread.join();
        }
    }
}

impl Reading {
    /// A client that reads on.
    fn open(&self) -> Result<BaseConsumer, LabError> {
        let mut assignment = TopicPartitionList::new();
        for ((topic, partition), next) in &*lock(&self.positions) {
            assignment
                .add_partition_offset(
                    &format!("{}{topic}", self.prefix),
                    *partition,
                    Offset::Offset(*next),
                )
                .map_err(LabError::kafka("choose partitions"))?;
        }
        let consumer: BaseConsumer = self
            .client
            .create()
            .map_err(LabError::kafka("make a consumer"))?;
        consumer
            .assign(&assignment)
            .map_err(LabError::kafka("read the topics"))?;
        Ok(consumer)
    }

    fn read(
        &self,
        mut consumer: BaseConsumer,
        board: &Mutex<Board>,
        schemas: &Schemas,
        clock: Clock,
    ) {
        while !self.stop.load(Ordering::Relaxed) {
            if self.is_stuck.swap(false, Ordering::Relaxed)
                && let Ok(another) = self.open()
            {
                consumer = another;
            }
            // An error is a broker that is away; the client goes on when it is back.
            let Some(Ok(message)) = consumer.poll(POLL) else {
                continue;
            };
            let topic = message.topic();
            let name = topic.strip_prefix(&self.prefix).unwrap_or(topic);
            let place = (name.to_owned(), message.partition());
            lock(&self.positions).insert(place, message.offset() + 1);
            note(board, schemas, clock, &self.prefix, &message);
        }
    }

    /// The client library may leave a partition alone for good when a broker comes back: a restart answers with no
    /// leader for a moment, and librdkafka takes that for news that it skips (confluentinc/librdkafka#5430). What
    /// stands still though there is more is read by a new client.
    fn watch(&self) {
        let mut before: Option<(BTreeMap<Place, i64>, BTreeMap<Place, i64>)> = None;
        let mut looked = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(POLL);
            if looked.elapsed() < STUCK_AFTER {
                continue;
            }
            let ends = ends(&self.client, &self.prefix);
            looked = Instant::now();
            let now = lock(&self.positions).clone();
            let is_stuck = before.as_ref().is_some_and(|(positions, ends)| {
                let mut all = now.iter();
                all.any(|(place, next)| {
                    positions.get(place) == Some(next)
                        && ends.get(place).is_some_and(|end| end > next)
                })
            });
            if is_stuck {
                self.is_stuck.store(true, Ordering::Relaxed);
            }
            // A broker that is away is no reason: nobody gets anything then.
            before = ends.ok().filter(|_| !is_stuck).map(|ends| (now, ends));
        }
    }
}

/// Where each partition ends.
fn ends(client: &ClientConfig, prefix: &str) -> Result<BTreeMap<Place, i64>, LabError> {
    let consumer: BaseConsumer = client
        .create()
        .map_err(LabError::kafka("make a consumer"))?;
    let mut ends = BTreeMap::new();
    for (topic, partition) in places(&consumer, prefix)? {
        let (_, end) = consumer
            .fetch_watermarks(&format!("{prefix}{topic}"), partition, QUESTION)
            .map_err(LabError::kafka("ask for the end of a topic"))?;
        ends.insert((topic, partition), end);
    }
    Ok(ends)
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

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
