//! Running every test against one real cluster.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitCode},
    time::Instant,
};

use anyhow::{Context, bail};
use local_cluster::{Cluster, Event, testing::TEST_CLUSTER_VARIABLE};

use crate::{
    build, preflight,
    progress::{self, step},
    up::Signals,
    workspace::Workspace,
};

/// The independent implementations the tests compare with.
const PYTHON_PACKAGES: [&str; 3] = [
    "confluent-kafka==2.12.1",
    "fastavro==1.12.1",
    "gql[aiohttp,websockets]==4.4.0",
];

/// Tells the tests which Python has these packages.
const PYTHON_VARIABLE: &str = "BANK_TEST_PYTHON";
/// Tells the tests in which folder the packages of `e2e/node` are.
const NODE_VARIABLE: &str = "BANK_TEST_NODE";
/// What says which packages those are, exactly.
const NODE_FILES: [&str; 3] = ["package.json", "package-lock.json", ".npmrc"];

/// The command `test`.
pub(crate) async fn test(workspace: &Workspace, arguments: &[String]) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    preflight::check(preflight::For::Test, workspace)?;
    build::build(workspace)?;
    let python = step("prepared Python", || python(workspace))?;
    let node = step("prepared Node", || node(workspace))?;
    step("built the tests", || {
        let mut cargo = workspace.cargo();
        cargo.args(["test", "--release", "--quiet", "--workspace", "--no-run"]);
        let status = cargo.status().context("cannot run cargo")?;
        if status.success() {
            Ok(())
        } else {
            bail!("the tests do not build ({status})")
        }
    })?;

    let mut signals = Signals::new()?;
    let directory = workspace
        .target
        .join(format!("test-cluster-{}", std::process::id()));
    let cluster = Cluster::open(&directory, &[], progress::report(None)).await?;
    let outcome = tokio::select! {
        outcome = run(workspace, arguments, [&python, &node], &cluster) => outcome,
        () = signals.any() => Err(anyhow::anyhow!("interrupted")),
    };
    cluster.stop().await;
    let passed = outcome?;
    if passed {
        std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?;
    } else {
        println!(
            "The logs of the test cluster are in {}.",
            cluster.layout().logs().display()
        );
    }
    progress::say(&Event::Step {
        what: "tests, all in all".to_owned(),
        took: started.elapsed(),
    });
    Ok(if passed {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// True when every test passed.
async fn run(
    workspace: &Workspace,
    arguments: &[String],
    [python, node]: [&Path; 2],
    cluster: &Cluster,
) -> anyhow::Result<bool> {
    cluster.start().await?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--release"]);
    // Cargo would otherwise run all packages whatever else is asked for.
    if !arguments.iter().any(|argument| names_packages(argument)) {
        cargo.arg("--workspace");
    }
    cargo.args(arguments);
    cargo.env(
        TEST_CLUSTER_VARIABLE,
        serde_json::to_string(cluster.endpoints())?,
    );
    cargo.env(PYTHON_VARIABLE, python);
    cargo.env(NODE_VARIABLE, node);
    let status = tokio::process::Command::from(cargo)
        .status()
        .await
        .context("cannot run cargo")?;
    Ok(status.success())
}

/// True for an option of `cargo test` that chooses packages.
fn names_packages(argument: &str) -> bool {
    argument == "--package" || argument.starts_with("--package=") || argument.starts_with("-p")
}

/// A virtual environment with the packages; made again when their versions change.
fn python(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target.join("python");
    let python = folder.join("bin/python");
    let stamp = folder.join(".packages");
    let wanted = PYTHON_PACKAGES.join("\n");
    if python.is_file()
        && std::fs::read_to_string(&stamp).is_ok_and(|made_with| made_with == wanted)
    {
        return Ok(python);
    }
    succeed(
        Command::new("python3")
            .args(["-m", "venv", "--clear"])
            .arg(&folder),
    )?;
    succeed(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet"])
            .args(PYTHON_PACKAGES),
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(python)
}

/// The packages of others that the tests drive; installed again when they change.
fn node(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    let folder = workspace.target.join("node");
    let stamp = folder.join(".packages");
    std::fs::create_dir_all(&folder)?;
    let mut wanted = String::new();
    for name in NODE_FILES {
        let source = workspace.root.join("e2e/node").join(name);
        let text = std::fs::read_to_string(&source)
            .with_context(|| format!("cannot read {}", source.display()))?;
        std::fs::write(folder.join(name), &text)?;
        wanted.push_str(&text);
    }
    if std::fs::read_to_string(&stamp).is_ok_and(|made_with| made_with == wanted) {
        return Ok(folder);
    }
    succeed(
        Command::new("npm")
            .args(["ci", "--ignore-scripts", "--no-audit", "--no-fund"])
            .args(["--loglevel", "error"])
            .current_dir(&folder),
    )?;
    std::fs::write(stamp, wanted)?;
    Ok(folder)
}

fn succeed(command: &mut Command) -> anyhow::Result<()> {
    let status = command
        .status()
        .with_context(|| format!("cannot run {command:?}"))?;
    if !status.success() {
        bail!("{command:?} failed ({status})");
    }
    Ok(())
}
