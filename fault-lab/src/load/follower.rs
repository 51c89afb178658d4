//! Somebody who follows an account over a WebSocket, and goes on by cursor whenever the connection is lost. Every
//! change must come once and in order.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use auditor::history::{Operation, Phase};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{ClientRequestBuilder, Message},
};
use tokio_util::sync::CancellationToken;

use super::Common;

/// To have a connection that was accepted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(4);
/// Between our pings.
const PING_INTERVAL: Duration = Duration::from_secs(2);
/// A connection that is silent for so long, answers to pings included, is taken for lost.
const SILENCE: Duration = Duration::from_secs(6);
/// Between a loss and the next try.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// To see the end of what there is, when told to stop.
const CATCH_UP: Duration = Duration::from_secs(30);
/// How often it looks whether that was the end.
const LOOK: Duration = Duration::from_millis(50);

const SUBSCRIPTION: &str = "subscription ($iban: Iban!, $after: String) { \
    transactions(iban: $iban, after: $after) { version cursor } }";

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// Follows one account.
pub struct Follower {
    name: String,
    number: usize,
    subscription: u64,
    iban: String,
    session: String,
    common: Arc<Common>,
    /// The last change seen, and its cursor.
    version: i64,
    cursor: String,
    is_known: bool,
    connections: usize,
}

impl Follower {
    /// Follows this account from its first change on.
    #[must_use]
    pub fn new(common: Arc<Common>, number: usize, iban: &str, session: &str) -> Follower {
        Follower {
            name: format!("follower-{number}"),
            number,
            subscription: u64::try_from(number).unwrap_or_default(),
            iban: iban.to_owned(),
            session: session.to_owned(),
            common,
            version: 0,
            // Before the first.
            cursor: "0".to_owned(),
            is_known: false,
            connections: 0,
        }
    }

    /// Follows until told to stop and until the newest change has come; says so when it does not.
    pub async fn follow(mut self, stop: CancellationToken) -> Follower {
        if !self.is_known {
            self.is_known = true;
            self.record(Phase::Invoke, self.subscribe_operation());
        }
        let mut stop_at = None;
        loop {
            let ended = self.listen(&stop, &mut stop_at).await;
            if ended {
                break;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        let newest = self.common.observer.board().newest(&self.iban);
        if self.version < newest {
            self.common.find(format!(
                "{} saw {} up to version {} of {newest}",
                self.name, self.iban, self.version
            ));
        }
        self
    }

    /// One connection, until it is lost; true when all is over.
    async fn listen(&mut self, stop: &CancellationToken, stop_at: &mut Option<Instant>) -> bool {
        let connecting = timeout(CONNECT_TIMEOUT, self.connect());
        let mut socket = match connecting.await {
            Ok(Some(socket)) => socket,
            _ => return self.is_over(stop, stop_at),
        };
        let mut heard_at = Instant::now();
        let mut pinged_at = Instant::now();
        loop {
            if self.is_over(stop, stop_at) {
                // An orderly end; if it cannot be said, nobody hears it.
                let _ = timeout(RETRY_PAUSE, socket.close(None)).await;
                return true;
            }
            if heard_at.elapsed() > SILENCE {
                return false;
            }
            if pinged_at.elapsed() > PING_INTERVAL {
                pinged_at = Instant::now();
                let ping = socket.send(Message::Ping(Vec::new().into()));
                if !matches!(timeout(RETRY_PAUSE, ping).await, Ok(Ok(()))) {
                    return false;
                }
            }
            match timeout(LOOK, socket.next()).await {
                Err(_) => {}
                Ok(Some(Ok(message))) => {
                    heard_at = Instant::now();
                    if !self.hear(&mut socket, &message).await {
                        return false;
                    }
                }
                Ok(_) => return false,
            }
        }
    }

    fn is_over(&self, stop: &CancellationToken, stop_at: &mut Option<Instant>) -> bool {
        if !stop.is_cancelled() {
            return false;
        }
        let since = *stop_at.get_or_insert_with(Instant::now);
        since.elapsed() > CATCH_UP
            || self.version >= self.common.observer.board().newest(&self.iban)
    }

    async fn connect(&mut self) -> Option<Socket> {
        let gateway = self.common.gateways.choose(self.number + self.connections);
        self.connections += 1;
        let uri = format!("ws://{gateway}/graphql-ws").parse().ok()?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("graphql-transport-ws");
        let (mut socket, _) = connect_async(request).await.ok()?;
        let authorization = format!("Bearer {}", self.session);
        let init =
            json!({ "type": "connection_init", "payload": { "authorization": authorization } });
        socket.send(text(&init)).await.ok()?;
        let acknowledged = loop {
            if let Message::Text(text) = socket.next().await?.ok()? {
                break text;
            }
        };
        let acknowledged: Value = serde_json::from_str(&acknowledged).ok()?;
        if acknowledged["type"] != "connection_ack" {
            return None;
        }
        let variables = json!({ "iban": self.iban, "after": self.cursor });
        let payload = json!({ "query": SUBSCRIPTION, "variables": variables });
        let subscribe = json!({ "type": "subscribe", "id": "1", "payload": payload });
        socket.send(text(&subscribe)).await.ok()?;
        Some(socket)
    }

    /// False when the connection is of no more use.
    async fn hear(&mut self, socket: &mut Socket, message: &Message) -> bool {
        let Message::Text(body) = message else {
            return !message.is_close();
        };
        let Ok(body) = serde_json::from_str::<Value>(body) else {
            self.common
                .find(format!("{} was sent no JSON: {message}", self.name));
            return false;
        };
        match body["type"].as_str() {
            Some("ping") => socket.send(text(&json!({ "type": "pong" }))).await.is_ok(),
            Some("pong") => true,
            Some("next") => {
                let change = &body["payload"]["data"]["transactions"];
                match (change["version"].as_i64(), change["cursor"].as_str()) {
                    (Some(version), Some(cursor)) => {
                        self.see(version, cursor);
                        true
                    }
                    // The database is away, as the lab wanted it.
                    _ => false,
                }
            }
            _ => false,
        }
    }

    fn see(&mut self, version: i64, cursor: &str) {
        self.record(
            Phase::Ok,
            Operation::Receive {
                iban: self.iban.clone(),
                subscription: self.subscription,
                version,
            },
        );
        if version != self.version + 1 {
            self.common.find(format!(
                "{} saw version {version} of {} after {}",
                self.name, self.iban, self.version
            ));
        }
        self.version = version;
        self.cursor = cursor.to_owned();
    }

    /// What the auditor is to be told when all is quiet: that everything there is has been seen.
    #[must_use]
    pub fn caught_up(&self) -> (String, Operation) {
        (self.name.clone(), self.subscribe_operation())
    }

    fn subscribe_operation(&self) -> Operation {
        Operation::Subscribe {
            iban: self.iban.clone(),
            subscription: self.subscription,
            after_version: 0,
            is_permitted: true,
        }
    }

    fn record(&self, phase: Phase, operation: Operation) {
        self.common.record(&self.name, phase, operation, None);
    }
}

fn text(value: &Value) -> Message {
    Message::Text(value.to_string().into())
}
