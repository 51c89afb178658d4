//! Configuration: flag before environment before default, checked before anything starts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser};

use crate::identity::Token;
use crate::kafka::KafkaConfig;
use crate::telemetry::LogFormat;
use crate::tls::{self, TlsConfig};
use crate::traces::TracesConfig;

/// Every variable of ours starts with it, so that a misspelt one can be told.
pub const PREFIX: &str = "BANK_";
/// Exit code for a configuration that cannot work.
pub const EXIT_CONFIGURATION: u8 = 2;
/// Most bytes of a secret file.
const SECRET_BYTES_MAX: u64 = 4_096;

/// What every service is told.
#[derive(Clone, Debug, clap::Args)]
pub struct CommonConfig {
    /// Kafka.
    #[command(flatten)]
    pub kafka: KafkaConfig,

    /// TLS.
    #[command(flatten)]
    pub tls: TlsConfig,

    /// Traces.
    #[command(flatten)]
    pub traces: TracesConfig,

    /// Base of the schema registry's Confluent API.
    #[arg(
        long,
        env = "BANK_SCHEMA_REGISTRY_URL",
        default_value = "http://127.0.0.1:8081/apis/ccompat/v7",
        value_parser = parse_http_url
    )]
    pub schema_registry_url: String,

    /// What to log, as in `info,rdkafka=debug`.
    #[arg(long, env = "BANK_LOG", default_value = "info", value_parser = parse_filter)]
    pub log: String,

    /// How to log.
    #[arg(long, env = "BANK_LOG_FORMAT", value_enum, default_value = "text")]
    pub log_format: LogFormat,

    /// Where /livez and /readyz answer; port 0 takes a free one and logs it.
    #[arg(long, env = "BANK_OPERATIONS_ADDRESS", default_value = "127.0.0.1:0")]
    pub operations_address: SocketAddr,
}

pub(crate) fn parse_http_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"))
        .ok_or("it must start with http:// or https://")?;
    if text.starts_with("https://") && !cfg!(feature = "tls") {
        return Err(tls::NOT_BUILT_IN.to_owned());
    }
    if rest.is_empty() || rest.starts_with('/') || rest.contains(char::is_whitespace) {
        return Err("it names no host".to_owned());
    }
    Ok(text.trim_end_matches('/').to_owned())
}

fn parse_filter(text: &str) -> Result<String, String> {
    text.parse::<tracing_subscriber::EnvFilter>()
        .map(|_| text.to_owned())
        .map_err(|error| error.to_string())
}

/// Of a database URL: where its password is, so that the password is in no environment, which
/// many can read.
const PASSWORD_FILE: &str = "?password_file=";

