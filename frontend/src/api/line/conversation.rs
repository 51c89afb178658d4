//! What is said on one open line: the greeting, subscriptions as they are wished, answers as they come, and pings.

use std::{cell::RefCell, task::Poll};

use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::poll_fn,
    select,
    stream::{SplitSink, SplitStream},
};
use gloo_net::websocket::{Message, State as SocketState, WebSocketError, futures::WebSocket};
use gloo_timers::future::{IntervalStream, TimeoutFuture};
use leptos::prelude::window;

use super::{End, Raw, State, Wish};
use crate::{
    api::{
        protocol::{ClientMessage, Envelope, Kind, SUBPROTOCOL, may_reconnect},
        response::{ApiError, ErrorCode},
    },
    connection::Connection,
};

const PATH: &str = "/graphql-ws";
/// The server listens but does not ask: a page that says nothing is taken for gone after 50 s.
const PING_EVERY_MS: u32 = 10_000;
/// Pings without any answer before the line is taken for cut.
const SILENT_PINGS_MAX: u32 = 2;
const ACKNOWLEDGE_WITHIN_MS: u32 = 5_000;

/// Opens a line and speaks on it until it ends.
pub(super) async fn converse(state: &RefCell<State>, connection: Connection) -> End {
    let never_live = End::Lost { was_live: false };
    let Ok(mut socket) = WebSocket::open_with_protocol(&address(), SUBPROTOCOL) else {
        return never_live;
    };
    // Speaking on a line that did not open is an error in the browser's log, although it was expected.
    let opened = poll_fn(|context| socket.poll_ready_unpin(context)).await;
    if opened.is_err() || !matches!(socket.state(), SocketState::Open) {
        return never_live;
    }
    let (mut sink, mut stream) = socket.split();
    if say(&mut sink, &ClientMessage::ConnectionInit)
        .await
        .is_err()
    {
        return never_live;
    }
    let acknowledged = select! {
        acknowledged = acknowledged(&mut stream).fuse() => acknowledged,
        () = TimeoutFuture::new(ACKNOWLEDGE_WITHIN_MS).fuse() => Err(never_live),
    };
    if let Err(end) = acknowledged {
        return end;
    }
    // Whatever was wished before is in the list of subscribers.
    let ids: Vec<u32> = {
        let mut state = state.borrow_mut();
        state.wishes.retain(|wish| matches!(wish, Wish::Anew));
        state.subscribers.keys().copied().collect()
    };
    let mut resumes = false;
    for id in ids {
        resumes |= match begin(state, &mut sink, id).await {
            Ok(again) => again,
            Err(_) => return End::Lost { was_live: false },
        };
    }
    connection.live(resumes);
    listen(state, connection, sink, stream).await
}

async fn listen(
    state: &RefCell<State>,
    connection: Connection,
    mut sink: SplitSink<WebSocket, Message>,
    stream: SplitStream<WebSocket>,
) -> End {
    const CUT: End = End::Lost { was_live: true };
    let mut stream = stream.fuse();
    let mut ping = IntervalStream::new(PING_EVERY_MS).fuse();
    let mut silent_pings = 0;
    loop {
        select! {
            arrived = stream.next() => {
                silent_pings = 0;
                connection.heard();
                let envelope = match read(arrived) {
                    Ok(envelope) => envelope,
                    Err(End::Lost { .. }) => return CUT,
                    Err(end) => return end,
                };
                match envelope.kind {
                    Kind::Next => tell(state, &envelope, Raw::Message(&envelope)),
                    Kind::Error => match envelope.error() {
                        error if error.is_passing() => return CUT,
                        error => {
                            tell(state, &envelope, Raw::Refused(error));
                            forget(state, &envelope);
                        }
                    },
                    // A stream of ours has no end: something behind the gateway was away.
                    Kind::Complete if is_known(state, &envelope) => return CUT,
                    Kind::Ping => {
                        if say(&mut sink, &ClientMessage::Pong).await.is_err() {
                            return CUT;
                        }
                    }
                    Kind::Complete | Kind::Pong | Kind::ConnectionAck | Kind::Other => {}
                }
            }
            wish = next_wish(state).fuse() => {
                let done = match wish {
                    Wish::Anew => return End::Anew,
                    Wish::Begin(id) => begin(state, &mut sink, id).await.map(drop),
                    Wish::End(id) => say(&mut sink, &ClientMessage::Complete { id }).await,
                };
                if done.is_err() {
                    return CUT;
                }
            }
            _ = ping.next() => {
                if state.borrow().subscribers.is_empty() {
                    return End::Quiet;
                }
                if silent_pings >= SILENT_PINGS_MAX || say(&mut sink, &ClientMessage::Ping).await.is_err() {
                    return CUT;
                }
                silent_pings += 1;
            }
        }
    }
}

