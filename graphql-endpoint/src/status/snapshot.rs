//! What the collector found, in the shape in which it is shown.

use async_graphql::{Enum, SimpleObject};
use chrono::{DateTime, Utc};

use crate::graphql::types::Load;

/// How the bank is at one moment.
#[derive(Clone, Debug, SimpleObject)]
pub struct Status {
    /// When this was gathered.
    pub at: DateTime<Utc>,
    /// The pace that is set, as the pace-maker last told; 0 before it ever did.
    pub load: Load,
    /// Commands the bank has answered, per second.
    pub achieved_per_second: f64,
    /// Those this gateway was told of, and what they all stand on.
    pub services: Vec<ServiceStatus>,
    /// Every topic of the bank.
    pub topics: Vec<TopicStatus>,
    /// From a command accepted by this gateway to the change pushed to a subscriber: the last five minutes, oldest first.
    pub latency: Vec<LatencyWindow>,
    /// Commands whose events are not yet known to be in Kafka; null when the handler does not tell.
    pub owed: Option<i64>,
    /// Changes this gateway hands to subscribers, per second.
    pub pushed_per_second: f64,
    /// WebSockets and event streams open at this gateway.
    pub sockets: i64,
    /// What the auditor last said.
    pub auditor: AuditorStatus,
}

/// Ours, or what ours stand on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum ServiceKind {
    Service,
    Infrastructure,
}

/// Whether it answers. NOT_READY: it does, and says what it waits for. GONE: it did not answer. UNKNOWN: nobody has asked yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum ServiceState {
    Up,
    NotReady,
    Gone,
    Unknown,
}

/// One service, all its instances together.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct ServiceStatus {
    pub name: String,
    pub kind: ServiceKind,
    /// Of its worst instance.
    pub state: ServiceState,
    /// What it says is missing.
    pub waiting_for: Vec<String>,
    /// In this state since then: when its process started, or when this gateway saw the change.
    pub since: Option<DateTime<Utc>>,
    /// Instances that answer.
    pub instances: i32,
    /// Memory of all instances; null where it is not known.
    pub resident_bytes: Option<f64>,
    /// Of one core, all instances together; null where it is not known.
    pub cpu_percent: Option<f64>,
    /// Records of its topics that it has not dealt with.
    pub lag: Option<i64>,
}

/// One topic.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TopicStatus {
    pub name: String,
    pub partitions: i32,
    pub records_per_second: f64,
    /// Records its reader has not dealt with; null where nobody reads, or Kafka does not tell.
    pub lag: Option<i64>,
    pub last_record_at: Option<DateTime<Utc>>,
    /// Registered for the records in it.
    pub schema_versions: Vec<i32>,
}

/// A stretch of time.
#[derive(Clone, Debug, PartialEq, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct LatencyWindow {
    pub from: DateTime<Utc>,
    pub seconds: i32,
    /// Changes pushed in it. Without one there are no percentiles.
    pub count: i64,
    pub p50_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub p99_ms: Option<f64>,
}

/// The auditor in one word. CANNOT_CHECK also when there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum AuditorVerdict {
    Holds,
    Violated,
    CannotCheck,
}

/// What the auditor last said.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct AuditorStatus {
    pub verdict: AuditorVerdict,
    /// Why it is not HOLDS.
    pub cause: Option<String>,
    pub checked_at: Option<DateTime<Utc>>,
    /// Invariants it knows of.
    pub invariants: i32,
    /// Of those, how many hold.
    pub holding: i32,
    /// Records it has read for this.
    pub records: Option<f64>,
    pub findings: Vec<AuditorFinding>,
}

/// One invariant, judged.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct AuditorFinding {
    pub invariant: String,
    /// What must be so.
    pub what: String,
    /// Things looked at.
    pub checked: f64,
    /// Of those, how many do not agree.
    pub violations: f64,
    /// HOLDS, VIOLATED, NOT_CHECKED or NOT_ASKED.
    pub state: String,
    pub first_offender: Option<String>,
}