/// Checks a PostgreSQL URL without showing its password, which may also stand in a file:
/// `postgres://user@host:port/database?password_file=/run/secrets/password`.
///
/// # Errors
/// Words for the person who wrote it.
pub fn parse_database_url(text: &str) -> Result<String, String> {
    let Some((url, path)) = text.split_once(PASSWORD_FILE) else {
        return check_database_url(text);
    };
    let url = check_database_url(url)?;
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let (user, place) = rest
        .split_once('@')
        .filter(|(user, _)| !user.is_empty() && !user.contains(':'))
        .ok_or("with a password_file it must name a user and no password")?;
    let password = read_secret_file(path).map_err(|error| format!("password_file: {error}"))?;
    let mut encoded = String::new();
    for byte in password.secret().expose().bytes() {
        if byte.is_ascii_alphanumeric() {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    Ok(format!("{scheme}://{user}:{encoded}@{place}"))
}

fn check_database_url(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("postgres://")
        .or_else(|| text.strip_prefix("postgresql://"))
        .ok_or("it must start with postgres://")?;
    let after_user = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    match after_user.split_once('/') {
        Some((host, name)) if !host.is_empty() && !name.is_empty() => Ok(text.to_owned()),
        _ => Err("it must be postgres://user:password@host:port/database".to_owned()),
    }
}

/// A secret kept in a file, read when the configuration is.
#[derive(Clone, Debug)]
pub struct SecretFile {
    path: PathBuf,
    secret: Token,
}

impl SecretFile {
    /// The file's text without white space around it.
    #[must_use]
    pub fn secret(&self) -> &Token {
        &self.secret
    }

    /// Where it came from.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Reads a secret file for clap.
///
/// # Errors
/// Words for the person who named the file.
pub fn read_secret_file(path: &str) -> Result<SecretFile, String> {
    let path = PathBuf::from(path);
    let size = std::fs::metadata(&path)
        .map_err(|error| error.to_string())?
        .len();
    if size > SECRET_BYTES_MAX {
        return Err(format!("it has {size} bytes, at most {SECRET_BYTES_MAX}"));
    }
    let text = std::fs::read_to_string(&path).map_err(|error| error.to_string())?;
    let secret = text.trim();
    if secret.len() < 32 {
        return Err("a secret has at least 32 characters".to_owned());
    }
    Ok(SecretFile {
        secret: Token::new(secret.to_owned()),
        path,
    })
}

/// Reads the configuration, or ends the process: 0 after `--help`, 2 with the name and
/// the reason when something is wrong.
#[must_use]
pub fn parse<C: Parser + CommandFactory>() -> C {
    let config = C::parse();
    let unknown =
        unknown_variables::<C>(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()));
    if !unknown.is_empty() {
        C::command()
            .error(
                clap::error::ErrorKind::UnknownArgument,
                format!("unknown variable {}; see --help", unknown.join(", ")),
            )
            .exit();
    }
    config
}

fn unknown_variables<C: CommandFactory>(set: impl Iterator<Item = String>) -> Vec<String> {
    let command = C::command();
    let known: BTreeSet<String> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str().map(str::to_owned))
        .collect();
    let mut unknown: Vec<String> = set
        .filter(|name| name.starts_with(PREFIX) && !known.contains(name))
        .collect();
    unknown.sort();
    unknown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Parser)]
    struct Sample {
        #[command(flatten)]
        common: CommonConfig,
    }

    #[test]
    fn a_misspelt_variable_is_named() {
        let set = ["BANK_KAFKA_BROKER", "BANK_KAFKA_BROKERS", "PATH"];
        let unknown = unknown_variables::<Sample>(set.iter().map(ToString::to_string));
        assert_eq!(unknown, ["BANK_KAFKA_BROKER"]);
    }

    #[test]
    fn a_setting_that_cannot_work_is_refused() {
        for arguments in [
            ["--kafka-brokers", "nowhere"],
            ["--kafka-brokers", "host:0"],
            ["--kafka-brokers", ""],
            ["--schema-registry-url", "127.0.0.1:8081"],
            ["--schema-registry-url", "http://"],
            ["--operations-address", "8080"],
            ["--topic-prefix", "a b"],
            ["--log-format", "xml"],
        ] {
            let line = ["sample"].into_iter().chain(arguments);
            assert!(Sample::try_parse_from(line).is_err(), "{arguments:?}");
        }
        // Not by parsing: the variable may be set where the tests run.
        let command = Sample::command();
        let brokers = command.get_arguments().find(|it| it.get_id() == "brokers");
        assert_eq!(brokers.unwrap().get_default_values(), ["127.0.0.1:9092"]);
    }

    #[test]
    fn a_database_url_needs_scheme_host_and_name() {
        for (url, valid) in [
            ("postgres://u:p@127.0.0.1:5432/db", true),
            ("postgresql://127.0.0.1/db", true),
            ("127.0.0.1/db", false),
            ("postgres://u:p@127.0.0.1:5432/", false),
            ("postgres:///db", false),
        ] {
            assert_eq!(parse_database_url(url).is_ok(), valid, "{url}");
        }
    }

    #[test]
    fn the_password_of_a_database_may_stand_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("password");
        let secret = format!("{}/@:", "ab".repeat(16));
        std::fs::write(&file, format!("{secret}\n")).unwrap();
        let file = file.display();
        let url = parse_database_url(&format!("postgres://u@db:5432/bank?password_file={file}"));
        let expected = format!("postgres://u:{}%2F%40%3A@db:5432/bank", "ab".repeat(16));
        assert_eq!(url.unwrap(), expected);
        for url in [
            "postgres://u@db:5432/bank?password_file=/nowhere",
            &format!("postgres://u:p@db:5432/bank?password_file={file}"),
            &format!("postgres://db:5432/bank?password_file={file}"),
        ] {
            assert!(parse_database_url(url).is_err(), "{url}");
        }
    }
}
