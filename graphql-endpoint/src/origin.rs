//! What a command carries of its way here: when its request was received, and the trace it
//! is part of.

use topology::stamps::{Stamp, Stamps, Trace, now_us};
use topology::traces::Place;
use topology::{CommandId, Topic};

use crate::spans;

/// Of one request.
#[derive(Clone, Debug)]
pub struct Origin {
    received_us: i64,
    /// In the client's own trace.
    client: Option<Place>,
}

/// A command that is sent now.
#[derive(Clone, Debug)]
pub struct Sent {
    /// Of its record.
    pub headers: Vec<(String, Vec<u8>)>,
    /// This step of its trace, if that is told.
    pub span: Option<topology::traces::Span>,
}

impl Origin {
    /// Of a request that is there now.
    #[must_use]
    pub fn now() -> Origin {
        Origin {
            received_us: now_us(),
            client: None,
        }
    }

    /// The client has a trace of its own, if the header is one.
    pub fn continue_trace(&mut self, trace_parent: Option<&str>) {
        self.client = trace_parent.and_then(Place::parse);
    }

    /// Sends a command now. Without a trace of the client's it is one of its own, under the
    /// command's id, so that whoever knows one finds the other.
    #[must_use]
    pub fn send(&self, command_id: CommandId, topic: Topic, key: &str) -> Sent {
        let own_trace = command_id.0.as_u128();
        let trace_id = self.client.map_or(own_trace, |client| client.trace_id);
        let place = Place::new(trace_id);
        let trace = Trace {
            parent: Some(place.header()),
            stamps: Stamps::default()
                .with(Stamp::Accepted, self.received_us)
                .with(Stamp::Sent, now_us()),
        };
        let parent = self.client.map(|client| client.span_id);
        Sent {
            headers: trace.headers(),
            span: spans::sent((place, parent), (topic, key), command_id, self.received_us),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn parent(origin: &Origin, id: CommandId) -> String {
        let sent = origin.send(id, Topic::ConfirmMoneyTransfer, "key");
        let found = sent
            .headers
            .into_iter()
            .find(|(name, _)| name == "traceparent");
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
        let id = CommandId::from_bytes([7; 16]);
        let mut origin = Origin::now();
        origin.continue_trace(Some(&format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32))));
        assert!(parent(&origin, id).starts_with(&format!("00-{}-", "07".repeat(16))));
    }
}
