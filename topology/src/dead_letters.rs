//! Records nobody could use: kept as they came, with where they came from and why.

use crate::consumer::Consumed;
use crate::topics::Topics;

/// Headers of a dead letter; key and value are the record's own bytes.
///
/// `reason` is one word in capitals, such as `MALFORMED`; the detail goes to the log.
#[must_use]
pub fn headers(topics: &Topics, record: &Consumed, reason: &str) -> Vec<(String, Vec<u8>)> {
    [
        ("source_topic", topics.name(record.topic)),
        ("source_partition", record.partition.to_string()),
        ("source_offset", record.offset.to_string()),
        ("reason", reason.to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value.into_bytes()))
    .to_vec()
}
