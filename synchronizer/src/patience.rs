//! Waiting for what is away, up to a deadline.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};
use topology::Backoff;

use crate::error::Failure;

/// When waiting ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    started: Instant,
    at: Instant,
}

impl Deadline {
    pub(crate) fn after(duration: Duration) -> Deadline {
        let started = Instant::now();
        Deadline {
            started,
            at: started + duration,
        }
    }

    pub(crate) fn waited(self) -> Duration {
        self.started.elapsed()
    }

    pub(crate) fn is_over(self) -> bool {
        Instant::now() >= self.at
    }

    /// One attempt that may not outlive the deadline.
    pub(crate) async fn bound<T>(
        self,
        party: &str,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        timeout_at(self.at, attempt)
            .await
            .unwrap_or_else(|_| Err(Failure::away(party, "no answer")))
    }

    /// Attempts until one succeeds, is refused for good, or the deadline is over.
    pub(crate) async fn patiently<T>(
        self,
        party: &str,
        mut attempt: impl AsyncFnMut() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut backoff = Backoff::new(party);
        let mut last: Option<Failure> = None;
        loop {
            match self.bound(party, attempt()).await {
                Ok(value) => {
                    backoff.succeeded();
                    return Ok(value);
                }
                Err(failure) if failure.lasting => return Err(failure),
                Err(failure) => {
                    // The deadline's own "no answer" says less than the last real one.
                    if last.is_none() || !self.is_over() {
                        last = Some(failure);
                    }
                }
            }
            let reason = last.as_ref().map_or("no answer", |failure| &failure.reason);
            let pausing = backoff.wait_because(reason);
            if timeout_at(self.at, pausing).await.is_err() || self.is_over() {
                return Err(last.unwrap_or_else(|| Failure::away(party, "no answer")));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_a_party_that_comes_late_when_waited_for_then_it_is_found() {
        let deadline = Deadline::after(Duration::from_secs(60));
        let mut attempts = 0;
        let found = deadline
            .patiently("registry", async || {
                attempts += 1;
                if attempts < 10 {
                    Err(Failure::away("registry", "refused"))
                } else {
                    Ok(attempts)
                }
            })
            .await;
        assert_eq!(found.unwrap(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_party_that_stays_away_when_the_deadline_is_over_then_its_reason_is_kept() {
        let deadline = Deadline::after(Duration::from_secs(3));
        let failure = deadline
            .patiently::<()>("registry", async || {
                tokio::time::sleep(Duration::from_millis(700)).await;
                Err(Failure::away("registry", "connection refused"))
            })
            .await
            .unwrap_err();
        assert_eq!(failure.reason, "registry (connection refused)");
        let waited = deadline.waited();
        assert!(waited >= Duration::from_secs(3) && waited < Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn given_a_refusal_when_waited_for_then_it_ends_at_once() {
        let deadline = Deadline::after(Duration::from_secs(3));
        let failure = deadline
            .patiently::<()>("registry", async || Err(Failure::refused("registry", "no")))
            .await
            .unwrap_err();
        assert!(failure.lasting);
        assert!(deadline.waited() < Duration::from_secs(1));
    }
}
