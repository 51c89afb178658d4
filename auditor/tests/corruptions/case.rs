//! One thing that is wrong, and the invariant that must find it.

use auditor::history::Event;
use auditor::{Report, Sources, audit};
use local_cluster::testing;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::bank::Healthy;
use crate::copy::{remove_topics, write_topics};
use crate::log::Log;

/// Where the wrong thing is.
#[derive(Clone)]
enum Wrong {
    Books(&'static str),
    ReadModel(&'static str),
    Topics(fn(&mut Log)),
    History(fn(&mut Vec<Event>)),
    /// A group has told Kafka of more than its database has.
    Committed(&'static str, &'static str),
    /// What schema ids meant in an earlier audit.
    SchemaMemory,
}

/// One thing that is wrong.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) invariant: &'static str,
    pub(crate) what: &'static str,
    wrong: Wrong,
}

impl Case {
    pub(crate) fn in_books(
        invariant: &'static str,
        what: &'static str,
        statements: &'static str,
    ) -> Case {
        let wrong = Wrong::Books(statements);
        Case {
            invariant,
            what,
            wrong,
        }
    }

    pub(crate) fn in_read_model(
        invariant: &'static str,
        what: &'static str,
        statements: &'static str,
    ) -> Case {
        let wrong = Wrong::ReadModel(statements);
        Case {
            invariant,
            what,
            wrong,
        }
    }

    pub(crate) fn in_topics(
        invariant: &'static str,
        what: &'static str,
        change: fn(&mut Log),
    ) -> Case {
        let wrong = Wrong::Topics(change);
        Case {
            invariant,
            what,
            wrong,
        }
    }

    pub(crate) fn in_history(
        invariant: &'static str,
        what: &'static str,
        change: fn(&mut Vec<Event>),
    ) -> Case {
        let wrong = Wrong::History(change);
        Case {
            invariant,
            what,
            wrong,
        }
    }

    pub(crate) fn committed(
        invariant: &'static str,
        what: &'static str,
        group: &'static str,
        topic: &'static str,
    ) -> Case {
        let wrong = Wrong::Committed(group, topic);
        Case {
            invariant,
            what,
            wrong,
        }
    }

    pub(crate) fn in_schema_memory(invariant: &'static str, what: &'static str) -> Case {
        let wrong = Wrong::SchemaMemory;
        Case {
            invariant,
            what,
            wrong,
        }
    }

    /// Audits a copy of the bank in which this one thing is wrong.
    pub(crate) async fn audit(&self, bank: &Healthy) -> Result<Report, String> {
        let name = testing::unique_prefix("wrong");
        let mut sources = bank.sources();
        sources.history = Some(bank.write_history(&name, &bank.history));
        match &self.wrong {
            Wrong::Books(statements) => {
                let copy = bank
                    .copy_database(&bank.books_template, "wrong_books")
                    .await;
                bank.administrate(&copy, statements).await;
                sources.handler_database_url = bank.administrator_url(&copy);
                let report = judge(bank, &name, &sources).await;
                bank.drop_database(&copy).await;
                report
            }
            Wrong::ReadModel(statements) => {
                let copy = bank
                    .copy_database(&bank.read_model_template, "wrong_model")
                    .await;
                bank.administrate(&copy, statements).await;
                sources.gateway_database_url = bank.administrator_url(&copy);
                let report = judge(bank, &name, &sources).await;
                bank.drop_database(&copy).await;
                report
            }
            Wrong::Topics(change) => {
                let mut log = bank.log.clone();
                change(&mut log);
                self.audit_topics(bank, &name, sources, log).await
            }
            Wrong::Committed(..) => {
                self.audit_topics(bank, &name, sources, bank.log.clone())
                    .await
            }
            Wrong::History(change) => {
                let mut history = bank.history.clone();
                change(&mut history);
                sources.history = Some(bank.write_history(&name, &history));
                judge(bank, &name, &sources).await
            }
            Wrong::SchemaMemory => {
                let all = (1..200).map(|id| (id.to_string(), "another".into()));
                let all: serde_json::Map<_, _> = all.collect();
                let path = bank.options(&name).schema_memory.unwrap();
                std::fs::write(path, serde_json::to_vec(&all).unwrap()).unwrap();
                judge(bank, &name, &sources).await
            }
        }
    }

    async fn audit_topics(
        &self,
        bank: &Healthy,
        name: &str,
        mut sources: Sources,
        log: Log,
    ) -> Result<Report, String> {
        let brokers = &bank.cluster.kafka_brokers;
        write_topics(brokers, &bank.prefix, name, log, &bank.codec).await;
        if let Wrong::Committed(group, topic) = &self.wrong {
            commit(bank, &format!("{name}{group}"), &format!("{name}{topic}"));
        }
        sources.topic_prefix = name.to_owned();
        let report = judge(bank, name, &sources).await;
        remove_topics(brokers, name).await;
        report
    }
}

async fn judge(bank: &Healthy, name: &str, sources: &Sources) -> Result<Report, String> {
    let report = audit(sources, &bank.options(name), &|_| ()).await;
    report.map_err(|error| format!("{error:?}"))
}

/// Says to Kafka that a group has dealt with more than there is.
fn commit(bank: &Healthy, group: &str, topic: &str) {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", &bank.cluster.kafka_brokers)
        .set("broker.address.family", "v4")
        .set("group.id", group)
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(1_000_000))
        .unwrap();
    tokio::task::block_in_place(|| consumer.commit(&list, CommitMode::Sync)).unwrap();
}
