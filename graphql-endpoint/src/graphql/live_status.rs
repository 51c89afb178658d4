//! Live topics and results of benchmarks, as the schema shows them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_graphql::Object;
use chrono::{DateTime, Utc};
use topology::Topic;
use topology::iban::normalise;

use crate::answer::{Code, Refusal};
use crate::gateway::Gateway;
use crate::results::{DOCUMENTS_BYTES_MAX, Summary};
use crate::topic_records::Wanted;

/// Characters of what is looked for: an IBAN with spaces, or an id.
const CONTAINS_CHARACTERS_MAX: usize = 64;
/// Fewer would be in nearly every record.
const CONTAINS_CHARACTERS_MIN: usize = 3;

/// The topic of this name, and what is looked for in it.
pub(super) fn wanted_records(
    gateway: &Gateway,
    topic: &str,
    contains: Option<String>,
) -> Result<(Topic, Option<Wanted>), Refusal> {
    let topic = gateway
        .records
        .topic(topic)
        .ok_or_else(|| Refusal::new(Code::NotFound, "the bank has no topic of this name"))?;
    let text = contains.filter(|text| !text.trim().is_empty());
    Ok((topic, text.map(|text| wanted(&text)).transpose()?))
}

fn wanted(text: &str) -> Result<Wanted, Refusal> {
    let text = text.trim();
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-' | ':' | '.' | '_');
    let length = text.chars().count();
    if !(CONTAINS_CHARACTERS_MIN..=CONTAINS_CHARACTERS_MAX).contains(&length)
        || !text.chars().all(legal)
    {
        return Err(Refusal::validation(
            "`contains` is an IBAN, a key or a command id",
        ));
    }
    let text = match uuid::Uuid::parse_str(text) {
        Ok(id) => id.to_string(),
        // As IBANs are written in records; other keys stay as they are.
        Err(_) if normalise(text).starts_with("NL") => normalise(text),
        Err(_) => text.to_owned(),
    };
    Ok(Wanted::new(text))
}

/// A benchmark's result.
pub(super) struct BenchmarkResult {
    summary: Arc<Summary>,
    left: Arc<AtomicU64>,
}

impl BenchmarkResult {
    /// What all documents of one answer may take.
    pub(super) fn budget() -> Arc<AtomicU64> {
        Arc::new(AtomicU64::new(DOCUMENTS_BYTES_MAX))
    }

    pub(super) fn new(summary: Arc<Summary>, left: &Arc<AtomicU64>) -> BenchmarkResult {
        BenchmarkResult {
            summary,
            left: Arc::clone(left),
        }
    }
}

/// A benchmark's result.
#[Object(name = "Result")]
impl BenchmarkResult {
    /// The file's name without its ending.
    async fn name(&self) -> &str {
        &self.summary.name
    }

    /// When the measurement began.
    async fn measured_at(&self) -> DateTime<Utc> {
        self.summary.measured_at
    }

    async fn commit(&self) -> &str {
        &self.summary.commit
    }

    /// What it ran on.
    async fn machine(&self) -> &str {
        &self.summary.machine
    }

    /// Whether the machine had other work meanwhile.
    async fn noisy(&self) -> bool {
        self.summary.noisy
    }

    /// Whether the books held, in the benchmark's own words.
    async fn verdict(&self) -> &str {
        &self.summary.verdict
    }

    /// The whole file, as text in JSON.
    async fn document(&self) -> Result<String, Refusal> {
        let bytes = self.summary.bytes;
        let take = |left: u64| left.checked_sub(bytes);
        let has_room = self
            .left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        if has_room.is_err() {
            return Err(Refusal::new(
                Code::TooLarge,
                "too many documents at once; ask for the others without",
            ));
        }
        let document = self.summary.document().await;
        document.ok_or_else(|| Refusal::new(Code::NotFound, "this result is gone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_looked_for_is_an_iban_a_key_or_an_id_and_nothing_else() {
        for (text, valid) in [
            ("NL66OPEN0000000000", true),
            ("nl66 open 0000 0000 00", true),
            ("67e55044-10b1-426f-9247-bb680e5fe0c8", true),
            ("2026-11-21T20:00:00Z", true),
            ("cash", true),
            ("ab", false),
            ("a\0b", false),
            ("%_%;", false),
            (&"x".repeat(65), false),
        ] {
            assert_eq!(wanted(text).is_ok(), valid, "{text}");
        }
    }
}
