//! What the gateway says to the clients: sockets that are greeted, read, and understood.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};

use crate::clock::Clock;
use crate::commands::{RunNumber, index_in};
use crate::error::Error;

use super::customers::Customer;
use super::fleet::lock;
use super::frames;
use super::wall::{Answer, Wall};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 * 1024;

const FOLLOW: &str = "subscription($iban: Iban!, $after: String) { transactions(iban: $iban, after: $after) \
    { version commandId changedBy cursor } }";

/// One WebSocket of a customer.
pub(super) struct Socket {
    pub(super) customer: usize,
    pub(super) follows: bool,
    pub(super) writer: Mutex<Option<TcpStream>>,
    pub(super) under_way: AtomicU32,
}

/// How far a customer has followed the account.
#[derive(Clone, Debug, Default)]
pub(super) struct Followed {
    pub(super) version: u64,
    pub(super) cursor: String,
}

pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) gateway: SocketAddr,
    pub(super) customers: Vec<Customer>,
    pub(super) followed: Vec<Mutex<Followed>>,
    /// By the number of the run.
    pub(super) walls: Mutex<Vec<Option<Arc<Wall>>>>,
    pub(super) findings: Mutex<Vec<String>>,
    /// Sockets that were closed by the other side, with why.
    pub(super) closed: Mutex<Vec<String>>,
    pub(super) events: AtomicU64,
    pub(super) company: String,
}

pub(super) type Dialogue = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// A socket that was greeted and greeted back.
pub(super) async fn connect(
    gateway: SocketAddr,
    source: Option<IpAddr>,
    session: &str,
) -> Result<Dialogue, Error> {
    let greeting = async {
        let socket = match gateway {
            SocketAddr::V4(_) => tokio::net::TcpSocket::new_v4()?,
            SocketAddr::V6(_) => tokio::net::TcpSocket::new_v6()?,
        };
        if let Some(source) = source {
            socket.bind(SocketAddr::new(source, 0))?;
        }
        let stream = socket.connect(gateway).await?;
        stream.set_nodelay(true)?;
        let uri = format!("ws://{gateway}/graphql-ws")
            .parse()
            .map_err(std::io::Error::other)?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("graphql-transport-ws");
        let (mut socket, _) = client_async(request, stream)
            .await
            .map_err(std::io::Error::other)?;
        let payload = json!({ "authorization": format!("Bearer {session}") });
        let init = json!({ "type": "connection_init", "payload": payload });
        let sent = socket.send(Message::Text(init.to_string().into())).await;
        sent.map_err(std::io::Error::other)?;
        loop {
            let message = socket
                .next()
                .await
                .ok_or_else(|| std::io::Error::other("closed"))?;
            match message.map_err(std::io::Error::other)? {
                Message::Text(text) if text.contains("connection_ack") => return Ok(socket),
                Message::Close(why) => return Err(std::io::Error::other(format!("{why:?}"))),
                _ => {}
            }
        }
    };
    match tokio::time::timeout(CONNECT_TIMEOUT, greeting).await {
        Ok(connected) => connected.map_err(Error::io("open a WebSocket to", gateway.to_string())),
        Err(_) => Err(Error::TooLate {
            what: format!("a WebSocket to {gateway}"),
            patience: CONNECT_TIMEOUT,
        }),
    }
}

/// A socket that follows an account and is only read.
pub(super) async fn follow(
    gateway: SocketAddr,
    source: Option<IpAddr>,
    customer: Customer,
) -> Result<Dialogue, Error> {
    let mut socket = connect(gateway, source, &customer.session).await?;
    let payload = json!({ "query": FOLLOW, "variables": { "iban": customer.iban } });
    let subscribe = json!({ "type": "subscribe", "id": "s", "payload": payload });
    let sent = socket
        .send(Message::Text(subscribe.to_string().into()))
        .await;
    sent.map_err(|error| Error::Wrong(format!("cannot follow an account: {error}")))?;
    Ok(socket)
}

