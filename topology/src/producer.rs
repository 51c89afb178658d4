//! Sending records, with a bound on what waits and a word on what was delivered.

use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{DeliveryFuture, FutureProducer, FutureRecord, Producer as _};
use rdkafka::util::DefaultRuntime;

use crate::kafka::{Connection, KafkaConfig};
use crate::topics::{Topic, Topics};

/// Pause before a full queue is tried again.
const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(2);

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

/// A record handed over; awaits its delivery.
pub struct Delivery(DeliveryFuture);

impl Delivery {
    /// Waits until the broker has the record: for ever while the broker is away.
    ///
    /// # Errors
    /// [`SendError`] when it will never be delivered.
    pub async fn wait(self) -> Result<(), SendError> {
        match self.0.await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err((source, _))) => Err(SendError::Undelivered { source }),
            Err(_) => Err(SendError::Ended),
        }
    }
}

/// The one producer of a service.
#[derive(Clone)]
pub struct Producer {
    client: FutureProducer<Connection, DefaultRuntime>,
    connection: Connection,
    topics: Topics,
}

impl Producer {
    /// Opens it; the broker need not be there yet.
    ///
    /// # Errors
    /// When the settings are not accepted: a fault of configuration.
    pub fn new(config: &KafkaConfig, client_id: &str) -> Result<Producer, KafkaError> {
        let connection = Connection::new(client_id);
        let client = config
            .producer(client_id)
            .create_with_context(connection.clone())?;
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
        loop {
            let mut record = FutureRecord::to(&topic).key(outgoing.key);
            if let Some(value) = outgoing.value {
                record = record.payload(value);
            }
            if !outgoing.headers.is_empty() {
                record = record.headers(headers.clone());
            }
            match self.client.send_result(record) {
                Ok(delivery) => return Ok(Delivery(delivery)),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
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
