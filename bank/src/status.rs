//! What runs, where it is reached, how much it uses, what flows, and who is behind.

use std::{collections::BTreeMap, path::Path, process::ExitCode, time::Duration};

use anyhow::Context;
use local_cluster::{Layout, ProgramState, State, Usage};
use serde::Serialize;

mod topics;

use crate::{services::NAMES, up::PAGE};

/// One question to a part.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);

/// The infrastructure, in the order shown.
const INFRASTRUCTURE: [&str; 3] = ["postgres", "kafka", "registry"];

/// The answer of `status --json`.
#[derive(Debug, Serialize)]
struct Status {
    addresses: Addresses,
    services: Vec<Service>,
    topics: Vec<topics::Topic>,
    consumer_lag: Vec<topics::Lag>,
    ready: bool,
}

#[derive(Debug, Default, Serialize)]
struct Addresses {
    page: Option<String>,
    kafka: Option<String>,
    schema_registry: Option<String>,
    postgres: Option<String>,
}

#[derive(Debug, Serialize)]
struct Service {
    name: String,
    pid: Option<u32>,
    state: Condition,
    restarts: u32,
    resident_kib: u64,
    cpu_seconds: f64,
}

/// How a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Condition {
    /// It runs and answers.
    Ready,
    /// It runs and does not answer yet.
    Starting,
    /// It died and will be started again.
    Restarting,
    /// It does not run and nobody will start it.
    Stopped,
}

/// The command `status`.
pub(crate) async fn status(directory: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let state = State::load(&Layout::new(directory))?.unwrap_or_default();
    let status = look(&state).await?;
    if json {
        println!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        print(&status);
    }
    Ok(if status.ready {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

async fn look(state: &State) -> anyhow::Result<Status> {
    let supervised = state.is_supervised();
    let addresses = if supervised {
        addresses(state)
    } else {
        Addresses::default()
    };
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(PROBE_TIMEOUT)
        .build()?;
    let mut services = Vec::new();
    let known = INFRASTRUCTURE.iter().chain(&NAMES);
    for (name, program) in known.filter_map(|name| state.programs.get_key_value(*name)) {
        services.push(service(&client, name, program, state, &addresses, supervised).await);
    }
    let runs = |name: &str| {
        services
            .iter()
            .any(|service| service.name == name && service.state == Condition::Ready)
    };
    let flows = match addresses.kafka.clone().filter(|_| runs("kafka")) {
        Some(brokers) => tokio::task::spawn_blocking(move || topics::look(&brokers))
            .await
            .context("the look at Kafka")?
            // Kafka may die while we look: the rest is still worth showing.
            .unwrap_or_default(),
        None => topics::Flows::default(),
    };
    let ready = supervised
        && state.ready
        && !services.is_empty()
        && services
            .iter()
            .all(|service| service.state == Condition::Ready);
    Ok(Status {
        addresses,
        services,
        topics: flows.topics,
        consumer_lag: flows.consumer_lag,
        ready,
    })
}

fn addresses(state: &State) -> Addresses {
    let port = |purpose: &str| state.ports.get(purpose).copied();
    Addresses {
        page: port(PAGE).map(|port| format!("http://127.0.0.1:{port}")),
        kafka: port("kafka").map(|port| format!("127.0.0.1:{port}")),
        schema_registry: port("registry")
            .map(|port| format!("http://127.0.0.1:{port}/apis/ccompat/v7")),
        postgres: port("postgres").map(|port| format!("127.0.0.1:{port}")),
    }
}

async fn service(
    client: &reqwest::Client,
    name: &str,
    program: &ProgramState,
    state: &State,
    addresses: &Addresses,
    supervised: bool,
) -> Service {
    let process = program.process.filter(|process| process.is_alive());
    let condition = match process {
        None if supervised => Condition::Restarting,
        None => Condition::Stopped,
        Some(_) if answers(client, name, state, addresses).await => Condition::Ready,
        Some(_) => Condition::Starting,
    };
    // The processes of PostgreSQL share most of their memory.
    let usage = process.and_then(|process| match name {
        "postgres" => Usage::of_tree(process.pid),
        _ => Usage::of(process.pid),
    });
    let usage = usage.unwrap_or_default();
    Service {
        name: name.to_owned(),
        pid: process.map(|process| process.pid),
        state: condition,
        restarts: program.restarts,
        resident_kib: usage.resident_kib,
        cpu_seconds: usage.cpu_seconds(),
    }
}

/// True when the part answers what it is there for.
async fn answers(
    client: &reqwest::Client,
    name: &str,
    state: &State,
    addresses: &Addresses,
) -> bool {
    let url = match name {
        "postgres" | "kafka" => {
            let port = state.ports.get(name).copied().unwrap_or_default();
            let connection = tokio::net::TcpStream::connect(("127.0.0.1", port));
            return tokio::time::timeout(PROBE_TIMEOUT, connection)
                .await
                .is_ok_and(|result| result.is_ok());
        }
        "registry" => format!(
            "{}/subjects",
            addresses.schema_registry.clone().unwrap_or_default()
        ),
        _ => format!(
            "http://127.0.0.1:{}/readyz",
            state.ports.get(name).copied().unwrap_or_default()
        ),
    };
    client
        .get(url)
        .send()
        .await
        .is_ok_and(|response| response.status().is_success())
}

fn print(status: &Status) {
    if status.services.is_empty() {
        println!("Nothing runs; start it with: cargo bank up");
        return;
    }
    println!("{}", if status.ready { "ready" } else { "not ready" });
    let addresses = &status.addresses;
    for (name, address) in [
        ("page", &addresses.page),
        ("kafka", &addresses.kafka),
        ("schema registry", &addresses.schema_registry),
        ("postgres", &addresses.postgres),
    ] {
        if let Some(address) = address {
            println!("  {name:<16} {address}");
        }
    }
    println!(
        "\n{:<18} {:>8} {:<11} {:>8} {:>9} {:>8}",
        "process", "pid", "state", "restarts", "memory", "cpu"
    );
    let mut resident_kib = 0;
    for service in &status.services {
        let pid = service
            .pid
            .map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let condition = format!("{:?}", service.state).to_lowercase();
        resident_kib += service.resident_kib;
        println!(
            "{:<18} {pid:>8} {condition:<11} {:>8} {:>5} MiB {:>6.1} s",
            service.name,
            service.restarts,
            service.resident_kib / 1024,
            service.cpu_seconds
        );
    }
    println!(
        "{:<18} {:>8} {:<11} {:>8} {:>5} MiB",
        "together",
        "",
        "",
        "",
        resident_kib / 1024
    );
    if !status.topics.is_empty() {
        println!("\n{:<28} {:>12} {:>12}", "topic", "records", "records/s");
        for topic in &status.topics {
            println!(
                "{:<28} {:>12} {:>12.1}",
                topic.name, topic.records, topic.records_per_second
            );
        }
    }
    let mut by_group: BTreeMap<&str, Vec<&topics::Lag>> = BTreeMap::new();
    for lag in &status.consumer_lag {
        by_group.entry(&lag.group).or_default().push(lag);
    }
    if !by_group.is_empty() {
        println!("\n{:<18} {:<28} {:>12}", "group", "topic", "lag");
        for lag in by_group.into_values().flatten() {
            println!("{:<18} {:<28} {:>12}", lag.group, lag.topic, lag.lag);
        }
    }
}
