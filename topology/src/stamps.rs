//! Times that travel with a command, in the headers of its records and of what it gives.
//!
//! A sender that wants to know where the time goes puts [`STAMPS_HEADER`] on its command,
//! and [`TRACE_PARENT_HEADER`] if it has a trace. Whoever works on the command adds its own
//! times to what it sends because of it. A command without the header costs nobody
//! anything. Records say nothing of this, and a copy that is sent later has no stamps.
//!
//! All times are microseconds of the wall clock since 1970: differences mean something
//! between services of one machine, or of machines whose clocks agree.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use rdkafka::message::Headers;

/// Name of the header with the times: `accepted=1763760000123456;polled=...`.
pub const STAMPS_HEADER: &str = "stamps";
/// Name of the header that W3C Trace Context gives to a trace and the span it is in.
pub const TRACE_PARENT_HEADER: &str = "traceparent";
/// A longer header is taken for none: all stamps together need less than half of it.
const STAMPS_BYTES_MAX: usize = 512;
/// `00-`, 32 and 16 hexadecimal digits, two flags, and dashes between.
const TRACE_PARENT_BYTES: usize = 55;

/// What a stamp is of, in the order of a command's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stamp {
    /// The gateway had received the request.
    Accepted,
    /// The gateway gave the command to its producer.
    Sent,
    /// The handler had read the batch with the command.
    Polled,
    /// The batch was decided.
    Decided,
    /// The batch was committed.
    Committed,
    /// The records it gave went to the producer.
    Emitted,
    /// Not a time: how many records the batch had.
    Batch,
}

impl Stamp {
    /// All, in order.
    pub const ALL: [Stamp; 7] = [
        Stamp::Accepted,
        Stamp::Sent,
        Stamp::Polled,
        Stamp::Decided,
        Stamp::Committed,
        Stamp::Emitted,
        Stamp::Batch,
    ];

    /// As the header has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stamp::Accepted => "accepted",
            Stamp::Sent => "sent",
            Stamp::Polled => "polled",
            Stamp::Decided => "decided",
            Stamp::Committed => "committed",
            Stamp::Emitted => "emitted",
            Stamp::Batch => "batch",
        }
    }
}

/// The stamps of one command so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stamps([Option<i64>; Stamp::ALL.len()]);

impl Stamps {
    /// Reads a header. Names it does not know are skipped, so that a newer sender is no
    /// trouble; `None` when it is none of ours, or too long.
    #[must_use]
    pub fn parse(header: &[u8]) -> Option<Stamps> {
        if header.len() > STAMPS_BYTES_MAX {
            return None;
        }
        let mut stamps = Stamps::default();
        for part in std::str::from_utf8(header).ok()?.split(';') {
            let (name, value) = part.split_once('=')?;
            let value: i64 = value.parse().ok().filter(|value| *value >= 0)?;
            if let Some(stamp) = Stamp::ALL.into_iter().find(|it| it.name() == name) {
                stamps = stamps.with(stamp, value);
            }
        }
        Some(stamps)
    }

    /// The same with one more.
    #[must_use]
    pub fn with(mut self, stamp: Stamp, value: i64) -> Stamps {
        self.0[stamp as usize] = Some(value);
        self
    }

    /// One of them.
    #[must_use]
    pub fn get(&self, stamp: Stamp) -> Option<i64> {
        self.0[stamp as usize]
    }
}

impl fmt::Display for Stamps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for stamp in Stamp::ALL {
            if let Some(value) = self.get(stamp) {
                write!(f, "{separator}{}={value}", stamp.name())?;
                separator = ";";
            }
        }
        Ok(())
    }
}

/// What a record says of its journey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The trace it belongs to, if it does.
    pub parent: Option<String>,
    /// Its times so far.
    pub stamps: Stamps,
}

impl Trace {
    /// Of the headers of a record; `None` when there are no stamps to go on with.
    #[must_use]
    pub fn of(headers: &impl Headers) -> Option<Trace> {
        let mut stamps = None;
        let mut parent = None;
        for header in headers.iter() {
            match (header.key, header.value) {
                (STAMPS_HEADER, Some(value)) => stamps = Stamps::parse(value),
                (TRACE_PARENT_HEADER, Some(value)) => parent = trace_parent(value),
                _ => {}
            }
        }
        stamps.map(|stamps| Trace { parent, stamps })
    }

