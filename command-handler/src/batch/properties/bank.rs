//! The books and the topics in memory, and what must hold of them.

use std::collections::{BTreeMap, BTreeSet};

use super::super::*;
use super::{COMPANY_BALANCE, COMPANY_TOKEN, codec, key, understood};
use crate::domain::LIMIT;

/// A record as it went out: topic, key, bytes.
pub(super) type Sent = (Topic, Vec<u8>, Option<Vec<u8>>);

/// What is stored of a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Decided {
    pub(super) hash: RequestHash,
    pub(super) source: Option<Source>,
    pub(super) rejection: Option<Rejection>,
    pub(super) observed_version: Option<i64>,
    pub(super) stored: Vec<u8>,
}

/// The books and the topics behind them, in memory.
#[derive(Clone, Debug)]
pub(super) struct Bank {
    pub(super) accounts: BTreeMap<Iban, Account>,
    pub(super) outcomes: BTreeMap<CommandId, Decided>,
    pub(super) ledger: Vec<LedgerEntry>,
    pub(super) sent: Vec<Sent>,
    pub(super) offsets: BTreeMap<(Topic, i32), i64>,
}

impl Bank {
    pub(super) fn opened() -> Bank {
        let company = Account {
            iban: Iban::company(),
            token_digest: keys::digest(COMPANY_TOKEN),
            balance: COMPANY_BALANCE,
            limit: LIMIT,
            version: 0,
        };
        Bank {
            accounts: BTreeMap::from([(company.iban, company)]),
            outcomes: BTreeMap::new(),
            ledger: Vec::new(),
            sent: Vec::new(),
            offsets: BTreeMap::new(),
        }
    }

    /// Deals with a batch as the handler and the database together do.
    pub(super) fn deal_with(&mut self, records: &[Consumed]) {
        let (codec, key, topics) = (codec(), key(), Topics::default());
        let items: Vec<Item> = records.iter().map(|it| understood(&codec, it)).collect();
        let accounts = touched_ibans(&items, &key);
        let accounts = accounts.iter().filter_map(|iban| self.accounts.get(iban));
        let priors = command_ids(&items).into_iter().filter_map(|id| {
            let decided = self.outcomes.get(&id)?;
            let mut frames = Frames::default();
            frames.restore(&decided.stored, id, &key).unwrap();
            let prior = Prior {
                hash: decided.hash,
                source: decided.source,
                frames,
            };
            Some((id, prior))
        });
        let tools = Tools {
            key: &key,
            codec: &codec,
            topics: &topics,
        };
        let accounts = accounts.cloned().collect();
        let plan = plan(&items, accounts, priors.collect(), tools).unwrap();
        self.commit(plan);
    }

    fn commit(&mut self, plan: Plan) {
        for outcome in &plan.outcomes {
            let decided = Decided {
                hash: outcome.hash,
                source: outcome.source,
                rejection: outcome.rejection,
                observed_version: outcome.observed_version,
                stored: plan.frames.stored(outcome.frames.clone()).pieces().concat(),
            };
            let before = self.outcomes.insert(outcome.id, decided);
            assert!(before.is_none(), "decided twice");
        }
        for account in plan
            .opened
            .into_iter()
            .map(|(_, account)| account)
            .chain(plan.changed)
        {
            self.accounts.insert(account.iban, account);
        }
        self.ledger.extend(plan.entries);
        for moved in plan.offsets {
            let stands = self
                .offsets
                .insert((moved.topic, moved.partition), moved.next_offset);
            assert!(stands <= Some(moved.next_offset), "an offset went back");
        }
        self.sent.extend(plan.frames.iter().map(|frame| {
            let value = frame.value.map(<[u8]>::to_vec);
            (frame.topic, frame.key.to_vec(), value)
        }));
    }

