//! What the bank needs of a machine: checked first, installed where that is ours to do, else named with the exact
//! command that brings it.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use local_cluster::{
    OLDEST_JAVA, find_java, find_postgres, find_program, jars_are_cached, java_version,
};

use crate::{apt, failure::Failure, progress::step, workspace::Workspace};

/// The page's target.
pub(crate) const PAGE_TARGET: &str = "wasm32-unknown-unknown";

/// What is about to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum For {
    /// `up --cluster`.
    Cluster,
    /// `build`.
    Build,
    /// `up`.
    Up,
    /// `perf`.
    Perf,
    /// `test`.
    Test,
}

/// One thing that must be there.
struct Need {
    what: &'static str,
    /// Debian packages that bring it.
    packages: &'static [&'static str],
    wanted_for: &'static [For],
    is_met: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        what: "a C and C++ toolchain, for the Kafka client",
        packages: &["gcc", "g++", "make", "python3"],
        wanted_for: &[For::Build, For::Up, For::Perf, For::Test],
        is_met: || {
            ["gcc", "g++", "make", "python3"]
                .iter()
                .all(|name| find_program(name).is_some())
        },
    },
    Need {
        what: "Java 17 or newer",
        packages: &["default-jre-headless"],
        wanted_for: &[For::Cluster, For::Up, For::Perf, For::Test],
        is_met: || {
            find_java()
                .and_then(|java| java_version(&java))
                .is_some_and(|version| version >= OLDEST_JAVA)
        },
    },
    Need {
        what: "Maven",
        packages: &["maven"],
        wanted_for: &[For::Cluster, For::Up, For::Perf, For::Test],
        is_met: || jars_are_cached() || find_program("mvn").is_some(),
    },
    Need {
        what: "the server programs of PostgreSQL",
        packages: &["postgresql"],
        wanted_for: &[For::Cluster, For::Up, For::Perf, For::Test],
        is_met: || find_postgres().is_some(),
    },
    Need {
        what: "Python 3 with venv, for the independent client in the tests",
        packages: &["python3", "python3-venv"],
        wanted_for: &[For::Test],
        is_met: || succeeds(Command::new("python3").args(["-c", "import venv, ensurepip"])),
    },
    Need {
        what: "Node.js with npm, for the clients of others in the tests",
        packages: &["nodejs", "npm"],
        wanted_for: &[For::Test],
        is_met: || find_program("node").is_some() && find_program("npm").is_some(),
    },
    Need {
        what: "Valgrind, which counts what a command costs",
        packages: &["valgrind"],
        wanted_for: &[For::Test],
        is_met: || find_program("valgrind").is_some(),
    },
    Need {
        what: "Chromium, for the journey in a browser",
        packages: &["chromium"],
        wanted_for: &[For::Test],
        is_met: || {
            ["chromium", "google-chrome", "chromium-browser"]
                .iter()
                .any(|name| find_program(name).is_some())
        },
    },
    Need {
        what: "ChromeDriver, for the journey in a browser",
        packages: &["chromium-driver"],
        wanted_for: &[For::Test],
        is_met: || find_program("chromedriver").is_some(),
    },
];

/// Checks everything that `purpose` needs.
pub(crate) fn check(purpose: For, workspace: &Workspace) -> anyhow::Result<()> {
    step("checked what this machine has", || {
        let missing = || {
            NEEDS
                .iter()
                .filter(|need| need.wanted_for.contains(&purpose) && !(need.is_met)())
        };
        let first: Vec<&Need> = missing().collect();
        if !first.is_empty() && apt::is_ours_to_use() {
            let packages: Vec<&str> = first
                .iter()
                .flat_map(|need| need.packages)
                .copied()
                .collect();
            apt::install(&packages, &workspace.target.join("apt.log"))?;
        }
        let still: Vec<&Need> = missing().collect();
        if !still.is_empty() {
            return Err(Failure::Missing(advice(&still)).into());
        }
        if !matches!(purpose, For::Cluster | For::Perf) {
            page_target()
        } else {
            Ok(())
        }
    })
}

fn advice(missing: &[&Need]) -> String {
    let whats: Vec<&str> = missing.iter().map(|need| need.what).collect();
    let packages: Vec<&str> = missing
        .iter()
        .flat_map(|need| need.packages)
        .copied()
        .collect();
    format!(
        "this machine lacks {}; on Debian or Ubuntu: sudo {}",
        whats.join("; "),
        apt::command_line(&packages)
    )
}

/// Adds the page's target to the toolchain in use.
fn page_target() -> anyhow::Result<()> {
    let folder = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", PAGE_TARGET])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let has_target = || {
        let output = folder
            .as_ref()
            .ok()
            .filter(|output| output.status.success())?;
        Some(Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir())
    };
    if has_target().unwrap_or(false) {
        return Ok(());
    }
    println!("  adding the Rust target {PAGE_TARGET}");
    let command = format!("rustup target add {PAGE_TARGET}");
    if succeeds(Command::new("rustup").args(["target", "add", PAGE_TARGET])) {
        return Ok(());
    }
    Err(Failure::Missing(format!(
        "the Rust target of the page is missing and could not be added: {command}"
    ))
    .into())
}

fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}
