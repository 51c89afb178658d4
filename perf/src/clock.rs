//! One monotonic clock for all that is measured: sender and observer are one process.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::error::Error;

/// How late a pause notices that somebody wants to stop.
const PAUSE_SLICE: Duration = Duration::from_millis(100);

/// Sleeps, unless somebody wants to stop.
///
/// # Errors
/// [`Error::Interrupted`].
pub(crate) fn pause(time: Duration, stop: &AtomicBool) -> Result<(), Error> {
    let end = Instant::now() + time;
    loop {
        if stop.load(Ordering::Relaxed) {
            return Err(Error::Interrupted);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(PAUSE_SLICE));
    }
}

/// Nanoseconds since it was made.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that starts now.
    #[must_use]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Nanoseconds since the start.
    #[must_use]
    pub fn now_ns(self) -> u64 {
        nanoseconds(self.0.elapsed())
    }

    /// Sleeps until that time; returns at once when it has passed.
    pub fn sleep_until(self, at_ns: u64) {
        let now = self.now_ns();
        if at_ns > now {
            std::thread::sleep(Duration::from_nanos(at_ns - now));
        }
    }
}

/// Of a duration; 584 years are the limit.
#[must_use]
pub fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
