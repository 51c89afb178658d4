//! The benchmark in small, on the cluster of the test run: it measures what is there, and
//! the counts that hold on any machine hold. Times are never asserted.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use local_cluster::{Layout, testing};
use perf::clock::Clock;
use perf::drain::{self, Order};
use perf::installation::{Installation, Mode, Names, Site};
use perf::kills;
use perf::steady::{self, Step};
use perf::workload::Workload;
use tokio::runtime::Handle;

const ACCOUNTS: u32 = 300;
const COMMANDS: usize = 8_000;

async fn names(site: &Site, purpose: &str) -> Names {
    let database = testing::create_database(&site.endpoints, purpose)
        .await
        .unwrap();
    let gateway = testing::create_database(&site.endpoints, "perf_gateway")
        .await
        .unwrap();
    Names {
        topic_prefix: testing::unique_prefix("perf"),
        database: database.name,
        database_url: database.url,
        gateway_database: gateway.name,
        gateway_database_url: gateway.url,
    }
}

async fn site(directory: &Path) -> Site {
    let endpoints = tokio::task::spawn_blocking(testing::shared_cluster)
        .await
        .unwrap()
        .clone();
    let layout = Layout::new(directory);
    layout.create().unwrap();
    let programs = Path::new(env!("CARGO_BIN_EXE_articles-way"));
    let programs = programs.parent().unwrap().to_owned();
    for name in ["command-handler", "synchronizer"] {
        let program = programs.join(name);
        assert!(
            program.is_file(),
            "{} is missing; run the tests with `cargo bank test`",
            program.display()
        );
    }
    Site {
        endpoints,
        programs,
        layout,
        postgres_pid: None,
        kafka_pid: None,
        registry_pid: None,
        kafka_data: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_bank_when_it_is_measured_in_small_then_the_counts_that_must_hold_hold() {
    let folder = tempfile::tempdir().unwrap();
    let site = site(folder.path()).await;
    let ours = names(&site, "perf").await;
    let article = names(&site, "perf_article").await;
    let runtime = Handle::current();
    let measured = tokio::task::spawn_blocking(move || measure(&site, ours, article, &runtime));
    measured.await.unwrap();
}

fn measure(site: &Site, ours: Names, article: Names, runtime: &Handle) {
    let prepare = |names| {
        let (clock, stop) = (Clock::start(), Arc::default());
        Installation::prepare(site.clone(), names, runtime.clone(), clock, stop).unwrap()
    };
    let mut ours = prepare(ours);
    ours.seed(ACCOUNTS).unwrap();
    assert_eq!(ours.accounts.len(), 301, "the company is one more");

    let order = |mode, commands| Order {
        mode,
        workload: Workload::Hot50,
        commands,
        through_proxy: true,
    };
    let drained = drain::drain(&mut ours, order(Mode::Batches, COMMANDS)).unwrap();
    let sockets = drained.sockets.as_ref().unwrap();
    assert!(sockets.round_trips_per_batch <= 2.0, "{drained:?}");
    assert!(sockets.prepares_per_10_000 <= 10.0, "{drained:?}");
    // Of the batches alone: the start of a handler weighs too much in so short a drain.
    assert!(sockets.batches * 100 <= COMMANDS as u64, "{drained:?}");
    assert!(drained.syncs_per_command <= 0.02, "{drained:?}");
    assert!(drained.wal_bytes_per_command <= 4_000.0, "{drained:?}");

    let alone = drain::drain(&mut ours, order(Mode::OneAtATime, 100)).unwrap();
    let sockets = alone.sockets.as_ref().unwrap();
    assert!(sockets.round_trips_per_batch <= 2.0, "{alone:?}");
    assert_eq!((sockets.batch_median, sockets.batch_max), (1.0, 1));

    let mut handler = ours.start(Mode::Batches, None).unwrap();
    ours.wait_until_it_works(&mut handler).unwrap();
    let step = Step {
        rate: 200,
        warm_up: Duration::from_millis(500),
        measured: Duration::from_secs(1),
    };
    let steady = steady::step(&mut ours, &mut handler, Mode::Batches, step).unwrap();
    handler.stop().unwrap();
    assert_eq!((steady.commands, steady.balance.samples), (200, 200));
    assert!(steady.balance.max_ms < 60_000.0, "each was answered");

    let killed = kills::kills(&mut ours, Mode::Batches, 200, 1).unwrap();
    assert_eq!((killed.lost(), killed.doubled()), (0, 0), "{killed:?}");
    assert_eq!(killed.money_made_cents, 0);

    let mut baseline = prepare(article);
    baseline.copy_accounts(&ours.accounts).unwrap();
    let drained = drain::drain(&mut baseline, order(Mode::ArticlesWay, 200)).unwrap();
    assert!(drained.commits_per_command >= 4.0, "{drained:?}");
    let sockets = drained.sockets.as_ref().unwrap();
    assert!(sockets.round_trips_per_batch >= 4.0, "{drained:?}");
}
