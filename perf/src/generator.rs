//! Sends commands: all at once before a drain, or at fixed times under a steady load.
//!
//! The times are fixed before the first command is sent and wait for nobody. How late the
//! thread was is reported with every figure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer, ProducerContext};
use topology::Topic;
use topology::kafka::KafkaConfig;

use crate::clock::Clock;
use crate::commands::Commands;
use crate::error::Error;
use crate::latency::{Latencies, LatencySummary};
use crate::numbers::{float, whole};
use crate::priority::{be_nice, be_on_time};

/// For a backlog, which nobody waits for, and for rates from 1,000/s: fewer requests, so
/// that the broker's time goes to the handler. Latencies count from the intended time and
/// so hold it.
const LINGER_LOADED_MS: u32 = 1;
const LINGER_BACKLOG_MS: u32 = 20;
const RATE_LOADED: u32 = 1_000;
/// Records waiting in the client; a full queue drops commands of a steady load.
const QUEUE_RECORDS_MAX: u32 = 100_000;
const FLUSH_DEADLINE: Duration = Duration::from_secs(60);
/// From the order to send to the first intended time.
const LEAD_NS: u64 = 20_000_000;

/// A steady load that was sent.
#[derive(Clone, Debug)]
pub struct Sent {
    /// The intended time of the first.
    pub first_ns: u64,
    /// Between two intended times.
    pub interval_ns: f64,
    /// Commands that were due before the end or the stop.
    pub due: usize,
    /// How much later than intended each was handed to the client.
    pub delay: Latencies,
    /// Could not be handed over, or were never acknowledged.
    pub dropped: u64,
}

impl Sent {
    /// When a command was meant to be sent.
    #[must_use]
    pub fn intended_ns(&self, index: usize) -> u64 {
        self.first_ns + whole(self.interval_ns * crate::numbers::float_len(index))
    }

    /// How late it was, and whether a figure taken with it means anything: its own delay
    /// at p99 is at most a millisecond and nothing was dropped.
    #[must_use]
    pub fn judge(&self) -> (LatencySummary, bool) {
        let mut delay = self.delay.summary();
        delay.histogram_us.clear();
        let is_valid = delay.p99_ms <= DELAY_P99_MAX_MS && self.dropped == 0;
        (delay, is_valid)
    }
}

/// A generator that is later than this at p99 was starved: its step is invalid.
pub const DELAY_P99_MAX_MS: f64 = 1.0;

#[derive(Default)]
struct Deliveries(AtomicU64);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if result.is_err() {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn producer(kafka: &KafkaConfig, linger_ms: u32) -> Result<BaseProducer<Deliveries>, KafkaError> {
    let mut config: ClientConfig = kafka.producer("perf-generator");
    config
        .set("linger.ms", linger_ms.to_string())
        // An idempotent producer of the library spins while more than five records of a
        // partition wait; a command that came twice would be answered twice, alike.
        .set("enable.idempotence", "false")
        .set(
            "queue.buffering.max.messages",
            QUEUE_RECORDS_MAX.to_string(),
        )
        .set("queue.buffering.max.kbytes", "131072");
    config.create_with_context(Deliveries::default())
}

/// Sends all commands as fast as the broker takes them; returns when it has them.
///
/// # Errors
/// When the broker does not take them.
pub fn send_all(kafka: &KafkaConfig, topic: Topic, commands: &Commands) -> Result<(), Error> {
    let producer = producer(kafka, LINGER_BACKLOG_MS)?;
    let topic = kafka.topics().name(topic);
    for index in 0..commands.len() {
        let (key, value) = commands.get(index);
        let mut record = BaseRecord::to(&topic).key(key).payload(value);
        while let Err((error, back)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            record = back;
            producer.poll(Duration::from_millis(1));
        }
    }
    producer.flush(FLUSH_DEADLINE)?;
    match producer.context().0.load(Ordering::Relaxed) {
        0 => Ok(()),
        lost => Err(Error::Wrong(format!("{lost} commands were not delivered"))),
    }
}

/// A steady load that is being sent on a thread of its own.
pub struct Sending {
    thread: std::thread::JoinHandle<Result<Sent, Error>>,
    stop: Arc<AtomicBool>,
}

impl Sending {
    /// Waits until all are sent.
    ///
    /// # Errors
    /// When they could not be.
    pub fn finish(self) -> Result<Sent, Error> {
        self.thread
            .join()
            .unwrap_or_else(|_| Err(Error::Wrong("the generator died".to_owned())))
    }

    /// Ends it early.
    ///
    /// # Errors
    /// When commands could not be sent.
    pub fn stop(self) -> Result<Sent, Error> {
        self.stop.store(true, Ordering::Relaxed);
        self.finish()
    }
}

/// Begins to send payments at this rate per second. The send delay is noted from command
/// `measured_from` on, when everything is warm.
///
/// # Errors
/// When there is no thread for it.
pub fn send_steadily(
    kafka: &KafkaConfig,
    commands: Commands,
    rate: u32,
    measured_from: usize,
    clock: Clock,
) -> Result<Sending, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let (kafka, stopped) = (kafka.clone(), Arc::clone(&stop));
    let thread = std::thread::Builder::new()
        .name("generator".to_owned())
        .spawn(move || {
            be_nice();
            send_at(&kafka, &commands, rate, measured_from, clock, &stopped)
        })
        .map_err(Error::io("start", "a thread"))?;
    Ok(Sending { thread, stop })
}

fn send_at(
    kafka: &KafkaConfig,
    commands: &Commands,
    rate: u32,
    measured_from: usize,
    clock: Clock,
    stop: &AtomicBool,
) -> Result<Sent, Error> {
    let linger_ms = if rate >= RATE_LOADED {
        LINGER_LOADED_MS
    } else {
        0
    };
    let producer = producer(kafka, linger_ms)?;
    let topic = kafka.topics().name(Topic::ConfirmMoneyTransfer);
    // Connects and learns where the partitions are before the first intended time.
    producer
        .client()
        .fetch_metadata(Some(&topic), FLUSH_DEADLINE)?;
    be_on_time();
    let mut sent = Sent {
        first_ns: clock.now_ns() + LEAD_NS,
        interval_ns: 1e9 / float(u64::from(rate)),
        due: commands.len(),
        delay: Latencies::default(),
        dropped: 0,
    };
    for index in 0..commands.len() {
        let intended = sent.intended_ns(index);
        if clock.now_ns() < intended {
            producer.poll(Duration::ZERO);
            clock.sleep_until(intended);
        }
        if stop.load(Ordering::Relaxed) {
            sent.due = index;
            break;
        }
        let (key, value) = commands.get(index);
        let record = BaseRecord::to(&topic).key(key).payload(value);
        if index >= measured_from {
            sent.delay.record(intended, clock.now_ns());
        }
        if let Err((error, _)) = producer.send(record) {
            if error.rdkafka_error_code() != Some(RDKafkaErrorCode::QueueFull) {
                return Err(error.into());
            }
            sent.dropped += 1;
        }
    }
    producer.flush(FLUSH_DEADLINE)?;
    sent.dropped += producer.context().0.load(Ordering::Relaxed);
    Ok(sent)
}
