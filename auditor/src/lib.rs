//! The auditor: believes nothing, and proves the Bank's invariants from outside.
//!
//! It reads all topics but `heartbeat`, the handler's books (`account`, `outcome`,
//! `ledger_entry`, `consumer_offset`, `emission_debt`) and the gateway's read model
//! (`account`, `account_transaction`, `projection_offset`, `customer`), and writes
//! nothing to any of them. Its Avro, its IBANs, its SQL and its arithmetic are its own.
//!
//! Reading order: [`invariants`] (what is judged), [`report`] (what comes out), `audit` (the
//! way from one to the other); `cut` (what belongs together while the bank goes on);
//! `reading`, `rows` and `clients` turn records, rows and what clients saw into `facts`;
//! `spill` sorts these in little memory; `letters`, `by_command` and `by_account` judge
//! them, and `replay` asks the reference model. Tools: `avro`, `records`, `registry`, `kafka`, `database`, `iban`, [`history`]. [`program`] prints, [`follow`]
//! goes on and tells; `look` and `turns` say when it audits again.

mod audit;
mod avro;
mod by_account;
mod by_command;
mod clients;
mod config;
mod cut;
mod database;
mod dead_places;
mod facts;
pub mod follow;
pub mod history;
mod iban;
pub mod invariants;
mod kafka;
mod letters;
mod look;
pub mod program;
mod reading;
mod records;
mod registry;
mod replay;
pub mod report;
mod rows;
mod spill;
mod tally;
mod turns;

use std::path::PathBuf;
use std::time::Duration;

pub use config::Config;
pub use report::{CannotCheck, Finding, Report, State, Verdict};

/// What is looked at.
#[derive(Clone, Debug)]
pub struct Sources {
    /// `host:port`, several with commas.
    pub kafka_brokers: String,
    /// In front of the names of topics and groups.
    pub topic_prefix: String,
    /// Base of the registry's Confluent API.
    pub schema_registry_url: String,
    /// The handler's books; a role that may read is enough.
    pub handler_database_url: String,
    /// The gateway's read model; a role that may read is enough.
    pub gateway_database_url: String,
    /// What clients recorded, if they did.
    pub history: Option<PathBuf>,
}

/// How it is looked at.
#[derive(Clone, Debug)]
pub struct Options {
    /// How long the bank may take to deal with what stands in the topics.
    pub wait: Duration,
    /// Where facts are kept while they are sorted; the system's place for temporary files
    /// when not given.
    pub scratch: Option<PathBuf>,
    /// Keeps what each schema id meant from one audit to the next.
    pub schema_memory: Option<PathBuf>,
    /// Whether first copies of changes must stand in the order of their versions, as they
    /// do while a single handler lives and no debt was taken over.
    pub is_order_strict: bool,
    /// Runs of more commands are not decided again by the reference model, which keeps all
    /// of them in memory: about 1 KiB each.
    pub replay_max: u64,
}

/// See [`Options::replay_max`].
pub const REPLAY_MAX: u64 = 100_000;

impl Default for Options {
    fn default() -> Options {
        Options {
            wait: Duration::from_secs(30),
            scratch: None,
            schema_memory: None,
            is_order_strict: false,
            replay_max: REPLAY_MAX,
        }
    }
}

/// How far an audit is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What is being done.
    pub what: String,
    /// How much of it.
    pub done: u64,
    /// Of how much; 0 when nobody knows.
    pub total: u64,
}

/// Told how far the audit is, now and then.
pub type OnProgress<'a> = &'a (dyn Fn(&Progress) + Send + Sync);

/// Judges every invariant.
///
/// # Errors
/// [`CannotCheck`] when topics or databases could not be read: nothing is known then.
pub async fn audit(
    sources: &Sources,
    options: &Options,
    progress: OnProgress<'_>,
) -> Result<Report, CannotCheck> {
    audit::audit(sources, options, progress).await
}
