//! Setting the pace of the simulated public.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Context, bail};
use local_cluster::{Layout, State, write_atomically};

use crate::services::{HEARTBEAT, rate_file};

const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// The command `load`.
pub(crate) async fn load(directory: &Path, heartbeats_per_second: u32) -> anyhow::Result<ExitCode> {
    let state = State::load(&Layout::new(directory))?.filter(State::is_supervised);
    let Some(state) = state else {
        bail!("the bank is not running; start it with: cargo bank up --detach")
    };
    let port = state
        .ports
        .get(HEARTBEAT)
        .filter(|_| state.programs.contains_key(HEARTBEAT));
    let Some(port) = port else {
        bail!("only the cluster runs, without heartbeat; start the bank with: cargo bank up")
    };
    // First what a restarted heartbeat goes on with, so that one that dies right now comes back with it.
    write_atomically(
        &rate_file(directory),
        heartbeats_per_second.to_string().as_bytes(),
    )?;
    let client = reqwest::Client::builder()
        .no_proxy()
        .timeout(REQUEST_TIMEOUT)
        .build()?;
    let response = client
        .put(format!("http://127.0.0.1:{port}/rate"))
        .json(&serde_json::json!({ "heartbeats_per_second": heartbeats_per_second }))
        .send()
        .await
        .context("heartbeat does not answer; see: cargo bank logs heartbeat")?;
    if !response.status().is_success() {
        let status = response.status();
        bail!(
            "heartbeat refused the rate ({status}): {}",
            response.text().await.unwrap_or_default()
        );
    }
    println!("{heartbeats_per_second} heartbeats per second");
    Ok(ExitCode::SUCCESS)
}
