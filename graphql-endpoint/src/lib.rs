//! The gateway: what people and their programs talk to.
//!
//! It takes commands through GraphQL and writes them to `confirm_account_creation` and
//! `confirm_money_transfer`; it reads `account_creation_feedback`,
//! `money_transfer_feedback` and `balance_changed` twice: once as the group
//! `graphql-endpoint`, into the read model (tables `account`, `account_transaction`,
//! `command`, with its offsets in `projection_offset`), and once per instance from the
//! end, for requests that wait and for live updates. Users are in `customer` and
//! `session`. Records that are of no use go to `dead_letters`. It also serves the page.
//!
//! Reading order: [`config`], [`facts`] (what a record means here), [`projection`] and
//! [`store`] (the read model), [`live`] (waiters, subscribers, the order of replay and
//! live), [`origin`], [`spans`] and [`commands`], [`edge`] (parsing what comes in), [`identity`], [`sign_in`],
//! [`payments`], [`topic_records`], [`journeys`] and [`trail`] (records as people look at
//! them), [`status`] (how the bank is), [`figures`] (metrics), [`results`] (of benchmarks),
//! [`authorisation`] (who may see what), [`graphql`], [`http`].

pub mod config;

pub mod facts;

pub mod filter;

pub mod projection;

pub mod store;

pub mod rebuild;

pub mod live;

pub mod origin;

pub mod spans;

pub mod commands;

pub mod edge;

pub mod rejection;

pub mod answer;

pub mod identity;

pub mod gateway;

pub mod figures;

pub mod authorisation;

pub mod sign_in;

pub mod payments;

pub mod sweeper;

pub mod topic_records;

pub mod journeys;

pub mod trail;

pub mod status;

pub mod results;

pub mod pace_maker;

pub mod demo;

pub mod graphql;

pub mod http;

pub mod limits;

pub mod steps;

pub mod error;

use std::sync::Arc;

use chrono::Utc;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use topology::Codec;
use topology::operations::{self, Readiness};
use topology::producer::Producer;

pub use config::Config;
use error::Error;
use figures::Figures;
use gateway::{
    Gateway, KNOB_PER_ADDRESS, LOG_INS_PER_ADDRESS, LOG_INS_PER_USER, READS_PER_ADDRESS,
    SIGN_UPS_PER_ADDRESS,
};
use identity::{Passwords, Throttle, TokenVault};
use journeys::Journeys;
use limits::Limits;
use live::Tail;
use live::hub::Hub;
use live::waiters::Waiters;
use pace_maker::PaceMaker;
use projection::Projection;
use results::Results;
use status::Board;
use status::collector::{self, Sources};
use steps::Steps;
use store::Store;
use topic_records::TopicRecords;

/// The API's schema as text, as in `schema.graphql`.
#[must_use]
pub fn schema_text() -> String {
    graphql::sdl()
}

/// Runs the gateway until told to stop. Whatever it stands on may be away, at the start
/// and later: it says so in `/readyz` and waits.
///
/// # Errors
/// When it cannot go on.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), Error> {
    run_watched(config, stop, Steps::default()).await
}

/// The same, with somebody who is told of each step: for tests that stop the gateway
/// between two of them.
///
/// # Errors
/// As [`run`], and when a step fails because the watcher says so.
pub async fn run_watched(
    config: Config,
    stop: CancellationToken,
    steps: Steps,
) -> Result<(), Error> {
    let limits = Limits {
        sockets_per_address: usize::try_from(config.sockets_per_address).unwrap_or(usize::MAX),
        ..Limits::default()
    };
    run_within(config, stop, steps, limits).await
}

