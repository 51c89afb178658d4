//! Many clients in few threads: WebSockets that customers pay through and follow their
//! accounts with. One thread sends at the times that were fixed, one receives.
//!
//! Both threads are nice: a generator that takes the processor from what it measures measures
//! itself. How late it was is part of every latency and reported with every step.

use std::io::Write;
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio_tungstenite::client_async;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};

use crate::clock::Clock;
use crate::commands::{RUNS_MAX, RunNumber, index_in};
use crate::error::Error;
use crate::workload::Random;

use super::customers::Customer;
use super::frames;
use super::wall::{Answer, Payee, Wall};

/// The nice value of both threads: the bank goes first.
const NICE: i32 = 5;
/// Sockets that are opened at the same time.
const AT_ONCE: usize = 16;
/// The gateway closes a socket with more operations under way than 20.
const UNDER_WAY_MAX: u32 = 18;
/// The gateway closes a socket that sends more than 200 messages in 10 s: a socket may send
/// this many at once, and as many more a second.
const BURST: f64 = 50.0;
const MESSAGES_PER_SECOND: f64 = 14.0;
/// Sockets that are asked before a command is dropped.
const ASKED_MAX: usize = 64;
/// A socket that takes half a frame gets this long for the rest.
const REST_PATIENCE: Duration = Duration::from_millis(200);
const REST_PAUSE: Duration = Duration::from_micros(50);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 * 1024;

const TRANSFER: &str =
    "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }";
const FOLLOW: &str = "subscription($iban: Iban!, $after: String) { transactions(iban: $iban, after: $after) \
    { version commandId changedBy cursor } }";

/// One WebSocket of a customer.
struct Socket {
    customer: usize,
    follows: bool,
    writer: Mutex<Option<TcpStream>>,
    under_way: AtomicU32,
}

/// How far a customer has followed the account.
#[derive(Clone, Debug, Default)]
struct Followed {
    version: u64,
    cursor: String,
}

struct Shared {
    clock: Clock,
    gateway: SocketAddr,
    customers: Vec<Customer>,
    followed: Vec<Mutex<Followed>>,
    /// By the number of the run.
    walls: Mutex<Vec<Option<Arc<Wall>>>>,
    findings: Mutex<Vec<String>>,
    /// Sockets that were closed by the other side, with why.
    closed: Mutex<Vec<String>>,
    events: AtomicU64,
    company: String,
}

/// The clients.
pub struct Fleet {
    shared: Arc<Shared>,
    sockets: Vec<Arc<Socket>>,
    receiver: Handle,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
    random: Random,
    last_run: RunNumber,
}

/// Which sockets to open.
#[derive(Clone, Debug)]
pub struct Muster {
    /// The gateway.
    pub gateway: SocketAddr,
    /// Who pays and is paid.
    pub customers: Vec<Customer>,
    /// Of each customer; the first of them follows the account.
    pub sockets_each: usize,
    /// The account of the bank itself.
    pub company: String,
}

