//! What the page asks about records: the last ones of a topic, and the way of one command through the topics. Texts,
//! variables and answers, as in [`operations`](super::operations).

use serde_json::json;

use super::{
    operations::Operation,
    types::{CommandId, Transaction},
};
use crate::readable::readable;

/// What a record of a topic is asked with, in each operation that has some.
macro_rules! record_fields {
    () => {
        "topic partition offset sentAt key schemaId schemaVersion schemaName bytes \
         headers { name value } fields { name value }"
    };
}

readable! {
    /// A name and a text.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Field {
        /// Of the field or header.
        pub name: String,
        /// As text; a secret is not shown.
        pub value: String,
    }

    /// One record of a topic, decoded.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TopicRecord {
        /// Without a prefix.
        pub topic: String,
        /// Where it stands.
        pub partition: u32,
        /// Where it stands.
        pub offset: u64,
        /// RFC 3339.
        pub sent_at: String,
        /// As text.
        pub key: String,
        /// The registry's number of its schema.
        pub schema_id: u32,
        /// None when the registry does not answer.
        pub schema_version: Option<u32>,
        /// Full name of the record.
        pub schema_name: String,
        /// Of the value.
        pub bytes: u64,
        /// In the order they were set.
        pub headers: Vec<Field>,
        /// In the order of the schema.
        pub fields: Vec<Field>,
    }

    /// One step of a command's way, from its own stamps.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Hop {
        /// `received`, `accepted`, `polled`, `decided`, `committed`, `emitted`, `projected` or `pushed`.
        pub name: String,
        /// RFC 3339 with microseconds; None when there is no stamp.
        pub started_at: Option<String>,
        /// RFC 3339 with microseconds; None when there is no stamp.
        pub ended_at: Option<String>,
        /// Such as the size of its batch.
        pub detail: Option<String>,
    }

    /// A command's way through the topics.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Trail {
        /// As it was sent first.
        pub command: Option<TopicRecord>,
        /// None while the bank has not answered.
        pub outcome: Option<TopicRecord>,
        /// Of accounts one may see.
        pub changes: Vec<TopicRecord>,
        /// The same changes, in the read model.
        pub transactions: Vec<Transaction>,
        /// In the order of the way.
        pub hops: Vec<Hop>,
    }
}

const TOPIC_RECORDS: &str = concat!(
    "query TopicRecords($topic: String!, $first: Int!, $contains: String) { \
     topicRecords(topic: $topic, first: $first, contains: $contains) { ",
    record_fields!(),
    " } }"
);
const WATCH_TOPIC: &str = concat!(
    "subscription WatchTopic($topic: String!, $contains: String) { \
     topicRecords(topic: $topic, contains: $contains) { ",
    record_fields!(),
    " } }"
);

readable! {
    /// Answer of [`topic_records`] and one push of [`watch_topic`].
    #[derive(Debug)]
    pub struct TopicRecordsAnswer {
        /// Newest first when asked for, as they come when pushed.
        pub topic_records: Vec<TopicRecord>,
    }
}

/// The newest records of a topic; `contains` is an account, a key or a command.
#[must_use]
pub fn topic_records(topic: &str, first: usize, contains: Option<&str>) -> Operation {
    Operation {
        query: TOPIC_RECORDS,
        variables: json!({ "topic": topic, "first": first, "contains": contains }),
    }
}

/// What is written to a topic from now on, in groups.
#[must_use]
pub fn watch_topic(topic: &str, contains: Option<&str>) -> Operation {
    Operation {
        query: WATCH_TOPIC,
        variables: json!({ "topic": topic, "contains": contains }),
    }
}

const TRAIL: &str = concat!(
    "query Trail($id: CommandId!) { trail(commandId: $id) { command { ",
    record_fields!(),
    " } outcome { ",
    record_fields!(),
    " } changes { ",
    record_fields!(),
    " } transactions { iban version newBalance changedBy counterparty description commandId occurredAt serial cursor } \
     hops { name startedAt endedAt detail } } }"
);

readable! {
    /// Answer of [`trail`].
    #[derive(Debug)]
    pub struct TrailAnswer {
        /// None when never seen.
        pub trail: Option<Trail>,
    }
}

/// The way of one command.
#[must_use]
pub fn trail(id: CommandId) -> Operation {
    Operation {
        query: TRAIL,
        variables: json!({ "id": id.to_string() }),
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
        for query in [TOPIC_RECORDS, WATCH_TOPIC, TRAIL] {
            crate::api::schema_check::check(&schema, query);
        }
    }
}
