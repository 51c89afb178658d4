//! Finding an order in which things can have happened.
//!
//! Each decision saw some accounts in certain versions and left some of them one version
//! further. That is a graph, and an order of decisions is a topological sort of it. It is
//! sorted as the decisions come: what has seen all it needs is let go at once, the rest is
//! parked. Per account there is the version it has reached and nothing else; what is parked is
//! only what came too early. A reader has to be let go before the account moves on, so readers
//! are announced first ([`Sequencer::expect`]).

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

use crate::iban::Own;

/// What a decision saw of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Seen {
    /// It had not been opened.
    Absent,
    /// It was open, in whatever version.
    Open,
    /// It was open and had this version.
    At(i64),
}

/// One account in one decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which account.
    pub iban: Own,
    /// How the decision saw it.
    pub seen: Seen,
    /// Whether the decision opened it ([`Seen::Absent`]) or gave it the next version
    /// ([`Seen::At`]). [`Seen::Open`] moves nothing.
    pub moves: bool,
}

/// Why a decision cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stuck {
    /// The account never gets that far: a version is missing.
    #[error("account {iban} never comes to {needed:?}; it ends at version {reached:?}")]
    NeverReached {
        /// The account.
        iban: String,
        /// What is needed of it.
        needed: Seen,
        /// Where it stands when all is said; `None` when it was never opened.
        reached: Option<i64>,
    },
    /// The account is further than the decision saw it: two decisions moved the same version,
    /// or a reader was not announced.
    #[error("account {iban} is at {reached:?}, beyond {needed:?}")]
    Passed {
        /// The account.
        iban: String,
        /// What is needed of it.
        needed: Seen,
        /// Where it stood in the end.
        reached: Option<i64>,
    },
    /// It waits for a decision that waits itself: a cycle, or the way to a missing version.
    #[error("account {iban} comes to {needed:?} only after what waits itself: a cycle")]
    Cycle {
        /// The account.
        iban: String,
        /// What is needed of it.
        needed: Seen,
    },
    /// Decisions were announced that never came, and this one had to wait for them.
    #[error("account {iban} is held at {needed:?} by a decision that was announced and never came")]
    HeldUp {
        /// The account.
        iban: String,
        /// What is needed of it.
        needed: Seen,
    },
}

/// Where an account stands: `None` before it is opened.
type Reached = Option<i64>;
/// An account at a version.
type Place = (Own, Reached);

struct Parked<T> {
    needs: Vec<Need>,
    item: T,
}

/// Sorts decisions as they come. `T` is whatever the caller wants back.
pub struct Sequencer<T> {
    reached: HashMap<Own, i64>,
    /// Readers announced and not yet let go.
    readers: HashMap<Place, u64>,
    /// What waits, each at the first place it needs and that is not there yet.
    parked: HashMap<Place, Vec<Parked<T>>>,
    /// What came when an account was beyond what it needs.
    late: Vec<Parked<T>>,
}

impl<T> Default for Sequencer<T> {
    fn default() -> Self {
        Self {
            reached: HashMap::new(),
            readers: HashMap::new(),
            parked: HashMap::new(),
            late: Vec::new(),
        }
    }
}

/// What stands in a decision's way.
enum Obstacle {
    /// This place has not been reached, or announced readers hold the account there.
    Wait(Place),
    /// The account is beyond it.
    Passed,
}

impl<T> Sequencer<T> {
    /// An account that is there before the first decision.
    pub fn begin(&mut self, iban: Own, version: i64) {
        self.reached.insert(iban, version);
    }

    /// Announces a decision that will be pushed with these needs: no account goes on before
    /// what only looks at it has been let go.
    pub fn expect(&mut self, needs: &[Need]) {
        for place in needs.iter().filter_map(looks_at) {
            *self.readers.entry(place).or_default() += 1;
        }
    }

    /// Takes a decision, and lets go whatever can have happened by now, in order.
    pub fn push(&mut self, needs: Vec<Need>, item: T, mut let_go: impl FnMut(T)) {
        let mut candidates = vec![Parked { needs, item }];
        while let Some(Parked { needs, item }) = candidates.pop() {
            match self.obstacle(&needs) {
                Some(Obstacle::Wait(place)) => {
                    self.parked
                        .entry(place)
                        .or_default()
                        .push(Parked { needs, item });
                }
                Some(Obstacle::Passed) => self.late.push(Parked { needs, item }),
                None => {
                    let_go(item);
                    for need in &needs {
                        if let Some(place) = self.take_step(need)
                            && let Some(woken) = self.parked.remove(&place)
                        {
                            candidates.extend(woken);
                        }
                    }
                }
            }
        }
    }

