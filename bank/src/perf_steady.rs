//! Measuring the whole bank under one steady load: for long, and with what its Kafka clients say of themselves.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, atomic::AtomicBool},
};

use anyhow::Context;
use perf::bank::{kafka_clients, results::Results, sizes::Sizes, soak};
use tokio::runtime::Handle;

use crate::{
    build,
    perf_bank::{Setting, finish, request, start_services, with_cluster},
    preflight,
    workspace::Workspace,
};

/// Where the Kafka clients of every service keep what they say.
const STATISTICS_VARIABLE: &str = "BANK_KAFKA_STATISTICS_DIRECTORY";

/// The load, and where the results go.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) rate: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
}

/// The command `perf soak`.
pub(crate) async fn soak(
    workspace: &Workspace,
    minutes: u64,
    wish: &Wish,
) -> anyhow::Result<ExitCode> {
    preflight::check(preflight::For::Perf, workspace)?;
    build::build(workspace)?;
    let stop = Arc::new(AtomicBool::new(false));
    let held = soak::Wish {
        minutes,
        per_second: f64::from(wish.rate),
    };
    let results = with_cluster(workspace, &stop, async |cluster| {
        let port = start_services(workspace, cluster, None).await?;
        let request = request(workspace, cluster, port, Sizes::soak(), &stop).await?;
        let runtime = Handle::current();
        // It blocks; this thread goes on driving the cluster and the connections.
        let soaked = tokio::task::spawn_blocking(move || soak::run(request, runtime, held));
        Ok(soaked.await.context("the benchmark died")??)
    })
    .await?;
    finish(&results, wish.json.as_deref(), wish.html.as_deref())
}

/// The command `perf statistics`: two clusters, so that both begin alike.
pub(crate) async fn statistics(workspace: &Workspace, wish: &Wish) -> anyhow::Result<ExitCode> {
    preflight::check(preflight::For::Perf, workspace)?;
    build::build(workspace)?;
    let stop = Arc::new(AtomicBool::new(false));
    let without = held(workspace, wish, None, &stop).await?;
    // Outside of the cluster's own folder: its services make files of their own there.
    let folder = std::env::temp_dir().join(format!("bank-perf-statistics-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("cannot make {}", folder.display()))?;
    let with = held(workspace, wish, Some(&folder), &stop).await;
    // What is in it is in the results, or nobody wants it any more.
    let _ = std::fs::remove_dir_all(&folder);
    let results = kafka_clients::join(without, with?);
    finish(&results, wish.json.as_deref(), wish.html.as_deref())
}

async fn held(
    workspace: &Workspace,
    wish: &Wish,
    folder: Option<&Path>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Results> {
    let held = kafka_clients::Wish {
        per_second: f64::from(wish.rate),
        folder: folder.map(Path::to_owned),
    };
    let shown = folder.map(|it| it.display().to_string());
    let setting: Option<Setting<'_>> = shown
        .as_deref()
        .map(|folder| (None, STATISTICS_VARIABLE, folder));
    with_cluster(workspace, stop, async |cluster| {
        let port = start_services(workspace, cluster, setting).await?;
        let request = request(workspace, cluster, port, Sizes::statistics(), stop).await?;
        let (runtime, held) = (Handle::current(), held.clone());
        // It blocks; this thread goes on driving the cluster and the connections.
        let done = tokio::task::spawn_blocking(move || kafka_clients::run(request, runtime, &held));
        Ok(done.await.context("the benchmark died")??)
    })
    .await
}