impl Fleet {
    /// Opens all sockets.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open(muster: Muster, clock: Clock) -> Result<Fleet, Error> {
        let Muster {
            gateway,
            customers,
            sockets_each,
            company,
        } = muster;
        let followed = customers.iter().map(|_| Mutex::default()).collect();
        let count = customers.len();
        let shared = Arc::new(Shared {
            clock,
            gateway,
            customers,
            followed,
            walls: Mutex::default(),
            findings: Mutex::default(),
            closed: Mutex::default(),
            events: AtomicU64::new(0),
            company,
        });
        let stop = Arc::new(AtomicBool::new(false));
        let (receiver, thread) = receiver(&stop)?;
        let mut fleet = Fleet {
            shared,
            sockets: Vec::new(),
            receiver,
            stop,
            thread: Some(thread),
            random: Random(1),
            last_run: 0,
        };
        // Customer by customer within each round: neighbours in the list are different people.
        let sockets = (0..sockets_each).flat_map(|round| {
            (0..count).map(move |customer| {
                Arc::new(Socket {
                    customer,
                    follows: round == 0,
                    writer: Mutex::new(None),
                    under_way: AtomicU32::new(0),
                })
            })
        });
        fleet.sockets = sockets.collect();
        fleet.connect(fleet.sockets.clone())?;
        Ok(fleet)
    }

    /// How many sockets commands are sent through.
    #[must_use]
    pub fn sockets(&self) -> usize {
        self.sockets.len()
    }

    /// The customers.
    #[must_use]
    pub fn customers(&self) -> &[Customer] {
        &self.shared.customers
    }

    /// A number no step has had.
    ///
    /// # Panics
    /// After four thousand steps.
    pub fn next_run(&mut self) -> RunNumber {
        assert!(self.last_run < RUNS_MAX, "a benchmark has few steps");
        self.last_run += 1;
        self.last_run
    }

    /// Changes that were seen so far.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.shared.events.load(Relaxed)
    }

    /// What clients saw that must not be.
    #[must_use]
    pub fn findings(&self) -> Vec<String> {
        lock(&self.shared.findings).clone()
    }

    /// Why sockets were closed since the last call.
    #[must_use]
    pub fn take_closed(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.shared.closed))
    }

    /// How far each customer has followed the account.
    #[must_use]
    pub fn versions(&self) -> Vec<u64> {
        let followed = self.shared.followed.iter();
        followed.map(|it| lock(it).version).collect()
    }

    /// Every step so far.
    #[must_use]
    pub fn walls(&self) -> Vec<Arc<Wall>> {
        lock(&self.shared.walls).iter().flatten().cloned().collect()
    }

    /// Opens sockets again that were closed; a customer goes on where it was cut off.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn mend(&self) -> Result<(), Error> {
        let broken = self.sockets.iter().filter(|it| lock(&it.writer).is_none());
        self.connect(broken.cloned().collect())
    }

    /// Opens so many more sockets that follow accounts of others, and pay nothing. The gateway
    /// limits sockets of an address: these come from others.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn follow_too(
        &self,
        customers: &[Customer],
        sockets_each: usize,
        sources: &[IpAddr],
    ) -> Result<Followers, Error> {
        let gateway = self.shared.gateway;
        let mut opening = Vec::new();
        for (number, customer) in customers.iter().enumerate() {
            for round in 0..sockets_each {
                let at = number * sockets_each + round;
                let source = at.checked_rem(sources.len()).map(|it| sources[it]);
                opening.push(follow(gateway, source, customer.clone()));
            }
        }
        let opened = self.on_receiver(async move {
            let sockets: Vec<Dialogue> = stream::iter(opening)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await?;
            let read = |mut socket: Dialogue| {
                tokio::spawn(async move { while let Some(Ok(_)) = socket.next().await {} })
            };
            Ok(sockets.into_iter().map(read).collect())
        });
        opened.map(Followers)
    }

    /// Runs something on the receiver's thread and waits for it here.
    fn on_receiver<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, Error>> + Send + 'static,
    ) -> Result<T, Error> {
        let (tell, told) = std::sync::mpsc::channel();
        self.receiver.spawn(async move {
            // Whoever asked waits for exactly this.
            let _ = tell.send(work.await);
        });
        told.recv()
            .unwrap_or_else(|_| Err(Error::Wrong("the receiver died".to_owned())))
    }

    fn connect(&self, sockets: Vec<Arc<Socket>>) -> Result<(), Error> {
        if sockets.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        self.on_receiver(async move {
            let opening = sockets
                .into_iter()
                .map(|socket| enlist(Arc::clone(&shared), socket));
            stream::iter(opening)
                .buffer_unordered(AT_ONCE)
                .try_collect()
                .await
        })
    }

    /// Hangs the wall up and sends its commands from a thread of its own.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub fn send(&mut self, wall: Arc<Wall>) -> Result<Sending, Error> {
        {
            let mut walls = lock(&self.shared.walls);
            let place = usize::from(wall.run);
            if walls.len() <= place {
                walls.resize(place + 1, None);
            }
            walls[place] = Some(Arc::clone(&wall));
        }
        let stop = Arc::new(AtomicBool::new(false));
        let mut sender = Sender {
            shared: Arc::clone(&self.shared),
            places: self
                .sockets
                .iter()
                .map(|it| Place::new(Arc::clone(it)))
                .collect(),
            next: 0,
            masks: Random(self.random.next_bits()),
            text: String::with_capacity(512),
            frame: Vec::with_capacity(512),
        };
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn(move || {
                be_nice();
                sender.send_all(&wall, &stopped);
            })
            .map_err(Error::io("start", "a thread"))?;
        Ok(Sending { thread, stop })
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for socket in &self.sockets {
            *lock(&socket.writer) = None;
        }
        self.stop.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was shown where it happened.
            let _ = thread.join();
        }
    }
}

