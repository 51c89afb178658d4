//! Facts about a command.

use super::packing::{Column, Packed, Packer, Unpacker, fact};
use super::{Id, Party, Place};

/// A fact about a command id; these sort by id, then by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfCommand {
    Asked(Asked),
    Decided(Decided),
    Entered(Entered),
    Opened(AccountRow),
    Answered(Answered),
    Changed(Changed),
    Told(Told),
}

fact! {
    /// A command in its topic.
    Asked {
        at: Place,
        content: u128,
        amount: i64,
        from: Party,
        to: Party,
        token: u64,
        description: u64,
        timestamp_ms: i64,
        refusal: u64,
        is_payer_cash: bool,
        dead: u8,
    }
}

fact! {
    /// A row of `outcome`.
    Decided {
        source: Place,
        kind: u8,
        refusal: u64,
        observed: i64,
        content: u128,
        answer: u64,
        change_one: u64,
        change_two: u64,
        changes: u8,
        is_owed: bool,
    }
}

/// Kinds of outcomes.
pub(crate) const OPENING: u8 = 0;
pub(crate) const CREATION: u8 = 1;
pub(crate) const TRANSFER: u8 = 2;

fact! {
    /// A row of `ledger_entry`; version 0 for parties that are no accounts of ours.
    Entered {
        account: Party,
        version: i64,
        delta: i64,
        balance: i64,
    }
}

fact! {
    /// A row of the handler's `account`.
    AccountRow {
        account: Party,
        balance: i64,
        limit: i64,
        version: i64,
        token: u64,
    }
}

fact! {
    /// A record of a feedback topic.
    Answered {
        at: Place,
        value: u64,
        refusal: u64,
        account: Party,
        is_key_right: bool,
        is_late: bool,
        token: u64,
    }
}

fact! {
    /// A record of `balance_changed`.
    Changed {
        at: Place,
        account: Party,
        version: i64,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        occurred_at_us: i64,
        value: u64,
        is_key_right: bool,
        is_late: bool,
        is_projected: bool,
        dead: u8,
    }
}

fact! {
    /// What a client was told, or was not.
    Told {
        answered_ns: u64,
        invoked_ns: u64,
        phase: u8,
        from: Party,
        to: Party,
        amount: i64,
        refusal: u64,
        is_transfer: bool,
    }
}

/// Phases of a client's operation, in facts.
pub(crate) const SAID_YES: u8 = 1;
pub(crate) const SAID_NO: u8 = 2;
pub(crate) const SAID_NOTHING: u8 = 3;

impl OfCommand {
    pub(crate) fn pack(&self, id: Id) -> Packed {
        let key = |kind: u8| Packer::new().with(id).with(kind);
        match self {
            OfCommand::Asked(it) => key(0).with(*it),
            OfCommand::Decided(it) => key(1).with(*it),
            OfCommand::Entered(it) => key(2).with(*it),
            OfCommand::Opened(it) => key(3).with(*it),
            OfCommand::Answered(it) => key(4).with(*it),
            OfCommand::Changed(it) => key(5).with(*it),
            OfCommand::Told(it) => key(6).with(*it),
        }
        .done()
    }

    pub(crate) fn unpack(bytes: &Packed) -> (Id, OfCommand) {
        let mut from = Unpacker(bytes);
        let id = from.column();
        let fact = match from.column::<u8>() {
            0 => OfCommand::Asked(from.column()),
            1 => OfCommand::Decided(from.column()),
            2 => OfCommand::Entered(from.column()),
            3 => OfCommand::Opened(from.column()),
            4 => OfCommand::Answered(from.column()),
            5 => OfCommand::Changed(from.column()),
            _ => OfCommand::Told(from.column()),
        };
        (id, fact)
    }
}
