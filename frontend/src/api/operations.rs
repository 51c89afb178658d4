//! Every operation the page uses: its text, its variables and its answer, side by side. Nothing else in the page
//! knows GraphQL. A test checks the texts against `schema.graphql`.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use thiserror::Error;
use uuid::Uuid;

use crate::{filter::Filter, money::Cents};

/// What a transaction is asked with, in each operation that has some.
macro_rules! transaction_fields {
    () => {
        "iban version newBalance changedBy counterparty description commandId occurredAt serial cursor"
    };
}

/// Identity of a command: made here, before it is sent, and kept until there is an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommandId(pub Uuid);

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Role {
    /// Has an account and sees only that.
    Customer,
    /// Sees all accounts and has none.
    Employee,
}

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct User {
    /// As typed when the account was opened.
    pub user_name: String,
    /// What they may do.
    pub role: Role,
    /// None for an employee, and until the bank has opened it.
    pub account: Option<OwnAccount>,
}

/// The customer's own account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnAccount {
    /// Compact.
    pub iban: String,
}

/// A user whose password anyone may know.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DemoUser {
    /// To sign in with.
    pub user_name: String,
    /// To sign in with.
    pub password: String,
    /// Customer or employee.
    pub role: Role,
}

/// What anyone may know of this bank.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TransactionPage {
    /// At most as many as asked for.
    pub nodes: Vec<Transaction>,
    /// Whether there is more.
    pub page_info: PageInfo,
}

/// Where a page stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PageInfo {
    /// More after this page.
    pub has_next_page: bool,
    /// To ask for the page after this one.
    pub end_cursor: Option<String>,
}

/// An account with its newest transactions.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
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
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AccountPage {
    /// At most as many as asked for.
    pub nodes: Vec<ListedAccount>,
    /// Whether there is more.
    pub page_info: PageInfo,
    /// All that match, on every page.
    pub total_count: u64,
}

/// Money to be moved by the one who is signed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
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
    #[serde(other)]
    Other,
}

/// The bank's answer to a payment.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "__typename")]
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

/// The bank's answer to a new account.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(tag = "__typename")]
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

/// How far a command has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommandStatus {
    /// Not answered yet.
    Pending,
    /// Done.
    Confirmed,
    /// A no, for good.
    Rejected,
}

/// State of one's own command.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct CommandState {
    /// How far it has come.
    pub status: CommandStatus,
    /// When rejected.
    pub reason: Option<RejectionReason>,
    /// When rejected.
    pub message: Option<String>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ApiError {
    /// The gateway was not reached, or its answer was not: whether it acted is unknown.
    #[error("no connection")]
    Unreachable,
    /// Something else than GraphQL came back.
    #[error("answer not understood: {0}")]
    Malformed(String),
    /// The gateway said no.
    #[error("{message}")]
    Refused {
        /// What kind of no.
        code: ErrorCode,
        /// In the gateway's words.
        message: String,
        /// When it says so.
        retry_after_seconds: Option<u64>,
    },
}

impl ApiError {
    /// Whether the same request may well succeed later.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable | Self::Malformed(_) => true,
            Self::Refused { code, .. } => {
                matches!(
                    code,
                    ErrorCode::RateLimited | ErrorCode::Unavailable | ErrorCode::Internal
                )
            }
        }
    }

    /// Whether it is a no of this kind.
    #[must_use]
    pub fn is(&self, expected: ErrorCode) -> bool {
        matches!(self, Self::Refused { code, .. } if *code == expected)
    }
}

/// Kinds of no, as in `extensions.code`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
#[expect(missing_docs, reason = "the names are the gateway's and say it")]
pub enum ErrorCode {
    BadRequest,
    Validation,
    Unauthenticated,
    Forbidden,
    NotFound,
    Conflict,
    RateLimited,
    TooComplex,
    TooLarge,
    Unavailable,
    Internal,
    /// Also what a newer gateway may add.
    #[serde(other)]
    Other,
}

