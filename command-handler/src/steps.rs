//! The steps of the handler, by name, so that tests can stop it between any two.
//!
//! A handler that is run has no watcher: passing a step then looks at an empty option,
//! once per batch and step. No variable, flag or feature puts one in; only a caller of
//! [`crate::run_watched`] can, and the program does not call it.

use std::fmt;
use std::sync::Arc;

/// A point between two steps. What a death there leaves: `docs/failure-modes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// The opening is decided, its transaction open.
    OpeningDecided,
    /// The opening is committed, its debt with nobody.
    OpeningCommitted,
    /// Partitions have a new epoch in the books; nothing is read yet.
    PartitionsTaken,
    /// A batch is read.
    Polled,
    /// A batch is decoded.
    Decoded,
    /// Round trip 1 is answered: the accounts are locked.
    Locked,
    /// The batch is decided; round trip 2 is not sent.
    Decided,
    /// Round trip 2 is sent, commit and all; its answer is not read.
    CommitSent,
    /// The commit is answered; the debt is with nobody.
    Committed,
    /// The debt waits for emission; Kafka's own offset is not moved.
    Queued,
    /// Half of a debt's records are with the producer.
    PartlyHandedOver,
    /// All records of a debt are with the producer.
    HandedOver,
    /// All records of a debt are acknowledged; its note stands.
    Acknowledged,
    /// Notes are about to be removed.
    Clearing,
    /// Notes are removed.
    Cleared,
    /// Debts of a dead instance are ours in the books; nothing of them is sent.
    Adopted,
}

impl Step {
    /// Every step, in the order of a life.
    pub const ALL: [Step; 16] = [
        Step::OpeningDecided,
        Step::OpeningCommitted,
        Step::PartitionsTaken,
        Step::Polled,
        Step::Decoded,
        Step::Locked,
        Step::Decided,
        Step::CommitSent,
        Step::Committed,
        Step::Queued,
        Step::PartlyHandedOver,
        Step::HandedOver,
        Step::Acknowledged,
        Step::Clearing,
        Step::Cleared,
        Step::Adopted,
    ];
}

/// A watcher's word that the step after this one is to fail.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("stopped after the step {0:?}")]
pub struct Interrupted(pub Step);

type Watcher = dyn Fn(Step) -> Result<(), Interrupted> + Send + Sync;

/// Who is told of each step; nobody, unless a test says so.
#[derive(Clone, Default)]
pub struct Steps(Option<Arc<Watcher>>);

impl Steps {
    /// Tells `watcher` of each step. It may block, end the process, or have the next
    /// step fail.
    pub fn watched_by(
        watcher: impl Fn(Step) -> Result<(), Interrupted> + Send + Sync + 'static,
    ) -> Steps {
        Steps(Some(Arc::new(watcher)))
    }

    /// Whether anybody looks.
    #[must_use]
    pub fn are_watched(&self) -> bool {
        self.0.is_some()
    }

    /// A step is done.
    ///
    /// # Errors
    /// [`Interrupted`] when a watcher wants the next one to fail.
    pub fn pass(&self, step: Step) -> Result<(), Interrupted> {
        match &self.0 {
            None => Ok(()),
            Some(watcher) => watcher(step),
        }
    }
}

impl fmt::Debug for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.are_watched() {
            "watched"
        } else {
            "unwatched"
        })
    }
}
