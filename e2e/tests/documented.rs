//! The examples of docs/api.md, as they stand there, against a bank.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use e2e::Bank;

/// Where the examples think the bank is.
const DOCUMENTED: &str = "http://127.0.0.1:8181";
const PAGE: &str = include_str!("../../docs/api.md");

/// All blocks of a language, in order.
fn blocks(language: &str) -> String {
    let mut blocks = String::new();
    let mut is_inside = false;
    for line in PAGE.lines() {
        if line.starts_with("```") {
            is_inside = line.trim_start_matches('`') == language;
        } else if is_inside {
            blocks.push_str(line);
            blocks.push('\n');
        }
    }
    blocks
}

/// What the examples print.
fn run(program: &str, flag: &str, examples: &str, bank: &Bank) -> Result<String> {
    let examples = examples.replace(DOCUMENTED, &bank.page);
    let output = Command::new(program).args([flag, &examples]).output();
    let output = output.with_context(|| format!("cannot run {program}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(said.is_empty(), "{program} complains: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_bank_when_the_documented_examples_are_run_then_each_does_what_it_says()
-> Result<()> {
    let bank = Bank::start("documented")?;
    let printed = run("bash", "-c", &blocks("bash"), &bank)?;
    ensure!(!printed.contains("\"errors\""), "{printed}");
    for expected in [
        "\"companyIban\":\"NL66OPEN0000000000\"",
        "\"__typename\":\"SignedIn\"",
        "\"deposit\":{\"__typename\":\"PaymentConfirmed\"}",
        "\"transfer\":{\"__typename\":\"PaymentConfirmed\"}",
        "\"status\":\"CONFIRMED\"",
        "nl.openweb.data.ConfirmMoneyTransfer",
        "\"description\":\"lunch\"",
        "\"verdict\"",
        "\"topicRecords\":[{",
        "event: next",
        "\"logOutEverywhere\":true",
    ] {
        ensure!(printed.contains(expected), "no {expected} in {printed}");
    }
    let printed = run("python3", "-c", &blocks("python"), &bank)?;
    ensure!(printed.contains("PaymentConfirmed"), "{printed}");
    Ok(())
}
