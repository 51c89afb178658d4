//! Sending records, with a bound on what waits and a word on what was delivered.
//!
//! Two things the client library would do at a price are done here.
//!
//! - The thread that takes in delivery reports is our own: the library's polls ten times
//!   a second and spins through the last millisecond of each poll, which alone costs an
//!   idle service one per cent of a core.
//! - Records of a partition wait *here* while some are on their way: the library's broker
//!   thread spins, a whole core, as long as an idempotent producer has five or more
//!   records of a partition in flight and one more waiting (librdkafka 2.12.1,
//!   `rd_kafka_toppar_producer_serve`): for the length of each answer under load, and for
//!   as long as a broker is silent. What has waited goes out as one request. That
//!   costs no throughput, since the library would not send it earlier either.

use std::collections::{HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, ProducerContext};
use rdkafka::statistics::Statistics;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::kafka::{Connection, KafkaConfig, PRODUCER_KIB_MAX};
use crate::metrics::PerTopic;
use crate::partition;
use crate::topics::{DEFINITIONS, Topic, Topics};

/// Records of a partition handed over before the rest waits for their reports.
const PARTITION_RECORDS_IN_FLIGHT_MAX: usize = 4;
/// What a record costs beside its own bytes, in the bound on all that is under way.
const RECORD_OVERHEAD_BYTES: usize = 1_024;
/// Bytes under way; beyond it senders wait. The library's own limits lie above it.
const BYTES_UNDER_WAY_MAX: usize = PRODUCER_KIB_MAX as usize * 1_024 / 2;
/// Longest wait for delivery reports, which end it at once: bounds only how long the
/// thread outlives its producer.
const POLL_WAIT: Duration = Duration::from_secs(2);

/// Why a record was not delivered and never will be by this producer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client or the broker refused a record for good.
    #[error("a record was not delivered to {topic}[{partition}]")]
    Undelivered {
        /// The topic's full name.
        topic: Arc<str>,
        /// Where the record belongs.
        partition: i32,
        /// The client's error.
        #[source]
        source: KafkaError,
    },
    /// The producer was closed while the record was on its way.
    #[error("the producer ended before a record was delivered")]
    Ended,
}

/// One record on its way: where it goes and what it is.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// Where.
    pub topic: Topic,
    /// Decides the partition, and so the order.
    pub key: &'a [u8],
    /// The record in the wire format.
    pub value: Option<&'a [u8]>,
    /// Name and bytes of each header.
    pub headers: &'a [(String, Vec<u8>)],
}

impl Outgoing<'_> {
    fn bytes(&self) -> usize {
        let value = self.value.map_or(0, <[u8]>::len);
        let headers = self.headers.iter();
        let headers: usize = headers.map(|(name, value)| name.len() + value.len()).sum();
        self.key.len() + value + headers
    }
}

/// Records handed over together; awaits the delivery of all of them.
#[must_use = "what is not awaited may never arrive, and nobody would know"]
pub struct Delivery(oneshot::Receiver<Result<(), SendError>>);

impl Delivery {
    /// Waits until the broker has the records: for ever while the broker is away.
    ///
    /// # Errors
    /// [`SendError`] when one of them will never be delivered.
    pub async fn wait(self) -> Result<(), SendError> {
        self.0.await.unwrap_or(Err(SendError::Ended))
    }
}

/// The one producer of a service.
#[derive(Clone)]
pub struct Producer {
    client: Arc<Client>,
    lanes: Arc<Lanes>,
    room: Arc<Semaphore>,
    connection: Connection,
    produced: PerTopic,
}

type Client = BaseProducer<Context>;

