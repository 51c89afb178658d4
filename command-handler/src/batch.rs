//! One batch, decided in memory: from records and what the books say, to everything that
//! must be written and sent. Pure but for the encoding of records.

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

use foldhash::fast::RandomState;
use topology::consumer::Consumed;
use topology::records::borrowed::{
    AccountCreationConfirmedRef, AccountCreationFailedRef, BalanceChangedRef,
    MoneyTransferFailedRef, RecordRef, TokenRef,
};
use topology::records::{AccountType, ChangeIdentity, MoneyTransferConfirmed};
use topology::stamps::Trace;
use topology::{Cents, Codec, CommandId, EncodeError, Iban, Topic, Topics, dead_letters};

use crate::domain::{Account, Accounts, Command, Event, Facts, Party, Rejection, decide, evolve};
use crate::frames::Frames;
use crate::keys::{self, HandlerKey};
use crate::request::{Request, RequestHash};

/// Reason of the dead letter for a command id that was used before for something else.
pub const IDEMPOTENCY_CONFLICT: &str = "IDEMPOTENCY_CONFLICT";

/// A record of a command topic, read as far as it can be.
#[derive(Clone, Debug)]
pub struct Item {
    /// The record.
    pub record: Consumed,
    /// The command in it, or why there is none.
    pub request: Result<Request, &'static str>,
}

/// Place of a record in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: i32,
    /// Offset.
    pub offset: i64,
}

impl Source {
    /// Where this record stands.
    #[must_use]
    pub fn of(record: &Consumed) -> Source {
        Source {
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
        }
    }
}

/// What was decided on a command id before.
#[derive(Clone, Debug)]
pub struct Prior {
    /// Of the content that was decided on.
    pub hash: RequestHash,
    /// Where that content stood; `None` for the opening, which stood nowhere.
    pub source: Option<Source>,
    /// What the decision gave.
    pub frames: Frames,
}

/// A decision to be stored.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Of this command.
    pub id: CommandId,
    /// Of its content.
    pub hash: RequestHash,
    /// `account_creation` or `money_transfer`.
    pub kind: &'static str,
    /// The no, when it is one.
    pub rejection: Option<Rejection>,
    /// The payer's version the decision saw.
    pub observed_version: Option<i64>,
    /// Where the command stood; `None` for the opening, which stood nowhere.
    pub source: Option<Source>,
    /// What it gives: these of the plan's frames.
    pub frames: Range<usize>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Booked for this command.
    pub command_id: CommandId,
    /// Whose money moved.
    pub account: Party,
    /// Signed.
    pub delta: Cents,
    /// Version and balance after it, of an own account.
    pub after: Option<(i64, Cents)>,
}

/// A partition's offset after the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OffsetMove {
    /// Topic.
    pub topic: Topic,
    /// Partition.
    pub partition: i32,
    /// First offset not dealt with.
    pub next_offset: i64,
    /// Of the assignment it was read under.
    pub epoch: i64,
}

/// A command's times, to travel on with what it gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journey {
    /// The command.
    pub id: CommandId,
    /// Where it stood.
    pub source: Source,
    /// The no, when it is one.
    pub rejection: Option<Rejection>,
    /// Its times so far.
    pub trace: Trace,
    /// What it gives: these of the plan's frames.
    pub frames: Range<usize>,
}

/// Everything a batch writes and sends.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// New decisions, in order.
    pub outcomes: Vec<Outcome>,
    /// Their bookings, in order.
    pub entries: Vec<LedgerEntry>,
    /// Accounts that came to be, with the command that opened them.
    pub opened: Vec<(CommandId, Account)>,
    /// Accounts whose balance changed, as they are after the batch.
    pub changed: Vec<Account>,
    /// Commands whose frames are owed, in order; a repeated one may stand here twice.
    pub owed: Vec<CommandId>,
    /// Dead letters owed.
    pub dead_letters: Frames,
    /// All frames in the order they are sent.
    pub frames: Frames,
    /// Of new decisions whose commands want to know where the time goes.
    pub journeys: Vec<Journey>,
    /// Where reading goes on.
    pub offsets: Vec<OffsetMove>,
}

/// What planning needs beside the records and the books.
#[derive(Clone, Copy)]
pub struct Tools<'a> {
    /// Derives account numbers and tokens.
    pub key: &'a HandlerKey,
    /// Writes records.
    pub codec: &'a Codec,
    /// Names where a dead letter came from.
    pub topics: &'a Topics,
}

/// The account numbers the books must be asked for, and locked, before deciding: in
/// order, each once.
#[must_use]
pub fn touched_ibans(items: &[Item], key: &HandlerKey) -> Vec<Iban> {
    let mut ibans = Vec::with_capacity(2 * items.len());
    for request in requests(items) {
        match &request.command {
            Command::OpenAccount => ibans.extend(key.iban_candidates(request.id)),
            Command::Transfer(transfer) => {
                let parties = [&transfer.from, &transfer.to].into_iter().flatten();
                ibans.extend(parties.filter_map(Party::own));
            }
        }
    }
    ibans.sort_unstable();
    ibans.dedup();
    ibans
}

