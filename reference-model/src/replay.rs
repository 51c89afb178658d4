//! A recorded run once more: commands with what was recorded of their decisions, put into an
//! order in which they can have happened, and decided again by the model.

use crate::command::{Command, Facts, Request};
use crate::iban::{COMPANY, Own, own};
use crate::party::Party;
use crate::record::Record;
use crate::rules::{Bank, Decision, Impossible, Opening, Reason};
use crate::sequence::{Need, Seen, Sequencer, Stuck};

/// What was recorded of a decision, as far as it tells the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecordedOutcome {
    /// The account in [`Facts::assigned`] was opened.
    Opened,
    /// Money was moved: the versions the changes of own accounts have.
    Moved {
        /// The payer's version after it; `None` when no own account paid.
        payer_version: Option<i64>,
        /// The payee's version after it; `None` when no own account was paid.
        payee_version: Option<i64>,
    },
    /// The bank said no.
    Rejected {
        /// The reason as it stands in the record.
        reason: String,
        /// The payer's version the decision saw, from the handler's books; `None` when no own
        /// account paid.
        observed_version: Option<i64>,
    },
}

/// A command and its decision, as recorded. `T` travels along for the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is told by its type")]
pub struct Recorded<T> {
    pub command: Command,
    pub facts: Facts,
    pub outcome: RecordedOutcome,
    pub attached: T,
}

/// A command decided again; compare `decision`'s records with what the topics hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<T> {
    /// What was given.
    pub recorded: Recorded<T>,
    /// What the model says.
    pub decision: Result<Decision, Impossible>,
}

/// A run that is decided again.
pub struct Replay<T> {
    bank: Bank,
    sequencer: Sequencer<Recorded<T>>,
}

impl<T> Replay<T> {
    /// Begins with the opening of the books; gives the records the opening must have led to.
    #[must_use]
    pub fn begin(opening: Opening) -> (Self, Vec<Record>) {
        let (bank, records) = Bank::open(opening);
        let mut sequencer = Sequencer::default();
        let company = own(COMPANY).expect("the company's number is one of ours");
        let version = bank.account(COMPANY).map_or(0, |(_, version)| version);
        sequencer.begin(company, version);
        (Self { bank, sequencer }, records)
    }

    /// Announces a rejection that will be pushed. All have to be announced before the first
    /// push, or an account may move on before the model has seen what the rejection saw.
    /// A rejection that depends on no account needs no announcement, and may have one.
    pub fn expect(&mut self, request: &Request, reason: &str, observed_version: Option<i64>) {
        let needs = needs_of_rejection(request, reason, observed_version);
        self.sequencer.expect(&needs);
    }

    /// Takes a command with its recorded decision, and decides whatever can be decided by now;
    /// `decided` sees it in an order in which it can have happened.
    pub fn push(&mut self, recorded: Recorded<T>, mut decided: impl FnMut(Decided<T>)) {
        let needs = needs_of(&recorded);
        let bank = &mut self.bank;
        self.sequencer.push(needs, recorded, |recorded| {
            let decision = bank.decide(&recorded.command, &recorded.facts);
            decided(Decided { recorded, decision });
        });
    }

    /// How many commands wait for others.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.sequencer.waiting()
    }

    /// The accounts as they stand at the end, and what cannot have happened.
    #[must_use]
    pub fn finish(self) -> (Bank, Vec<(Recorded<T>, Stuck)>) {
        (self.bank, self.sequencer.finish())
    }
}

fn needs_of<T>(recorded: &Recorded<T>) -> Vec<Need> {
    match (&recorded.outcome, &recorded.command.request) {
        (RecordedOutcome::Opened, _) => recorded
            .facts
            .assigned
            .as_ref()
            .and_then(|given| own(&given.iban))
            .map(|iban| Need {
                iban,
                seen: Seen::Absent,
                moves: true,
            })
            .into_iter()
            .collect(),
        (
            RecordedOutcome::Moved {
                payer_version,
                payee_version,
            },
            Request::Transfer { from, to, .. },
        ) => [(from, payer_version), (to, payee_version)]
            .into_iter()
            .filter_map(|(text, version)| {
                let Party::Own(iban) = Party::of(text) else {
                    return None;
                };
                Some(Need {
                    iban,
                    seen: Seen::At((*version)?.saturating_sub(1)),
                    moves: true,
                })
            })
            .collect(),
        // Recorded as what it cannot be: decided at once, and different from what is recorded.
        (RecordedOutcome::Moved { .. }, Request::OpenAccount { .. }) => Vec::new(),
        (
            RecordedOutcome::Rejected {
                reason,
                observed_version,
            },
            request,
        ) => needs_of_rejection(request, reason, *observed_version),
    }
}

/// What a decision must have seen to say no with these words.
fn needs_of_rejection(request: &Request, reason: &str, observed: Option<i64>) -> Vec<Need> {
    let Request::Transfer { from, to, .. } = request else {
        return Vec::new();
    };
    let own_party = |text: &str| match Party::of(text) {
        Party::Own(iban) => Some(iban),
        Party::Cash | Party::Other(_) | Party::Nobody => None,
    };
    let look = |text: &str, seen: Seen| {
        own_party(text).map(|iban: Own| Need {
            iban,
            seen,
            moves: false,
        })
    };
    let payer = || look(from, observed.map_or(Seen::Absent, Seen::At));
    let needs = match Reason::of_text(reason) {
        Some(Reason::TokenInvalid | Reason::InsufficientFunds) => [payer(), None],
        Some(Reason::PayeeUnknown) => [payer(), look(to, Seen::Absent)],
        // The payee's version is recorded nowhere; no run comes near this limit.
        Some(Reason::BalanceLimitExceeded) => [payer(), look(to, Seen::Open)],
        Some(
            Reason::AmountInvalid
            | Reason::PayerInvalid
            | Reason::PayeeInvalid
            | Reason::SameAccount
            | Reason::DescriptionInvalid
            | Reason::BothUnknown
            | Reason::IbanTaken,
        )
        | None => [None, None],
    };
    needs.into_iter().flatten().collect()
}
