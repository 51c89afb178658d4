//! One batch, decided in memory: from records and what the books say, to everything that
//! must be written and sent. Pure but for the encoding of records.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use topology::consumer::Consumed;
use topology::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    MoneyTransferConfirmed, MoneyTransferFailed,
};
use topology::{
    Cents, Codec, CommandId, EncodeError, Iban, Record, Token, Topic, Topics, dead_letters,
};

use crate::domain::{
    Account, Accounts, Command, Event, Facts, Party, Rejection, Transfer, decide, evolve,
};
use crate::frames::Frame;
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
    pub frames: Vec<Frame>,
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
    /// What it gives.
    pub frames: Vec<Frame>,
}

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerEntry {
    /// Booked for this command.
    pub command_id: CommandId,
    /// Own IBAN, `cash`, or another bank's account.
    pub account: String,
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
    pub dead_letters: Vec<Frame>,
    /// All frames in the order they are sent.
    pub frames: Vec<Frame>,
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

/// The account numbers the books must be asked for, and locked, before deciding.
#[must_use]
pub fn touched_ibans(items: &[Item], key: &HandlerKey) -> Vec<Iban> {
    let mut ibans = BTreeSet::new();
    for request in items.iter().filter_map(|item| item.request.as_ref().ok()) {
        match &request.command {
            Command::OpenAccount => ibans.extend(key.iban_candidates(request.id)),
            Command::Transfer(Transfer { from, to, .. }) => {
                for text in [from, to] {
                    ibans.extend(Iban::parse(text).ok().filter(Iban::is_ours));
                }
            }
        }
    }
    ibans.into_iter().collect()
}

/// The command ids whose prior decisions the books must be asked for.
#[must_use]
pub fn command_ids(items: &[Item]) -> Vec<CommandId> {
    let ids: BTreeSet<CommandId> = items
        .iter()
        .filter_map(|item| item.request.as_ref().ok())
        .map(|request| request.id)
        .collect();
    ids.into_iter().collect()
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
        changed: BTreeSet::new(),
        plan: Plan::default(),
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
    changed: BTreeSet<Iban>,
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
        let source = Source::of(&item.record);
        if let Some(prior) = self.priors.get(&request.id) {
            if prior.source == Some(source) {
                // The same record again: what it gave is sent or owed already.
                return Ok(());
            }
            let conflict = prior.hash != request.hash;
            let frames = prior.frames.clone();
            if conflict {
                self.dead_letter(&item.record, IDEMPOTENCY_CONFLICT);
            }
            self.plan.owed.push(request.id);
            self.plan.frames.extend(frames);
            return Ok(());
        }
        self.decide(request, &item.record)
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
        let decision = decide(&self.accounts, &request.command, &facts);
        let mut frames = Vec::new();
        if let Ok(events) = &decision {
            for event in events {
                self.accounts = evolve(std::mem::take(&mut self.accounts), event);
                self.record_event(request, record, event, &mut frames)?;
            }
        }
        let (kind, answer) = answer(request, &decision, self.tools.key);
        frames.push(self.answer_frame(request, &answer)?);
        let source = Source::of(record);
        self.priors.insert(
            request.id,
            Prior {
                hash: request.hash,
                source: Some(source),
                frames: frames.clone(),
            },
        );
        self.plan.owed.push(request.id);
        self.plan.frames.extend(frames.iter().cloned());
        self.plan.outcomes.push(Outcome {
            id: request.id,
            hash: request.hash,
            kind,
            rejection: decision.err(),
            observed_version,
            source: Some(source),
            frames,
        });
        Ok(())
    }

    fn payer_version(&self, command: &Command) -> Option<i64> {
        let Command::Transfer(transfer) = command else {
            return None;
        };
        let iban = Iban::parse(&transfer.from).ok()?;
        Some(self.accounts.get(&iban)?.version)
    }

    fn record_event(
        &mut self,
        request: &Request,
        record: &Consumed,
        event: &Event,
        frames: &mut Vec<Frame>,
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
                        account: party.name().to_owned(),
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
                        frames.push(balance_changed(self.tools.codec, &change)?);
                        self.changed.insert(account.iban.clone());
                    }
                }
            }
        }
        Ok(())
    }

    fn answer_frame(&self, request: &Request, answer: &Record) -> Result<Frame, EncodeError> {
        let topic = match request.command {
            Command::OpenAccount => Topic::AccountCreationFeedback,
            Command::Transfer(_) => Topic::MoneyTransferFeedback,
        };
        let value = self.tools.codec.encode(topic, answer)?;
        let token_at = match answer {
            Record::AccountCreationConfirmed(confirmed) => {
                find(&value, confirmed.token.expose().as_bytes())
            }
            _ => None,
        };
        Ok(Frame {
            topic,
            key: request.id.to_string().into_bytes(),
            value: Some(value),
            headers: Vec::new(),
            token_at,
        })
    }

    fn dead_letter(&mut self, record: &Consumed, reason: &str) {
        let frame = dead_letter(self.tools.topics, record, reason);
        self.plan.dead_letters.push(frame.clone());
        self.plan.frames.push(frame);
    }

    fn finish(mut self, items: &[Item]) -> Plan {
        self.plan.changed = self
            .changed
            .iter()
            .filter_map(|iban| self.accounts.get(iban).cloned())
            .collect();
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

fn answer(
    request: &Request,
    decision: &Result<Vec<Event>, Rejection>,
    key: &HandlerKey,
) -> (&'static str, Record) {
    let id = request.id;
    match (&request.command, decision) {
        (Command::OpenAccount, Ok(events)) => {
            let iban = events
                .iter()
                .find_map(|event| match event {
                    Event::AccountOpened(account) => Some(account.iban.to_string()),
                    Event::MoneyMoved { .. } => None,
                })
                .unwrap_or_default();
            let record = AccountCreationConfirmed {
                id,
                iban,
                token: Token::new(key.token(id)),
                account_type: request.account_type.unwrap_or(AccountType::Auto),
            };
            ("account_creation", Record::AccountCreationConfirmed(record))
        }
        (Command::OpenAccount, Err(rejection)) => {
            let reason = rejection.reason().to_owned();
            let record = AccountCreationFailed { id, reason };
            ("account_creation", Record::AccountCreationFailed(record))
        }
        (Command::Transfer(_), Ok(_)) => {
            let record = MoneyTransferConfirmed { id };
            ("money_transfer", Record::MoneyTransferConfirmed(record))
        }
        (Command::Transfer(_), Err(rejection)) => {
            let reason = rejection.reason().to_owned();
            let record = MoneyTransferFailed { id, reason };
            ("money_transfer", Record::MoneyTransferFailed(record))
        }
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

pub(crate) fn balance_changed(codec: &Codec, change: &Change<'_>) -> Result<Frame, EncodeError> {
    let account = change.account;
    let record = Record::BalanceChanged(BalanceChanged {
        iban: account.iban.to_string(),
        new_balance: account.balance,
        changed_by: change.delta,
        from_to: change.other.name().to_owned(),
        description: change.description.to_owned(),
        change: Some(ChangeIdentity {
            version: account.version,
            command_id: change.command_id,
            occurred_at_us: change.occurred_at_us,
        }),
    });
    Ok(Frame {
        topic: Topic::BalanceChanged,
        key: account.iban.as_str().as_bytes().to_vec(),
        value: Some(codec.encode(Topic::BalanceChanged, &record)?),
        headers: Vec::new(),
        token_at: None,
    })
}

fn dead_letter(topics: &Topics, record: &Consumed, reason: &str) -> Frame {
    Frame {
        topic: Topic::DeadLetters,
        key: record.key.clone().unwrap_or_default(),
        value: record.value.clone(),
        headers: dead_letters::headers(topics, record, reason),
        token_at: None,
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<u16> {
    let at = haystack
        .windows(needle.len())
        .position(|window| window == needle)?;
    u16::try_from(at).ok()
}

#[cfg(test)]
mod tests;
