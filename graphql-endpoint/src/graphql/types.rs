//! The API's types, as the schema names them.

use async_graphql::{ComplexObject, Context, Enum, ID, InputObject, Object, SimpleObject, Union};
use chrono::{DateTime, Utc};
use topology::CommandId;

use super::cursor;
use super::gateway;
use super::scalars::{Amount, CommandKey, IbanText};
use crate::answer::Refusal;
use crate::edge::{PAGE_MAX, TEXT_CHARACTERS_MAX, page_size};
use crate::facts::Change;
use crate::filter::{self, Filter};
use crate::gateway::Gateway;
use crate::identity::Viewer;
use crate::rejection;
use crate::store::accounts::AccountState;
use crate::store::commands::CommandState;

/// Rows of a page of transactions when the client does not say.
pub(super) const TRANSACTIONS_DEFAULT: i32 = 25;

/// Which way the money moved, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::filter::Direction")]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum Direction {
    Credit,
    Debit,
}

/// Why the bank said no. The words for people are in `message`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::rejection::Reason")]
#[expect(missing_docs, reason = "the names of the schema")]
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
    Other,
}

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[graphql(remote = "crate::identity::Role")]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum Role {
    Customer,
    Employee,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum CommandStatus {
    Pending,
    Confirmed,
    Rejected,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Enum)]
#[expect(missing_docs, reason = "the names of the schema")]
pub enum AccountOrder {
    NewestChange,
    Iban,
    Balance,
}

#[expect(missing_docs, reason = "the schema describes it")]
pub struct User(pub(super) Viewer);

#[Object]
impl User {
    async fn user_name(&self) -> &str {
        &self.0.user_name
    }

    async fn role(&self) -> Role {
        self.0.role.into()
    }

    /// The customer's own account; null for an employee, and until the bank has opened it.
    async fn account(&self, context: &Context<'_>) -> Result<Option<Account>, Refusal> {
        let Some(iban) = &self.0.iban else {
            return Ok(None);
        };
        Ok(Some(own_account(gateway(context), iban).await?))
    }
}

/// An account the bank has opened is there, even while the read model is behind.
pub(super) async fn own_account(gateway: &Gateway, iban: &str) -> Result<Account, Refusal> {
    let stored = gateway.store.account(iban).await?;
    Ok(stored
        .unwrap_or_else(|| AccountState::just_opened(iban.to_owned()))
        .into())
}

#[derive(Clone, Debug, SimpleObject)]
#[graphql(complex)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct Account {
    pub iban: IbanText,
    pub balance: Amount,
    /// The lowest balance allowed: -50000 is € -500,00.
    pub limit: Amount,
    /// Number of balance changes so far.
    pub version: i64,
    pub changed_at: Option<DateTime<Utc>>,
}

impl From<AccountState> for Account {
    fn from(state: AccountState) -> Account {
        Account {
            iban: IbanText(state.iban),
            balance: Amount(state.balance),
            limit: Amount(state.limit),
            version: state.version,
            changed_at: state.changed_at,
        }
    }
}

#[ComplexObject]
impl Account {
    // Whoever was given the account may see its transactions.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn transactions(
        &self,
        context: &Context<'_>,
        #[graphql(default = 25)] first: Option<i32>,
        after: Option<String>,
        filter: Option<TransactionFilter>,
    ) -> Result<TransactionConnection, Refusal> {
        page(
            gateway(context),
            &self.iban.0,
            first,
            after.as_deref(),
            filter,
        )
        .await
    }
}

/// A page costs more the longer it is, but never more than a few fields.
pub(super) fn page_cost(first: Option<i32>, child: usize) -> usize {
    // More is refused, with better words.
    let first = first.unwrap_or(TRANSACTIONS_DEFAULT).min(PAGE_MAX);
    let rows = usize::try_from(first).unwrap_or(0);
    child + rows / 10
}

