//! Installing Debian packages, where that is ours to do.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Context;
use local_cluster::{find_program, last_lines};

use crate::failure::Failure;

/// Read by Debian's PostgreSQL package when it is installed.
const CLUSTER_CONFIGURATION: &str = "/etc/postgresql-common/createcluster.conf";

/// True on Debian or Ubuntu as root.
pub(crate) fn is_ours_to_use() -> bool {
    rustix::process::geteuid().is_root() && find_program("apt-get").is_some()
}

/// The command that a person would type.
pub(crate) fn command_line(packages: &[&str]) -> String {
    format!(
        "apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

/// Installs `packages`; what apt says goes to `log_file`.
pub(crate) fn install(packages: &[&str], log_file: &Path) -> anyhow::Result<()> {
    if packages.contains(&"postgresql") {
        do_not_start_a_system_server()?;
    }
    println!("  installing {} with apt", packages.join(" "));
    let log = fs::File::create(log_file)
        .with_context(|| format!("cannot write {}", log_file.display()))?;
    let mut arguments = vec!["install", "--yes", "--no-install-recommends"];
    arguments.extend(packages);
    for arguments in [vec!["update"], arguments] {
        let status = Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?)
            .status()
            .context("cannot run apt-get")?;
        if !status.success() {
            let text = format!(
                "`apt-get {}` failed ({status}), see {}:\n{}",
                arguments.join(" "),
                log_file.display(),
                last_lines(log_file)
            );
            return Err(Failure::Missing(text).into());
        }
    }
    Ok(())
}

/// Debian makes and starts a server of its own on port 5432; the bank has no use for it.
fn do_not_start_a_system_server() -> anyhow::Result<()> {
    let path = Path::new(CLUSTER_CONFIGURATION);
    if path.exists() {
        return Ok(());
    }
    let folder = path.parent().context("the configuration is in a folder")?;
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, "create_main_cluster = false\n"))
        .with_context(|| format!("cannot write {CLUSTER_CONFIGURATION}"))
}
