//! What the bank is asked, and what the world supplies to answer it.

use std::fmt;

use topology::iban::{has_iban_shape, is_written_like_ours, normalise};
use topology::{CASH, Cents, Iban};

use super::NAME_CHARACTERS_MAX;
use super::rejection::Rejection;

/// SHA-256 of a token.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub [u8; 32]);

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(…)")
    }
}

/// A command as its sender wrote it; nothing in it is believed yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open an account.
    OpenAccount,
    /// Move money.
    Transfer(Transfer),
}

/// Move money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// How much; only positive amounts move.
    pub amount: Cents,
    /// IBAN of the payer, or `cash`.
    pub from: String,
    /// IBAN or name of the payee, or `cash`.
    pub to: String,
    /// Digest of the token the sender presented.
    pub token_digest: Digest,
    /// What for.
    pub description: String,
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
    /// An account of another bank: its IBAN, or the name of its holder.
    Other(String),
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
        let normal = normalise(text);
        if is_written_like_ours(&normal) {
            let iban = Iban::parse(&normal).map_err(|_| Rejection::PayeeInvalid)?;
            return Ok(Party::Own(iban));
        }
        if has_iban_shape(&normal) {
            let iban = Iban::parse(&normal).map_err(|_| Rejection::PayeeInvalid)?;
            return Ok(Party::Other(iban.as_str().to_owned()));
        }
        let name = text.trim();
        let impossible = name.is_empty()
            || name.chars().count() > NAME_CHARACTERS_MAX
            || name.chars().any(char::is_control)
            || name.eq_ignore_ascii_case(CASH);
        if impossible {
            return Err(Rejection::PayeeInvalid);
        }
        Ok(Party::Other(name.to_owned()))
    }

    /// How the ledger and the other side's record name it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Party::Own(iban) => iban.as_str(),
            Party::Cash => CASH,
            Party::Other(name) => name,
        }
    }

    /// Its number, when it is an account of ours.
    #[must_use]
    pub fn own(&self) -> Option<&Iban> {
        match self {
            Party::Own(iban) => Some(iban),
            Party::Cash | Party::Other(_) => None,
        }
    }
}
