//! Bytes as they are sent: no library between a case and the gateway that would put them
//! right.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

/// Longest wait for the gateway to say something, or to close.
const WAIT: Duration = Duration::from_secs(20);
const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0x44];
/// Bytes the system takes for a client that does not read.
const NARROW_BYTES: u32 = 4_096;

/// Sends bytes and returns all that comes back until the gateway closes.
pub(crate) async fn exchange(address: &str, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The gateway may close before it has taken all.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let _ = timeout(WAIT, stream.read_to_end(&mut answer))
        .await
        .expect("the gateway closes in time");
    String::from_utf8_lossy(&answer).into_owned()
}

/// One frame as a client sends it: `first` has FIN, the reserved bits and the opcode.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(payload.len(), 0x80));
    bytes.extend(MASK);
    bytes.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(it, key)| it ^ key),
    );
    bytes
}

/// The same without a mask, as no client may.
pub(crate) fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![first];
    bytes.extend(length(payload.len(), 0));
    bytes.extend(payload);
    bytes
}

fn length(bytes: usize, mask: u8) -> Vec<u8> {
    match bytes {
        0..126 => vec![mask | u8::try_from(bytes).unwrap()],
        126..65_536 => {
            let mut length = vec![mask | 126];
            length.extend(u16::try_from(bytes).unwrap().to_be_bytes());
            length
        }
        _ => {
            let mut length = vec![mask | 127];
            length.extend(u64::try_from(bytes).unwrap().to_be_bytes());
            length
        }
    }
}

/// What a socket hears.
#[derive(Debug)]
pub(crate) enum Heard {
    Message(Value),
    Ping,
    Closed(u16),
    /// The connection ended without a word.
    Ended,
}

/// A WebSocket that may say anything.
pub(crate) struct RawSocket {
    stream: TcpStream,
    pub(crate) head: String,
    unread: Vec<u8>,
    /// Whether it answers pings.
    pub(crate) is_alive: bool,
}

impl RawSocket {
    /// Asks for a WebSocket with these further headers.
    pub(crate) async fn open(address: &str, headers: &str) -> RawSocket {
        let stream = TcpStream::connect(address).await.unwrap();
        RawSocket::upgrade(stream, address, headers).await
    }

    /// The same with a system that keeps little for who does not read.
    pub(crate) async fn open_narrow(address: &str, headers: &str) -> RawSocket {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(NARROW_BYTES).unwrap();
        let stream = socket.connect(address.parse().unwrap()).await.unwrap();
        RawSocket::upgrade(stream, address, headers).await
    }

    async fn upgrade(mut stream: TcpStream, address: &str, headers: &str) -> RawSocket {
        let request = format!(
            "GET /graphql-ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut socket = RawSocket {
            stream,
            head: String::new(),
            unread: Vec::new(),
            is_alive: true,
        };
        let end = loop {
            let found = socket.unread.windows(4).position(|it| it == b"\r\n\r\n");
            if let Some(at) = found {
                break at + 4;
            }
            assert!(socket.read().await, "no answer to the upgrade");
        };
        let head: Vec<u8> = socket.unread.drain(..end).collect();
        socket.head = String::from_utf8(head).unwrap();
        socket
    }

    /// The status of the upgrade's answer: 101 for a WebSocket.
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// Says hello, with a session if there is one, and hears the welcome.
    pub(crate) async fn hello(&mut self, session: Option<&str>) {
        let payload = session.map(|it| json!({ "authorization": format!("Bearer {it}") }));
        let hello = json!({ "type": "connection_init", "payload": payload });
        self.say(&hello).await;
        self.hear("connection_ack").await;
    }

    pub(crate) async fn say(&mut self, message: &Value) {
        self.send(&frame(0x81, message.to_string().as_bytes()))
            .await;
    }

    /// The gateway may have closed already.
    pub(crate) async fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes).await;
    }

    async fn read(&mut self) -> bool {
        let mut bytes = [0; 8_192];
        let read = timeout(WAIT, self.stream.read(&mut bytes)).await;
        match read.expect("something is heard in time") {
            Ok(0) | Err(_) => false,
            Ok(count) => {
                self.unread.extend(&bytes[..count]);
                true
            }
        }
    }

    async fn frame(&mut self) -> Option<(u8, Vec<u8>)> {
        loop {
            if let Some(frame) = self.take_frame() {
                return Some(frame);
            }
            if !self.read().await {
                return None;
            }
        }
    }

    fn take_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let bytes = &self.unread;
        let (header, length) = match bytes.get(1)? {
            126 => {
                let length: [u8; 2] = bytes.get(2..4)?.try_into().unwrap();
                (4, usize::from(u16::from_be_bytes(length)))
            }
            127 => {
                let length: [u8; 8] = bytes.get(2..10)?.try_into().unwrap();
                (10, usize::try_from(u64::from_be_bytes(length)).unwrap())
            }
            short => (2, usize::from(*short)),
        };
        if bytes.len() < header + length {
            return None;
        }
        let frame: Vec<u8> = self.unread.drain(..header + length).collect();
        Some((frame[0] & 0x0f, frame[header..].to_vec()))
    }

    /// What comes next.
    pub(crate) async fn next(&mut self) -> Heard {
        match self.frame().await {
            None => Heard::Ended,
            Some((1, text)) => Heard::Message(serde_json::from_slice(&text).unwrap()),
            Some((8, reason)) => {
                let code = reason
                    .get(..2)
                    .map_or([3, 0xed], |it| it.try_into().unwrap());
                Heard::Closed(u16::from_be_bytes(code))
            }
            Some((9, payload)) => {
                if self.is_alive {
                    self.send(&frame(0x8a, &payload)).await;
                }
                Heard::Ping
            }
            Some((opcode, _)) => panic!("a frame of kind {opcode}"),
        }
    }

    /// The next message, which must be of this kind.
    pub(crate) async fn hear(&mut self, kind: &str) -> Value {
        loop {
            match self.next().await {
                Heard::Message(message) if message["type"] == kind => return message,
                Heard::Ping => {}
                other => panic!("{other:?} instead of {kind}"),
            }
        }
    }

    /// The code with which the gateway closes; messages before it are of no interest.
    pub(crate) async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Heard::Closed(code) => return code,
                Heard::Ended => panic!("closed without a word"),
                Heard::Message(_) | Heard::Ping => {}
            }
        }
    }
}
