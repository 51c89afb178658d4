//! The fault lab: breaks a bank of its own on purpose, under load, and judges what is left.
//!
//! It starts a cluster and the services on ports and in a directory of its own, beside whatever runs already, with a
//! proxy of its own in every connection. Recording clients pay through the gateway, follow accounts over WebSockets
//! and send commands straight into the topics, and never guess: a command keeps its id until it has an answer. Then
//! the lab injects what a scenario says, heals it, waits until the bank has recovered and is quiet, and judges: by
//! its own [`board`] of every command and everything that came of it, and by the auditor. What it reads and writes it
//! reads and writes itself ([`wire`]); it shares no code with the services.
//!
//! It reads all topics but `heartbeat` and writes the two of commands; of the databases it reads offsets and debts,
//! and breaks what a scenario says.
//!
//! Reading order: [`scenario`] (the list), [`fault`] and [`part`] (what can be broken), [`swarm`] and [`seed`] (random
//! schedules that a number repeats), [`lab`] (the life of a scenario), [`bank`] (what is broken), [`inject`] (how), with
//! [`proxy`], [`database`], [`disk`] and [`poison`]; [`load`] (the clients), [`observer`] and [`board`] (what they and
//! the topics show), [`judge`], [`latency`] and [`report`]. [`article`] is the broken handler that shows that the lab sees.

pub mod article;
pub mod bank;
pub mod board;
pub mod clock;
pub mod database;
pub mod disk;
pub mod error;
pub mod fault;
pub mod inject;
pub mod judge;
pub mod lab;
pub mod latency;
pub mod load;
pub mod observer;
pub mod part;
pub mod poison;
pub mod proxy;
pub mod report;
pub mod scenario;
pub mod seed;
pub mod swarm;
pub mod wire;

use std::time::{SystemTime, UNIX_EPOCH};

use local_cluster::Report;
use tokio_util::sync::CancellationToken;

use crate::{
    bank::{Site, Subject},
    disk::SmallDisk,
    lab::{Lab, Plan, Progress},
    report::{Outcome, Results, Verdict},
    scenario::{Need, Scenario},
    seed::Seed,
};
pub use error::LabError;

/// The name that stands for a random schedule.
pub const SWARM: &str = "swarm";
/// The name that stands for every scenario of the list.
pub const ALL: &str = "all";
/// The name that stands for [`scenario::SMOKE`].
pub const SMOKE: &str = "smoke";

/// What is asked for.
#[derive(Clone)]
pub struct Request {
    /// Names of scenarios, or [`ALL`], [`SMOKE`], [`SWARM`].
    pub scenarios: Vec<String>,
    /// Repeats a schedule.
    pub seed: u64,
    /// How long a swarm does harm.
    pub swarm_seconds: u64,
    /// Where.
    pub site: Site,
    /// Of the repository, for the results.
    pub commit: Option<String>,
    /// Told what the cluster does.
    pub report: Report,
    /// Told what the lab does.
    pub progress: Progress,
    /// Ends it early, in order.
    pub stop: CancellationToken,
}

/// What is to be run.
///
/// # Errors
/// [`LabError::NoScenario`].
pub fn plans(names: &[String], seed: u64, swarm_seconds: u64) -> Result<Vec<Plan>, LabError> {
    let number = seed;
    let seed = Seed::new(number);
    let plan = |scenario: &Scenario| Plan {
        name: scenario.name.clone(),
        promises: scenario.promises_text(),
        need: scenario.needs,
        seed: number,
        schedule: scenario.schedule(&seed),
    };
    let mut plans = Vec::new();
    for name in names {
        match name.as_str() {
            ALL => plans.extend(scenario::all().iter().map(plan)),
            SMOKE => {
                let smoke = scenario::SMOKE.iter().filter_map(|it| scenario::find(it));
                plans.extend(smoke.map(|it| plan(&it)));
            }
            SWARM => plans.push(Plan {
                name: SWARM.to_owned(),
                promises: "P1 P2 P3 P4 P5 P6 P7 P8".to_owned(),
                need: Need::Nothing,
                seed: number,
                schedule: swarm::schedule(&seed, swarm_seconds * 1_000),
            }),
            name => {
                let found = scenario::find(name);
                plans.push(plan(
                    &found.ok_or_else(|| LabError::NoScenario(name.to_owned()))?,
                ));
            }
        }
    }
    Ok(plans)
}