/// The command ids whose prior decisions the books must be asked for: in order, each once.
#[must_use]
pub fn command_ids(items: &[Item]) -> Vec<CommandId> {
    let mut ids: Vec<CommandId> = requests(items).map(|request| request.id).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn requests(items: &[Item]) -> impl Iterator<Item = &Request> {
    items.iter().filter_map(|item| item.request.as_ref().ok())
}

/// Decides the items in order.
///
/// # Errors
/// Only when a record of ours cannot be encoded: a fault of this program.
pub fn plan(
    items: &[Item],
    accounts: Accounts,
    priors: HashMap<CommandId, Prior>,
    tools: Tools<'_>,
) -> Result<Plan, EncodeError> {
    let mut planner = Planner {
        accounts,
        priors,
        tools,
        decided: HashMap::with_capacity_and_hasher(items.len(), RandomState::default()),
        plan: Plan {
            outcomes: Vec::with_capacity(items.len()),
            entries: Vec::with_capacity(2 * items.len()),
            owed: Vec::with_capacity(items.len()),
            frames: Frames::with_capacity(3 * items.len()),
            ..Plan::default()
        },
    };
    for item in items {
        planner.take(item)?;
    }
    Ok(planner.finish(items))
}

struct Planner<'a> {
    accounts: Accounts,
    priors: HashMap<CommandId, Prior>,
    tools: Tools<'a>,
    /// Of the commands decided in this batch, which outcome is theirs.
    decided: HashMap<CommandId, usize, RandomState>,
    plan: Plan,
}

