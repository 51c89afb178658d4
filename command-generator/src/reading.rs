//! From what was read to what it says; what cannot be understood goes to dead letters.

use topology::consumer::Consumed;
use topology::producer::{Delivery, Outgoing, Producer};
use topology::{Backoff, Codec, DecodeError, Record, Topic, Topics, dead_letters};
use tracing::warn;

use crate::error::GeneratorError;

/// Why a record is of no use, in a word and in more.
#[derive(Debug)]
pub(crate) struct Useless {
    pub(crate) reason: &'static str,
    pub(crate) detail: String,
}

/// Reads a record, waiting for the registry as long as it takes.
pub(crate) async fn decode(codec: &Codec, consumed: &Consumed) -> Result<Record, Useless> {
    let mut backoff = Backoff::new("asking the schema registry");
    loop {
        match codec
            .decode(consumed.topic, consumed.value.as_deref())
            .await
        {
            Ok(record) => {
                backoff.succeeded();
                return Ok(record);
            }
            Err(DecodeError::Undecodable { reason, detail }) => {
                return Err(Useless { reason, detail });
            }
            Err(error @ DecodeError::Registry { .. }) => backoff.wait(&error).await,
        }
    }
}

/// Puts a record aside, as it was read, with the reason.
pub(crate) async fn put_aside(
    producer: &Producer,
    topics: &Topics,
    consumed: &Consumed,
    useless: &Useless,
) -> Result<Delivery, GeneratorError> {
    let topic = topics.name(consumed.topic);
    let Useless { reason, detail } = useless;
    let Consumed {
        partition, offset, ..
    } = consumed;
    warn!(topic, partition, offset, reason, detail, "put aside");
    let headers = dead_letters::headers(topics, consumed, reason);
    let delivery = producer
        .send(Outgoing {
            topic: Topic::DeadLetters,
            key: consumed.key.as_deref().unwrap_or_default(),
            value: consumed.value.as_deref(),
            headers: &headers,
        })
        .await?;
    Ok(delivery)
}
