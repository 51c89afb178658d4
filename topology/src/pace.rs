//! How soon a batch may follow the one before.
//!
//! A batch costs about the same whether it holds one record or ten: round trips, a forced
//! write, requests. Batches that follow each other at once stay small until all processors
//! are busy with them, and records then wait for processors. So a small batch is followed
//! the later the more it held: one that comes alone is handled at once, a stream of them
//! ten and more at a time, and a backlog never waits.
//! `docs/adr/0008-a-pace-between-small-batches.md`.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The pace of one kind of batches.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Pause for each item of a small batch, counted from the batch's beginning.
    pub per_item: Duration,
    /// Longest pause.
    pub pause_max: Duration,
    /// A batch of so many items is cheap enough.
    pub enough: usize,
}

impl Pace {
    /// The least time from the beginning of a batch with this many items to the next, where
    /// a batch may hold `batch_max`.
    #[must_use]
    pub fn after(&self, items: usize, batch_max: usize) -> Duration {
        if items >= self.enough.min(batch_max) {
            return Duration::ZERO;
        }
        let items = u32::try_from(items).unwrap_or(u32::MAX);
        self.per_item.saturating_mul(items).min(self.pause_max)
    }
}

/// The pace of one loop: when its next batch may begin.
#[derive(Clone, Copy, Debug)]
pub struct Paced {
    pace: Pace,
    batch_max: usize,
    not_before: Instant,
}

impl Paced {
    /// For a loop whose batches hold at most `batch_max`; the first may begin now.
    #[must_use]
    pub fn new(pace: Pace, batch_max: usize) -> Paced {
        Paced {
            pace,
            batch_max,
            not_before: Instant::now(),
        }
    }

    /// Waits until the next batch may begin.
    pub async fn turn(&self) {
        sleep_until(self.not_before).await;
    }

    /// A batch of so many begins now.
    pub fn begin(&mut self, items: usize) {
        self.not_before = Instant::now() + self.pace.after(items, self.batch_max);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn given_a_small_batch_then_the_turn_comes_after_its_pause_and_else_at_once() {
        let pace = Pace {
            per_item: Duration::from_millis(1),
            pause_max: Duration::from_millis(8),
            enough: 32,
        };
        let mut paced = Paced::new(pace, 256);
        for (items, pause_ms) in [(0, 0), (3, 3), (40, 0)] {
            let began = Instant::now();
            paced.begin(items);
            paced.turn().await;
            assert_eq!(began.elapsed().as_millis(), pause_ms, "{items}");
        }
    }

    #[test]
    fn small_batches_are_followed_the_later_the_more_they_held_and_large_ones_at_once() {
        let pace = Pace {
            per_item: Duration::from_millis(1),
            pause_max: Duration::from_millis(8),
            enough: 32,
        };
        for (items, batch_max, pause_ms) in [
            (0, 256, 0),
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
            let pause = pace.after(items, batch_max);
            assert_eq!(pause.as_millis(), pause_ms, "{items} of {batch_max}");
        }
    }
}
