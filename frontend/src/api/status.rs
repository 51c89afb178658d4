//! What the page asks about the machine: its state each second, its load, and what was measured. Texts, variables and
//! answers, as in [`operations`](super::operations).

use serde_json::{Value, json};

use super::operations::Operation;
use crate::readable::{Readable, Reader, readable};

/// What the state of the machine is asked with, once or each second.
macro_rules! status_fields {
    () => {
        "at load { heartbeatsPerSecond } achievedPerSecond owed pushedPerSecond sockets \
         services { name kind state waitingFor since instances residentBytes cpuPercent lag } \
         topics { name partitions recordsPerSecond lag lastRecordAt schemaVersions } \
         latency { from seconds count p50Ms p95Ms p99Ms } \
         auditor { verdict cause checkedAt invariants holding records \
         findings { invariant what checked violations state firstOffender } }"
    };
}

readable! {
    /// The bank as the gateway sees it, now.
    #[derive(Clone, Debug, PartialEq)]
    pub struct Status {
        /// When it was looked at; RFC 3339.
        pub at: String,
        /// What is wanted of the simulated public.
        pub load: Load,
        /// Commands the bank answers, per second: those of the simulated public and of people.
        pub achieved_per_second: f64,
        /// Commands whose events are not all known to be out; None where that is not known.
        pub owed: Option<u64>,
        /// Changes sent to open pages, per second.
        pub pushed_per_second: f64,
        /// Open WebSockets.
        pub sockets: u64,
        /// Programs, ours and those below them.
        pub services: Vec<ServiceStatus>,
        /// All topics of the bank.
        pub topics: Vec<TopicStatus>,
        /// Of the last minutes, oldest first.
        pub latency: Vec<LatencyWindow>,
        /// What the judge says.
        pub auditor: AuditorStatus,
    }

    /// The pace of the simulated public.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub struct Load {
        /// Each makes one command.
        pub heartbeats_per_second: u32,
    }
}

/// Whose program it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceKind {
    /// One of the bank's.
    Service,
    /// Kafka, the registry, the database.
    Infrastructure,
}

impl Readable for ServiceKind {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("SERVICE", Self::Service),
            ("INFRASTRUCTURE", Self::Infrastructure),
        ];
        reader.word(value, &known, None)
    }
}

/// How a program is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceState {
    /// It answers, and has what it needs.
    Up,
    /// It answers, and waits for something.
    NotReady,
    /// It does not answer.
    Gone,
    /// It was not asked, or a newer gateway has another word.
    Unknown,
}

impl Readable for ServiceState {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("UP", Self::Up),
            ("NOT_READY", Self::NotReady),
            ("GONE", Self::Gone),
        ];
        reader.word(value, &known, Some(Self::Unknown))
    }
}

readable! {
    /// One program.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ServiceStatus {
        /// As on the command line.
        pub name: String,
        /// Whose.
        pub kind: ServiceKind,
        /// How it is.
        pub state: ServiceState,
        /// What it waits for while it is not ready.
        pub waiting_for: Vec<String>,
        /// Since when it is so; RFC 3339.
        pub since: Option<String>,
        /// How many of it run.
        pub instances: u32,
        /// Of all instances; None where not known.
        pub resident_bytes: Option<f64>,
        /// Of one core, of all instances; None where not known.
        pub cpu_percent: Option<f64>,
        /// Records it has still to read; None where it reads none.
        pub lag: Option<u64>,
    }

    /// One topic.
    #[derive(Clone, Debug, PartialEq)]
    pub struct TopicStatus {
        /// Without a prefix.
        pub name: String,
        /// How many.
        pub partitions: u32,
        /// Written to it.
        pub records_per_second: f64,
        /// Records its reader has still to read; None where nobody keeps a place in it.
        pub lag: Option<u64>,
        /// RFC 3339.
        pub last_record_at: Option<String>,
        /// Versions of its schemas.
        pub schema_versions: Vec<u32>,
    }

    /// Time from a request to the push of its change, within some seconds.
    #[derive(Clone, Debug, PartialEq)]
    pub struct LatencyWindow {
        /// Its begin; RFC 3339.
        pub from: String,
        /// How long it is.
        pub seconds: u32,
        /// How many were measured.
        pub count: u64,
        /// Half were at most this, in milliseconds; None when none was measured.
        pub p50_ms: Option<f64>,
        /// 95 % were at most this.
        pub p95_ms: Option<f64>,
        /// 99 % were at most this.
        pub p99_ms: Option<f64>,
    }
}

