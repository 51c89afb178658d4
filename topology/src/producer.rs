//! Sending records, with a bound on what waits and a word on what was delivered.
//!
//! The thread that takes in delivery reports is our own: the client library's polls ten
//! times a second and spins through the last millisecond of each poll, which alone costs
//! an idle service one per cent of a core.

use std::sync::{Arc, Weak};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{DeliveryResult, Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::statistics::Statistics;
use tokio::sync::oneshot;

use crate::kafka::{Connection, KafkaConfig};
use crate::topics::{Topic, Topics};

/// Pause before a full queue is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);
/// Longest wait for delivery reports, which end it at once: bounds only how long the
/// thread outlives its producer.
const POLL_WAIT: Duration = Duration::from_secs(2);

/// Why a record was not delivered and never will be by this producer.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// The client refused the record.
    #[error("could not hand a record to the producer for {topic}")]
    Refused {
        /// The topic's full name.
        topic: String,
        /// The client's error.
        #[source]
        source: KafkaError,
    },
    /// The broker refused the record for good.
    #[error("a record was not delivered")]
    Undelivered {
        /// The client's error.
        #[source]
        source: KafkaError,
    },
    /// The producer went away before it knew.
    #[error("the producer ended before the record was delivered")]
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

type Report = oneshot::Sender<Result<(), KafkaError>>;

/// A record handed over; awaits its delivery.
pub struct Delivery(oneshot::Receiver<Result<(), KafkaError>>);

impl Delivery {
    /// Waits until the broker has the record: for ever while the broker is away.
    ///
    /// # Errors
    /// [`SendError`] when it will never be delivered.
    pub async fn wait(self) -> Result<(), SendError> {
        match self.0.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(source)) => Err(SendError::Undelivered { source }),
            Err(_) => Err(SendError::Ended),
        }
    }
}

/// librdkafka's callbacks: each delivery report goes to whoever waits for it.
struct Context(Connection);

impl ClientContext for Context {
    fn error(&self, error: KafkaError, reason: &str) {
        self.0.error(error, reason);
    }

    fn stats(&self, statistics: Statistics) {
        self.0.stats(statistics);
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = Box<Report>;

    fn delivery(&self, result: &DeliveryResult<'_>, report: Box<Report>) {
        let result = match result {
            Ok(_) => Ok(()),
            Err((error, _)) => Err(error.clone()),
        };
        // Nobody waits for it any more: that is theirs to decide.
        let _ = report.send(result);
    }
}

/// The one producer of a service.
#[derive(Clone)]
pub struct Producer {
    client: Arc<BaseProducer<Context>>,
    connection: Connection,
    topics: Topics,
}

impl Producer {
    /// Opens it; the broker need not be there yet.
    ///
    /// # Errors
    /// When the settings are not accepted: a fault of configuration.
    ///
    /// # Panics
    /// When the system gives no thread.
    pub fn new(config: &KafkaConfig, client_id: &str) -> Result<Producer, KafkaError> {
        let connection = Connection::new(client_id);
        let client: BaseProducer<Context> = config
            .producer(client_id)
            .create_with_context(Context(connection.clone()))?;
        let client = Arc::new(client);
        let reports = Arc::downgrade(&client);
        std::thread::Builder::new()
            .name(format!("{client_id}-reports"))
            .spawn(move || take_in_reports(&reports))
            .expect("a process that can start has a thread left");
        Ok(Producer {
            client,
            connection,
            topics: config.topics(),
        })
    }

    /// Whether the broker is reached.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.connection.is_up()
    }

    /// Hands a record over, in order, waiting while the queue is full.
    ///
    /// # Errors
    /// [`SendError::Refused`] for anything but a full queue.
    pub async fn send(&self, outgoing: Outgoing<'_>) -> Result<Delivery, SendError> {
        let topic = self.topics.name(outgoing.topic);
        let mut headers = OwnedHeaders::new_with_capacity(outgoing.headers.len());
        for (name, value) in outgoing.headers {
            headers = headers.insert(Header {
                key: name,
                value: Some(value),
            });
        }
        let (report, delivery) = oneshot::channel();
        let mut report = Box::new(report);
        loop {
            let mut record = BaseRecord::with_opaque_to(&topic, report).key(outgoing.key);
            if let Some(value) = outgoing.value {
                record = record.payload(value);
            }
            if !outgoing.headers.is_empty() {
                record = record.headers(headers.clone());
            }
            match self.client.send(record) {
                Ok(()) => return Ok(Delivery(delivery)),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    report = back.delivery_opaque;
                    tokio::time::sleep(QUEUE_FULL_PAUSE).await;
                }
                Err((source, _)) => return Err(SendError::Refused { topic, source }),
            }
        }
    }

    /// Waits until all that was handed over is delivered, at most this long.
    ///
    /// Blocks the thread.
    ///
    /// # Errors
    /// When the time was not enough.
    pub fn flush(&self, timeout: Duration) -> Result<(), KafkaError> {
        self.client.flush(timeout)
    }
}

fn take_in_reports(producer: &Weak<BaseProducer<Context>>) {
    while let Some(producer) = producer.upgrade() {
        producer.poll(POLL_WAIT);
    }
}
