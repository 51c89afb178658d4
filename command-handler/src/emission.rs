//! Sending what was decided: at once, in order, with a bound on what is under way.
//!
//! A debt is noted in the same transaction as the decision. Its frames go to the producer
//! right after the commit, without waiting for the acknowledgements of the batch before.
//! When all of a debt's records are acknowledged, its note is removed, lazily and many
//! at a time. While the broker is away the window fills, then the loop waits.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use topology::producer::{Delivery, Outgoing, Producer, SendError};
use topology::service::chain;
use topology::stamps::{self, Stamp};
use topology::{Backoff, Topic};
use tracing::error;

use crate::batch::Journey;
use crate::frames::{Frames, Header};
use crate::spans;
use crate::steps::{Interrupted, Step, Steps};
use crate::store::{connect_cold, debts};

/// Debts handed over and not yet with the producer.
const QUEUE_MAX: usize = 4;
/// Debts whose records wait for acknowledgement.
const WINDOW_MAX: usize = 16;
/// Paid debts waiting for their notes to be removed.
const PAID_MAX: usize = 1_024;
/// Notes are removed together, this long after the first was paid.
const CLEARING_PAUSE: Duration = Duration::from_millis(100);
/// Time for acknowledgements to come in at a stop; what is left is paid at the next start.
pub const STOP_WAIT: Duration = Duration::from_secs(4);

/// A batch's records, owed to the topics.
#[derive(Clone, Debug)]
pub struct Debt {
    /// Number of its note in the books.
    pub id: i64,
    /// The records, in order.
    pub frames: Frames,
    /// Which of them travel with times; none of what is sent from the books again.
    pub journeys: Vec<Journey>,
}

impl Debt {
    /// The headers of its records with times, in order; those without are skipped.
    fn stamped(&self) -> Vec<(Range<usize>, Vec<Header>)> {
        if self.journeys.is_empty() {
            return Vec::new();
        }
        let now_us = stamps::now_us();
        let stamped = |journey: &Journey| {
            let mut trace = journey.trace.clone();
            trace.stamps = trace.stamps.with(Stamp::Emitted, now_us);
            if let Some(span) = spans::of(journey) {
                // What it gives came of this step.
                trace.parent = Some(span.place.header());
                span.end(now_us);
            }
            (journey.frames.clone(), trace.headers())
        };
        self.journeys.iter().map(stamped).collect()
    }
}

