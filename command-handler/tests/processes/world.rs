//! A log and books of their own for one test, and the commands sent to them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use command_handler::keys::HandlerKey;
use local_cluster::Endpoints;
use local_cluster::testing::{self, TestDatabase};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;
use tokio_postgres::NoTls;
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::producer::{Outgoing, Producer};
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer};
use topology::topics::DEFINITIONS;
use topology::{CASH, COMPANY_IBAN, Cents, Codec, CommandId, Record, Token, Topic};

const HANDLER_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const COMPANY_TOKEN: &str = "2222222222222222222222222222222222222222222222222222222222222222";
const COMMAND_TOPICS: [Topic; 2] = [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer];

/// Topics, schemas and databases of one test.
pub(crate) struct World {
    pub(crate) cluster: Endpoints,
    pub(crate) prefix: String,
    pub(crate) books: TestDatabase,
    pub(crate) read_model: TestDatabase,
    /// For keys and logs; removed when the test passes.
    pub(crate) folder: PathBuf,
    pub(crate) kafka: KafkaConfig,
    pub(crate) codec: Codec,
    pub(crate) producer: Producer,
    pub(crate) key: HandlerKey,
    processes: AtomicU64,
}

impl World {
    /// On the cluster of this test run.
    pub(crate) async fn new(test: &str) -> World {
        let cluster = tokio::task::spawn_blocking(testing::shared_cluster)
            .await
            .unwrap();
        World::on(cluster.clone(), test).await
    }

    pub(crate) async fn on(cluster: Endpoints, test: &str) -> World {
        let prefix = testing::unique_prefix(test);
        let books = testing::create_database(&cluster, "processes")
            .await
            .unwrap();
        let read_model = testing::create_database(&cluster, "processes")
            .await
            .unwrap();
        let folder = std::env::temp_dir().join(format!("{prefix}handlers"));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("handler.key"), HANDLER_KEY).unwrap();
        std::fs::write(folder.join("company.token"), COMPANY_TOKEN).unwrap();
        synchronize(&cluster, &prefix, &books, &read_model).await;
        let kafka = KafkaConfig {
            brokers: cluster.kafka_brokers.clone(),
            group_protocol: GroupProtocol::Consumer,
            topic_prefix: prefix.clone(),
            kafka_statistics_directory: None,
        };
        let url = &cluster.schema_registry_url;
        World {
            codec: Codec::connect(url, &kafka.topics(), &COMMAND_TOPICS).await,
            producer: Producer::new(&kafka, "test").unwrap(),
            key: HandlerKey::new(HANDLER_KEY),
            processes: AtomicU64::new(0),
            cluster,
            prefix,
            books,
            read_model,
            folder,
            kafka,
        }
    }

    /// A number for each process that is started.
    pub(crate) fn next_process(&self) -> u64 {
        self.processes.fetch_add(1, Ordering::Relaxed)
    }

    /// A session in the books, as their owner.
    pub(crate) async fn sql(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.books.url, NoTls)
            .await
            .unwrap();
        tokio::spawn(connection);
        // Whatever a test has made the database's default.
        client
            .batch_execute("set default_transaction_isolation = 'read committed'")
            .await
            .unwrap();
        client
    }

    /// One statement by the administrator.
    pub(crate) async fn admin_sql(&self, statement: &str) {
        let server = &self.cluster.postgres;
        let url = server.url(&server.administrator, &server.password, "postgres");
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(statement).await.unwrap();
    }

    pub(crate) async fn number(&self, query: &str) -> i64 {
        let row = self.sql().await.query_one(query, &[]).await.unwrap();
        row.get(0)
    }

    /// Removes what a passing test leaves.
    pub(crate) async fn end(self) {
        for database in [&self.books, &self.read_model] {
            testing::drop_database(&self.cluster, database)
                .await
                .unwrap();
        }
        std::fs::remove_dir_all(&self.folder).unwrap();
        // Hundreds of worlds of thirty partitions each are too many for one small broker.
        let admin: AdminClient<DefaultClientContext> = self.kafka.client("admin").create().unwrap();
        let names = DEFINITIONS.map(|it| self.kafka.topics().name(it.topic));
        let names = names.each_ref().map(String::as_str);
        admin
            .delete_topics(&names, &AdminOptions::new())
            .await
            .unwrap();
    }

    /// One command with headers.
    pub(crate) async fn send(&self, sent: &Sent, headers: &[(String, Vec<u8>)]) {
        let value = self.codec.encode(sent.topic, &sent.record).unwrap();
        let outgoing = Outgoing {
            topic: sent.topic,
            key: sent.key.as_bytes(),
            value: Some(&value),
            headers,
        };
        let delivery = self.producer.send(outgoing).await.unwrap();
        delivery.wait().await.unwrap();
    }

    /// Sends commands; returns when the broker has them.
    pub(crate) async fn send_all(&self, commands: &[Sent]) {
        let sending = commands.iter().map(|it| self.send(it, &[]));
        futures_util::future::join_all(sending).await;
    }
}

