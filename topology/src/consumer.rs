//! Reading records in natural batches, from positions that live with their effects.
//!
//! A thread of its own polls librdkafka: it blocks for the first record, takes what
//! else is there up to the limits, and hands the batch over when asked. Idle, a batch is
//! one record; under load it grows by itself while the last one is worked on. No timer.
//!
//! Where reading starts is never Kafka's committed offset but what [`Positions`] says,
//! asked at each assignment. Kafka's own offset is committed now and then for lag tools.

mod standstill;

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use rdkafka::client::ClientContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{Offset, TopicPartitionList};
use tokio::runtime::Handle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{debug, error, info, warn};

use crate::kafka::{Connection, KafkaConfig};
use crate::metrics::PerTopic;
use crate::stamps::Trace;
use crate::topics::{Topic, Topics};

use standstill::{Progress, Watched};

/// Most records in a batch, unless a service asks for fewer.
pub const BATCH_RECORDS_MAX: usize = 256;
/// A batch is full once its values hold this many bytes.
pub const BATCH_BYTES_MAX: usize = 256 * 1024;
/// Longest wait in one poll: bounds how late a stop or a commit is noticed.
const POLL_WAIT: Duration = Duration::from_millis(250);
/// Least time between two advisory commits.
const COMMIT_INTERVAL: Duration = Duration::from_secs(1);
/// Wait for the broker's answer about offsets, per question.
const WATERMARK_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before an unanswered question is asked again.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// A thread that has not ended by then is left to the end of the process: closing a
/// librdkafka consumer may block while its broker is away.
const CLOSE_DEADLINE: Duration = Duration::from_secs(5);
/// A partition that the store says is another's is taken back after this long if the
/// group still says it is ours. By then a member that was paused has been told otherwise:
/// it is longer than the interval between two heartbeats.
const RETAKE_PAUSE: Duration = Duration::from_secs(3);
/// Wait for a partition's reading to move to another position.
const SEEK_TIMEOUT: Duration = Duration::from_secs(5);

/// A record as it was read.
#[derive(Clone, Debug)]
pub struct Consumed {
    /// Where.
    pub topic: Topic,
    /// Where.
    pub partition: i32,
    /// Where.
    pub offset: i64,
    /// The assignment under which it was read; see [`Position::epoch`].
    pub epoch: i64,
    /// When its sender says it was sent, in milliseconds since 1970; 0 when it does not say.
    pub timestamp_ms: i64,
    /// The key's bytes.
    pub key: Option<Vec<u8>>,
    /// The value's bytes.
    pub value: Option<Vec<u8>>,
    /// Its journey so far, when its sender wants to know of it. Boxed, since most records
    /// have none.
    pub trace: Option<Box<Trace>>,
}

/// Where reading of a partition starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// Of this topic.
    pub topic: Topic,
    /// This partition.
    pub partition: i32,
    /// The first offset not yet dealt with.
    pub next_offset: i64,
    /// Number of this assignment: work of an older one is refused by the store.
    pub epoch: i64,
}

/// Any error of a store of positions.
pub type PositionsError = Box<dyn std::error::Error + Send + Sync>;

/// The store that knows how far the effects of a topic have come.
pub trait Positions: Send + Sync + 'static {
    /// These partitions are ours from now on: takes a new epoch for each and says where
    /// to start. May wait for its store as long as it takes.
    fn assigned(
        &self,
        partitions: Vec<(Topic, i32)>,
    ) -> BoxFuture<'_, Result<Vec<Position>, PositionsError>>;
}

/// Where the partitions come from.
#[derive(Clone)]
pub enum Source {
    /// Shared with the other members of a group.
    Group {
        /// Bare name of the group.
        group: String,
        /// What to read.
        topics: Vec<Topic>,
        /// Where to start.
        positions: Arc<dyn Positions>,
    },
    /// All partitions, from these positions; the group's name is for lag tools only.
    Fixed {
        /// Bare name of the group.
        group: String,
        /// Where to start.
        positions: Vec<Position>,
    },
}

