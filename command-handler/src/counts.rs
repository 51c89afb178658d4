//! What the handler counts, once for each batch.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use foldhash::fast::RandomState;
use topology::metrics::{self, Counter, Histogram};

use crate::batch::Plan;
use crate::domain::Rejection;
use crate::emission::InFlight;

/// The counters, which belong to the process: a copy counts on the same.
#[derive(Clone)]
pub struct Counts {
    outcomes: Arc<Mutex<HashMap<Kind, Counter, RandomState>>>,
    duplicates: Counter,
    dead_letters: Counter,
    batch_size: Histogram,
    batch_duration: Histogram,
}

/// Of commands that are counted together.
type Kind = (&'static str, Option<Rejection>);

impl Counts {
    /// Told of from now on, and with them how many debts are under way.
    #[must_use]
    pub fn new(in_flight: InFlight) -> Counts {
        metrics::written_by("command-handler", move |text| {
            let pending = in_flight.len().try_into().unwrap_or(u64::MAX);
            metrics::write_family(
                text,
                "bank_outbox_pending",
                "gauge",
                "Batches decided whose records are not all acknowledged, or whose note still stands.",
                &[(String::new(), pending)],
            );
        });
        Counts {
            outcomes: Arc::default(),
            duplicates: metrics::counter(
                "bank_duplicates_total",
                "Commands that were decided before and answered again.",
                &[],
            ),
            dead_letters: metrics::counter(
                "bank_dead_letters_total",
                "Records put aside because nobody can use them.",
                &[],
            ),
            batch_size: metrics::histogram(
                "bank_batch_size",
                "Records decided in one transaction.",
                &[],
                metrics::SIZES,
            ),
            batch_duration: metrics::histogram(
                "bank_batch_duration_seconds",
                "From the first statement of a batch to its commit.",
                &[],
                metrics::SECONDS,
            ),
        }
    }

    /// Takes in a batch that is committed.
    pub fn take(&self, records: usize, plan: &Plan, took: Duration) {
        let mut outcomes = self.outcomes.lock().unwrap_or_else(PoisonError::into_inner);
        for outcome in &plan.outcomes {
            let kind = (outcome.kind, outcome.rejection);
            outcomes
                .entry(kind)
                .or_insert_with(|| named(kind))
                .increment();
        }
        drop(outcomes);
        let repeated = plan.owed.len().saturating_sub(plan.outcomes.len());
        self.duplicates.add(repeated.try_into().unwrap_or(0));
        let put_aside = plan.dead_letters.len();
        self.dead_letters.add(put_aside.try_into().unwrap_or(0));
        self.batch_size
            .observe(records.try_into().unwrap_or(u64::MAX));
        self.batch_duration.observe_duration(took);
    }
}

fn named((command, rejection): Kind) -> Counter {
    let outcome = if rejection.is_some() {
        "failed"
    } else {
        "confirmed"
    };
    let reason = rejection.map_or("", Rejection::reason);
    metrics::counter(
        "bank_commands_total",
        "Commands decided.",
        &[
            ("command", command),
            ("outcome", outcome),
            ("reason", reason),
        ],
    )
}

#[cfg(test)]
mod tests {
    use topology::CommandId;

    use super::*;
    use crate::batch::Outcome;
    use crate::request::RequestHash;

    #[test]
    fn given_a_batch_then_its_outcomes_are_counted_by_what_they_are() {
        let outcome = |rejection| Outcome {
            id: CommandId::from_bytes([1; 16]),
            hash: RequestHash::default(),
            kind: "test_command",
            rejection,
            observed_version: None,
            source: None,
            frames: 0..0,
        };
        let plan = Plan {
            outcomes: vec![
                outcome(None),
                outcome(None),
                outcome(Some(Rejection::InsufficientFunds)),
            ],
            owed: vec![CommandId::from_bytes([1; 16]); 5],
            ..Plan::default()
        };
        let counts = Counts::new(InFlight::default());
        let before = counts.duplicates.get();
        counts.take(5, &plan, Duration::from_millis(3));
        assert_eq!(counts.duplicates.get(), before + 2);
        let text = metrics::text();
        for line in [
            "bank_commands_total{command=\"test_command\",outcome=\"confirmed\",reason=\"\"} 2\n",
            "bank_commands_total{command=\"test_command\",outcome=\"failed\",reason=\"insufficient funds\"} 1\n",
            "bank_outbox_pending 0\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }
}
