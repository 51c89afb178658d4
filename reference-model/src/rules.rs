//! The rule book. The first rule that is broken is the answer.

use std::collections::HashMap;

use crate::command::{Assigned, Command, CommandId, Facts, Request};
use crate::iban::{CASH, COMPANY, Own, own};
use crate::party::{Party, may_stand};
use crate::record::{self, Change, Record};

/// How far below zero an account may go, in cents.
pub const LIMIT_CENTS: i64 = -50_000;
/// The largest amount of one transfer, in cents.
pub const AMOUNT_MAX_CENTS: i64 = 1_000_000_000;
/// The largest balance an account may have, in cents.
pub const BALANCE_MAX_CENTS: i64 = 1 << 62;
/// The longest description, in characters.
pub const DESCRIPTION_MAX_CHARACTERS: usize = 140;
/// What the company is given when the books are opened, in cents.
pub const OPENING_CENTS: i64 = 100_000_000_000_000;
/// The opening's id, the same in every installation.
pub const OPENING_COMMAND_ID: CommandId = [
    0x0b, 0xa9, 0xc0, 0xde, 0, 0, 0x40, 0, 0x80, 0, 0, 0, 0, 0, 0, 1,
];
/// What the opening is for, in its record.
const OPENING_DESCRIPTION: &str = "Opening balance";

/// Why the bank says no; the text is what stands in the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is told by its text")]
pub enum Reason {
    AmountInvalid,
    PayerInvalid,
    PayeeInvalid,
    SameAccount,
    DescriptionInvalid,
    TokenInvalid,
    InsufficientFunds,
    PayeeUnknown,
    BalanceLimitExceeded,
    BothUnknown,
    IbanTaken,
}

impl Reason {
    /// All there are, in the order in which they win.
    pub const ALL: [Self; 11] = [
        Self::AmountInvalid,
        Self::PayerInvalid,
        Self::PayeeInvalid,
        Self::SameAccount,
        Self::DescriptionInvalid,
        Self::TokenInvalid,
        Self::InsufficientFunds,
        Self::PayeeUnknown,
        Self::BalanceLimitExceeded,
        Self::BothUnknown,
        Self::IbanTaken,
    ];

    /// The words of the record.
    #[must_use]
    pub const fn text(self) -> &'static str {
        match self {
            Self::AmountInvalid => "amount is invalid",
            Self::DescriptionInvalid => "description is invalid",
            Self::PayerInvalid => "from is invalid",
            Self::PayeeInvalid => "to is invalid",
            Self::SameAccount => "from and to can't be same for transfer",
            Self::BothUnknown => "both to and from not known at this bank",
            Self::TokenInvalid => "invalid token",
            Self::PayeeUnknown => "to is not known at this bank",
            Self::InsufficientFunds => "insufficient funds",
            Self::BalanceLimitExceeded => "balance limit exceeded",
            Self::IbanTaken => "generated iban already exists, try again",
        }
    }

    /// The reason with these words.
    #[must_use]
    pub fn of_text(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.text() == text)
    }
}

/// What lets somebody pay from an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// The token itself.
    Plain(Box<str>),
    /// Its BLAKE3 digest, for whoever does not know the token.
    Digest([u8; 32]),
}

impl Token {
    fn is(&self, text: &str) -> bool {
        match self {
            Self::Plain(token) => **token == *text,
            Self::Digest(digest) => blake3::hash(text.as_bytes()).as_bytes() == digest,
        }
    }
}

/// How the books were opened: the one booking without a command in a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opening {
    /// The company's token, or what is known of it.
    pub company_token: Token,
    /// When it was booked, in microseconds since 1970: a fact, read from its record.
    pub occurred_at_us: i64,
}

/// What the bank must have decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Why not, if not.
    pub rejection: Option<Reason>,
    /// What must stand in the topics: the payer's change, the payee's, the answer.
    pub records: Vec<Record>,
}

/// Facts that cannot be facts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Impossible {
    /// Two accounts with one number.
    #[error("the account number {0} was given away before")]
    GivenTwice(String),
    /// A number that is none of ours.
    #[error("{0} is no account number of this bank")]
    NotOurs(String),
}

/// One account of ours: a few words, however long its history is.
#[derive(Clone, Debug)]
struct Account {
    token: Token,
    balance_cents: i64,
    version: i64,
}

/// All accounts of the bank.
#[derive(Clone, Debug)]
pub struct Bank {
    accounts: HashMap<Own, Account>,
}

impl Bank {
    /// Opens the books; the records are the opening entry's.
    #[must_use]
    pub fn open(opening: Opening) -> (Self, Vec<Record>) {
        let company = own(COMPANY).expect("the company's number is one of ours");
        let account = Account {
            token: opening.company_token,
            balance_cents: OPENING_CENTS,
            version: 1,
        };
        let change = record::balance_changed(&Change {
            iban: COMPANY,
            new_balance_cents: OPENING_CENTS,
            changed_by_cents: OPENING_CENTS,
            other_party: CASH,
            description: OPENING_DESCRIPTION,
            version: 1,
            command_id: &OPENING_COMMAND_ID,
            occurred_at_us: opening.occurred_at_us,
        });
        let accounts = HashMap::from([(company, account)]);
        (Self { accounts }, vec![change])
    }

