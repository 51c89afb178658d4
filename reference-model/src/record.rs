//! What comes out: records as they must stand in the topics.

use crate::avro::Body;
use crate::command::{AccountKind, Assigned, CommandId, id_text};

/// Answers to account creations.
pub const ACCOUNT_FEEDBACK: &str = "account_creation_feedback";
/// Answers to transfers.
pub const TRANSFER_FEEDBACK: &str = "money_transfer_feedback";
/// Changes of balances.
pub const BALANCE_CHANGED: &str = "balance_changed";

/// A record the bank must have emitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The topic, without the prefix tests may put in front.
    pub topic: &'static str,
    /// The record's key.
    pub key: String,
    /// The record's type, without its namespace.
    pub name: &'static str,
    /// The Avro body: the value without the five bytes of framing in front (`BalanceChanged`
    /// in its second version).
    pub body: Vec<u8>,
}

/// A change of one account's balance.
pub(crate) struct Change<'a> {
    pub(crate) iban: &'a str,
    pub(crate) new_balance_cents: i64,
    pub(crate) changed_by_cents: i64,
    pub(crate) other_party: &'a str,
    pub(crate) description: &'a str,
    pub(crate) version: i64,
    pub(crate) command_id: &'a CommandId,
    pub(crate) occurred_at_us: i64,
}

pub(crate) fn account_opened(id: &CommandId, given: &Assigned, kind: AccountKind) -> Record {
    let symbol = match kind {
        AccountKind::Auto => 0,
        AccountKind::Manual => 1,
    };
    Record {
        topic: ACCOUNT_FEEDBACK,
        key: id_text(id),
        name: "AccountCreationConfirmed",
        body: Body::default()
            .fixed(id)
            .text(&given.iban)
            .text(&given.token)
            .long(symbol)
            .bytes(),
    }
}

pub(crate) fn account_refused(id: &CommandId, reason: &str) -> Record {
    Record {
        topic: ACCOUNT_FEEDBACK,
        key: id_text(id),
        name: "AccountCreationFailed",
        body: Body::default().fixed(id).text(reason).bytes(),
    }
}

pub(crate) fn transfer_confirmed(id: &CommandId) -> Record {
    Record {
        topic: TRANSFER_FEEDBACK,
        key: id_text(id),
        name: "MoneyTransferConfirmed",
        body: Body::default().fixed(id).bytes(),
    }
}

pub(crate) fn transfer_refused(id: &CommandId, reason: &str) -> Record {
    Record {
        topic: TRANSFER_FEEDBACK,
        key: id_text(id),
        name: "MoneyTransferFailed",
        body: Body::default().fixed(id).text(reason).bytes(),
    }
}

pub(crate) fn balance_changed(change: &Change<'_>) -> Record {
    /// The second branch of the union: not null.
    const PRESENT: i64 = 1;
    Record {
        topic: BALANCE_CHANGED,
        key: change.iban.to_owned(),
        name: "BalanceChanged",
        body: Body::default()
            .text(change.iban)
            .long(change.new_balance_cents)
            .long(change.changed_by_cents)
            .text(change.other_party)
            .text(change.description)
            .long(change.version)
            .long(PRESENT)
            .fixed(change.command_id)
            .long(change.occurred_at_us)
            .bytes(),
    }
}