impl Planner<'_> {
    fn take(&mut self, item: &Item) -> Result<(), EncodeError> {
        let request = match &item.request {
            Ok(request) => request,
            Err(reason) => {
                self.dead_letter(&item.record, reason);
                return Ok(());
            }
        };
        if let Some(prior) = self.priors.get(&request.id) {
            let (hash, source) = (prior.hash, prior.source);
            if self.is_new_delivery(item, request, hash, source) {
                let prior = &self.priors[&request.id];
                self.plan.frames.append(&prior.frames);
            }
        } else if let Some(number) = self.decided.get(&request.id) {
            let outcome = &self.plan.outcomes[*number];
            let (hash, source, frames) = (outcome.hash, outcome.source, outcome.frames.clone());
            if self.is_new_delivery(item, request, hash, source) {
                self.plan.frames.repeat(frames);
            }
        } else {
            self.decide(request, &item.record)?;
        }
        Ok(())
    }

    /// Whether a command that was decided before is to be answered once more. One of other
    /// content under the same id is also a dead letter.
    fn is_new_delivery(
        &mut self,
        item: &Item,
        request: &Request,
        hash: RequestHash,
        source: Option<Source>,
    ) -> bool {
        if source == Some(Source::of(&item.record)) {
            // The same record again: what it gave is sent or owed already.
            return false;
        }
        if hash != request.hash {
            self.dead_letter(&item.record, IDEMPOTENCY_CONFLICT);
        }
        self.plan.owed.push(request.id);
        true
    }

    fn decide(&mut self, request: &Request, record: &Consumed) -> Result<(), EncodeError> {
        let facts = match request.command {
            Command::OpenAccount => Facts {
                iban_candidates: self.tools.key.iban_candidates(request.id),
                new_token_digest: Some(keys::digest(&self.tools.key.token(request.id))),
            },
            Command::Transfer(_) => Facts::default(),
        };
        let observed_version = self.payer_version(&request.command);
        let first_frame = self.plan.frames.len();
        let decision = decide(&self.accounts, &request.command, &facts);
        if let Ok(event) = &decision {
            self.accounts = evolve(std::mem::take(&mut self.accounts), event);
            self.record_event(request, record, event)?;
        }
        self.answer(request, &decision)?;
        if let Some(trace) = &record.trace {
            self.plan.journeys.push(Journey {
                id: request.id,
                source: Source::of(record),
                rejection: decision.as_ref().err().copied(),
                trace: Trace::clone(trace),
                frames: first_frame..self.plan.frames.len(),
            });
        }
        self.decided.insert(request.id, self.plan.outcomes.len());
        self.plan.owed.push(request.id);
        self.plan.outcomes.push(Outcome {
            id: request.id,
            hash: request.hash,
            kind: match request.command {
                Command::OpenAccount => "account_creation",
                Command::Transfer(_) => "money_transfer",
            },
            rejection: decision.err(),
            observed_version,
            source: Some(Source::of(record)),
            frames: first_frame..self.plan.frames.len(),
        });
        Ok(())
    }

    fn payer_version(&self, command: &Command) -> Option<i64> {
        let Command::Transfer(transfer) = command else {
            return None;
        };
        let payer = transfer.from.as_ref().ok()?.own()?;
        Some(self.accounts.get(payer)?.version)
    }

    fn record_event(
        &mut self,
        request: &Request,
        record: &Consumed,
        event: &Event,
    ) -> Result<(), EncodeError> {
        match event {
            Event::AccountOpened(account) => {
                self.plan.opened.push((request.id, account.clone()));
            }
            Event::MoneyMoved { from, to, amount } => {
                let description = match &request.command {
                    Command::Transfer(transfer) => transfer.description.as_str(),
                    Command::OpenAccount => "",
                };
                let sides = [(from, to, Cents(-amount.0)), (to, from, *amount)];
                for (party, other, delta) in sides {
                    let after = party.own().and_then(|iban| self.accounts.get(iban));
                    self.plan.entries.push(LedgerEntry {
                        command_id: request.id,
                        account: party.clone(),
                        delta,
                        after: after.map(|account| (account.version, account.balance)),
                    });
                    if let Some(account) = after {
                        let change = Change {
                            account,
                            delta,
                            other,
                            description,
                            command_id: request.id,
                            occurred_at_us: record.timestamp_ms.saturating_mul(1_000),
                        };
                        balance_changed(&mut self.plan.frames, self.tools.codec, &change)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn answer(
        &mut self,
        request: &Request,
        decision: &Result<Event, Rejection>,
    ) -> Result<(), EncodeError> {
        let id = request.id;
        match (&request.command, decision) {
            (_, Ok(Event::AccountOpened(account))) => {
                let token = self.tools.key.token(id);
                let confirmed = AccountCreationConfirmedRef {
                    id,
                    iban: account.iban.as_str(),
                    token: TokenRef::new(&token),
                    account_type: request.account_type.unwrap_or(AccountType::Auto),
                };
                let answer = RecordRef::AccountCreationConfirmed(confirmed);
                self.send_answer(Topic::AccountCreationFeedback, id, &answer)?;
                self.plan.frames.blank_out(&token);
                Ok(())
            }
            (Command::OpenAccount, Err(rejection)) => {
                let reason = rejection.reason();
                let failed = AccountCreationFailedRef { id, reason };
                let answer = RecordRef::AccountCreationFailed(failed);
                self.send_answer(Topic::AccountCreationFeedback, id, &answer)
            }
            (_, Ok(Event::MoneyMoved { .. })) => {
                let answer = RecordRef::MoneyTransferConfirmed(MoneyTransferConfirmed { id });
                self.send_answer(Topic::MoneyTransferFeedback, id, &answer)
            }
            (Command::Transfer(_), Err(rejection)) => {
                let reason = rejection.reason();
                let answer = RecordRef::MoneyTransferFailed(MoneyTransferFailedRef { id, reason });
                self.send_answer(Topic::MoneyTransferFeedback, id, &answer)
            }
        }
    }

    fn send_answer(
        &mut self,
        topic: Topic,
        id: CommandId,
        answer: &RecordRef<'_>,
    ) -> Result<(), EncodeError> {
        let mut key = uuid::Uuid::encode_buffer();
        let key = id.0.hyphenated().encode_lower(&mut key);
        let codec = self.tools.codec;
        let write = |bytes: &mut Vec<u8>| codec.encode_into(bytes, topic, answer);
        self.plan.frames.write(topic, key.as_bytes(), write)
    }

    fn dead_letter(&mut self, record: &Consumed, reason: &str) {
        let key = record.key.as_deref().unwrap_or_default();
        let value = record.value.as_deref();
        let headers = dead_letters::headers(self.tools.topics, record, reason);
        self.plan
            .dead_letters
            .dead_letter(key, value, headers.clone());
        self.plan.frames.dead_letter(key, value, headers);
    }

    fn finish(mut self, items: &[Item]) -> Plan {
        self.plan.changed = self.accounts.changed().cloned().collect();
        let mut offsets = BTreeMap::new();
        for Item { record, .. } in items {
            offsets.insert(
                (record.topic, record.partition),
                OffsetMove {
                    topic: record.topic,
                    partition: record.partition,
                    next_offset: record.offset + 1,
                    epoch: record.epoch,
                },
            );
        }
        self.plan.offsets = offsets.into_values().collect();
        self.plan
    }
}

/// What a `BalanceChanged` is made of.
pub(crate) struct Change<'a> {
    pub(crate) account: &'a Account,
    pub(crate) delta: Cents,
    pub(crate) other: &'a Party,
    pub(crate) description: &'a str,
    pub(crate) command_id: CommandId,
    pub(crate) occurred_at_us: i64,
}

pub(crate) fn balance_changed(
    frames: &mut Frames,
    codec: &Codec,
    change: &Change<'_>,
) -> Result<(), EncodeError> {
    let account = change.account;
    let record = RecordRef::BalanceChanged(BalanceChangedRef {
        iban: account.iban.as_str(),
        new_balance: account.balance,
        changed_by: change.delta,
        from_to: change.other.name(),
        description: change.description,
        change: Some(ChangeIdentity {
            version: account.version,
            command_id: change.command_id,
            occurred_at_us: change.occurred_at_us,
        }),
    });
    let topic = Topic::BalanceChanged;
    let write = |bytes: &mut Vec<u8>| codec.encode_into(bytes, topic, &record);
    frames.write(topic, account.iban.as_str().as_bytes(), write)
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