/// One change of one account's balance. Its identity is (iban, version).
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct Transaction {
    /// `iban:version`
    pub id: ID,
    pub iban: IbanText,
    pub version: i64,
    pub new_balance: Amount,
    /// Signed: negative when the account paid.
    pub changed_by: Amount,
    pub direction: Direction,
    /// IBAN or name of the other side; `cash` for cash.
    pub counterparty: String,
    pub description: String,
    /// Null for records written in the 2019 form.
    pub command_id: Option<CommandKey>,
    pub occurred_at: DateTime<Utc>,
    /// Place of the record in topic balance_changed, `partition:offset`.
    pub serial: String,
    /// Give this to `after` of the subscription to resume, or of a page to go on.
    pub cursor: String,
}

impl From<Change> for Transaction {
    fn from(change: Change) -> Transaction {
        Transaction {
            id: ID(format!("{}:{}", change.iban, change.version)),
            iban: IbanText(change.iban),
            version: change.version,
            new_balance: Amount(change.new_balance),
            changed_by: Amount(change.changed_by),
            direction: filter::direction_of(change.changed_by).into(),
            counterparty: change.from_to,
            description: change.description,
            command_id: change.command_id.map(CommandKey),
            occurred_at: change.occurred_at,
            serial: format!("{}:{}", change.partition, change.offset),
            cursor: change.version.to_string(),
        }
    }
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TransactionEdge {
    pub cursor: String,
    pub node: Transaction,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TransactionConnection {
    pub edges: Vec<TransactionEdge>,
    pub nodes: Vec<Transaction>,
    pub page_info: PageInfo,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct AccountEdge {
    pub cursor: String,
    pub node: Account,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct AccountConnection {
    pub edges: Vec<AccountEdge>,
    pub nodes: Vec<Account>,
    pub page_info: PageInfo,
    pub total_count: i64,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct PageInfo {
    pub has_previous_page: bool,
    pub has_next_page: bool,
    pub start_cursor: Option<String>,
    pub end_cursor: Option<String>,
}

#[derive(Clone, Debug, Default, InputObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TransactionFilter {
    pub direction: Option<Direction>,
    /// Least size of the change, in cents, whatever its sign.
    pub min_amount: Option<Amount>,
    pub max_amount: Option<Amount>,
    /// Text to be found in the description, whatever the case.
    pub text: Option<String>,
}

impl TransactionFilter {
    /// The filter, once its values make sense.
    pub(super) fn checked(self) -> Result<Filter, Refusal> {
        let filter = Filter {
            direction: self.direction.map(filter::Direction::from),
            amount_min: self.min_amount.map(|amount| amount.0),
            amount_max: self.max_amount.map(|amount| amount.0),
            text: self.text.filter(|text| !text.is_empty()),
        };
        let bounds = [filter.amount_min, filter.amount_max];
        if bounds.into_iter().flatten().any(|amount| amount.0 < 0) {
            return Err(Refusal::validation(
                "the size of a change is never negative",
            ));
        }
        if let [Some(least), Some(most)] = bounds
            && least > most
        {
            return Err(Refusal::validation("`minAmount` is above `maxAmount`"));
        }
        if let Some(text) = &filter.text
            && (text.chars().count() > TEXT_CHARACTERS_MAX || text.contains('\0'))
        {
            return Err(Refusal::validation(format!(
                "`text` has at most {TEXT_CHARACTERS_MAX} characters"
            )));
        }
        Ok(filter)
    }
}

/// A page of an account's transactions, newest first.
pub(super) async fn page(
    gateway: &Gateway,
    iban: &str,
    first: Option<i32>,
    after: Option<&str>,
    filter: Option<TransactionFilter>,
) -> Result<TransactionConnection, Refusal> {
    let size = page_size(first, TRANSACTIONS_DEFAULT)?;
    let before = after.map(cursor::version).transpose()?;
    let filter = filter.unwrap_or_default().checked()?;
    // One more than asked tells whether there is a next page.
    let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
    let rows = gateway
        .store
        .transactions(iban, before, &filter, limit)
        .await?;
    let has_next_page = rows.len() > size;
    let nodes: Vec<Transaction> = rows.into_iter().take(size).map(Transaction::from).collect();
    Ok(TransactionConnection {
        page_info: PageInfo {
            has_previous_page: after.is_some(),
            has_next_page,
            start_cursor: nodes.first().map(|node| node.cursor.clone()),
            end_cursor: nodes.last().map(|node| node.cursor.clone()),
        },
        edges: nodes
            .iter()
            .map(|node| TransactionEdge {
                cursor: node.cursor.clone(),
                node: node.clone(),
            })
            .collect(),
        nodes,
    })
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct DemoUser {
    pub user_name: String,
    pub password: String,
    pub role: Role,
}

/// What anyone may know of this bank.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct Bank {
    pub company_iban: IbanText,
    /// In demo mode the company's account is public and demo users have visible passwords.
    pub demo_mode: bool,
    pub demo_users: Vec<DemoUser>,
    pub version: String,
    pub started_at: DateTime<Utc>,
}

/// The simulated public.
#[derive(Clone, Copy, Debug, SimpleObject)]
pub struct Load {
    /// Each heartbeat makes one command; 0 is silence.
    pub heartbeats_per_second: u32,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct Command {
    pub command_id: CommandKey,
    pub status: CommandStatus,
    pub reason: Option<RejectionReason>,
    pub message: Option<String>,
}

impl Command {
    pub(super) fn new(id: CommandId, state: CommandState) -> Command {
        let (status, explained) = match state {
            CommandState::Pending => (CommandStatus::Pending, None),
            CommandState::Confirmed => (CommandStatus::Confirmed, None),
            CommandState::Rejected(said) => {
                (CommandStatus::Rejected, Some(rejection::explain(&said)))
            }
        };
        let (reason, message) = explained.unzip();
        Command {
            command_id: CommandKey(id),
            status,
            reason: reason.map(RejectionReason::from),
            message,
        }
    }
}

/// You are signed in; the page's session is in a cookie.
#[derive(SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct SignedIn {
    pub user: User,
    /// Only when asked for with `bearer: true`.
    pub session_token: Option<String>,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct CommandPending {
    pub command_id: CommandKey,
    pub message: String,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct CommandRejected {
    pub command_id: CommandKey,
    pub reason: RejectionReason,
    pub message: String,
}

impl CommandRejected {
    pub(super) fn new(id: CommandId, said: &str) -> CommandRejected {
        let (reason, message) = rejection::explain(said);
        CommandRejected {
            command_id: CommandKey(id),
            reason: reason.into(),
            message,
        }
    }
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct PaymentConfirmed {
    pub command_id: CommandKey,
}

#[derive(Union)]
#[expect(missing_docs, reason = "the schema describes it")]
pub enum OpenAccountResult {
    SignedIn(SignedIn),
    Pending(CommandPending),
    Rejected(CommandRejected),
}

#[derive(Union)]
#[expect(missing_docs, reason = "the schema describes it")]
pub enum PaymentResult {
    Confirmed(PaymentConfirmed),
    Pending(CommandPending),
    Rejected(CommandRejected),
}

#[derive(InputObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct OpenAccountInput {
    pub command_id: CommandKey,
    pub user_name: String,
    pub password: String,
    #[graphql(default_with = "Some(false)")]
    pub bearer: Option<bool>,
}

#[derive(InputObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct LogInInput {
    pub user_name: String,
    pub password: String,
    #[graphql(default_with = "Some(false)")]
    pub bearer: Option<bool>,
}

#[derive(Clone, Debug, InputObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct DepositInput {
    pub command_id: CommandKey,
    pub amount: Amount,
}

#[derive(Clone, Debug, InputObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TransferInput {
    pub command_id: CommandKey,
    /// IBAN or name of the payee.
    pub to: String,
    pub amount: Amount,
    pub description: String,
}
