//! Replay and live in one order: each version once, none skipped. Pure.

use std::collections::BTreeMap;

use crate::facts::Change;

/// Changes kept while an earlier one is missing; more are read again later.
const AHEAD_MAX: usize = 256;

/// One account's changes after a version, put in order.
#[derive(Debug)]
pub struct Join {
    last: i64,
    ahead: BTreeMap<i64, Change>,
}

impl Join {
    /// Goes on after this version.
    #[must_use]
    pub fn after(version: i64) -> Join {
        Join {
            last: version,
            ahead: BTreeMap::new(),
        }
    }

    /// The last version given out.
    #[must_use]
    pub fn last(&self) -> i64 {
        self.last
    }

    /// Takes a change from wherever it comes. `false`: there was no room for all, and the
    /// furthest ahead must be read again later.
    #[must_use]
    pub fn take(&mut self, change: Change) -> bool {
        if change.version > self.last {
            self.ahead.entry(change.version).or_insert(change);
        }
        let fits = self.ahead.len() <= AHEAD_MAX;
        if !fits {
            self.ahead.pop_last();
        }
        fits
    }

    /// The next change in order, if it is there.
    pub fn give(&mut self) -> Option<Change> {
        let entry = self.ahead.first_entry()?;
        if *entry.key() != self.last + 1 {
            return None;
        }
        self.last += 1;
        Some(entry.remove())
    }

    /// Whether [`Join::give`] would give something.
    #[must_use]
    pub fn has_next(&self) -> bool {
        self.ahead.contains_key(&(self.last + 1))
    }

    /// Whether a change is missing before one that is there.
    #[must_use]
    pub fn has_gap(&self) -> bool {
        self.ahead
            .first_key_value()
            .is_some_and(|(version, _)| *version > self.last + 1)
    }

    /// Gives up on the changes missing before the first one that is there.
    pub fn skip_gap(&mut self) {
        if let Some((version, _)) = self.ahead.first_key_value() {
            self.last = version - 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::change;

    fn given_out(join: &mut Join) -> Vec<i64> {
        std::iter::from_fn(|| join.give())
            .map(|change| change.version)
            .collect()
    }

    #[test]
    fn given_any_order_of_arrival_each_version_comes_once_and_in_order() {
        for (after, arrivals, expected, gap) in [
            (0, vec![1, 2, 3], vec![1, 2, 3], false),
            (5, vec![4, 5, 6], vec![6], false),
            (0, vec![1, 1, 2, 1, 2], vec![1, 2], false),
            (0, vec![3, 2, 1], vec![1, 2, 3], false),
            (0, vec![1, 3, 4], vec![1], true),
            (0, vec![1, 3, 4, 2], vec![1, 2, 3, 4], false),
            (7, vec![9], vec![], true),
            (7, vec![], vec![], false),
        ] {
            let mut join = Join::after(after);
            let mut seen = Vec::new();
            for version in &arrivals {
                assert!(join.take(change(*version)));
                seen.extend(given_out(&mut join));
            }
            assert_eq!(seen, expected, "after {after}: {arrivals:?}");
            assert_eq!(join.has_gap(), gap, "after {after}: {arrivals:?}");
        }
    }

    #[test]
    fn given_a_gap_when_it_is_skipped_the_rest_follows() {
        let mut join = Join::after(0);
        assert!(join.take(change(3)));
        assert!(join.take(change(4)));
        join.skip_gap();
        assert_eq!(given_out(&mut join), [3, 4]);
        assert!(join.take(change(2)));
        assert!(given_out(&mut join).is_empty());
    }

    #[test]
    fn given_a_long_gap_memory_stays_bounded_and_the_nearest_are_kept() {
        let mut join = Join::after(0);
        let most = i64::try_from(AHEAD_MAX).unwrap();
        for version in 2..2 + most {
            assert!(join.take(change(version)));
        }
        assert!(!join.take(change(2 + most)));
        assert!(!join.take(change(1)));
        assert_eq!(given_out(&mut join), (1..=most).collect::<Vec<_>>());
    }
}
