//! Stopping what runs, whoever started it.

use std::{
    path::Path,
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::bail;
use local_cluster::{Layout, State, clean_up};
use rustix::process::Signal;

/// Longer than all the parts may take together.
const DEADLINE: Duration = Duration::from_secs(120);

/// The command `down`.
pub(crate) async fn down(directory: &Path) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    if stop(directory).await? {
        println!(
            "Stopped in {:.1} s; the data stays in {}.",
            started.elapsed().as_secs_f64(),
            directory.display()
        );
    } else {
        println!("Nothing runs in {}.", directory.display());
    }
    Ok(ExitCode::SUCCESS)
}

/// Stops everything of `directory`; false when nothing ran.
pub(crate) async fn stop(directory: &Path) -> anyhow::Result<bool> {
    let layout = Layout::new(directory);
    let Some(state) = State::load(&layout)? else {
        return Ok(false);
    };
    let mut ran = false;
    if let Some(supervisor) = state.supervisor.filter(|supervisor| supervisor.is_alive()) {
        ran = true;
        supervisor.signal(Signal::TERM);
        if !supervisor.wait_until_gone(DEADLINE).await {
            bail!(
                "the supervisor (pid {}) does not end; see {}",
                supervisor.pid,
                layout.log_file("bank").display()
            );
        }
    }
    // A supervisor that was killed has left its processes behind.
    let left_behind = clean_up(&layout).await?;
    Ok(ran || !left_behind.is_empty())
}
