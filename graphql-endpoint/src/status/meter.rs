//! What this gateway knows of itself: who is connected, what it pushes, how long that took.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::{DateTime, Utc};

use super::snapshot::LatencyWindow;

/// Length of a window.
const WINDOW_SECONDS: i64 = 5;
/// Windows kept: five minutes.
const WINDOWS_MAX: usize = 60;
/// Steps within each doubling of a latency: each is known to a sixteenth.
const STEPS: u64 = 16;
/// For 24 doublings: the last bucket begins at more than a minute.
const BUCKETS: usize = 16 * 24;

/// Counters and latencies.
#[derive(Default)]
pub struct Meter {
    pushed: AtomicU64,
    sockets: AtomicU64,
    windows: Mutex<VecDeque<Window>>,
}

struct Window {
    /// The time it began, in windows since 1970.
    number: i64,
    count: u64,
    buckets: Box<[u32; BUCKETS]>,
}

impl Window {
    fn new(number: i64) -> Window {
        Window {
            number,
            count: 0,
            buckets: Box::new([0; BUCKETS]),
        }
    }

    /// Below this many milliseconds lie so many of a hundred.
    fn percentile_ms(&self, percent: u64) -> Option<f64> {
        let wanted = (self.count * percent).div_ceil(100);
        let mut seen = 0;
        let mut buckets = self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0);
        let (bucket, _) = buckets.find(|(_, count)| {
            seen += u64::from(**count);
            seen >= wanted
        })?;
        Some(middle_ms(bucket))
    }

    fn shown(&self) -> LatencyWindow {
        LatencyWindow {
            from: starts_at(self.number),
            seconds: i32::try_from(WINDOW_SECONDS).unwrap_or(i32::MAX),
            count: i64::try_from(self.count).unwrap_or(i64::MAX),
            p50_ms: self.percentile_ms(50),
            p95_ms: self.percentile_ms(95),
            p99_ms: self.percentile_ms(99),
        }
    }
}

/// One open socket, for as long as it is kept.
pub struct OpenSocket(Arc<Meter>);

impl Drop for OpenSocket {
    fn drop(&mut self) {
        self.0.sockets.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    /// A socket opens.
    #[must_use]
    pub fn socket(self: &Arc<Meter>) -> OpenSocket {
        self.sockets.fetch_add(1, Ordering::Relaxed);
        OpenSocket(Arc::clone(self))
    }

    /// Sockets and event streams open now.
    #[must_use]
    pub fn sockets(&self) -> u64 {
        self.sockets.load(Ordering::Relaxed)
    }

    /// A live change goes to a subscriber; its command was accepted at this time, if it
    /// says so, in microseconds since 1970.
    pub fn pushed(&self, accepted_us: Option<i64>, now_us: i64) {
        self.pushed.fetch_add(1, Ordering::Relaxed);
        let Some(accepted_us) = accepted_us else {
            return;
        };
        // A clock that was set back in between tells nothing.
        let Ok(latency_us) = u64::try_from(now_us - accepted_us) else {
            return;
        };
        let number = now_us / 1_000_000 / WINDOW_SECONDS;
        let mut windows = self.lock();
        let is_new = windows.back().is_none_or(|newest| newest.number < number);
        if is_new {
            if windows.len() >= WINDOWS_MAX {
                windows.pop_front();
            }
            windows.push_back(Window::new(number));
        }
        if let Some(window) = windows.back_mut() {
            window.count += 1;
            let count = &mut window.buckets[bucket_of(latency_us)];
            *count = count.saturating_add(1);
        }
    }

    /// Changes pushed since the start.
    #[must_use]
    pub fn pushed_count(&self) -> u64 {
        self.pushed.load(Ordering::Relaxed)
    }

    /// The last five minutes, oldest first; windows in which nothing was pushed too.
    #[must_use]
    pub fn latency(&self, now: DateTime<Utc>) -> Vec<LatencyWindow> {
        let newest = now.timestamp() / WINDOW_SECONDS;
        let count = i64::try_from(WINDOWS_MAX).unwrap_or(i64::MAX);
        let windows = self.lock();
        let mut kept = windows.iter().peekable();
        let mut shown = Vec::with_capacity(WINDOWS_MAX);
        for number in newest - count + 1..=newest {
            while kept.next_if(|window| window.number < number).is_some() {}
            let window = kept.next_if(|window| window.number == number);
            shown.push(window.map_or_else(
                || LatencyWindow {
                    from: starts_at(number),
                    seconds: i32::try_from(WINDOW_SECONDS).unwrap_or(i32::MAX),
                    count: 0,
                    p50_ms: None,
                    p95_ms: None,
                    p99_ms: None,
                },
                Window::shown,
            ));
        }
        shown
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Window>> {
        self.windows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn starts_at(number: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(number * WINDOW_SECONDS, 0).unwrap_or_default()
}

/// Each doubling has as many buckets as the next: the error stays in proportion.
fn bucket_of(us: u64) -> usize {
    let us = us.max(STEPS);
    let doubling = u64::from((us / STEPS).ilog2());
    let step = (us >> doubling) - STEPS;
    let bucket = doubling * STEPS + step;
    usize::try_from(bucket).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

#[expect(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a latency for people, not money"
)]
fn middle_ms(bucket: usize) -> f64 {
    let (doubling, step) = (bucket as u64 / STEPS, bucket as u64 % STEPS);
    let width = 1_u64 << doubling;
    let lowest = (STEPS + step) << doubling;
    (lowest as f64 + width as f64 / 2.0) / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_latency_then_its_bucket_is_within_a_sixteenth_of_it() {
        let latencies: [u64; 7] = [16, 17, 1_000, 5_432, 98_765, 1_000_000, 59_000_000];
        for us in latencies {
            #[expect(clippy::cast_precision_loss, reason = "small numbers")]
            let ms = us as f64 / 1000.0;
            let shown = middle_ms(bucket_of(us));
            assert!((shown - ms).abs() <= ms / 16.0, "{us} us as {shown} ms");
        }
        assert_eq!(bucket_of(0), 0);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn given_pushes_then_their_window_has_the_percentiles_and_the_others_none() {
        let meter = Meter::default();
        let now = DateTime::from_timestamp(1_763_760_002, 0).unwrap();
        let now_us = now.timestamp_micros();
        for latency in 1..=100 {
            meter.pushed(Some(now_us - latency * 1_000), now_us);
        }
        meter.pushed(None, now_us);
        meter.pushed(Some(now_us + 1), now_us);
        assert_eq!(meter.pushed_count(), 102);
        let windows = meter.latency(now);
        assert_eq!(windows.len(), WINDOWS_MAX);
        let newest = windows.last().unwrap();
        assert_eq!(newest.count, 100);
        let p99 = newest.p99_ms.unwrap();
        assert!((93.0..=105.0).contains(&p99), "{p99}");
        assert!(newest.from <= now);
        assert!(windows[..WINDOWS_MAX - 1].iter().all(|it| it.count == 0));
        assert_eq!(windows[0].p50_ms, None);
        let later = now + chrono::TimeDelta::minutes(6);
        assert!(meter.latency(later).iter().all(|it| it.count == 0));
    }

    #[test]
    fn given_pushes_for_hours_then_no_more_than_five_minutes_are_kept() {
        let meter = Meter::default();
        for window in 0..10_000 {
            let now_us = window * WINDOW_SECONDS * 1_000_000;
            meter.pushed(Some(now_us), now_us);
        }
        assert_eq!(meter.lock().len(), WINDOWS_MAX);
    }
}
