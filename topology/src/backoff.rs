//! Waiting for what is away: pauses that double up to a limit, and one line in the log
//! per change of state.

use std::error::Error;
use std::time::Duration;

use tracing::{info, warn};

use crate::service::chain;

/// Pause after the first failure.
pub const PAUSE_FIRST: Duration = Duration::from_millis(50);
/// Longest pause; whatever is away is asked again for as long as it takes.
pub const PAUSE_MAX: Duration = Duration::from_secs(2);

/// The pauses of one thing that is tried again and again.
#[derive(Debug)]
pub struct Backoff<'a> {
    what: &'a str,
    pause: Duration,
    told: bool,
}

impl<'a> Backoff<'a> {
    /// For trying `what`, named as in "reading the books".
    #[must_use]
    pub fn new(what: &'a str) -> Backoff<'a> {
        Backoff {
            what,
            pause: PAUSE_FIRST,
            told: false,
        }
    }

    /// Says once that it failed, and waits.
    pub async fn wait(&mut self, error: &(dyn Error + Sync)) {
        // Not after the first time: building the text of a chain may cost more than the try.
        let reason = if self.told {
            String::new()
        } else {
            chain(error)
        };
        self.wait_because(&reason).await;
    }

    /// As [`Backoff::wait`], for what is no error but not there yet.
    pub async fn wait_because(&mut self, reason: &str) {
        if !self.told {
            warn!(what = self.what, reason, "failed, trying again");
            self.told = true;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(PAUSE_MAX);
    }

    /// Says once that it works again; the next failure starts with the first pause.
    pub fn succeeded(&mut self) {
        if self.told {
            info!(what = self.what, "works again");
        }
        *self = Backoff::new(self.what);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_failures_then_pauses_double_to_the_limit_and_a_success_starts_them_anew() {
        let mut backoff = Backoff::new("trying");
        let mut pauses = Vec::new();
        for attempt in 0..8 {
            if attempt == 7 {
                backoff.succeeded();
            }
            let before = Instant::now();
            backoff.wait_because("away").await;
            pauses.push(before.elapsed().as_millis());
        }
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1_600, 2_000, 50]);
    }
}
