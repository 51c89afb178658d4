//! What an audit found, as a table and as JSON.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::invariants::INVARIANTS;

/// How one invariant stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum State {
    /// Everything that was looked at agrees.
    Holds,
    /// Something does not.
    Violated,
    /// It should have been looked at, and could not be: never as good as holding.
    NotChecked {
        /// What was in the way.
        why: String,
    },
    /// Nobody gave what it is judged by, such as a history of clients.
    NotAsked {
        /// What was not given.
        why: String,
    },
}

/// One invariant, judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Its name, such as `A1`.
    pub invariant: String,
    /// What must be so.
    pub what: String,
    /// How many things were looked at.
    pub checked: u64,
    /// How many of them do not agree.
    pub violations: u64,
    /// The first of those, with its topic, partition and offset or its row.
    pub first_offender: Option<String>,
    /// Something worth knowing that is no violation.
    pub note: Option<String>,
    /// How it stands.
    #[serde(flatten)]
    pub state: State,
}

/// All in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Every invariant that was asked for holds.
    Holds,
    /// At least one is violated.
    Violated,
    /// None is violated, but at least one could not be checked.
    Unchecked,
}

impl Verdict {
    /// For the shell: 0 holds, 1 violated, 2 could not be checked.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Holds => 0,
            Verdict::Violated => 1,
            Verdict::Unchecked => 2,
        }
    }
}

/// What an audit found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// One per invariant, in the order of the list.
    pub findings: Vec<Finding>,
    /// Records read from the topics.
    pub records: u64,
    /// Rows read from the databases.
    pub rows: u64,
    /// Outcomes and changes that stand more than once in the topics.
    pub repeated: u64,
    /// Milliseconds it took, waiting included.
    pub took_ms: u64,
}

impl Report {
    /// All in one word; a violation wins over what could not be checked.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let any = |wanted: fn(&State) -> bool| self.findings.iter().any(|it| wanted(&it.state));
        if any(|state| matches!(state, State::Violated)) {
            Verdict::Violated
        } else if self.findings.is_empty() || any(|state| matches!(state, State::NotChecked { .. }))
        {
            Verdict::Unchecked
        } else {
            Verdict::Holds
        }
    }

    /// Names of the violated invariants.
    #[must_use]
    pub fn violated(&self) -> Vec<&str> {
        self.findings
            .iter()
            .filter(|finding| finding.state == State::Violated)
            .map(|finding| finding.invariant.as_str())
            .collect()
    }

    /// The finding of an invariant.
    #[must_use]
    pub fn finding(&self, invariant: &str) -> Option<&Finding> {
        self.findings.iter().find(|it| it.invariant == invariant)
    }

    /// For people.
    #[must_use]
    pub fn table(&self) -> String {
        let width = INVARIANTS
            .iter()
            .map(|it| it.what.chars().count())
            .max()
            .unwrap_or_default();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "     {:<width$} {:>12} {:>10}  state",
            "invariant", "checked", "violations"
        );
        for it in &self.findings {
            let state = match &it.state {
                State::Holds => "holds".to_owned(),
                State::Violated => "VIOLATED".to_owned(),
                State::NotChecked { why } => format!("NOT CHECKED: {why}"),
                State::NotAsked { why } => format!("not asked: {why}"),
            };
            let _ = writeln!(
                text,
                "{:<4} {:<width$} {:>12} {:>10}  {state}",
                it.invariant, it.what, it.checked, it.violations
            );
            if let Some(offender) = &it.first_offender {
                let _ = writeln!(text, "     ^ first: {offender}");
            }
            if let Some(note) = &it.note {
                let _ = writeln!(text, "     . {note}");
            }
        }
        let verdict = match self.verdict() {
            Verdict::Holds => "every invariant holds".to_owned(),
            Verdict::Violated => format!("VIOLATED: {}", self.violated().join(", ")),
            Verdict::Unchecked => "COULD NOT BE CHECKED".to_owned(),
        };
        let _ = writeln!(
            text,
            "{verdict} ({} records, {} rows, {} records stand there more than once, {} ms)",
            self.records, self.rows, self.repeated, self.took_ms
        );
        text
    }
}

/// Why nothing at all could be said.
#[derive(Debug, thiserror::Error)]
pub enum CannotCheck {
    /// The broker did not do what it was asked.
    #[error("Kafka: cannot {action}")]
    Kafka {
        /// What was tried.
        action: String,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The registry did not answer.
    #[error("the schema registry did not answer for schema id {id}")]
    Registry {
        /// The schema asked for.
        id: u32,
        /// The client's error.
        #[source]
        source: reqwest::Error,
    },
    /// A database did not do what it was asked.
    #[error("database {database}: cannot {action}")]
    Database {
        /// Which one.
        database: &'static str,
        /// What was tried.
        action: String,
        /// The client's error.
        #[source]
        source: tokio_postgres::Error,
    },
    /// A database answered in a form nobody expects.
    #[error("database {database}: {what}")]
    Form {
        /// Which one.
        database: &'static str,
        /// What was found.
        what: String,
    },
    /// The log does not go back to its beginning.
    #[error("{topic}[{partition}] begins at offset {first}: what came before is gone")]
    LogCut {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The first offset that is left.
        first: i64,
    },
    /// A topic stopped short of where it ended when the audit began.
    #[error("{topic} gave nothing more for {seconds} s, at {left} partitions before their end")]
    Stalled {
        /// The topic.
        topic: String,
        /// How long it was silent.
        seconds: u64,
        /// Partitions not read to their end.
        left: usize,
    },
    /// A file of the audit or of the history.
    #[error("cannot {action} {path}")]
    File {
        /// What was tried.
        action: &'static str,
        /// On this.
        path: String,
        /// The system's error.
        #[source]
        source: std::io::Error,
    },
    /// A line of the history is none.
    #[error("{path}, line {line}, is no event of a client")]
    History {
        /// The file.
        path: String,
        /// Counted from 1.
        line: usize,
        /// The parser's error.
        #[source]
        source: serde_json::Error,
    },
    /// A thread of the audit ended.
    #[error("a thread of the audit ended: {0}")]
    Ended(String),
}