    /// Everything but where it stood: what two runs must have in common.
    pub(super) fn effects(&self) -> impl PartialEq + std::fmt::Debug + '_ {
        (&self.accounts, &self.ledger, self.answers())
    }

    fn answers(&self) -> BTreeMap<CommandId, (RequestHash, Option<Rejection>, &[u8])> {
        let decided = self.outcomes.iter();
        decided
            .map(|(id, it)| (*id, (it.hash, it.rejection, it.stored.as_slice())))
            .collect()
    }

    /// A: money is moved, never made.
    fn check_money(&self) {
        let mut by_command = BTreeMap::<CommandId, Vec<&LedgerEntry>>::new();
        let mut balances = BTreeMap::from([(Iban::company(), (0, COMPANY_BALANCE))]);
        for entry in &self.ledger {
            by_command.entry(entry.command_id).or_default().push(entry);
            assert_ne!(entry.delta, Cents::ZERO);
            let Some(iban) = entry.account.own() else {
                assert_eq!(entry.after, None);
                continue;
            };
            let (version, balance) = balances.entry(*iban).or_default();
            *version += 1;
            balance.0 += entry.delta.0;
            assert_eq!(entry.after, Some((*version, *balance)), "A3: no hole");
            assert!(*balance >= LIMIT, "A4: {balance}");
        }
        for (id, entries) in by_command {
            let sum: i64 = entries.iter().map(|it| it.delta.0).sum();
            assert_eq!((entries.len(), sum), (2, 0), "A1: {id}");
            assert_eq!(self.outcomes[&id].rejection, None, "B3: {id}");
        }
        for account in self.accounts.values() {
            let booked = balances.get(&account.iban).copied().unwrap_or_default();
            assert_eq!((account.version, account.balance), booked, "A3");
        }
    }

    /// B: each command has one answer, the same however often it went out.
    fn check_outcomes(&self, log: &[Consumed]) {
        let codec = codec();
        let commands = log.iter().map(|record| understood(&codec, record));
        let asked: BTreeSet<CommandId> = commands
            .filter_map(|item| item.request.ok().map(|request| request.id))
            .collect();
        assert!(asked.iter().eq(self.outcomes.keys()), "B1");
        let mut answers = BTreeMap::<&[u8], BTreeSet<&Sent>>::new();
        for sent in &self.sent {
            if matches!(
                sent.0,
                Topic::AccountCreationFeedback | Topic::MoneyTransferFeedback
            ) {
                answers.entry(&sent.1).or_default().insert(sent);
            }
        }
        assert_eq!(answers.len(), asked.len(), "B1");
        assert!(answers.values().all(|copies| copies.len() == 1), "B2");
        // B5: what came under a used id with other content is a dead letter.
        let conflicts = log.iter().filter(|record| {
            let request = understood(&codec, record).request;
            request.is_ok_and(|request| self.outcomes[&request.id].hash != request.hash)
        });
        let letters = self.sent.iter().filter(|it| it.0 == Topic::DeadLetters);
        assert_eq!(letters.count(), conflicts.count(), "B5");
    }

    /// B4: who was told that the funds are insufficient had too little at the version seen.
    fn check_reasons(&self, log: &[Consumed]) {
        let codec = codec();
        let balances: BTreeMap<(Iban, i64), Cents> = self
            .ledger
            .iter()
            .filter_map(|entry| {
                let (version, balance) = entry.after?;
                Some(((*entry.account.own()?, version), balance))
            })
            .collect();
        for record in log {
            let request = understood(&codec, record).request.unwrap();
            let decided = &self.outcomes[&request.id];
            if decided.source != Some(Source::of(record)) {
                continue;
            }
            let (Some(Rejection::InsufficientFunds), Command::Transfer(transfer)) =
                (decided.rejection, &request.command)
            else {
                continue;
            };
            let payer = *transfer.from.as_ref().unwrap().own().unwrap();
            let version = decided.observed_version.unwrap();
            let opening = if payer == Iban::company() {
                COMPANY_BALANCE
            } else {
                Cents::ZERO
            };
            let seen = balances.get(&(payer, version)).unwrap_or(&opening);
            let left = seen.0.saturating_sub(transfer.amount.0);
            assert!(left < LIMIT.0, "B4: {left}");
        }
    }

    /// C: each change of an own account is one event, in order, the same in every copy.
    fn check_events(&self) {
        let codec = codec();
        let mut events = BTreeMap::<(String, i64), (&Sent, CommandId, Cents, Cents)>::new();
        let mut newest = BTreeMap::<String, i64>::new();
        for sent in self.sent.iter().filter(|it| it.0 == Topic::BalanceChanged) {
            let read = codec.decode_borrowed(sent.0, sent.2.as_deref());
            let Some(Ok(RecordRef::BalanceChanged(event))) = read else {
                panic!("an event: {sent:?}");
            };
            assert_eq!(sent.1, event.iban.as_bytes(), "C7");
            let change = event.change.unwrap();
            let newest = newest.entry(event.iban.to_owned()).or_default();
            assert!(change.version <= *newest + 1, "C4: {event:?}");
            *newest = change.version.max(*newest);
            let identity = (event.iban.to_owned(), change.version);
            let content = (sent, change.command_id, event.changed_by, event.new_balance);
            let first = events.entry(identity).or_insert(content);
            assert_eq!(first.0, sent, "C2");
        }
        let of_events = events
            .into_iter()
            .map(|((iban, version), (_, id, by, balance))| (iban, id, by, (version, balance)));
        let of_entries = self.ledger.iter().filter_map(|entry| {
            let iban = entry.account.own()?.to_string();
            Some((iban, entry.command_id, entry.delta, entry.after?))
        });
        let (of_events, of_entries): (BTreeSet<_>, BTreeSet<_>) =
            (of_events.collect(), of_entries.collect());
        assert_eq!(of_events, of_entries, "C1 and C3");
    }

    pub(super) fn check(&self, log: &[Consumed]) {
        self.check_money();
        self.check_outcomes(log);
        self.check_reasons(log);
        self.check_events();
    }
}
