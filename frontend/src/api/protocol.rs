//! The messages of graphql-transport-ws, and what an end of the connection means.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::operations::{ApiError, Operation, Response, ResponseError};

/// Name of the protocol in the WebSocket handshake.
pub const SUBPROTOCOL: &str = "graphql-transport-ws";

/// The one subscription of a connection.
const SUBSCRIPTION_ID: &str = "1";

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
    /// Starts the subscription.
    Subscribe {
        /// Always the same.
        id: &'static str,
        /// The operation.
        payload: SubscribePayload<'a>,
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
    pub fn subscribe(operation: &'a Operation) -> Self {
        let payload = SubscribePayload {
            query: operation.query,
            operation_name: operation.name(),
            variables: &operation.variables,
        };
        Self::Subscribe {
            id: SUBSCRIPTION_ID,
            payload,
        }
    }

    /// As text.
    #[must_use]
    pub fn encode(&self) -> String {
        serde_json::to_string(self).expect("messages are plain data")
    }
}

/// What the gateway says.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "type",
    rename_all = "snake_case",
    bound(deserialize = "Data: Deserialize<'de>")
)]
pub enum ServerMessage<Data> {
    /// Go on.
    ConnectionAck,
    /// Is the page alive?
    Ping,
    /// The server is alive.
    Pong,
    /// A change.
    Next {
        /// With data or errors.
        payload: Response<Data>,
    },
    /// The subscription was refused.
    Error {
        /// Why.
        payload: Vec<ResponseError>,
    },
    /// The server is done with the subscription.
    Complete,
}

impl<Data: for<'de> Deserialize<'de>> ServerMessage<Data> {
    /// From text.
    ///
    /// # Errors
    /// When it is no message of the protocol.
    pub fn decode(text: &str) -> Result<Self, ApiError> {
        serde_json::from_str(text).map_err(|error| ApiError::Malformed(error.to_string()))
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
    use crate::api::operations::{FollowAnswer, follow};

    #[test]
    fn messages_are_written_as_the_protocol_says() {
        assert_eq!(
            ClientMessage::ConnectionInit.encode(),
            r#"{"type":"connection_init"}"#
        );
        assert_eq!(ClientMessage::Ping.encode(), r#"{"type":"ping"}"#);
        let operation = follow("NL66OPEN0000000000", Some("7"));
        let subscribe: Value =
            serde_json::from_str(&ClientMessage::subscribe(&operation).encode()).unwrap();
        assert_eq!(subscribe["type"], "subscribe");
        assert_eq!(subscribe["id"], "1");
        assert_eq!(subscribe["payload"]["variables"]["after"], "7");
    }

    #[test]
    fn messages_are_read_as_the_protocol_says() {
        type Message = ServerMessage<FollowAnswer>;
        assert!(matches!(
            Message::decode(r#"{"type":"connection_ack"}"#),
            Ok(Message::ConnectionAck)
        ));
        assert!(matches!(
            Message::decode(r#"{"type":"pong","payload":{}}"#),
            Ok(Message::Pong)
        ));
        assert!(matches!(
            Message::decode(r#"{"type":"complete","id":"1"}"#),
            Ok(Message::Complete)
        ));
        let next = r#"{"type":"next","id":"1","payload":{"data":{"transactions":{"iban":"NL66OPEN0000000000",
            "version":3,"newBalance":"100","changedBy":"-5","counterparty":"cash","description":"",
            "commandId":null,"occurredAt":"2026-11-21T12:00:00Z","serial":"1:2","cursor":"c"}}}}"#;
        let Ok(Message::Next { payload }) = Message::decode(next) else {
            panic!("no next")
        };
        assert_eq!(payload.into_result().unwrap().transactions.version, 3);
        assert!(Message::decode("{}").is_err());
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
