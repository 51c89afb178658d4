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
//! When a second instance runs the same steps on the same records, the row locks order
//! them, the claim of a command id lets one win, and the epochs of the partitions stop the
//! commit of the one that no longer owns them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use diesel_async::AsyncPgConnection;
use rdkafka::error::KafkaError;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, ConsumeError, Consumed, Source};
use topology::operations::{self, Readiness};
use topology::producer::Producer;
use topology::{Backoff, Codec, DecodeError, EncodeError, Topic, Topics};
use tracing::{debug, error, info, warn};

use crate::batch::{self, Item, OffsetMove, Plan, Tools};
use crate::config::Config;
use crate::emission::{self, Debt, EmissionError, Emitter};
use crate::keys::HandlerKey;
use crate::opening::{self, OpeningError};
use crate::request::Request;
use crate::store::books::{Books, BooksError};
use crate::store::connect_cold;
use crate::store::debts::{self, DebtError};
use crate::store::positions::BookedPositions;

const NAME: &str = "command-handler";
/// How often debts of dead instances are looked for.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(1);
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
    let readiness = Readiness::waiting_for(&["schema_registry", "database", "kafka"]);
    // Answers until the work has ended, also while it is stopping.
    let operations = operations::serve(
        config.common.operations_address,
        readiness.clone(),
        axum::Router::new(),
        CancellationToken::new(),
    );
    tokio::select! {
        result = work(config, readiness, stop) => result,
        result = operations => {
            result.map_err(Error::Operations)?;
            Err(Error::Task("operations"))
        }
    }
}

async fn work(config: Config, readiness: Readiness, stop: CancellationToken) -> Result<(), Error> {
    let key = HandlerKey::new(config.handler_key_file.secret().expose());
    let kafka = &config.common.kafka;
    let topics = kafka.topics();
    let registry_url = &config.common.schema_registry_url;
    let codec = tokio::select! {
        codec = Codec::connect(registry_url, &topics, &WRITTEN_TOPICS) => Arc::new(codec),
        () = stop.cancelled() => return Ok(()),
    };
    readiness.holds("schema_registry");

    let producer = Producer::new(kafka, NAME).map_err(Error::Producer)?;
    let (emitter, emitting) = emission::start(producer.clone(), config.database_url.clone());
    let emitting = tokio::spawn(emitting);

    let mut handler = Handler {
        database_url: config.database_url.clone(),
        key: key.clone(),
        codec,
        topics,
        books: None,
        owner: Arc::new(AtomicI64::new(0)),
        connected: Arc::new(AtomicBool::new(false)),
        emitter: emitter.clone(),
    };
    let connected = Arc::clone(&handler.connected);
    tokio::select! {
        opened = handler.open_the_books(config.company_token_file.secret()) => opened?,
        () = stop.cancelled() => return Ok(()),
    }
    readiness.check("database", move || connected.load(Ordering::Relaxed));

    // Debts first: what was decided before this start is sent before anything new.
    let mut orphans = Orphans {
        database_url: config.database_url.clone(),
        key,
        owner: Arc::clone(&handler.owner),
        emitter: emitter.clone(),
        connection: None,
    };
    orphans.adopt_once().await?;
    let orphans = tokio::spawn(orphans.run(stop.clone()));

    let source = Source::Group {
        group: NAME.to_owned(),
        topics: COMMAND_TOPICS.to_vec(),
        positions: Arc::new(BookedPositions::new(&config.database_url)),
    };
    let batch_max = usize::try_from(config.batch_max).unwrap_or(1);
    let consumer = BatchConsumer::start(kafka, NAME, source, batch_max)?;
    let connection = consumer.connection();
    readiness.check("kafka", move || {
        connection.is_up() && producer.is_connected()
    });

    drop(emitter);
    let result = handler.read(consumer, emitting, orphans, &stop).await;
    info!("books closed");
    result
}

