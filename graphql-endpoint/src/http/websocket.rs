//! One WebSocket: the protocol's state, its operations, its limits.
//!
//! Each operation runs on its own and hands its answers over through a short queue; a
//! client that does not read holds them up, and is closed when it has not read for long.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_graphql::Value;
use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{ConnectInfo, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use futures_util::{SinkExt, StreamExt};
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep_until, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::protocol::{
    self, BAD_MESSAGE, Close, FORBIDDEN, FromClient, GOING_AWAY, INIT_TIMEOUT, NO_SUBPROTOCOL,
    SILENT, SUBPROTOCOL, TOO_MANY_INITS, TOO_MANY_REQUESTS, TOO_MANY_SOCKETS, UNAUTHORIZED,
    UNSUPPORTED,
};
use super::{MESSAGE_BYTES_MAX, Shared, caller, origin};
use crate::answer::Refusal;
use crate::authorisation::sign_in_first;
use crate::gateway::{Caller, Gateway};
use crate::graphql::documents::Prepared;
use crate::graphql::operation::Operation;
use crate::graphql::{Schema, classify, prepare, refused};
use crate::identity::SessionToken;
use crate::limits::Place;

/// How long a client may take to close its end.
const GOODBYE_WAIT: Duration = Duration::from_secs(1);
/// Operations of one socket.
const OPERATIONS_MAX: usize = 20;
/// Answers of all operations that wait to be written.
const ANSWERS_MAX: usize = 16;
/// Messages a client may send in one window.
const MESSAGES_MAX: u32 = 200;
const MESSAGES_WINDOW: Duration = Duration::from_secs(10);
/// Bytes gathered before they are written, unless somebody says that it is enough: what
/// belongs together goes out together.
const WRITE_BUFFER_BYTES: usize = 4 * 1024;
/// Bytes that wait in the socket.
const WRITE_BUFFER_BYTES_MAX: usize = 256 * 1024;
/// Bytes read at a time: small, since most sockets are idle.
const READ_BUFFER_BYTES: usize = 4 * 1024;

pub(super) async fn upgrade(
    State(shared): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Response {
    if !origin::is_ours(&headers, &shared.gateway.host_names) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let Ok(place) = Arc::clone(&shared.sockets).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Some(place_of_address) = shared.sockets_by_address.take(&address.ip()) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    let caller = caller(&headers, address.ip());
    let open = shared.open.clone();
    let counted = shared.gateway.board.meter.socket();
    upgrade
        .protocols([SUBPROTOCOL])
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES_MAX)
        .max_message_size(MESSAGE_BYTES_MAX)
        .max_frame_size(MESSAGE_BYTES_MAX)
        .on_upgrade(move |socket| {
            open.track_future(async move {
                serve(shared, socket, caller).await;
                drop((place, place_of_address, counted));
            })
        })
}

async fn serve(shared: Shared, mut socket: WebSocket, caller: Caller) {
    let write_wait = shared.gateway.limits.write_wait;
    let has_protocol = socket
        .protocol()
        .is_some_and(|protocol| protocol.as_bytes() == SUBPROTOCOL.as_bytes());
    let close = if has_protocol {
        let (answers, given) = mpsc::channel(ANSWERS_MAX);
        let connection = Connection {
            shared,
            caller,
            is_acknowledged: false,
            place_of_user: None,
            operations: HashMap::new(),
            last_serial: 0,
            answers,
            heard_at: Instant::now(),
            window: (Instant::now(), 0),
        };
        connection.run(&mut socket, given).await
    } else {
        Some(NO_SUBPROTOCOL)
    };
    if let Some(Close(code, reason)) = close {
        let frame = CloseFrame {
            code,
            reason: reason.into(),
        };
        // A client that is gone needs no goodbye.
        let _ = timeout(write_wait, socket.send(Message::Close(Some(frame)))).await;
    }
    // Reads on until the client has closed its end too: what is unread when a connection
    // ends would take our last words with it.
    let _ = timeout(GOODBYE_WAIT, async {
        while let Some(Ok(_)) = socket.recv().await {}
    })
    .await;
}

/// Something an operation has to say. Boxed in the queue, whose places are there before they
/// are needed, for each of thousands of sockets.
struct Answer {
    id: String,
    serial: u64,
    text: String,
    /// Written together with the text: one call of the operating system instead of two.
    then: Option<String>,
    is_last: bool,
}

struct Running {
    serial: u64,
    _task: AbortOnDropHandle<()>,
}

struct Connection {
    shared: Shared,
    caller: Caller,
    is_acknowledged: bool,
    place_of_user: Option<Place<String>>,
    operations: HashMap<String, Running>,
    last_serial: u64,
    answers: mpsc::Sender<Box<Answer>>,
    heard_at: Instant,
    window: (Instant, u32),
}

/// The socket is over: with this goodbye, or without one.
type Over = Option<Close>;

impl Connection {
    async fn run(mut self, socket: &mut WebSocket, mut given: mpsc::Receiver<Box<Answer>>) -> Over {
        let limits = self.shared.gateway.limits;
        let init_deadline = tokio::time::Instant::now() + limits.hello_wait;
        let mut ping = interval(limits.ping_interval);
        ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ping.reset();
        let stop = self.shared.stop.clone();
        loop {
            let step = tokio::select! {
                () = stop.cancelled() => Err(Some(GOING_AWAY)),
                message = socket.recv() => match message {
                    Some(Ok(message)) => self.hear(socket, message).await,
                    Some(Err(error)) => Err(goodbye_to(&error)),
                    None => Err(None),
                },
                Some(answer) = given.recv() => self.pass_on(socket, *answer).await,
                _ = ping.tick() => {
                    if self.heard_at.elapsed() > limits.silence_max {
                        Err(Some(SILENT))
                    } else {
                        self.write(socket, Message::Ping(Vec::new().into())).await
                    }
                }
                () = sleep_until(init_deadline), if !self.is_acknowledged => {
                    Err(Some(INIT_TIMEOUT))
                }
            };
            if let Err(over) = step {
                return over;
            }
        }
    }

    async fn hear(&mut self, socket: &mut WebSocket, message: Message) -> Result<(), Over> {
        self.heard_at = Instant::now();
        self.count_message()?;
        let text = match message {
            Message::Text(text) => text,
            Message::Binary(_) => return Err(Some(UNSUPPORTED)),
            Message::Ping(_) | Message::Pong(_) => return Ok(()),
            Message::Close(_) => return Err(None),
        };
        match protocol::read(text.as_str()).ok_or(Some(BAD_MESSAGE))? {
            FromClient::Init(authorization) => self.acknowledge(socket, authorization).await,
            FromClient::Ping(payload) => self.write_text(socket, protocol::pong(payload)).await,
            FromClient::Pong => Ok(()),
            FromClient::Complete(id) => {
                // Whatever of it is still in the queue is not passed on either.
                self.operations.remove(&id);
                Ok(())
            }
            FromClient::Subscribe(id, operation) => {
                if !self.is_acknowledged {
                    return Err(Some(UNAUTHORIZED));
                }
                self.start(id, operation)
            }
        }
    }

    fn count_message(&mut self) -> Result<(), Over> {
        let (since, messages) = &mut self.window;
        if since.elapsed() >= MESSAGES_WINDOW {
            self.window = (Instant::now(), 1);
            return Ok(());
        }
        *messages += 1;
        if *messages > MESSAGES_MAX {
            return Err(Some(TOO_MANY_REQUESTS));
        }
        Ok(())
    }

    async fn acknowledge(
        &mut self,
        socket: &mut WebSocket,
        authorization: Option<String>,
    ) -> Result<(), Over> {
        if self.is_acknowledged {
            return Err(Some(TOO_MANY_INITS));
        }
        let is_claimed = authorization.is_some();
        if let Some(value) = authorization {
            let session = SessionToken::from_authorization(&value).ok_or(Some(FORBIDDEN))?;
            self.caller = Caller::new(Some(session), self.caller.address);
        }
        match self.caller.viewer(&self.shared.gateway.store).await {
            // An old cookie is no claim: its owner is anybody.
            Ok(None) if is_claimed => return Err(Some(FORBIDDEN)),
            Ok(Some(viewer)) => {
                let place = self.shared.sockets_by_user.take(&viewer.user_name);
                self.place_of_user = Some(place.ok_or(Some(TOO_MANY_SOCKETS))?);
            }
            // A database that is away says nothing about the session.
            Ok(None) | Err(_) => {}
        }
        self.is_acknowledged = true;
        self.write_text(socket, protocol::ack()).await
    }

    fn start(&mut self, id: String, operation: Operation) -> Result<(), Over> {
        if self.operations.contains_key(&id) {
            return Err(Some(Close(4409, "Subscriber already exists")));
        }
        if self.operations.len() >= OPERATIONS_MAX {
            return Err(Some(TOO_MANY_REQUESTS));
        }
        self.last_serial += 1;
        let outlet = Outlet {
            id: id.clone(),
            serial: self.last_serial,
            answers: self.answers.clone(),
        };
        let (schema, gateway) = (self.shared.schema.clone(), self.shared.gateway.clone());
        // The session may have ended since the last operation.
        let caller = self.caller.again();
        let task = tokio::spawn(async move {
            let is_nobody = caller.session.is_none();
            let request = operation.into_request();
            let prepared = request.and_then(|request| prepare(&schema, request, caller, &gateway));
            match prepared {
                // A cookie could not be set here either.
                Ok(prepared) if prepared.checked().is_mutation && is_nobody => {
                    outlet.fail(refused(sign_in_first())).await;
                }
                // Each in a place of its own: what waits for an answer, and thousands may,
                // would have the size of what follows an account otherwise.
                Ok(prepared) if prepared.checked().is_subscription => {
                    Box::pin(follow(schema, gateway, prepared, outlet)).await;
                }
                Ok(prepared) => answer(schema, gateway, prepared, outlet).await,
                Err(refusal) => outlet.fail(refused(refusal)).await,
            }
        });
        self.operations.insert(
            id,
            Running {
                serial: self.last_serial,
                _task: AbortOnDropHandle::new(task),
            },
        );
        Ok(())
    }

    async fn pass_on(&mut self, socket: &mut WebSocket, answer: Answer) -> Result<(), Over> {
        let is_current = self
            .operations
            .get(&answer.id)
            .is_some_and(|running| running.serial == answer.serial);
        if !is_current {
            return Ok(());
        }
        if answer.is_last {
            self.operations.remove(&answer.id);
        }
        let Some(then) = answer.then else {
            return self.write_text(socket, answer.text).await;
        };
        self.in_time(async {
            socket.feed(Message::Text(answer.text.into())).await?;
            socket.send(Message::Text(then.into())).await
        })
        .await
    }

    async fn write_text(&self, socket: &mut WebSocket, text: String) -> Result<(), Over> {
        self.write(socket, Message::Text(text.into())).await
    }

    async fn write(&self, socket: &mut WebSocket, message: Message) -> Result<(), Over> {
        self.in_time(socket.send(message)).await
    }

    async fn in_time(
        &self,
        written: impl Future<Output = Result<(), axum::Error>>,
    ) -> Result<(), Over> {
        let wait = self.shared.gateway.limits.write_wait;
        match timeout(wait, written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(None),
            Err(_) => Err(Some(SILENT)),
        }
    }
}

/// Passes on all that a subscription has to say.
async fn follow(schema: Arc<Schema>, gateway: Arc<Gateway>, prepared: Prepared, outlet: Outlet) {
    let _open = gateway.figures.subscription();
    let mut stream = schema.stream(prepared);
    while let Some(mut response) = stream.next().await {
        classify(&mut response);
        if !response.errors.is_empty() && response.data == Value::Null {
            return outlet.fail(response).await;
        }
        outlet.next(&response).await;
    }
    outlet.complete().await;
}

/// Passes on the answer of a query or a mutation.
async fn answer(schema: Arc<Schema>, gateway: Arc<Gateway>, prepared: Prepared, outlet: Outlet) {
    let begun_at = Instant::now();
    let is_mutation = prepared.checked().is_mutation;
    // On its own: a client that goes away must not cut a command in two.
    let executed = tokio::spawn(async move { schema.execute(prepared).await });
    let mut response = match executed.await {
        Ok(response) => response,
        Err(ended) => refused(Refusal::internal(&ended)),
    };
    gateway.figures.answered(is_mutation, begun_at.elapsed());
    classify(&mut response);
    let never_ran =
        response.data == Value::Null && response.errors.iter().all(|error| error.path.is_empty());
    if never_ran {
        return outlet.fail(response).await;
    }
    outlet.finish(&response).await;
}

/// The way of one operation to its socket.
struct Outlet {
    id: String,
    serial: u64,
    answers: mpsc::Sender<Box<Answer>>,
}

impl Outlet {
    async fn give(&self, text: String, then: Option<String>, is_last: bool) {
        let answer = Answer {
            id: self.id.clone(),
            serial: self.serial,
            text,
            then,
            is_last,
        };
        // A socket that is gone needs no answer.
        let _ = self.answers.send(Box::new(answer)).await;
    }

    async fn next(&self, response: &async_graphql::Response) {
        self.give(protocol::next(&self.id, response), None, false)
            .await;
    }

    /// The one answer of an operation, and its end.
    async fn finish(&self, response: &async_graphql::Response) {
        let answer = protocol::next(&self.id, response);
        self.give(answer, Some(protocol::complete(&self.id)), true)
            .await;
    }

    async fn fail(&self, mut response: async_graphql::Response) {
        classify(&mut response);
        self.give(protocol::error(&self.id, &response), None, true)
            .await;
    }

    async fn complete(&self) {
        self.give(protocol::complete(&self.id), None, true).await;
    }
}

/// What the socket's own error means for its client.
fn goodbye_to(error: &axum::Error) -> Over {
    let text = error.to_string();
    if text.starts_with("WebSocket protocol error") && !text.contains("reset") {
        Some(Close(1002, "Protocol error"))
    } else if text.contains("too long") || text.contains("too big") {
        Some(Close(1009, "Message too big"))
    } else if text.to_lowercase().contains("utf-8") {
        Some(Close(1007, "Invalid UTF-8"))
    } else {
        None
    }
}
