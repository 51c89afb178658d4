//! Latencies, counted from when a command was *meant* to be sent.
//!
//! A sender that is held up sends late, and a latency from the real sending would leave
//! out exactly the wait that a client sees. What never came counts at the limit.

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::numbers::{float, ratio};

/// Latencies above it count as this much, and so does what never came.
pub const LIMIT_US: u64 = 60_000_000;
/// Digits kept of every value.
const DIGITS: u8 = 3;

/// A distribution of latencies in microseconds.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

impl Default for Latencies {
    fn default() -> Latencies {
        let histogram = Histogram::new_with_bounds(1, LIMIT_US, DIGITS);
        Latencies(histogram.expect("the bounds are constant and make sense"))
    }
}

/// The percentiles of a distribution.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct LatencySummary {
    /// How many.
    pub samples: u64,
    /// Half are below, in milliseconds.
    pub p50_ms: f64,
    /// In milliseconds.
    pub p90_ms: f64,
    /// In milliseconds.
    pub p99_ms: f64,
    /// In milliseconds.
    pub p999_ms: f64,
    /// The greatest, in milliseconds.
    pub max_ms: f64,
    /// Every value that occurred, in microseconds, with how often.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub histogram_us: Vec<(u64, u64)>,
}

impl LatencySummary {
    /// How much worse the tail is than the middle.
    #[must_use]
    pub fn p99_by_p50(&self) -> Option<f64> {
        ratio(self.p99_ms, self.p50_ms)
    }
}

impl Latencies {
    /// Counts what was meant for `intended_ns` and was seen at `seen_ns`.
    pub fn record(&mut self, intended_ns: u64, seen_ns: u64) {
        self.0
            .saturating_record((seen_ns.saturating_sub(intended_ns) / 1_000).max(1));
    }

    /// Counts something that never came.
    pub fn record_missing(&mut self) {
        self.0.saturating_record(LIMIT_US);
    }

    /// Takes in another distribution. Percentiles are never averaged, distributions are
    /// merged.
    pub fn merge(&mut self, other: &Latencies) {
        self.0
            .add(&other.0)
            .expect("all distributions here have the same bounds");
    }

    /// In milliseconds.
    #[must_use]
    pub fn percentile_ms(&self, percentile: f64) -> f64 {
        float(self.0.value_at_percentile(percentile)) / 1_000.0
    }

    /// The mean, in milliseconds.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        self.0.mean() / 1_000.0
    }

    /// The percentiles people ask for, and the whole distribution.
    #[must_use]
    pub fn summary(&self) -> LatencySummary {
        if self.0.is_empty() {
            return LatencySummary::default();
        }
        LatencySummary {
            samples: self.0.len(),
            p50_ms: self.percentile_ms(50.0),
            p90_ms: self.percentile_ms(90.0),
            p99_ms: self.percentile_ms(99.0),
            p999_ms: self.percentile_ms(99.9),
            max_ms: float(self.0.max()) / 1_000.0,
            histogram_us: self
                .0
                .iter_recorded()
                .map(|step| (step.value_iterated_to(), step.count_at_value()))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    #[test]
    fn given_a_pause_of_the_sender_then_the_wait_is_in_the_latency() {
        // Meant for each millisecond; held up for 200 ms, then all at once.
        let mut latencies = Latencies::default();
        for number in 0..1_000 {
            let intended = number * MS;
            let sent = if (500..700).contains(&number) {
                700 * MS
            } else {
                intended
            };
            latencies.record(intended, sent + MS);
        }
        let summary = latencies.summary();
        assert_eq!(summary.samples, 1_000);
        assert!((0.9..1.1).contains(&summary.p50_ms), "{summary:?}");
        assert!(summary.p99_ms > 150.0, "{summary:?}");
    }

    #[test]
    fn what_never_came_counts_at_the_limit() {
        let mut latencies = Latencies::default();
        latencies.record(0, MS);
        latencies.record_missing();
        assert!(latencies.summary().max_ms >= 60_000.0);
    }

    #[test]
    fn merged_distributions_give_the_percentiles_of_all() {
        let (mut one, mut two) = (Latencies::default(), Latencies::default());
        for _ in 0..99 {
            one.record(0, MS);
        }
        two.record(0, 100 * MS);
        one.merge(&two);
        let summary = one.summary();
        assert_eq!(summary.samples, 100);
        assert!(summary.p50_ms < 1.1 && summary.max_ms > 99.0, "{summary:?}");
    }

    #[test]
    fn no_samples_are_no_figures() {
        assert_eq!(Latencies::default().summary(), LatencySummary::default());
        assert_eq!(LatencySummary::default().p99_by_p50(), None);
    }
}
