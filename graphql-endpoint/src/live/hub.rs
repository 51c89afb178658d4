//! Subscribers by account: a change wakes those who follow its account, and nobody else.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use dashmap::DashMap;
use tokio::sync::mpsc;
use topology::Topic;
use topology::consumer::Consumed;

use crate::facts::Change;
use crate::store::projection::Reached;

/// Changes that may wait for one subscriber; one that falls further behind is closed.
pub const QUEUE_MAX: usize = 64;
/// Subscriptions of one instance.
pub const SUBSCRIBERS_MAX: usize = 20_000;

/// What a subscriber is told.
#[derive(Clone, Debug)]
pub enum Live {
    /// A numbered change.
    Change(Arc<Change>),
    /// A change of the 2019 form: its number is found in the read model, where this
    /// place of the log has been reached.
    Unnumbered {
        /// Of `balance_changed`.
        partition: i32,
        /// The record's.
        offset: i64,
    },
}

#[derive(Default)]
struct Flags {
    reads_store: AtomicBool,
    missed: AtomicBool,
}

struct Subscriber {
    number: u64,
    queue: mpsc::Sender<Live>,
    flags: Arc<Flags>,
}

/// All subscribers of this instance, and how far its tail has come.
#[derive(Default)]
pub struct Hub {
    subscribers: DashMap<String, Vec<Subscriber>>,
    last_number: AtomicU64,
    count: AtomicU64,
    reached: Mutex<Option<Reached>>,
}

impl Hub {
    /// The tail starts here.
    pub fn started(&self, reached: Reached) {
        *self.reached.lock().unwrap_or_else(PoisonError::into_inner) = Some(reached);
    }

    /// The tail is about to hand out this batch.
    pub fn reached(&self, batch: &[Consumed]) {
        let mut reached = self.reached.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = reached.get_or_insert_default();
        for consumed in batch {
            if consumed.topic == Topic::BalanceChanged {
                reached.insert(consumed.partition, consumed.offset + 1);
            }
        }
    }

    /// How far the tail has come: what lies before must come from the read model.
    /// `None` while it has not started.
    #[must_use]
    pub fn tail(&self) -> Option<Reached> {
        self.reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Follows an account from now on; `None` when there are too many subscribers.
    #[must_use]
    pub fn subscribe(self: &Arc<Hub>, iban: &str) -> Option<Subscription> {
        let limit = u64::try_from(SUBSCRIBERS_MAX).unwrap_or(u64::MAX);
        if self.count.fetch_add(1, Ordering::Relaxed) >= limit {
            self.count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (queue, receiver) = mpsc::channel(QUEUE_MAX);
        let flags = Arc::new(Flags::default());
        flags.reads_store.store(true, Ordering::Relaxed);
        let number = self.last_number.fetch_add(1, Ordering::Relaxed);
        self.subscribers
            .entry(iban.to_owned())
            .or_default()
            .push(Subscriber {
                number,
                queue,
                flags: Arc::clone(&flags),
            });
        Some(Subscription {
            hub: Arc::clone(self),
            iban: iban.to_owned(),
            number,
            receiver,
            flags,
        })
    }

    /// Whether somebody follows this account.
    #[must_use]
    pub fn is_watched(&self, iban: &str) -> bool {
        !self.subscribers.is_empty() && self.subscribers.contains_key(iban)
    }

    /// Hands a change to those who follow its account.
    pub fn publish(&self, change: Change) {
        let Some(mut followers) = self.subscribers.get_mut(&change.iban) else {
            return;
        };
        let live = if change.version == 0 {
            Live::Unnumbered {
                partition: change.partition,
                offset: change.offset,
            }
        } else {
            Live::Change(Arc::new(change))
        };
        followers.retain(|subscriber| {
            let full = subscriber.queue.try_send(live.clone()).is_err();
            if full && subscriber.flags.reads_store.load(Ordering::Acquire) {
                // Busy with the read model, where it will find this one too.
                subscriber.flags.missed.store(true, Ordering::Release);
                return true;
            }
            // Dropping the sender ends the subscriber's stream, after what is queued.
            !full
        });
    }

    /// Subscriptions at the moment.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Relaxed)
    }
}

/// One subscriber's end.
pub struct Subscription {
    hub: Arc<Hub>,
    iban: String,
    number: u64,
    receiver: mpsc::Receiver<Live>,
    flags: Arc<Flags>,
}

impl Subscription {
    /// What comes next; `None` when the subscriber was too slow.
    pub async fn next(&mut self) -> Option<Live> {
        self.receiver.recv().await
    }

