//! A log, databases and a bank of their own for one test.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use local_cluster::Endpoints;
use local_cluster::testing::{self, TestDatabase};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio::task::JoinHandle;
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, Consumed, Source, end_positions, first_positions};
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::producer::{Outgoing, Producer};
use topology::topics::DEFINITIONS;
use topology::{Codec, Record, Topic};

const KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";

/// Topics, schemas, databases and a command handler of one test.
pub(crate) struct World {
    pub(crate) cluster: Endpoints,
    pub(crate) read_model: TestDatabase,
    /// For keys and logs; removed when the test passes.
    pub(crate) folder: PathBuf,
    pub(crate) kafka: KafkaConfig,
    codec: Codec,
    producer: Producer,
    books: TestDatabase,
    processes: AtomicU64,
    handler: (CancellationToken, JoinHandle<()>),
}

impl World {
    pub(crate) async fn new(test: &str) -> World {
        let cluster = tokio::task::spawn_blocking(testing::shared_cluster)
            .await
            .unwrap()
            .clone();
        let prefix = testing::unique_prefix(test);
        let books = testing::create_database(&cluster, "books").await.unwrap();
        let read_model = testing::create_database(&cluster, "reads").await.unwrap();
        let folder = std::env::temp_dir().join(format!("{prefix}gateways"));
        std::fs::create_dir_all(&folder).unwrap();
        for name in ["handler.key", "company.token", "token.key"] {
            std::fs::write(folder.join(name), KEY).unwrap();
        }
        let arguments = testing::synchronizer_arguments(&cluster, &prefix, &books, &read_model);
        let config = synchronizer::Config::try_parse_from(arguments);
        synchronizer::apply(&config.unwrap()).await.unwrap();
        let kafka = KafkaConfig {
            brokers: cluster.kafka_brokers.clone(),
            group_protocol: GroupProtocol::Consumer,
            topic_prefix: prefix.clone(),
            kafka_statistics_directory: None,
        };
        let handler = {
            let file = |name: &str| folder.join(name).display().to_string();
            let own = [
                ("--database-url", books.url.clone()),
                ("--handler-key-file", file("handler.key")),
                ("--company-token-file", file("company.token")),
            ];
            let arguments = std::iter::once("command-handler".to_owned())
                .chain(testing::client_arguments(&cluster, &prefix))
                .chain(
                    own.into_iter()
                        .flat_map(|(name, value)| [name.to_owned(), value]),
                );
            let config = command_handler::Config::try_parse_from(arguments).unwrap();
            let stop = CancellationToken::new();
            let running = command_handler::run(config, stop.clone());
            let running = tokio::spawn(async move { running.await.unwrap() });
            (stop, running)
        };
        World {
            codec: Codec::connect(&cluster.schema_registry_url, &kafka.topics(), &[]).await,
            producer: Producer::new(&kafka, "test").unwrap(),
            processes: AtomicU64::new(0),
            cluster,
            books,
            read_model,
            folder,
            kafka,
            handler,
        }
    }

    /// A number for each process that is started.
    pub(crate) fn next_process(&self) -> u64 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// A session in the read model.
    pub(crate) async fn sql(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.read_model.url, NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        client
    }

    /// A record that nobody can read, somewhere among the balance changes.
    pub(crate) async fn poison(&self, key: &str) {
        let outgoing = Outgoing {
            topic: Topic::BalanceChanged,
            key: key.as_bytes(),
            value: Some(b"no record"),
            headers: &[],
        };
        let delivery = self.producer.send(outgoing).await.unwrap();
        delivery.wait().await.unwrap();
    }

    /// Everything that is in a topic now.
    pub(crate) async fn read(&self, topic: Topic) -> Vec<Consumed> {
        let positions = first_positions(&self.kafka, "reader", &[topic])
            .await
            .unwrap();
        let ends = end_positions(&self.kafka, "reader", &[topic])
            .await
            .unwrap();
        let mut missing: BTreeMap<i32, i64> = ends
            .iter()
            .map(|end| (end.partition, end.next_offset))
            .collect();
        for first in &positions {
            missing
                .retain(|partition, end| *partition != first.partition || *end > first.next_offset);
        }
        let group = "reader".to_owned();
        let source = Source::Fixed { group, positions };
        let mut consumer = BatchConsumer::start(&self.kafka, "reader", source, 256).unwrap();
        let mut records = Vec::new();
        while !missing.is_empty() {
            for consumed in consumer.next().await.unwrap() {
                if missing
                    .get(&consumed.partition)
                    .is_some_and(|end| consumed.offset + 1 >= *end)
                {
                    missing.remove(&consumed.partition);
                }
                records.push(consumed);
            }
        }
        consumer.close().await;
        records
    }

    /// No gateway has written any of this into its log, nor its own key.
    pub(crate) fn keeps_secret(&self, secrets: &[&str]) {
        for entry in std::fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|it| it == "log") {
                let said = std::fs::read_to_string(&path).unwrap();
                for secret in secrets.iter().chain(&[KEY]) {
                    assert!(!said.contains(secret), "{} tells a secret", path.display());
                }
            }
        }
    }

    /// What a record says; `None` for poison.
    pub(crate) async fn decode(&self, consumed: &Consumed) -> Option<Record> {
        let value = consumed.value.as_deref();
        self.codec.decode(consumed.topic, value).await.ok()
    }

    /// Removes what a passing test leaves.
    pub(crate) async fn end(self) {
        let (stop, running) = self.handler;
        stop.cancel();
        running.await.unwrap();
        for database in [&self.books, &self.read_model] {
            testing::drop_database(&self.cluster, database)
                .await
                .unwrap();
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
        let admin: AdminClient<DefaultClientContext> = self.kafka.client("admin").create().unwrap();
        let names = DEFINITIONS.map(|it| self.kafka.topics().name(it.topic));
        let names = names.each_ref().map(String::as_str);
        let options = AdminOptions::new();
        admin.delete_topics(&names, &options).await.unwrap();
    }
}
