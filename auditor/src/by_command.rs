//! Everything known of one command, judged: what was asked, decided, booked, answered,
//! told, and heard by a client.

mod reasons;
mod told;

pub(crate) use reasons::Reasons;

use crate::facts::{
    ACCOUNT_ANSWERS, ACCOUNT_COMMANDS, Account, AccountRow, Announced, Answered, Asked, CREATION,
    Change, Changed, Decided, Entered, Entry, Id, OF_THE_WHOLE, OPENING, OfAccount, OfCommand,
    Packed, Party, Place, SAID_YES, TRANSFER, TRANSFER_ANSWERS, TRANSFER_COMMANDS, Told, dead,
};
use crate::invariants::Name;
use crate::report::CannotCheck;
use crate::spill::Writer;
use crate::tally::Tally;

/// Collects the facts of one command after another, judges them, and passes on what
/// belongs to accounts.
pub(crate) struct ByCommand<'a> {
    pub(crate) tally: Tally,
    pub(crate) of_accounts: &'a mut Writer,
    pub(crate) repeated: u64,
    pub(crate) reasons: Reasons,
    id: Option<Id>,
    group: Group,
}

#[derive(Default)]
struct Group {
    asked: Vec<Asked>,
    decided: Vec<Decided>,
    entered: Vec<Entered>,
    opened: Vec<AccountRow>,
    answered: Vec<Answered>,
    changed: Vec<Changed>,
    told: Vec<Told>,
}

impl Group {
    fn clear(&mut self) {
        self.asked.clear();
        self.decided.clear();
        self.entered.clear();
        self.opened.clear();
        self.answered.clear();
        self.changed.clear();
        self.told.clear();
    }
}

