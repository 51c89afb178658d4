//! What the gateway is told when it starts.

use std::net::SocketAddr;
use std::path::PathBuf;

use topology::Token;
use topology::config::{CommonConfig, parse_database_url, read_secret_file};
use topology::service::ServiceConfig;

use crate::http::SOCKETS_MAX;
use crate::identity::token_vault::TokenKey;
use crate::limits::SOCKETS_PER_ADDRESS;

/// Characters of a service's name.
const SERVICE_NAME_CHARACTERS_MAX: usize = 40;

/// One instance of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceAddress {
    /// What it is called.
    pub name: String,
    /// Its operations, `host:port`.
    pub address: String,
}

/// The flag that prints the API's schema and ends.
pub const PRINT_SCHEMA: &str = "--print-schema";

/// The gateway: API for people, read model, live updates, the page.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "graphql-endpoint", version, about)]
pub struct Config {
    /// What every service is told.
    #[command(flatten)]
    pub common: CommonConfig,

    /// The read model, `postgres://user:password@host:port/database`.
    #[arg(
        long,
        env = "BANK_DATABASE_URL",
        hide_env_values = true,
        value_parser = parse_secret_database_url
    )]
    pub database_url: Token,

    /// Where the API and the page answer.
    #[arg(long, env = "BANK_LISTEN_ADDRESS", default_value = "127.0.0.1:8181")]
    pub listen_address: SocketAddr,

    /// Folder of the built page; without it only the API is served.
    #[arg(long, env = "BANK_SITE_DIRECTORY", value_parser = parse_directory)]
    pub site_directory: Option<PathBuf>,

    /// File with the key that encrypts account tokens at rest: 64 hexadecimal characters.
    #[arg(long, env = "BANK_TOKEN_KEY_FILE", value_parser = read_token_key)]
    pub token_key_file: TokenKey,

    /// Names under which a browser may reach us, beside addresses of machines.
    #[arg(
        long,
        env = "BANK_HOST_NAMES",
        value_delimiter = ',',
        default_value = "localhost"
    )]
    pub host_names: Vec<String>,

    /// Where the pace-maker tells how it is, and takes another rate: `host:port`.
    #[arg(long, env = "BANK_HEARTBEAT_ADDRESS", value_parser = parse_address)]
    pub heartbeat_address: Option<String>,

    /// Services whose state is shown, with the address of each one's operations:
    /// `name=host:port,...`. A name may come again: each is an instance of it.
    #[arg(long, env = "BANK_SERVICES", value_delimiter = ',', value_parser = parse_service)]
    pub services: Vec<ServiceAddress>,

    /// Where the auditor tells its verdict: `host:port`.
    #[arg(long, env = "BANK_AUDITOR_ADDRESS", value_parser = parse_address)]
    pub auditor_address: Option<String>,

    /// Folder with the results of benchmarks to be shown.
    #[arg(long, env = "BANK_RESULTS_DIRECTORY", value_parser = parse_directory)]
    pub results_directory: Option<PathBuf>,

    /// WebSockets that one address may have open.
    #[arg(
        long,
        env = "BANK_SOCKETS_PER_ADDRESS",
        default_value_t = SOCKETS_PER_ADDRESS as u64,
        value_parser = clap::value_parser!(u64).range(1..=SOCKETS_MAX as u64)
    )]
    pub sockets_per_address: u64,

    /// Demo users with visible passwords, and a public company account.
    #[arg(
        long,
        env = "BANK_DEMO_MODE",
        default_value = "false",
        action = clap::ArgAction::Set
    )]
    pub demo_mode: bool,

    /// Make the read model anew from the topics beside the old one, put it in its place, and
    /// end.
    #[arg(long)]
    pub rebuild: bool,

    /// Print the API's schema and end.
    #[arg(long, exclusive = true)]
    pub print_schema: bool,
}

impl ServiceConfig for Config {
    fn common(&self) -> &CommonConfig {
        &self.common
    }
}