async fn synchronize(
    cluster: &Endpoints,
    prefix: &str,
    books: &TestDatabase,
    read_model: &TestDatabase,
) {
    let arguments = testing::synchronizer_arguments(cluster, prefix, books, read_model);
    let config = synchronizer::Config::try_parse_from(arguments);
    synchronizer::apply(&config.unwrap()).await.unwrap();
}

/// A command on its way.
#[derive(Clone)]
pub(crate) struct Sent {
    topic: Topic,
    key: String,
    record: Record,
}

/// Commands of every kind, the same for the same seed: payments by the company, by
/// customers and by cash, repeats and reused ids, spread over all partitions, so that
/// every instance touches the company's account.
pub(crate) struct Public {
    random: SmallRng,
    opened: Vec<CommandId>,
    sent: Vec<Sent>,
    /// Ids that were sent a second time with other content.
    pub(crate) conflicts: BTreeSet<CommandId>,
}

impl Public {
    pub(crate) fn new(seed: u64) -> Public {
        Public {
            random: SmallRng::seed_from_u64(seed),
            opened: Vec::new(),
            sent: Vec::new(),
            conflicts: BTreeSet::new(),
        }
    }

    fn id(&mut self) -> CommandId {
        CommandId::from_bytes(self.random.random())
    }

    /// Account creations.
    pub(crate) fn newcomers(&mut self, count: usize) -> Vec<Sent> {
        let commands: Vec<Sent> = (0..count)
            .map(|_| {
                let id = self.id();
                self.opened.push(id);
                let account_type = AccountType::Auto;
                Sent {
                    topic: Topic::ConfirmAccountCreation,
                    key: id.to_string(),
                    record: Record::ConfirmAccountCreation(ConfirmAccountCreation {
                        id,
                        account_type,
                    }),
                }
            })
            .collect();
        self.sent.extend(commands.iter().cloned());
        commands
    }

    /// Transfers, one in ten a repeat and one in forty a conflict.
    pub(crate) fn transfers(&mut self, world: &World, count: usize) -> Vec<Sent> {
        (0..count).map(|_| self.transfer(world)).collect()
    }

    fn transfer(&mut self, world: &World) -> Sent {
        if !self.sent.is_empty() && self.random.random_ratio(1, 8) {
            let at = self.random.random_range(0..self.sent.len());
            let mut again = self.sent[at].clone();
            // Over another partition, so that another instance may get it.
            again.key = self.id().to_string();
            if let Record::ConfirmMoneyTransfer(transfer) = &mut again.record
                && self.random.random_ratio(1, 5)
            {
                transfer.amount = Cents(transfer.amount.0 + 1);
                self.conflicts.insert(transfer.id);
            }
            return again;
        }
        let customer = (!self.opened.is_empty()).then(|| {
            let at = self.random.random_range(0..self.opened.len());
            self.opened[at]
        });
        let iban = |id: CommandId| world.key.iban_candidates(id)[0].to_string();
        let shop = format!("Shop {}", self.random.random_range(0..9));
        let company = (COMPANY_IBAN.to_owned(), COMPANY_TOKEN.to_owned());
        let (from, token, to) = match (self.random.random_range(0..4), customer) {
            (0, Some(payer)) => (iban(payer), world.key.token(payer), shop),
            (1, Some(payee)) => (CASH.to_owned(), "cash".to_owned(), iban(payee)),
            (2, Some(payee)) => (company.0, company.1, iban(payee)),
            _ => (company.0, company.1, shop),
        };
        let id = self.id();
        let sent = Sent {
            topic: Topic::ConfirmMoneyTransfer,
            key: self.id().to_string(),
            record: Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                id,
                token: Token::new(token),
                amount: Cents(self.random.random_range(1..10_000)),
                from,
                to,
                description: "test".to_owned(),
            }),
        };
        self.sent.push(sent.clone());
        sent
    }
}

impl Sent {
    /// The same under a key of its own, so that it may stand in any partition.
    pub(crate) fn spread(mut self) -> Sent {
        if let Record::ConfirmMoneyTransfer(transfer) = &self.record {
            self.key = transfer.id.to_string();
        }
        self
    }
}

/// A payment by the company to somebody outside, with an id that counts.
pub(crate) fn payment(number: u64, to: &str) -> Sent {
    let mut id = [0xc0; 16];
    id[8..].copy_from_slice(&number.to_be_bytes());
    Sent {
        topic: Topic::ConfirmMoneyTransfer,
        key: COMPANY_IBAN.to_owned(),
        record: Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
            id: CommandId::from_bytes(id),
            token: Token::new(COMPANY_TOKEN.to_owned()),
            amount: Cents(100),
            from: COMPANY_IBAN.to_owned(),
            to: to.to_owned(),
            description: String::new(),
        }),
    }
}
