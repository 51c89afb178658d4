//! What the heartbeat is told.

use std::path::PathBuf;

use clap::Parser;
use topology::config::CommonConfig;
use topology::service::ServiceConfig;

use crate::pace::BEATS_PER_SECOND_MAX;

/// Sends heartbeats at a set rate, which may be changed while it runs.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// What every service is told.
    #[command(flatten)]
    pub common: CommonConfig,

    /// Rate at the start; `PUT /rate` changes it.
    #[arg(
        long,
        env = "BANK_HEARTBEATS_PER_SECOND",
        default_value_t = 0,
        value_parser = clap::value_parser!(u32).range(0..=i64::from(BEATS_PER_SECOND_MAX))
    )]
    pub heartbeats_per_second: u32,

    /// Keeps the rate set last, and the next start goes on with it.
    #[arg(long, env = "BANK_RATE_FILE")]
    pub rate_file: Option<PathBuf>,
}

impl ServiceConfig for Config {
    fn common(&self) -> &CommonConfig {
        &self.common
    }
}
