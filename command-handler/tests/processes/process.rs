//! Handlers as whole processes: the program itself, or the same with a watcher that stops
//! it at a step.

use std::process::{Command, ExitCode};

use clap::Parser;
use command_handler::steps::{Step, Steps};
use command_handler::{Config, run_watched};
pub(crate) use local_cluster::testing::watched::{Action, Process};
use local_cluster::testing::watched::{run_to_its_end, watched};
use tokio_postgres::NoTls;
use topology::steps::Interrupted;

use crate::world::World;
use crate::{PATIENCE, eventually};

/// Where and how a watched handler is stopped.
pub(crate) type Stop = local_cluster::testing::watched::Stop<Step>;

/// Settings of one process that differ.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) database_url: Option<&'a str>,
    pub(crate) batch_max: Option<u64>,
    pub(crate) classic: bool,
    pub(crate) stop: Option<Stop>,
}

/// The program as users run it.
pub(crate) fn start(world: &World) -> Process {
    start_with(world, Settings::default())
}

pub(crate) fn start_with(world: &World, settings: Settings<'_>) -> Process {
    let mut command = match settings.stop {
        None => Command::new(env!("CARGO_BIN_EXE_command-handler")),
        Some(stop) => watched("process::a_watched_handler", &stop),
    };
    let file = |name: &str| world.folder.join(name);
    let database_url = settings.database_url.unwrap_or(&world.books.url);
    command
        .env("BANK_KAFKA_BROKERS", &world.cluster.kafka_brokers)
        .env("BANK_TOPIC_PREFIX", &world.prefix)
        .env(
            "BANK_SCHEMA_REGISTRY_URL",
            &world.cluster.schema_registry_url,
        )
        .env("BANK_DATABASE_URL", database_url)
        .env("BANK_HANDLER_KEY_FILE", file("handler.key"))
        .env("BANK_COMPANY_TOKEN_FILE", file("company.token"));
    if let Some(batch_max) = settings.batch_max {
        command.env("BANK_BATCH_MAX", batch_max.to_string());
    }
    if settings.classic {
        command.env("BANK_KAFKA_GROUP_PROTOCOL", "classic");
    }
    Process::spawn(command, &file(&format!("{}.log", world.next_process())))
}

/// Not a test: the handler as the tests start it when it is to stop at a step. It ends at
/// once when the harness runs it.
#[test]
fn a_watched_handler() {
    if let Some(stop) = Stop::asked_for(&Step::ALL) {
        let code = watched_handler(stop);
        std::process::exit(i32::from(code != ExitCode::SUCCESS));
    }
}

fn watched_handler(stop: Stop) -> ExitCode {
    let config = Config::try_parse_from(["command-handler"]).unwrap();
    topology::telemetry::start(&config.common.log, config.common.log_format);
    let database_url = config.database_url.clone();
    let watcher = stop.watcher(move |step| {
        if step == Step::CommitSent {
            wait_for_commit(&database_url);
        }
    });
    let steps = Steps::watched_by(move |step| watcher(step).map_err(Interrupted));
    let service = async {
        let signal = topology::shutdown::on_signal().unwrap();
        run_watched(config, signal, steps).await
    };
    run_to_its_end(service, |error| topology::service::chain(error))
}

/// Blocks until the server has worked off what was sent to it: then the commit is done,
/// and its answer is on the way to a reader who does not read.
fn wait_for_commit(database_url: &str) {
    let database_url = database_url.to_owned();
    let waiting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&database_url, NoTls).await.unwrap();
            tokio::spawn(connection);
            eventually("the commit is done", PATIENCE, async || {
                let busy = "select count(*) from pg_stat_activity \
                            where datname = current_database() and state <> 'idle' \
                              and application_name = 'command-handler'";
                let busy: i64 = client.query_one(busy, &[]).await.unwrap().get(0);
                (busy == 0).then_some(())
            })
            .await;
        });
    });
    waiting.join().unwrap();
}
