//! How soon a batch may follow the one before. Pure.
//!
//! A batch costs about the same whether it decides one command or ten: two round trips, a
//! forced write, and a request to Kafka for each partition it touches. Batches that follow
//! each other at once stay small until all processors are busy with them, and commands
//! then wait for processors. So a small batch is followed the later the more it held: a
//! command that comes alone is handled at once, a stream of them ten and more at a time,
//! and a backlog never waits. `docs/adr/0008-a-pace-between-small-batches.md`.

use std::time::Duration;

/// Pause for each command of a small batch, counted from its beginning: streams of less
/// than a thousand commands a second hardly feel it.
const PER_COMMAND: Duration = Duration::from_millis(1);
/// Longest pause.
const PAUSE_MAX: Duration = Duration::from_millis(8);
/// A batch of so many commands is cheap enough.
const ENOUGH: usize = 32;

/// The least time from the beginning of a batch with this many commands to the next.
#[must_use]
pub(crate) fn after(commands: usize, batch_max: usize) -> Duration {
    if commands >= ENOUGH.min(batch_max) {
        return Duration::ZERO;
    }
    let commands = u32::try_from(commands).unwrap_or(u32::MAX);
    PER_COMMAND.saturating_mul(commands).min(PAUSE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_batches_are_followed_the_later_the_more_they_held_and_large_ones_at_once() {
        for (commands, batch_max, pause_ms) in [
            (1, 256, 1),
            (3, 256, 3),
            (8, 256, 8),
            (31, 256, 8),
            (32, 256, 0),
            (256, 256, 0),
            // One at a time never waits, nor does any batch that is full.
            (1, 1, 0),
            (4, 4, 0),
            (3, 4, 3),
        ] {
            let pause = after(commands, batch_max);
            assert_eq!(pause.as_millis(), pause_ms, "{commands} of {batch_max}");
        }
    }
}