/// Takes over debts of dead instances, now and then.
struct Orphans {
    database_url: String,
    key: HandlerKey,
    owner: Arc<AtomicI64>,
    emitter: Emitter,
    /// Kept open: a connection a second would cost more than all the rest at idle.
    connection: Option<AsyncPgConnection>,
}

impl Orphans {
    async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ORPHAN_INTERVAL) => self.adopt_once().await?,
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    async fn adopt_once(&mut self) -> Result<(), Error> {
        let mut backoff = Backoff::new("looking for orphaned debts");
        let adopted = loop {
            let connection = match &mut self.connection {
                Some(open) => open,
                none => {
                    let what = "connecting for orphaned debts";
                    none.insert(connect_cold(&self.database_url, what).await)
                }
            };
            let me = self.owner.load(Ordering::Relaxed);
            let in_flight = self.emitter.in_flight().snapshot();
            match debts::adopt_orphans(connection, me, &in_flight, &self.key).await {
                Ok(adopted) => break adopted,
                Err(DebtError::Database(error)) => {
                    self.connection = None;
                    backoff.wait(&error).await;
                }
                Err(damaged) => return Err(damaged.into()),
            }
        };
        if !adopted.is_empty() {
            warn!(
                debts = adopted.len(),
                "paying debts of an instance that died"
            );
        }
        for debt in adopted {
            self.emitter.pay(debt).await?;
        }
        Ok(())
    }
}

struct Handler {
    database_url: String,
    key: HandlerKey,
    codec: Arc<Codec>,
    topics: Topics,
    books: Option<Books>,
    owner: Arc<AtomicI64>,
    connected: Arc<AtomicBool>,
    emitter: Emitter,
}

