//! Whether the bank was right: what clients saw, and what the auditor finds in topics and
//! books. A run that is not right has no figures.

use std::time::Duration;

use auditor::{Options, Sources, State};
use tokio::runtime::Handle;

use crate::error::Error;

use super::customers::{Api, DEPOSIT_CENTS};
use super::results::Verdict;
use super::step::Bench;
use super::wall::{Answer, Wall};

/// The bank has this long to deal with what stands in the topics.
const WAIT: Duration = Duration::from_secs(60);
/// Runs of more commands are not decided again: about a GiB of memory.
const REPLAY_MAX: u64 = 1_000_000;
/// Balances that are not as expected are looked at so often, with a pause between.
const LOOKS: usize = 20;
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// More findings of a kind say nothing new.
const SHOWN_MAX: usize = 5;

/// Asks everybody.
///
/// # Errors
/// When somebody could not be asked; nothing is known then.
pub fn judge(bench: &Bench, api: &Api, sources: Option<&Sources>) -> Result<Verdict, Error> {
    let walls = bench.fleet.walls();
    // Whoever was cut off comes back, and the read model may be a moment behind.
    bench.fleet.mend()?;
    let mut wrong = Vec::new();
    for _ in 0..LOOKS {
        let asked = api.balances(bench.fleet.customers());
        let balances = bench.runtime.block_on(asked)?;
        wrong = wrong_balances(bench, walls.iter().map(AsRef::as_ref), &balances);
        if wrong.is_empty() {
            break;
        }
        bench.pause(LOOK_AGAIN)?;
    }
    let mut findings = seen_by_clients(bench);
    findings.append(&mut wrong);
    let mut verdict = match sources {
        Some(sources) => audit(&bench.runtime, sources)?,
        None => Verdict {
            by: "clients".to_owned(),
            ..Verdict::default()
        },
    };
    findings.append(&mut verdict.findings);
    verdict.holds = findings.is_empty();
    verdict.findings = findings;
    Ok(verdict)
}

/// What clients saw that must not be: changes out of order or twice, or none where one was due.
#[must_use]
pub fn seen_by_clients(bench: &Bench) -> Vec<String> {
    let mut findings = bench.fleet.findings();
    for wall in bench.fleet.walls() {
        findings.extend(lost(&wall));
    }
    findings
}

/// Asks the auditor alone.
///
/// # Errors
/// When topics or books could not be read.
pub fn audit(runtime: &Handle, sources: &Sources) -> Result<Verdict, Error> {
    let options = Options {
        wait: WAIT,
        replay_max: REPLAY_MAX,
        ..Options::default()
    };
    let report = runtime.block_on(auditor::audit(sources, &options, &|_| {}))?;
    let mut verdict = Verdict {
        by: "auditor".to_owned(),
        records: report.records,
        ..Verdict::default()
    };
    for finding in &report.findings {
        // What nobody asked is about histories of clients: the clients here judge themselves.
        verdict.invariants += u64::from(!matches!(finding.state, State::NotAsked { .. }));
        let name = &finding.invariant;
        match &finding.state {
            State::Holds => verdict.holding += 1,
            State::NotAsked { .. } => {}
            State::Violated => {
                let first = finding.first_offender.as_deref().unwrap_or_default();
                let words = format!("{name} is violated: {}; {first}", finding.what);
                verdict.findings.push(words);
            }
            State::NotChecked { why } => {
                let words = format!("{name} could not be checked: {why}");
                verdict.findings.push(words);
            }
        }
    }
    verdict.holds = verdict.findings.is_empty();
    Ok(verdict)
}

/// Changes of confirmed commands that no client has seen.
fn lost(wall: &Wall) -> Vec<String> {
    let missing = (0..wall.len()).filter(|index| wall.missing(*index) > 0);
    let all: Vec<usize> = missing.collect();
    let mut findings: Vec<String> = all
        .iter()
        .take(SHOWN_MAX)
        .map(|index| {
            format!(
                "{} was confirmed, and a change of it never came",
                wall.id(*index)
            )
        })
        .collect();
    if all.len() > SHOWN_MAX {
        findings.push(format!(
            "and {} more in run {}",
            all.len() - SHOWN_MAX,
            wall.run
        ));
    }
    findings
}

/// Balances that are not the deposit and what was confirmed since. A customer with a command
/// whose outcome was never told is left to the auditor.
fn wrong_balances<'a>(
    bench: &Bench,
    walls: impl Iterator<Item = &'a Wall>,
    balances: &[(i64, u64)],
) -> Vec<String> {
    let customers = bench.fleet.customers();
    let mut expected = vec![DEPOSIT_CENTS; customers.len()];
    let mut is_unclear = vec![false; customers.len()];
    for wall in walls {
        for index in 0..wall.len() {
            let (payer, payee, amount) = wall.payment(index);
            let (payer, payee) = (payer as usize, payee.map(|it| it as usize));
            if payer >= customers.len() {
                continue;
            }
            match wall.answer_of(index) {
                Answer::Confirmed => {
                    expected[payer] -= amount;
                    if let Some(payee) = payee {
                        expected[payee] += amount;
                    }
                }
                Answer::Rejected => {}
                Answer::None | Answer::Failed => {
                    is_unclear[payer] = true;
                    if let Some(payee) = payee {
                        is_unclear[payee] = true;
                    }
                }
            }
        }
    }
    let versions = bench.fleet.versions();
    let mut findings = Vec::new();
    for (number, customer) in customers.iter().enumerate() {
        let (balance, version) = balances[number];
        if balance != expected[number] && !is_unclear[number] {
            let expected = expected[number];
            findings.push(format!(
                "{} has {balance} cents and should have {expected}",
                customer.iban
            ));
        }
        if versions[number] != 0 && versions[number] != version {
            let seen = versions[number];
            findings.push(format!(
                "{} stands at version {version}, its owner saw {seen}",
                customer.iban
            ));
        }
    }
    findings.truncate(SHOWN_MAX);
    findings
}
