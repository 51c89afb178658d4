//! The loop: read what has come, decide, commit, emit, again.
//!
//! What happens when the process dies
//! - before the commit: nothing is written; the records are read again from the offset
//!   in the books.
//! - during the commit: it is either of the two neighbours; reading again finds out, since
//!   the outcome of a record that was committed names that record as its source.
//! - after the commit, before or while emitting: the note of the debt stands. The next
//!   start, or another living handler within a second or so, sends the same bytes again.
//! - after the acknowledgements, before the note is removed: the same; readers see records
//!   twice, with the same identity and the same bytes.
//!
//! Every step has a name in [`crate::steps`] and a row in `docs/failure-modes.md`.
//!
//! When a second instance runs the same steps on the same records, the row locks order
//! them, the claim of a command id lets one win, and the epochs of the partitions stop the
//! commit of the one that no longer owns them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use rdkafka::error::KafkaError;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, ConsumeError, Consumed, Source};
use topology::operations::{self, Readiness};
use topology::pace::{Pace, Paced};
use topology::producer::Producer;
use topology::stamps::{self, Stamp};
use topology::{Backoff, Codec, DecodeError, EncodeError, Topic, Topics};
use tracing::{error, info, warn};

use crate::batch::{self, Item, Journey, OffsetMove, Plan, Tools};
use crate::config::Config;
use crate::counts::Counts;
use crate::emission::{self, Debt, EmissionError, Emitter};
use crate::keys::HandlerKey;
use crate::opening::{self, OpeningError};
use crate::orphans::Orphans;
use crate::request::Request;
use crate::restored::{self, HighWater, OlderBooks};
use crate::steps::{Interrupted, Step, Steps};
use crate::store::books::{Books, BooksError};
use crate::store::connect_cold;
use crate::store::debts::DebtError;
use crate::store::positions::BookedPositions;

pub(crate) const NAME: &str = "command-handler";
/// Two round trips, a forced write, and a request to Kafka for each partition a batch touches:
/// streams of less than a thousand commands a second hardly feel the pause.
const PACE: Pace = Pace {
    per_item: Duration::from_millis(1),
    pause_max: Duration::from_millis(8),
    enough: 32,
};
/// Reason of the dead letter for a record that the database does not take.
const REFUSED_BY_DATABASE: &str = "REFUSED_BY_DATABASE";
const COMMAND_TOPICS: [Topic; 2] = [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer];
const WRITTEN_TOPICS: [Topic; 3] = [
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
];

