//! Handlers as whole processes, against a real cluster: killed, paused, cut off from
//! their database or broker, and stopped between any two steps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod crash_points;
mod failures;
mod instances;
mod process;
mod proxy;
mod world;

use std::time::{Duration, Instant};

/// Longest wait for anything to become true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Asks again and again until there is an answer.
pub(crate) async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(process::GLANCE).await;
    }
}
