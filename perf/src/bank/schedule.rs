//! When commands are meant to be sent: fixed before the first one is, and waiting for nobody.

use std::time::Duration;

use crate::clock::nanoseconds;
use crate::numbers::{float, whole};
use crate::workload::Random;

/// How commands follow each other.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Arrivals {
    /// One after the other, always as far apart.
    Constant,
    /// Independently of each other, as from many people.
    Poisson,
}

impl Arrivals {
    /// As results name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Arrivals::Constant => "constant",
            Arrivals::Poisson => "poisson",
        }
    }
}

/// Nanoseconds from the start of a load of `per_second` that lasts `time`; the same for the
/// same seed.
#[must_use]
pub fn times_ns(arrivals: Arrivals, per_second: f64, time: Duration, seed: u64) -> Vec<u64> {
    let end = nanoseconds(time);
    let gap_ns = 1e9 / per_second;
    let mut random = Random(seed);
    let mut times = Vec::new();
    let mut at = 0.0;
    loop {
        let next = whole(at);
        if next >= end {
            return times;
        }
        times.push(next);
        at += match arrivals {
            Arrivals::Constant => gap_ns,
            // The gaps of independent arrivals; the fraction is below 1.
            Arrivals::Poisson => -gap_ns * (1.0 - random.fraction()).ln(),
        };
    }
}

/// The quarter of a load in which a command falls, 0 to 3.
#[must_use]
pub fn quarter(at_ns: u64, from_ns: u64, time: Duration) -> usize {
    let share = float(at_ns.saturating_sub(from_ns)) / float(nanoseconds(time).max(1));
    usize::try_from(whole(share * 4.0)).unwrap_or(3).min(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_constant_load_is_as_far_apart_as_its_rate_says() {
        let times = times_ns(Arrivals::Constant, 1_000.0, SECOND, 1);
        assert_eq!(times.len(), 1_000);
        assert_eq!(times[1] - times[0], 1_000_000);
        assert_eq!(times[999], 999_000_000);
    }

    #[test]
    fn a_poisson_load_has_its_rate_and_its_bunches_and_is_repeated_by_its_seed() {
        let of = |seed| times_ns(Arrivals::Poisson, 10_000.0, 10 * SECOND, seed);
        let times = of(7);
        assert!((98_500..101_500).contains(&times.len()), "{}", times.len());
        assert!(times.is_sorted());
        // Of independent arrivals 63.2 % come sooner than the mean gap.
        let soon = times
            .windows(2)
            .filter(|it| it[1] - it[0] < 100_000)
            .count();
        let share = crate::numbers::float_len(soon) / crate::numbers::float_len(times.len());
        assert!((0.62..0.645).contains(&share), "{share}");
        assert_eq!(times, of(7));
        assert_ne!(times, of(8));
    }

    #[test]
    fn a_step_has_four_quarters() {
        for (at, expected) in [
            (0, 0),
            (249_999_999, 0),
            (250_000_000, 1),
            (999_999_999, 3),
            (u64::MAX, 3),
        ] {
            assert_eq!(quarter(at, 0, SECOND), expected, "{at}");
        }
    }
}
