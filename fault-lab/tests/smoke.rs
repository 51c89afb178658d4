//! Real faults in a real bank: the smoke set must hold, and a broken handler must not.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use fault_lab::{
    Request, SMOKE,
    bank::{Site, Subject, directory, silent},
    fault::{Fault, Step},
    lab::{Lab, Plan, Progress},
    part::Part,
    report::Verdict,
    scenario::Need,
};
use tokio_util::sync::CancellationToken;

/// Any number; a failure says which scenario it was, and this repeats its schedule.
const SEED: u64 = 20_190_519;

/// Two banks on two cores would only measure each other.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

fn site() -> Site {
    let test = std::env::current_exe().expect("a test is a program");
    let programs = test
        .ancestors()
        .nth(2)
        .expect("a test lies in deps")
        .to_owned();
    let target: PathBuf = programs
        .parent()
        .expect("release lies in target")
        .to_owned();
    Site {
        directory: directory(&target),
        programs,
    }
}

#[expect(clippy::print_stdout, reason = "shown with a failure")]
fn progress() -> Progress {
    Arc::new(|line| println!("{line}"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::await_holding_lock,
    reason = "the other test has a runtime and a thread of its own"
)]
async fn given_the_smoke_set_when_run_then_every_scenario_holds() {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let request = Request {
        scenarios: vec![SMOKE.to_owned()],
        seed: SEED,
        swarm_seconds: 0,
        site: site(),
        commit: None,
        report: silent(),
        progress: progress(),
        stop: CancellationToken::new(),
    };
    let results = fault_lab::run(&request).await.unwrap();
    assert_eq!(results.outcomes.len(), fault_lab::scenario::SMOKE.len());
    let texts: Vec<String> = results.outcomes.iter().map(|it| it.text()).collect();
    assert!(results.hold(), "{}", texts.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(
    clippy::await_holding_lock,
    reason = "the other test has a runtime and a thread of its own"
)]
async fn given_the_articles_way_in_the_handlers_place_when_killed_then_the_lab_says_what_is_lost_or_doubled()
 {
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let site = site();
    let kill = |at_ms| Step {
        at_ms,
        lasts_ms: 0,
        fault: Fault::Kill {
            part: Part::Handler,
        },
    };
    let plan = Plan {
        name: "kill-handler".to_owned(),
        promises: "P1 P2 P3".to_owned(),
        need: Need::Nothing,
        seed: SEED,
        schedule: vec![kill(0), kill(4_000), kill(8_000)],
    };
    let (subject, need) = (Subject::ArticlesWay, Need::Nothing);
    let mut lab = Lab::open(&site, subject, need, SEED, silent())
        .await
        .unwrap();
    let outcome = lab.run(&plan, &progress()).await;
    lab.close().await;
    let outcome = outcome.unwrap();
    assert_eq!(outcome.verdict, Verdict::Violated, "{}", outcome.text());
    // It did work: a handler that never started would have lost everything.
    assert!(
        outcome.topic_latency.before.samples > 0,
        "{}",
        outcome.text()
    );
    let tally = &outcome.tally;
    let effects = tally.changes_lost + tally.changes_doubled;
    assert!(effects > 0, "{tally:?}\n{}", outcome.text());
    std::fs::remove_dir_all(&site.directory).unwrap();
}
