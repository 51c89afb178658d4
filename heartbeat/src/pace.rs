//! When beats are due. Pure: it is told the time.
//!
//! Open loop: the moments of all beats are fixed when the rate is set, so that a late
//! beat does not delay the ones after it and the rate is kept on average, whatever the
//! machine does in between.

use std::time::{Duration, Instant};

/// Highest rate; the generator and its readers are built for this much.
pub const BEATS_PER_SECOND_MAX: u32 = 2_000;
/// After a stall at most this much time's beats are sent at once; the rest is skipped,
/// since a flood after a pause would measure the pause, not the bank.
pub const CATCH_UP_MAX: Duration = Duration::from_secs(1);

const NANOSECONDS: u128 = 1_000_000_000;

/// Beats to send now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Due {
    /// Send this many.
    pub send: u64,
    /// These were due too, but too long ago.
    pub skipped: u64,
}

/// The moments at which beats are due, from the moment the rate was set.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    set_at: Instant,
    beats_per_second: u32,
    /// Beats of this pace already sent or skipped.
    accounted: u64,
}

impl Pace {
    /// A rate, set now.
    #[must_use]
    pub fn new(beats_per_second: u32, now: Instant) -> Pace {
        Pace {
            set_at: now,
            beats_per_second,
            accounted: 0,
        }
    }

    /// The rate.
    #[must_use]
    pub fn beats_per_second(&self) -> u32 {
        self.beats_per_second
    }

    /// When the next beat is due; `None` when there will be none.
    #[must_use]
    pub fn next_at(&self) -> Option<Instant> {
        self.moment_of(self.accounted + 1)
    }

    /// When a beat of this pace is due, counted from 1.
    fn moment_of(&self, beat: u64) -> Option<Instant> {
        let rate = u128::from(self.beats_per_second);
        let nanoseconds = (u128::from(beat) * NANOSECONDS).checked_div(rate)?;
        let offset = Duration::from_nanos(u64::try_from(nanoseconds).ok()?);
        self.set_at.checked_add(offset)
    }

    /// Takes the beats due up to now.
    pub fn take(&mut self, now: Instant) -> Due {
        let rate = u128::from(self.beats_per_second);
        let elapsed = now.saturating_duration_since(self.set_at).as_nanos();
        let until_now = u64::try_from(elapsed * rate / NANOSECONDS).unwrap_or(u64::MAX);
        let owed = until_now.saturating_sub(self.accounted);
        let most = u64::try_from(CATCH_UP_MAX.as_nanos() * rate / NANOSECONDS).unwrap_or(u64::MAX);
        let send = owed.min(most);
        self.accounted += owed;
        Due {
            send,
            skipped: owed - send,
        }
    }

    /// How long ago the beat was due that is followed by this many later ones taken.
    #[must_use]
    pub fn lateness(&self, later: u64, now: Instant) -> Duration {
        self.accounted
            .checked_sub(later)
            .and_then(|beat| self.moment_of(beat))
            .map_or(Duration::ZERO, |moment| {
                now.saturating_duration_since(moment)
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn milliseconds(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn given_rate_0_then_no_beat_is_ever_due() {
        let start = Instant::now();
        let mut pace = Pace::new(0, start);
        assert_eq!(pace.next_at(), None);
        assert_eq!(pace.take(start + milliseconds(5_000)), Due::default());
    }

    #[test]
    fn given_any_wake_ups_then_exactly_the_rate_is_sent() {
        for rate in [1, 3, 7, 200, 999, 1_000, 1_999, BEATS_PER_SECOND_MAX] {
            for wake_up_ms in [1, 3, 16, 250, 999] {
                let start = Instant::now();
                let mut pace = Pace::new(rate, start);
                let mut sent = 0;
                let mut now_ms = 0;
                while now_ms < 10_000 {
                    now_ms = (now_ms + wake_up_ms).min(10_000);
                    let due = pace.take(start + milliseconds(now_ms));
                    assert_eq!(due.skipped, 0);
                    sent += due.send;
                }
                assert_eq!(
                    sent,
                    u64::from(rate) * 10,
                    "{rate}/s woken each {wake_up_ms} ms"
                );
            }
        }
    }

    #[test]
    fn given_a_beat_sent_when_asked_then_the_next_is_due_one_interval_later() {
        let start = Instant::now();
        let mut pace = Pace::new(200, start);
        assert_eq!(pace.next_at(), Some(start + milliseconds(5)));
        assert_eq!(pace.take(start + milliseconds(4)).send, 0);
        assert_eq!(pace.take(start + milliseconds(5)).send, 1);
        assert_eq!(pace.next_at(), Some(start + milliseconds(10)));
        // Late by 9 ms: the beat after it stays where it was.
        assert_eq!(pace.take(start + milliseconds(19)).send, 2);
        assert_eq!(pace.next_at(), Some(start + milliseconds(20)));
    }

    #[test]
    fn given_a_stall_then_one_second_is_caught_up_and_the_rest_is_skipped() {
        let start = Instant::now();
        for (stall_ms, send, skipped) in [(999, 199, 0), (1_000, 200, 0), (5_000, 200, 800)] {
            let mut pace = Pace::new(200, start);
            let due = pace.take(start + milliseconds(stall_ms));
            assert_eq!(due, Due { send, skipped });
            let later = pace.take(start + milliseconds(stall_ms + 1_000));
            assert_eq!(later.send, 200, "back at the rate");
        }
    }

    #[test]
    fn given_late_beats_then_each_knows_how_late_it_is() {
        let start = Instant::now();
        let mut pace = Pace::new(100, start);
        let now = start + milliseconds(35);
        assert_eq!(pace.take(now).send, 3);
        let late: Vec<_> = [2, 1, 0].map(|later| pace.lateness(later, now)).into();
        assert_eq!(late, [25, 15, 5].map(milliseconds));
    }
}