    /// Balance in cents and version of an account.
    #[must_use]
    pub fn account(&self, iban: &str) -> Option<(i64, i64)> {
        let account = self.accounts.get(&own(iban)?)?;
        Some((account.balance_cents, account.version))
    }

    /// Number, balance in cents and version of every account, in no order.
    pub fn accounts(&self) -> impl Iterator<Item = (&str, i64, i64)> {
        self.accounts.iter().map(|(iban, account)| {
            let text = std::str::from_utf8(iban).expect("own numbers are letters and digits");
            (text, account.balance_cents, account.version)
        })
    }

    /// Decides the first delivery of a command, and moves the money.
    ///
    /// # Errors
    ///
    /// When the facts contradict the state: an account number given twice, or not ours.
    pub fn decide(&mut self, command: &Command, facts: &Facts) -> Result<Decision, Impossible> {
        match &command.request {
            Request::OpenAccount { kind } => {
                let Some(given) = &facts.assigned else {
                    let reason = Reason::IbanTaken;
                    return Ok(Decision {
                        rejection: Some(reason),
                        records: vec![record::account_refused(&command.id, reason.text())],
                    });
                };
                self.add(given)?;
                Ok(Decision {
                    rejection: None,
                    records: vec![record::account_opened(&command.id, given, *kind)],
                })
            }
            Request::Transfer {
                token,
                amount_cents,
                from,
                to,
                description,
            } => {
                let transfer = Transfer {
                    token,
                    amount_cents: *amount_cents,
                    from,
                    to,
                    description,
                };
                let (from, to) = match self.judge(&transfer) {
                    Ok(parties) => parties,
                    Err(reason) => {
                        return Ok(Decision {
                            rejection: Some(reason),
                            records: vec![record::transfer_refused(&command.id, reason.text())],
                        });
                    }
                };
                let mut records = Vec::with_capacity(RECORDS_MAX);
                for (party, other, cents) in
                    [(&from, &to, -*amount_cents), (&to, &from, *amount_cents)]
                {
                    let Party::Own(iban) = party else {
                        continue;
                    };
                    let Some(account) = self.accounts.get_mut(iban) else {
                        continue;
                    };
                    account.balance_cents += cents;
                    account.version += 1;
                    records.push(record::balance_changed(&Change {
                        iban: party.name(),
                        new_balance_cents: account.balance_cents,
                        changed_by_cents: cents,
                        other_party: other.name(),
                        description,
                        version: account.version,
                        command_id: &command.id,
                        occurred_at_us: facts.recorded_at_ms.max(0).saturating_mul(1_000),
                    }));
                }
                records.push(record::transfer_confirmed(&command.id));
                Ok(Decision {
                    rejection: None,
                    records,
                })
            }
        }
    }

    fn add(&mut self, given: &Assigned) -> Result<(), Impossible> {
        let iban = own(&given.iban).ok_or_else(|| Impossible::NotOurs(given.iban.clone()))?;
        if self.accounts.contains_key(&iban) {
            return Err(Impossible::GivenTwice(given.iban.clone()));
        }
        let account = Account {
            token: Token::Plain(given.token.as_str().into()),
            balance_cents: 0,
            version: 0,
        };
        self.accounts.insert(iban, account);
        Ok(())
    }

    /// The rule book of transfers, from top to bottom: its form, then the payer, then the payee.
    fn judge<'a>(&self, transfer: &Transfer<'a>) -> Result<(Party<'a>, Party<'a>), Reason> {
        if !(1..=AMOUNT_MAX_CENTS).contains(&transfer.amount_cents) {
            return Err(Reason::AmountInvalid);
        }
        let from = Party::of(transfer.from);
        let to = Party::of(transfer.to);
        if !matches!(from, Party::Cash | Party::Own(_)) {
            return Err(Reason::PayerInvalid);
        }
        if to == Party::Nobody {
            return Err(Reason::PayeeInvalid);
        }
        if from == to {
            return Err(Reason::SameAccount);
        }
        if !may_stand(transfer.description, DESCRIPTION_MAX_CHARACTERS) {
            return Err(Reason::DescriptionInvalid);
        }
        if let Party::Own(iban) = &from {
            // Who asks shall not learn whether there is such an account.
            let payer = self.accounts.get(iban).ok_or(Reason::TokenInvalid)?;
            if !payer.token.is(transfer.token) {
                return Err(Reason::TokenInvalid);
            }
            if payer.balance_cents - transfer.amount_cents < LIMIT_CENTS {
                return Err(Reason::InsufficientFunds);
            }
        }
        if let Party::Own(iban) = &to {
            let payee = self.accounts.get(iban).ok_or(Reason::PayeeUnknown)?;
            if payee.balance_cents + transfer.amount_cents > BALANCE_MAX_CENTS {
                return Err(Reason::BalanceLimitExceeded);
            }
        } else if from == Party::Cash {
            return Err(Reason::BothUnknown);
        }
        Ok((from, to))
    }
}

/// The fields of a `ConfirmMoneyTransfer` that rules are about.
struct Transfer<'a> {
    token: &'a str,
    amount_cents: i64,
    from: &'a str,
    to: &'a str,
    description: &'a str,
}

/// The most records one command leads to: a change on either side, and the answer.
const RECORDS_MAX: usize = 3;

#[cfg(test)]
mod tests;