/// Why reading ended.
#[derive(Debug, thiserror::Error)]
pub enum ConsumeError {
    /// The settings are not accepted.
    #[error("could not open the consumer {client_id}")]
    Open {
        /// Which one.
        client_id: String,
        /// The client's error.
        #[source]
        source: KafkaError,
    },
    /// The log no longer holds the position, or is shorter than it.
    #[error("the log and the stored positions do not fit: {0}")]
    PositionLost(String),
    /// The store of positions failed for good.
    #[error("could not get positions for an assignment")]
    Positions(#[source] PositionsError),
    /// The client gave up.
    #[error("the consumer failed")]
    Fatal(#[source] KafkaError),
    /// A partition has records that the client does not fetch any more.
    #[error(
        "{topic}/{partition} stands still at offset {next_offset}: its client does not fetch it any more"
    )]
    StandsStill {
        /// Full name of the topic.
        topic: String,
        /// Which partition.
        partition: i32,
        /// Where reading stopped.
        next_offset: i64,
    },
    /// The thread is gone.
    #[error("the consumer thread ended")]
    Ended,
}

type Done = Arc<Mutex<BTreeMap<(Topic, i32), i64>>>;

/// Reads batches; see the module.
pub struct BatchConsumer {
    ask: SyncSender<()>,
    batches: tokio::sync::mpsc::Receiver<Result<Vec<Consumed>, ConsumeError>>,
    done: Done,
    assignment: Arc<Mutex<Assignment>>,
    connection: Connection,
    stop: CancellationToken,
    /// Ends thread and watch also when nobody calls [`BatchConsumer::close`].
    _stop_when_dropped: DropGuard,
    thread: Option<JoinHandle<()>>,
    asked: bool,
    consumed: PerTopic,
}

impl BatchConsumer {
    /// Starts the thread. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ConsumeError::Open`] when the settings are not accepted.
    pub fn start(
        config: &KafkaConfig,
        client_id: &str,
        source: Source,
        records_max: usize,
    ) -> Result<BatchConsumer, ConsumeError> {
        let connection = Connection::new(client_id);
        let stop = CancellationToken::new();
        let (Source::Group { group, .. } | Source::Fixed { group, .. }) = &source;
        let assignment = Arc::<Mutex<Assignment>>::default();
        let failure = Arc::default();
        let context = Context {
            connection: connection.clone(),
            topics: config.topics(),
            runtime: Handle::current(),
            positions: match &source {
                Source::Group { positions, .. } => Some(Arc::clone(positions)),
                Source::Fixed { .. } => None,
            },
            assignment: Arc::clone(&assignment),
            failure: Arc::clone(&failure),
            stop: stop.clone(),
        };
        let open = |source| ConsumeError::Open {
            client_id: client_id.to_owned(),
            source,
        };
        let consumer: BaseConsumer<Context> = config
            .consumer(client_id, group)
            .create_with_context(context)
            .map_err(open)?;
        let topics = config.topics();
        match &source {
            Source::Group { topics: read, .. } => {
                let names: Vec<String> = read.iter().map(|topic| topics.name(*topic)).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                consumer.subscribe(&names).map_err(open)?;
            }
            Source::Fixed { positions, .. } => {
                let list = to_list(&topics, positions).map_err(open)?;
                consumer.assign(&list).map_err(open)?;
                consumer.context().remember(positions);
            }
        }
        let (ask, asked) = std::sync::mpsc::sync_channel(1);
        let (hand_over, batches) = tokio::sync::mpsc::channel(1);
        let done: Done = Arc::default();
        let progress = Arc::<Progress>::default();
        let mut settings = config.consumer(&format!("{client_id}-watch"), group);
        // Hardly ever polled: reports would wait in it for ever, some 7 MiB an hour.
        settings.set("statistics.interval.ms", "0");
        let watched = Watched {
            settings,
            topics: topics.clone(),
            assignment: Arc::clone(&assignment),
            progress: Arc::clone(&progress),
            failure,
            stop: stop.clone(),
        };
        tokio::spawn(standstill::watch(watched));
        let reader = Reader {
            consumer,
            topics,
            progress,
            records_max,
            done: Arc::clone(&done),
            committed: BTreeMap::new(),
            last_commit: Instant::now(),
        };
        let thread = std::thread::Builder::new()
            .name(client_id.to_owned())
            .spawn(move || reader.run(&asked, &hand_over))
            .map_err(|source| ConsumeError::Positions(Box::new(source)))?;
        Ok(BatchConsumer {
            ask,
            batches,
            done,
            assignment,
            connection,
            _stop_when_dropped: stop.clone().drop_guard(),
            stop,
            thread: Some(thread),
            asked: false,
            consumed: PerTopic::new("bank_events_consumed_total", "Records read."),
        })
    }

