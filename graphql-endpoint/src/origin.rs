//! What a command carries of its way here: when its request was received, and the trace it
//! is part of.

use topology::CommandId;
use topology::stamps::{Stamp, Stamps, Trace, now_us};

/// Hexadecimal digits of a trace's and of a span's number.
const TRACE_DIGITS: usize = 32;
const SPAN_DIGITS: usize = 16;

/// Of one request.
#[derive(Clone, Debug)]
pub struct Origin {
    received_us: i64,
    trace_id: Option<String>,
}

impl Origin {
    /// Of a request that is there now.
    #[must_use]
    pub fn now() -> Origin {
        Origin {
            received_us: now_us(),
            trace_id: None,
        }
    }

    /// The client has a trace of its own, if the header is one.
    pub fn continue_trace(&mut self, trace_parent: Option<&str>) {
        self.trace_id = trace_parent.and_then(trace_id);
    }

    /// Headers of a command that is sent now. Without a trace of the client's it is one of
    /// its own, under the command's id, so that whoever knows one finds the other.
    #[must_use]
    pub fn headers(&self, command_id: CommandId) -> Vec<(String, Vec<u8>)> {
        let span = uuid::Uuid::new_v4().simple().to_string();
        let trace_id = match &self.trace_id {
            Some(trace_id) => trace_id.clone(),
            None => command_id.0.simple().to_string(),
        };
        let trace = Trace {
            parent: Some(format!("00-{trace_id}-{}-01", &span[..SPAN_DIGITS])),
            stamps: Stamps::default()
                .with(Stamp::Accepted, self.received_us)
                .with(Stamp::Sent, now_us()),
        };
        trace.headers()
    }
}

/// The trace's number in a header of W3C Trace Context.
fn trace_id(trace_parent: &str) -> Option<String> {
    let mut parts = trace_parent.split('-');
    let (version, trace, span) = (parts.next()?, parts.next()?, parts.next()?);
    parts.next()?;
    let is_hexadecimal = |text: &str, digits: usize| {
        let legal = |c: u8| c.is_ascii_digit() || (b'a'..=b'f').contains(&c);
        text.len() == digits && text.bytes().all(legal)
    };
    let is_some = |text: &str| text.bytes().any(|c| c != b'0');
    (is_hexadecimal(version, 2)
        && version != "ff"
        && is_hexadecimal(trace, TRACE_DIGITS)
        && is_some(trace)
        && is_hexadecimal(span, SPAN_DIGITS)
        && is_some(span))
    .then(|| trace.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn parent(origin: &Origin, id: CommandId) -> String {
        let headers = origin.headers(id);
        let found = headers.into_iter().find(|(name, _)| name == "traceparent");
        String::from_utf8(found.unwrap().1).unwrap()
    }

    #[test]
    fn given_a_trace_of_the_client_then_its_commands_are_part_of_it() {
        let id = CommandId::from_bytes([7; 16]);
        let mut origin = Origin::now();
        assert!(parent(&origin, id).starts_with(&format!("00-{}-", "07".repeat(16))));
        origin.continue_trace(Some(&format!("00-{TRACE}-00f067aa0ba902b7-01")));
        let continued = parent(&origin, id);
        assert!(continued.starts_with(&format!("00-{TRACE}-")));
        assert_eq!(continued.len(), 55);
        assert!(!continued.contains("00f067aa0ba902b7"));
    }

    #[test]
    fn given_a_header_that_is_none_then_it_is_not_passed_on() {
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
            assert_eq!(trace_id(header), None, "{header}");
        }
    }
}
