//! Why the heartbeat cannot go on.

use rdkafka::error::KafkaError;
use topology::EncodeError;
use topology::consumer::ConsumeError;
use topology::producer::SendError;

/// Why the heartbeat cannot go on. Kafka or the registry being away is no reason: they
/// are waited for.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// The producer does not accept its settings.
    #[error("could not open the producer")]
    Open(#[source] KafkaError),
    /// The broker could not be asked at the start.
    #[error("could not look for the topic")]
    Topic(#[source] ConsumeError),
    /// A beat could not be written as a record.
    #[error("could not encode a beat")]
    Encode(#[source] EncodeError),
    /// A beat will never be delivered.
    #[error("could not send a beat")]
    Send(#[source] SendError),
    /// The operations address could not be taken, or serving it failed.
    #[error("could not serve operations")]
    Operations(#[source] std::io::Error),
    /// A task ended that must not.
    #[error("the task for {0} ended")]
    Ended(&'static str),
}
