//! What clients did and saw, as they tell it themselves: one JSON object a line.
//!
//! A client writes down that it starts something ([`Phase::Invoke`]) before it does, and
//! what came of it afterwards: [`Phase::Ok`] and [`Phase::Fail`] are answers of the bank,
//! [`Phase::Info`] is no answer (a time-out, a lost connection), after which anything may
//! be true. This is the form of Jepsen's histories.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// How far an operation is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// It is about to be sent.
    Invoke,
    /// The bank said yes, or gave what was asked for.
    Ok,
    /// The bank said no: nothing was done.
    Fail,
    /// Nobody knows.
    Info,
}

/// What a client did or saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "operation", rename_all = "snake_case")]
pub enum Operation {
    /// Asks for an account.
    OpenAccount {
        /// Made by the client.
        command_id: Uuid,
    },
    /// Moves money; a deposit is one from `cash`.
    Transfer {
        /// Made by the client.
        command_id: Uuid,
        /// Who pays, as it was sent.
        from: String,
        /// Who is paid, as it was sent.
        to: String,
        /// How much.
        amount_cents: i64,
    },
    /// Reads an account; `Ok` says at which version it stood.
    Read {
        /// The account.
        iban: String,
        /// Of the account as it was shown; only in `Ok`.
        version: Option<i64>,
        /// The address that was asked: versions go forward per address.
        gateway: String,
    },
    /// Follows the changes of an account from behind a version. `Ok` says that the
    /// subscription ended when all was quiet, after everything there was had been seen.
    Subscribe {
        /// The account.
        iban: String,
        /// Different for each follower; the same after a reconnect.
        subscription: u64,
        /// The first change to be seen is the one after this version.
        after_version: i64,
        /// False for a client that must not see this account.
        is_permitted: bool,
    },
    /// A change that a subscription gave; in the phase `Ok`.
    Receive {
        /// The account.
        iban: String,
        /// The follower.
        subscription: u64,
        /// Of the change.
        version: i64,
    },
}

/// One line of a history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Who.
    pub client: String,
    /// How far.
    pub phase: Phase,
    /// What.
    #[serde(flatten)]
    pub operation: Operation,
    /// The bank's words with a no; ours with no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Microseconds since 1970, for people.
    pub wall_clock_us: u64,
    /// Nanoseconds since the recorder was made; what came before and after is told by it.
    pub monotonic_ns: u64,
}

/// Writes a history; shared by all clients of a process.
#[derive(Debug)]
pub struct Recorder {
    file: Mutex<BufWriter<File>>,
    started: Instant,
}

impl Recorder {
    /// A new history in this file, replacing what was there.
    ///
    /// # Errors
    /// When the file cannot be made.
    pub fn create(path: &Path) -> std::io::Result<Recorder> {
        Ok(Recorder {
            file: Mutex::new(BufWriter::new(File::create(path)?)),
            started: Instant::now(),
        })
    }

    /// Writes down what a client does or sees, now.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(
        &self,
        client: &str,
        phase: Phase,
        operation: Operation,
        reason: Option<String>,
    ) -> std::io::Result<()> {
        let since_1970 = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let mut file = self
            .file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        // Under the lock, so that lines are in the order of their times.
        let event = Event {
            client: client.to_owned(),
            phase,
            operation,
            reason,
            wall_clock_us: u64::try_from(since_1970.as_micros()).unwrap_or(u64::MAX),
            monotonic_ns: u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        };
        serde_json::to_writer(&mut *file, &event)?;
        file.write_all(b"\n")
    }

    /// Makes sure that everything recorded so far can be read by others.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn flush(&self) -> std::io::Result<()> {
        self.file
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .flush()
    }
}
