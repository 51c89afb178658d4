//! The dead letters, read first of all, so that others know what became one.

use std::collections::HashMap;
use std::path::Path;

use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers};

use crate::facts::{DEAD_LETTERS, Letter, Place, dead, digest, topic_number};
use crate::invariants::Name;
use crate::kafka::{Counters, Kafka, Offsets};
use crate::reading::Read;
use crate::report::CannotCheck;
use crate::spill::Writer;
use crate::tally::Tally;

/// Which records are dead letters and why: two bits for each record.
#[derive(Debug, Default)]
pub(crate) struct DeadPlaces(HashMap<(u8, i32), Vec<u8>>);

impl DeadPlaces {
    fn put(&mut self, at: Place, class: u8) {
        let Ok(offset) = usize::try_from(at.offset) else {
            return;
        };
        let marks = self.0.entry((at.topic, at.partition)).or_default();
        if marks.len() <= offset / 4 {
            marks.resize(offset / 4 + 1, 0);
        }
        let shift = offset % 4 * 2;
        let before = marks[offset / 4] >> shift & 3;
        // One of several reasons: the stronger, should there be two.
        let class = if before == 0 {
            class
        } else {
            class.min(before)
        };
        marks[offset / 4] = marks[offset / 4] & !(3 << shift) | class << shift;
    }

    pub(crate) fn class(&self, at: Place) -> u8 {
        let Ok(offset) = usize::try_from(at.offset) else {
            return dead::NOT;
        };
        let marks = self.0.get(&(at.topic, at.partition));
        let mark = marks.and_then(|marks| marks.get(offset / 4));
        mark.map_or(dead::NOT, |mark| mark >> (offset % 4 * 2) & 3)
    }
}

/// Reads the dead letters: first of all, so that others know what became one.
pub(crate) fn read_letters(
    kafka: &Kafka,
    prefix: &str,
    ends: &Offsets,
    counters: &Counters,
    scratch: &Path,
) -> Result<(DeadPlaces, Read), CannotCheck> {
    let mut places = DeadPlaces::default();
    let mut tally = Tally::default();
    let mut writer = Writer::new(scratch, "letters");
    let nothing = Writer::new(scratch, "none").finish()?;
    kafka.read(
        DEAD_LETTERS,
        &Offsets::new(),
        ends,
        &counters.records,
        &mut |at, message| {
            let Some((source, reason)) = origin(message, prefix) else {
                tally.check(Name::F4, false, || {
                    format!("{at} does not say where its record stood, or why it is here")
                });
                return Ok(());
            };
            let end = ends.get(&(source.topic, source.partition));
            // Far beyond any log, it would only cost memory.
            if end.is_some_and(|end| source.offset >= *end) {
                tally.check(Name::F4, false, || {
                    format!("{at} names {source}, where nothing is")
                });
                return Ok(());
            }
            places.put(
                source,
                match reason.as_str() {
                    "IDEMPOTENCY_CONFLICT" => dead::CONFLICT,
                    "CORRUPTION" => dead::CORRUPTION,
                    _ => dead::OTHER,
                },
            );
            let letter = Letter {
                source,
                is_letter: true,
                at,
                key: digest(message.key().unwrap_or_default()),
                value: value_digest(message),
                reason: digest(reason.as_bytes()),
                must_be_dead: false,
            };
            writer.put(spread(source), &letter.packed())
        },
    )?;
    let read = Read {
        of_commands: nothing,
        letters: writer.finish()?,
        tally,
    };
    Ok((places, read))
}

pub(crate) fn spread(at: Place) -> u64 {
    at.offset.cast_unsigned()
        ^ u64::from(at.topic) << 56
        ^ u64::from(at.partition.cast_unsigned()) << 40
}

/// A missing value is another than an empty one.
pub(crate) fn value_digest(message: &BorrowedMessage<'_>) -> u64 {
    message.payload().map_or(1, digest)
}

fn origin(message: &BorrowedMessage<'_>, prefix: &str) -> Option<(Place, String)> {
    let headers = message.headers()?;
    let text = |name: &str| {
        let header = headers.iter().find(|header| header.key == name)?;
        std::str::from_utf8(header.value?).ok()
    };
    let place = Place {
        topic: topic_number(text("source_topic")?.strip_prefix(prefix)?)?,
        partition: text("source_partition")?.parse().ok()?,
        offset: text("source_offset")?.parse().ok()?,
    };
    Some((place, text("reason")?.to_owned()))
}