/// Runs what is asked for, one after the other, most of them in one bank.
///
/// # Errors
/// When the lab itself cannot do its work.
pub async fn run(request: &Request) -> Result<Results, LabError> {
    let plans = plans(&request.scenarios, request.seed, request.swarm_seconds)?;
    let started = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut results = Results {
        commit: request.commit.clone(),
        started_at_seconds: started.as_secs(),
        outcomes: Vec::new(),
    };
    let mut open: Option<Lab> = None;
    let total = plans.len();
    for (number, plan) in (1..).zip(&plans) {
        (request.progress)(&format!(
            "{number} of {total}: {}, seed {}",
            plan.name, plan.seed
        ));
        if let Some(why) = missing(plan.need) {
            let (promises, seed) = (plan.promises.clone(), plan.seed);
            let skipped = Outcome::skipped(&plan.name, promises, seed, why);
            (request.progress)(&skipped.text());
            results.outcomes.push(skipped);
            continue;
        }
        let mut lab = match open.take() {
            Some(lab)
                if plan.need != Need::SmallDatabaseDisk && plan.need != Need::SmallBrokerDisk =>
            {
                lab
            }
            other => {
                if let Some(lab) = other {
                    close(lab, request, true).await?;
                }
                let (site, report) = (&request.site, request.report.clone());
                Lab::open(site, Subject::Bank, plan.need, plan.seed, report).await?
            }
        };
        let ran = tokio::select! {
            ran = lab.run(plan, &request.progress) => ran,
            () = request.stop.cancelled() => {
                close(lab, request, true).await?;
                return Ok(results);
            }
        };
        let outcome = match ran {
            Ok(outcome) => outcome,
            Err(error) => {
                let (promises, seed) = (plan.promises.clone(), plan.seed);
                let mut outcome = Outcome::skipped(&plan.name, promises, seed, error.in_a_line());
                outcome.verdict = Verdict::Unchecked;
                outcome
            }
        };
        (request.progress)(&outcome.text());
        let is_good = outcome.verdict == Verdict::Holds;
        results.outcomes.push(outcome);
        let has_own_disk = matches!(plan.need, Need::SmallDatabaseDisk | Need::SmallBrokerDisk);
        if lab.is_spoilt() || has_own_disk {
            close(lab, request, is_good).await?;
        } else {
            open = Some(lab);
        }
    }
    if let Some(lab) = open {
        close(lab, request, true).await?;
    }
    Ok(results)
}

/// Stops a lab's bank; what a good one leaves behind is of no use to anyone.
async fn close(lab: Lab, request: &Request, is_good: bool) -> Result<(), LabError> {
    lab.close().await;
    let directory = &request.site.directory;
    if is_good {
        return std::fs::remove_dir_all(directory).map_err(LabError::io("remove", directory));
    }
    let kept = (1..)
        .map(|number: u32| directory.with_extension(format!("failed-{number}")))
        .find(|path| !path.exists())
        .unwrap_or_else(|| directory.with_extension("failed"));
    std::fs::rename(directory, &kept).map_err(LabError::io("keep", directory))?;
    (request.progress)(&format!(
        "    its logs are in {}",
        kept.join("logs").display()
    ));
    Ok(())
}

/// Why a scenario cannot be run on this machine.
fn missing(need: Need) -> Option<String> {
    match need {
        Need::Nothing => None,
        Need::SmallDatabaseDisk | Need::SmallBrokerDisk => SmallDisk::missing(),
        Need::FakeTime => inject::fake_time_library()
            .is_none()
            .then(|| "libfaketime is not installed (apt-get install libfaketime)".to_owned()),
    }
}

/// The list for people: what each scenario does, which promises it attacks, what to expect.
#[must_use]
pub fn list() -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    for it in scenario::all() {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<30} {:<12} {}\n{:<43} expect: {}",
            it.name,
            it.promises_text(),
            it.what,
            "",
            it.expect
        );
    }
    let _ = writeln!(
        text,
        "{SWARM:<30} {:<12} a random mixture of faults at random times, repeated by its seed",
        "all"
    );
    let _ = writeln!(
        text,
        "{ALL:<30} {:<12} every scenario above but the swarm",
        ""
    );
    let _ = writeln!(
        text,
        "{SMOKE:<30} {:<12} {}",
        "",
        scenario::SMOKE.join(", ")
    );
    text
}

/// The rows of the table in docs/failure-modes.md, which a test compares with this list.
#[must_use]
pub fn table() -> String {
    let mut rows: Vec<String> = vec![
        "| scenario | what it does | promise attacked | what to expect |".to_owned(),
        "|---|---|---|---|".to_owned(),
    ];
    rows.extend(scenario::all().iter().map(|it| {
        let promises = it.promises_text();
        format!(
            "| `{}` | {} | {promises} | {} |",
            it.name, it.what, it.expect
        )
    }));
    rows.join("\n")
}
