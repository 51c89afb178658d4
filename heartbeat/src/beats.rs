//! Sending the beats that are due, and making sure they arrive.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use topology::producer::{Delivery, Outgoing, Producer};
use topology::records::Heartbeat;
use topology::{Codec, Record, Topic};
use tracing::{info, warn};

use crate::error::HeartbeatError;
use crate::meter::Meter;
use crate::pace::{Due, Pace};

/// Least time between two wake-ups: what the timer can do, and cheap enough.
const WAKE_UP_MIN: Duration = Duration::from_millis(1);
/// Beats on their way to the broker; beyond it pacing stalls until they arrive.
pub const IN_FLIGHT_MAX: usize = 4_000;

/// What is known about the beats so far.
pub struct Tally {
    /// Beats the broker has.
    pub delivered: Meter,
    /// Beats not sent because they were due too long ago.
    pub skipped: AtomicU64,
}

impl Tally {
    /// Nothing yet.
    #[must_use]
    pub fn new(now: Instant) -> Tally {
        Tally {
            delivered: Meter::new(now),
            skipped: AtomicU64::new(0),
        }
    }
}

/// Sends beats; see [`Beater::run`].
pub struct Beater {
    codec: Codec,
    producer: Producer,
    rate: watch::Receiver<u32>,
    in_flight: mpsc::Sender<Delivery>,
    tally: Arc<Tally>,
    next_beat: i64,
}

impl Beater {
    /// Ready to send beats at the rate that is set, and the deliveries to be awaited.
    #[must_use]
    pub fn new(
        codec: Codec,
        producer: Producer,
        rate: watch::Receiver<u32>,
        tally: Arc<Tally>,
    ) -> (Beater, mpsc::Receiver<Delivery>) {
        let (in_flight, deliveries) = mpsc::channel(IN_FLIGHT_MAX);
        let beater = Beater {
            codec,
            producer,
            rate,
            in_flight,
            tally,
            next_beat: 0,
        };
        (beater, deliveries)
    }

    /// Sends until told to stop. At rate 0 it sleeps until the rate changes.
    ///
    /// # Errors
    /// [`HeartbeatError`] when a beat can never be sent.
    pub async fn run(mut self, stop: CancellationToken) -> Result<(), HeartbeatError> {
        let mut pace = self.start_pace();
        loop {
            let wake_up = async {
                match pace.next_at() {
                    Some(moment) => {
                        let moment = moment.max(Instant::now() + WAKE_UP_MIN);
                        tokio::time::sleep_until(moment.into()).await;
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                // The knob goes away at a stop too; that must not look like a failure.
                biased;
                () = stop.cancelled() => return Ok(()),
                changed = self.rate.changed() => {
                    if changed.is_err() {
                        return Err(HeartbeatError::Ended("the rate"));
                    }
                    pace = self.start_pace();
                }
                () = wake_up => {
                    tokio::select! {
                        sent = self.beat(&mut pace) => sent?,
                        // A broker that is away must not keep us from stopping.
                        () = stop.cancelled() => return Ok(()),
                    }
                }
            }
        }
    }

    fn start_pace(&mut self) -> Pace {
        let pace = Pace::new(*self.rate.borrow_and_update(), Instant::now());
        info!(heartbeats_per_second = pace.beats_per_second(), "rate set");
        pace
    }

    async fn beat(&mut self, pace: &mut Pace) -> Result<(), HeartbeatError> {
        let Due { send, skipped } = pace.take(Instant::now());
        if skipped > 0 {
            self.tally.skipped.fetch_add(skipped, Ordering::Relaxed);
            warn!(skipped, "stalled; beats due long ago are skipped");
        }
        for later in (0..send).rev() {
            let lateness = pace.lateness(later, Instant::now());
            let due_at = chrono::Utc::now() - lateness;
            let key = due_at.to_rfc3339_opts(chrono::SecondsFormat::Micros, true);
            let heartbeat = Record::Heartbeat(Heartbeat {
                beat: self.next_beat,
            });
            let value = self
                .codec
                .encode(Topic::Heartbeat, &heartbeat)
                .map_err(HeartbeatError::Encode)?;
            let delivery = self
                .producer
                .send(Outgoing {
                    topic: Topic::Heartbeat,
                    key: key.as_bytes(),
                    value: Some(&value),
                    headers: &[],
                })
                .await
                .map_err(HeartbeatError::Send)?;
            self.next_beat += 1;
            self.in_flight
                .send(delivery)
                .await
                .map_err(|_| HeartbeatError::Ended("deliveries"))?;
        }
        Ok(())
    }
}

/// Awaits deliveries in the order of sending until there will be no more.
///
/// # Errors
/// [`HeartbeatError::Send`] at the first beat that will never arrive.
pub async fn await_deliveries(
    mut deliveries: mpsc::Receiver<Delivery>,
    tally: Arc<Tally>,
) -> Result<(), HeartbeatError> {
    while let Some(delivery) = deliveries.recv().await {
        delivery.wait().await.map_err(HeartbeatError::Send)?;
        tally.delivered.count(Instant::now());
    }
    Ok(())
}