/// Why the handler cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Kafka settings are not accepted.
    #[error("could not open the producer")]
    Producer(#[source] KafkaError),
    /// Commands cannot be read.
    #[error("could not read commands")]
    Consume(#[from] ConsumeError),
    /// The books hold what this program cannot read.
    #[error("could not work with the books")]
    Books(#[from] BooksError),
    /// A debt cannot be read.
    #[error("could not take over debts")]
    Debts(#[from] DebtError),
    /// A fault of this program.
    #[error("could not encode a record")]
    Encode(#[from] EncodeError),
    /// A record cannot be delivered.
    #[error("could not emit")]
    Emission(#[from] EmissionError),
    /// The database was restored from a backup that is too old.
    #[error("refused the books")]
    OlderBooks(#[from] OlderBooks),
    /// A test wants it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// The operator's address.
    #[error("could not serve the operations address")]
    Operations(#[source] std::io::Error),
    /// A task is gone.
    #[error("the {0} task ended")]
    Task(&'static str),
}

/// Runs the handler until it is told to stop.
///
/// # Errors
/// [`Error`] when it cannot go on; nothing is lost then.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    run_watched(config, stop, Steps::default()).await
}

/// [`run`], with a watcher who is told of each step: for tests.
///
/// # Errors
/// As [`run`].
pub async fn run_watched(
    config: Config,
    stop: CancellationToken,
    steps: Steps,
) -> Result<(), Error> {
    let readiness = Readiness::waiting_for(&["schema_registry", "database", "kafka"]);
    // Answers until the work has ended, also while it is stopping.
    let operations = operations::serve(
        config.common.operations_address,
        readiness.clone(),
        axum::Router::new(),
        CancellationToken::new(),
    );
    tokio::select! {
        result = work(config, readiness, stop, steps) => result,
        result = operations => {
            result.map_err(Error::Operations)?;
            Err(Error::Task("operations"))
        }
    }
}

async fn work(
    config: Config,
    readiness: Readiness,
    stop: CancellationToken,
    steps: Steps,
) -> Result<(), Error> {
    let key = HandlerKey::new(config.handler_key_file.secret().expose());
    let kafka = &config.common.kafka;
    let topics = kafka.topics();
    let registry_url = &config.common.schema_registry_url;
    let codec = tokio::select! {
        codec = Codec::connect(registry_url, &topics, &WRITTEN_TOPICS) => Arc::new(codec),
        () = stop.cancelled() => return Ok(()),
    };
    readiness.holds("schema_registry");

    let refused = restored::refuse_older_books(kafka, NAME, &COMMAND_TOPICS, &config.database_url);
    tokio::select! {
        refused = refused => refused.map_err(Error::Producer)??,
        () = stop.cancelled() => return Ok(()),
    }

    let producer = Producer::lingering(kafka, NAME, config.linger_ms).map_err(Error::Producer)?;
    let (emitter, emitting) =
        emission::start(producer.clone(), config.database_url.clone(), steps.clone());
    let mut emitting = tokio::spawn(emitting);

    let mut handler = Handler {
        database_url: config.database_url.clone(),
        key: key.clone(),
        codec,
        topics,
        books: None,
        high_water: HighWater::default(),
        connected: Arc::new(AtomicBool::new(false)),
        counts: Counts::new(emitter.in_flight().clone()),
        emitter: emitter.clone(),
        steps: steps.clone(),
        batch_max: usize::try_from(config.batch_max).unwrap_or(1),
    };
    let connected = Arc::clone(&handler.connected);
    let mut orphans = Orphans::new(&config.database_url, key, emitter.clone(), steps.clone());
    let start = async {
        handler
            .open_the_books(config.company_token_file.secret())
            .await?;
        // Debts first: what was decided before this start is sent before anything new.
        orphans.adopt_once().await
    };
    let started = tokio::select! {
        started = start => started,
        () = stop.cancelled() => return Ok(()),
    };
    if let Err(error) = started {
        return Err(cause(error, &mut emitting).await);
    }
    readiness.check("database", move || connected.load(Ordering::Relaxed));
    let orphans = tokio::spawn(orphans.run(stop.clone()));

    let positions = BookedPositions::new(&config.database_url).watched(steps);
    let source = Source::Group {
        group: NAME.to_owned(),
        topics: COMMAND_TOPICS.to_vec(),
        positions: Arc::new(positions),
    };
    let consumer = BatchConsumer::start(kafka, NAME, source, handler.batch_max)?;
    let connection = consumer.connection();
    readiness.check("kafka", move || {
        connection.is_up() && producer.is_connected()
    });

    drop(emitter);
    let result = handler.read(consumer, emitting, orphans, &stop).await;
    info!("books closed");
    result
}

struct Handler {
    database_url: String,
    key: HandlerKey,
    codec: Arc<Codec>,
    topics: Topics,
    books: Option<Books>,
    high_water: HighWater,
    connected: Arc<AtomicBool>,
    emitter: Emitter,
    counts: Counts,
    steps: Steps,
    /// Most records of a batch.
    batch_max: usize,
}

impl Handler {
    async fn read(
        mut self,
        mut consumer: BatchConsumer,
        mut emitting: JoinHandle<Result<(), EmissionError>>,
        mut orphans: JoinHandle<Result<(), Error>>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let mut paced = Paced::new(PACE, self.batch_max);
        let result = loop {
            let next_batch = async {
                paced.turn().await;
                consumer.next().await
            };
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                ended = &mut emitting => break Err(flatten(ended, "emission")),
                ended = &mut orphans => break Err(flatten(ended, "orphaned debts")),
                records = next_batch => records,
            };
            let records = match records {
                Ok(records) => records,
                Err(error) => break Err(error.into()),
            };
            paced.begin(records.len());
            let handled = tokio::select! {
                handled = self.handle(records) => handled,
                // A database that is away must not keep us from stopping.
                () = wait_long(stop) => break Ok(()),
            };
            match handled {
                Ok(handled) => handled.tell(&consumer),
                Err(error) => break Err(cause(error, &mut emitting).await),
            }
        };
        consumer.close().await;
        orphans.abort();
        let _ = orphans.await;
        // Its session owns what is not acknowledged: nobody else is to send that meanwhile.
        let _session = self.books.take();
        drop(self);
        if result.is_ok()
            && tokio::time::timeout(emission::STOP_WAIT, emitting)
                .await
                .is_err()
        {
            warn!("not everything is acknowledged; the next start sends it again");
        }
        result
    }

    /// Deals with records until everything about them is in the books.
    async fn handle(&mut self, records: Vec<Consumed>) -> Result<Handled, Error> {
        self.steps.pass(Step::Polled)?;
        let polled_us = stamps::now_us();
        let count = i64::try_from(records.len()).unwrap_or(i64::MAX);
        let mut items = Vec::with_capacity(records.len());
        for mut record in records {
            if let Some(trace) = &mut record.trace {
                let read = trace.stamps.with(Stamp::Polled, polled_us);
                trace.stamps = read.with(Stamp::Batch, count);
            }
            items.push(self.understand(record).await);
        }
        self.steps.pass(Step::Decoded)?;
        let mut handled = Handled::default();
        self.settle(items, &mut handled).await?;
        self.steps.pass(Step::Queued)?;
        Ok(handled)
    }

    async fn understand(&self, record: Consumed) -> Item {
        let mut backoff = Backoff::new("asking the schema registry");
        loop {
            let (topic, value) = (record.topic, record.value.as_deref());
            let request = match self.codec.decode_borrowed(topic, value) {
                Some(read) => read.map(Request::from_record),
                None => {
                    let read = self.codec.decode(topic, value).await;
                    read.map(|read| Request::from_record((&read).into()))
                }
            };
            let request = match request {
                Ok(request) => request,
                Err(DecodeError::Undecodable { reason, detail }) => {
                    let (topic, partition, offset) =
                        (record.topic, record.partition, record.offset);
                    warn!(?topic, partition, offset, reason, detail, "dead letter");
                    Err(reason)
                }
                Err(error) => {
                    backoff.wait(&error).await;
                    continue;
                }
            };
            return Item { record, request };
        }
    }

    async fn settle(&mut self, mut items: Vec<Item>, handled: &mut Handled) -> Result<(), Error> {
        let mut backoff = Backoff::new("writing the books");
        while !items.is_empty() {
            match self.write(&items).await {
                Ok((offsets, debt)) => {
                    backoff.succeeded();
                    self.high_water.reached(&offsets);
                    handled.moved.extend(offsets);
                    self.steps.pass(Step::Committed)?;
                    if let Some(debt) = debt {
                        self.emitter.pay(debt).await?;
                    }
                    break;
                }
                Err(Error::Books(BooksError::Fenced)) => {
                    self.drop_lost(&mut items, handled).await?;
                }
                Err(Error::Books(error @ BooksError::Refused(_))) => {
                    let [alone] = items.as_mut_slice() else {
                        // One of them is poison: halves, until it stands alone.
                        let rest = items.split_off(items.len() / 2);
                        Box::pin(self.settle(items, handled)).await?;
                        return Box::pin(self.settle(rest, handled)).await;
                    };
                    let record = &alone.record;
                    let (topic, partition, offset) =
                        (record.topic, record.partition, record.offset);
                    let error = topology::service::chain(&error);
                    error!(?topic, partition, offset, error, "dead letter");
                    alone.request = Err(REFUSED_BY_DATABASE);
                }
                Err(Error::Books(error @ (BooksError::Connection(_) | BooksError::Passing(_)))) => {
                    backoff.wait(&error).await;
                }
                Err(Error::Interrupted(error)) => backoff.wait(&error).await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Both round trips, with the decision between them.
    async fn write(&mut self, items: &[Item]) -> Result<(Vec<OffsetMove>, Option<Debt>), Error> {
        let ibans = batch::touched_ibans(items, &self.key);
        let ids = batch::command_ids(items);
        let key = self.key.clone();
        let codec = Arc::clone(&self.codec);
        let topics = self.topics.clone();
        let steps = self.steps.clone();
        let counts = self.counts.clone();
        let books = self.books().await?;
        let started = Instant::now();
        let written = async {
            let snapshot = books.begin(&ibans, &ids, &key).await?;
            steps.pass(Step::Locked)?;
            let tools = Tools {
                key: &key,
                codec: &codec,
                topics: &topics,
            };
            let mut plan = batch::plan(items, snapshot.accounts, snapshot.priors, tools)?;
            stamp(&mut plan.journeys, Stamp::Decided);
            steps.pass(Step::Decided)?;
            let debt = if steps.are_watched() {
                let mut commit = pin!(books.commit(&plan));
                // Sends all of it; the answer is read by the next poll.
                match futures_util::poll!(commit.as_mut()) {
                    Poll::Ready(committed) => committed?,
                    Poll::Pending => {
                        steps.pass(Step::CommitSent)?;
                        commit.await?
                    }
                }
            } else {
                books.commit(&plan).await?
            };
            counts.take(items.len(), &plan, started.elapsed());
            let Plan {
                offsets,
                frames,
                mut journeys,
                ..
            } = plan;
            stamp(&mut journeys, Stamp::Committed);
            let debt = debt.map(|id| Debt {
                id,
                frames,
                journeys,
            });
            Ok((offsets, debt))
        }
        .await;
        match &written {
            Err(Error::Books(error)) => self.give_up(error).await,
            Err(Error::Interrupted(_)) => self.disconnect(),
            _ => {}
        }
        written
    }

    /// After an error: rolls back, or drops a connection that is of no more use.
    async fn give_up(&mut self, error: &BooksError) {
        let lost = match (&self.books, error) {
            (_, BooksError::Connection(_)) | (None, _) => true,
            (Some(books), _) => books.abandon().await.is_err(),
        };
        if lost {
            self.disconnect();
        }
    }

    /// What this session owes is an orphan then, and taken over like any other.
    fn disconnect(&mut self) {
        self.books = None;
        self.connected.store(false, Ordering::Relaxed);
    }

    /// Keeps only what this assignment still owns and has not dealt with.
    async fn drop_lost(
        &mut self,
        items: &mut Vec<Item>,
        handled: &mut Handled,
    ) -> Result<(), Error> {
        let partitions: Vec<OffsetMove> = items
            .iter()
            .map(|item| OffsetMove {
                topic: item.record.topic,
                partition: item.record.partition,
                next_offset: item.record.offset,
                epoch: item.record.epoch,
            })
            .collect();
        let owned = match self.books().await?.owned(&partitions).await {
            Ok(owned) => owned,
            Err(error) => {
                self.give_up(&error).await;
                return Ok(());
            }
        };
        let before = items.len();
        items.retain(|Item { record, .. }| {
            let stands = owned.iter().find(|stands| {
                (stands.topic, stands.partition) == (record.topic, record.partition)
                    && stands.epoch == record.epoch
            });
            if stands.is_none() {
                let assignment = (record.topic, record.partition, record.epoch);
                if !handled.fenced.contains(&assignment) {
                    handled.fenced.push(assignment);
                }
            }
            stands.is_some_and(|stands| stands.next_offset <= record.offset)
        });
        warn!(
            records = before - items.len(),
            partitions = handled.fenced.len(),
            "fenced: these records belong to another assignment"
        );
        Ok(())
    }

    /// The hot connection, waiting for the database as long as it takes.
    ///
    /// Fails only when the database that came back is older than the one that went.
    async fn books(&mut self) -> Result<&Books, OlderBooks> {
        let mut backoff = Backoff::new("connecting to the books");
        while self.books.is_none() {
            match Books::connect(&self.database_url).await {
                Ok(books) => {
                    self.compare_with_high_water().await?;
                    backoff.succeeded();
                    self.connected.store(true, Ordering::Relaxed);
                    self.books = Some(books);
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
        Ok(self
            .books
            .as_ref()
            .expect("the loop above ends with a connection"))
    }

    async fn compare_with_high_water(&self) -> Result<(), OlderBooks> {
        let mut backoff = Backoff::new("comparing the books with what was committed");
        while !self.high_water.is_empty() {
            let what = "connecting to compare the books";
            let mut connection = connect_cold(&self.database_url, what).await;
            match self.high_water.still_holds(&mut connection).await {
                Ok(judgement) => return judgement,
                Err(error) => backoff.wait(&error).await,
            }
        }
        Ok(())
    }

    async fn open_the_books(&mut self, token: &topology::Token) -> Result<(), Error> {
        let mut backoff = Backoff::new("opening the books");
        loop {
            let key = self.key.clone();
            let codec = Arc::clone(&self.codec);
            let steps = self.steps.clone();
            let books = self.books().await?;
            match opening::book(books, token, &key, &codec, &steps).await {
                Ok(None) => return Ok(()),
                Ok(Some(debt)) => return Ok(self.emitter.pay(debt).await?),
                Err(OpeningError::Encode(error)) => return Err(error.into()),
                Err(OpeningError::Interrupted(error)) => {
                    self.disconnect();
                    backoff.wait(&error).await;
                }
                Err(OpeningError::Books(error)) => {
                    self.give_up(&error).await;
                    backoff.wait(&error).await;
                }
            }
        }
    }
}

/// The clock is read only when somebody wants to know.
fn stamp(journeys: &mut [Journey], stamp: Stamp) {
    if journeys.is_empty() {
        return;
    }
    let now_us = stamps::now_us();
    for Journey { trace, .. } in journeys {
        trace.stamps = trace.stamps.with(stamp, now_us);
    }
}

/// What came of a batch, beside its effects.
#[derive(Default)]
struct Handled {
    moved: Vec<OffsetMove>,
    /// Assignments that the books say are over.
    fenced: Vec<(Topic, i32, i64)>,
}

impl Handled {
    fn tell(self, consumer: &BatchConsumer) {
        for moved in self.moved {
            consumer.mark_done(moved.topic, moved.partition, moved.next_offset);
        }
        for (topic, partition, epoch) in self.fenced {
            consumer.fenced(topic, partition, epoch);
        }
    }
}

/// The queue to emission closes a moment before its task tells why it ended.
async fn cause(error: Error, emitting: &mut JoinHandle<Result<(), EmissionError>>) -> Error {
    match error {
        Error::Emission(EmissionError::Ended) => flatten(emitting.await, "emission"),
        other => other,
    }
}

/// A stop lets the batch under way finish, but not for ever.
async fn wait_long(stop: &CancellationToken) {
    stop.cancelled().await;
    tokio::time::sleep(emission::STOP_WAIT / 2).await;
}

/// A core task that ended, for whatever reason, ends the handler.
fn flatten<E: Into<Error>>(
    ended: Result<Result<(), E>, tokio::task::JoinError>,
    task: &'static str,
) -> Error {
    match ended {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) | Err(_) => Error::Task(task),
    }
}
