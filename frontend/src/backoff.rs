//! How long to wait before trying again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(15);
/// After so many doublings the longest wait is reached anyway.
const DOUBLINGS_MAX: u32 = 5;

/// The wait before attempt 1, 2, 3 ...: doubled each time up to a limit, then between half and all of it by `dice`,
/// so that many pages cut off together do not come back together.
#[must_use]
pub fn delay(attempt: u32, dice: u8) -> Duration {
    let doublings = attempt.saturating_sub(1).min(DOUBLINGS_MAX);
    let full = (FIRST * 2_u32.pow(doublings)).min(LONGEST);
    full / 2 + full / 2 * u32::from(dice) / u32::from(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_limit_and_are_spread() {
        for (attempt, least_ms, most_ms) in [
            (1, 250, 500),
            (2, 500, 1_000),
            (4, 2_000, 4_000),
            (6, 7_500, 15_000),
            (99, 7_500, 15_000),
        ] {
            assert_eq!(delay(attempt, 0), Duration::from_millis(least_ms));
            assert_eq!(delay(attempt, u8::MAX), Duration::from_millis(most_ms));
        }
    }
}