/// Sockets that follow and do nothing else; they are closed when dropped.
pub struct Followers(Vec<tokio::task::JoinHandle<()>>);

impl Drop for Followers {
    fn drop(&mut self) {
        for task in &self.0 {
            task.abort();
        }
    }
}

/// A load that is being sent.
pub struct Sending {
    thread: std::thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Sending {
    /// Waits until all are sent.
    ///
    /// # Errors
    /// When the thread died.
    pub fn finish(self) -> Result<(), Error> {
        let ended = self.thread.join();
        ended.map_err(|_| Error::Wrong("the generator died".to_owned()))
    }

    /// Ends it early.
    ///
    /// # Errors
    /// When the thread died.
    pub fn stop(self) -> Result<(), Error> {
        self.stop.store(true, Relaxed);
        self.finish()
    }
}

fn be_nice() {
    // For this thread and those it starts. A refusal shows in the delays.
    let _ = rustix::process::setpriority_process(None, NICE);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A thread with a runtime that reads all sockets.
fn receiver(stop: &Arc<AtomicBool>) -> Result<(Handle, std::thread::JoinHandle<()>), Error> {
    const LOOK: Duration = Duration::from_millis(50);
    let stop = Arc::clone(stop);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::io("start", "a runtime"))?;
    let handle = runtime.handle().clone();
    let thread = std::thread::Builder::new()
        .name("receiver".to_owned())
        .spawn(move || {
            be_nice();
            runtime.block_on(async {
                while !stop.load(Relaxed) {
                    tokio::time::sleep(LOOK).await;
                }
            });
        })
        .map_err(Error::io("start", "a thread"))?;
    Ok((handle, thread))
}

type Dialogue = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// A socket that was greeted and greeted back.
async fn connect(
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
async fn follow(
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
async fn enlist(shared: Arc<Shared>, socket: Arc<Socket>) -> Result<(), Error> {
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
                        frames::TEXT => shared.hear(socket, frame.payload, now_ns),
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

    fn hear(&self, socket: &Socket, text: &[u8], now_ns: u64) {
        let Ok(head) = serde_json::from_slice::<Head<'_>>(text) else {
            self.find(format!("no message: {}", String::from_utf8_lossy(text)));
            return;
        };
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
                    ("s", _) => self.find(format!("no change: {}", String::from_utf8_lossy(text))),
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
            "complete" | "error" => {
                self.find(format!(
                    "a subscription ended: {}",
                    String::from_utf8_lossy(text)
                ));
            }
            _ => {}
        }
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

/// A socket with what it may still send.
struct Place {
    socket: Arc<Socket>,
    allowance: f64,
    refilled_ns: u64,
}

impl Place {
    fn new(socket: Arc<Socket>) -> Place {
        Place {
            socket,
            allowance: BURST,
            refilled_ns: 0,
        }
    }

    fn take(&mut self, now_ns: u64) -> bool {
        let since = crate::numbers::float(now_ns.saturating_sub(self.refilled_ns)) / 1e9;
        self.allowance = (self.allowance + since * MESSAGES_PER_SECOND).min(BURST);
        self.refilled_ns = now_ns;
        let may = self.allowance >= 1.0 && self.socket.under_way.load(Relaxed) < UNDER_WAY_MAX;
        if may {
            self.allowance -= 1.0;
        }
        may
    }
}

struct Sender {
    shared: Arc<Shared>,
    places: Vec<Place>,
    next: usize,
    masks: Random,
    text: String,
    frame: Vec<u8>,
}

impl Sender {
    fn send_all(&mut self, wall: &Wall, stop: &AtomicBool) {
        let clock = self.shared.clock;
        for index in 0..wall.len() {
            clock.sleep_until(wall.intended_ns(index));
            if stop.load(Relaxed) {
                return;
            }
            let Some(place) = self.choose(clock.now_ns()) else {
                continue;
            };
            let is_sent = self.send(wall, index, place, false);
            let is_repeated = is_sent && wall.plans[index].is_repeated;
            if is_repeated && !self.send(wall, index, place, true) {
                // Nobody waits for the answer to what was not asked.
                wall.answer(index, true, Answer::None, clock.now_ns());
            }
        }
    }

    /// The next socket that may send.
    fn choose(&mut self, now_ns: u64) -> Option<usize> {
        for _ in 0..ASKED_MAX.min(self.places.len()) {
            let place = self.next;
            self.next = (self.next + 1) % self.places.len();
            if self.places[place].take(now_ns) {
                return Some(place);
            }
        }
        None
    }

    fn send(&mut self, wall: &Wall, index: usize, place: usize, is_repeat: bool) -> bool {
        let socket = Arc::clone(&self.places[place].socket);
        let payer = socket.customer;
        let count = self.shared.customers.len();
        let payee = match wall.plans[index].payee {
            Payee::Company => None,
            Payee::Customer(number) => {
                let number = number as usize % count;
                Some(if number == payer {
                    (number + 1) % count
                } else {
                    number
                })
            }
        };
        self.write_text(wall, index, payee, is_repeat);
        let [m0, m1, m2, m3, ..] = self.masks.next_bits().to_be_bytes();
        frames::write(
            &mut self.frame,
            frames::TEXT,
            [m0, m1, m2, m3],
            self.text.as_bytes(),
        );
        if !is_repeat {
            let number = |it: usize| u32::try_from(it).unwrap_or(u32::MAX);
            wall.sent(
                index,
                number(payer),
                payee.map(number),
                self.shared.clock.now_ns(),
            );
        }
        // Before the answer can come.
        socket.under_way.fetch_add(1, Relaxed);
        let is_sent = lock(&socket.writer)
            .as_mut()
            .is_some_and(|writer| write_frame(writer, &self.frame));
        if !is_sent {
            socket.under_way.fetch_sub(1, Relaxed);
            if !is_repeat {
                wall.not_sent(index);
            }
        }
        is_sent
    }

    fn write_text(&mut self, wall: &Wall, index: usize, payee: Option<usize>, is_repeat: bool) {
        use std::fmt::Write as _;
        let plan = &wall.plans[index];
        let to = payee.map_or(self.shared.company.as_str(), |it| {
            self.shared.customers[it].iban.as_str()
        });
        self.text.clear();
        // Writing to a string cannot fail.
        let _ = write!(
            self.text,
            "{{\"id\":\"{kind}{run}-{index}\",\"type\":\"subscribe\",\"payload\":{{\"query\":\"{TRANSFER}\",\
             \"variables\":{{\"input\":{{\"commandId\":\"{id}\",\"to\":\"{to}\",\"amount\":\"{amount}\",\
             \"description\":\"benchmark\"}}}}}}}}",
            kind = if is_repeat { 'r' } else { 't' },
            run = wall.run,
            id = wall.id(index).hyphenated(),
            amount = plan.amount,
        );
    }
}

/// Writes a frame as a whole or not at all; false when the socket takes nothing.
fn write_frame(writer: &mut TcpStream, frame: &[u8]) -> bool {
    let mut written = 0;
    let started = std::time::Instant::now();
    while written < frame.len() {
        match writer.write(&frame[written..]) {
            Ok(0) => return false,
            Ok(bytes) => written += bytes,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            // Half a frame must become a whole one.
            Err(error)
                if error.kind() == std::io::ErrorKind::WouldBlock
                    && written > 0
                    && started.elapsed() < REST_PATIENCE =>
            {
                std::thread::sleep(REST_PAUSE);
            }
            Err(_) => return false,
        }
    }
    true
}
