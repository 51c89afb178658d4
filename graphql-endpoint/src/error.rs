//! What can stop the gateway's work. No refusal of a request is in here: those are answers.

use std::net::SocketAddr;

use rdkafka::error::KafkaError;
use topology::consumer::ConsumeError;
use topology::producer::SendError;
use topology::{DecodeError, EncodeError};

use crate::steps::Interrupted;

/// Any fault of the gateway or of what it stands on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer; it is waited for.
    #[error("the database is away")]
    DatabaseAway(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The database refused a statement.
    #[error("the database refused a statement")]
    Database(#[source] diesel::result::Error),
    /// The Kafka settings are not accepted.
    #[error("could not open the producer")]
    Producer(#[source] KafkaError),
    /// Reading a topic cannot go on.
    #[error("reading topics cannot go on")]
    Consume(#[from] ConsumeError),
    /// A record will never be delivered by this producer.
    #[error("sending cannot go on")]
    Send(#[from] SendError),
    /// A record could not be written.
    #[error("could not encode a record")]
    Encode(#[from] EncodeError),
    /// A record could not be read because the registry is away.
    #[error("could not decode a record")]
    Decode(#[from] DecodeError),
    /// A stored account token does not open with our key.
    #[error("a stored account token does not fit the key")]
    TokenSealed,
    /// The password hasher failed.
    #[error("could not hash a password: {0}")]
    PasswordHash(String),
    /// The system gives no random bytes.
    #[error("no random bytes")]
    Random(#[source] getrandom::Error),
    /// The address cannot be taken.
    #[error("could not listen on {address}")]
    Listen {
        /// Which one.
        address: SocketAddr,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A server ended.
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
    /// The topics could not be read for a trail.
    #[error("a trail could not be read")]
    Trail(#[from] KafkaError),
    /// Only one rebuild at a time.
    #[error("another rebuild is running")]
    RebuildRuns,
    /// The old tables were never free.
    #[error("the old tables are in use all the time")]
    TablesInUse,
    /// A test stops the gateway here.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
    /// A part that must run for ever ended.
    #[error("{0} ended")]
    PartEnded(&'static str),
}

impl From<diesel::result::Error> for Error {
    fn from(error: diesel::result::Error) -> Error {
        if says_away(&error) {
            Error::DatabaseAway(Box::new(error))
        } else {
            Error::Database(error)
        }
    }
}

/// Whether the connection, not the statement, is at fault.
fn says_away(error: &diesel::result::Error) -> bool {
    use diesel::result::{DatabaseErrorKind, Error as Diesel};
    match error {
        Diesel::BrokenTransactionManager => true,
        Diesel::DatabaseError(DatabaseErrorKind::ClosedConnection, _) => true,
        Diesel::DatabaseError(_, information) => {
            // What a server says while it starts or stops, and its client when it is gone.
            const SIGNS: [&str; 6] = [
                "connection closed",
                "error communicating with the server",
                "terminating connection",
                "the database system is",
                "connection reset",
                "timeout",
            ];
            let message = information.message();
            SIGNS.iter().any(|sign| message.contains(sign))
        }
        _ => false,
    }
}
