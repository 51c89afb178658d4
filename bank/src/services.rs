//! The bank's own programs: which, and with which variables.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::Context;
use local_cluster::{Cluster, Layout, Program, secret_file};

use crate::workspace::Workspace;

/// Makes topics, schemas and tables before all others start.
pub(crate) const SYNCHRONIZER: &str = "synchronizer";
/// Serves the page.
pub(crate) const GATEWAY: &str = "graphql-endpoint";
/// Sets the pace of the simulated public.
pub(crate) const HEARTBEAT: &str = "heartbeat";
/// Judges the others.
pub(crate) const AUDITOR: &str = "auditor";
/// The services, which are also the names of their programs, logs and port purposes.
pub(crate) const NAMES: [&str; 5] = [
    "command-handler",
    GATEWAY,
    "command-generator",
    HEARTBEAT,
    AUDITOR,
];
/// The consumer groups, for the lag.
pub(crate) const CONSUMER_GROUPS: [&str; 3] = ["command-handler", "command-generator", GATEWAY];

/// Variables of the caller that reach a service: tuning and logging. Everything else it gets from here only.
const PASSED_ON: [(&str, &str); 5] = [
    ("BANK_LOG", ""),
    ("BANK_LOG_FORMAT", ""),
    ("BANK_KAFKA_GROUP_PROTOCOL", ""),
    ("BANK_BATCH_MAX", "command-handler"),
    ("BANK_DEADLINE_SECONDS", SYNCHRONIZER),
];

/// What a database answers when it is asked to change something for the auditor.
const READ_ONLY: &str = "?options=-c%20default_transaction_read_only%3Don";
/// Memory that is free again goes back to the system at once: an audit takes a lot, and then none for long.
const KEEP_FREE_BYTES: &str = "131072";

/// The rate a restarted heartbeat goes on with, beside the state of the cluster.
pub(crate) fn rate_file(directory: &Path) -> PathBuf {
    directory.join("heartbeats_per_second")
}

/// What schema ids meant in earlier audits.
pub(crate) fn schema_memory(directory: &Path) -> PathBuf {
    directory.join("schema-ids.json")
}

/// Where the auditor sorts; what a killed one left there is removed at the next start.
pub(crate) fn audit_directory(layout: &Layout) -> PathBuf {
    layout.directory().join("audit")
}

/// The one-shot that comes before the services.
pub(crate) fn synchronizer(workspace: &Workspace, cluster: &Cluster) -> anyhow::Result<Program> {
    let program = Program::service(
        SYNCHRONIZER,
        workspace.program(SYNCHRONIZER),
        cluster.layout().directory().into(),
    );
    Ok(common(program, SYNCHRONIZER, cluster)
        .variable(
            "BANK_COMMAND_HANDLER_DATABASE_URL",
            cluster.database_url("command_handler")?,
        )
        .variable(
            "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
            cluster.database_url("graphql_endpoint")?,
        ))
}

/// The services.
pub(crate) fn services(
    workspace: &Workspace,
    cluster: &Cluster,
    page_port: u16,
) -> anyhow::Result<Vec<Program>> {
    let layout = cluster.layout();
    let secret = |name: &str| -> anyhow::Result<String> {
        Ok(secret_file(layout, name)?.display().to_string())
    };
    let mut programs = Vec::with_capacity(NAMES.len());
    for name in NAMES {
        let program = Program::service(name, workspace.program(name), layout.directory().into());
        let program = common(program, name, cluster)
            .variable("BANK_OPERATIONS_ADDRESS", operations_address(cluster, name));
        programs.push(match name {
            "command-handler" => program
                .variable(
                    "BANK_DATABASE_URL",
                    cluster.database_url("command_handler")?,
                )
                .variable("BANK_HANDLER_KEY_FILE", secret("handler.key")?)
                .variable("BANK_COMPANY_TOKEN_FILE", secret("company.token")?),
            GATEWAY => program
                .variable(
                    "BANK_DATABASE_URL",
                    cluster.database_url("graphql_endpoint")?,
                )
                .variable("BANK_LISTEN_ADDRESS", format!("127.0.0.1:{page_port}"))
                .variable(
                    "BANK_SITE_DIRECTORY",
                    workspace.site().display().to_string(),
                )
                .variable("BANK_TOKEN_KEY_FILE", secret("token.key")?)
                .variable(
                    "BANK_HEARTBEAT_ADDRESS",
                    operations_address(cluster, HEARTBEAT),
                )
                .variable("BANK_SERVICES", addresses(cluster))
                .variable("BANK_AUDITOR_ADDRESS", operations_address(cluster, AUDITOR))
                .variable("BANK_RESULTS_DIRECTORY", results(workspace)?)
                .variable("BANK_DEMO_MODE", "true"),
            "command-generator" => {
                program.variable("BANK_COMPANY_TOKEN_FILE", secret("company.token")?)
            }
            HEARTBEAT => program.variable(
                "BANK_RATE_FILE",
                rate_file(layout.directory()).display().to_string(),
            ),
            _ => auditor(program, cluster)?,
        });
    }
    Ok(programs)
}

fn auditor(program: Program, cluster: &Cluster) -> anyhow::Result<Program> {
    let layout = cluster.layout();
    let database =
        |name: &str| -> anyhow::Result<String> { Ok(cluster.database_url(name)? + READ_ONLY) };
    Ok(program
        .argument("--follow")
        .variable(
            "BANK_COMMAND_HANDLER_DATABASE_URL",
            database("command_handler")?,
        )
        .variable(
            "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
            database("graphql_endpoint")?,
        )
        .variable(
            "BANK_SCHEMA_MEMORY_FILE",
            schema_memory(layout.directory()).display().to_string(),
        )
        .variable(
            "BANK_SCRATCH_DIRECTORY",
            audit_directory(layout).display().to_string(),
        )
        .variable("MALLOC_MMAP_THRESHOLD_", KEEP_FREE_BYTES)
        .variable("MALLOC_TRIM_THRESHOLD_", KEEP_FREE_BYTES))
}

/// Where a service tells how it is.
pub(crate) fn operations_address(cluster: &Cluster, name: &str) -> String {
    format!("127.0.0.1:{}", cluster.port(name).unwrap_or_default())
}

/// What benchmarks have measured; made when nobody has measured yet.
fn results(workspace: &Workspace) -> anyhow::Result<String> {
    let results = workspace.results();
    std::fs::create_dir_all(&results)
        .with_context(|| format!("cannot make {}", results.display()))?;
    Ok(results.display().to_string())
}

/// All of them, for whoever shows how they are: `name=host:port,...`.
fn addresses(cluster: &Cluster) -> String {
    NAMES
        .map(|name| format!("{name}={}", operations_address(cluster, name)))
        .join(",")
}

fn common(program: Program, name: &str, cluster: &Cluster) -> Program {
    let endpoints = cluster.endpoints();
    let mut program = program
        .variable("BANK_KAFKA_BROKERS", &endpoints.kafka_brokers)
        .variable("BANK_SCHEMA_REGISTRY_URL", &endpoints.schema_registry_url)
        // Many threads that allocate little: one arena each would be memory that nobody uses.
        .variable("MALLOC_ARENA_MAX", "2");
    for (variable, only_for) in PASSED_ON {
        if let Ok(value) = env::var(variable)
            && (only_for.is_empty() || only_for == name)
        {
            program = program.variable(variable, value);
        }
    }
    program
}