impl<'a> ByCommand<'a> {
    pub(crate) fn new(of_accounts: &'a mut Writer) -> ByCommand<'a> {
        ByCommand {
            tally: Tally::default(),
            of_accounts,
            repeated: 0,
            reasons: Reasons::default(),
            id: None,
            group: Group::default(),
        }
    }

    /// Takes the next fact; those of one id come together.
    pub(crate) fn take(&mut self, packed: &Packed) -> Result<(), CannotCheck> {
        let (id, fact) = OfCommand::unpack(packed);
        if self.id != Some(id) {
            self.judge()?;
            self.id = Some(id);
        }
        match fact {
            OfCommand::Asked(it) => self.group.asked.push(it),
            OfCommand::Decided(it) => self.group.decided.push(it),
            OfCommand::Entered(it) => self.group.entered.push(it),
            OfCommand::Opened(it) => self.group.opened.push(it),
            OfCommand::Answered(it) => self.group.answered.push(it),
            OfCommand::Changed(it) => self.group.changed.push(it),
            OfCommand::Told(it) => self.group.told.push(it),
        }
        Ok(())
    }

    /// Judges what was collected; to be called once more at the end.
    pub(crate) fn judge(&mut self) -> Result<(), CannotCheck> {
        let Some(id) = self.id.take() else {
            return Ok(());
        };
        let group = std::mem::take(&mut self.group);
        match group.decided.first() {
            Some(decided) => self.judge_decided(id, decided, &group)?,
            None => self.judge_undecided(id, &group),
        }
        self.pass_on(id, &group)?;
        self.group = group;
        self.group.clear();
        Ok(())
    }

    /// Nothing in the books: then there must be no trace anywhere.
    fn judge_undecided(&mut self, id: Id, group: &Group) {
        let tally = &mut self.tally;
        for asked in &group.asked {
            // Refused as a record, it is a dead letter and has no outcome.
            tally.check(Name::B1, asked.dead == dead::OTHER, || {
                format!("{}: command {id} has no outcome", asked.at)
            });
        }
        for answered in &group.answered {
            tally.check(Name::B1, answered.is_late, || {
                format!(
                    "{}: an answer to {id}, on which nothing was decided",
                    answered.at
                )
            });
        }
        for entered in &group.entered {
            tally.check(Name::B3, false, || {
                format!("ledger_entry {id} {}: no outcome", entered.account)
            });
        }
        if !group.entered.is_empty() {
            self.judge_entries(id, &group.entered);
        }
        let tally = &mut self.tally;
        for opened in &group.opened {
            tally.check(Name::A7, false, || {
                format!(
                    "account {}: no outcome of its creation {id}",
                    opened.account
                )
            });
        }
        for changed in &group.changed {
            let is_excused = changed.is_late || changed.dead == dead::CORRUPTION;
            tally.check(Name::C5, is_excused, || {
                format!(
                    "{}: a change of {id}, on which nothing was decided",
                    changed.at
                )
            });
        }
        for told in &group.told {
            // Nobody knows whether the command ever arrived.
            tally.check(Name::B6, told.phase != SAID_YES, || {
                format!("a client was told yes to {id}, on which nothing was decided")
            });
        }
    }

    fn judge_decided(
        &mut self,
        id: Id,
        decided: &Decided,
        group: &Group,
    ) -> Result<(), CannotCheck> {
        self.tally.check(Name::B1, group.decided.len() == 1, || {
            format!("outcome {id} stands there {} times", group.decided.len())
        });
        if decided.kind != OPENING {
            self.judge_asked(id, decided, group);
            self.judge_answered(id, decided, group);
        }
        self.judge_entries(id, &group.entered);
        self.judge_booked(id, decided, group);
        self.judge_opened(id, decided, group);
        self.judge_changed(id, decided, group);
        self.judge_told(id, decided, group);
        self.judge_reason(id, decided, group)
    }

    fn judge_asked(&mut self, id: Id, decided: &Decided, group: &Group) {
        let tally = &mut self.tally;
        let first = group.asked.iter().find(|it| it.at == decided.source);
        tally.check(Name::B1, first.is_some(), || {
            format!("outcome {id}: {} is no such command", decided.source)
        });
        let expected = if decided.kind == CREATION {
            ACCOUNT_COMMANDS
        } else {
            TRANSFER_COMMANDS
        };
        let mut deliveries = 0_u64;
        for asked in &group.asked {
            let is_same = asked.content == decided.content;
            if asked.at == decided.source {
                tally.check(Name::B5, is_same && asked.at.topic == expected, || {
                    format!("outcome {id}: request_hash is not of {}", asked.at)
                });
            } else {
                let is_dead = asked.dead == dead::CONFLICT;
                tally.check(Name::B5, is_dead != is_same, || {
                    if is_same {
                        format!("{}: the same command {id}, and yet a dead letter", asked.at)
                    } else {
                        format!(
                            "{}: another command with the id {id}, and no dead letter",
                            asked.at
                        )
                    }
                });
                // Decided once: what comes again comes later in its own partition.
                let is_first = (asked.at.topic, asked.at.partition)
                    != (decided.source.topic, decided.source.partition)
                    || asked.at.offset > decided.source.offset
                    || asked.dead == dead::OTHER;
                tally.check(Name::B8, is_first, || {
                    format!(
                        "{}: stands before {}, from which {id} was decided",
                        asked.at, decided.source
                    )
                });
            }
            deliveries += u64::from(asked.dead != dead::OTHER);
        }
        if group.asked.len() > 1 {
            let answers = group.answered.len() as u64;
            tally.check(Name::E5, decided.is_owed || answers >= deliveries, || {
                let last = group.asked.last().map_or(Place::NOWHERE, |it| it.at);
                format!(
                    "{last}: command {id} was sent {deliveries} times and answered {answers} times"
                )
            });
        }
    }

    fn judge_answered(&mut self, id: Id, decided: &Decided, group: &Group) {
        let tally = &mut self.tally;
        let topic = if decided.kind == CREATION {
            ACCOUNT_ANSWERS
        } else {
            TRANSFER_ANSWERS
        };
        tally.check(
            Name::B1,
            decided.is_owed || !group.answered.is_empty(),
            || {
                format!(
                    "outcome {id} from {}: no answer in the topics",
                    decided.source
                )
            },
        );
        self.repeated += (group.answered.len() as u64).saturating_sub(1);
        for answered in &group.answered {
            let agrees = answered.value == decided.answer
                && answered.refusal == decided.refusal
                && answered.is_key_right
                && answered.at.topic == topic;
            tally.check(Name::B2, agrees, || {
                format!(
                    "{}: not the bytes stored as the answer to {id}",
                    answered.at
                )
            });
        }
    }

    fn judge_entries(&mut self, id: Id, entered: &[Entered]) {
        if entered.is_empty() {
            return;
        }
        let sum: i128 = entered.iter().map(|it| i128::from(it.delta)).sum();
        self.tally
            .check(Name::A1, entered.len() == 2 && sum == 0, || {
                format!(
                    "ledger_entry {id}: {} entries that sum to {sum} cents",
                    entered.len()
                )
            });
    }

    fn judge_booked(&mut self, id: Id, decided: &Decided, group: &Group) {
        let entered = &group.entered;
        let is_moved = decided.kind != CREATION && decided.refusal == 0;
        let offender = |what: &str| format!("outcome {id} from {}: {what}", decided.source);
        if !is_moved {
            self.tally.check(Name::B3, entered.is_empty(), || {
                offender("it moved no money, and yet there are entries")
            });
            return;
        }
        let asked = group.asked.iter().find(|it| it.at == decided.source);
        let agrees = match (decided.kind, asked) {
            (OPENING, _) => entered.iter().any(|it| it.account == Party::COMPANY),
            (_, Some(asked)) => {
                let has = |account: Party, delta: i64| {
                    let mut found = entered.iter();
                    found.any(|it| it.account == account && it.delta == delta)
                };
                has(asked.from, asked.amount.wrapping_neg()) && has(asked.to, asked.amount)
            }
            // There is no such command: said elsewhere.
            (_, None) => !entered.is_empty(),
        };
        self.tally.check(Name::B3, agrees, || {
            offender("confirmed, but not booked as it was asked")
        });
    }

    fn judge_opened(&mut self, id: Id, decided: &Decided, group: &Group) {
        let is_creation = decided.kind != TRANSFER;
        let wanted = usize::from(is_creation && decided.refusal == 0);
        let is_counted = is_creation || !group.opened.is_empty();
        if is_counted {
            self.tally
                .check(Name::A7, group.opened.len() == wanted, || {
                    format!(
                        "outcome {id}: {} accounts, not {wanted}",
                        group.opened.len()
                    )
                });
        }
        if decided.kind != CREATION || decided.refusal != 0 {
            return;
        }
        for answered in &group.answered {
            let token = group.opened.first().map(|it| it.token);
            self.tally.check(
                Name::B2,
                token.is_none_or(|it| it == answered.token),
                || format!("{}: another token than creation {id} gave", answered.at),
            );
            let number = group.opened.first().map(|it| it.account);
            self.tally
                .check(Name::A7, number == Some(answered.account), || {
                    format!(
                        "{}: says {}, which creation {id} did not open",
                        answered.at, answered.account
                    )
                });
        }
    }

    /// What belongs to accounts goes on to be judged there.
    fn pass_on(&mut self, id: Id, group: &Group) -> Result<(), CannotCheck> {
        let decided = group.decided.first();
        let source = decided.map_or(Place::NOWHERE, |it| it.source);
        let is_owed = decided.is_some_and(|it| it.is_owed);
        let yes = group.told.iter().filter(|it| it.phase == SAID_YES);
        let answered_ns = yes.map(|it| it.answered_ns).min().unwrap_or(u64::MAX);
        let invoked_ns = group.told.iter().map(|it| it.invoked_ns).min().unwrap_or(0);
        for it in group.entered.iter().filter(|it| it.version > 0) {
            let entry = OfAccount::Entry(Entry {
                source,
                delta: it.delta,
                balance: it.balance,
                id,
                invoked_ns,
                answered_ns,
                is_owed,
            });
            self.of_accounts
                .put(it.account.0, &entry.pack(it.account, it.version))?;
        }
        for it in &group.opened {
            let account = OfAccount::Account(Account {
                balance: it.balance,
                limit: it.limit,
                version: it.version,
                token: it.token,
                id,
                is_owed,
                is_opening: decided.is_some_and(|it| it.kind == OPENING),
            });
            self.of_accounts
                .put(it.account.0, &account.pack(it.account, OF_THE_WHOLE))?;
        }
        for it in group.answered.iter().filter(|it| it.account != Party(0)) {
            let announced = OfAccount::Announced(Announced {
                at: it.at,
                id,
                is_late: it.is_late,
            });
            self.of_accounts
                .put(it.account.0, &announced.pack(it.account, OF_THE_WHOLE))?;
        }
        for it in &group.changed {
            let change = OfAccount::Change(Change {
                at: it.at,
                changed_by: it.changed_by,
                balance: it.balance,
                other: it.other,
                description: it.description,
                id,
                occurred_at_us: it.occurred_at_us,
                value: it.value,
                is_late: it.is_late && decided.is_none(),
                is_projected: it.is_projected,
                dead: it.dead,
            });
            self.of_accounts
                .put(it.account.0, &change.pack(it.account, it.version))?;
        }
        Ok(())
    }
}
