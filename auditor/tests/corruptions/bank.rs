//! A small bank that has lived through everything there is, and was stopped.

use std::path::PathBuf;
use std::time::Duration;

use auditor::history::{Event, Operation, Phase};
use auditor::{Options, Report, Sources, audit};
use clap::Parser;
use command_handler::keys::HandlerKey;
use local_cluster::Endpoints;
use local_cluster::testing::{self, TestDatabase};
use tokio_postgres::NoTls;
use tokio_util::sync::CancellationToken;
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::producer::Producer;
use topology::records::ConfirmMoneyTransfer;
use topology::{Codec, Topic};

use crate::asking::Asking;
use crate::copy::remove_topics;
use crate::log::Log;

const HANDLER_KEY: &str = "1111111111111111111111111111111111111111111111111111111111111111";
pub(crate) const COMPANY_TOKEN: &str =
    "2222222222222222222222222222222222222222222222222222222222222222";
/// The bank has dealt with everything by then.
const PATIENCE: Duration = Duration::from_secs(60);
/// Nobody works on what a copy leaves undone.
const NO_WAIT: Duration = Duration::ZERO;
const WRITTEN: [Topic; 5] = [
    Topic::ConfirmAccountCreation,
    Topic::ConfirmMoneyTransfer,
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
];

/// The bank, its log, and databases that others are made from.
pub(crate) struct Healthy {
    pub(crate) cluster: Endpoints,
    pub(crate) prefix: String,
    pub(crate) codec: Codec,
    pub(crate) log: Log,
    pub(crate) history: Vec<Event>,
    books: TestDatabase,
    read_model: TestDatabase,
    /// Nobody is ever connected to these, so that they can be copied at any time.
    pub(crate) books_template: String,
    pub(crate) read_model_template: String,
    pub(crate) folder: tempfile::TempDir,
}

impl Healthy {
    /// Starts handler and gateway, has them do everything, stops them.
    pub(crate) async fn record() -> Healthy {
        let cluster = tokio::task::spawn_blocking(testing::shared_cluster)
            .await
            .unwrap();
        let prefix = testing::unique_prefix("audited");
        let folder = tempfile::tempdir().unwrap();
        let books = testing::create_database(cluster, "audited_books")
            .await
            .unwrap();
        let read_model = testing::create_database(cluster, "audited_model")
            .await
            .unwrap();
        let arguments = testing::synchronizer_arguments(cluster, &prefix, &books, &read_model);
        synchronizer::apply(&synchronizer::Config::try_parse_from(arguments).unwrap())
            .await
            .unwrap();
        let stop = CancellationToken::new();
        let services = start(cluster, &prefix, &books, &read_model, folder.path(), &stop);

        let kafka = KafkaConfig {
            brokers: cluster.kafka_brokers.clone(),
            group_protocol: GroupProtocol::Consumer,
            topic_prefix: prefix.clone(),
            kafka_statistics_directory: None,
        };
        let topics = kafka.topics();
        let connect = || Codec::connect(&cluster.schema_registry_url, &topics, &WRITTEN);
        let key = HandlerKey::new(HANDLER_KEY);
        let mut asking = Asking {
            codec: connect().await,
            producer: Producer::new(&kafka, "test").unwrap(),
            kafka: kafka.clone(),
            customers: Vec::new(),
            next: 0,
            sent: Vec::new(),
        };
        for _ in 0..5 {
            asking.newcomer(&key).await;
        }
        let sources = sources(cluster, &prefix, &books.url, &read_model.url);
        wait_until_quiet(&sources).await;
        asking.everything().await;
        wait_until_quiet(&sources).await;
        stop.cancel();
        services.await;

        let history = tell(&books.url, &asking).await;
        let log = Log::read(&asking.kafka, &asking.codec).await;
        let mut healthy = Healthy {
            cluster: cluster.clone(),
            prefix,
            codec: connect().await,
            log,
            history,
            books,
            read_model,
            books_template: String::new(),
            read_model_template: String::new(),
            folder,
        };
        healthy.books_template = healthy.copy_database(&healthy.books.name, "books").await;
        healthy.read_model_template = healthy
            .copy_database(&healthy.read_model.name, "model")
            .await;
        healthy
    }

