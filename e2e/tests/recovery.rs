//! Each part of the bank is killed under load; it comes back by itself, and not a cent
//! and not an answer is lost.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::{Bank, PATIENCE, eventually};

/// The bank recovers within this, whatever was killed.
const RECOVERY: Duration = Duration::from_secs(30);
const HEARTBEATS_PER_SECOND: &str = "200";
const PARTS: [&str; 8] = [
    "command-handler",
    "graphql-endpoint",
    "command-generator",
    "heartbeat",
    "auditor",
    "kafka",
    "registry",
    "postgres",
];

async fn kill_and_wait(bank: &Bank, part: &str) -> Result<()> {
    let before = bank.service(part)?;
    let pid = before["pid"].as_u64().context("it has no pid")?;
    let killed = Command::new("kill")
        .args(["-9", &pid.to_string()])
        .status()?;
    ensure!(killed.success(), "could not kill {part}");
    eventually(&format!("{part} is back"), RECOVERY, async || {
        let now = bank.service(part)?;
        ensure!(now["pid"] != before["pid"], "still the old process");
        ensure!(
            now["restarts"].as_u64() > before["restarts"].as_u64(),
            "{now}"
        );
        let status = bank.status()?;
        ensure!(status["ready"] == true, "not ready: {status}");
        Ok(())
    })
    .await?;
    let at_recovery = bank.answers()?;
    eventually(
        &format!("answers flow after {part}"),
        RECOVERY,
        async || {
            let now = bank.answers()?;
            ensure!(now > at_recovery, "still {now} answers");
            Ok(())
        },
    )
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_load_when_any_part_is_killed_then_the_bank_recovers_and_its_books_are_right()
-> Result<()> {
    let bank = Bank::start("recovery")?;
    bank.succeed(&["load", HEARTBEATS_PER_SECOND])?;
    eventually("answers flow", PATIENCE, async || {
        ensure!(bank.answers()? > 0, "no answer yet");
        Ok(())
    })
    .await?;
    for part in PARTS {
        kill_and_wait(&bank, part).await?;
    }
    bank.succeed(&["load", "0"])?;
    bank.wait_until_quiet(PATIENCE).await?;
    let commands = bank.check_invariants().await?;
    ensure!(commands > 0, "nothing was tested");
    Ok(())
}
