//! What was sent and what came of it, command by command, as the topics show it; and what is wrong with that.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    hash::{DefaultHasher, Hash, Hasher},
};

use serde::Serialize;
use uuid::Uuid;

use crate::{latency::Sample, wire::Record};

/// Number and token of an account.
#[derive(Clone, Debug)]
pub struct Account {
    /// Its number.
    pub iban: String,
    /// What it takes to pay from it.
    pub token: String,
}

#[derive(Debug, Default)]
struct Command {
    /// When the lab meant to send it; none for commands of others.
    sent_us: Option<u64>,
    /// How many changes its confirmation must bring, where the lab knows.
    changes_wanted: Option<usize>,
    on_topic: bool,
    /// Yes or no, and a digest of the record.
    outcome: Option<(bool, u64)>,
    is_contradicted: bool,
    /// Account and digest of each different change.
    changes: Vec<(String, u64)>,
}

impl Command {
    /// False for what stands in a change alone: the opening of the books is no command.
    fn is_known(&self) -> bool {
        self.on_topic || self.sent_us.is_some() || self.outcome.is_some()
    }
}

#[derive(Debug)]
struct Change {
    digest: u64,
    new_balance: i64,
    changed_by: i64,
}

/// Counts that only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Repeats {
    /// Outcomes that came again with the same bytes.
    pub outcomes: u64,
    /// Changes that came again with the same bytes.
    pub changes: u64,
}

/// What is wrong, by kind, with the first of each kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Commands that were never answered.
    pub outcomes_lost: u64,
    /// Changes of confirmed commands that never came, and holes in the versions of accounts.
    pub changes_lost: u64,
    /// Commands with two answers that differ.
    pub outcomes_doubled: u64,
    /// Changes that happened more than once, or of a command that was refused.
    pub changes_doubled: u64,
    /// Answers nobody asked for, and balances that do not follow from the one before.
    pub others_wrong: u64,
    /// The first of each.
    pub first: Vec<String>,
}

impl Tally {
    /// Effects that are missing.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.outcomes_lost + self.changes_lost
    }

    /// Effects that happened more than once.
    #[must_use]
    pub fn doubled(&self) -> u64 {
        self.outcomes_doubled + self.changes_doubled
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.lost() + self.doubled() + self.others_wrong == 0
    }
}

/// Everything the lab sent and saw.
#[derive(Debug, Default)]
pub struct Board {
    commands: HashMap<[u8; 16], Command>,
    accounts: HashMap<String, BTreeMap<i64, Change>>,
    opened: HashMap<[u8; 16], Account>,
    contradicting_changes: u64,
    dead_letters: HashSet<(String, i32, i64)>,
    samples: Vec<Sample>,
    /// What came more than once.
    pub repeats: Repeats,
    /// Records the lab could not read in topics that hold only ours.
    pub unreadable: u64,
}

impl Board {
    /// The lab is about to send a command; with so many changes if it is confirmed.
    pub fn expect(&mut self, id: [u8; 16], changes_wanted: usize, sent_us: u64) {
        let command = self.commands.entry(id).or_default();
        command.sent_us = Some(sent_us);
        command.changes_wanted = Some(changes_wanted);
    }

    /// Something lies in a topic.
    pub fn see(&mut self, record: Record, value: &[u8], now_us: u64) {
        match record {
            Record::Command { id } => self.commands.entry(id).or_default().on_topic = true,
            Record::Outcome {
                id,
                is_confirmed,
                opened,
            } => self.see_outcome(id, is_confirmed, opened, value, now_us),
            Record::Change {
                iban,
                new_balance,
                changed_by,
                version,
                command,
            } => {
                let digest = digest(value);
                let change = Change {
                    digest,
                    new_balance,
                    changed_by,
                };
                let is_new = match version {
                    Some(version) => self.see_version(&iban, version, change),
                    // Whether it is a copy is told by its command alone.
                    None => true,
                };
                if let Some(id) = command {
                    let changes = &mut self.commands.entry(id).or_default().changes;
                    let seen = (iban, digest);
                    if !changes.contains(&seen) {
                        changes.push(seen);
                    } else if version.is_none() {
                        self.repeats.changes += 1;
                    }
                }
                if !is_new {
                    self.repeats.changes += 1;
                }
            }
        }
    }

