//! The steps of the handler, by name, so that tests can stop it between any two: see
//! [`topology::steps`]. Only a caller of [`crate::run_watched`] can put a watcher in.

/// Who is told of each step; nobody, unless a test says so.
pub type Steps = topology::steps::Steps<Step>;
/// A watcher's word that the step after this one is to fail.
pub type Interrupted = topology::steps::Interrupted<Step>;

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