    /// The next batch, never empty. Safe to cancel: nothing read is dropped.
    ///
    /// # Errors
    /// [`ConsumeError`]: reading cannot go on.
    pub async fn next(&mut self) -> Result<Vec<Consumed>, ConsumeError> {
        if !self.asked {
            self.ask.try_send(()).map_err(|_| ConsumeError::Ended)?;
            self.asked = true;
        }
        let batch = self.batches.recv().await.ok_or(ConsumeError::Ended)?;
        self.asked = false;
        if let Ok(records) = &batch {
            self.consumed
                .count(records.iter().map(|record| record.topic));
        }
        batch
    }

    /// Tells lag tools that everything before `next_offset` is dealt with.
    pub fn mark_done(&self, topic: Topic, partition: i32, next_offset: i64) {
        lock(&self.done).insert((topic, partition), next_offset);
    }

    /// The store says that this assignment is over. Reading of the partition pauses until
    /// the group takes it away, or, if it does not, the partition is taken back: two
    /// instances may take a partition in another order than the group gave it to them.
    pub fn fenced(&self, topic: Topic, partition: i32, epoch: i64) {
        let mut assignment = lock(&self.assignment);
        let at = (topic, partition);
        if assignment
            .owned
            .get(&at)
            .is_some_and(|it| it.epoch == epoch)
        {
            assignment.owned.remove(&at);
            assignment.fenced.insert(at, Instant::now());
        }
    }

    /// Whether the broker is reached.
    #[must_use]
    pub fn connection(&self) -> Connection {
        self.connection.clone()
    }

    /// Leaves the group and ends the thread, within a deadline.
    pub async fn close(mut self) {
        self.stop.cancel();
        drop(self.ask);
        self.batches.close();
        let Some(thread) = self.thread.take() else {
            return;
        };
        let joined = tokio::task::spawn_blocking(move || {
            let deadline = Instant::now() + CLOSE_DEADLINE;
            while !thread.is_finished() && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(5));
            }
            thread.is_finished()
        })
        .await;
        if !joined.unwrap_or(false) {
            warn!("the consumer did not close in time");
        }
    }
}

/// Positions at the end of the log as it is now: for live tails, which want only what
/// comes next. Waits for broker and topics as long as it takes.
pub async fn end_positions(
    config: &KafkaConfig,
    client_id: &str,
    topics: &[Topic],
) -> Result<Vec<Position>, ConsumeError> {
    edge_positions(config, client_id, topics, |(_, high)| high).await
}

/// Positions at the beginning of the log as it is now: for state rebuilt from a topic.
/// Waits for broker and topics as long as it takes.
pub async fn first_positions(
    config: &KafkaConfig,
    client_id: &str,
    topics: &[Topic],
) -> Result<Vec<Position>, ConsumeError> {
    edge_positions(config, client_id, topics, |(low, _)| low).await
}

