//! Proof of the proof: a healthy bank is recorded once, and copied with one thing wrong,
//! again and again. Each wrong thing must be found by the invariant it belongs to, and the
//! copy with nothing wrong must be green.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod bank;
mod books;
mod case;
mod copy;
mod histories;
mod log;
mod models;
mod program;
mod topics;

use std::sync::Arc;

use auditor::{State, Verdict};
use futures_util::StreamExt;

use crate::bank::Healthy;
use crate::case::Case;

/// Copies that are audited at the same time: they mostly wait for the broker.
const AT_ONCE: usize = 7;

fn cases() -> Vec<Case> {
    [
        books::cases(),
        topics::cases(),
        models::cases(),
        histories::cases(),
    ]
    .concat()
}

/// What is wrong with how a case was judged, if anything is.
async fn try_case(bank: &Healthy, case: &Case) -> Result<(), String> {
    let report = case.audit(bank).await?;
    let finding = report.finding(case.invariant).unwrap();
    if finding.state != State::Violated || report.verdict() != Verdict::Violated {
        return Err(format!("not found: {finding:?}"));
    }
    if finding.first_offender.is_none() {
        return Err("found, but not told where".to_owned());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn given_a_healthy_bank_when_one_thing_is_made_wrong_then_its_invariant_is_violated() {
    let bank = Arc::new(Healthy::record().await);
    given_a_healthy_bank_when_audited_then_everything_holds(&bank).await;
    given_a_copy_with_nothing_wrong_when_audited_then_everything_holds(&bank).await;
    program::given_the_program_when_it_ends_then_its_code_is_the_verdict(&bank).await;
    program::given_a_healthy_bank_when_followed_then_status_and_metrics_tell(&bank).await;

    let cases = cases();
    assert!(cases.len() >= 40, "{} corruptions", cases.len());
    let failures: Vec<String> = futures_util::stream::iter(&cases)
        .map(|case| {
            let bank = Arc::clone(&bank);
            async move {
                let outcome = try_case(&bank, case).await;
                outcome
                    .err()
                    .map(|why| format!("{}, {}: {why}", case.invariant, case.what))
            }
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(std::future::ready)
        .collect()
        .await;
    assert!(
        failures.is_empty(),
        "{} of {} not found:\n{}",
        failures.len(),
        cases.len(),
        failures.join("\n")
    );
    let judged: std::collections::BTreeSet<_> = cases.iter().map(|it| it.invariant).collect();
    for invariant in auditor::invariants::INVARIANTS {
        assert!(
            judged.contains(invariant.name),
            "nothing shows that {} finds anything",
            invariant.name
        );
    }
    Arc::into_inner(bank).unwrap().end().await;
}

async fn given_a_healthy_bank_when_audited_then_everything_holds(bank: &Healthy) {
    let report = bank.audit_as_reader().await;
    assert_eq!(report.verdict(), Verdict::Holds, "{}", report.table());
    for finding in &report.findings {
        assert!(finding.checked > 0, "nothing was looked at: {finding:?}");
        assert_eq!(finding.state, State::Holds, "{finding:?}");
    }
}

async fn given_a_copy_with_nothing_wrong_when_audited_then_everything_holds(bank: &Healthy) {
    let untouched = [
        Case::in_topics("C1", "nothing", |_| ()),
        Case::in_books("A1", "nothing", "select 1"),
    ];
    for case in untouched {
        let report = case.audit(bank).await.unwrap();
        assert_eq!(report.verdict(), Verdict::Holds, "{}", report.table());
    }
}
