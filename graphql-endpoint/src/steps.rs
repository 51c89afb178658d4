//! The steps of the gateway, by name, so that tests can stop it between any two: see
//! [`topology::steps`]. Only a caller of [`crate::run_watched`] can put a watcher in.

/// Who is told of each step; nobody, unless a test says so.
pub type Steps = topology::steps::Steps<Step>;
/// A watcher's word that the step after this one is to fail.
pub type Interrupted = topology::steps::Interrupted<Step>;

/// A point between two steps. What a death there leaves: `docs/failure-modes.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// A payment is found valid; its id is not claimed.
    Validated,
    /// A payment's id is claimed in table `command`; nothing is sent.
    Claimed,
    /// A command is with the producer.
    HandedOver,
    /// The broker has a command; its outcome has not been heard.
    Acknowledged,
    /// A request has heard its outcome; no answer is made of it.
    OutcomeHeard,
    /// The answer to a mutation is made; none of it is on the wire.
    Answering,
    /// A customer is stored with the command that is to open their account; nothing is
    /// sent.
    SignedUp,
    /// The account is open; its customer does not have it yet.
    AccountHeard,
    /// The customer has the account, but no session.
    AccountLinked,
    /// A late account command is noted as sent again; it is not.
    LateTaken,
    /// The live tail knows where the log ends; it reads nothing yet.
    TailStarted,
    /// The live tail has read a batch; nothing of it is handed out.
    TailPolled,
    /// An outcome is read; who waits for it is not told.
    OutcomeRead,
    /// A change is read; no subscriber is told.
    ChangeRead,
    /// A change is in its subscribers' queues.
    Published,
    /// The projection's partitions have a new epoch; nothing is read yet.
    PartitionsTaken,
    /// The projection has read a batch.
    Polled,
    /// A dead letter is in its topic; the offset of its record has not moved.
    Buried,
    /// A batch is decoded and checked.
    Understood,
    /// The offsets of a batch are locked.
    Locked,
    /// Effects and offsets of a batch are written, but not committed.
    Written,
    /// A batch is committed; Kafka's own offset has not moved.
    Committed,
    /// Kafka's own offset is marked.
    Marked,
    /// A subscriber follows its account; nothing is replayed.
    Following,
    /// A page of the read model is taken in for a subscriber; nothing of it is given out.
    Replayed,
    /// A change leaves a subscriber's stream for its socket.
    GivenOut,
}

impl Step {
    /// Every step: of a payment, a sign-up, the live tail, the projection, a subscriber.
    pub const ALL: [Step; 26] = [
        Step::Validated,
        Step::Claimed,
        Step::HandedOver,
        Step::Acknowledged,
        Step::OutcomeHeard,
        Step::Answering,
        Step::SignedUp,
        Step::AccountHeard,
        Step::AccountLinked,
        Step::LateTaken,
        Step::TailStarted,
        Step::TailPolled,
        Step::OutcomeRead,
        Step::ChangeRead,
        Step::Published,
        Step::PartitionsTaken,
        Step::Polled,
        Step::Buried,
        Step::Understood,
        Step::Locked,
        Step::Written,
        Step::Committed,
        Step::Marked,
        Step::Following,
        Step::Replayed,
        Step::GivenOut,
    ];
}