async fn edge_positions(
    config: &KafkaConfig,
    client_id: &str,
    topics: &[Topic],
    edge: fn((i64, i64)) -> i64,
) -> Result<Vec<Position>, ConsumeError> {
    let consumer: BaseConsumer<Connection> = config
        .client(client_id)
        .create_with_context(Connection::new(client_id))
        .map_err(|source| ConsumeError::Open {
            client_id: client_id.to_owned(),
            source,
        })?;
    let names = config.topics();
    let topics = topics.to_vec();
    let ask = move || {
        let mut positions = Vec::new();
        for topic in topics {
            let name = names.name(topic);
            for partition in 0..topic.definition().partitions {
                let marks = loop {
                    match consumer.fetch_watermarks(&name, partition, WATERMARK_TIMEOUT) {
                        Ok(marks) => break marks,
                        Err(error) => {
                            debug!(topic = name, partition, %error, "waiting for kafka");
                            std::thread::sleep(RETRY_PAUSE);
                        }
                    }
                };
                positions.push(Position {
                    topic,
                    partition,
                    next_offset: edge(marks),
                    epoch: 0,
                });
            }
        }
        positions
    };
    tokio::task::spawn_blocking(ask)
        .await
        .map_err(|_| ConsumeError::Ended)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn to_list(topics: &Topics, positions: &[Position]) -> Result<TopicPartitionList, KafkaError> {
    let mut list = TopicPartitionList::new();
    for position in positions {
        list.add_partition_offset(
            &topics.name(position.topic),
            position.partition,
            Offset::Offset(position.next_offset),
        )?;
    }
    Ok(list)
}

/// The partitions the group has given us.
#[derive(Default)]
struct Assignment {
    /// Ours, as far as we know.
    owned: BTreeMap<(Topic, i32), Position>,
    /// Another's, says the store, and since when.
    fenced: BTreeMap<(Topic, i32), Instant>,
}

impl Assignment {
    fn take(&mut self, positions: &[Position]) {
        for position in positions {
            let at = (position.topic, position.partition);
            self.fenced.remove(&at);
            self.owned.insert(at, *position);
        }
    }
}

/// librdkafka's callbacks: rebalances are answered from the store of positions.
struct Context {
    connection: Connection,
    topics: Topics,
    runtime: Handle,
    positions: Option<Arc<dyn Positions>>,
    assignment: Arc<Mutex<Assignment>>,
    failure: Arc<Mutex<Option<ConsumeError>>>,
    stop: CancellationToken,
}

impl Context {
    fn remember(&self, positions: &[Position]) {
        lock(&self.assignment).take(positions);
    }

    /// Positions with new epochs; `None` when the store failed or we are to stop.
    fn ask_store(&self, partitions: Vec<(Topic, i32)>) -> Option<Vec<Position>> {
        let store = self.positions.as_ref()?;
        let answer = self.runtime.block_on(async {
            tokio::select! {
                answer = store.assigned(partitions) => Some(answer),
                () = self.stop.cancelled() => None,
            }
        })?;
        match answer {
            Ok(positions) => Some(positions),
            Err(error) => {
                *lock(&self.failure) = Some(ConsumeError::Positions(error));
                None
            }
        }
    }

    /// Takes partitions back that the group has left with us.
    fn retake(&self, consumer: &BaseConsumer<Context>) {
        let due: Vec<(Topic, i32)> = lock(&self.assignment)
            .fenced
            .iter()
            .filter(|(_, since)| since.elapsed() >= RETAKE_PAUSE)
            .map(|(at, _)| *at)
            .collect();
        if due.is_empty() {
            return;
        }
        let Some(positions) = self.ask_store(due) else {
            return;
        };
        let sought = to_list(&self.topics, &positions)
            .and_then(|list| consumer.seek_partitions(list, SEEK_TIMEOUT));
        let settled = sought.and_then(|list| {
            list.elements()
                .iter()
                .try_for_each(|element| element.error())
        });
        match settled {
            Ok(()) => {
                self.remember(&positions);
                warn!(partitions = positions.len(), "partitions taken back");
            }
            // The broker is away, or the group is taking them away: again, if they stay.
            Err(error) => debug!(%error, "could not take partitions back"),
        }
    }

    fn partitions(&self, list: &TopicPartitionList) -> Vec<(Topic, i32)> {
        list.elements()
            .iter()
            .filter_map(|element| {
                let topic = self.topics.find(element.topic())?;
                Some((topic, element.partition()))
            })
            .collect()
    }

    fn assign(&self, consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
        let Some(positions) = self.ask_store(self.partitions(list)) else {
            return;
        };
        self.remember(&positions);
        let assigned = to_list(&self.topics, &positions).and_then(|list| {
            match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative => consumer.incremental_assign(&list),
                _ => consumer.assign(&list),
            }
        });
        match assigned {
            Ok(()) => info!(partitions = positions.len(), "partitions assigned"),
            Err(error) => *lock(&self.failure) = Some(ConsumeError::Fatal(error)),
        }
    }

    fn revoke(&self, consumer: &BaseConsumer<Context>, list: &TopicPartitionList) {
        let partitions = self.partitions(list);
        let mut assignment = lock(&self.assignment);
        for partition in &partitions {
            assignment.owned.remove(partition);
            assignment.fenced.remove(partition);
        }
        drop(assignment);
        let revoked = match consumer.rebalance_protocol() {
            RebalanceProtocol::Cooperative => consumer.incremental_unassign(list),
            _ => consumer.unassign(),
        };
        match revoked {
            Ok(()) => info!(partitions = partitions.len(), "partitions revoked"),
            Err(error) => error!(%error, "could not give up partitions"),
        }
    }
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.connection.stats(statistics);
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        event: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        match event {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => self.assign(consumer, list),
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS => self.revoke(consumer, list),
            other => {
                warn!(?other, "rebalance failed");
                if let Err(error) = consumer.unassign() {
                    error!(%error, "could not give up partitions");
                }
            }
        }
    }
}

