//! Reads the topics a handler writes to and notes what it sees, when it sees it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::Message;
use rdkafka::{Offset, TopicPartitionList};
use topology::Topic;
use topology::kafka::KafkaConfig;

use crate::board::Board;
use crate::clock::Clock;
use crate::error::Error;
use crate::wire::Headers;

/// What a handler writes.
pub const WRITTEN: [Topic; 3] = [
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
];
/// Bounds how late a stop is noticed.
const POLL_WAIT: Duration = Duration::from_millis(100);
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(10);
const RETRY_PAUSE: Duration = Duration::from_millis(50);

type Shared = Arc<Mutex<Option<Board>>>;

/// A thread that reads; ends when dropped.
pub struct Observer {
    board: Shared,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Observer {
    /// Reads from the end of the topics as they are now; with the services' own consumer
    /// settings, and outside of any group.
    ///
    /// # Errors
    /// When the client cannot be made or the broker does not answer.
    pub fn start(kafka: &KafkaConfig, headers: Headers, clock: Clock) -> Result<Observer, Error> {
        let board = Shared::default();
        let stop = Arc::new(AtomicBool::new(false));
        let (tell, told) = mpsc::channel();
        let thread = {
            let (kafka, board, stop) = (kafka.clone(), Arc::clone(&board), Arc::clone(&stop));
            let read = move || match open(&kafka) {
                Ok(consumer) => {
                    // Whoever started us waits for exactly this.
                    let _ = tell.send(Ok(()));
                    watch(&consumer, &kafka, &headers, clock, &board, &stop);
                }
                Err(error) => drop(tell.send(Err(error))),
            };
            std::thread::Builder::new()
                .name("observer".to_owned())
                .spawn(read)
                .map_err(Error::io("start", "a thread"))?
        };
        let opened = told.recv().map_err(|_| {
            Error::Wrong("the observer ended before it had begun to read".to_owned())
        })?;
        opened?;
        Ok(Observer {
            board,
            stop,
            thread: Some(thread),
        })
    }

    /// Notes everything on this board from now on.
    pub fn begin(&self, board: Board) {
        *lock(&self.board) = Some(board);
    }

    /// Asks the board.
    ///
    /// # Panics
    /// When none was begun.
    pub fn ask<T>(&self, question: impl FnOnce(&Board) -> T) -> T {
        question(lock(&self.board).as_ref().expect("a board was begun"))
    }

    /// Takes the board away.
    ///
    /// # Panics
    /// When none was begun.
    pub fn end(&self) -> Board {
        lock(&self.board).take().expect("a board was begun")
    }
}

impl Drop for Observer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was shown where it happened.
            let _ = thread.join();
        }
    }
}

fn lock(board: &Shared) -> MutexGuard<'_, Option<Board>> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

fn open(kafka: &KafkaConfig) -> Result<BaseConsumer, Error> {
    let consumer: BaseConsumer = kafka.consumer("perf-observer", "perf-observer").create()?;
    assign_ends(&consumer, kafka, &WRITTEN)?;
    Ok(consumer)
}

/// Assigns all partitions of these topics, from their ends.
pub(crate) fn assign_ends(
    consumer: &BaseConsumer,
    kafka: &KafkaConfig,
    topics: &[Topic],
) -> Result<(), Error> {
    let names = kafka.topics();
    let mut list = TopicPartitionList::new();
    for topic in topics {
        let name = names.name(*topic);
        for partition in 0..topic.definition().partitions {
            let end = end_of(consumer, &name, partition)?;
            list.add_partition_offset(&name, partition, Offset::Offset(end))?;
        }
    }
    consumer.assign(&list)?;
    Ok(())
}

/// A topic that was just made may have no leader yet.
fn end_of(consumer: &BaseConsumer, topic: &str, partition: i32) -> Result<i64, Error> {
    let deadline = Instant::now() + WATERMARK_TIMEOUT;
    loop {
        match consumer.fetch_watermarks(topic, partition, WATERMARK_TIMEOUT) {
            Ok((_, end)) => return Ok(end),
            Err(error) if Instant::now() > deadline => return Err(error.into()),
            Err(_) => std::thread::sleep(RETRY_PAUSE),
        }
    }
}

fn watch(
    consumer: &BaseConsumer,
    kafka: &KafkaConfig,
    headers: &Headers,
    clock: Clock,
    board: &Shared,
    stop: &AtomicBool,
) {
    let changes = kafka.topics().name(Topic::BalanceChanged);
    while !stop.load(Ordering::Relaxed) {
        // Errors of the client pass: it connects again by itself, and what is missing
        // in the end is told by the board.
        let Some(Ok(message)) = consumer.poll(POLL_WAIT) else {
            continue;
        };
        let now = clock.now_ns();
        let Some(value) = message.payload() else {
            continue;
        };
        if let Some(board) = lock(board).as_mut() {
            if message.topic() == changes {
                board.change(value, now);
            } else {
                board.outcome(headers, value, now);
            }
        }
    }
}
