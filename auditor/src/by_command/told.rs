//! What was told of a command: changes of balances, and answers to clients.

use super::{ByCommand, Group};
use crate::facts::{CREATION, Changed, Decided, Id, SAID_NO, SAID_YES, dead};
use crate::invariants::Name;

impl ByCommand<'_> {
    pub(super) fn judge_changed(&mut self, id: Id, decided: &Decided, group: &Group) {
        let is_moved = decided.kind != CREATION && decided.refusal == 0;
        let tally = &mut self.tally;
        for changed in &group.changed {
            tally.check(
                Name::C5,
                is_moved || changed.dead == dead::CORRUPTION,
                || format!("{}: a change of {id}, which moved no money", changed.at),
            );
            let stored = [decided.change_one, decided.change_two];
            tally.check(Name::C2, stored.contains(&changed.value), || {
                format!("{}: not the bytes stored for a change of {id}", changed.at)
            });
        }
        if !is_moved {
            return;
        }
        let own = group.entered.iter().filter(|it| it.version > 0);
        let own_count = own.clone().count();
        for entered in own {
            let is_told = group
                .changed
                .iter()
                .any(|it| it.account == entered.account && it.version == entered.version);
            tally.check(Name::C5, is_told || decided.is_owed, || {
                format!(
                    "ledger_entry {id} {} version {}: confirmed, and not told",
                    entered.account, entered.version
                )
            });
        }
        // One of each, whatever was sent twice.
        let mut each: Vec<&Changed> = Vec::with_capacity(2);
        for changed in group
            .changed
            .iter()
            .filter(|it| it.dead != dead::CORRUPTION)
        {
            if !each
                .iter()
                .any(|it| (it.account, it.version) == (changed.account, changed.version))
            {
                each.push(changed);
            }
        }
        self.repeated += (group.changed.len() - each.len().min(group.changed.len())) as u64;
        if decided.is_owed && each.len() < own_count {
            return;
        }
        let agrees = match *each.as_slice() {
            [one] => {
                let other = group.entered.iter().find(|it| it.account != one.account);
                own_count == 1 && other.is_none_or(|it| it.account == one.other)
            }
            [one, two] => {
                own_count == 2
                    && one.changed_by == two.changed_by.wrapping_neg()
                    && (one.other, two.other) == (two.account, one.account)
            }
            _ => false,
        };
        self.tally.check(Name::C6, agrees, || {
            let at = group.changed.first().map_or(decided.source, |it| it.at);
            format!(
                "{at}: {} changes of {id} for {own_count} own accounts, or not crossed",
                each.len()
            )
        });
    }

    pub(super) fn judge_told(&mut self, id: Id, decided: &Decided, group: &Group) {
        for told in &group.told {
            let asked = group.asked.iter().find(|it| it.at == decided.source);
            let is_as_asked = !told.is_transfer
                || asked.is_some_and(|it| {
                    (it.from, it.to, it.amount) == (told.from, told.to, told.amount)
                });
            let agrees = match told.phase {
                SAID_YES => decided.refusal == 0 && is_as_asked,
                SAID_NO => {
                    group.entered.is_empty()
                        && decided.refusal != 0
                        && (told.refusal == 0 || told.refusal == decided.refusal)
                }
                _ => true,
            };
            self.tally.check(Name::B6, agrees, || {
                let said = if told.phase == SAID_YES { "yes" } else { "no" };
                format!(
                    "a client was told {said} to {id}; outcome from {}",
                    decided.source
                )
            });
        }
    }
}