/// What the judge says of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditorVerdict {
    /// All that was checked is so.
    Holds,
    /// Something is not.
    Violated,
    /// Nobody can say; also what a newer gateway may add.
    CannotCheck,
}

impl Readable for AuditorVerdict {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [("HOLDS", Self::Holds), ("VIOLATED", Self::Violated)];
        reader.word(value, &known, Some(Self::CannotCheck))
    }
}

readable! {
    /// The judge.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AuditorStatus {
        /// Of all invariants together.
        pub verdict: AuditorVerdict,
        /// Why it cannot check, or what is wrong.
        pub cause: Option<String>,
        /// When it last came to a verdict; RFC 3339.
        pub checked_at: Option<String>,
        /// How many there are.
        pub invariants: u32,
        /// How many hold.
        pub holding: u32,
        /// Records it has read.
        pub records: Option<f64>,
        /// One for each invariant.
        pub findings: Vec<AuditorFinding>,
    }

    /// One invariant and what was found.
    #[derive(Clone, Debug, PartialEq)]
    pub struct AuditorFinding {
        /// Its short name, such as `A2`.
        pub invariant: String,
        /// In words.
        pub what: String,
        /// How many things were looked at.
        pub checked: f64,
        /// How many were wrong.
        pub violations: f64,
        /// `HOLDS`, `VIOLATED`, `NOT_CHECKED` or `NOT_ASKED`.
        pub state: String,
        /// The first that was wrong.
        pub first_offender: Option<String>,
    }

    /// What was measured once.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct MeasuredResult {
        /// Of its file.
        pub name: String,
        /// RFC 3339.
        pub measured_at: String,
        /// Which code.
        pub commit: String,
        /// On what.
        pub machine: String,
        /// Whether something else ran beside it.
        pub noisy: bool,
        /// Of the run, in a word or sentence.
        pub verdict: String,
        /// All of it, as JSON.
        pub document: String,
    }
}

const STATUS: &str = concat!("query Status { status { ", status_fields!(), " } }");
const WATCH_STATUS: &str = concat!(
    "subscription WatchStatus { status { ",
    status_fields!(),
    " } }"
);

readable! {
    /// Answer of [`status`] and one push of [`watch_status`].
    #[derive(Debug)]
    pub struct StatusAnswer {
        /// The bank, now.
        pub status: Status,
    }
}

/// The bank, once.
#[must_use]
pub fn status() -> Operation {
    Operation {
        query: STATUS,
        variables: Value::Null,
    }
}

/// The bank now, then each second.
#[must_use]
pub fn watch_status() -> Operation {
    Operation {
        query: WATCH_STATUS,
        variables: Value::Null,
    }
}

const RESULTS: &str =
    "query Results { results { name measuredAt commit machine noisy verdict document } }";

readable! {
    /// Answer of [`results`].
    #[derive(Debug)]
    pub struct ResultsAnswer {
        /// Newest first.
        pub results: Vec<MeasuredResult>,
    }
}

/// All that was measured.
#[must_use]
pub fn results() -> Operation {
    Operation {
        query: RESULTS,
        variables: Value::Null,
    }
}

const SET_LOAD: &str =
    "mutation SetLoad($rate: Int!) { setLoad(heartbeatsPerSecond: $rate) { heartbeatsPerSecond } }";

readable! {
    /// Answer of [`set_load`].
    #[derive(Debug)]
    pub struct SetLoadAnswer {
        /// From now on.
        pub set_load: Load,
    }
}

/// Sets the pace of the simulated public.
#[must_use]
pub fn set_load(rate: u32) -> Operation {
    Operation {
        query: SET_LOAD,
        variables: json!({ "rate": rate }),
    }
}

#[cfg(test)]
pub(crate) mod tests;
