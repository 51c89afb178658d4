//! What the gateway's answers are made of: users, accounts, transactions, payments and what became of them.

use std::fmt::{self, Display};

use serde_json::Value;
use uuid::Uuid;

use crate::{
    money::Cents,
    readable::{Readable, Reader, readable},
};

/// Identity of a command: made here, before it is sent, and kept until there is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommandId(pub Uuid);

/// As on the wire.
impl Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Readable for CommandId {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let id = value.as_str().and_then(|text| Uuid::parse_str(text).ok());
        Self(reader.take(id))
    }
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has an account and sees only that.
    Customer,
    /// Sees all accounts and has none.
    Employee,
}

impl Readable for Role {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [("CUSTOMER", Self::Customer), ("EMPLOYEE", Self::Employee)];
        reader.word(value, &known, None)
    }
}

readable! {
    /// Who is signed in.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct User {
        /// As typed when the account was opened.
        pub user_name: String,
        /// What they may do.
        pub role: Role,
        /// None for an employee, and until the bank has opened it.
        pub account: Option<OwnAccount>,
    }

    /// The customer's own account.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct OwnAccount {
        /// Compact.
        pub iban: String,
    }

    /// A user whose password anyone may know.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct DemoUser {
        /// To sign in with.
        pub user_name: String,
        /// To sign in with.
        pub password: String,
        /// Customer or employee.
        pub role: Role,
    }

    /// What anyone may know of this bank.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Bank {
        /// The bank's own account.
        pub company_iban: String,
        /// Whether the company's account is public and demo users exist.
        pub demo_mode: bool,
        /// Empty outside demo mode.
        pub demo_users: Vec<DemoUser>,
        /// Of the running gateway.
        pub version: String,
        /// RFC 3339.
        pub started_at: String,
    }

    /// One change of one account's balance. Its identity is the account and the version.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Transaction {
        /// The account that changed.
        pub iban: String,
        /// 1, 2, 3 ... without a hole.
        pub version: u64,
        /// Balance from then on.
        pub new_balance: Cents,
        /// Negative when the account paid.
        pub changed_by: Cents,
        /// IBAN or name of the other side; `cash` for cash.
        pub counterparty: String,
        /// What the payer wrote.
        pub description: String,
        /// None for records in the 2019 form.
        pub command_id: Option<CommandId>,
        /// RFC 3339.
        pub occurred_at: String,
        /// `partition:offset` of the record.
        pub serial: String,
        /// Where to resume after it.
        pub cursor: String,
    }

    /// A page of transactions, newest first.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct TransactionPage {
        /// At most as many as asked for.
        pub nodes: Vec<Transaction>,
        /// Whether there is more.
        pub page_info: PageInfo,
    }

    /// Where a page stands.
    #[derive(Clone, Debug, Default, PartialEq, Eq)]
    pub struct PageInfo {
        /// More after this page.
        pub has_next_page: bool,
        /// To ask for the page after this one.
        pub end_cursor: Option<String>,
    }

    /// An account with its newest transactions.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Account {
        /// Compact.
        pub iban: String,
        /// Now.
        pub balance: Cents,
        /// The lowest balance allowed.
        pub limit: Cents,
        /// Number of changes so far.
        pub version: u64,
        /// Newest first.
        pub transactions: TransactionPage,
    }

    /// An account in the employee's list.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct ListedAccount {
        /// Compact.
        pub iban: String,
        /// When the list was asked for.
        pub balance: Cents,
        /// Number of changes so far.
        pub version: u64,
        /// RFC 3339; None while nothing has changed.
        pub changed_at: Option<String>,
    }

    /// A page of accounts.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AccountPage {
        /// At most as many as asked for.
        pub nodes: Vec<ListedAccount>,
        /// Whether there is more.
        pub page_info: PageInfo,
        /// All that match, on every page.
        pub total_count: u64,
    }
}

