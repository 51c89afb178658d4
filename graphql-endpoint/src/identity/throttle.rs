//! Counting tries: so many a minute for each name or address, in bounded memory.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Length of a window.
const WINDOW: Duration = Duration::from_secs(60);
/// Names or addresses remembered; beyond it the oldest window is forgotten.
const KEYS_MAX: usize = 10_000;

struct Window {
    since: Instant,
    tries: u32,
}

/// A limit on tries per key.
pub struct Throttle<K> {
    limit: u32,
    windows: Mutex<HashMap<K, Window>>,
}

impl<K: Eq + Hash + Clone> Throttle<K> {
    /// At most `limit` tries a minute for each key.
    #[must_use]
    pub fn per_minute(limit: u32) -> Throttle<K> {
        Throttle {
            limit,
            windows: Mutex::new(HashMap::new()),
        }
    }

    /// Counts a try before it is made, so that many at once cannot slip through.
    ///
    /// # Errors
    /// How long to wait when there were too many.
    pub fn begin(&self, key: &K, now: Instant) -> Result<(), Duration> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() >= KEYS_MAX && !windows.contains_key(key) {
            make_room(&mut windows, now);
        }
        let window = windows.entry(key.clone()).or_insert(Window {
            since: now,
            tries: 0,
        });
        let age = now.saturating_duration_since(window.since);
        if age >= WINDOW {
            *window = Window {
                since: now,
                tries: 0,
            };
        }
        if window.tries >= self.limit {
            return Err(WINDOW.saturating_sub(age).max(Duration::from_secs(1)));
        }
        window.tries += 1;
        Ok(())
    }

    /// Takes back a try that turned out to be fine.
    pub fn forgive(&self, key: &K) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(window) = windows.get_mut(key) {
            window.tries = window.tries.saturating_sub(1);
        }
    }
}

fn make_room<K: Eq + Hash + Clone>(windows: &mut HashMap<K, Window>, now: Instant) {
    windows.retain(|_, window| now.saturating_duration_since(window.since) < WINDOW);
    if windows.len() >= KEYS_MAX {
        let oldest = windows
            .iter()
            .min_by_key(|(_, window)| window.since)
            .map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            windows.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_try_after_the_limit_waits_for_the_end_of_the_minute() {
        let throttle = Throttle::per_minute(5);
        let start = Instant::now();
        for second in 0..5 {
            let now = start + Duration::from_secs(second);
            assert_eq!(throttle.begin(&"ann", now), Ok(()));
        }
        let now = start + Duration::from_secs(20);
        assert_eq!(throttle.begin(&"ann", now), Err(Duration::from_secs(40)));
        assert_eq!(throttle.begin(&"bob", now), Ok(()));
        let later = start + WINDOW;
        assert_eq!(throttle.begin(&"ann", later), Ok(()));
    }

    #[test]
    fn a_try_that_was_fine_does_not_count() {
        let throttle = Throttle::per_minute(1);
        let now = Instant::now();
        for _ in 0..3 {
            assert_eq!(throttle.begin(&"ann", now), Ok(()));
            throttle.forgive(&"ann");
        }
    }

    #[test]
    fn a_flood_of_names_does_not_grow_memory() {
        let throttle = Throttle::per_minute(1);
        let now = Instant::now();
        for name in 0..KEYS_MAX + 100 {
            assert_eq!(throttle.begin(&name, now), Ok(()));
        }
        assert_eq!(throttle.windows.lock().unwrap().len(), KEYS_MAX);
    }
}
