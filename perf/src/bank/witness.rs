//! Reads the stamps of commands from the topic of their answers, as one more consumer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::Message;
use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Headers as _;
use topology::Topic;
use topology::kafka::KafkaConfig;

use crate::clock::Clock;
use crate::commands::{RunNumber, index_in};
use crate::error::Error;
use crate::numbers::float_len;
use crate::observer::assign_ends;
use crate::wire::Headers;

use super::results::Stages;
use super::stages::{Stamp, Stamps, fold};
use super::step::Held;

/// The header's name.
const HEADER: &str = "stamps";
const POLL_WAIT: Duration = Duration::from_millis(100);

type Known = Arc<Mutex<HashMap<(RunNumber, u32), Stamps>>>;

/// A thread that reads; ends when dropped.
pub struct Witness {
    known: Known,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    clock: Clock,
    /// Of the clock's start, in microseconds since the epoch.
    start_us: u64,
}

impl Witness {
    /// Reads from the end of the topic.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn start(kafka: &KafkaConfig, headers: Headers, clock: Clock) -> Result<Witness, Error> {
        let consumer: BaseConsumer = kafka.consumer("perf-witness", "perf-witness").create()?;
        assign_ends(&consumer, kafka, &[Topic::MoneyTransferFeedback])?;
        let (known, stop) = (Known::default(), Arc::new(AtomicBool::new(false)));
        let thread = {
            let (known, stop) = (Arc::clone(&known), Arc::clone(&stop));
            let read = move || {
                while !stop.load(Ordering::Relaxed) {
                    // Errors of the client pass: it connects again by itself.
                    let Some(Ok(message)) = consumer.poll(POLL_WAIT) else {
                        continue;
                    };
                    let stamps = message.headers().and_then(|all| {
                        let found = all.iter().find(|header| header.key == HEADER)?;
                        std::str::from_utf8(found.value?).ok().map(Stamps::read)
                    });
                    let outcome = message.payload().and_then(|it| headers.read_outcome(it));
                    if let Some((stamps, outcome)) = stamps.zip(outcome) {
                        let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                        known.entry(index_in(outcome.id)).or_insert(stamps);
                    }
                }
            };
            std::thread::Builder::new()
                .name("witness".to_owned())
                .spawn(read)
                .map_err(Error::io("start", "a thread"))?
        };
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let now_us = u64::try_from(since.as_micros()).unwrap_or(0);
        Ok(Witness {
            known,
            stop,
            thread: Some(thread),
            clock,
            start_us: now_us.saturating_sub(clock.now_ns() / 1_000),
        })
    }

    /// The stages of a step's commands.
    #[must_use]
    pub fn stages(&self, held: &Held) -> Stages {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let at_us = |at_ns: u64| self.start_us + at_ns / 1_000;
        let mut all = Vec::with_capacity(held.measured.len());
        for index in held.measured.clone() {
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let (sent_ns, seen_ns) = held.wall.sent_and_seen_ns(index);
            let Some(mut stamps) = known.remove(&(held.wall.run, number)) else {
                continue;
            };
            if seen_ns > 0 {
                stamps.note(Stamp::Intended, at_us(held.wall.intended_ns(index)));
                stamps.note(Stamp::Sent, at_us(sent_ns));
                stamps.note(Stamp::Received, at_us(seen_ns));
                all.push(stamps);
            }
        }
        let per_second = float_len(held.measured.len()) / held.step.seconds.max(1e-9);
        fold(&held.step.name, per_second, all.iter())
    }

    /// The clock that commands are timed by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Its panic was shown where it happened.
            let _ = thread.join();
        }
    }
}