async fn next_wish(state: &RefCell<State>) -> Wish {
    poll_fn(|context| {
        let mut state = state.borrow_mut();
        if let Some(wish) = state.wishes.pop_front() {
            return Poll::Ready(wish);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    })
    .await
}

/// Subscribes on the line that is open. Whether it goes on from an earlier one.
async fn begin(
    state: &RefCell<State>,
    sink: &mut SplitSink<WebSocket, Message>,
    id: u32,
) -> Result<bool, WebSocketError> {
    let Some(subscriber) = state.borrow().subscribers.get(&id).cloned() else {
        return Ok(false);
    };
    let operation = (subscriber.operation)();
    let message = ClientMessage::Subscribe {
        id,
        operation: &operation,
    };
    say(sink, &message).await?;
    if let Some(subscriber) = state.borrow_mut().subscribers.get_mut(&id) {
        subscriber.was_live = true;
    }
    (subscriber.listener)(Raw::Subscribed);
    Ok(subscriber.was_live)
}

fn tell(state: &RefCell<State>, envelope: &Envelope, raw: Raw<'_>) {
    // Not held while the listener runs: it may subscribe, or end its subscription.
    let listener = envelope.id.and_then(|id| {
        let state = state.borrow();
        state
            .subscribers
            .get(&id)
            .map(|subscriber| subscriber.listener.clone())
    });
    if let Some(listener) = listener {
        listener(raw);
    }
}

fn forget(state: &RefCell<State>, envelope: &Envelope) {
    if let Some(id) = envelope.id {
        state.borrow_mut().subscribers.remove(&id);
    }
}

fn is_known(state: &RefCell<State>, envelope: &Envelope) -> bool {
    envelope
        .id
        .is_some_and(|id| state.borrow().subscribers.contains_key(&id))
}

async fn acknowledged(stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
    loop {
        if let Kind::ConnectionAck = read(stream.next().await)?.kind {
            return Ok(());
        }
    }
}

fn read(arrived: Option<Result<Message, WebSocketError>>) -> Result<Envelope, End> {
    let lost = End::Lost { was_live: false };
    match arrived {
        Some(Ok(Message::Text(text))) => Envelope::decode(&text).map_err(|_| lost),
        Some(Err(WebSocketError::ConnectionClose(close))) if !may_reconnect(close.code) => {
            Err(End::Refused(ApiError::Refused {
                code: ErrorCode::Unauthenticated,
                message: "signed out".to_owned(),
                retry_after_seconds: None,
            }))
        }
        _ => Err(lost),
    }
}

async fn say(
    sink: &mut SplitSink<WebSocket, Message>,
    message: &ClientMessage<'_>,
) -> Result<(), WebSocketError> {
    sink.send(Message::Text(message.encode())).await
}

fn address() -> String {
    let location = window().location();
    let scheme = if location
        .protocol()
        .is_ok_and(|protocol| protocol == "https:")
    {
        "wss"
    } else {
        "ws"
    };
    format!("{scheme}://{}{PATH}", location.host().unwrap_or_default())
}
