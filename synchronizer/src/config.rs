//! What the synchronizer is told.

use clap::Parser;
use topology::config::{CommonConfig, parse_database_url};
use topology::service::ServiceConfig;

/// Longest wait for what is away that can be asked for.
const DEADLINE_SECONDS_MAX: u64 = 3_600;

/// Makes topics, schemas and databases what this build needs, then ends.
///
/// Exit code 0: done, or nothing to do. 1: drift it may not repair, or something stayed
/// away. 2: the configuration cannot work.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// What every service is told.
    #[command(flatten)]
    pub common: CommonConfig,

    /// Database of the command handler.
    #[arg(
        long,
        env = "BANK_COMMAND_HANDLER_DATABASE_URL",
        hide_env_values = true,
        value_parser = parse_database_url
    )]
    pub command_handler_database_url: String,

    /// Database of the GraphQL endpoint.
    #[arg(
        long,
        env = "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
        hide_env_values = true,
        value_parser = parse_database_url
    )]
    pub graphql_endpoint_database_url: String,

    /// How long to wait for brokers, registry and databases that are away.
    #[arg(
        long,
        env = "BANK_DEADLINE_SECONDS",
        default_value_t = 60,
        value_parser = clap::value_parser!(u64).range(1..=DEADLINE_SECONDS_MAX)
    )]
    pub deadline_seconds: u64,

    /// Only print what would be done, one line for each change.
    #[arg(long)]
    pub dry_run: bool,
}

impl ServiceConfig for Config {
    fn common(&self) -> &CommonConfig {
        &self.common
    }
}
