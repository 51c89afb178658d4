//! The messages of graphql-transport-ws, read strictly and written plainly.

use async_graphql::Response;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::graphql::operation::Operation;

/// The subprotocol's name.
pub(super) const SUBPROTOCOL: &str = "graphql-transport-ws";
/// Characters of an operation's id.
const ID_CHARACTERS_MAX: usize = 128;

/// Why a socket is closed: code and words of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Close(pub(super) u16, pub(super) &'static str);

/// We stop; the client comes back.
pub(super) const GOING_AWAY: Close = Close(1001, "Going away");
/// A binary frame.
pub(super) const UNSUPPORTED: Close = Close(1003, "Text frames only");
/// Not a message of the protocol.
pub(super) const BAD_MESSAGE: Close = Close(4400, "Invalid message");
/// An operation before the acknowledgement.
pub(super) const UNAUTHORIZED: Close = Close(4401, "Unauthorized");
/// A session that is none.
pub(super) const FORBIDDEN: Close = Close(4403, "Forbidden");
/// None of the subprotocols is ours.
pub(super) const NO_SUBPROTOCOL: Close = Close(4406, "Subprotocol not acceptable");
/// No `connection_init` in time.
pub(super) const INIT_TIMEOUT: Close = Close(4408, "Connection initialisation timeout");
/// A second `connection_init`.
pub(super) const TOO_MANY_INITS: Close = Close(4429, "Too many initialisation requests");
/// More messages or operations than a client needs.
pub(super) const TOO_MANY_REQUESTS: Close = Close(4429, "Too many requests");
/// More sockets than a user needs.
pub(super) const TOO_MANY_SOCKETS: Close = Close(4429, "Too many connections");
/// Nobody reads, or nobody answers.
pub(super) const SILENT: Close = Close(4408, "No answer from the client");

/// What a client says.
pub(super) enum FromClient {
    /// Hello, perhaps with an `authorization`.
    Init(Option<String>),
    /// Are you there?
    Ping(Option<Value>),
    /// Yes.
    Pong,
    /// Run this.
    Subscribe(String, Operation),
    /// Stop that.
    Complete(String),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    id: Option<String>,
    #[serde(default)]
    payload: Option<Value>,
}

/// Reads a message; `None` for anything that is none.
pub(super) fn read(text: &str) -> Option<FromClient> {
    let Envelope { kind, id, payload } = serde_json::from_str(text).ok()?;
    let id = id.filter(|id| !id.is_empty() && id.chars().count() <= ID_CHARACTERS_MAX);
    match kind.as_str() {
        "connection_init" => match payload {
            None | Some(Value::Null) => Some(FromClient::Init(None)),
            Some(Value::Object(payload)) => Some(FromClient::Init(authorization(&payload)?)),
            Some(_) => None,
        },
        "ping" => Some(FromClient::Ping(payload)),
        "pong" => Some(FromClient::Pong),
        "subscribe" => {
            let operation = serde_json::from_value(payload?).ok()?;
            Some(FromClient::Subscribe(id?, operation))
        }
        "complete" => Some(FromClient::Complete(id?)),
        _ => None,
    }
}

fn authorization(payload: &Map<String, Value>) -> Option<Option<String>> {
    let found = payload
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("authorization"));
    match found {
        None | Some((_, Value::Null)) => Some(None),
        Some((_, Value::String(text))) => Some(Some(text.clone())),
        Some(_) => None,
    }
}

/// Welcome.
pub(super) fn ack() -> String {
    json!({ "type": "connection_ack" }).to_string()
}

/// Yes.
pub(super) fn pong(payload: Option<Value>) -> String {
    match payload {
        Some(payload) => json!({ "type": "pong", "payload": payload }).to_string(),
        None => json!({ "type": "pong" }).to_string(),
    }
}

/// A message about an operation, written without a tree of values in between.
#[derive(Serialize)]
struct About<'a, P> {
    id: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    payload: &'a P,
}

fn about<P: Serialize>(id: &str, kind: &str, payload: &P) -> String {
    // An answer is made of names, numbers and texts, which can be written.
    serde_json::to_string(&About { id, kind, payload }).unwrap_or_default()
}

/// One answer of an operation.
pub(super) fn next(id: &str, response: &Response) -> String {
    about(id, "next", response)
}

/// The end of an operation that failed.
pub(super) fn error(id: &str, response: &Response) -> String {
    about(id, "error", &response.errors)
}

/// The end of an operation.
pub(super) fn complete(id: &str) -> String {
    json!({ "id": id, "type": "complete" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_messages_of_the_protocol_are_read() {
        for (text, valid) in [
            (r#"{"type":"connection_init"}"#, true),
            (r#"{"type":"connection_init","payload":null}"#, true),
            (
                r#"{"type":"connection_init","payload":{"authorization":"Bearer x"}}"#,
                true,
            ),
            (r#"{"type":"connection_init","payload":"x"}"#, false),
            (r#"{"type":"connection_init","payload":[]}"#, false),
            (
                r#"{"type":"connection_init","payload":{"authorization":7}}"#,
                false,
            ),
            (r#"{"type":"ping"}"#, true),
            (r#"{"type":"pong","payload":{"a":1}}"#, true),
            (
                r#"{"type":"subscribe","id":"1","payload":{"query":"{a}"}}"#,
                true,
            ),
            (
                r#"{"type":"subscribe","id":"","payload":{"query":"{a}"}}"#,
                false,
            ),
            (
                r#"{"type":"subscribe","id":7,"payload":{"query":"{a}"}}"#,
                false,
            ),
            (r#"{"type":"subscribe","payload":{"query":"{a}"}}"#, false),
            (r#"{"type":"subscribe","id":"1"}"#, false),
            (r#"{"type":"complete","id":"1"}"#, true),
            (r#"{"type":"complete"}"#, false),
            (r#"{"type":"next","id":"1"}"#, false),
            (r#"{"type":"start","id":"1"}"#, false),
            (r#"{"type":7}"#, false),
            (r"{}", false),
            (r"[]", false),
            ("", false),
            ("not json", false),
        ] {
            assert_eq!(read(text).is_some(), valid, "{text}");
        }
        let long = format!(r#"{{"type":"complete","id":"{}"}}"#, "x".repeat(10_000));
        assert!(read(&long).is_none());
    }
}
