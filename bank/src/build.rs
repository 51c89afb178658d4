//! Building the services and the page.

use anyhow::{Context, bail};

use crate::{page, preflight::PAGE_TARGET, progress::step, services, workspace::Workspace};

/// Builds what is not up to date.
pub(crate) fn build(workspace: &Workspace) -> anyhow::Result<()> {
    step("built the services", || {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--quiet", "--bins"]);
        for name in std::iter::once(services::SYNCHRONIZER).chain(services::NAMES) {
            cargo.args(["--package", name]);
        }
        run(&mut cargo)
    })?;
    step("built the page", || {
        let mut cargo = workspace.cargo();
        cargo.args([
            "build",
            "--quiet",
            "--profile",
            "wasm-release",
            "--package",
            "frontend",
            "--lib",
        ]);
        cargo.args(["--target", PAGE_TARGET]);
        run(&mut cargo)?;
        page::assemble(workspace)
    })
}

/// Builds what the benchmark of the handler starts.
pub(crate) fn build_for_perf(workspace: &Workspace) -> anyhow::Result<()> {
    step("built the handler and its baseline", || {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--quiet", "--bins"]);
        for name in [services::SYNCHRONIZER, "command-handler", "perf"] {
            cargo.args(["--package", name]);
        }
        run(&mut cargo)
    })
}

/// Builds what the fault lab starts.
pub(crate) fn build_for_lab(workspace: &Workspace) -> anyhow::Result<()> {
    step("built the services", || {
        let mut cargo = workspace.cargo();
        cargo.args(["build", "--release", "--quiet", "--bins"]);
        for name in std::iter::once(services::SYNCHRONIZER).chain(services::NAMES) {
            cargo.args(["--package", name]);
        }
        run(&mut cargo)
    })
}

fn run(cargo: &mut std::process::Command) -> anyhow::Result<()> {
    let status = cargo.status().context("cannot run cargo")?;
    if !status.success() {
        bail!("cargo failed ({status}); what it said is above");
    }
    Ok(())
}
