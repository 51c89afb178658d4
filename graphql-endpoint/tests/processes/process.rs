//! A gateway as a process: the program itself, or the same with a watcher that stops it at
//! a step.

use std::process::{Command, ExitCode};

use clap::Parser;
use graphql_endpoint::config::Config;
use graphql_endpoint::run_watched;
use graphql_endpoint::steps::{Step, Steps};
pub(crate) use local_cluster::testing::watched::{Action, Process};
use local_cluster::testing::watched::{run_to_its_end, watched};
use topology::steps::Interrupted;

use crate::world::World;

/// Where and how a watched gateway is stopped.
pub(crate) type Stop = local_cluster::testing::watched::Stop<Step>;

/// The program as users run it, or a watched one.
pub(crate) fn start(world: &World, address: &str, stop: Option<Stop>) -> Process {
    let mut command = match stop {
        None => Command::new(env!("CARGO_BIN_EXE_graphql-endpoint")),
        Some(stop) => watched("process::a_watched_gateway", &stop),
    };
    command
        .env("BANK_KAFKA_BROKERS", &world.cluster.kafka_brokers)
        .env("BANK_TOPIC_PREFIX", &world.kafka.topic_prefix)
        .env(
            "BANK_SCHEMA_REGISTRY_URL",
            &world.cluster.schema_registry_url,
        )
        .env("BANK_DATABASE_URL", &world.read_model.url)
        .env("BANK_TOKEN_KEY_FILE", world.folder.join("token.key"))
        .env("BANK_LISTEN_ADDRESS", address)
        .env("BANK_DEMO_MODE", "true");
    let log = world.folder.join(format!("{}.log", world.next_process()));
    Process::spawn(command, &log)
}

/// Not a test: the gateway as the tests start it when it is to stop at a step. It ends at
/// once when the harness runs it.
#[test]
fn a_watched_gateway() {
    if let Some(stop) = Stop::asked_for(&Step::ALL) {
        let code = watched_gateway(stop);
        std::process::exit(i32::from(code != ExitCode::SUCCESS));
    }
}

fn watched_gateway(stop: Stop) -> ExitCode {
    let config = Config::try_parse_from(["graphql-endpoint"]).unwrap();
    topology::telemetry::start(&config.common.log, config.common.log_format);
    let watcher = stop.watcher(|_| {});
    let steps = Steps::watched_by(move |step| watcher(step).map_err(Interrupted));
    let service = async {
        let signal = topology::shutdown::on_signal().unwrap();
        run_watched(config, signal, steps).await
    };
    run_to_its_end(service, |error| topology::service::chain(error))
}
