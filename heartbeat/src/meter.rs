//! How many beats were really delivered: a count, and a rate over the last seconds.

use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// Full seconds the achieved rate is taken over.
const SECONDS: u64 = 4;
/// The seconds counted, and the one that is not full yet.
const SLOTS: usize = 5;

/// Counts what happens, by second. Shared by who counts and who asks.
#[derive(Debug)]
pub struct Meter {
    started: Instant,
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    total: u64,
    second: u64,
    slots: [u64; SLOTS],
}

impl Meter {
    /// Starts at nothing, now.
    #[must_use]
    pub fn new(now: Instant) -> Meter {
        Meter {
            started: now,
            counts: Mutex::default(),
        }
    }

    /// One more, now.
    pub fn count(&self, now: Instant) {
        self.with(now, |counts| {
            counts.total += 1;
            let slot = slot(counts.second);
            counts.slots[slot] += 1;
        });
    }

    /// All there ever were.
    #[must_use]
    pub fn total(&self, now: Instant) -> u64 {
        self.with(now, |counts| counts.total)
    }

    /// How many each second, on average over the last full seconds, rounded.
    #[must_use]
    pub fn per_second(&self, now: Instant) -> u64 {
        self.with(now, |counts| {
            let current = slot(counts.second);
            let full = SECONDS.min(counts.second);
            let others = counts.slots.iter().enumerate();
            let sum: u64 = others
                .filter(|(slot, _)| *slot != current)
                .map(|(_, count)| count)
                .sum();
            (sum + full / 2).checked_div(full).unwrap_or(0)
        })
    }

    /// Forgets the seconds that are too long ago, then does it.
    fn with<T>(&self, now: Instant, action: impl FnOnce(&mut Counts) -> T) -> T {
        let second = now.saturating_duration_since(self.started).as_secs();
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if second.saturating_sub(counts.second) >= SLOTS as u64 {
            counts.slots = [0; SLOTS];
            counts.second = second;
        }
        while counts.second < second {
            counts.second += 1;
            let slot = slot(counts.second);
            counts.slots[slot] = 0;
        }
        action(&mut counts)
    }
}

fn slot(second: u64) -> usize {
    usize::try_from(second % SLOTS as u64).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn given_a_steady_rate_then_it_is_shown_and_after_a_silence_forgotten() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let meter = Meter::new(start);
        assert_eq!(meter.per_second(at(0)), 0);
        for ms in (0..10_000).step_by(5) {
            meter.count(at(ms));
        }
        assert_eq!(meter.per_second(at(9_999)), 200);
        assert_eq!(meter.per_second(at(12_500)), 100, "two of four seconds");
        assert_eq!(meter.per_second(at(60_000)), 0);
        assert_eq!(meter.total(at(60_000)), 2_000);
    }

    #[test]
    fn given_a_young_meter_then_only_the_seconds_it_lived_count() {
        let start = Instant::now();
        let meter = Meter::new(start);
        for ms in 0..2_000 {
            meter.count(start + Duration::from_millis(ms));
        }
        assert_eq!(
            meter.per_second(start + Duration::from_millis(2_000)),
            1_000
        );
    }
}