    /// How many decisions wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.parked.values().map(Vec::len).sum()
    }

    /// What is left when everything has been pushed: decisions that cannot have happened.
    #[must_use]
    pub fn finish(self) -> Vec<(T, Stuck)> {
        let reached = self.reached;
        let left: Vec<Parked<T>> = self
            .parked
            .into_values()
            .flatten()
            .chain(self.late)
            .collect();
        // Who could still bring an account on, were it not stuck itself.
        let movers: HashSet<Place> = left
            .iter()
            .flat_map(|parked| &parked.needs)
            .filter(|need| need.moves)
            .map(|need| (need.iban, place_of(need.seen)))
            .collect();
        // Who still holds an account at a place, and is here, and is stuck itself.
        let readers: HashSet<Place> = left
            .iter()
            .flat_map(|parked| parked.needs.iter().filter_map(looks_at))
            .collect();
        let judge = |needs: &[Need]| {
            let mut otherwise = None;
            for need in needs {
                let needed = need.seen;
                let at = reached.get(&need.iban).copied();
                let iban = String::from_utf8_lossy(&need.iban).into_owned();
                match compare(needed, at) {
                    Ordering::Greater => {
                        return Stuck::Passed {
                            iban,
                            needed,
                            reached: at,
                        };
                    }
                    Ordering::Less if movers.contains(&(need.iban, at)) => {
                        otherwise.get_or_insert(Stuck::Cycle { iban, needed });
                    }
                    Ordering::Less => {
                        return Stuck::NeverReached {
                            iban,
                            needed,
                            reached: at,
                        };
                    }
                    Ordering::Equal if need.moves && readers.contains(&(need.iban, at)) => {
                        otherwise.get_or_insert(Stuck::Cycle { iban, needed });
                    }
                    Ordering::Equal
                        if need.moves && self.readers.contains_key(&(need.iban, at)) =>
                    {
                        otherwise.get_or_insert(Stuck::HeldUp { iban, needed });
                    }
                    Ordering::Equal => {}
                }
            }
            otherwise.expect("a decision that nothing stands in the way of is let go")
        };
        let reasons: Vec<Stuck> = left.iter().map(|parked| judge(&parked.needs)).collect();
        left.into_iter()
            .map(|parked| parked.item)
            .zip(reasons)
            .collect()
    }

    fn obstacle(&self, needs: &[Need]) -> Option<Obstacle> {
        let mut wait = None;
        for need in needs {
            let at = self.reached.get(&need.iban).copied();
            match compare(need.seen, at) {
                Ordering::Greater => return Some(Obstacle::Passed),
                Ordering::Less => {
                    wait.get_or_insert(match need.seen {
                        // Every account is opened at version 0.
                        Seen::Open | Seen::Absent => (need.iban, Some(0)),
                        Seen::At(version) => (need.iban, Some(version)),
                    });
                }
                Ordering::Equal if need.moves && self.readers.contains_key(&(need.iban, at)) => {
                    wait.get_or_insert((need.iban, at));
                }
                Ordering::Equal => {}
            }
        }
        wait.map(Obstacle::Wait)
    }

    /// Does what the decision did to this account; says where others may go on now.
    fn take_step(&mut self, need: &Need) -> Option<Place> {
        if need.moves {
            let next = self
                .reached
                .get(&need.iban)
                .map_or(0, |version| version + 1);
            self.reached.insert(need.iban, next);
            return Some((need.iban, Some(next)));
        }
        let place = looks_at(need)?;
        let left = self.readers.get_mut(&place)?;
        *left -= 1;
        if *left > 0 {
            return None;
        }
        self.readers.remove(&place);
        Some(place)
    }
}

/// Where a decision that moves nothing holds an account.
fn looks_at(need: &Need) -> Option<Place> {
    (!need.moves && need.seen != Seen::Open).then(|| (need.iban, place_of(need.seen)))
}

fn place_of(seen: Seen) -> Reached {
    match seen {
        Seen::Absent | Seen::Open => None,
        Seen::At(version) => Some(version),
    }
}

/// Whether the account is before (`Less`), at, or beyond (`Greater`) what is needed.
fn compare(needed: Seen, at: Reached) -> Ordering {
    match (needed, at) {
        (Seen::Absent, None) | (Seen::Open, Some(_)) => Ordering::Equal,
        (Seen::Absent, Some(_)) => Ordering::Greater,
        (Seen::Open | Seen::At(_), None) => Ordering::Less,
        (Seen::At(version), Some(reached)) => reached.cmp(&version),
    }
}

#[cfg(test)]
mod tests;
