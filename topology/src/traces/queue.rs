//! What lies between those who make spans and the thread that sends them: bounded, and never
//! a reason to wait.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::metrics::{self, Counter};
use crate::traces::Span;

/// Spans that may wait, of about 200 bytes each: two seconds of a gateway at its limit.
pub(super) const SPANS_MAX: usize = 8_192;
/// Spans of one request.
pub(super) const BATCH_MAX: usize = 512;
/// How long the first span of a request waits for others.
const PAUSE: Duration = Duration::from_secs(1);

/// A span that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) span: Span,
    /// When, in microseconds since 1970.
    pub(crate) end_us: i64,
}

/// Why a span was dropped.
#[derive(Clone, Copy, Debug)]
pub(super) enum Dropped {
    /// There was no room in the queue.
    Full,
    /// The collector did not take it.
    Undelivered,
}

#[derive(Default)]
struct State {
    spans: VecDeque<Ended>,
    is_ending: bool,
    has_ended: bool,
}

/// Spans on their way.
pub(super) struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    ended: Condvar,
    exported: Counter,
    full: Counter,
    undelivered: Counter,
}

impl Queue {
    pub(super) fn new() -> Queue {
        let dropped = |reason| {
            metrics::counter(
                "bank_spans_dropped_total",
                "Spans of traces that nobody will see: the queue was full, or the collector did not take them.",
                &[("reason", reason)],
            )
        };
        Queue {
            state: Mutex::default(),
            changed: Condvar::new(),
            ended: Condvar::new(),
            exported: metrics::counter(
                "bank_spans_exported_total",
                "Spans of traces that the collector took.",
                &[],
            ),
            full: dropped("full"),
            undelivered: dropped("undelivered"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a span, or drops it: at once in any case.
    pub(super) fn push(&self, ended: Ended) {
        let mut state = self.lock();
        if state.spans.len() >= SPANS_MAX || state.is_ending {
            drop(state);
            self.dropped(1, Dropped::Full);
            return;
        }
        state.spans.push_back(ended);
        let waiting = state.spans.len();
        drop(state);
        // One begins the pause, the other ends it.
        if waiting == 1 || waiting == BATCH_MAX {
            self.changed.notify_one();
        }
    }

    /// Waits for spans; `None`: there are none left, and there will be none.
    pub(super) fn take(&self) -> Option<Vec<Ended>> {
        let mut state = self.lock();
        while state.spans.is_empty() {
            if state.is_ending {
                state.has_ended = true;
                self.ended.notify_all();
                return None;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let few = |state: &mut State| state.spans.len() < BATCH_MAX && !state.is_ending;
        let (mut state, _) = self
            .changed
            .wait_timeout_while(state, PAUSE, few)
            .unwrap_or_else(PoisonError::into_inner);
        let taken = state.spans.len().min(BATCH_MAX);
        Some(state.spans.drain(..taken).collect())
    }

    /// Takes no more, and waits until the thread has sent what there is, but no longer than
    /// this.
    pub(super) fn finish(&self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        state.is_ending = true;
        self.changed.notify_all();
        while !state.has_ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            let waited = self.ended.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    pub(super) fn exported(&self, spans: usize) {
        self.exported.add(spans.try_into().unwrap_or(0));
    }

    pub(super) fn dropped(&self, spans: usize, why: Dropped) {
        let counter = match why {
            Dropped::Full => &self.full,
            Dropped::Undelivered => &self.undelivered,
        };
        counter.add(spans.try_into().unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topics::Topic;
    use crate::traces::{About, Place, Work};

    fn ended(number: usize) -> Ended {
        let about = About {
            topic: Topic::BalanceChanged,
            partition: 0,
            offset: i64::try_from(number).ok(),
            group: None,
            command_id: None,
        };
        let span = Span {
            work: Work::Process,
            place: Place::new(1),
            parent: None,
            about,
            start_us: 0,
            moments: Vec::new(),
            batch: None,
            outcome: None,
        };
        Ended { span, end_us: 1 }
    }

    #[test]
    fn given_nobody_who_takes_them_then_spans_beyond_the_bound_are_dropped_and_counted() {
        let queue = Queue::new();
        let before = queue.full.get();
        for number in 0..SPANS_MAX + 10 {
            queue.push(ended(number));
        }
        assert_eq!(queue.full.get() - before, 10);
        // What was there first is kept, and leaves in order.
        let first = queue.take().unwrap();
        assert_eq!(first.len(), BATCH_MAX);
        assert_eq!(first[0].span.about.offset, Some(0));
        queue.push(ended(1));
        assert_eq!(queue.full.get() - before, 10);
    }

    #[test]
    fn given_an_end_then_what_waits_is_taken_without_a_pause_and_nothing_after_it() {
        let queue = Queue::new();
        queue.push(ended(1));
        // Nobody takes: the end does not wait for it.
        assert!(!queue.finish(Duration::ZERO));
        queue.push(ended(2));
        assert_eq!(queue.take().map(|it| it.len()), Some(1));
        assert_eq!(queue.take(), None);
        assert!(queue.finish(Duration::ZERO));
    }
}
