//! The records on the wire, as Rust types.
//!
//! These are wire types: strings are as their sender wrote them, and whoever uses one
//! parses it at its own edge. The `.avsc` files beside this crate are the truth; the
//! golden bytes in `tests/golden.rs` hold both together.

pub mod borrowed;

use crate::identity::{CommandId, Token};
use crate::money::Cents;

/// The type of a record, without its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RecordKind {
    /// [`Heartbeat`]
    Heartbeat,
    /// [`ConfirmAccountCreation`]
    ConfirmAccountCreation,
    /// [`AccountCreationConfirmed`]
    AccountCreationConfirmed,
    /// [`AccountCreationFailed`]
    AccountCreationFailed,
    /// [`ConfirmMoneyTransfer`]
    ConfirmMoneyTransfer,
    /// [`MoneyTransferConfirmed`]
    MoneyTransferConfirmed,
    /// [`MoneyTransferFailed`]
    MoneyTransferFailed,
    /// [`BalanceChanged`]
    BalanceChanged,
}

impl RecordKind {
    /// All of them, in the order of the enum.
    pub const ALL: [RecordKind; 8] = [
        RecordKind::Heartbeat,
        RecordKind::ConfirmAccountCreation,
        RecordKind::AccountCreationConfirmed,
        RecordKind::AccountCreationFailed,
        RecordKind::ConfirmMoneyTransfer,
        RecordKind::MoneyTransferConfirmed,
        RecordKind::MoneyTransferFailed,
        RecordKind::BalanceChanged,
    ];

    /// Full Avro name, as in the schema.
    #[must_use]
    pub fn full_name(self) -> &'static str {
        match self {
            RecordKind::Heartbeat => "nl.openweb.data.Heartbeat",
            RecordKind::ConfirmAccountCreation => "nl.openweb.data.ConfirmAccountCreation",
            RecordKind::AccountCreationConfirmed => "nl.openweb.data.AccountCreationConfirmed",
            RecordKind::AccountCreationFailed => "nl.openweb.data.AccountCreationFailed",
            RecordKind::ConfirmMoneyTransfer => "nl.openweb.data.ConfirmMoneyTransfer",
            RecordKind::MoneyTransferConfirmed => "nl.openweb.data.MoneyTransferConfirmed",
            RecordKind::MoneyTransferFailed => "nl.openweb.data.MoneyTransferFailed",
            RecordKind::BalanceChanged => "nl.openweb.data.BalanceChanged",
        }
    }

    /// The kind with this full Avro name.
    #[must_use]
    pub fn from_full_name(name: &str) -> Option<RecordKind> {
        Self::ALL.into_iter().find(|kind| kind.full_name() == name)
    }
}

/// One beat of the pace-maker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Number of the beat since the pace-maker started.
    pub beat: i64,
}

/// Who asked for an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccountType {
    /// The simulated public.
    Auto,
    /// A person.
    Manual,
}

/// Command: open an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConfirmAccountCreation {
    /// The command.
    pub id: CommandId,
    /// Who asks.
    pub account_type: AccountType,
}

/// Outcome: the account is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCreationConfirmed {
    /// The command.
    pub id: CommandId,
    /// The new account.
    pub iban: String,
    /// The secret to pay from it.
    pub token: Token,
    /// Who asked.
    pub account_type: AccountType,
}

/// Outcome: no account was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountCreationFailed {
    /// The command.
    pub id: CommandId,
    /// Why, in the words of the rule book.
    pub reason: String,
}

/// Command: move money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfirmMoneyTransfer {
    /// The command.
    pub id: CommandId,
    /// The payer's secret; anything when cash pays.
    pub token: Token,
    /// How much, in euro cents, as the sender wrote it.
    pub amount: Cents,
    /// IBAN of the payer, or `cash`.
    pub from: String,
    /// IBAN or name of the payee, or `cash`.
    pub to: String,
    /// What for.
    pub description: String,
}

/// Outcome: the money moved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MoneyTransferConfirmed {
    /// The command.
    pub id: CommandId,
}

/// Outcome: the money did not move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoneyTransferFailed {
    /// The command.
    pub id: CommandId,
    /// Why, in the words of the rule book.
    pub reason: String,
}

/// Event: an own account's balance changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BalanceChanged {
    /// The account.
    pub iban: String,
    /// Its balance after the change.
    pub new_balance: Cents,
    /// The change; negative when the account paid.
    pub changed_by: Cents,
    /// IBAN or name of the other side.
    pub from_to: String,
    /// What for.
    pub description: String,
    /// Which change this is; `None` in records of the 2019 form.
    pub change: Option<ChangeIdentity>,
}

/// What the second version of [`BalanceChanged`] adds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChangeIdentity {
    /// 1, 2, 3 … per account, without a hole.
    pub version: i64,
    /// The command that caused it.
    pub command_id: CommandId,
    /// When the command was sent, in microseconds since 1970.
    pub occurred_at_us: i64,
}

/// Any record of the Bank.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant holds the record of its name")]
pub enum Record {
    Heartbeat(Heartbeat),
    ConfirmAccountCreation(ConfirmAccountCreation),
    AccountCreationConfirmed(AccountCreationConfirmed),
    AccountCreationFailed(AccountCreationFailed),
    ConfirmMoneyTransfer(ConfirmMoneyTransfer),
    MoneyTransferConfirmed(MoneyTransferConfirmed),
    MoneyTransferFailed(MoneyTransferFailed),
    BalanceChanged(BalanceChanged),
}

impl Record {
    /// Its type.
    #[must_use]
    pub fn kind(&self) -> RecordKind {
        match self {
            Record::Heartbeat(_) => RecordKind::Heartbeat,
            Record::ConfirmAccountCreation(_) => RecordKind::ConfirmAccountCreation,
            Record::AccountCreationConfirmed(_) => RecordKind::AccountCreationConfirmed,
            Record::AccountCreationFailed(_) => RecordKind::AccountCreationFailed,
            Record::ConfirmMoneyTransfer(_) => RecordKind::ConfirmMoneyTransfer,
            Record::MoneyTransferConfirmed(_) => RecordKind::MoneyTransferConfirmed,
            Record::MoneyTransferFailed(_) => RecordKind::MoneyTransferFailed,
            Record::BalanceChanged(_) => RecordKind::BalanceChanged,
        }
    }
}