/// Money to be moved by the one who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payment {
    /// Cash into one's own account.
    Deposit {
        /// More than zero.
        amount: Cents,
    },
    /// To someone else.
    Transfer {
        /// IBAN or name of the payee.
        to: String,
        /// More than zero.
        amount: Cents,
        /// What the payee reads.
        description: String,
    },
}

impl Payment {
    /// How much moves, more than zero.
    #[must_use]
    pub fn amount(&self) -> Cents {
        match self {
            Self::Deposit { amount } | Self::Transfer { amount, .. } => *amount,
        }
    }

    /// The change of one's own account, with its sign.
    #[must_use]
    pub fn change(&self) -> Cents {
        match self {
            Self::Deposit { amount } => *amount,
            Self::Transfer { amount, .. } => amount.negated(),
        }
    }
}

/// Why the bank said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are the schema's and say it")]
pub enum RejectionReason {
    AmountInvalid,
    PayerInvalid,
    PayeeInvalid,
    PayeeUnknown,
    SameAccount,
    TokenInvalid,
    InsufficientFunds,
    BalanceLimitExceeded,
    DescriptionInvalid,
    BothUnknown,
    IbanTaken,
    /// Also what a newer gateway may add.
    Other,
}

impl Readable for RejectionReason {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("AMOUNT_INVALID", Self::AmountInvalid),
            ("PAYER_INVALID", Self::PayerInvalid),
            ("PAYEE_INVALID", Self::PayeeInvalid),
            ("PAYEE_UNKNOWN", Self::PayeeUnknown),
            ("SAME_ACCOUNT", Self::SameAccount),
            ("TOKEN_INVALID", Self::TokenInvalid),
            ("INSUFFICIENT_FUNDS", Self::InsufficientFunds),
            ("BALANCE_LIMIT_EXCEEDED", Self::BalanceLimitExceeded),
            ("DESCRIPTION_INVALID", Self::DescriptionInvalid),
            ("BOTH_UNKNOWN", Self::BothUnknown),
            ("IBAN_TAKEN", Self::IbanTaken),
        ];
        reader.word(value, &known, Some(Self::Other))
    }
}

/// The bank's answer to a payment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PaymentResult {
    /// Done.
    PaymentConfirmed,
    /// Not answered yet.
    CommandPending,
    /// A no, for good.
    CommandRejected {
        /// In the bank's terms.
        reason: RejectionReason,
        /// In the gateway's words.
        message: String,
    },
}

impl Readable for PaymentResult {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        match reader.kind(value) {
            "PaymentConfirmed" => Self::PaymentConfirmed,
            "CommandRejected" => Self::CommandRejected {
                reason: reader.field(value, "reason"),
                message: reader.field(value, "message"),
            },
            "CommandPending" => Self::CommandPending,
            _ => {
                reader.missed();
                Self::CommandPending
            }
        }
    }
}

/// The bank's answer to a new account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpenAccountResult {
    /// Open, and signed in.
    SignedIn {
        /// Who.
        user: User,
    },
    /// Not answered yet.
    CommandPending,
    /// A no, for good.
    CommandRejected {
        /// In the gateway's words.
        message: String,
    },
}

impl Readable for OpenAccountResult {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        match reader.kind(value) {
            "SignedIn" => Self::SignedIn {
                user: reader.field(value, "user"),
            },
            "CommandRejected" => Self::CommandRejected {
                message: reader.field(value, "message"),
            },
            "CommandPending" => Self::CommandPending,
            _ => {
                reader.missed();
                Self::CommandPending
            }
        }
    }
}

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandStatus {
    /// Not answered yet.
    Pending,
    /// Done.
    Confirmed,
    /// A no, for good.
    Rejected,
}

impl Readable for CommandStatus {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let known = [
            ("PENDING", Self::Pending),
            ("CONFIRMED", Self::Confirmed),
            ("REJECTED", Self::Rejected),
        ];
        reader.word(value, &known, None)
    }
}

readable! {
    /// State of one's own command.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CommandState {
        /// How far it has come.
        pub status: CommandStatus,
        /// When rejected.
        pub reason: Option<RejectionReason>,
        /// When rejected.
        pub message: Option<String>,
    }
}