/// The thread's own state.
struct Reader {
    consumer: BaseConsumer<Context>,
    topics: Topics,
    progress: Arc<Progress>,
    records_max: usize,
    done: Done,
    committed: BTreeMap<(Topic, i32), i64>,
    last_commit: Instant,
}

type HandOver = tokio::sync::mpsc::Sender<Result<Vec<Consumed>, ConsumeError>>;

impl Reader {
    fn run(mut self, asked: &Receiver<()>, hand_over: &HandOver) {
        while !self.stopped() {
            match asked.recv_timeout(POLL_WAIT) {
                Ok(()) => {}
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let batch = match self.read_batch() {
                Ok(Some(batch)) => {
                    self.progress.gave(&batch);
                    Ok(batch)
                }
                Ok(None) => break,
                Err(error) => Err(error),
            };
            let failed = batch.is_err();
            if hand_over.blocking_send(batch).is_err() || failed {
                break;
            }
        }
        self.commit();
    }

    fn stopped(&self) -> bool {
        self.consumer.context().stop.is_cancelled()
    }

    /// Blocks for the first record, then takes what is there.
    fn read_batch(&mut self) -> Result<Option<Vec<Consumed>>, ConsumeError> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        loop {
            let wait = if batch.is_empty() {
                if self.stopped() {
                    return Ok(None);
                }
                if self.last_commit.elapsed() >= COMMIT_INTERVAL {
                    self.commit();
                }
                self.consumer.context().retake(&self.consumer);
                POLL_WAIT
            } else {
                Duration::ZERO
            };
            let polled = self.consumer.poll(wait);
            if let Some(failure) = lock(&self.consumer.context().failure).take() {
                return Err(failure);
            }
            match polled {
                Some(Ok(message)) => {
                    if let Some(consumed) = self.take(&message) {
                        bytes += consumed.value.as_ref().map_or(0, Vec::len);
                        batch.push(consumed);
                    }
                }
                Some(Err(error)) => judge(error)?,
                None => {
                    self.progress.found_empty();
                    if !batch.is_empty() {
                        return Ok(Some(batch));
                    }
                }
            }
            if batch.len() >= self.records_max || bytes >= BATCH_BYTES_MAX {
                return Ok(Some(batch));
            }
        }
    }

    fn take(&self, message: &BorrowedMessage<'_>) -> Option<Consumed> {
        let topic = self.topics.find(message.topic())?;
        let partition = message.partition();
        // None: revoked while it waited; its next owner reads it.
        let epoch = lock(&self.consumer.context().assignment)
            .owned
            .get(&(topic, partition))?
            .epoch;
        Some(Consumed {
            topic,
            partition,
            offset: message.offset(),
            epoch,
            timestamp_ms: message.timestamp().to_millis().unwrap_or(0).max(0),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            trace: message.headers().and_then(Trace::of).map(Box::new),
        })
    }

    /// Advisory: a failure is of no consequence but to lag tools.
    fn commit(&mut self) {
        self.last_commit = Instant::now();
        let assignment = lock(&self.consumer.context().assignment);
        let mut list = TopicPartitionList::new();
        for (at, next_offset) in lock(&self.done).iter() {
            if assignment.owned.contains_key(at) && self.committed.get(at) != Some(next_offset) {
                let name = self.topics.name(at.0);
                let offset = Offset::Offset(*next_offset);
                if list.add_partition_offset(&name, at.1, offset).is_ok() {
                    self.committed.insert(*at, *next_offset);
                }
            }
        }
        drop(assignment);
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            debug!(%error, "advisory commit failed");
            self.committed.clear();
        }
    }
}

/// Whether an error of the client ends reading; most only mean waiting.
fn judge(error: KafkaError) -> Result<(), ConsumeError> {
    match &error {
        KafkaError::MessageConsumptionFatal(_) => Err(ConsumeError::Fatal(error)),
        KafkaError::MessageConsumption(
            RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange,
        ) => Err(ConsumeError::PositionLost(error.to_string())),
        _ => {
            debug!(%error, "waiting for kafka");
            Ok(())
        }
    }
}
