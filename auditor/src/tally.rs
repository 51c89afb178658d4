//! What was looked at and what did not agree, counted.

use crate::invariants::{INVARIANTS, Name};
use crate::report::{Finding, State};

#[derive(Clone, Debug, Default)]
struct Count {
    checked: u64,
    violations: u64,
    first_offender: Option<String>,
    note: Option<String>,
    /// Why it does not count as checked.
    gap: Option<State>,
}

/// The counts of all invariants; each thread has its own, added up at the end.
#[derive(Clone, Debug)]
pub(crate) struct Tally(Vec<Count>);

impl Default for Tally {
    fn default() -> Tally {
        Tally(vec![Count::default(); INVARIANTS.len()])
    }
}

impl Tally {
    /// One thing was looked at.
    pub(crate) fn check(&mut self, name: Name, agrees: bool, offender: impl FnOnce() -> String) {
        self.0[name as usize].checked += 1;
        if !agrees {
            self.offend(name, offender);
        }
    }

    /// One thing that was counted already does not agree.
    pub(crate) fn offend(&mut self, name: Name, offender: impl FnOnce() -> String) {
        let count = &mut self.0[name as usize];
        count.violations += 1;
        if count.first_offender.is_none() {
            count.first_offender = Some(offender());
        }
    }

    /// Many things were looked at elsewhere.
    pub(crate) fn checked(&mut self, name: Name, number: u64) {
        self.0[name as usize].checked += number;
    }

    pub(crate) fn note(&mut self, name: Name, note: String) {
        self.0[name as usize].note = Some(note);
    }

    /// It could not be looked at, though it was asked for.
    pub(crate) fn not_checked(&mut self, name: Name, why: &str) {
        let why = why.to_owned();
        self.0[name as usize].gap = Some(State::NotChecked { why });
    }

    /// Nobody gave what it is judged by.
    pub(crate) fn not_asked(&mut self, name: Name, why: &str) {
        let why = why.to_owned();
        self.0[name as usize].gap = Some(State::NotAsked { why });
    }

    pub(crate) fn add(&mut self, other: Tally) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            mine.checked += theirs.checked;
            mine.violations += theirs.violations;
            mine.first_offender = mine.first_offender.take().or(theirs.first_offender);
            mine.note = mine.note.take().or(theirs.note);
            mine.gap = mine.gap.take().or(theirs.gap);
        }
    }

    pub(crate) fn findings(self) -> Vec<Finding> {
        INVARIANTS
            .iter()
            .zip(self.0)
            .map(|(invariant, count)| Finding {
                invariant: invariant.name.to_owned(),
                what: invariant.what.to_owned(),
                checked: count.checked,
                violations: count.violations,
                first_offender: count.first_offender,
                note: count.note,
                state: match count.gap {
                    // What was found in spite of a gap stays found.
                    _ if count.violations > 0 => State::Violated,
                    Some(gap) => gap,
                    None => State::Holds,
                },
            })
            .collect()
    }
}