impl Producer {
    /// Opens it; the broker need not be there yet.
    ///
    /// # Errors
    /// When the settings are not accepted: a fault of configuration.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn new(config: &KafkaConfig, client_id: &str) -> Result<Producer, KafkaError> {
        Producer::with(&config.producer(client_id), &config.topics(), client_id)
    }

    /// The same, with every record waiting so long for company, as the producers of 2019 had
    /// it; for measuring what that costs.
    ///
    /// # Errors
    /// When the settings are not accepted: a fault of configuration.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn lingering(
        config: &KafkaConfig,
        client_id: &str,
        linger_ms: u64,
    ) -> Result<Producer, KafkaError> {
        let mut settings = config.producer(client_id);
        settings.set("linger.ms", linger_ms.to_string());
        Producer::with(&settings, &config.topics(), client_id)
    }

    fn with(
        settings: &ClientConfig,
        topics: &Topics,
        client_id: &str,
    ) -> Result<Producer, KafkaError> {
        let connection = Connection::new(client_id);
        let lanes = Arc::new(Lanes::new(topics));
        let client: Client = settings.create_with_context(Context {
            connection: connection.clone(),
            lanes: Arc::clone(&lanes),
        })?;
        let client = Arc::new(client);
        let reports = Arc::downgrade(&client);
        lanes
            .client
            .set(reports.clone())
            .expect("lanes have one client");
        std::thread::Builder::new()
            .name(format!("{client_id}-reports"))
            .spawn(move || take_in_reports(&reports))
            .expect("a process that can start has a thread left");
        Ok(Producer {
            client,
            lanes,
            room: Arc::new(Semaphore::new(BYTES_UNDER_WAY_MAX)),
            connection,
            produced: PerTopic::new(
                "bank_events_produced_total",
                "Records handed to the Kafka client.",
            ),
        })
    }

    /// Whether the broker is reached.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_up()
    }

    /// Hands a record over, in order, waiting while too much is under way.
    ///
    /// # Errors
    /// [`SendError::Ended`] when the producer is closed.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<Delivery, SendError> {
        self.send_all(&[outgoing]).await
    }

    /// Hands records over, in order, waiting while too much is under way.
    ///
    /// # Errors
    /// [`SendError::Ended`] when the producer is closed.
    pub async fn send_all(&self, records: &[Outgoing<'_>]) -> Result<Delivery, SendError> {
        let bytes: usize = records
            .iter()
            .map(|record| record.bytes() + RECORD_OVERHEAD_BYTES)
            .sum();
        // What alone is more than all there may be still has to get through.
        let bytes = u32::try_from(bytes.min(BYTES_UNDER_WAY_MAX)).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).acquire_many_owned(bytes).await;
        let room = room.map_err(|_| SendError::Ended)?;
        let (done, delivery) = oneshot::channel();
        let batch = Batch {
            remaining: records.len(),
            done: Some(done),
            _room: room,
        };
        self.lanes.take(&self.client, records, batch);
        self.produced
            .count(records.iter().map(|record| record.topic));
        Ok(Delivery(delivery))
    }
}

fn take_in_reports(client: &Weak<Client>) {
    while let Some(client) = client.upgrade() {
        client.poll(POLL_WAIT);
    }
}

/// librdkafka's callbacks.
struct Context {
    connection: Connection,
    lanes: Arc<Lanes>,
}

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.connection.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.connection.stats(statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Parcel>;

    fn delivery(&self, result: &DeliveryResult<'_>, parcel: Box<Parcel>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        self.lanes.delivered(&parcel, result);
    }
}

/// What comes back with a record's report.
#[derive(Clone, Copy, Debug)]
struct Parcel {
    lane: usize,
    batch: u64,
}

/// A record that waits for those before it in its partition.
struct Waiting {
    parcel: Parcel,
    topic: Topic,
    key: Vec<u8>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Vec<u8>)>,
}

impl Waiting {
    fn copy(parcel: Parcel, record: &Outgoing<'_>) -> Waiting {
        Waiting {
            parcel,
            topic: record.topic,
            key: record.key.to_vec(),
            value: record.value.map(<[u8]>::to_vec),
            headers: record.headers.to_vec(),
        }
    }

    fn outgoing(&self) -> Outgoing<'_> {
        Outgoing {
            topic: self.topic,
            key: &self.key,
            value: self.value.as_deref(),
            headers: &self.headers,
        }
    }
}

/// Records of one partition.
#[derive(Default)]
struct Lane {
    in_flight: usize,
    waiting: VecDeque<Waiting>,
}

/// Records that were handed over together and are not all delivered.
struct Batch {
    remaining: usize,
    done: Option<oneshot::Sender<Result<(), SendError>>>,
    /// Given back when the batch is.
    _room: OwnedSemaphorePermit,
}

impl Batch {
    fn end(&mut self, result: Result<(), SendError>) {
        if let Some(done) = self.done.take() {
            // Nobody waits for it any more: that is theirs to decide.
            let _ = done.send(result);
        }
    }
}

#[derive(Default)]
struct State {
    lanes: Vec<Lane>,
    batches: HashMap<u64, Batch>,
    next_batch: u64,
}

/// What is under way, by partition.
struct Lanes {
    /// Full name and partition of each lane.
    places: Vec<(Arc<str>, i32)>,
    /// First lane of each topic.
    first: [usize; DEFINITIONS.len()],
    state: Mutex<State>,
    client: OnceLock<Weak<Client>>,
}

