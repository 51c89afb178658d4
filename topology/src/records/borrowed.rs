//! The records with their texts borrowed: read without a copy, written without being put
//! together first. For whoever handles thousands a second; everybody else has [`Record`].

use std::fmt;

use super::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, Record, RecordKind,
};
use crate::identity::{CommandId, Token};
use crate::money::Cents;

/// A [`Token`] where it stands in a record's bytes, which nobody wipes. It prints as nothing.
#[derive(Clone, Copy)]
pub struct TokenRef<'a>(&'a str);

impl<'a> TokenRef<'a> {
    /// Marks a text as a secret.
    #[must_use]
    pub fn new(secret: &'a str) -> TokenRef<'a> {
        TokenRef(secret)
    }

    /// The secret itself: for the record that carries it, never for a log.
    #[must_use]
    pub fn expose(self) -> &'a str {
        self.0
    }
}

impl fmt::Debug for TokenRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// [`AccountCreationConfirmed`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the record of that name")]
pub struct AccountCreationConfirmedRef<'a> {
    pub id: CommandId,
    pub iban: &'a str,
    pub token: TokenRef<'a>,
    pub account_type: AccountType,
}

/// [`AccountCreationFailed`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the record of that name")]
pub struct AccountCreationFailedRef<'a> {
    pub id: CommandId,
    pub reason: &'a str,
}

/// [`ConfirmMoneyTransfer`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the record of that name")]
pub struct ConfirmMoneyTransferRef<'a> {
    pub id: CommandId,
    pub token: TokenRef<'a>,
    pub amount: Cents,
    pub from: &'a str,
    pub to: &'a str,
    pub description: &'a str,
}

/// [`MoneyTransferFailed`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the record of that name")]
pub struct MoneyTransferFailedRef<'a> {
    pub id: CommandId,
    pub reason: &'a str,
}

/// [`BalanceChanged`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields of the record of that name")]
pub struct BalanceChangedRef<'a> {
    pub iban: &'a str,
    pub new_balance: Cents,
    pub changed_by: Cents,
    pub from_to: &'a str,
    pub description: &'a str,
    pub change: Option<ChangeIdentity>,
}

/// [`Record`], borrowed.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "each variant holds the record of its name")]
pub enum RecordRef<'a> {
    Heartbeat(Heartbeat),
    ConfirmAccountCreation(ConfirmAccountCreation),
    AccountCreationConfirmed(AccountCreationConfirmedRef<'a>),
    AccountCreationFailed(AccountCreationFailedRef<'a>),
    ConfirmMoneyTransfer(ConfirmMoneyTransferRef<'a>),
    MoneyTransferConfirmed(MoneyTransferConfirmed),
    MoneyTransferFailed(MoneyTransferFailedRef<'a>),
    BalanceChanged(BalanceChangedRef<'a>),
}

impl RecordRef<'_> {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            RecordRef::Heartbeat(_) => RecordKind::Heartbeat,
            RecordRef::ConfirmAccountCreation(_) => RecordKind::ConfirmAccountCreation,
            RecordRef::AccountCreationConfirmed(_) => RecordKind::AccountCreationConfirmed,
            RecordRef::AccountCreationFailed(_) => RecordKind::AccountCreationFailed,
            RecordRef::ConfirmMoneyTransfer(_) => RecordKind::ConfirmMoneyTransfer,
            RecordRef::MoneyTransferConfirmed(_) => RecordKind::MoneyTransferConfirmed,
            RecordRef::MoneyTransferFailed(_) => RecordKind::MoneyTransferFailed,
            RecordRef::BalanceChanged(_) => RecordKind::BalanceChanged,
        }
    }
}

impl<'a> From<&'a Record> for RecordRef<'a> {
    fn from(record: &'a Record) -> RecordRef<'a> {
        match record {
            Record::Heartbeat(it) => RecordRef::Heartbeat(*it),
            Record::ConfirmAccountCreation(it) => RecordRef::ConfirmAccountCreation(*it),
            Record::AccountCreationConfirmed(it) => {
                RecordRef::AccountCreationConfirmed(AccountCreationConfirmedRef {
                    id: it.id,
                    iban: &it.iban,
                    token: TokenRef(it.token.expose()),
                    account_type: it.account_type,
                })
            }
            Record::AccountCreationFailed(it) => {
                RecordRef::AccountCreationFailed(AccountCreationFailedRef {
                    id: it.id,
                    reason: &it.reason,
                })
            }
            Record::ConfirmMoneyTransfer(it) => {
                RecordRef::ConfirmMoneyTransfer(ConfirmMoneyTransferRef {
                    id: it.id,
                    token: TokenRef(it.token.expose()),
                    amount: it.amount,
                    from: &it.from,
                    to: &it.to,
                    description: &it.description,
                })
            }
            Record::MoneyTransferConfirmed(it) => RecordRef::MoneyTransferConfirmed(*it),
            Record::MoneyTransferFailed(it) => {
                RecordRef::MoneyTransferFailed(MoneyTransferFailedRef {
                    id: it.id,
                    reason: &it.reason,
                })
            }
            Record::BalanceChanged(it) => RecordRef::BalanceChanged(BalanceChangedRef {
                iban: &it.iban,
                new_balance: it.new_balance,
                changed_by: it.changed_by,
                from_to: &it.from_to,
                description: &it.description,
                change: it.change,
            }),
        }
    }
}

impl From<RecordRef<'_>> for Record {
    fn from(record: RecordRef<'_>) -> Record {
        match record {
            RecordRef::Heartbeat(it) => Record::Heartbeat(it),
            RecordRef::ConfirmAccountCreation(it) => Record::ConfirmAccountCreation(it),
            RecordRef::AccountCreationConfirmed(it) => {
                Record::AccountCreationConfirmed(AccountCreationConfirmed {
                    id: it.id,
                    iban: it.iban.to_owned(),
                    token: Token::new(it.token.0.to_owned()),
                    account_type: it.account_type,
                })
            }
            RecordRef::AccountCreationFailed(it) => {
                Record::AccountCreationFailed(AccountCreationFailed {
                    id: it.id,
                    reason: it.reason.to_owned(),
                })
            }
            RecordRef::ConfirmMoneyTransfer(it) => {
                Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                    id: it.id,
                    token: Token::new(it.token.0.to_owned()),
                    amount: it.amount,
                    from: it.from.to_owned(),
                    to: it.to.to_owned(),
                    description: it.description.to_owned(),
                })
            }
            RecordRef::MoneyTransferConfirmed(it) => Record::MoneyTransferConfirmed(it),
            RecordRef::MoneyTransferFailed(it) => {
                Record::MoneyTransferFailed(MoneyTransferFailed {
                    id: it.id,
                    reason: it.reason.to_owned(),
                })
            }
            RecordRef::BalanceChanged(it) => Record::BalanceChanged(BalanceChanged {
                iban: it.iban.to_owned(),
                new_balance: it.new_balance,
                changed_by: it.changed_by,
                from_to: it.from_to.to_owned(),
                description: it.description.to_owned(),
                change: it.change,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_borrowed_token_never_shows_its_secret() {
        let token = TokenRef::new("canary-4711");
        assert!(!format!("{token:?}").contains("canary"));
    }
}
