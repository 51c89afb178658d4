//! Removing everything the bank knows.

use std::{
    fs,
    io::{BufRead, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context;
use local_cluster::Layout;

use crate::{down, failure::Failure};

/// The command `reset`.
pub(crate) async fn reset(directory: &Path, yes: bool) -> anyhow::Result<ExitCode> {
    if !directory.exists() {
        println!("There is nothing in {}.", directory.display());
        return Ok(ExitCode::SUCCESS);
    }
    let layout = Layout::new(directory);
    let is_ours = layout.lock_file().is_file() && layout.secrets().is_dir();
    if !is_ours {
        let text = format!(
            "{} is not a directory of the bank; it is left alone",
            directory.display()
        );
        return Err(Failure::Usage(text).into());
    }
    if !yes && !confirmed(directory)? {
        println!("Nothing was removed.");
        return Ok(ExitCode::FAILURE);
    }
    down::stop(directory).await?;
    fs::remove_dir_all(directory)
        .with_context(|| format!("cannot remove {}", directory.display()))?;
    println!("Removed {}.", directory.display());
    Ok(ExitCode::SUCCESS)
}

fn confirmed(directory: &Path) -> anyhow::Result<bool> {
    print!(
        "Stop the bank and remove all accounts, topics and logs in {}? [y/N] ",
        directory.display()
    );
    std::io::stdout().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
