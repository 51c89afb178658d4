//! Counting records by topic, a batch at a time.

use std::sync::{Arc, OnceLock};

use crate::metrics::{self, Counter};
use crate::topics::{DEFINITIONS, Topic};

/// A counter for each topic, told of from its first record on.
#[derive(Clone, Debug)]
pub struct PerTopic {
    name: &'static str,
    help: &'static str,
    counters: Arc<[OnceLock<Counter>; DEFINITIONS.len()]>,
}

impl PerTopic {
    /// Under this name, with the label `topic`.
    #[must_use]
    pub fn new(name: &'static str, help: &'static str) -> PerTopic {
        PerTopic {
            name,
            help,
            counters: Arc::default(),
        }
    }

    /// Takes in a batch: one addition for each topic in it.
    pub fn count(&self, topics: impl Iterator<Item = Topic>) {
        let mut counts = [0; DEFINITIONS.len()];
        for topic in topics {
            counts[topic as usize] += 1;
        }
        for ((count, cell), definition) in counts.into_iter().zip(&*self.counters).zip(&DEFINITIONS)
        {
            if count > 0 {
                let new = || metrics::counter(self.name, self.help, &[("topic", definition.name)]);
                cell.get_or_init(new).add(count);
            }
        }
    }
}
