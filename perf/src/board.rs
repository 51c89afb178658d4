//! What has been seen of a run's commands on the topics, and what that means.

use serde::Serialize;

use crate::commands::{Account, RunNumber, index_in, index_in_description};
use crate::latency::Latencies;
use crate::wire::{Headers, read_change};

/// What was seen of one command. Times are 0 for "not yet".
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    outcome_ns: u64,
    /// Of the last of its changes.
    change_ns: u64,
    outcome_hash: u32,
    /// Of the payer's and the payee's change.
    change_hashes: [u32; 2],
    is_confirmed: bool,
}

/// Records that came more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// With the same bytes: a redelivery, which readers are told to expect.
    pub same: u64,
    /// With other bytes: an effect that happened twice.
    pub different: u64,
}

/// Everything seen of a run.
#[derive(Debug)]
pub struct Board {
    run: RunNumber,
    seen: Vec<Seen>,
    /// Changes each confirmed command gives.
    changes_per_command: u64,
    /// Accounts opened, by the command that did.
    pub opened: Vec<Option<Account>>,
    /// Commands with an outcome.
    pub outcomes: usize,
    /// Commands whose outcome is a yes.
    pub confirmed: usize,
    /// Distinct changes of balances.
    pub changes: u64,
    /// When the first outcome was seen.
    pub first_ns: Option<u64>,
    /// When the last outcome that was new was seen.
    pub last_ns: u64,
    /// Outcomes seen again.
    pub repeated_outcomes: Repeats,
    /// Changes seen again.
    pub repeated_changes: Repeats,
}

impl Board {
    /// For the run with this number.
    #[must_use]
    pub fn new(run: RunNumber, commands: usize, changes_per_command: u64) -> Board {
        Board {
            run,
            seen: vec![Seen::default(); commands],
            changes_per_command,
            opened: Vec::new(),
            outcomes: 0,
            confirmed: 0,
            changes: 0,
            first_ns: None,
            last_ns: 0,
            repeated_outcomes: Repeats::default(),
            repeated_changes: Repeats::default(),
        }
    }

    /// Takes in the value of a record from a topic with outcomes.
    pub fn outcome(&mut self, headers: &Headers, value: &[u8], now_ns: u64) {
        let Some(outcome) = headers.read_outcome(value) else {
            return;
        };
        let (run, index) = index_in(outcome.id);
        let Some(seen) = self.find(run, index) else {
            return;
        };
        let hash = hash(value);
        if seen.outcome_ns != 0 {
            let same = seen.outcome_hash == hash;
            count(&mut self.repeated_outcomes, same);
            return;
        }
        seen.outcome_ns = now_ns.max(1);
        seen.outcome_hash = hash;
        seen.is_confirmed = outcome.is_confirmed;
        self.outcomes += 1;
        self.confirmed += usize::from(outcome.is_confirmed);
        self.first_ns.get_or_insert(now_ns);
        self.last_ns = now_ns;
        if let Some((iban, token)) = outcome.opened {
            self.opened.resize(self.seen.len(), None);
            if let Some(slot) = self.opened.get_mut(index as usize) {
                *slot = Some(Account {
                    iban: iban.to_owned(),
                    token: token.to_owned(),
                });
            }
        }
    }

    /// Takes in the value of a record from the topic with changes of balances.
    pub fn change(&mut self, value: &[u8], now_ns: u64) {
        let Some(change) = read_change(value) else {
            return;
        };
        let Some((run, index)) = index_in_description(change.description) else {
            return;
        };
        let Some(seen) = self.find(run, index) else {
            return;
        };
        let side = usize::from(change.changed_by > 0);
        let hash = hash(value);
        if seen.change_hashes[side] != 0 {
            let same = seen.change_hashes[side] == hash;
            count(&mut self.repeated_changes, same);
            return;
        }
        seen.change_hashes[side] = hash;
        seen.change_ns = now_ns.max(1);
        self.changes += 1;
    }

    fn find(&mut self, run: RunNumber, index: u32) -> Option<&mut Seen> {
        if run != self.run {
            return None;
        }
        self.seen.get_mut(index as usize)
    }

    /// Whether the first `commands` commands are answered and every change of the
    /// confirmed ones is there.
    #[must_use]
    pub fn is_complete(&self, commands: usize) -> bool {
        self.outcomes >= commands
            && self.changes >= self.confirmed as u64 * self.changes_per_command
    }

    /// Commands among the first `commands` without an outcome.
    #[must_use]
    pub fn without_outcome(&self, commands: usize) -> u64 {
        let missing = |seen: &&Seen| seen.outcome_ns == 0;
        self.seen[..commands].iter().filter(missing).count() as u64
    }