impl Handler {
    async fn read(
        mut self,
        mut consumer: BatchConsumer,
        mut emitting: tokio::task::JoinHandle<Result<(), EmissionError>>,
        mut orphans: tokio::task::JoinHandle<Result<(), Error>>,
        stop: &CancellationToken,
    ) -> Result<(), Error> {
        let result = loop {
            let records = tokio::select! {
                biased;
                () = stop.cancelled() => break Ok(()),
                ended = &mut emitting => break Err(flatten(ended, "emission")),
                ended = &mut orphans => break Err(flatten(ended, "orphaned debts")),
                records = consumer.next() => records?,
            };
            let handled = tokio::select! {
                handled = self.handle(records) => handled?,
                // A database that is away must not keep us from stopping.
                () = wait_long(stop) => break Ok(()),
            };
            for moved in handled {
                consumer.mark_done(moved.topic, moved.partition, moved.next_offset);
            }
        };
        consumer.close().await;
        orphans.abort();
        let _ = orphans.await;
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
    async fn handle(&mut self, records: Vec<Consumed>) -> Result<Vec<OffsetMove>, Error> {
        let mut items = Vec::with_capacity(records.len());
        for record in records {
            items.push(self.understand(record).await);
        }
        self.settle(items).await
    }

    async fn understand(&self, record: Consumed) -> Item {
        let mut backoff = Backoff::new("asking the schema registry");
        loop {
            let decoded = self.codec.decode(record.topic, record.value.as_deref());
            let request = match decoded.await {
                Ok(decoded) => Request::from_record(decoded),
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

    async fn settle(&mut self, mut items: Vec<Item>) -> Result<Vec<OffsetMove>, Error> {
        let mut backoff = Backoff::new("writing the books");
        let mut moved = Vec::new();
        while !items.is_empty() {
            match self.write(&items).await {
                Ok((offsets, debt)) => {
                    backoff.succeeded();
                    moved.extend(offsets);
                    if let Some(debt) = debt {
                        self.emitter.pay(debt).await?;
                    }
                    break;
                }
                Err(Error::Books(BooksError::Fenced)) => self.drop_lost(&mut items).await?,
                Err(Error::Books(error @ BooksError::Refused(_))) => {
                    let [alone] = items.as_mut_slice() else {
                        // One of them is poison: each stands alone from here.
                        for item in items {
                            moved.extend(Box::pin(self.settle(vec![item])).await?);
                        }
                        break;
                    };
                    let record = &alone.record;
                    let (topic, partition, offset) =
                        (record.topic, record.partition, record.offset);
                    let error = topology::service::chain(&error);
                    error!(?topic, partition, offset, error, "dead letter");
                    alone.request = Err("REFUSED_BY_DATABASE");
                }
                Err(Error::Books(error @ (BooksError::Connection(_) | BooksError::Passing(_)))) => {
                    backoff.wait(&error).await
                }
                Err(error) => return Err(error),
            }
        }
        Ok(moved)
    }

    /// Both round trips, with the decision between them.
    async fn write(&mut self, items: &[Item]) -> Result<(Vec<OffsetMove>, Option<Debt>), Error> {
        let ibans = batch::touched_ibans(items, &self.key);
        let ids = batch::command_ids(items);
        let key = self.key.clone();
        let codec = Arc::clone(&self.codec);
        let topics = self.topics.clone();
        let books = self.books().await;
        let written = async {
            let snapshot = books.begin(&ibans, &ids, &key).await?;
            let tools = Tools {
                key: &key,
                codec: &codec,
                topics: &topics,
            };
            let plan = batch::plan(items, snapshot.accounts, snapshot.priors, tools)?;
            let debt = books.commit(&plan).await?;
            let Plan {
                offsets, frames, ..
            } = plan;
            Ok((offsets, debt.map(|id| Debt { id, frames })))
        }
        .await;
        if let Err(Error::Books(error)) = &written {
            self.give_up(error).await;
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
            self.books = None;
            self.connected.store(false, Ordering::Relaxed);
        }
    }

    /// Keeps only what this assignment still owns and has not dealt with.
    async fn drop_lost(&mut self, items: &mut Vec<Item>) -> Result<(), Error> {
        let partitions: Vec<OffsetMove> = items
            .iter()
            .map(|item| OffsetMove {
                topic: item.record.topic,
                partition: item.record.partition,
                next_offset: item.record.offset,
                epoch: item.record.epoch,
            })
            .collect();
        let owned = match self.books().await.owned(&partitions).await {
            Ok(owned) => owned,
            Err(error) => {
                self.give_up(&error).await;
                return Ok(());
            }
        };
        let before = items.len();
        items.retain(|Item { record, .. }| {
            owned.iter().any(|stands| {
                (stands.topic, stands.partition) == (record.topic, record.partition)
                    && stands.epoch == record.epoch
                    && stands.next_offset <= record.offset
            })
        });
        debug!(
            dropped = before - items.len(),
            "records belong to another assignment"
        );
        Ok(())
    }

    /// The hot connection, waiting for the database as long as it takes.
    async fn books(&mut self) -> &Books {
        let mut backoff = Backoff::new("connecting to the books");
        while self.books.is_none() {
            match Books::connect(&self.database_url).await {
                Ok(books) => {
                    backoff.succeeded();
                    self.owner.store(books.owner(), Ordering::Relaxed);
                    self.connected.store(true, Ordering::Relaxed);
                    self.books = Some(books);
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
        self.books
            .as_ref()
            .expect("the loop above ends with a connection")
    }

    async fn open_the_books(&mut self, token: &topology::Token) -> Result<(), Error> {
        let mut backoff = Backoff::new("opening the books");
        loop {
            let key = self.key.clone();
            let codec = Arc::clone(&self.codec);
            let books = self.books().await;
            match opening::book(books, token, &key, &codec).await {
                Ok(None) => return Ok(()),
                Ok(Some(debt)) => return Ok(self.emitter.pay(debt).await?),
                Err(OpeningError::Encode(error)) => return Err(error.into()),
                Err(OpeningError::Books(error)) => {
                    self.give_up(&error).await;
                    backoff.wait(&error).await;
                }
            }
        }
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
