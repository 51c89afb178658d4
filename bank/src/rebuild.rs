//! Making the read model anew from the topics, while the bank runs.

use std::{
    path::Path,
    process::{Command, ExitCode},
};

use anyhow::{Context, bail};
use local_cluster::{Layout, PostgresEndpoint, State, secret, secret_file, withhold};

use crate::{services::GATEWAY, workspace::Workspace};

/// The read model's database, and the role that owns it.
const DATABASE: &str = "graphql_endpoint";
/// How loud the program is, unless the caller says otherwise.
const LOG: (&str, &str) = ("BANK_LOG", "warn,graphql_endpoint=info");

/// The command `rebuild`.
pub(crate) fn rebuild(workspace: &Workspace, directory: &Path) -> anyhow::Result<ExitCode> {
    let layout = Layout::new(directory);
    let state = State::load(&layout)?.filter(State::is_supervised);
    let Some(state) = state else {
        bail!("the bank is not running; start it with: cargo bank up --detach")
    };
    let port = |purpose: &str| state.ports.get(purpose).copied().unwrap_or_default();
    let server = PostgresEndpoint {
        host: "127.0.0.1".to_owned(),
        port: port("postgres"),
        administrator: String::new(),
        password: String::new(),
    };
    let password = secret(&layout, &format!("{DATABASE}.password"))?;
    let log = std::env::var(LOG.0).unwrap_or_else(|_| LOG.1.to_owned());
    let program = workspace.program(GATEWAY);
    let mut command = Command::new(&program);
    withhold(&mut command);
    let status = command
        .arg("--rebuild")
        .env("BANK_KAFKA_BROKERS", format!("127.0.0.1:{}", port("kafka")))
        .env(
            "BANK_SCHEMA_REGISTRY_URL",
            format!("http://127.0.0.1:{}/apis/ccompat/v7", port("registry")),
        )
        .env(
            "BANK_DATABASE_URL",
            server.url(DATABASE, &password, DATABASE),
        )
        .env("BANK_TOKEN_KEY_FILE", secret_file(&layout, "token.key")?)
        .env(LOG.0, log)
        .status()
        .with_context(|| format!("could not start {}", program.display()))?;
    Ok(if status.success() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