/// What any GraphQL request comes back as.
#[derive(Debug, Deserialize)]
pub struct Response<Data> {
    /// Absent or null when an error left nothing to show.
    #[serde(default = "Option::default")]
    pub data: Option<Data>,
    /// Empty when all went well.
    #[serde(default)]
    pub errors: Vec<ResponseError>,
}

/// One error of a response.
#[derive(Debug, Deserialize)]
pub struct ResponseError {
    /// In the gateway's words.
    #[serde(default)]
    pub message: String,
    /// Its code.
    #[serde(default)]
    pub extensions: ErrorExtensions,
}

/// What comes with an error.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ErrorExtensions {
    /// Kind of no.
    pub code: Option<ErrorCode>,
    /// For `RATE_LIMITED`.
    pub retry_after_seconds: Option<u64>,
}

impl From<ResponseError> for ApiError {
    fn from(error: ResponseError) -> Self {
        Self::Refused {
            code: error.extensions.code.unwrap_or(ErrorCode::Other),
            message: error.message,
            retry_after_seconds: error.extensions.retry_after_seconds,
        }
    }
}

impl<Data> Response<Data> {
    /// The data, if there is no error.
    ///
    /// # Errors
    /// The first error, or that there is nothing at all.
    pub fn into_result(self) -> Result<Data, ApiError> {
        match (self.errors.into_iter().next(), self.data) {
            (Some(error), _) => Err(error.into()),
            (None, Some(data)) => Ok(data),
            (None, None) => Err(ApiError::Malformed("no data".to_owned())),
        }
    }
}

/// An operation: its text, its variables, and the field of its answer that is wanted.
#[derive(Clone, Debug)]
pub struct Operation {
    /// GraphQL.
    pub query: &'static str,
    /// For the text.
    pub variables: Value,
}

impl Operation {
    /// The name in its text, by which logs and traces know it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.query.split([' ', '(', '{']).nth(1).unwrap_or_default()
    }
}

const BANK_AND_ME: &str = "query BankAndMe { \
    bank { companyIban demoMode demoUsers { userName password role } version startedAt } \
    me { userName role account { iban } } }";

/// Answer of [`bank_and_me`].
#[derive(Debug, Deserialize)]
pub struct BankAndMe {
    /// The bank.
    pub bank: Bank,
    /// None when nobody is signed in.
    pub me: Option<User>,
}

/// What the page needs to know first.
#[must_use]
pub fn bank_and_me() -> Operation {
    Operation {
        query: BANK_AND_ME,
        variables: Value::Null,
    }
}

const ACCOUNT: &str = concat!(
    "query Account($iban: Iban!, $first: Int!) { account(iban: $iban) { iban balance limit version \
     transactions(first: $first) { nodes { ",
    transaction_fields!(),
    " } pageInfo { hasNextPage endCursor } } } }"
);

/// Answer of [`account`].
#[derive(Debug, Deserialize)]
pub struct AccountAnswer {
    /// None when unknown.
    pub account: Option<Account>,
}

/// An account with its newest transactions.
#[must_use]
pub fn account(iban: &str, first: usize) -> Operation {
    Operation {
        query: ACCOUNT,
        variables: json!({ "iban": iban, "first": first.min(PAGE_ROWS_MAX) }),
    }
}

const OLDER_TRANSACTIONS: &str = concat!(
    "query OlderTransactions($iban: Iban!, $first: Int!, $after: String, $filter: TransactionFilter) { \
     transactions(iban: $iban, first: $first, after: $after, filter: $filter) { nodes { ",
    transaction_fields!(),
    " } pageInfo { hasNextPage endCursor } } }"
);

/// Answer of [`older_transactions`].
#[derive(Debug, Deserialize)]
pub struct TransactionsAnswer {
    /// The page asked for.
    pub transactions: TransactionPage,
}

/// The gateway gives no longer page.
pub const PAGE_ROWS_MAX: usize = 100;

/// The page of transactions that are older than a cursor, or the newest without one, as far as the filter lets through.
#[must_use]
pub fn older_transactions(
    iban: &str,
    first: usize,
    after: Option<&str>,
    filter: &Filter,
) -> Operation {
    let variables = json!({
        "iban": iban,
        "first": first.min(PAGE_ROWS_MAX),
        "after": after,
        "filter": filter.variables(),
    });
    Operation {
        query: OLDER_TRANSACTIONS,
        variables,
    }
}