/// The same within other limits: for tests that cannot wait so long.
///
/// # Errors
/// As [`run_watched`].
pub async fn run_within(
    config: Config,
    stop: CancellationToken,
    steps: Steps,
    limits: Limits,
) -> Result<(), Error> {
    let kafka = config.common.kafka.clone();
    let readiness = Readiness::waiting_for(&[
        "database",
        "kafka",
        "schema_registry",
        live::CONDITION,
        projection::CONDITION,
    ]);
    let store = Store::new(&config.database_url, steps.clone());
    {
        let store = store.clone();
        readiness.check("database", move || store.is_up());
    }
    let producer = Producer::new(&kafka, "graphql-endpoint").map_err(Error::Producer)?;
    let waiters = Arc::new(Waiters::default());
    let (broken, mut breaks) = mpsc::channel(1);
    let vault = Arc::new(TokenVault::new(&config.token_key_file));
    let board = Arc::new(Board::default());
    let hub = Arc::new(Hub::default());
    let journeys = Arc::new(Journeys::default());
    let pace_maker = PaceMaker::at(config.heartbeat_address);
    let sources = Sources {
        kafka: kafka.clone(),
        registry_url: config.common.schema_registry_url.clone(),
        services: config.services,
        auditor: config.auditor_address,
        pace_maker: pace_maker.clone(),
        store: store.clone(),
    };
    let records = TopicRecords::new(kafka.clone(), config.common.schema_registry_url.clone());
    let gateway = Arc::new(Gateway {
        commands: commands::Commands::new(
            producer.clone(),
            Arc::clone(&waiters),
            broken,
            steps.clone(),
            Arc::clone(&journeys),
        ),
        figures: Figures::of(&hub, &board.meter),
        hub,
        passwords: Passwords::start()?,
        vault: Arc::clone(&vault),
        pace_maker,
        records: Arc::new(records),
        journeys,
        board: Arc::clone(&board),
        results: Results::within(config.results_directory),
        reads_by_address: Throttle::per_minute(READS_PER_ADDRESS),
        knob_by_address: Throttle::per_minute(KNOB_PER_ADDRESS),
        log_ins_by_user: Throttle::per_minute(LOG_INS_PER_USER),
        log_ins_by_address: Throttle::per_minute(LOG_INS_PER_ADDRESS),
        sign_ups_by_address: Throttle::per_minute(SIGN_UPS_PER_ADDRESS),
        demo_mode: config.demo_mode,
        host_names: config.host_names,
        limits,
        steps,
        started_at: Utc::now(),
        store: store.clone(),
    });

    let mut parts: JoinSet<(&'static str, Result<(), Error>)> = JoinSet::new();
    {
        let (readiness, stop) = (readiness.clone(), stop.clone());
        let address = config.common.operations_address;
        parts.spawn(async move {
            let served = operations::serve(address, readiness, axum::Router::new(), stop).await;
            ("operations", served.map_err(Error::Serve))
        });
    }
    {
        let (readiness, stop) = (readiness.clone(), stop.clone());
        let gateway = Arc::clone(&gateway);
        let (address, site) = (config.listen_address, config.site_directory.clone());
        parts.spawn(async move {
            let served = http::serve(address, site.as_deref(), gateway, readiness, stop).await;
            ("http", served)
        });
    }
    {
        let stop = stop.clone();
        parts.spawn(async move {
            collector::run(&board, &sources, stop).await;
            ("status", Ok(()))
        });
    }
    {
        let (store, stop) = (store.clone(), stop.clone());
        parts.spawn(async move {
            tokio::select! {
                () = store.answer_together() => {}
                () = stop.cancelled() => {}
            }
            ("database", Ok(()))
        });
    }
    {
        let (store, stop) = (store.clone(), stop.clone());
        parts.spawn(async move {
            let watched = tokio::select! {
                watched = store.watch() => watched,
                () = stop.cancelled() => Ok(()),
            };
            ("database watch", watched)
        });
    }
    {
        let (gateway, stop) = (Arc::clone(&gateway), stop.clone());
        parts.spawn(async move {
            tokio::select! {
                () = gateway.settle_demo_users() => {}
                () = stop.cancelled() => {}
            }
            ("sweeper", gateway.sweep(stop).await)
        });
    }
    {
        let (gateway, stop) = (Arc::clone(&gateway), stop.clone());
        let url = config.common.schema_registry_url.clone();
        parts.spawn(async move {
            let read = read_topics(gateway, url, kafka, producer, waiters, readiness, stop).await;
            ("topics", read)
        });
    }

    let ended = tokio::select! {
        () = stop.cancelled() => None,
        Some(error) = breaks.recv() => Some(Err(error)),
        Some(part) = parts.join_next() => Some(match part {
            Ok((name, Ok(()))) => Err(Error::PartEnded(name)),
            Ok((_, Err(error))) => Err(error),
            Err(_) => Err(Error::PartEnded("a part")),
        }),
    };
    if let Some(result) = ended
        && !stop.is_cancelled()
    {
        return result;
    }
    // Told to stop: the parts end by themselves, in the time the process has.
    while parts.join_next().await.is_some() {}
    Ok(())
}

/// Everything that needs the registry first.
async fn read_topics(
    gateway: Arc<Gateway>,
    registry_url: String,
    kafka: topology::kafka::KafkaConfig,
    producer: Producer,
    waiters: Arc<Waiters>,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), Error> {
    let topics = kafka.topics();
    let codec = tokio::select! {
        () = stop.cancelled() => return Ok(()),
        codec = Codec::connect(&registry_url, &topics, &commands::WRITTEN) => Arc::new(codec),
    };
    gateway.commands.start(Arc::clone(&codec));
    gateway.records.start(Arc::clone(&codec));
    readiness.holds("schema_registry");
    let tail = Tail {
        codec: Arc::clone(&codec),
        hub: Arc::clone(&gateway.hub),
        waiters,
        steps: gateway.steps.clone(),
    };
    let projection = Projection {
        store: gateway.store.clone(),
        codec,
        producer: Some(producer),
        vault: Arc::clone(&gateway.vault),
        steps: gateway.steps.clone(),
        journeys: Arc::clone(&gateway.journeys),
        projected: gateway.figures.projected(),
    };
    tokio::try_join!(
        tail.run(&kafka, &readiness, stop.clone()),
        projection.run(&kafka, &readiness, stop.clone()),
    )?;
    Ok(())
}
