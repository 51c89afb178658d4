//! What a client may take of the gateway: places and time. Tests shorten the times.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Limits on connections; what they carry is limited where it is read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// How long the head of a request may take to arrive; an idle connection is closed by
    /// then too.
    pub head_wait: Duration,
    /// How long a body may take to arrive.
    pub body_wait: Duration,
    /// How long a WebSocket may take to say hello.
    pub hello_wait: Duration,
    /// Time between two pings of ours.
    pub ping_interval: Duration,
    /// A WebSocket that was silent for so long, two pings included, is gone.
    pub silence_max: Duration,
    /// How long one message may take to be written.
    pub write_wait: Duration,
    /// Time between two looks whether the session of a stream still holds.
    pub session_check: Duration,
    /// WebSockets of one user.
    pub sockets_per_user: usize,
    /// WebSockets of one address.
    pub sockets_per_address: usize,
}

/// WebSockets of one address, unless the configuration says otherwise.
pub const SOCKETS_PER_ADDRESS: usize = 1_000;

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            head_wait: Duration::from_secs(10),
            body_wait: Duration::from_secs(10),
            hello_wait: Duration::from_secs(3),
            ping_interval: Duration::from_secs(20),
            silence_max: Duration::from_secs(50),
            write_wait: Duration::from_secs(10),
            session_check: Duration::from_secs(30),
            sockets_per_user: 50,
            sockets_per_address: SOCKETS_PER_ADDRESS,
        }
    }
}

/// So many places for each key, each given back when dropped.
pub struct Places<K> {
    each: usize,
    taken: Mutex<HashMap<K, usize>>,
}

impl<K: Eq + Hash + Clone> Places<K> {
    /// With so many for each.
    #[must_use]
    pub fn new(each: usize) -> Places<K> {
        Places {
            each,
            taken: Mutex::default(),
        }
    }

    /// One place, if there is one left.
    #[must_use]
    pub fn take(self: &Arc<Self>, key: &K) -> Option<Place<K>> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let count = taken.entry(key.clone()).or_insert(0);
        if *count >= self.each {
            return None;
        }
        *count += 1;
        Some(Place {
            places: Arc::clone(self),
            key: key.clone(),
        })
    }
}

/// A place that is taken.
pub struct Place<K: Eq + Hash + Clone> {
    places: Arc<Places<K>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Drop for Place<K> {
    fn drop(&mut self) {
        let mut taken = self
            .places
            .taken
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_its_places_and_gets_them_back() {
        let places = Arc::new(Places::new(2));
        let first = places.take(&"ann");
        let second = places.take(&"ann");
        assert!(first.is_some() && second.is_some());
        assert!(places.take(&"ann").is_none());
        assert!(places.take(&"bob").is_some());
        drop(first);
        assert!(places.take(&"ann").is_some());
        drop(second);
        assert!(places.taken.lock().unwrap().is_empty());
    }
}