    /// Changes that confirmed commands among the first `commands` should have given and did not.
    #[must_use]
    pub fn changes_missing(&self, commands: usize) -> u64 {
        self.seen[..commands]
            .iter()
            .filter(|seen| seen.is_confirmed)
            .map(|seen| {
                let there = seen.change_hashes.iter().filter(|hash| **hash != 0).count() as u64;
                self.changes_per_command.saturating_sub(there)
            })
            .sum()
    }

    /// Whether a command was answered with a yes.
    #[must_use]
    pub fn is_confirmed(&self, index: usize) -> bool {
        self.seen[index].is_confirmed
    }

    /// Latencies of these commands to their outcome, and to the last of outcome and
    /// changes, from when each was meant to be sent.
    #[must_use]
    pub fn latencies(
        &self,
        commands: std::ops::Range<usize>,
        intended_ns: impl Fn(usize) -> u64,
    ) -> (Latencies, Latencies) {
        let (mut to_outcome, mut to_balance) = (Latencies::default(), Latencies::default());
        for index in commands {
            let seen = &self.seen[index];
            if seen.outcome_ns == 0 {
                to_outcome.record_missing();
                to_balance.record_missing();
                continue;
            }
            let intended = intended_ns(index);
            to_outcome.record(intended, seen.outcome_ns);
            to_balance.record(intended, seen.outcome_ns.max(seen.change_ns));
        }
        (to_outcome, to_balance)
    }

    /// The end of the longest silence that began after `from_ns` or spans it: when
    /// outcomes flowed again.
    #[must_use]
    pub fn flows_again_ns(&self, from_ns: u64) -> Option<u64> {
        let mut times: Vec<u64> = self
            .seen
            .iter()
            .map(|seen| seen.outcome_ns)
            .filter(|at| *at > 0)
            .collect();
        times.sort_unstable();
        times
            .windows(2)
            .filter(|pair| pair[1] >= from_ns)
            .max_by_key(|pair| pair[1] - pair[0])
            .map(|pair| pair[1])
    }

    /// The first time from which on no command answered within `window_ns` had waited longer
    /// than `limit_ns`: when the queue that built up was worked off.
    #[must_use]
    pub fn caught_up_ns(
        &self,
        from_ns: u64,
        limit_ns: u64,
        intended_ns: impl Fn(usize) -> u64,
    ) -> Option<u64> {
        self.seen
            .iter()
            .enumerate()
            .filter(|(index, seen)| {
                seen.outcome_ns >= from_ns
                    && seen.outcome_ns.saturating_sub(intended_ns(*index)) > limit_ns
            })
            .map(|(_, seen)| seen.outcome_ns)
            .max()
    }
}

fn count(repeats: &mut Repeats, same: bool) {
    if same {
        repeats.same += 1;
    } else {
        repeats.different += 1;
    }
}

/// FNV-1a, never 0: tells the same bytes from others, no more.
fn hash(bytes: &[u8]) -> u32 {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    });
    hash.max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn answered(times_ms: &[u64]) -> Board {
        let mut board = Board::new(1, times_ms.len(), 0);
        for (seen, at) in board.seen.iter_mut().zip(times_ms) {
            seen.outcome_ns = at * MS;
        }
        board
    }

    #[test]
    fn events_flow_again_at_the_end_of_the_longest_silence_after_the_kill() {
        // Killed at 12; two stragglers were with the broker already.
        let board = answered(&[2, 9, 10, 11, 12, 13, 14, 500, 501]);
        assert_eq!(board.flows_again_ns(12 * MS), Some(500 * MS));
        // All meant for time 0: the last that waited longer than 100 ms.
        let caught_up = board.caught_up_ns(12 * MS, 100 * MS, |_| 0);
        assert_eq!(caught_up, Some(501 * MS));
    }

    #[test]
    fn what_never_came_is_a_sample_and_a_loss() {
        let board = answered(&[3, 0, 4]);
        let (to_outcome, _) = board.latencies(0..3, |_| 0);
        assert_eq!(to_outcome.summary().samples, 3);
        assert!(to_outcome.summary().max_ms > 1_000.0);
        assert_eq!(board.without_outcome(3), 1);
    }

    #[test]
    fn a_change_seen_twice_is_a_repeat_and_with_other_bytes_a_double_effect() {
        let mut board = Board::new(1, 1, 2);
        let change = |balance: u8| {
            let mut bytes = vec![0, 0, 0, 0, 5, 0, balance, 9, 0, 24];
            bytes.extend(b"p00100000000");
            bytes
        };
        board.change(&change(2), 1);
        board.change(&change(2), 2);
        board.change(&change(4), 3);
        assert_eq!(board.changes, 1);
        let expected = Repeats {
            same: 1,
            different: 1,
        };
        assert_eq!(board.repeated_changes, expected);
        board.seen[0].is_confirmed = true;
        assert_eq!(board.changes_missing(1), 1);
    }
}
