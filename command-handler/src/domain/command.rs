//! What the bank is asked, and what the world supplies to answer it.

use std::fmt;
use std::sync::Arc;

use subtle::{Choice, ConstantTimeEq};
use topology::iban::IbanError;
use topology::{CASH, Cents, Iban};

use super::NAME_CHARACTERS_MAX;
use super::rejection::Rejection;

/// Digest of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

impl Digest {
    /// Whether it is the other's too; takes as long whatever they hold.
    #[must_use]
    pub fn matches(&self, other: &Digest) -> bool {
        let (words, others) = (self.words(), other.words());
        let same = (0..words.len()).map(|at| words[at].ct_eq(&others[at]));
        same.fold(Choice::from(1), |all, one| all & one).into()
    }

    /// Eight bytes at a time are compared with an eighth of the work.
    fn words(&self) -> [u64; 4] {
        let (words, _) = self.0.as_chunks();
        std::array::from_fn(|at| u64::from_ne_bytes(words[at]))
    }
}

/// What a sender asks; nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open an account.
    OpenAccount,
    /// Move money.
    Transfer(Transfer),
}

/// Move money.
///
/// Payer and payee are read once, here; which of several reasons against a transfer is
/// told is left to [`decide`](super::decide).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// How much; only positive amounts move.
    pub amount: Cents,
    /// Who pays, or why that is nobody.
    pub from: Result<Party, Rejection>,
    /// Who is paid, or why that is nobody.
    pub to: Result<Party, Rejection>,
    /// Digest of the token the sender presented.
    pub token_digest: Digest,
    /// What for.
    pub description: String,
}

impl Transfer {
    /// Reads a transfer as its sender wrote it.
    #[must_use]
    pub fn read(
        amount: Cents,
        from: &str,
        to: &str,
        token_digest: Digest,
        description: &str,
    ) -> Transfer {
        Transfer {
            amount,
            from: Party::payer(from),
            to: Party::payee(to),
            token_digest,
            description: description.to_owned(),
        }
    }
}

/// What the world supplies: things a pure rule cannot make itself.
#[derive(Clone, Debug, Default)]
pub struct Facts {
    /// Account numbers derived for a new account, in the order they are tried.
    pub iban_candidates: Vec<Iban>,
    /// Digest of the token derived for a new account.
    pub new_token_digest: Option<Digest>,
}

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Party {
    /// An account that is, or is written like, one of ours.
    Own(Iban),
    /// Cash over the counter.
    Cash,
    /// An account of another bank.
    Foreign(Iban),
    /// An account of another bank, known by the name of its holder.
    Named(Arc<str>),
}

impl Party {
    /// Reads a payer: `cash`, or a valid IBAN of our bank.
    ///
    /// # Errors
    /// [`Rejection::PayerInvalid`] for anything else.
    pub fn payer(text: &str) -> Result<Party, Rejection> {
        if text == CASH {
            return Ok(Party::Cash);
        }
        match Iban::parse(text) {
            Ok(iban) if iban.is_ours() => Ok(Party::Own(iban)),
            _ => Err(Rejection::PayerInvalid),
        }
    }

    /// Reads a payee: `cash`, a valid IBAN of any bank, or a name.
    ///
    /// # Errors
    /// [`Rejection::PayeeInvalid`] for an IBAN whose check digits are wrong, for a name
    /// nobody can have, and for cash misspelt.
    pub fn payee(text: &str) -> Result<Party, Rejection> {
        if text == CASH {
            return Ok(Party::Cash);
        }
        match Iban::parse(text) {
            Ok(iban) if iban.is_ours() => Ok(Party::Own(iban)),
            Ok(iban) => Ok(Party::Foreign(iban)),
            Err(IbanError::CheckDigits) => Err(Rejection::PayeeInvalid),
            Err(IbanError::Shape) => holder(text).ok_or(Rejection::PayeeInvalid),
        }
    }

    /// How the ledger and the other side's record name it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Party::Own(iban) | Party::Foreign(iban) => iban.as_str(),
            Party::Cash => CASH,
            Party::Named(name) => name,
        }
    }

    /// Its number, when it is an account of ours.
    #[must_use]
    pub fn own(&self) -> Option<&Iban> {
        match self {
            Party::Own(iban) => Some(iban),
            Party::Cash | Party::Foreign(_) | Party::Named(_) => None,
        }
    }
}

/// A name somebody can have.
fn holder(text: &str) -> Option<Party> {
    let name = text.trim();
    let impossible = name.is_empty()
        || name.chars().count() > NAME_CHARACTERS_MAX
        || name.chars().any(char::is_control)
        || name.eq_ignore_ascii_case(CASH);
    (!impossible).then(|| Party::Named(name.into()))
}
