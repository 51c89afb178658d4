//! Requests that wait for the outcome of their command: bounded, each told once.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use topology::{CommandId, Token};

use crate::store::commands::CommandState;

/// Requests that may wait at once. Each takes some 27 KiB with all that belongs to it (measured
/// with `cargo bank perf` at 8,000/s), so that all together take about 110 MiB.
pub const WAITERS_MAX: usize = 4_096;
/// Outcomes remembered for those who ask again before the read model knows.
const DECIDED_MAX: usize = 4_096;

/// What the bank said to a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The account is open.
    AccountOpened {
        /// The account.
        iban: String,
        /// Its secret.
        token: Token,
        /// Whether a person asked.
        is_manual: bool,
    },
    /// No account was opened, and why.
    AccountRefused(String),
    /// The money moved.
    Confirmed,
    /// The money did not move, and why.
    Refused(String),
}

type Waiting = HashMap<CommandId, Vec<(u64, oneshot::Sender<Outcome>)>>;

/// The newest outcomes that somebody waited for.
#[derive(Default)]
struct Decided {
    states: HashMap<CommandId, CommandState>,
    order: VecDeque<CommandId>,
}

impl Decided {
    fn remember(&mut self, command_id: CommandId, state: CommandState) {
        if self.states.insert(command_id, state).is_none() {
            self.order.push_back(command_id);
        }
        if self.order.len() > DECIDED_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.states.remove(&oldest);
        }
    }
}

/// All that wait in this instance.
pub struct Waiters {
    waiting: Mutex<(u64, Waiting)>,
    decided: Mutex<Decided>,
    slots: Arc<Semaphore>,
}

impl Default for Waiters {
    fn default() -> Waiters {
        Waiters::with_room_for(WAITERS_MAX)
    }
}

impl Waiters {
    /// With room for so many.
    #[must_use]
    pub fn with_room_for(waiters: usize) -> Waiters {
        Waiters {
            waiting: Mutex::default(),
            decided: Mutex::default(),
            slots: Arc::new(Semaphore::new(waiters)),
        }
    }

    /// Waits for a command's outcome from now on; `None` when too many do.
    #[must_use]
    pub fn register(self: &Arc<Waiters>, command_id: CommandId) -> Option<Waiter> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let (sender, receiver) = oneshot::channel();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.0 = waiting.0.wrapping_add(1);
        let number = waiting.0;
        waiting
            .1
            .entry(command_id)
            .or_default()
            .push((number, sender));
        Some(Waiter {
            waiters: Arc::clone(self),
            command_id,
            number,
            receiver,
            _slot: slot,
        })
    }

    /// Tells all who wait for this command.
    pub fn tell(&self, command_id: CommandId, outcome: &Outcome) {
        let told = self
            .waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .remove(&command_id);
        let Some(told) = told else { return };
        let state = match outcome {
            Outcome::Confirmed => Some(CommandState::Confirmed),
            Outcome::Refused(said) => Some(CommandState::Rejected(said.clone())),
            Outcome::AccountOpened { .. } | Outcome::AccountRefused(_) => None,
        };
        if let Some(state) = state {
            self.decided
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .remember(command_id, state);
        }
        for (_, sender) in told {
            // Who has gone needs no answer.
            let _ = sender.send(outcome.clone());
        }
    }

    /// What was lately told of a command: the read model may not know it yet.
    #[must_use]
    pub fn decided(&self, command_id: CommandId) -> Option<CommandState> {
        self.decided
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .states
            .get(&command_id)
            .cloned()
    }

    /// Whether nobody waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .1
            .is_empty()
    }

    fn forget(&self, command_id: CommandId, number: u64) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(senders) = waiting.1.get_mut(&command_id) {
            senders.retain(|(other, _)| *other != number);
            if senders.is_empty() {
                waiting.1.remove(&command_id);
            }
        }
    }
}

/// One request's wait; gives its place back when dropped.
pub struct Waiter {
    waiters: Arc<Waiters>,
    command_id: CommandId,
    number: u64,
    receiver: oneshot::Receiver<Outcome>,
    _slot: OwnedSemaphorePermit,
}

impl Waiter {
    /// Waits for the outcome.
    pub async fn outcome(&mut self) -> Outcome {
        match (&mut self.receiver).await {
            Ok(outcome) => outcome,
            // Cannot be told any more: the caller's own deadline ends the wait.
            Err(_) => std::future::pending().await,
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.waiters.forget(self.command_id, self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> CommandId {
        CommandId::from_bytes([number; 16])
    }

    #[tokio::test]
    async fn everyone_who_waits_for_a_command_is_told_and_nobody_else() {
        let waiters = Arc::new(Waiters::default());
        let mut first = waiters.register(id(1)).unwrap();
        let mut second = waiters.register(id(1)).unwrap();
        let other = waiters.register(id(2)).unwrap();
        waiters.tell(id(1), &Outcome::Confirmed);
        assert_eq!(first.outcome().await, Outcome::Confirmed);
        assert_eq!(second.outcome().await, Outcome::Confirmed);
        assert!(!waiters.is_empty());
        drop(other);
        assert!(waiters.is_empty());
    }

    #[test]
    fn outcomes_told_are_remembered_for_a_while_and_others_are_not() {
        let waiters = Arc::new(Waiters::default());
        let number = |number: usize| CommandId::from_bytes((number as u128).to_be_bytes());
        waiters.tell(number(1), &Outcome::Confirmed);
        assert_eq!(waiters.decided(number(1)), None);
        for command in 1..=DECIDED_MAX + 1 {
            let _waiter = waiters.register(number(command)).unwrap();
            waiters.tell(number(command), &Outcome::Confirmed);
        }
        assert_eq!(waiters.decided(number(1)), None);
        assert_eq!(waiters.decided(number(2)), Some(CommandState::Confirmed));
    }

    #[test]
    fn a_place_is_free_again_when_its_waiter_leaves() {
        let waiters = Arc::new(Waiters::with_room_for(1));
        let first = waiters.register(id(1)).unwrap();
        assert!(waiters.register(id(2)).is_none());
        drop(first);
        assert!(waiters.register(id(2)).is_some());
    }
}