    /// The bank as it is, judged by somebody who may only read.
    pub(crate) async fn audit_as_reader(&self) -> Report {
        let role = format!("{}_reader", self.books.name);
        let statement =
            format!("create role {role} login password 'test' in role pg_read_all_data");
        self.administrate("postgres", &statement).await;
        for database in [&self.books.name, &self.read_model.name] {
            let statement = format!("grant connect on database {database} to {role}");
            self.administrate("postgres", &statement).await;
        }
        let server = &self.cluster.postgres;
        let mut sources = self.sources();
        sources.handler_database_url = server.url(&role, "test", &self.books.name);
        sources.gateway_database_url = server.url(&role, "test", &self.read_model.name);
        sources.history = Some(self.write_history("healthy", &self.history));
        let report = audit(&sources, &self.options("healthy"), &|_| ())
            .await
            .unwrap();
        for database in [&self.books.name, &self.read_model.name] {
            let statement = format!("revoke connect on database {database} from {role}");
            self.administrate("postgres", &statement).await;
        }
        self.administrate("postgres", &format!("drop role {role}"))
            .await;
        report
    }

    /// The topics and databases of the bank itself.
    pub(crate) fn sources(&self) -> Sources {
        sources(
            &self.cluster,
            &self.prefix,
            &self.books.url,
            &self.read_model.url,
        )
    }

    pub(crate) fn options(&self, name: &str) -> Options {
        Options {
            wait: NO_WAIT,
            schema_memory: Some(self.folder.path().join(format!("{name}.schemas"))),
            is_order_strict: true,
            ..Options::default()
        }
    }

    pub(crate) fn write_history(&self, name: &str, events: &[Event]) -> PathBuf {
        let path = self.folder.path().join(format!("{name}.history"));
        let lines = events
            .iter()
            .map(|it| serde_json::to_string(it).unwrap() + "\n");
        std::fs::write(&path, lines.collect::<String>()).unwrap();
        path
    }

    pub(crate) fn administrator_url(&self, database: &str) -> String {
        let server = &self.cluster.postgres;
        server.url(&server.administrator, &server.password, database)
    }