    fn see_outcome(
        &mut self,
        id: [u8; 16],
        is_confirmed: bool,
        opened: Option<(String, String)>,
        value: &[u8],
        now_us: u64,
    ) {
        let outcome = (is_confirmed, digest(value));
        let command = self.commands.entry(id).or_default();
        match command.outcome {
            None => {
                command.outcome = Some(outcome);
                if let Some(began_us) = command.sent_us {
                    let took_us = now_us.saturating_sub(began_us);
                    self.samples.push(Sample { began_us, took_us });
                }
                if let Some((iban, token)) = opened {
                    self.opened.insert(id, Account { iban, token });
                }
            }
            Some(first) if first == outcome => self.repeats.outcomes += 1,
            Some(_) => command.is_contradicted = true,
        }
    }

    /// False for a copy.
    fn see_version(&mut self, iban: &str, version: i64, change: Change) -> bool {
        let versions = match self.accounts.get_mut(iban) {
            Some(versions) => versions,
            None => self.accounts.entry(iban.to_owned()).or_default(),
        };
        match versions.get(&version) {
            None => {
                versions.insert(version, change);
                true
            }
            Some(first) => {
                if first.digest != change.digest {
                    self.contradicting_changes += 1;
                }
                false
            }
        }
    }

    /// A record was put aside as one that cannot be understood.
    pub fn see_dead_letter(&mut self, topic: String, partition: i32, offset: i64) {
        self.dead_letters.insert((topic, partition, offset));
    }

    /// Records put aside, each counted once.
    #[must_use]
    pub fn dead_letters(&self) -> usize {
        self.dead_letters.len()
    }

    /// The account that this command opened.
    #[must_use]
    pub fn opened(&self, id: &[u8; 16]) -> Option<&Account> {
        self.opened.get(id)
    }

    /// Whether this command was confirmed; none while it is not answered.
    #[must_use]
    pub fn answer(&self, id: &[u8; 16]) -> Option<bool> {
        Some(self.commands.get(id)?.outcome?.0)
    }

    /// The newest version of an account.
    #[must_use]
    pub fn newest(&self, iban: &str) -> i64 {
        let versions = self.accounts.get(iban);
        versions
            .and_then(|versions| versions.last_key_value())
            .map_or(0, |(version, _)| *version)
    }

    /// Commands so far.
    #[must_use]
    pub fn commands(&self) -> usize {
        self.commands.len()
    }

    /// The lab's own commands and their times, from this sample on.
    #[must_use]
    pub fn samples(&self, from: usize) -> &[Sample] {
        self.samples.get(from..).unwrap_or_default()
    }

    /// Commands that were sent before this time, or by others, and have no answer.
    #[must_use]
    pub fn unanswered(&self, before_us: u64) -> usize {
        let waits = |it: &&Command| {
            it.outcome.is_none()
                && it.is_known()
                && it.sent_us.is_none_or(|sent_us| sent_us < before_us)
        };
        self.commands.values().filter(waits).count()
    }

    /// Whether everything that was sent is answered and every change of it is here.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.commands
            .values()
            .filter(|it| it.is_known())
            .all(|command| {
                let Some((is_confirmed, _)) = command.outcome else {
                    return false;
                };
                let wanted = command.changes_wanted.filter(|_| is_confirmed);
                wanted.is_none_or(|wanted| command.changes.len() >= wanted)
            })
    }

    /// What is wrong, when all is quiet.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        let mut firsts: BTreeMap<&'static str, String> = BTreeMap::new();
        let mut first = |what: &'static str, which: String| {
            firsts.entry(what).or_insert(which);
        };
        for (id, command) in self.commands.iter().filter(|(_, it)| it.is_known()) {
            let name = || format!("command {}", Uuid::from_bytes(*id));
            if command.is_contradicted {
                tally.outcomes_doubled += 1;
                first("two different outcomes", name());
            }
            let Some((is_confirmed, _)) = command.outcome else {
                tally.outcomes_lost += 1;
                first("no outcome", name());
                continue;
            };
            if !command.on_topic {
                tally.others_wrong += 1;
                first("an outcome without a command", name());
            }
            let wanted = command.changes_wanted.unwrap_or(command.changes.len());
            let wanted = if is_confirmed { wanted } else { 0 };
            let seen = command.changes.len();
            if seen < wanted {
                tally.changes_lost += u64::try_from(wanted - seen).unwrap_or(u64::MAX);
                first("a change that never came", name());
            } else if seen > wanted {
                tally.changes_doubled += u64::try_from(seen - wanted).unwrap_or(u64::MAX);
                first("a change too many", name());
            }
        }
        for (iban, versions) in &self.accounts {
            let mut last = (0, 0);
            for (version, change) in versions {
                if *version != last.0 + 1 {
                    tally.changes_lost += 1;
                    first("a hole in the versions", format!("{iban} before {version}"));
                } else if change.new_balance != last.1 + change.changed_by {
                    tally.others_wrong += 1;
                    first(
                        "a balance that does not follow",
                        format!("{iban} at {version}"),
                    );
                }
                last = (*version, change.new_balance);
            }
        }
        tally.changes_doubled += self.contradicting_changes;
        tally.others_wrong += self.unreadable;
        tally.first = firsts
            .into_iter()
            .map(|(what, which)| format!("{what}: {which}"))
            .collect();
        tally
    }
}

