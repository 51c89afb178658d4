//! Spans of a trace, sent to a collector by OTLP: one trace for each command that a gateway
//! took, from its request to the last subscriber who saw what came of it.
//!
//! Nobody holds a span open. The records of a command carry its trace and its times (see
//! [`crate::stamps`]), so each service makes its span once its part is done, from what it
//! knows then, and gives it to a queue that never makes anybody wait: a full one drops, and
//! counts what it dropped. A thread of its own sends what is in the queue.
//!
//! Programs have it when they are built with the feature `traces`, and make spans when a
//! collector is named. For the others [`is_on`] is `false`, and nothing else is done.

use crate::identity::CommandId;
use crate::stamps::Trace;
use crate::topics::Topic;

mod settings;

#[cfg(feature = "traces")]
mod exporter;

#[cfg(feature = "traces")]
mod queue;

pub use settings::{Ratio, TracesConfig};

/// Where a span stands: its trace and itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of all spans of one story.
    pub trace_id: u128,
    /// Of this one.
    pub span_id: u64,
}

impl Place {
    /// A new one in this trace.
    #[must_use]
    pub fn new(trace_id: u128) -> Place {
        Place {
            trace_id,
            span_id: uuid::Uuid::new_v4().as_u64_pair().0,
        }
    }

    /// Of a header of W3C Trace Context, if it is one.
    #[must_use]
    pub fn parse(header: &str) -> Option<Place> {
        let mut parts = header.split('-');
        let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
        parts.next()?;
        let is_hexadecimal = |text: &str, digits: usize| {
            let legal = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
            text.len() == digits && text.bytes().all(legal)
        };
        if !is_hexadecimal(version, 2)
            || version == "ff"
            || !is_hexadecimal(trace, 32)
            || !is_hexadecimal(span, 16)
        {
            return None;
        }
        let place = Place {
            trace_id: u128::from_str_radix(trace, 16).ok()?,
            span_id: u64::from_str_radix(span, 16).ok()?,
        };
        (place.trace_id != 0 && place.span_id != 0).then_some(place)
    }

    /// As a header of W3C Trace Context.
    #[must_use]
    pub fn header(self) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace_id, self.span_id)
    }
}

/// What was done while a span lasted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A record was sent.
    Send,
    /// A record was read, and what it says was done.
    Process,
    /// What a record says was shown to somebody.
    Push,
}

impl Work {
    /// As the name of a span begins.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Work::Send => "send",
            Work::Process => "process",
            Work::Push => "push",
        }
    }
}

/// The record a span is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// Where it stands.
    pub topic: Topic,
    /// Where it stands.
    pub partition: i32,
    /// Where it stands; its sender does not know.
    pub offset: Option<i64>,
    /// The group of its reader.
    pub group: Option<&'static str>,
    /// The command it is, or came of.
    pub command_id: Option<CommandId>,
}

/// One step of a command's way, with its beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// What was done.
    pub work: Work,
    /// Which one it is.
    pub place: Place,
    /// The step before it.
    pub parent: Option<u64>,
    /// With what.
    pub about: About,
    /// When it began, in microseconds since 1970.
    pub start_us: i64,
    /// What happened meanwhile, and when.
    pub moments: Vec<(&'static str, i64)>,
    /// Records that were worked on together.
    pub batch: Option<i64>,
    /// What came of the command, where that was decided.
    pub outcome: Option<&'static str>,
}

impl Span {
    /// In a trace that is sampled; `None` in another, or when nobody makes spans.
    #[must_use]
    pub fn new(
        work: Work,
        place: Place,
        parent: Option<u64>,
        about: About,
        start_us: i64,
    ) -> Option<Span> {
        is_sampled(place.trace_id).then(|| Span {
            work,
            place,
            parent,
            about,
            start_us,
            moments: Vec::new(),
            batch: None,
            outcome: None,
        })
    }

    /// Of work on a record that says it belongs to a trace.
    #[must_use]
    pub fn after(
        trace: Option<&Trace>,
        work: Work,
        about: About,
        start_us: impl FnOnce() -> i64,
    ) -> Option<Span> {
        if !is_on() {
            return None;
        }
        let before = Place::parse(trace?.parent.as_deref()?)?;
        let place = Place::new(before.trace_id);
        Span::new(work, place, Some(before.span_id), about, start_us())
    }

    /// The same once more, for another who does the same.
    #[must_use]
    pub fn again(&self) -> Span {
        Span {
            place: Place::new(self.place.trace_id),
            ..self.clone()
        }
    }

    /// It is over: hands it to the queue.
    pub fn end(self, end_us: i64) {
        #[cfg(feature = "traces")]
        exporter::hand_over(queue::Ended { span: self, end_us });
        #[cfg(not(feature = "traces"))]
        let _ = (self, end_us);
    }
}

/// Whether this process makes spans.
#[must_use]
#[inline]
pub fn is_on() -> bool {
    #[cfg(feature = "traces")]
    return exporter::is_on();
    #[cfg(not(feature = "traces"))]
    false
}

/// Whether this process makes spans of this trace.
#[must_use]
#[inline]
fn is_sampled(trace_id: u128) -> bool {
    #[cfg(feature = "traces")]
    return exporter::ratio().is_some_and(|ratio| ratio.takes(trace_id));
    #[cfg(not(feature = "traces"))]
    {
        let _ = trace_id;
        false
    }
}

/// Sends what is in the queue, as far as that does not take long; for the end of a process.
/// Nothing is sent after it.
pub fn finish() {
    #[cfg(feature = "traces")]
    exporter::finish();
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn given_a_place_when_written_and_read_then_it_is_the_same() {
        let place = Place::parse(&format!("00-{TRACE}-00f067aa0ba902b7-00")).unwrap();
        let header = format!("00-{TRACE}-00f067aa0ba902b7-01");
        assert_eq!(place.header(), header);
        assert_eq!(Place::parse(&header), Some(place));
        assert_ne!(Place::new(place.trace_id), Place::new(place.trace_id));
    }

    #[test]
    fn given_a_header_that_is_none_then_there_is_no_place() {
        for header in [
            "",
            "00",
            "00-1-2-01",
            &format!("00-{TRACE}-00f067aa0ba902b7"),
            &format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            &format!("00-{TRACE}-0000000000000000-01"),
            &format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            &format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        ] {
            assert_eq!(Place::parse(header), None, "{header}");
        }
    }
}
