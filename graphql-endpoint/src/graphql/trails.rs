//! A command's trail, as the schema shows it.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use topology::{CommandId, Iban, Record};

use super::types::Transaction;
use crate::answer::Refusal;
use crate::gateway::Gateway;
use crate::identity::{Role, Viewer};
use crate::trail::{Place, Trace};

/// A command's way through the topics, and what the read model has of it.
#[derive(Clone, Debug, SimpleObject)]
pub struct Trail {
    /// The command as it was sent first.
    pub command: Option<TrailRecord>,
    /// Its first outcome; null while the bank has not answered.
    pub outcome: Option<TrailRecord>,
    /// The changes of accounts you may see.
    pub changes: Vec<TrailRecord>,
    /// The same changes as the read model has them.
    pub transactions: Vec<Transaction>,
}

/// One record in a topic.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TrailRecord {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
    pub sent_at: DateTime<Utc>,
    pub key: String,
    /// The registry's number for the schema it was written with.
    pub schema_id: i64,
    /// Version of that schema within its subject; null when the registry does not answer.
    pub schema_version: Option<i32>,
    /// Full name of the record.
    pub schema_name: String,
    /// In the order of the schema. A secret is not shown.
    pub fields: Vec<TrailField>,
}

#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TrailField {
    pub name: String,
    pub value: String,
}

impl From<Trace> for TrailRecord {
    fn from(trace: Trace) -> TrailRecord {
        let fields = trace.fields.into_iter();
        TrailRecord {
            topic: trace.topic,
            partition: trace.partition,
            offset: trace.offset,
            sent_at: trace.sent_at,
            key: trace.key,
            schema_id: trace.schema_id.into(),
            schema_version: trace.schema_version,
            schema_name: trace.schema_name.to_owned(),
            fields: fields
                .map(|(name, value)| TrailField {
                    name: name.to_owned(),
                    value,
                })
                .collect(),
        }
    }
}

/// Own commands for a customer, with the changes of their own account; for an employee
/// every command that was given here, with all its changes.
pub(super) async fn trail(
    gateway: &Gateway,
    viewer: &Viewer,
    command_id: CommandId,
) -> Result<Option<Trail>, Refusal> {
    let is_employee = viewer.role == Role::Employee;
    let given = gateway.store.given_command(command_id).await?;
    let Some(given) = given.filter(|it| is_employee || it.user_name == viewer.user_name) else {
        return Ok(None);
    };
    let found = gateway
        .trails
        .find(command_id, given.kind, given.given_at)
        .await?;
    let ibans = if is_employee {
        found.command.as_ref().map_or_else(Vec::new, own_accounts)
    } else {
        viewer.iban.iter().cloned().collect()
    };
    let rows = gateway.store.transactions_of(command_id, ibans).await?;
    let places: Vec<Place> = rows.iter().map(|row| (row.partition, row.offset)).collect();
    let changes = if places.is_empty() {
        Vec::new()
    } else {
        gateway.trails.changes(places).await?
    };
    Ok(Some(Trail {
        command: found.command.map(TrailRecord::from),
        outcome: found.outcome.map(TrailRecord::from),
        changes: changes.into_iter().map(TrailRecord::from).collect(),
        transactions: rows.into_iter().map(Transaction::from).collect(),
    }))
}

/// Accounts of our bank that a command names.
fn own_accounts(command: &Trace) -> Vec<String> {
    let Record::ConfirmMoneyTransfer(transfer) = &command.record else {
        return Vec::new();
    };
    [&transfer.from, &transfer.to]
        .into_iter()
        .filter(|account| Iban::parse(account).is_ok_and(|iban| iban.is_ours()))
        .cloned()
        .collect()
}
