//! The messages of graphql-transport-ws, and what an end of the connection means.

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::operations::{ApiError, Operation, Response, ResponseError};

/// Name of the protocol in the WebSocket handshake.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// What the page says.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum ClientMessage<'a> {
    /// First; the session comes with the cookie.
    ConnectionInit,
    /// Sent now and then, since the server only listens whether the page is alive.
    Ping,
    /// Answer to the server's ping.
    Pong,
    /// Starts a subscription.
    Subscribe {
        /// Its own on this connection.
        id: String,
        /// The operation.
        payload: SubscribePayload<'a>,
    },
    /// Ends a subscription.
    Complete {
        /// Which.
        id: String,
    },
}

/// A subscription as it is sent.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SubscribePayload<'a> {
    query: &'a str,
    operation_name: &'static str,
    variables: &'a Value,
}

impl<'a> ClientMessage<'a> {
    /// The message that starts an operation.
    #[must_use]
    pub fn subscribe(id: u32, operation: &'a Operation) -> Self {
        let payload = SubscribePayload {
            query: operation.query,
            operation_name: operation.name(),
            variables: &operation.variables,
        };
        Self::Subscribe {
            id: id.to_string(),
            payload,
        }
    }

    /// As text.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("messages are plain data")
    }
}

/// What kind of message the gateway sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Go on.
    ConnectionAck,
    /// Is the page alive?
    Ping,
    /// The server is alive.
    Pong,
    /// An answer.
    Next,
    /// The subscription was refused.
    Error,
    /// The server is done with the subscription.
    Complete,
    /// What a newer gateway may add.
    #[serde(other)]
    Other,
}

/// What a message is and for whom; what is in it is read by the one whom it is for.
#[derive(Debug, Deserialize)]
pub struct Envelope {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    id: Option<String>,
}

impl Envelope {
    /// From text.
    ///
    /// # Errors
    /// When it is no message of the protocol.
    pub fn decode(text: &str) -> Result<Self, ApiError> {
        serde_json::from_str(text).map_err(|error| ApiError::Malformed(error.to_string()))
    }

    /// The subscription it is for.
    #[must_use]
    pub fn id(&self) -> Option<u32> {
        self.id.as_ref()?.parse().ok()
    }
}

/// The answer in a message of kind [`Kind::Next`].
///
/// # Errors
/// When it has errors, or another form.
pub fn read_next<Answer: DeserializeOwned>(text: &str) -> Result<Answer, ApiError> {
    #[derive(Deserialize)]
    #[serde(bound(deserialize = "Answer: DeserializeOwned"))]
    struct Next<Answer> {
        payload: Response<Answer>,
    }
    let next: Next<Answer> =
        serde_json::from_str(text).map_err(|error| ApiError::Malformed(error.to_string()))?;
    next.payload.into_result()
}

/// The error in a message of kind [`Kind::Error`].
#[must_use]
pub fn read_error(text: &str) -> ApiError {
    #[derive(Deserialize)]
    struct Refusal {
        payload: Vec<ResponseError>,
    }
    let refusal = serde_json::from_str::<Refusal>(text);
    let first = refusal
        .ok()
        .and_then(|refusal| refusal.payload.into_iter().next());
    first.map_or_else(
        || ApiError::Malformed("an error without a word".to_owned()),
        Into::into,
    )
}

/// Whether trying again after this close code could help: not when the session is gone or may not see the account.
#[must_use]
pub fn may_reconnect(close_code: u16) -> bool {
    const UNAUTHORIZED: u16 = 4401;
    const FORBIDDEN: u16 = 4403;
    const SUBPROTOCOL_NOT_ACCEPTABLE: u16 = 4406;
    !matches!(
        close_code,
        UNAUTHORIZED | FORBIDDEN | SUBPROTOCOL_NOT_ACCEPTABLE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::operations::{ErrorCode, FollowAnswer, follow};

    #[test]
    fn messages_are_written_as_the_protocol_says() {
        assert_eq!(
            ClientMessage::ConnectionInit.encode(),
            r#"{"type":"connection_init"}"#
        );
        assert_eq!(ClientMessage::Ping.encode(), r#"{"type":"ping"}"#);
        let operation = follow("NL66OPEN0000000000", Some("c"));
        let subscribe: Value =
            serde_json::from_str(&ClientMessage::subscribe(7, &operation).encode()).unwrap();
        assert_eq!(subscribe["type"], "subscribe");
        assert_eq!(subscribe["id"], "7");
        assert_eq!(subscribe["payload"]["variables"]["after"], "c");
        assert_eq!(
            ClientMessage::Complete { id: "7".to_owned() }.encode(),
            r#"{"type":"complete","id":"7"}"#
        );
    }

    #[test]
    fn messages_are_read_as_the_protocol_says() {
        for (text, kind, id) in [
            (r#"{"type":"connection_ack"}"#, Kind::ConnectionAck, None),
            (r#"{"type":"pong","payload":{}}"#, Kind::Pong, None),
            (r#"{"type":"complete","id":"1"}"#, Kind::Complete, Some(1)),
            (r#"{"type":"next","id":"x","payload":{}}"#, Kind::Next, None),
            (r#"{"type":"news","id":"2"}"#, Kind::Other, Some(2)),
        ] {
            let envelope = Envelope::decode(text).unwrap();
            assert_eq!((envelope.kind, envelope.id()), (kind, id), "{text}");
        }
        assert!(Envelope::decode("{}").is_err());
        let next = r#"{"type":"next","id":"1","payload":{"data":{"transactions":{"iban":"NL66OPEN0000000000",
            "version":3,"newBalance":"100","changedBy":"-5","counterparty":"cash","description":"",
            "commandId":null,"occurredAt":"2026-11-21T12:00:00Z","serial":"1:2","cursor":"c"}}}}"#;
        let answer: FollowAnswer = read_next(next).unwrap();
        assert_eq!(answer.transactions.version, 3);
        let error = r#"{"type":"error","id":"1","payload":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}"#;
        assert!(read_error(error).is(ErrorCode::Forbidden));
        assert!(matches!(read_error("{}"), ApiError::Malformed(_)));
    }

    #[test]
    fn a_lost_session_is_not_tried_again() {
        for (code, again) in [
            (1000, true),
            (1006, true),
            (1013, true),
            (4408, true),
            (4429, true),
            (4401, false),
            (4403, false),
        ] {
            assert_eq!(may_reconnect(code), again, "{code}");
        }
    }
}