/// Orders of the list of accounts, as the gateway and the address have them, and in words.
pub const ACCOUNT_ORDERS: [(&str, &str, &str); 3] = [
    ("NEWEST_CHANGE", "newest-change", "newest change first"),
    ("IBAN", "iban", "by IBAN"),
    ("BALANCE", "balance", "by balance"),
];

const ACCOUNTS: &str = "query Accounts($first: Int!, $after: String, $search: String, $order: AccountOrder!) { \
    accounts(first: $first, after: $after, search: $search, order: $order) { \
    nodes { iban balance version changedAt } pageInfo { hasNextPage endCursor } totalCount } }";

/// Answer of [`accounts`].
#[derive(Debug, Deserialize)]
pub struct AccountsAnswer {
    /// The page asked for.
    pub accounts: AccountPage,
}

/// A page of accounts; for employees.
#[must_use]
pub fn accounts(
    first: usize,
    after: Option<&str>,
    search: Option<&str>,
    order: &'static str,
) -> Operation {
    let variables = json!({ "first": first, "after": after, "search": search, "order": order });
    Operation {
        query: ACCOUNTS,
        variables,
    }
}

const COMMAND: &str =
    "query Command($id: CommandId!) { command(id: $id) { status reason message } }";

/// Answer of [`command`].
#[derive(Debug, Deserialize)]
pub struct CommandAnswer {
    /// None when the gateway has never seen it.
    pub command: Option<CommandState>,
}

/// How far one's own command has come.
#[must_use]
pub fn command(id: CommandId) -> Operation {
    Operation {
        query: COMMAND,
        variables: json!({ "id": id }),
    }
}

const OPEN_ACCOUNT: &str = "mutation OpenAccount($input: OpenAccountInput!) { openAccount(input: $input) { __typename \
    ... on SignedIn { user { userName role account { iban } } } ... on CommandRejected { message } } }";

/// Answer of [`open_account`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OpenAccountAnswer {
    /// The bank's answer.
    pub open_account: OpenAccountResult,
}

/// A new user with an account; signed in at once.
#[must_use]
pub fn open_account(id: CommandId, user_name: &str, password: &str) -> Operation {
    let input = json!({ "commandId": id, "userName": user_name, "password": password });
    Operation {
        query: OPEN_ACCOUNT,
        variables: json!({ "input": input }),
    }
}

const LOG_IN: &str = "mutation LogIn($input: LogInInput!) { logIn(input: $input) { \
    user { userName role account { iban } } } }";

/// Answer of [`log_in`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogInAnswer {
    /// Who is signed in now.
    pub log_in: SignedIn,
}

/// Who is signed in now.
#[derive(Debug, Deserialize)]
pub struct SignedIn {
    /// Who.
    pub user: User,
}

/// Signs in.
#[must_use]
pub fn log_in(user_name: &str, password: &str) -> Operation {
    let input = json!({ "userName": user_name, "password": password });
    Operation {
        query: LOG_IN,
        variables: json!({ "input": input }),
    }
}

const LOG_OUT: &str = "mutation LogOut { logOut }";

/// Answer of [`log_out`].
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogOutAnswer {
    /// Whether there was a session.
    pub log_out: bool,
}

/// Signs out.
#[must_use]
pub fn log_out() -> Operation {
    Operation {
        query: LOG_OUT,
        variables: Value::Null,
    }
}

const LOG_OUT_EVERYWHERE: &str = "mutation LogOutEverywhere { logOut: logOutEverywhere }";

/// Signs out on every device.
#[must_use]
pub fn log_out_everywhere() -> Operation {
    Operation {
        query: LOG_OUT_EVERYWHERE,
        variables: Value::Null,
    }
}

const DEPOSIT: &str = "mutation Deposit($input: DepositInput!) { payment: deposit(input: $input) { __typename \
    ... on CommandRejected { reason message } } }";
