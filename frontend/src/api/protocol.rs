//! The messages of graphql-transport-ws, and what an end of the connection means.

use serde_json::{Value, json};

use super::{
    operations::Operation,
    response::{self, ApiError},
};
use crate::readable::{self, Readable, Reader};

/// Name of the protocol in the WebSocket handshake.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// What the page says.
#[derive(Debug)]
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
        id: u32,
        /// What is asked.
        operation: &'a Operation,
    },
    /// Ends a subscription.
    Complete {
        /// Which.
        id: u32,
    },
}

impl ClientMessage<'_> {
    /// As text.
    #[must_use]
    pub fn encode(&self) -> String {
        let message = match self {
            Self::ConnectionInit => json!({ "type": "connection_init" }),
            Self::Ping => json!({ "type": "ping" }),
            Self::Pong => json!({ "type": "pong" }),
            Self::Subscribe { id, operation } => {
                json!({ "type": "subscribe", "id": id.to_string(), "payload": operation.request() })
            }
            Self::Complete { id } => json!({ "type": "complete", "id": id.to_string() }),
        };
        message.to_string()
    }
}

/// What kind of message the gateway sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    Other,
}

impl Readable for Kind {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("connection_ack", Self::ConnectionAck),
            ("ping", Self::Ping),
            ("pong", Self::Pong),
            ("next", Self::Next),
            ("error", Self::Error),
            ("complete", Self::Complete),
        ];
        reader.word(value, &known, Some(Self::Other))
    }
}

/// A message of the gateway: what it is and for whom; what is in it is read by the one whom it is for.
#[derive(Debug)]
pub struct Envelope {
    /// What it is.
    pub kind: Kind,
    /// The subscription it is for.
    pub id: Option<u32>,
    message: Value,
}

impl Envelope {
    /// From text.
    ///
    /// # Errors
    /// When it is no message of the protocol.
    pub fn decode(text: &str) -> Result<Self, ApiError> {
        let message = response::parse(text)?;
        let no_kind = || ApiError::Malformed("a message without a type".to_owned());
        let kind = message.get("type").ok_or_else(no_kind)?;
        Ok(Self {
            kind: readable::answer(kind).unwrap_or(Kind::Other),
            id: message["id"].as_str().and_then(|id| id.parse().ok()),
            message,
        })
    }

    /// The answer in a message of kind [`Kind::Next`].
    ///
    /// # Errors
    /// When it has errors, or another form.
    pub fn answer<Answer: Readable>(&self) -> Result<Answer, ApiError> {
        response::read(&self.message["payload"])
    }

    /// The error in a message of kind [`Kind::Error`].
    #[must_use]
    pub fn error(&self) -> ApiError {
        match self.message["payload"].get(0) {
            Some(error) => response::refusal(error),
            None => ApiError::Malformed("an error without a word".to_owned()),
        }
    }
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
    use crate::api::{
        operations::{FollowAnswer, follow},
        response::ErrorCode,
    };

    #[test]
    fn messages_are_written_as_the_protocol_says() {
        assert_eq!(
            ClientMessage::ConnectionInit.encode(),
            r#"{"type":"connection_init"}"#
        );
        assert_eq!(ClientMessage::Ping.encode(), r#"{"type":"ping"}"#);
        let operation = follow("NL66OPEN0000000000", Some("c"));
        let subscribe = ClientMessage::Subscribe {
            id: 7,
            operation: &operation,
        };
        let subscribe = response::parse(&subscribe.encode()).unwrap();
        assert_eq!(subscribe["type"], "subscribe");
        assert_eq!(subscribe["id"], "7");
        assert_eq!(subscribe["payload"]["variables"]["after"], "c");
        let complete = ClientMessage::Complete { id: 7 }.encode();
        assert_eq!(
            response::parse(&complete),
            Ok(json!({ "type": "complete", "id": "7" }))
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
            assert_eq!((envelope.kind, envelope.id), (kind, id), "{text}");
        }
        assert!(Envelope::decode("{}").is_err());
        let next = r#"{"type":"next","id":"1","payload":{"data":{"transactions":{"iban":"NL66OPEN0000000000",
            "version":3,"newBalance":"100","changedBy":"-5","counterparty":"cash","description":"",
            "commandId":null,"occurredAt":"2026-11-21T12:00:00Z","serial":"1:2","cursor":"c"}}}}"#;
        let answer: FollowAnswer = Envelope::decode(next).unwrap().answer().unwrap();
        assert_eq!(answer.transactions.version, 3);
        let error = r#"{"type":"error","id":"1","payload":[{"message":"no","extensions":{"code":"FORBIDDEN"}}]}"#;
        let error_of = |text| Envelope::decode(text).unwrap().error();
        assert!(error_of(error).is(ErrorCode::Forbidden));
        let wordless = error_of(r#"{"type":"error","id":"1"}"#);
        assert!(matches!(wordless, ApiError::Malformed(_)));
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
