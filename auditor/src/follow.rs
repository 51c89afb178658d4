//! Audit after audit while the bank runs, and what came of them for pages and programs.
//!
//! `/status` is the last report with its age, `/metrics` the same as numbers. Each audit
//! judges everything there is, from the first record on, since what was right an hour ago
//! may have been changed since. So that this costs a known share of the machine, `turns`
//! says when the next one is due, by a `look` at how far everything is.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::extract::State as Shared;
use axum::routing::get;
use axum::{Json, Router};
use tokio_util::sync::CancellationToken;
use topology::metrics;
use topology::operations::{self, Readiness};
use topology::service::chain;
use tracing::{error, info, warn};

use crate::look::Look;
use crate::turns::{Turn, Turns};
use crate::{Options, Report, Sources, State, Verdict, audit};

/// Condition of readiness: topics and databases were seen. The first audit of a large bank
/// takes its time, and /status tells meanwhile that nothing is known.
const SOURCES: &str = "topics_and_databases";
/// The system counts processor time in hundredths of a second, whatever its timer does.
const TICK: Duration = Duration::from_millis(10);
/// Of `/proc/self/stat`, behind the name: time in user and in system mode.
const CPU_FIELDS: [usize; 2] = [11, 12];

/// How to follow.
#[derive(Clone, Debug)]
pub struct Wish {
    /// What is looked at.
    pub sources: Sources,
    /// How it is looked at.
    pub options: Options,
    /// This long between two looks, and at least between two audits.
    pub every: Duration,
    /// Where /status, /metrics, /livez and /readyz answer.
    pub address: SocketAddr,
}

/// What is known.
#[derive(Debug, Default)]
struct Known {
    report: Option<Report>,
    /// Why the last round could not be done, if it could not.
    trouble: Option<String>,
    /// When that was seen last: by an audit, or since nothing has happened behind one.
    at: Option<Instant>,
    /// When the last audit ended.
    audited_at: Option<Instant>,
    rounds: u64,
    rounds_by_verdict: [u64; 3],
}

type Board = Arc<Mutex<Known>>;

fn known(board: &Board) -> std::sync::MutexGuard<'_, Known> {
    board.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Known {
    fn verdict(&self) -> Verdict {
        match (&self.report, &self.trouble) {
            (Some(report), None) => report.verdict(),
            // What was green once is not green now that nobody can look.
            _ => Verdict::Unchecked,
        }
    }

    fn age_seconds(&self) -> Option<u64> {
        self.at.map(|at| at.elapsed().as_secs())
    }

    fn audit_age_seconds(&self) -> Option<u64> {
        self.audited_at.map(|at| at.elapsed().as_secs())
    }
}

/// Audits until told to stop; `on_change` sees the first report and each that has another
/// verdict than the one before.
///
/// # Errors
/// When the address cannot be taken.
pub async fn follow(
    wish: Wish,
    stop: CancellationToken,
    on_change: &(dyn Fn(&Report) + Sync),
) -> std::io::Result<()> {
    let board = Board::default();
    let readiness = Readiness::waiting_for(&[SOURCES]);
    let own = Router::new()
        .route("/status", get(status))
        .with_state(Arc::clone(&board));
    let told = Arc::clone(&board);
    metrics::written_by("auditor", move |text| {
        text.push_str(&exposition(&known(&told)));
    });
    let serving = operations::serve(wish.address, readiness.clone(), own, stop.clone());
    let rounds = async {
        let mut turns = Turns::default();
        while !stop.is_cancelled() {
            let round = round(&wish, &mut turns, &board, &readiness, on_change);
            tokio::select! {
                () = stop.cancelled() => return,
                () = round => {}
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(wish.every) => {}
            }
        }
    };
    let (served, ()) = tokio::join!(serving, rounds);
    served
}

/// Looks, and audits if it is time to.
async fn round(
    wish: &Wish,
    turns: &mut Turns<Look>,
    board: &Board,
    readiness: &Readiness,
    on_change: &(dyn Fn(&Report) + Sync),
) {
    // Why nothing can be seen, an audit says better.
    let look = Look::take(&wish.sources).await.ok();
    if look.is_some() {
        readiness.holds(SOURCES);
    }
    match turns.next(look.as_ref(), Instant::now()) {
        Turn::Wait => {}
        Turn::StillHolds => known(board).at = Some(Instant::now()),
        Turn::Audit => {
            let (started, before) = (Instant::now(), processor_time());
            let outcome = audit(&wish.sources, &wish.options, &|_| {}).await;
            let spent = processor_time().zip(before);
            // Where the system does not tell, as if it had taken a core all the time.
            let cost = spent.map_or(started.elapsed(), |(now, before)| {
                now.saturating_sub(before)
            });
            note(board, outcome, on_change);
            let verdict = known(board).verdict();
            turns.audited(look, verdict, cost, Instant::now());
        }
    }
}

/// What this process has taken of the processors so far.
fn processor_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name before it stands in parentheses and may hold anything.
    let (_, behind) = text.rsplit_once(')')?;
    let fields: Vec<&str> = behind.split_whitespace().collect();
    let ticks = CPU_FIELDS.map(|field| fields.get(field)?.parse::<u32>().ok());
    Some(TICK.saturating_mul(ticks[0]?.saturating_add(ticks[1]?)))
}

