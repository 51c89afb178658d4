//! One fault: what is done, to what, and for how long. Plain data, so that a schedule can be printed and repeated.

use std::fmt;

use serde::Serialize;

use crate::part::{Link, Part, Target};

/// What is done. Whatever lasts is healed at the end of its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum Fault {
    /// SIGKILL; its supervisor starts it again at once.
    Kill {
        /// Of.
        part: Part,
    },
    /// A clean stop, and a start when the time is over.
    Stop {
        /// Of.
        part: Part,
    },
    /// SIGSTOP, and SIGCONT when the time is over.
    Pause {
        /// Of.
        part: Part,
    },
    /// Connections are reset and new ones too.
    Cut {
        /// Of.
        link: Link,
    },
    /// Connections stand, and nothing comes through until the time is over.
    BlackHole {
        /// Of.
        link: Link,
    },
    /// Every piece waits so long, and up to half as long again.
    Slow {
        /// Of.
        link: Link,
        /// At least.
        delay_ms: u64,
    },
    /// Every byte is a write of its own.
    Slice {
        /// Of.
        link: Link,
    },
    /// The newest commands are appended to their topics again, byte for byte.
    RepeatCommands {
        /// At most so many of each partition.
        records: u32,
    },
    /// Records that are no commands, in both command topics.
    Poison {
        /// How many.
        records: u32,
    },
    /// Good commands whose records say that they are from another year.
    StrangeTimes {
        /// How many.
        records: u32,
    },
    /// The handler's clock is off by so many days.
    WrongClock {
        /// Ahead; behind when negative.
        days: i32,
    },
    /// A second and a third handler join and leave every two seconds.
    RebalanceStorm,
    /// Two more handlers; at the end one of them stops and one is killed.
    ScaleHandlers,
    /// A second gateway; the first one stops; at the end it is the only one again.
    ScaleGateways,
    /// Every session of the services is terminated, four times a second.
    KillSessions,
    /// SIGQUIT to the server, which drops everything; started again at once.
    ImmediateStop,
    /// The tables of accounts are locked against everybody.
    LockTables,
    /// Every transaction is read only unless it says otherwise.
    ReadOnly,
    /// Sessions are ended and every connection there is, is taken.
    UseUpConnections,
    /// Not a byte is free where the database keeps its data.
    FillDatabaseDisk,
    /// Not a byte is free where the broker keeps its log.
    FillBrokerDisk,
}

impl Fault {
    /// What it works on.
    #[must_use]
    pub fn target(self) -> Target {
        match self {
            Fault::Kill { part } | Fault::Stop { part } | Fault::Pause { part } => {
                Target::Part(part)
            }
            Fault::Cut { link }
            | Fault::BlackHole { link }
            | Fault::Slow { link, .. }
            | Fault::Slice { link } => Target::Link(link),
            Fault::RepeatCommands { .. } | Fault::Poison { .. } | Fault::StrangeTimes { .. } => {
                Target::Topics
            }
            Fault::WrongClock { .. } | Fault::RebalanceStorm | Fault::ScaleHandlers => {
                Target::Part(Part::Handler)
            }
            Fault::ScaleGateways => Target::Part(Part::Gateway),
            Fault::FillBrokerDisk => Target::Part(Part::Kafka),
            Fault::KillSessions
            | Fault::ImmediateStop
            | Fault::LockTables
            | Fault::ReadOnly
            | Fault::UseUpConnections
            | Fault::FillDatabaseDisk => Target::Part(Part::Postgres),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Kill { part } => write!(formatter, "kill -9 {part}"),
            Fault::Stop { part } => write!(formatter, "stop {part}"),
            Fault::Pause { part } => write!(formatter, "pause {part}"),
            Fault::Cut { link } => write!(formatter, "cut {link}"),
            Fault::BlackHole { link } => write!(formatter, "black hole in {link}"),
            Fault::Slow { link, delay_ms } => write!(formatter, "slow {link} by {delay_ms} ms"),
            Fault::Slice { link } => write!(formatter, "single bytes on {link}"),
            Fault::RepeatCommands { records } => {
                write!(formatter, "repeat {records} commands of each partition")
            }
            Fault::Poison { records } => write!(formatter, "{records} poison records"),
            Fault::StrangeTimes { records } => {
                write!(formatter, "{records} commands from other years")
            }
            Fault::WrongClock { days } => write!(formatter, "handler's clock off by {days} days"),
            Fault::RebalanceStorm => formatter.write_str("handlers join and leave"),
            Fault::ScaleHandlers => formatter.write_str("three handlers"),
            Fault::ScaleGateways => formatter.write_str("two gateways"),
            Fault::KillSessions => formatter.write_str("terminate database sessions"),
            Fault::ImmediateStop => formatter.write_str("immediate stop of postgres"),
            Fault::LockTables => formatter.write_str("lock the account tables"),
            Fault::ReadOnly => formatter.write_str("databases read only"),
            Fault::UseUpConnections => formatter.write_str("use up database connections"),
            Fault::FillDatabaseDisk => formatter.write_str("fill the database's disk"),
            Fault::FillBrokerDisk => formatter.write_str("fill the broker's disk"),
        }
    }
}

/// A fault at its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Since the first moment of the faults.
    pub at_ms: u64,
    /// Until it is healed.
    pub lasts_ms: u64,
    /// What.
    #[serde(flatten)]
    pub fault: Fault,
}

impl Step {
    /// When it is healed.
    #[must_use]
    pub fn end_ms(&self) -> u64 {
        self.at_ms + self.lasts_ms
    }
}
