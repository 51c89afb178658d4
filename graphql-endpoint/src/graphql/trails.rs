//! A command's trail, as the schema shows it.

use async_graphql::SimpleObject;
use chrono::{DateTime, Utc};
use topology::{CommandId, Iban, Record};

use super::types::Transaction;
use crate::answer::Refusal;
use crate::gateway::Gateway;
use crate::identity::{Role, Viewer};
use crate::topic_records::Trace;
use crate::trail::{self as way, Hop, Place};

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
    /// Where the time went, step by step. What took another gateway's way, or was sent again, has fewer times.
    pub hops: Vec<TrailHop>,
}

/// One step of a command's way: received, accepted (by the broker), polled, decided, committed, emitted, projected, pushed. Times are to the microsecond; null where nobody has stamped them.
#[derive(Clone, Debug, SimpleObject)]
#[expect(missing_docs, reason = "the schema describes it")]
pub struct TrailHop {
    pub name: String,
    pub started_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub detail: Option<String>,
}

impl From<Hop> for TrailHop {
    fn from(hop: Hop) -> TrailHop {
        TrailHop {
            name: hop.name.to_owned(),
            started_at: hop.started_at,
            ended_at: hop.ended_at,
            detail: hop.detail,
        }
    }
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
    /// The registry's number for the schema it was written with; 0 when it names none.
    pub schema_id: i64,
    /// Version of that schema within its subject; null when the registry does not answer.
    pub schema_version: Option<i32>,
    /// Full name of the record.
    pub schema_name: String,
    /// In the order of the schema. A secret is not shown; what cannot be read has none.
    pub fields: Vec<TrailField>,
    pub headers: Vec<TrailField>,
    /// Size of key and value.
    pub bytes: i64,
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
        let headers = trace.headers.into_iter();
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
            headers: headers
                .map(|(name, value)| TrailField { name, value })
                .collect(),
            bytes: i64::try_from(trace.bytes).unwrap_or(i64::MAX),
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
    let records = &gateway.records;
    let found = way::find(records, command_id, given.kind, given.given_at).await?;
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
        way::changes(records, places).await?
    };
    // The outcome of an account has stamps as its changes have; a payment's are the same.
    let stamped = found.outcome.iter().chain(&changes).chain(&found.command);
    let stamps = stamped.filter_map(|trace| trace.stamps).next();
    let journey = gateway.journeys.of(command_id);
    let hops = way::hops(stamps, journey, found.command.as_ref());
    Ok(Some(Trail {
        command: found.command.map(TrailRecord::from),
        outcome: found.outcome.map(TrailRecord::from),
        changes: changes.into_iter().map(TrailRecord::from).collect(),
        transactions: rows.into_iter().map(Transaction::from).collect(),
        hops: hops.into_iter().map(TrailHop::from).collect(),
    }))
}

/// Accounts of our bank that a command names.
fn own_accounts(command: &Trace) -> Vec<String> {
    let Some(Record::ConfirmMoneyTransfer(transfer)) = &command.record else {
        return Vec::new();
    };
    [&transfer.from, &transfer.to]
        .into_iter()
        .filter(|account| Iban::parse(account).is_ok_and(|iban| iban.is_ours()))
        .cloned()
        .collect()
}
