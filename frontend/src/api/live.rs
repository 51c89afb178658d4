//! Live changes of one account over a WebSocket: connects, resumes after a cut, notices a silent line.

use futures_util::{
    FutureExt, SinkExt, StreamExt,
    future::{Fuse, FusedFuture, poll_fn},
    select,
    stream::{SplitSink, SplitStream},
};
use gloo_net::websocket::{Message, State, WebSocketError, futures::WebSocket};
use gloo_timers::future::{IntervalStream, TimeoutFuture};
use leptos::prelude::window;

use super::{
    operations::{ApiError, ErrorCode, FollowAnswer, Transaction, follow as follow_operation},
    protocol::{ClientMessage, SUBPROTOCOL, ServerMessage, may_reconnect},
};
use crate::{backoff, browser, connection::Connection, statement::Origin};

const PATH: &str = "/graphql-ws";
/// The server listens but does not ask: a page that says nothing is taken for gone after 40 s.
const PING_EVERY_MS: u32 = 10_000;
/// Pings without any answer before the line is taken for cut.
const SILENT_PINGS_MAX: u32 = 2;
const ACKNOWLEDGE_WITHIN_MS: u32 = 5_000;
/// What comes so soon after a reconnect, and happened before it, was missed meanwhile.
const SETTLE_MS: u32 = 1_000;

type Incoming = ServerMessage<FollowAnswer>;

/// What the one who follows is told.
pub(crate) enum Heard {
    /// From now on changes are pushed.
    Subscribed,
    /// A change, maybe one that is known already.
    Change(Transaction, Origin),
}

enum End {
    /// Trying again may help.
    Lost { was_live: bool },
    /// It will not.
    Refused(ApiError),
}

struct Line<'a, Listener> {
    connection: Connection,
    cursor: &'a mut Option<String>,
    listener: &'a Listener,
    /// Set on a line that takes over from one that was cut.
    resumes: bool,
}

/// Follows an account until that is refused. Stop it by dropping it.
pub(crate) async fn follow<Listener: Fn(Heard)>(
    connection: Connection,
    iban: &str,
    mut cursor: Option<String>,
    listener: Listener,
) -> ApiError {
    let mut attempt = 0;
    let mut resumes = false;
    loop {
        connection.connecting();
        let line = Line {
            connection,
            cursor: &mut cursor,
            listener: &listener,
            resumes,
        };
        match line.converse(iban).await {
            End::Refused(error) => return error,
            End::Lost { was_live: true } => (attempt, resumes) = (0, true),
            End::Lost { was_live: false } => {}
        }
        attempt += 1;
        connection
            .wait(attempt, backoff::delay(attempt, browser::dice()))
            .await;
        resumes = resumes || attempt > 1;
    }
}

impl<Listener: Fn(Heard)> Line<'_, Listener> {
    async fn converse(self, iban: &str) -> End {
        let never_live = End::Lost { was_live: false };
        let Ok(mut socket) = WebSocket::open_with_protocol(&address(), SUBPROTOCOL) else {
            return never_live;
        };
        // Speaking on a line that did not open is an error in the browser's log, although it was expected.
        let opened = poll_fn(|context| socket.poll_ready_unpin(context)).await;
        if opened.is_err() || !matches!(socket.state(), State::Open) {
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
        let operation = follow_operation(iban, self.cursor.as_deref());
        if say(&mut sink, &ClientMessage::subscribe(&operation))
            .await
            .is_err()
        {
            return End::Lost { was_live: false };
        }
        self.listen(sink, stream).await
    }

    async fn listen(
        self,
        mut sink: SplitSink<WebSocket, Message>,
        stream: SplitStream<WebSocket>,
    ) -> End {
        let Self {
            connection,
            cursor,
            listener,
            resumes,
        } = self;
        connection.heard();
        let resumed_at = browser::milliseconds();
        if !resumes {
            connection.live();
        }
        listener(Heard::Subscribed);
        let mut stream = stream.fuse();
        let mut ping = IntervalStream::new(PING_EVERY_MS).fuse();
        let mut settle = if resumes {
            TimeoutFuture::new(SETTLE_MS).fuse()
        } else {
            Fuse::terminated()
        };
        let mut missed = 0;
        let mut silent_pings = 0;
        let cut = End::Lost { was_live: true };
        loop {
            select! {
                arrived = stream.next() => {
                    silent_pings = 0;
                    let message = match read(arrived) {
                        Ok(message) => message,
                        Err(End::Lost { .. }) => return cut,
                        Err(refused) => return refused,
                    };
                    connection.heard();
                    match message {
                        Incoming::Next { payload } => match payload.into_result() {
                            Ok(FollowAnswer { transactions: change }) => {
                                *cursor = Some(change.cursor.clone());
                                let is_missed = !settle.is_terminated()
                                    && browser::milliseconds_of(&change.occurred_at) <= resumed_at;
                                let origin = if is_missed { Origin::Missed } else { Origin::Live };
                                missed += usize::from(origin == Origin::Missed);
                                listener(Heard::Change(change, origin));
                            }
                            Err(error) if error.is_passing() => return cut,
                            Err(error) => return End::Refused(error),
                        },
                        Incoming::Error { payload } => return refused(payload.into_iter().next().map(Into::into)),
                        Incoming::Complete => return cut,
                        Incoming::Ping => {
                            if say(&mut sink, &ClientMessage::Pong).await.is_err() {
                                return cut;
                            }
                        }
                        Incoming::Pong | Incoming::ConnectionAck => {}
                    }
                }
                _ = ping.next() => {
                    if silent_pings >= SILENT_PINGS_MAX || say(&mut sink, &ClientMessage::Ping).await.is_err() {
                        return cut;
                    }
                    silent_pings += 1;
                }
                () = settle => connection.back(missed),
            }
        }
    }
}

async fn acknowledged(stream: &mut SplitStream<WebSocket>) -> Result<(), End> {
    loop {
        if let Incoming::ConnectionAck = read(stream.next().await)? {
            return Ok(());
        }
    }
}

fn read(arrived: Option<Result<Message, WebSocketError>>) -> Result<Incoming, End> {
    let lost = End::Lost { was_live: false };
    match arrived {
        Some(Ok(Message::Text(text))) => Incoming::decode(&text).map_err(|_| lost),
        Some(Err(WebSocketError::ConnectionClose(close))) if !may_reconnect(close.code) => {
            Err(refused(None))
        }
        _ => Err(lost),
    }
}

fn refused(error: Option<ApiError>) -> End {
    match error {
        Some(error) if error.is_passing() => End::Lost { was_live: true },
        Some(error) => End::Refused(error),
        None => End::Refused(ApiError::Refused {
            code: ErrorCode::Unauthenticated,
            message: "signed out".to_owned(),
            retry_after_seconds: None,
        }),
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
