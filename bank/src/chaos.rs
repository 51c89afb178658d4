//! Breaking a bank of the lab's own, on purpose, and saying what came of it.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context, bail};
use fault_lab::{
    Request,
    bank::{Site, directory, silent},
    inject::fake_time_library,
    report::Results,
    scenario::Need,
};

use tokio_util::sync::CancellationToken;

use crate::{apt, build, failure::Failure, preflight, up::Signals, workspace::Workspace};

/// Threads of the lab: the proxies must not wait for the clients.
const THREADS: usize = 2;
/// The Debian package with the library that lies to one process about the time.
const FAKE_TIME: &str = "libfaketime";

/// What is to be broken and where the results go.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) scenarios: Vec<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) seconds: u64,
    pub(crate) json: Option<PathBuf>,
    pub(crate) list: bool,
}

/// The command `chaos`.
pub(crate) fn chaos(workspace: &Workspace, wish: &Wish) -> anyhow::Result<ExitCode> {
    if wish.list || wish.scenarios.is_empty() {
        print!("{}", fault_lab::list());
        return Ok(ExitCode::SUCCESS);
    }
    let seed = wish.seed.unwrap_or_else(random_seed);
    let plans = fault_lab::plans(&wish.scenarios, seed, wish.seconds)
        .map_err(|error| Failure::Usage(error.to_string()))?;
    preflight::check(preflight::For::Perf, workspace)?;
    if plans.iter().any(|plan| plan.need == Need::FakeTime) {
        bring_fake_time(workspace);
    }
    build::build_for_lab(workspace)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()?;
    let stop = CancellationToken::new();
    let request = Request {
        stop: stop.clone(),
        scenarios: wish.scenarios.clone(),
        seed,
        swarm_seconds: wish.seconds,
        site: Site {
            programs: workspace.target.join("release"),
            directory: directory(&workspace.target),
        },
        commit: commit(workspace),
        report: silent(),
        progress: Arc::new(|line| println!("{line}")),
    };
    let results = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let lab = fault_lab::run(&request);
        tokio::pin!(lab);
        tokio::select! {
            results = &mut lab => anyhow::Ok(results?),
            () = signals.any() => {
                // It stops what it has started first.
                stop.cancel();
                Ok(lab.await?)
            }
        }
    })?;
    println!("\n{}", results.summary());
    if let Some(path) = &wish.json {
        save(&results, path)?;
    }
    if stop.is_cancelled() {
        bail!("interrupted");
    }
    if results.hold() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("not every scenario holds; the same again: --seed {seed}")
}

/// Installs what one scenario needs, where that is ours to do; without it that one is skipped, and says why.
fn bring_fake_time(workspace: &Workspace) {
    if fake_time_library().is_some() || !apt::is_ours_to_use() {
        return;
    }
    if let Err(error) = apt::install(&[FAKE_TIME], &workspace.target.join("apt.log")) {
        println!("  {FAKE_TIME} could not be installed: {error:#}");
    }
}

fn save(results: &Results, path: &PathBuf) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(results)?;
    std::fs::write(path, text + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("The results are in {}.", path.display());
    Ok(())
}

/// Small, so that it can be typed.
fn random_seed() -> u64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    u64::from(since.subsec_nanos()) % 1_000_000
}

fn commit(workspace: &Workspace) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(&workspace.root)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}