fn digest(bytes: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: [u8; 16] = [1; 16];

    fn outcome(is_confirmed: bool) -> Record {
        Record::Outcome {
            id: ID,
            is_confirmed,
            opened: None,
        }
    }

    fn change(iban: &str, version: i64, new_balance: i64, changed_by: i64) -> Record {
        Record::Change {
            iban: iban.to_owned(),
            new_balance,
            changed_by,
            version: (version > 0).then_some(version),
            command: Some(ID),
        }
    }

    /// A board on which one transfer of one cent went well.
    fn good() -> Board {
        let mut board = Board::default();
        board.expect(ID, 2, 10);
        board.see(Record::Command { id: ID }, b"command", 11);
        board.see(outcome(true), b"yes", 15);
        board.see(change("a", 1, -1, -1), b"a1", 16);
        board.see(change("b", 1, 1, 1), b"b1", 17);
        board
    }

    #[test]
    fn given_a_good_transfer_when_all_came_again_then_it_is_clean_and_the_copies_are_counted() {
        let mut board = good();
        assert!(board.is_complete() && board.tally().is_clean());
        board.see(outcome(true), b"yes", 20);
        board.see(change("a", 1, -1, -1), b"a1", 21);
        assert!(board.tally().is_clean(), "{:?}", board.tally());
        assert_eq!(
            board.repeats,
            Repeats {
                outcomes: 1,
                changes: 1
            }
        );
        assert_eq!(board.samples(0).len(), 1);
    }

    #[test]
    fn given_something_wrong_when_judged_then_it_is_counted_as_what_it_is() {
        type Break = fn(&mut Board);
        type Count = fn(&Tally) -> u64;
        let cases: [(&str, Break, Count); 7] = [
            (
                "no outcome",
                |it| it.expect([2; 16], 2, 1),
                |it| it.outcomes_lost,
            ),
            (
                "another outcome",
                |it| it.see(outcome(false), b"no", 1),
                |it| it.outcomes_doubled,
            ),
            (
                "another change of a version",
                |it| it.see(change("a", 1, -2, -2), b"a2", 1),
                |it| it.changes_doubled,
            ),
            (
                "a second change",
                |it| it.see(change("a", 2, -2, -1), b"a2", 1),
                |it| it.changes_doubled,
            ),
            (
                "a second change in the form of 2019",
                |it| it.see(change("a", 0, -2, -1), b"a2", 1),
                |it| it.changes_doubled,
            ),
            (
                "a hole",
                |it| it.see(change("c", 2, 5, 5), b"c2", 1),
                |it| it.changes_lost,
            ),
            (
                "a balance from nowhere",
                |it| it.see(change("c", 1, 5, 4), b"c1", 1),
                |it| it.others_wrong,
            ),
        ];
        for (what, break_it, count) in cases {
            let mut board = good();
            break_it(&mut board);
            assert!(count(&board.tally()) > 0, "{what}: {:?}", board.tally());
        }
    }

    #[test]
    fn given_a_confirmed_transfer_when_one_change_is_missing_then_it_is_lost() {
        let mut board = Board::default();
        board.expect(ID, 2, 10);
        board.see(Record::Command { id: ID }, b"command", 11);
        assert_eq!(board.unanswered(100), 1);
        board.see(outcome(true), b"yes", 15);
        board.see(change("a", 0, -1, -1), b"a1", 16);
        assert!(!board.is_complete());
        assert_eq!(board.tally().changes_lost, 1);
        assert_eq!(board.unanswered(100), 0);
    }
}
