//! The auditor's last word, from its `/status`.

use std::time::Duration;

use chrono::Utc;
use serde::Deserialize;

use super::snapshot::{AuditorFinding, AuditorStatus, AuditorVerdict};
use super::web;

/// Findings shown.
const FINDINGS_MAX: usize = 100;
/// Characters of any text of the auditor.
const TEXT_CHARACTERS_MAX: usize = 400;

#[derive(Deserialize)]
struct Said {
    verdict: String,
    age_seconds: Option<u64>,
    trouble: Option<String>,
    report: Option<Report>,
}

#[derive(Deserialize)]
struct Report {
    findings: Vec<Finding>,
    records: u64,
}

#[derive(Deserialize)]
struct Finding {
    invariant: String,
    what: String,
    checked: u64,
    violations: u64,
    first_offender: Option<String>,
    state: String,
    why: Option<String>,
}

/// Asks it.
pub(super) async fn ask(client: &reqwest::Client, address: Option<&str>) -> AuditorStatus {
    let Some(address) = address else {
        return unchecked("this gateway knows of no auditor");
    };
    let url = format!("http://{address}/status");
    let answer = web::get(client, &url).await;
    let Some(answer) = answer.filter(|answer| answer.is_success) else {
        return unchecked("the auditor does not answer");
    };
    match answer.json::<Said>() {
        Some(said) => shown(said),
        None => unchecked("the auditor's answer cannot be read"),
    }
}

/// What there is to show before, and when, it says nothing.
pub(super) fn unchecked(cause: &str) -> AuditorStatus {
    AuditorStatus {
        verdict: AuditorVerdict::CannotCheck,
        cause: Some(cause.to_owned()),
        checked_at: None,
        invariants: 0,
        holding: 0,
        records: None,
        findings: Vec::new(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of things, shown to people"
)]
fn shown(said: Said) -> AuditorStatus {
    let verdict = match said.verdict.as_str() {
        "holds" => AuditorVerdict::Holds,
        "violated" => AuditorVerdict::Violated,
        _ => AuditorVerdict::CannotCheck,
    };
    let findings = said.report.as_ref().map_or(&[][..], |it| &it.findings);
    let count = |wanted: &str| {
        let of_it = findings.iter().filter(|it| it.state == wanted);
        i32::try_from(of_it.count()).unwrap_or(i32::MAX)
    };
    let first = |wanted: &str| findings.iter().find(|it| it.state == wanted);
    let cause = match verdict {
        AuditorVerdict::Holds => None,
        AuditorVerdict::Violated => first("violated").map(|it| {
            let offender = it.first_offender.as_deref().unwrap_or("no offender named");
            format!("{}: {} ({offender})", it.invariant, it.what)
        }),
        AuditorVerdict::CannotCheck => said.trouble.or_else(|| {
            let it = first("not_checked")?;
            Some(format!("{}: {}", it.invariant, it.why.as_deref()?))
        }),
    };
    let checked_at = said
        .age_seconds
        .map(|age| Utc::now() - Duration::from_secs(age));
    AuditorStatus {
        verdict,
        cause: cause.map(short),
        checked_at,
        invariants: i32::try_from(findings.len()).unwrap_or(i32::MAX),
        holding: count("holds"),
        records: said.report.as_ref().map(|it| it.records as f64),
        findings: findings
            .iter()
            .take(FINDINGS_MAX)
            .map(|it| AuditorFinding {
                invariant: short(it.invariant.clone()),
                what: short(it.what.clone()),
                checked: it.checked as f64,
                violations: it.violations as f64,
                state: short(it.state.to_uppercase()),
                first_offender: it.first_offender.clone().map(short),
            })
            .collect(),
    }
}

fn short(text: String) -> String {
    if text.chars().count() <= TEXT_CHARACTERS_MAX {
        return text;
    }
    text.chars().take(TEXT_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> AuditorStatus {
        shown(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn given_each_verdict_then_it_is_shown_with_its_cause() {
        let holds = r#"{ "verdict": "holds", "age_seconds": 3, "rounds": 1, "trouble": null,
            "report": { "records": 12, "rows": 3, "repeated": 0, "took_ms": 5, "findings": [
                { "invariant": "A1", "what": "money stays", "checked": 5, "violations": 0,
                  "first_offender": null, "note": null, "state": "holds" },
                { "invariant": "B2", "what": "history", "checked": 0, "violations": 0,
                  "first_offender": null, "note": null, "state": "not_asked", "why": "none" }
            ] } }"#;
        let status = read(holds);
        assert_eq!(status.verdict, AuditorVerdict::Holds);
        assert_eq!((status.invariants, status.holding), (2, 1));
        assert_eq!((status.cause, status.records), (None, Some(12.0)));
        assert_eq!(status.findings[1].state, "NOT_ASKED");
        assert!(status.checked_at.is_some());

        let violated = holds
            .replacen("\"holds\"", "\"violated\"", 1)
            .replace("\"state\": \"holds\"", "\"state\": \"violated\"")
            .replacen(
                "\"first_offender\": null",
                "\"first_offender\": \"row 7\"",
                1,
            );
        let status = read(&violated);
        assert_eq!(status.verdict, AuditorVerdict::Violated);
        assert_eq!(status.cause.as_deref(), Some("A1: money stays (row 7)"));

        let away = r#"{ "verdict": "unchecked", "age_seconds": 1, "rounds": 2,
                        "trouble": "Kafka: cannot read", "report": null }"#;
        let status = read(away);
        assert_eq!(status.verdict, AuditorVerdict::CannotCheck);
        assert_eq!(status.cause.as_deref(), Some("Kafka: cannot read"));
        assert!(status.findings.is_empty());
    }
}