    /// As headers of a record to be sent.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, Vec<u8>)> {
        let mut headers = Vec::with_capacity(2);
        headers.push((
            STAMPS_HEADER.to_owned(),
            self.stamps.to_string().into_bytes(),
        ));
        if let Some(parent) = &self.parent {
            headers.push((TRACE_PARENT_HEADER.to_owned(), parent.clone().into_bytes()));
        }
        headers
    }
}

/// The header, if it is in the form that every version of the standard begins with.
fn trace_parent(header: &[u8]) -> Option<String> {
    let dashes = [2, 35, 52];
    let formed = header.len() == TRACE_PARENT_BYTES
        && header.iter().enumerate().all(|(at, byte)| {
            if dashes.contains(&at) {
                *byte == b'-'
            } else {
                byte.is_ascii_digit() || (b'a'..=b'f').contains(byte)
            }
        });
    formed
        .then(|| String::from_utf8(header.to_vec()).ok())
        .flatten()
}

/// The wall clock, as stamps have it.
#[must_use]
pub fn now_us() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| {
        i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::message::{Header, OwnedHeaders};

    use super::*;

    const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    fn headers(all: &[(&str, &[u8])]) -> OwnedHeaders {
        all.iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                let value = Some(*value);
                headers.insert(Header { key, value })
            })
    }

    #[test]
    fn given_stamps_when_written_and_read_then_they_are_the_same() {
        let stamps = Stamps::default()
            .with(Stamp::Accepted, 1_763_760_000_123_456)
            .with(Stamp::Batch, 3);
        assert_eq!(stamps.to_string(), "accepted=1763760000123456;batch=3");
        assert_eq!(Stamps::parse(stamps.to_string().as_bytes()), Some(stamps));
        assert_eq!(stamps.get(Stamp::Polled), None);
    }

    #[test]
    fn given_every_stamp_when_written_then_it_is_read_again() {
        let all = Stamp::ALL
            .into_iter()
            .fold(Stamps::default(), |all, stamp| all.with(stamp, i64::MAX));
        assert_eq!(Stamps::parse(all.to_string().as_bytes()), Some(all));
    }

    #[test]
    fn given_a_header_of_another_hand_when_read_then_it_is_none_or_what_is_known_of_it() {
        let long = format!("accepted=1;{}=1", "x".repeat(STAMPS_BYTES_MAX));
        for header in [
            b"".as_slice(),
            b"accepted",
            b"accepted=",
            b"accepted=one",
            b"accepted=-1",
            b"accepted=1;",
            b"accepted=99999999999999999999",
            b"\xff=1",
            long.as_bytes(),
        ] {
            assert_eq!(Stamps::parse(header), None, "{header:?}");
        }
        assert_eq!(
            Stamps::parse(b"accepted=1;painted=2"),
            Some(Stamps::default().with(Stamp::Accepted, 1))
        );
    }

    #[test]
    fn given_headers_when_read_then_only_those_with_stamps_are_a_trace() {
        let stamps = Stamps::default().with(Stamp::Accepted, 1);
        let parent = Some(PARENT.to_owned());
        type Given<'a> = &'a [(&'a str, &'a [u8])];
        let table: [(Given<'_>, Option<Trace>); 5] = [
            (&[], None),
            (&[(TRACE_PARENT_HEADER, PARENT.as_bytes())], None),
            (&[(STAMPS_HEADER, b"nothing")], None),
            (
                &[
                    (STAMPS_HEADER, b"accepted=1"),
                    (TRACE_PARENT_HEADER, b"00-1"),
                ],
                Some(Trace {
                    parent: None,
                    stamps,
                }),
            ),
            (
                &[
                    (TRACE_PARENT_HEADER, PARENT.as_bytes()),
                    (STAMPS_HEADER, b"accepted=1"),
                    ("other", b"x"),
                ],
                Some(Trace { parent, stamps }),
            ),
        ];
        for (given, expected) in table {
            assert_eq!(Trace::of(&headers(given)), expected, "{given:?}");
        }
    }

    #[test]
    fn given_a_trace_when_sent_as_headers_then_it_is_read_again() {
        let trace = Trace {
            parent: Some(PARENT.to_owned()),
            stamps: Stamps::default().with(Stamp::Emitted, 7),
        };
        let sent = trace.headers();
        let sent: Vec<(&str, &[u8])> = sent
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_slice()))
            .collect();
        assert_eq!(Trace::of(&headers(&sent)), Some(trace));
    }
}
