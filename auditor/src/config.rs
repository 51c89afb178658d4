//! What the auditor is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use topology::config::{CommonConfig, parse_database_url};

use crate::{Options, Sources};

/// Longest wait for a bank that is behind.
const WAIT_SECONDS_MAX: u64 = 3_600;
/// Longest time between two rounds.
const EVERY_SECONDS_MAX: u64 = 86_400;

/// Proves the Bank's invariants from its topics and databases.
///
/// Exit code 0: every invariant that was asked for holds. 1: at least one is violated.
/// 2: something could not be checked, or the configuration cannot work.
#[derive(Clone, Debug, Parser)]
#[command(name = "auditor", version)]
pub struct Config {
    /// What every service is told.
    #[command(flatten)]
    pub common: CommonConfig,

    /// The handler's books; a role that may read is enough.
    #[arg(
        long,
        env = "BANK_COMMAND_HANDLER_DATABASE_URL",
        hide_env_values = true,
        value_parser = parse_database_url
    )]
    pub command_handler_database_url: String,

    /// The gateway's read model; a role that may read is enough.
    #[arg(
        long,
        env = "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
        hide_env_values = true,
        value_parser = parse_database_url
    )]
    pub graphql_endpoint_database_url: String,

    /// What clients recorded.
    #[arg(long, env = "BANK_HISTORY_FILE")]
    pub history_file: Option<PathBuf>,

    /// How long the bank may take to deal with what stands in the topics.
    #[arg(
        long,
        env = "BANK_WAIT_SECONDS",
        default_value_t = 30,
        value_parser = clap::value_parser!(u64).range(0..=WAIT_SECONDS_MAX)
    )]
    pub wait_seconds: u64,

    /// Where facts are sorted: about 1 KiB for each command [default: the system's place for
    /// temporary files].
    #[arg(long, env = "BANK_SCRATCH_DIRECTORY")]
    pub scratch_directory: Option<PathBuf>,

    /// Keeps what each schema id meant from one audit to the next.
    #[arg(long, env = "BANK_SCHEMA_MEMORY_FILE")]
    pub schema_memory_file: Option<PathBuf>,

    /// First copies of changes must stand in the order of their versions.
    #[arg(long)]
    pub strict_order: bool,

    /// Runs of more commands are not decided again by the reference model, which keeps them
    /// all in memory.
    #[arg(long, env = "BANK_REPLAY_MAX", default_value_t = crate::REPLAY_MAX)]
    pub replay_max: u64,

    /// Print the report as JSON.
    #[arg(long, conflicts_with = "follow")]
    pub json: bool,

    /// Audit again and again while the bank runs; /status and /metrics tell.
    #[arg(long)]
    pub follow: bool,

    /// Print what is judged and how, and end.
    #[arg(long, exclusive = true)]
    pub list: bool,

    /// With --follow: at least this long between two rounds.
    #[arg(
        long,
        env = "BANK_AUDIT_EVERY_SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=EVERY_SECONDS_MAX)
    )]
    pub every_seconds: u64,
}

impl Config {
    /// What is looked at.
    #[must_use]
    pub fn sources(&self) -> Sources {
        Sources {
            kafka_brokers: self.common.kafka.brokers.clone(),
            topic_prefix: self.common.kafka.topic_prefix.clone(),
            schema_registry_url: self.common.schema_registry_url.clone(),
            handler_database_url: self.command_handler_database_url.clone(),
            gateway_database_url: self.graphql_endpoint_database_url.clone(),
            history: self.history_file.clone(),
        }
    }

    /// How it is looked at.
    #[must_use]
    pub fn options(&self) -> Options {
        Options {
            wait: Duration::from_secs(self.wait_seconds),
            scratch: self.scratch_directory.clone(),
            schema_memory: self.schema_memory_file.clone(),
            is_order_strict: self.strict_order,
            replay_max: self.replay_max,
        }
    }
}
