//! Every operation the page uses: its text, its variables and its answer, side by side. Nothing else in the page
//! knows GraphQL. A test checks the texts against `schema.graphql`.

use serde_json::{Value, json};

use super::types::{
    Account, AccountPage, Bank, CommandId, CommandState, OpenAccountResult, Payment, PaymentResult,
    Transaction, TransactionPage, User,
};
use crate::{filter::Filter, readable::readable};

/// What a transaction is asked with, in each operation that has some.
macro_rules! transaction_fields {
    () => {
        "iban version newBalance changedBy counterparty description commandId occurredAt serial cursor"
    };
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

    /// As it is sent.
    #[must_use]
    pub fn request(&self) -> Value {
        json!({ "query": self.query, "operationName": self.name(), "variables": self.variables })
    }
}

const BANK_AND_ME: &str = "query BankAndMe { \
    bank { companyIban demoMode demoUsers { userName password role } version startedAt } \
    me { userName role account { iban } } }";

readable! {
    /// Answer of [`bank_and_me`].
    #[derive(Debug)]
    pub struct BankAndMe {
        /// The bank.
        pub bank: Bank,
        /// None when nobody is signed in.
        pub me: Option<User>,
    }
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

readable! {
    /// Answer of [`account`].
    #[derive(Debug)]
    pub struct AccountAnswer {
        /// None when unknown.
        pub account: Option<Account>,
    }
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

readable! {
    /// Answer of [`older_transactions`].
    #[derive(Debug)]
    pub struct TransactionsAnswer {
        /// The page asked for.
        pub transactions: TransactionPage,
    }
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

readable! {
    /// Answer of [`accounts`].
    #[derive(Debug)]
    pub struct AccountsAnswer {
        /// The page asked for.
        pub accounts: AccountPage,
    }
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

readable! {
    /// Answer of [`command`].
    #[derive(Debug)]
    pub struct CommandAnswer {
        /// None when the gateway has never seen it.
        pub command: Option<CommandState>,
    }
}

/// How far one's own command has come.
#[must_use]
pub fn command(id: CommandId) -> Operation {
    Operation {
        query: COMMAND,
        variables: json!({ "id": id.to_string() }),
    }
}

const OPEN_ACCOUNT: &str = "mutation OpenAccount($input: OpenAccountInput!) { openAccount(input: $input) { __typename \
    ... on SignedIn { user { userName role account { iban } } } ... on CommandRejected { message } } }";

readable! {
    /// Answer of [`open_account`].
    #[derive(Debug)]
    pub struct OpenAccountAnswer {
        /// The bank's answer.
        pub open_account: OpenAccountResult,
    }
}

/// A new user with an account; signed in at once.
#[must_use]
pub fn open_account(id: CommandId, user_name: &str, password: &str) -> Operation {
    let input = json!({ "commandId": id.to_string(), "userName": user_name, "password": password });
    Operation {
        query: OPEN_ACCOUNT,
        variables: json!({ "input": input }),
    }
}

const LOG_IN: &str = "mutation LogIn($input: LogInInput!) { logIn(input: $input) { \
    user { userName role account { iban } } } }";

readable! {
    /// Answer of [`log_in`].
    #[derive(Debug)]
    pub struct LogInAnswer {
        /// Who is signed in now.
        pub log_in: SignedIn,
    }

    /// Who is signed in now.
    #[derive(Debug)]
    pub struct SignedIn {
        /// Who.
        pub user: User,
    }
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

readable! {
    /// Answer of [`log_out`].
    #[derive(Debug)]
    pub struct LogOutAnswer {
        /// Whether there was a session.
        pub log_out: bool,
    }
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

readable! {
    /// Answer of [`pay`].
    #[derive(Debug)]
    pub struct PaymentAnswer {
        /// The bank's answer.
        pub payment: PaymentResult,
    }
}

/// Moves money; the same id again gets the same answer.
#[must_use]
pub fn pay(id: CommandId, payment: &Payment) -> Operation {
    match payment {
        Payment::Deposit { amount } => {
            let input = json!({ "commandId": id.to_string(), "amount": amount.to_string() });
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
            let input = json!({ "commandId": id.to_string(), "to": to, "amount": amount.to_string(), "description": description });
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

readable! {
    /// One change pushed by [`follow`].
    #[derive(Debug)]
    pub struct FollowAnswer {
        /// The change.
        pub transactions: Transaction,
    }
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
mod tests;