    pub(crate) async fn administrate(&self, database: &str, statements: &str) {
        let url = self.administrator_url(database);
        let (client, connection) = tokio_postgres::connect(&url, NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        client
            .batch_execute(statements)
            .await
            .unwrap_or_else(|error| {
                panic!("{statements}: {error:?}");
            });
        drop(client);
        // Only when it is closed have the statistics of the session arrived.
        connection.await.unwrap().unwrap();
    }

    /// A new database with everything that is in another one.
    pub(crate) async fn copy_database(&self, from: &str, purpose: &str) -> String {
        let name = testing::unique_prefix(purpose).replace('-', "_");
        let statement = format!("create database {name} template {from}");
        self.administrate("postgres", &statement).await;
        name
    }

    pub(crate) async fn drop_database(&self, name: &str) {
        let statement = format!("drop database if exists {name} with (force)");
        self.administrate("postgres", &statement).await;
    }

    pub(crate) async fn end(self) {
        for name in [&self.books_template, &self.read_model_template] {
            self.drop_database(name).await;
        }
        for database in [&self.books, &self.read_model] {
            testing::drop_database(&self.cluster, database)
                .await
                .unwrap();
        }
        remove_topics(&self.cluster.kafka_brokers, &self.prefix).await;
    }
}

fn sources(cluster: &Endpoints, prefix: &str, books: &str, read_model: &str) -> Sources {
    Sources {
        kafka_brokers: cluster.kafka_brokers.clone(),
        topic_prefix: prefix.to_owned(),
        schema_registry_url: cluster.schema_registry_url.clone(),
        handler_database_url: books.to_owned(),
        gateway_database_url: read_model.to_owned(),
        history: None,
    }
}

async fn wait_until_quiet(sources: &Sources) {
    let options = Options {
        wait: PATIENCE,
        ..Options::default()
    };
    let report = audit(sources, &options, &|_| ()).await.unwrap();
    assert!(report.violated().is_empty(), "{}", report.table());
}

/// Runs a handler and a gateway until they are told to stop.
fn start(
    cluster: &Endpoints,
    prefix: &str,
    books: &TestDatabase,
    read_model: &TestDatabase,
    folder: &std::path::Path,
    stop: &CancellationToken,
) -> impl Future<Output = ()> + use<> {
    for (name, secret) in [
        ("handler.key", HANDLER_KEY),
        ("company.token", COMPANY_TOKEN),
    ] {
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let file = |name: &str| folder.join(name).display().to_string();
    let clients = testing::client_arguments(cluster, prefix);
    let arguments = |name: &str, own: &[(&str, String)]| -> Vec<String> {
        let own = own
            .iter()
            .flat_map(|(flag, value)| [(*flag).to_owned(), value.clone()]);
        std::iter::once(name.to_owned())
            .chain(clients.clone())
            .chain(own)
            .collect()
    };
    let handler = command_handler::Config::try_parse_from(arguments(
        "command-handler",
        &[
            ("--database-url", books.url.clone()),
            ("--handler-key-file", file("handler.key")),
            ("--company-token-file", file("company.token")),
        ],
    ));
    let gateway = graphql_endpoint::Config::try_parse_from(arguments(
        "graphql-endpoint",
        &[
            ("--database-url", read_model.url.clone()),
            ("--token-key-file", file("handler.key")),
            ("--listen-address", testing::free_address()),
        ],
    ));
    let handler = tokio::spawn(command_handler::run(handler.unwrap(), stop.clone()));
    let gateway = tokio::spawn(graphql_endpoint::run(gateway.unwrap(), stop.clone()));
    async move {
        handler.await.unwrap().unwrap();
        gateway.await.unwrap().unwrap();
    }
}

/// What honest clients would have recorded: all asked first, then all were answered; one
/// follows the first customer, one reads, and one is kept out.
async fn tell(books: &str, asking: &Asking) -> Vec<Event> {
    let (client, connection) = tokio_postgres::connect(books, NoTls).await.unwrap();
    tokio::spawn(connection);
    let mut events = Vec::new();
    let mut now = 0;
    let mut add = |phase, operation, reason| {
        now += 1_000;
        events.push(Event {
            client: "one".to_owned(),
            phase,
            operation,
            reason,
            wall_clock_us: now,
            monotonic_ns: now,
        });
    };
    let operation = |it: &ConfirmMoneyTransfer| Operation::Transfer {
        command_id: it.id.0,
        from: it.from.clone(),
        to: it.to.clone(),
        amount_cents: it.amount.0,
    };
    for transfer in &asking.sent {
        add(Phase::Invoke, operation(transfer), None);
    }
    for transfer in &asking.sent {
        let question = "select rejection from outcome where command_id = $1";
        let row = client.query_one(question, &[&transfer.id.0]).await.unwrap();
        let reason: Option<String> = row.get(0);
        let phase = if reason.is_some() {
            Phase::Fail
        } else {
            Phase::Ok
        };
        add(phase, operation(transfer), reason);
    }
    let iban = &asking.customers[0].iban;
    let question = "select version from account where iban = $1";
    let last: i64 = client.query_one(question, &[iban]).await.unwrap().get(0);
    let subscribe = |subscription, is_permitted| Operation::Subscribe {
        iban: iban.clone(),
        subscription,
        after_version: 0,
        is_permitted,
    };
    add(Phase::Invoke, subscribe(1, true), None);
    add(Phase::Invoke, subscribe(2, false), None);
    for version in 1..=last {
        let receive = Operation::Receive {
            iban: iban.clone(),
            subscription: 1,
            version,
        };
        add(Phase::Ok, receive, None);
        let read = Operation::Read {
            iban: iban.clone(),
            version: Some(version),
            gateway: "one".to_owned(),
        };
        add(Phase::Ok, read, None);
    }
    add(Phase::Ok, subscribe(1, true), None);
    events
}
