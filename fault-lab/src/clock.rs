//! The lab's clock: microseconds since it was made, the same for everybody.

use std::time::Instant;

/// A clock; copies show the same time.
#[derive(Clone, Copy, Debug)]
pub struct Clock(Instant);

impl Clock {
    /// A clock that shows zero now.
    #[must_use]
    pub fn start() -> Clock {
        Clock(Instant::now())
    }

    /// Microseconds since it was made.
    #[must_use]
    pub fn now_us(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}