/// Connects, subscribes and starts to read.
pub(super) async fn enlist(shared: Arc<Shared>, socket: Arc<Socket>) -> Result<(), Error> {
    let customer = &shared.customers[socket.customer];
    let dialogue = connect(shared.gateway, None, &customer.session).await?;
    let failed = || Error::io("split", "a WebSocket");
    // After the greeting the gateway says nothing until it is asked.
    let stream = dialogue.into_inner().into_std().map_err(failed())?;
    let mut writer = stream.try_clone().map_err(failed())?;
    let stream = tokio::net::TcpStream::from_std(stream).map_err(failed())?;
    if socket.follows {
        let cursor = lock(&shared.followed[socket.customer]).cursor.clone();
        let after = if cursor.is_empty() {
            Value::Null
        } else {
            Value::String(cursor)
        };
        let variables = json!({ "iban": customer.iban, "after": after });
        let payload = json!({ "query": FOLLOW, "variables": variables });
        let subscribe = json!({ "type": "subscribe", "id": "s", "payload": payload }).to_string();
        let mut frame = Vec::new();
        frames::write(&mut frame, frames::TEXT, [7, 1, 8, 2], subscribe.as_bytes());
        writer.write_all(&frame).map_err(failed())?;
    }
    socket.under_way.store(0, Relaxed);
    *lock(&socket.writer) = Some(writer);
    tokio::spawn(async move {
        let why = listen(&shared, &socket, &stream).await;
        if lock(&socket.writer).take().is_some() {
            lock(&shared.closed).push(why);
        }
    });
    Ok(())
}

/// Reads until the socket is closed; says why it was.
async fn listen(shared: &Shared, socket: &Socket, stream: &tokio::net::TcpStream) -> String {
    let mut bytes = Vec::with_capacity(READ_BYTES);
    loop {
        if let Err(error) = stream.readable().await {
            return error.to_string();
        }
        match stream.try_read_buf(&mut bytes) {
            Ok(0) => return "closed without a word".to_owned(),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
            Err(error) => return error.to_string(),
        }
        let now_ns = shared.clock.now_ns();
        let mut taken = 0;
        loop {
            match frames::read(&bytes[taken..]) {
                Ok(None) => break,
                Err(frames::NoFrame) => return "sent what is no frame".to_owned(),
                Ok(Some((frame, length))) => {
                    match frame.opcode {
                        frames::TEXT => {
                            if let Err(why) = shared.hear(socket, frame.payload, now_ns) {
                                return why;
                            }
                        }
                        frames::PING => pong(socket, frame.payload),
                        frames::CLOSE => return close_reason(frame.payload),
                        _ => {}
                    }
                    taken += length;
                }
            }
        }
        bytes.drain(..taken);
    }
}

fn pong(socket: &Socket, payload: &[u8]) {
    let mut frame = Vec::new();
    frames::write(&mut frame, frames::PONG, [3, 1, 4, 1], payload);
    if let Some(writer) = lock(&socket.writer).as_mut() {
        // A socket that takes no answer is closed by the gateway, which is noticed.
        let _ = writer.write(&frame);
    }
}

fn close_reason(payload: &[u8]) -> String {
    match payload.split_at_checked(2) {
        Some((code, reason)) => format!(
            "closed with {} {}",
            u16::from_be_bytes([code[0], code[1]]),
            String::from_utf8_lossy(reason)
        ),
        None => "closed without a code".to_owned(),
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(default)]
    id: &'a str,
}

#[derive(Deserialize)]
struct Next<'a> {
    #[serde(borrow)]
    payload: Payload<'a>,
}

#[derive(Deserialize)]
struct Payload<'a> {
    #[serde(default, borrow)]
    data: Option<Data<'a>>,
}

#[derive(Deserialize)]
struct Data<'a> {
    #[serde(default, borrow)]
    transfer: Option<Transfer<'a>>,
    #[serde(default, borrow)]
    transactions: Option<Change<'a>>,
}

