//! Kafka and the registry, then PostgreSQL, stay silent for half a minute under load:
//! everyone waits, at no cost, and afterwards not a cent and not an answer is missing.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Bank, PATIENCE, eventually};

const SILENCE: Duration = Duration::from_secs(30);
/// Answers flow again within this after the silence.
const RECOVERY: Duration = Duration::from_secs(30);
/// CPU time a service may spend on a silence: a fifth of a core. One that spins takes all.
const WAITING_CPU_MAX: Duration = Duration::from_secs(6);
const HEARTBEATS_PER_SECOND: &str = "200";
const SERVICES: [&str; 4] = [
    "command-handler",
    "graphql-endpoint",
    "command-generator",
    "heartbeat",
];

/// Processes that do not answer until this is dropped.
struct Silenced(Vec<String>);

impl Silenced {
    fn new(bank: &Bank, parts: &[&str]) -> Result<Silenced> {
        let mut silenced = Silenced(Vec::new());
        for part in parts {
            let pid = pid(bank, part)?;
            silenced.0.extend(children(&pid)?);
            silenced.0.push(pid);
        }
        silenced.signal("-STOP");
        Ok(silenced)
    }

    fn signal(&self, signal: &str) {
        // One that ended by itself in the meantime cannot be reached.
        let _ = Command::new("kill").arg(signal).args(&self.0).status();
    }
}

impl Drop for Silenced {
    fn drop(&mut self) {
        self.signal("-CONT");
    }
}

fn pid(bank: &Bank, service: &str) -> Result<String> {
    let row = bank.service(service)?;
    Ok(row["pid"].as_u64().context("it has no pid")?.to_string())
}

/// PostgreSQL is a process for each connection.
fn children(parent: &str) -> Result<Vec<String>> {
    let mut children = Vec::new();
    for process in std::fs::read_dir("/proc")?.flatten() {
        let status = std::fs::read_to_string(process.path().join("status")).unwrap_or_default();
        let of_parent = status
            .lines()
            .filter_map(|line| line.strip_prefix("PPid:"))
            .any(|of| of.trim() == parent);
        if of_parent {
            children.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    Ok(children)
}

/// CPU time a process has taken, all its threads together.
fn cpu_time(pid: &str) -> Result<Duration> {
    let mut nanoseconds = 0;
    for task in std::fs::read_dir(format!("/proc/{pid}/task"))?.flatten() {
        let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
        let first = text.split_whitespace().next().unwrap_or("0");
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn restarts(bank: &Bank) -> Result<Vec<u64>> {
    let count = |service: &&str| bank.service(service)?["restarts"].as_u64().context("none");
    SERVICES.iter().map(count).collect()
}

async fn answers_flow(bank: &Bank, patience: Duration) -> Result<()> {
    // A broker that has just come back may not tell at once.
    let before = eventually("answers are counted", patience, async || bank.answers()).await?;
    eventually("answers flow", patience, async || {
        let now = bank.answers()?;
        ensure!(now > before, "still {now} answers");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_load_when_parts_are_silent_for_half_a_minute_then_all_wait_idly_and_lose_nothing()
-> Result<()> {
    let bank = Bank::start("absence")?;
    bank.succeed(&["load", HEARTBEATS_PER_SECOND])?;
    answers_flow(&bank, PATIENCE).await?;
    let restarts_before = restarts(&bank)?;
    for parts in [&["kafka", "registry"][..], &["postgres"]] {
        let pids: Vec<String> = SERVICES
            .iter()
            .map(|service| pid(&bank, service))
            .collect::<Result<_>>()?;
        let silenced = Silenced::new(&bank, parts)?;
        let before: Vec<Duration> = pids
            .iter()
            .map(|pid| cpu_time(pid))
            .collect::<Result<_>>()?;
        tokio::time::sleep(SILENCE).await;
        for ((service, pid), before) in SERVICES.iter().zip(&pids).zip(before) {
            let spent = cpu_time(pid)? - before;
            // The public goes on while only PostgreSQL is silent.
            let waits = parts.contains(&"kafka") || *service == "command-handler";
            ensure!(
                !waits || spent <= WAITING_CPU_MAX,
                "{service} took {spent:?} to wait {SILENCE:?} for {parts:?}"
            );
        }
        drop(silenced);
        answers_flow(&bank, RECOVERY).await?;
    }
    bank.succeed(&["load", "0"])?;
    bank.wait_until_quiet(PATIENCE).await?;
    ensure!(restarts(&bank)? == restarts_before, "a service gave up");
    let commands = bank.check_invariants().await?;
    ensure!(commands > 0, "nothing was tested");
    Ok(())
}