fn parse_secret_database_url(text: &str) -> Result<Token, String> {
    parse_database_url(text).map(Token::new)
}

fn read_token_key(path: &str) -> Result<TokenKey, String> {
    TokenKey::from_hex(read_secret_file(path)?.secret().expose())
        .ok_or_else(|| "it must hold 64 hexadecimal characters".to_owned())
}

fn parse_address(text: &str) -> Result<String, String> {
    let valid = text.rsplit_once(':').is_some_and(|(host, port)| {
        let legal =
            |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '[' | ']' | ':');
        !host.is_empty()
            && host.chars().all(legal)
            && port.parse::<u16>().is_ok_and(|port| port > 0)
    });
    if valid {
        Ok(text.to_owned())
    } else {
        Err("it must be host:port".to_owned())
    }
}

fn parse_service(text: &str) -> Result<ServiceAddress, String> {
    let (name, address) = text
        .split_once('=')
        .ok_or("each service is name=host:port")?;
    let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.is_empty() || name.len() > SERVICE_NAME_CHARACTERS_MAX || !name.chars().all(legal) {
        return Err(format!("`{name}` is no name of a service"));
    }
    Ok(ServiceAddress {
        name: name.to_owned(),
        address: parse_address(address)?,
    })
}

fn parse_directory(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if path.is_dir() {
        Ok(path)
    } else {
        Err("no such folder".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn a_setting_that_cannot_work_is_refused_by_name() {
        let folder = tempfile::tempdir().unwrap();
        let key = folder.path().join("token.key");
        std::fs::write(&key, format!("{}\n", "ab".repeat(32))).unwrap();
        let short = folder.path().join("short.key");
        std::fs::write(&short, "not hexadecimal, but long enough to be a secret").unwrap();
        let good = [
            ("--database-url", "postgres://u:canary@127.0.0.1:1/db"),
            ("--token-key-file", key.to_str().unwrap()),
            ("--listen-address", "127.0.0.1:0"),
        ];
        let line = |replaced: Option<(&'static str, String)>| {
            let mut line = vec!["graphql-endpoint".to_owned()];
            for (name, value) in good {
                let value = match &replaced {
                    Some((other, value)) if *other == name => value.clone(),
                    _ => value.to_owned(),
                };
                line.extend([name.to_owned(), value]);
            }
            if let Some((name, value)) = replaced
                && good.iter().all(|(other, _)| *other != name)
            {
                line.extend([name.to_owned(), value]);
            }
            line
        };
        let config = Config::try_parse_from(line(None)).unwrap();
        assert!(!format!("{config:?}").contains("canary"));
        assert!(!format!("{config:?}").contains("abab"));
        for (name, value) in [
            ("--database-url", "127.0.0.1/db".to_owned()),
            ("--token-key-file", "/nowhere".to_owned()),
            ("--token-key-file", short.display().to_string()),
            ("--listen-address", "8181".to_owned()),
            ("--services", "command-handler".to_owned()),
            ("--services", "command-handler=".to_owned()),
            ("--services", "Handler=127.0.0.1:1".to_owned()),
            ("--services", "handler=127.0.0.1:1,".to_owned()),
            ("--auditor-address", "127.0.0.1".to_owned()),
            ("--auditor-address", "http://127.0.0.1:1".to_owned()),
            ("--heartbeat-address", "127.0.0.1:0".to_owned()),
            ("--results-directory", "/nowhere".to_owned()),
        ] {
            let error = Config::try_parse_from(line(Some((name, value)))).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
        let services = "command-handler=127.0.0.1:1,command-handler=handler-2:2";
        let config = Config::try_parse_from(line(Some(("--services", services.to_owned()))));
        let services = config.unwrap().services;
        let addresses = services.iter().map(|it| it.address.as_str());
        assert_eq!(
            addresses.collect::<Vec<_>>(),
            ["127.0.0.1:1", "handler-2:2"]
        );
    }
}
