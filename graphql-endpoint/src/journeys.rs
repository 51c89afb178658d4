//! When the newest commands of this gateway passed the places that only it sees: their
//! acknowledgement by the broker, the read model, the subscriber. Kept in memory, for the
//! trail; another gateway does not know them.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use topology::CommandId;

/// Commands remembered.
const COMMANDS_MAX: usize = 4_096;

/// A place on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// The broker has the command.
    Acknowledged,
    /// A change is in the read model, by this gateway.
    Projected,
    /// A change went to a subscriber of this gateway.
    Pushed,
}

/// The times of one command, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Journey([Option<i64>; 3]);

impl Journey {
    /// When it passed this place, if it did.
    #[must_use]
    pub fn at(&self, moment: Moment) -> Option<i64> {
        self.0[moment as usize]
    }
}

#[derive(Default)]
struct Known {
    journeys: HashMap<CommandId, Journey>,
    order: VecDeque<CommandId>,
}

/// The newest commands.
#[derive(Default)]
pub struct Journeys(Mutex<Known>);

impl Journeys {
    /// A command of this gateway is on its way.
    pub fn begin(&self, command_id: CommandId) {
        let mut known = self.lock();
        if known.journeys.contains_key(&command_id) {
            return;
        }
        if known.order.len() >= COMMANDS_MAX
            && let Some(oldest) = known.order.pop_front()
        {
            known.journeys.remove(&oldest);
        }
        known.order.push_back(command_id);
        known.journeys.insert(command_id, Journey::default());
    }

    /// It passes a place; the first time counts. Commands of others are not noted.
    pub fn note(&self, command_id: CommandId, moment: Moment, now_us: i64) {
        if let Some(journey) = self.lock().journeys.get_mut(&command_id) {
            journey.0[moment as usize].get_or_insert(now_us);
        }
    }

    /// What is known of a command.
    #[must_use]
    pub fn of(&self, command_id: CommandId) -> Journey {
        let known = self.lock();
        known.journeys.get(&command_id).copied().unwrap_or_default()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> CommandId {
        CommandId::from_bytes((number as u128).to_be_bytes())
    }

    #[test]
    fn given_a_command_of_ours_then_the_first_time_at_each_place_is_kept() {
        let journeys = Journeys::default();
        journeys.begin(id(1));
        journeys.note(id(1), Moment::Pushed, 5);
        journeys.note(id(1), Moment::Pushed, 9);
        journeys.note(id(2), Moment::Pushed, 5);
        assert_eq!(journeys.of(id(1)).at(Moment::Pushed), Some(5));
        assert_eq!(journeys.of(id(1)).at(Moment::Projected), None);
        assert_eq!(journeys.of(id(2)), Journey::default());
    }

    #[test]
    fn given_more_commands_than_there_is_room_for_then_the_oldest_is_forgotten() {
        let journeys = Journeys::default();
        for number in 0..=COMMANDS_MAX {
            journeys.begin(id(number));
            journeys.note(id(number), Moment::Acknowledged, 1);
        }
        assert_eq!(journeys.of(id(0)), Journey::default());
        assert_eq!(journeys.of(id(1)).at(Moment::Acknowledged), Some(1));
        assert_eq!(journeys.lock().order.len(), COMMANDS_MAX);
    }
}