const TRANSFER: &str = "mutation Transfer($input: TransferInput!) { payment: transfer(input: $input) { __typename \
    ... on CommandRejected { reason message } } }";

/// Answer of [`pay`].
#[derive(Debug, Deserialize)]
pub struct PaymentAnswer {
    /// The bank's answer.
    pub payment: PaymentResult,
}

/// Moves money; the same id again gets the same answer.
#[must_use]
pub fn pay(id: CommandId, payment: &Payment) -> Operation {
    match payment {
        Payment::Deposit { amount } => {
            let input = json!({ "commandId": id, "amount": amount });
            Operation {
                query: DEPOSIT,
                variables: json!({ "input": input }),
            }
        }
        Payment::Transfer {
            to,
            amount,
            description,
        } => {
            let input =
                json!({ "commandId": id, "to": to, "amount": amount, "description": description });
            Operation {
                query: TRANSFER,
                variables: json!({ "input": input }),
            }
        }
    }
}

const FOLLOW: &str = concat!(
    "subscription Follow($iban: Iban!, $after: String) { transactions(iban: $iban, after: $after) { ",
    transaction_fields!(),
    " } }"
);

/// One change pushed by [`follow`].
#[derive(Debug, Deserialize)]
pub struct FollowAnswer {
    /// The change.
    pub transactions: Transaction,
}

/// All changes of an account after a cursor, then those to come.
#[must_use]
pub fn follow(iban: &str, after: Option<&str>) -> Operation {
    Operation {
        query: FOLLOW,
        variables: json!({ "iban": iban, "after": after }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_stands_in_the_schema() {
        let schema = async_graphql_parser::parse_schema(include_str!(
            "../../../graphql-endpoint/schema.graphql"
        ))
        .expect("the schema is read");
        for query in [
            BANK_AND_ME,
            ACCOUNT,
            OLDER_TRANSACTIONS,
            ACCOUNTS,
            COMMAND,
            OPEN_ACCOUNT,
            LOG_IN,
            LOG_OUT,
            LOG_OUT_EVERYWHERE,
            DEPOSIT,
            TRANSFER,
            FOLLOW,
        ] {
            crate::api::schema_check::check(&schema, query);
        }
    }

    #[test]
    fn answers_are_read_as_the_gateway_writes_them() {
        let read = |text| {
            serde_json::from_str::<Response<PaymentAnswer>>(text)
                .unwrap()
                .into_result()
        };
        let confirmed = read(r#"{"data":{"payment":{"__typename":"PaymentConfirmed"}}}"#).unwrap();
        assert_eq!(confirmed.payment, PaymentResult::PaymentConfirmed);
        let rejected = read(
            r#"{"data":{"payment":{"__typename":"CommandRejected","reason":"INSUFFICIENT_FUNDS","message":"no"}}}"#,
        );
        let reason = RejectionReason::InsufficientFunds;
        assert_eq!(
            rejected.unwrap().payment,
            PaymentResult::CommandRejected {
                reason,
                message: "no".to_owned()
            }
        );
        let refused = read(
            r#"{"data":null,"errors":[{"message":"slow down","extensions":{"code":"RATE_LIMITED"}}]}"#,
        );
        assert!(refused.unwrap_err().is(ErrorCode::RateLimited));
        let newer = read(r#"{"errors":[{"message":"?","extensions":{"code":"TEAPOT"}}]}"#);
        assert!(newer.unwrap_err().is(ErrorCode::Other));
        assert!(matches!(read("{}"), Err(ApiError::Malformed(_))));
    }

    #[test]
    fn an_operation_knows_its_name() {
        assert_eq!(bank_and_me().name(), "BankAndMe");
        assert_eq!(follow("NL66OPEN0000000000", None).name(), "Follow");
    }

    #[test]
    fn amounts_leave_as_strings() {
        let id = CommandId(Uuid::nil());
        let operation = pay(
            id,
            &Payment::Deposit {
                amount: Cents(5_000),
            },
        );
        assert_eq!(operation.variables["input"]["amount"], "5000");
        assert_eq!(
            operation.variables["input"]["commandId"],
            "00000000-0000-0000-0000-000000000000"
        );
    }
}