fn note(
    board: &Board,
    outcome: Result<Report, crate::CannotCheck>,
    on_change: &(dyn Fn(&Report) + Sync),
) {
    let mut known = known(board);
    let before = known.verdict();
    known.at = Some(Instant::now());
    known.audited_at = known.at;
    known.rounds += 1;
    match outcome {
        Ok(report) => {
            known.trouble = None;
            known.report = Some(report);
        }
        Err(error) => known.trouble = Some(chain(&error)),
    }
    let verdict = known.verdict();
    known.rounds_by_verdict[usize::from(verdict.exit_code())] += 1;
    if (known.rounds == 1 || before != verdict)
        && let Some(report) = known.report.as_ref().filter(|_| known.trouble.is_none())
    {
        on_change(report);
    }
    let took_ms = known.report.as_ref().map(|it| it.took_ms);
    // Once per change; a bad state is said each time.
    match (verdict, known.rounds == 1 || before != verdict) {
        (Verdict::Holds, true) => info!(took_ms, "every invariant holds"),
        (Verdict::Holds, false) => {}
        (Verdict::Violated, _) => {
            let report = known.report.as_ref();
            for finding in report.iter().flat_map(|report| &report.findings) {
                if finding.state == State::Violated {
                    let first = finding.first_offender.as_deref().unwrap_or_default();
                    error!(invariant = finding.invariant, first, "violated");
                }
            }
        }
        (Verdict::Unchecked, _) => warn!(why = known.trouble, "could not be checked"),
    }
}

async fn status(Shared(board): Shared<Board>) -> Json<serde_json::Value> {
    let known = known(&board);
    Json(serde_json::json!({
        "verdict": known.verdict(),
        "age_seconds": known.age_seconds(),
        "audit_age_seconds": known.audit_age_seconds(),
        "rounds": known.rounds,
        "trouble": known.trouble,
        "report": known.report,
    }))
}

fn exposition(known: &Known) -> String {
    let mut text = String::new();
    let mut family = |name: &str, kind: &str, help: &str, lines: &[(String, u64)]| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        for (labels, value) in lines {
            let _ = writeln!(text, "{name}{labels} {value}");
        }
    };
    let verdicts = ["holds", "violated", "unchecked"];
    let rounds: Vec<_> = verdicts
        .iter()
        .zip(known.rounds_by_verdict)
        .map(|(verdict, count)| (format!("{{verdict=\"{verdict}\"}}"), count))
        .collect();
    family(
        "bank_audit_rounds_total",
        "counter",
        "Audits done.",
        &rounds,
    );
    let code = u64::from(known.verdict().exit_code());
    let help = "0 every invariant holds, 1 violated, 2 could not be checked.";
    family(
        "bank_audit_verdict",
        "gauge",
        help,
        &[(String::new(), code)],
    );
    for (name, help, age) in [
        (
            "bank_audit_age_seconds",
            "Since the verdict was seen to be so: by an audit, or since nothing has happened behind one.",
            known.age_seconds(),
        ),
        (
            "bank_audit_last_age_seconds",
            "Since the last audit ended.",
            known.audit_age_seconds(),
        ),
    ] {
        if let Some(age) = age {
            family(name, "gauge", help, &[(String::new(), age)]);
        }
    }
    if let Some(report) = &known.report {
        let of = |value: fn(&crate::Finding) -> u64| -> Vec<(String, u64)> {
            let findings = report.findings.iter();
            findings
                .map(|it| (format!("{{invariant=\"{}\"}}", it.invariant), value(it)))
                .collect()
        };
        let help = "Things looked at in the last audit.";
        family("bank_audit_checked", "gauge", help, &of(|it| it.checked));
        let help = "Of those, how many do not agree.";
        family(
            "bank_audit_violations",
            "gauge",
            help,
            &of(|it| it.violations),
        );
        let help = "What the last audit read and how long it took.";
        let lines = [
            ("{what=\"records\"}".to_owned(), report.records),
            ("{what=\"rows\"}".to_owned(), report.rows),
            ("{what=\"milliseconds\"}".to_owned(), report.took_ms),
        ];
        family("bank_audit_last", "gauge", help, &lines);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_work_when_done_then_the_processor_time_grows() {
        let before = processor_time().unwrap();
        let mut number = 1_u64;
        while processor_time().unwrap() < before + 3 * TICK {
            number = std::hint::black_box(number.wrapping_mul(3));
        }
    }

    #[test]
    fn given_a_bank_that_held_when_nobody_can_look_any_more_then_it_is_not_green() {
        let board = Board::default();
        assert_eq!(known(&board).verdict(), Verdict::Unchecked);
        let finding = crate::Finding {
            invariant: "A1".to_owned(),
            what: String::new(),
            checked: 1,
            violations: 0,
            first_offender: None,
            note: None,
            state: State::Holds,
        };
        let report = Report {
            findings: vec![finding],
            ..Report::default()
        };
        note(&board, Ok(report), &|_| ());
        assert_eq!(known(&board).verdict(), Verdict::Holds);
        assert!(exposition(&known(&board)).contains("bank_audit_verdict 0\n"));
        let gone = crate::CannotCheck::Ended("test".to_owned());
        note(&board, Err(gone), &|_| ());
        assert_eq!(known(&board).verdict(), Verdict::Unchecked);
        let text = exposition(&known(&board));
        assert!(text.contains("bank_audit_verdict 2\n"));
        assert!(text.contains("bank_audit_rounds_total{verdict=\"unchecked\"} 1\n"));
    }
}