#[derive(Deserialize)]
struct Transfer<'a> {
    #[serde(rename = "__typename")]
    kind: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Change<'a> {
    version: u64,
    command_id: Option<uuid::Uuid>,
    changed_by: &'a str,
    cursor: &'a str,
}

impl Shared {
    fn find(&self, what: String) {
        const FINDINGS_MAX: usize = 20;
        let mut findings = lock(&self.findings);
        if findings.len() < FINDINGS_MAX {
            findings.push(what);
        }
    }

    fn wall(&self, run: RunNumber) -> Option<Arc<Wall>> {
        lock(&self.walls).get(usize::from(run))?.clone()
    }

    /// Takes a message in; an error is why the socket is of no more use: a subscription that
    /// the gateway ended, as it does with who reads too slowly, is resumed on a new one.
    fn hear(&self, socket: &Socket, text: &[u8], now_ns: u64) -> Result<(), String> {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(text) else {
            self.find(format!("no message: {}", String::from_utf8_lossy(text)));
            return Ok(());
        };
        let ended = || format!("a subscription ended: {}", String::from_utf8_lossy(text));
        match head.kind {
            "next" => {
                let data = serde_json::from_slice::<Next<'_>>(text).ok();
                let data = data.and_then(|next| next.payload.data);
                match (head.id, data) {
                    (
                        "s",
                        Some(Data {
                            transactions: Some(change),
                            ..
                        }),
                    ) => {
                        self.change(socket, &change, now_ns);
                    }
                    ("s", _) => return Err(ended()),
                    (id, data) => {
                        let kind = data.and_then(|data| data.transfer).map(|it| it.kind);
                        let answer = match kind {
                            Some("PaymentConfirmed") => Answer::Confirmed,
                            Some("CommandRejected") => Answer::Rejected,
                            _ => Answer::Failed,
                        };
                        self.answer(id, answer, now_ns);
                    }
                }
            }
            "complete" if head.id != "s" => {
                socket.under_way.fetch_sub(1, Relaxed);
            }
            "error" if head.id != "s" => {
                socket.under_way.fetch_sub(1, Relaxed);
                self.answer(head.id, Answer::Failed, now_ns);
            }
            "complete" | "error" => return Err(ended()),
            _ => {}
        }
        Ok(())
    }

    fn answer(&self, id: &str, answer: Answer, now_ns: u64) {
        let Some((kind, rest)) = id.split_at_checked(1) else {
            return;
        };
        let numbers = rest.split_once('-');
        let numbers =
            numbers.and_then(|(run, index)| Some((run.parse().ok()?, index.parse().ok()?)));
        let Some((run, index)) = numbers else {
            return;
        };
        if let Some(wall) = self.wall(run) {
            wall.answer(index, kind == "r", answer, now_ns);
        }
    }

    fn change(&self, socket: &Socket, change: &Change<'_>, now_ns: u64) {
        self.events.fetch_add(1, Relaxed);
        let iban = &self.customers[socket.customer].iban;
        {
            let mut followed = lock(&self.followed[socket.customer]);
            let expected = followed.version + 1;
            // The first one seen says where the account stood.
            if followed.version != 0 && change.version != expected {
                self.find(format!(
                    "{iban}: version {} came where {expected} was due",
                    change.version
                ));
            }
            followed.version = change.version;
            followed.cursor.clear();
            followed.cursor.push_str(change.cursor);
        }
        let Some(id) = change.command_id else {
            return;
        };
        let (run, index) = index_in(id.into_bytes());
        let Some(wall) = self.wall(run).filter(|wall| {
            // Somebody else's command may have an id that looks like one of ours.
            (index as usize) < wall.len() && wall.id(index as usize) == id
        }) else {
            return;
        };
        let is_payer = change.changed_by.starts_with('-');
        if !wall.change(index as usize, is_payer, now_ns) {
            self.find(format!("{iban}: the change of {id} came twice"));
        }
    }
}