impl Lanes {
    fn new(topics: &Topics) -> Lanes {
        let mut places = Vec::new();
        let first = DEFINITIONS.map(|definition| {
            let first = places.len();
            let name: Arc<str> = topics.name(definition.topic).into();
            places.extend((0..definition.partitions).map(|it| (Arc::clone(&name), it)));
            first
        });
        let lanes = places.iter().map(|_| Lane::default()).collect();
        Lanes {
            places,
            first,
            state: Mutex::new(State {
                lanes,
                ..State::default()
            }),
            client: OnceLock::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lane_of(&self, record: &Outgoing<'_>) -> usize {
        let partition = partition::of_key(record.topic, record.key);
        self.first[record.topic as usize] + usize::try_from(partition).unwrap_or(0)
    }

    /// Takes a batch: each partition's records go out at once, together, or wait together.
    fn take(&self, client: &Client, records: &[Outgoing<'_>], mut batch: Batch) {
        if records.is_empty() {
            batch.end(Ok(()));
            return;
        }
        let mut by_lane: Vec<(usize, &Outgoing<'_>)> = records
            .iter()
            .map(|record| (self.lane_of(record), record))
            .collect();
        // Stable: the order within a partition stays.
        by_lane.sort_by_key(|(lane, _)| *lane);
        let mut state = self.lock();
        let State {
            lanes,
            batches,
            next_batch,
        } = &mut *state;
        let number = *next_batch;
        *next_batch += 1;
        batches.insert(number, batch);
        for group in by_lane.chunk_by(|(one, _), (other, _)| one == other) {
            let parcel = Parcel {
                lane: group[0].0,
                batch: number,
            };
            let lane = &mut lanes[parcel.lane];
            let few = lane.in_flight + group.len() <= PARTITION_RECORDS_IN_FLIGHT_MAX;
            let goes = lane.waiting.is_empty() && (lane.in_flight == 0 || few);
            for (_, record) in group {
                if !goes {
                    lane.waiting.push_back(Waiting::copy(parcel, record));
                    continue;
                }
                let handed = self.hand_over(client, parcel, record);
                handed.count(parcel, lane, batches);
            }
        }
    }

    /// A report: the batch may be complete, and those who waited may go.
    fn delivered(&self, parcel: &Parcel, result: Result<(), KafkaError>) {
        let mut state = self.lock();
        let State { lanes, batches, .. } = &mut *state;
        let result = result.map_err(|source| self.undelivered(parcel.lane, source));
        settle(batches, parcel.batch, result);
        let lane = &mut lanes[parcel.lane];
        lane.in_flight -= 1;
        if lane.in_flight > 0 || lane.waiting.is_empty() {
            return;
        }
        // Without a client all is ending.
        let Some(client) = self.client.get().and_then(Weak::upgrade) else {
            return;
        };
        for waiting in mem::take(&mut lane.waiting) {
            let handed = self.hand_over(&client, waiting.parcel, &waiting.outgoing());
            handed.count(waiting.parcel, lane, batches);
        }
    }

    fn hand_over(&self, client: &Client, parcel: Parcel, record: &Outgoing<'_>) -> HandedOver {
        let (topic, partition) = &self.places[parcel.lane];
        let mut base = BaseRecord::with_opaque_to(topic, Box::new(parcel))
            .partition(*partition)
            .key(record.key);
        if let Some(value) = record.value {
            base = base.payload(value);
        }
        if !record.headers.is_empty() {
            let mut headers = OwnedHeaders::new_with_capacity(record.headers.len());
            for (key, value) in record.headers {
                let value = Some(value);
                headers = headers.insert(Header { key, value });
            }
            base = base.headers(headers);
        }
        // The library's queue has more room than may be under way: a full one is a fault.
        let handed = client.send(base).map_err(|(error, _)| error);
        HandedOver(handed.map_err(|source| self.undelivered(parcel.lane, source)))
    }

    fn undelivered(&self, lane: usize, source: KafkaError) -> SendError {
        let (topic, partition) = &self.places[lane];
        SendError::Undelivered {
            topic: Arc::clone(topic),
            partition: *partition,
            source,
        }
    }
}

/// Whether the client took a record.
struct HandedOver(Result<(), SendError>);

impl HandedOver {
    fn count(self, parcel: Parcel, lane: &mut Lane, batches: &mut HashMap<u64, Batch>) {
        match self.0 {
            Ok(()) => lane.in_flight += 1,
            refused => settle(batches, parcel.batch, refused),
        }
    }
}

/// One record less to wait for; the first failure is told at once.
fn settle(batches: &mut HashMap<u64, Batch>, number: u64, result: Result<(), SendError>) {
    let Some(batch) = batches.get_mut(&number) else {
        return;
    };
    batch.remaining -= 1;
    let last = batch.remaining == 0;
    if result.is_err() || last {
        batch.end(result);
    }
    if last {
        batches.remove(&number);
    }
}
