//! What the command generator is told.

use clap::Parser;
use topology::config::{CommonConfig, SecretFile, read_secret_file};
use topology::service::ServiceConfig;

/// Turns heartbeats into the commands of a simulated public.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Config {
    /// What every service is told.
    #[command(flatten)]
    pub common: CommonConfig,

    /// File with the token of the company's account, which pays the salaries.
    #[arg(long, env = "BANK_COMPANY_TOKEN_FILE", value_parser = read_secret_file)]
    pub company_token_file: SecretFile,
}

impl ServiceConfig for Config {
    fn common(&self) -> &CommonConfig {
        &self.common
    }
}
