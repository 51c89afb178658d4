//! Why the command generator cannot go on.

use rdkafka::error::KafkaError;
use topology::EncodeError;
use topology::consumer::ConsumeError;
use topology::producer::SendError;

/// Why the command generator cannot go on. Kafka or the registry being away is no
/// reason: they are waited for.
#[derive(Debug, thiserror::Error)]
pub enum GeneratorError {
    /// A client does not accept its settings.
    #[error("could not open a client")]
    Open(#[source] KafkaError),
    /// Reading ended.
    #[error("could not read")]
    Consume(#[from] ConsumeError),
    /// A command could not be written as a record.
    #[error("could not encode a command")]
    Encode(#[from] EncodeError),
    /// A command will never be delivered.
    #[error("could not send")]
    Send(#[from] SendError),
    /// The operations address could not be taken, or serving it failed.
    #[error("could not serve operations")]
    Operations(#[source] std::io::Error),
    /// A task ended that must not.
    #[error("the task for {0} ended")]
    Ended(&'static str),
}