/// Why emission ended. Nothing is lost: the notes of the debts stand.
#[derive(Debug, thiserror::Error)]
pub enum EmissionError {
    /// A record will never be delivered; going on would leave a hole.
    #[error("a record the bank owes cannot be delivered")]
    Undeliverable(#[from] SendError),
    /// A task is gone.
    #[error("emission ended")]
    Ended,
    /// A test wants it.
    #[error(transparent)]
    Interrupted(#[from] Interrupted),
}

/// The debts this process is sending, so that nobody sends them a second time from the
/// books.
#[derive(Clone, Default)]
pub struct InFlight(Arc<Mutex<HashSet<i64>>>);

impl InFlight {
    fn with<T>(&self, action: impl FnOnce(&mut HashSet<i64>) -> T) -> T {
        action(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// A copy of the debts' numbers.
    #[must_use]
    pub fn snapshot(&self) -> HashSet<i64> {
        self.with(|debts| debts.clone())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.with(|debts| debts.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Where debts are handed over.
#[derive(Clone)]
pub struct Emitter {
    queue: mpsc::Sender<Debt>,
    in_flight: InFlight,
}

impl Emitter {
    /// Hands a debt over, waiting while the window is full.
    ///
    /// # Errors
    /// [`EmissionError::Ended`] when emission has ended.
    pub async fn pay(&self, debt: Debt) -> Result<(), EmissionError> {
        self.in_flight.with(|debts| debts.insert(debt.id));
        self.queue
            .send(debt)
            .await
            .map_err(|_| EmissionError::Ended)
    }

    /// The debts being sent.
    #[must_use]
    pub fn in_flight(&self) -> &InFlight {
        &self.in_flight
    }
}

/// Starts emission. The future ends when all emitters are dropped and everything is
/// acknowledged, or with an error.
pub fn start(
    producer: Producer,
    database_url: String,
    steps: Steps,
) -> (
    Emitter,
    impl Future<Output = Result<(), EmissionError>> + Send + 'static,
) {
    let (queue, debts) = mpsc::channel(QUEUE_MAX);
    let in_flight = InFlight::default();
    let emitter = Emitter {
        queue,
        in_flight: in_flight.clone(),
    };
    let work = async move {
        let (paid, to_clear) = mpsc::channel(PAID_MAX);
        let clearing = tokio::spawn(clear(
            to_clear,
            database_url,
            in_flight.clone(),
            steps.clone(),
        ));
        emit(debts, producer, paid, &in_flight, &steps).await?;
        clearing.await.map_err(|_| EmissionError::Ended)
    };
    (emitter, work)
}

async fn emit(
    mut debts: mpsc::Receiver<Debt>,
    producer: Producer,
    paid: mpsc::Sender<i64>,
    in_flight: &InFlight,
    steps: &Steps,
) -> Result<(), EmissionError> {
    let mut window = FuturesUnordered::new();
    let mut open = true;
    while open || !window.is_empty() {
        tokio::select! {
            debt = debts.recv(), if open && window.len() < WINDOW_MAX => match debt {
                None => open = false,
                Some(debt) => {
                    let deliveries = hand_over(&producer, &debt, steps).await?;
                    steps.pass(Step::HandedOver)?;
                    window.push(acknowledged(debt.id, deliveries));
                }
            },
            Some((id, done)) = window.next(), if !window.is_empty() => match done {
                Ok(()) => {
                    steps.pass(Step::Acknowledged)?;
                    // The clearing task ends only with this one.
                    let _ = paid.send(id).await;
                }
                // What nobody understands must not stop what is understood. The note stands, so
                // that an audit sees it, and it is tried again like any debt that stands too long.
                Err(error) if is_of_dead_letters(&error) => {
                    error!(debt = id, error = chain(&error), "dead letters are refused and stay owed");
                    in_flight.with(|debts| debts.remove(&id));
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

fn is_of_dead_letters(error: &SendError) -> bool {
    let name = Topic::DeadLetters.definition().name;
    // A prefix may stand in front of it.
    matches!(error, SendError::Undelivered { topic, .. } if topic.ends_with(name))
}

/// A debt goes out in one piece, and in two when a test looks at what lies between.
async fn hand_over(
    producer: &Producer,
    debt: &Debt,
    steps: &Steps,
) -> Result<(Delivery, Option<Delivery>), EmissionError> {
    let stamped = debt.stamped();
    let mut records: Vec<Outgoing<'_>> = debt
        .frames
        .iter()
        .map(|frame| Outgoing {
            topic: frame.topic,
            key: frame.key,
            value: frame.value,
            headers: frame.headers,
        })
        .collect();
    for (frames, headers) in &stamped {
        for record in &mut records[frames.clone()] {
            record.headers = headers;
        }
    }
    if !steps.are_watched() {
        return Ok((producer.send_all(&records).await?, None));
    }
    let (first, rest) = records.split_at(records.len().div_ceil(2));
    let first = producer.send_all(first).await?;
    steps.pass(Step::PartlyHandedOver)?;
    Ok((first, Some(producer.send_all(rest).await?)))
}

async fn acknowledged(
    id: i64,
    (first, rest): (Delivery, Option<Delivery>),
) -> (i64, Result<(), SendError>) {
    let delivered = async {
        first.wait().await?;
        match rest {
            Some(rest) => rest.wait().await,
            None => Ok(()),
        }
    };
    (id, delivered.await)
}

/// Removes notes of paid debts until the last emitter is gone.
async fn clear(
    mut paid: mpsc::Receiver<i64>,
    database_url: String,
    in_flight: InFlight,
    steps: Steps,
) {
    let mut connection = None;
    let mut backoff = Backoff::new("removing notes of paid debts");
    let mut ids = Vec::new();
    loop {
        if ids.is_empty() {
            if paid.recv_many(&mut ids, PAID_MAX).await == 0 {
                return;
            }
            let more = tokio::time::timeout(CLEARING_PAUSE, async {
                while ids.len() < PAID_MAX && paid.recv_many(&mut ids, PAID_MAX).await > 0 {}
            });
            let _ = more.await;
        }
        let open = match &mut connection {
            Some(open) => open,
            none => none.insert(connect_cold(&database_url, "connecting to remove notes").await),
        };
        if let Err(interrupted) = steps.pass(Step::Clearing) {
            connection = None;
            backoff.wait(&interrupted).await;
            continue;
        }
        let removed = debts::remove(open, &ids).await;
        if let Err(interrupted) = steps.pass(Step::Cleared) {
            // As if the answer were lost: removed again, which removes nothing.
            connection = None;
            backoff.wait(&interrupted).await;
            continue;
        }
        match removed {
            Ok(()) => {
                backoff.succeeded();
                in_flight.with(|debts| debts.retain(|debt| !ids.contains(debt)));
                ids.clear();
            }
            Err(error) => {
                connection = None;
                backoff.wait(&error).await;
            }
        }
    }
}
