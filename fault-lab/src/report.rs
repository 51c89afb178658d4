//! What came of the scenarios, for people and for programs.

use std::fmt::Write as _;

use serde::Serialize;
use serde_json::Value;

use crate::{
    board::{Repeats, Tally},
    fault::Step,
    inject::Happened,
    latency::{Latency, Phases, milliseconds},
};

/// The bank must be back within this after the last heal.
pub const RECOVERY_LIMIT_MS: u64 = 30_000;

/// All in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Nothing is wrong, and it was back in time.
    Holds,
    /// Something is wrong.
    Violated,
    /// Nothing is wrong, but it took too long to come back.
    Slow,
    /// Something could not be checked: never as good as holding.
    Unchecked,
    /// The machine does not allow it.
    Skipped,
}

impl Verdict {
    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Holds => "holds",
            Verdict::Violated => "VIOLATED",
            Verdict::Slow => "TOO SLOW",
            Verdict::Unchecked => "UNCHECKED",
            Verdict::Skipped => "skipped",
        }
    }
}

/// What came of one scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Outcome {
    /// Its name.
    pub scenario: String,
    /// Repeats its schedule.
    pub seed: u64,
    /// The promises it attacks.
    pub promises: String,
    /// All in one word.
    pub verdict: Verdict,
    /// Why it was skipped, or what is wrong, in a line each.
    pub findings: Vec<String>,
    /// What was to be done.
    pub schedule: Vec<Step>,
    /// What was done when.
    pub timeline: Vec<Happened>,
    /// From the last heal until the bank answered everything again.
    pub recovery_ms: Option<u64>,
    /// Commands of everybody.
    pub commands: u64,
    /// Payments of customers that were answered.
    pub payments: u64,
    /// Records put aside as such that cannot be understood.
    pub dead_letters: u64,
    /// What came more than once with the same bytes, as it may.
    pub duplicates: Repeats,
    /// What is missing or came too often; of all scenarios in this bank together.
    pub tally: Tally,
    /// From a command in its topic to its outcome there.
    pub topic_latency: Phases,
    /// From a payment at the gateway to its answer.
    pub gateway_latency: Phases,
    /// What the auditor said; none when it was not asked.
    pub audit: Value,
}

impl Outcome {
    /// One that could not be run.
    #[must_use]
    pub fn skipped(scenario: &str, promises: String, seed: u64, why: String) -> Outcome {
        Outcome {
            scenario: scenario.to_owned(),
            seed,
            promises,
            verdict: Verdict::Skipped,
            findings: vec![why],
            schedule: Vec::new(),
            timeline: Vec::new(),
            recovery_ms: None,
            commands: 0,
            payments: 0,
            dead_letters: 0,
            duplicates: Repeats::default(),
            tally: Tally::default(),
            topic_latency: Phases::default(),
            gateway_latency: Phases::default(),
            audit: Value::Null,
        }
    }

    /// For people: a line, and one for each finding.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{:<30}", self.scenario);
        if self.verdict == Verdict::Skipped {
            let why = self.findings.join("; ");
            // Writing to a string cannot fail.
            let _ = write!(text, " skipped: {why}");
            return text;
        }
        let recovery = self.recovery_ms.map_or_else(
            || "never".to_owned(),
            |ms| format!("{} s", milliseconds(ms)),
        );
        let _ = write!(
            text,
            " {:>9}  back after {recovery:>6}  {:>6} commands  {:>4} lost  {:>4} doubled  {:>5} repeated",
            self.verdict.name(),
            self.commands,
            self.tally.lost(),
            self.tally.doubled(),
            self.duplicates.outcomes + self.duplicates.changes,
        );
        for (name, phases) in [
            ("topic to topic", &self.topic_latency),
            ("through the gateway", &self.gateway_latency),
        ] {
            if phases.before.samples + phases.during.samples + phases.after.samples > 0 {
                let _ = write!(
                    text,
                    "\n    {name:<20} ms p50/p99/max  before {}  during {}  after {}",
                    three(&phases.before),
                    three(&phases.during),
                    three(&phases.after)
                );
            }
        }
        for finding in &self.findings {
            let _ = write!(text, "\n    ! {finding}");
        }
        text
    }
}

fn three(latency: &Latency) -> String {
    format!(
        "{:>5}/{:>5}/{:>5}",
        milliseconds(latency.p50_us),
        milliseconds(latency.p99_us),
        milliseconds(latency.max_us)
    )
}

/// Everything, for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Of the repository, when known.
    pub commit: Option<String>,
    /// Seconds since 1970.
    pub started_at_seconds: u64,
    /// In the order they ran.
    pub outcomes: Vec<Outcome>,
}

impl Results {
    /// Whether nothing was wrong, late or unknown; what was skipped is neither.
    #[must_use]
    pub fn hold(&self) -> bool {
        self.outcomes
            .iter()
            .all(|it| matches!(it.verdict, Verdict::Holds | Verdict::Skipped))
    }

    /// The last line.
    #[must_use]
    pub fn summary(&self) -> String {
        let count = |verdict| {
            let of_kind = self.outcomes.iter().filter(|it| it.verdict == verdict);
            format!("{} {}", of_kind.count(), Verdict::name(verdict))
        };
        let slowest = self
            .outcomes
            .iter()
            .filter_map(|it| it.recovery_ms)
            .max()
            .unwrap_or_default();
        format!(
            "{}, {}, {}, {}, {}; slowest recovery {} s",
            count(Verdict::Holds),
            count(Verdict::Violated),
            count(Verdict::Slow),
            count(Verdict::Unchecked),
            count(Verdict::Skipped),
            milliseconds(slowest),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_skipped_scenario_when_shown_then_it_says_why_and_is_not_green() {
        let skipped = Outcome::skipped("disk", "P6".to_owned(), 1, "no root".to_owned());
        assert!(skipped.text().contains("skipped: no root"));
        assert!(!skipped.text().contains("holds"));
    }

    #[test]
    fn given_any_doubt_when_judged_then_the_results_do_not_hold() {
        let with = |verdict| {
            let mut outcome = Outcome::skipped("a", String::new(), 1, String::new());
            outcome.verdict = verdict;
            Results {
                commit: None,
                started_at_seconds: 0,
                outcomes: vec![outcome],
            }
        };
        for verdict in [Verdict::Violated, Verdict::Slow, Verdict::Unchecked] {
            assert!(!with(verdict).hold(), "{verdict:?}");
        }
        assert!(with(Verdict::Holds).hold() && with(Verdict::Skipped).hold());
    }
}
