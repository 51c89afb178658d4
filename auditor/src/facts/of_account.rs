//! Facts about an account.

use super::packing::{Column, Packed, Packer, Unpacker, fact};
use super::{Id, Party, Place};

/// A fact about an account; these sort by account, then by version, then by what they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum OfAccount {
    Account(Account),
    ReadAccount(ReadAccount),
    Announced(Announced),
    Followed(Followed),
    Entry(Entry),
    Change(Change),
    Row(Row),
    Spent(Spent),
}

fact! {
    /// The handler's account, with what its creation says.
    Account {
        balance: i64,
        limit: i64,
        version: i64,
        token: u64,
        id: Id,
        is_owed: bool,
        is_opening: bool,
    }
}

fact! {
    /// The read model's account.
    ReadAccount {
        balance: i64,
        version: i64,
    }
}

fact! {
    /// The answer that an account was opened.
    Announced {
        at: Place,
        id: Id,
        is_late: bool,
    }
}

fact! {
    /// A follower has seen everything up to this version.
    Followed {
        subscription: u64,
        version: i64,
    }
}

fact! {
    /// An entry, with where its command stood.
    Entry {
        source: Place,
        delta: i64,
        balance: i64,
        id: Id,
        invoked_ns: u64,
        answered_ns: u64,
        is_owed: bool,
    }
}

fact! {
    /// A change that was told.
    Change {
        at: Place,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        id: Id,
        occurred_at_us: i64,
        value: u64,
        is_late: bool,
        is_projected: bool,
        dead: u8,
    }
}

fact! {
    /// A row of `account_transaction`.
    Row {
        at: Place,
        changed_by: i64,
        balance: i64,
        other: Party,
        description: u64,
        id: Id,
        occurred_at_us: i64,
    }
}

fact! {
    /// A payer's money was looked at for a decision.
    Spent {
        source: Place,
        amount: i64,
        refusal: u64,
        token: u64,
        id: Id,
        observed: i64,
    }
}

impl OfAccount {
    pub(crate) fn pack(&self, account: Party, version: i64) -> Packed {
        let key = |kind: u8| Packer::new().with(account).with(version).with(kind);
        match self {
            OfAccount::Account(it) => key(0).with(*it),
            OfAccount::ReadAccount(it) => key(1).with(*it),
            OfAccount::Announced(it) => key(2).with(*it),
            OfAccount::Followed(it) => key(3).with(*it),
            OfAccount::Entry(it) => key(4).with(*it),
            OfAccount::Change(it) => key(5).with(*it),
            OfAccount::Row(it) => key(6).with(*it),
            OfAccount::Spent(it) => key(7).with(*it),
        }
        .done()
    }

    pub(crate) fn unpack(bytes: &Packed) -> (Party, i64, OfAccount) {
        let mut from = Unpacker(bytes);
        let (account, version) = (from.column(), from.column());
        let fact = match from.column::<u8>() {
            0 => OfAccount::Account(from.column()),
            1 => OfAccount::ReadAccount(from.column()),
            2 => OfAccount::Announced(from.column()),
            3 => OfAccount::Followed(from.column()),
            4 => OfAccount::Entry(from.column()),
            5 => OfAccount::Change(from.column()),
            6 => OfAccount::Row(from.column()),
            _ => OfAccount::Spent(from.column()),
        };
        (account, version, fact)
    }
}

/// In front of all versions: what is known of an account as a whole.
pub(crate) const OF_THE_WHOLE: i64 = i64::MIN;
