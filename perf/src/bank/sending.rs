//! The thread that sends: each command at its time, through the next socket that may.

use std::io::Write;
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::error::Error;
use crate::priority::be_on_time;
use crate::workload::Random;

use super::fleet::lock;
use super::frames;
use super::hearing::{Shared, Socket};
use super::wall::{Answer, Payee, Wall};

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

const TRANSFER: &str =
    "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }";

/// A load that is being sent.
pub struct Sending {
    thread: std::thread::JoinHandle<()>,
    stop: Arc<AtomicBool>,
}

impl Sending {
    pub(super) fn begin(mut sender: Sender, wall: Arc<Wall>) -> Result<Sending, Error> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("sender".to_owned())
            .spawn(move || {
                be_on_time();
                sender.send_all(&wall, &stopped);
            })
            .map_err(Error::io("start", "a thread"))?;
        Ok(Sending { thread, stop })
    }

    /// Whether all are sent.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.thread.is_finished()
    }

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

pub(super) struct Sender {
    shared: Arc<Shared>,
    places: Vec<Place>,
    next: usize,
    masks: Random,
    text: String,
    frame: Vec<u8>,
}

impl Sender {
    pub(super) fn new(shared: Arc<Shared>, sockets: &[Arc<Socket>], masks: Random) -> Sender {
        Sender {
            shared,
            places: sockets
                .iter()
                .map(|it| Place::new(Arc::clone(it)))
                .collect(),
            next: 0,
            masks,
            text: String::with_capacity(512),
            frame: Vec::with_capacity(512),
        }
    }

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