    /// While it reads the read model, a full queue costs no more than reading further.
    pub fn reads_store(&self, reads: bool) {
        self.flags.reads_store.store(reads, Ordering::Release);
    }

    /// Whether something did not fit in the queue since the last question.
    #[must_use]
    pub fn missed(&self) -> bool {
        self.flags.missed.swap(false, Ordering::AcqRel)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.hub.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(mut followers) = self.hub.subscribers.get_mut(&self.iban) {
            followers.retain(|subscriber| subscriber.number != self.number);
        }
        self.hub
            .subscribers
            .remove_if(&self.iban, |_, followers| followers.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use topology::COMPANY_IBAN;

    use super::*;
    use crate::facts::tests::change;

    #[tokio::test]
    async fn a_change_reaches_those_who_follow_its_account_only() {
        let hub = Arc::new(Hub::default());
        let mut follower = hub.subscribe(COMPANY_IBAN).unwrap();
        let mut other = hub.subscribe("NL39OPEN0000000001").unwrap();
        hub.publish(change(1));
        assert!(matches!(follower.next().await, Some(Live::Change(it)) if it.version == 1));
        assert!(other.receiver.try_recv().is_err());
        drop(follower);
        assert!(!hub.is_watched(COMPANY_IBAN));
        assert_eq!(hub.count(), 1);
    }

    #[tokio::test]
    async fn a_change_wakes_nobody_but_the_followers_of_its_account() {
        struct Wakes(AtomicU64);
        impl std::task::Wake for Wakes {
            fn wake(self: Arc<Wakes>) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let wakes = Arc::new(Wakes(AtomicU64::new(0)));
        let waker = std::task::Waker::from(Arc::clone(&wakes));
        let mut context = std::task::Context::from_waker(&waker);
        let hub = Arc::new(Hub::default());
        let others = (0..1_000).map(|number| format!("NL00OPEN{number:010}"));
        let ibans = others.chain([COMPANY_IBAN.to_owned()]);
        let mut followers: Vec<_> = ibans.map(|iban| hub.subscribe(&iban).unwrap()).collect();
        let mut waiting: Vec<_> = followers.iter_mut().map(|it| Box::pin(it.next())).collect();
        for wait in &mut waiting {
            assert!(wait.as_mut().poll(&mut context).is_pending());
        }
        hub.publish(change(1));
        // Its follower; the socket it writes to is the second and last.
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_what_is_queued_and_then_the_end() {
        let hub = Arc::new(Hub::default());
        let mut slow = hub.subscribe(COMPANY_IBAN).unwrap();
        slow.reads_store(false);
        let queued = i64::try_from(QUEUE_MAX).unwrap();
        for version in 1..=queued + 1 {
            hub.publish(change(version));
        }
        for version in 1..=queued {
            assert!(matches!(slow.next().await, Some(Live::Change(it)) if it.version == version));
        }
        assert!(slow.next().await.is_none());
    }

    #[tokio::test]
    async fn a_subscriber_that_reads_the_store_only_learns_that_it_missed_something() {
        let hub = Arc::new(Hub::default());
        let mut busy = hub.subscribe(COMPANY_IBAN).unwrap();
        for version in 1..=100 {
            hub.publish(change(version));
        }
        assert!(busy.missed());
        assert!(!busy.missed());
        assert!(busy.next().await.is_some());
        assert!(hub.is_watched(COMPANY_IBAN));
    }
}
