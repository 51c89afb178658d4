//! How the bank is right now: its services, topics, latency and auditor.
//!
//! One [`collector`] per gateway, however many look: it gathers once a second while
//! somebody does, and nothing at all while nobody does. What a source does not tell is
//! shown as unknown, never guessed. [`snapshot`] is what was found, [`services`] asks the
//! services, [`topics`] asks Kafka, [`registry`] the schema registry, [`auditor`] the
//! auditor; [`meter`] is what this gateway knows of itself.

pub mod auditor;

pub mod collector;

pub mod meter;

pub mod registry;

pub mod services;

pub mod snapshot;

pub mod topics;

mod web;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::{Notify, watch};

use crate::answer::{Code, Refusal};
pub use meter::Meter;
pub use snapshot::Status;

/// A look keeps the collector at work for so long.
const ATTENTION: Duration = Duration::from_secs(10);
/// Longest wait for the first status.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Where the collector writes and everybody looks.
pub struct Board {
    /// What this gateway knows of itself.
    pub meter: Arc<Meter>,
    looked_at: Mutex<Option<Instant>>,
    looks: Notify,
    newest: watch::Sender<Option<Arc<Status>>>,
}

impl Default for Board {
    fn default() -> Board {
        Board {
            meter: Arc::default(),
            looked_at: Mutex::default(),
            looks: Notify::new(),
            newest: watch::Sender::new(None),
        }
    }
}

impl Board {
    /// The status now.
    ///
    /// # Errors
    /// UNAVAILABLE when it takes too long to be gathered.
    pub async fn now(&self) -> Result<Arc<Status>, Refusal> {
        self.look();
        let mut newest = self.newest.subscribe();
        let first = newest.wait_for(Option::is_some);
        let gathered = tokio::time::timeout(FIRST_WAIT, first).await;
        let gathered = gathered.ok().and_then(Result::ok);
        gathered
            .and_then(|status| status.clone())
            .ok_or_else(|| Refusal::new(Code::Unavailable, "the status is still being gathered"))
    }

    /// The status now, then each one that is gathered.
    pub fn watch(self: &Arc<Board>) -> impl Stream<Item = Arc<Status>> + use<> {
        self.look();
        let mut newest = self.newest.subscribe();
        newest.mark_changed();
        unfold((Arc::clone(self), newest), |(board, mut newest)| async {
            loop {
                newest.changed().await.ok()?;
                board.look();
                let status = newest.borrow_and_update().clone();
                if let Some(status) = status {
                    return Some((status, (board, newest)));
                }
            }
        })
    }

    fn look(&self) {
        *self.lock() = Some(Instant::now());
        self.looks.notify_one();
    }

    fn is_looked_at(&self) -> bool {
        self.lock().is_some_and(|at| at.elapsed() < ATTENTION)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Instant>> {
        self.looked_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The collector has something new, or nothing any more.
    fn show(&self, status: Option<Arc<Status>>) {
        self.newest.send_replace(status);
    }

    /// Waits until somebody looks.
    async fn wait_for_a_look(&self) {
        while !self.is_looked_at() {
            self.looks.notified().await;
        }
    }
}
