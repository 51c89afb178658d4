//! Gateways as whole processes, in front of a real bank: stopped between any two steps,
//! alone or beside a second one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod clients;
mod crash_points;
mod process;
mod world;

use std::time::{Duration, Instant};

/// Longest wait for anything to become true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);

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
        tokio::time::sleep(GLANCE).await;
    }
}
