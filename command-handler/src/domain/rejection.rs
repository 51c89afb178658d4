//! The ways the bank says no. A rejection is an outcome: stored, sent, and for ever the
//! same; it is never an error.

use std::fmt;

/// Why nothing was done. The text is part of the wire contract.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rejection {
    /// Not a positive amount, or more than one transfer may move.
    AmountInvalid,
    /// The payer is neither `cash` nor a valid IBAN of ours.
    PayerInvalid,
    /// The payee is an IBAN with wrong check digits, or no possible name.
    PayeeInvalid,
    /// Payer and payee are the same.
    SameAccount,
    /// Too long, or with control characters.
    DescriptionInvalid,
    /// The token is not the payer's; or there is no such payer: who asks shall not learn which.
    TokenInvalid,
    /// The payer would go below its limit.
    InsufficientFunds,
    /// The payee is written like an account of ours, but is none.
    PayeeUnknown,
    /// No account of ours takes part.
    BothUnknown,
    /// The payee's balance would leave the range we keep.
    BalanceLimitExceeded,
    /// Every derived account number is taken.
    IbanTaken,
}

impl Rejection {
    /// The reason as it stands in the record; the original's words where it had them.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Rejection::AmountInvalid => "amount is invalid",
            Rejection::PayerInvalid => "from is invalid",
            Rejection::PayeeInvalid => "to is invalid",
            Rejection::SameAccount => "from and to can't be same for transfer",
            Rejection::DescriptionInvalid => "description is invalid",
            Rejection::TokenInvalid => "invalid token",
            Rejection::InsufficientFunds => "insufficient funds",
            Rejection::PayeeUnknown => "to is not known at this bank",
            Rejection::BothUnknown => "both to and from not known at this bank",
            Rejection::BalanceLimitExceeded => "balance limit exceeded",
            Rejection::IbanTaken => "generated iban already exists, try again",
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}
