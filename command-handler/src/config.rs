//! What the handler is told at its start.

use topology::config::{CommonConfig, SecretFile, parse_database_url, read_secret_file};
use topology::consumer::BATCH_RECORDS_MAX;
use topology::service::ServiceConfig;

/// The linger of 2019's handlers was a tenth of this.
const LINGER_MS_MAX: u64 = 1_000;

/// The bank: decides commands, keeps the books, emits events.
#[derive(Clone, Debug, clap::Parser)]
#[command(version, about)]
pub struct Config {
    /// Kafka, registry, logs.
    #[command(flatten)]
    pub common: CommonConfig,

    /// The books: `postgres://user:password@host:port/database`.
    #[arg(long, env = "BANK_DATABASE_URL", value_parser = parse_database_url, hide_env_values = true)]
    pub database_url: String,

    /// File with the key that account numbers and tokens are derived from; losing it
    /// loses every token.
    #[arg(long, env = "BANK_HANDLER_KEY_FILE", value_parser = read_secret_file)]
    pub handler_key_file: SecretFile,

    /// File with the token of the company's account.
    #[arg(long, env = "BANK_COMPANY_TOKEN_FILE", value_parser = read_secret_file)]
    pub company_token_file: SecretFile,

    /// Most commands decided in one transaction; 1 decides them one at a time.
    #[arg(
        long,
        env = "BANK_BATCH_MAX",
        default_value_t = BATCH_RECORDS_MAX as u64,
        value_parser = clap::value_parser!(u64).range(1..=BATCH_RECORDS_MAX as u64)
    )]
    pub batch_max: u64,

    /// How long a record waits for company before it is sent, in milliseconds; for measuring
    /// what that costs.
    #[arg(
        long,
        env = "BANK_LINGER_MS",
        default_value_t = 0,
        value_parser = clap::value_parser!(u64).range(0..=LINGER_MS_MAX)
    )]
    pub linger_ms: u64,
}

impl ServiceConfig for Config {
    fn common(&self) -> &CommonConfig {
        &self.common
    }
}
