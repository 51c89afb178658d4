//! How long things took, before, during and after a fault.

use serde::Serialize;

/// One thing that was waited for.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// When it should have begun, on the lab's clock.
    pub began_us: u64,
    /// From then to its answer.
    pub took_us: u64,
}

/// What became of many samples; milliseconds with three digits are microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// How many.
    pub samples: u64,
    /// Half took no longer.
    pub p50_us: u64,
    /// All but a hundredth took no longer.
    pub p99_us: u64,
    /// None took longer.
    pub max_us: u64,
}

/// In which time something began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Phases {
    /// Before the first fault.
    pub before: Latency,
    /// From the first fault until the bank has recovered from the last.
    pub during: Latency,
    /// From then on.
    pub after: Latency,
}

impl Phases {
    /// Of these samples, with the first fault and the recovery at these times.
    #[must_use]
    pub fn of(samples: &[Sample], first_fault_us: u64, recovered_us: u64) -> Phases {
        let select = |from: u64, to: u64| {
            let chosen = samples
                .iter()
                .filter(|it| (from..to).contains(&it.began_us))
                .map(|it| it.took_us);
            Latency::of(chosen.collect())
        };
        Phases {
            before: select(0, first_fault_us),
            during: select(first_fault_us, recovered_us),
            after: select(recovered_us, u64::MAX),
        }
    }
}

impl Latency {
    fn of(mut took_us: Vec<u64>) -> Latency {
        took_us.sort_unstable();
        let at = |hundredths: usize| {
            let index = (took_us.len() * hundredths).div_ceil(100).saturating_sub(1);
            took_us.get(index).copied().unwrap_or_default()
        };
        Latency {
            samples: u64::try_from(took_us.len()).unwrap_or(u64::MAX),
            p50_us: at(50),
            p99_us: at(99),
            max_us: at(100),
        }
    }
}

/// Microseconds as milliseconds, for people.
#[must_use]
pub fn milliseconds(us: u64) -> String {
    if us < 10_000 {
        format!("{}.{}", us / 1_000, us % 1_000 / 100)
    } else {
        (us / 1_000).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_samples_of_three_times_when_split_then_each_is_judged_by_its_own() {
        let samples: Vec<Sample> = (0..300)
            .map(|index| Sample {
                began_us: index,
                took_us: index % 100 + 1,
            })
            .collect();
        let phases = Phases::of(&samples, 100, 250);
        assert_eq!(
            phases.before,
            Latency {
                samples: 100,
                p50_us: 50,
                p99_us: 99,
                max_us: 100
            }
        );
        assert_eq!(phases.during.samples, 150);
        assert_eq!((phases.after.samples, phases.after.p50_us), (50, 75));
        assert_eq!(Phases::of(&[], 1, 2), Phases::default());
    }

    #[test]
    fn given_microseconds_when_shown_then_small_ones_have_a_digit_more() {
        assert_eq!(milliseconds(1_234), "1.2");
        assert_eq!(milliseconds(9_999), "9.9");
        assert_eq!(milliseconds(12_345), "12");
    }
}
