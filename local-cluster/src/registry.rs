//! Apicurio Registry: the schema registry, stored in PostgreSQL, asked by its Confluent API.

use std::{fs, time::Duration};

use rustix::process::Signal;

use crate::{
    ClusterError, Layout, PostgresEndpoint,
    java::Java,
    program::{Program, Stage},
    readiness::{answers, wait_until_ready},
    secrets::secret,
    supervision::Supervisor,
};

/// The process name, log name, port purpose, database and role.
pub(crate) const NAME: &str = "registry";

/// From the start of the process to its first answer; the first start makes its tables.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// A clean stop, and once the class archive.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// One request while it starts.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(3);

const JVM_OPTIONS: [&str; 7] = [
    "-Xmx96m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
];

/// Says how the registry is run.
pub(crate) fn prepare(
    layout: &Layout,
    java: &Java,
    port: u16,
    postgres: &PostgresEndpoint,
) -> Result<Program, ClusterError> {
    let jar = java.registry_jar()?;
    let folder = layout.registry();
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).map_err(ClusterError::io("create", &temporary))?;
    let mut temporary_option = std::ffi::OsString::from("-Djava.io.tmpdir=");
    temporary_option.push(&temporary);
    let mut program = Program::service(NAME, java.executable.clone(), folder);
    for option in JVM_OPTIONS {
        program = program.argument(option);
    }
    program = program
        .argument(temporary_option)
        .argument("-jar")
        .argument(jar)
        .variable("APICURIO_STORAGE_KIND", "sql")
        .variable("APICURIO_STORAGE_SQL_KIND", "postgresql")
        .variable(
            "APICURIO_DATASOURCE_URL",
            format!(
                "jdbc:postgresql://{}:{}/{NAME}",
                postgres.host, postgres.port
            ),
        )
        .variable("APICURIO_DATASOURCE_USERNAME", NAME)
        .variable(
            "APICURIO_DATASOURCE_PASSWORD",
            secret(layout, "registry.password")?,
        )
        // A handful of schemas, asked for at the start of a service: few connections will do.
        .variable("APICURIO_DATASOURCE_JDBC_INITIAL_SIZE", "2")
        .variable("APICURIO_DATASOURCE_JDBC_MIN_SIZE", "2")
        .variable("APICURIO_DATASOURCE_JDBC_MAX_SIZE", "8")
        .variable("QUARKUS_HTTP_HOST", "127.0.0.1")
        .variable("QUARKUS_HTTP_PORT", port.to_string())
        // A line per request helps nobody and would grow without end.
        .variable("QUARKUS_HTTP_ACCESS_LOG_ENABLED", "false")
        .variable("QUARKUS_LOG_LEVEL", "WARN")
        .variable("QUARKUS_BANNER_ENABLED", "false")
        .variable("MALLOC_ARENA_MAX", "2");
    program.stage = Stage::Registry;
    program.stop_signal = Signal::TERM;
    program.stop_deadline = STOP_DEADLINE;
    program.class_archive = Some(java.class_archive(NAME));
    Ok(program)
}

/// Waits until the registry lists its subjects, which takes its database too.
pub(crate) async fn ready(supervisor: &Supervisor, url: &str) -> Result<(), ClusterError> {
    let client = reqwest::Client::builder()
        .timeout(REQUEST_TIMEOUT)
        .no_proxy()
        .build()
        .map_err(|error| ClusterError::Io {
            action: "ask",
            path: url.into(),
            source: std::io::Error::other(error),
        })?;
    let url = format!("{url}/subjects");
    wait_until_ready(supervisor, NAME, READY_DEADLINE, || answers(&client, &url)).await
}
