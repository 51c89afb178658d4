//! A gateway of its own on the shared cluster, a bank that says yes to everything, and
//! clients.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use diesel_async::{AsyncConnection, AsyncPgConnection, SimpleAsyncConnection};
use futures_util::{SinkExt, StreamExt};
use graphql_endpoint::config::{Config, ServiceAddress};
use graphql_endpoint::limits::Limits;
use graphql_endpoint::steps::Steps;
use local_cluster::Endpoints;
use local_cluster::testing::{
    TestDatabase, client_arguments, create_database, shared_cluster, synchronizer_arguments,
    unique_prefix,
};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, Consumed, Source, first_positions};
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::producer::{Outgoing, Producer};
use topology::records::{
    AccountCreationConfirmed, BalanceChanged, ChangeIdentity, ConfirmMoneyTransfer,
    MoneyTransferConfirmed,
};
use topology::{CASH, COMPANY_IBAN, Cents, Codec, CommandId, Iban, Record, Token, Topic};

/// Longest wait for anything.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// How a test's gateway differs.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) demo_mode: bool,
    pub(crate) limits: Limits,
    pub(crate) site: Option<PathBuf>,
    pub(crate) heartbeat: Option<SocketAddr>,
    pub(crate) services: Vec<ServiceAddress>,
    pub(crate) auditor: Option<SocketAddr>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            demo_mode: true,
            limits: Limits::default(),
            site: None,
            heartbeat: None,
            services: Vec::new(),
            auditor: None,
        }
    }
}

/// The n-th change of the company's account.
pub(crate) fn change(version: i64) -> BalanceChanged {
    BalanceChanged {
        iban: COMPANY_IBAN.to_owned(),
        new_balance: Cents(100 * version),
        changed_by: Cents(100),
        from_to: "cash".to_owned(),
        description: format!("change {version}"),
        change: Some(ChangeIdentity {
            version,
            command_id: CommandId::from_bytes([7; 16]),
            occurred_at_us: 1_700_000_000_000_000 + version,
        }),
    }
}

/// Topics, databases and a gateway that belong to one test.
pub(crate) struct World {
    pub(crate) kafka: KafkaConfig,
    pub(crate) producer: Producer,
    pub(crate) codec: Codec,
    pub(crate) address: String,
    cluster: &'static Endpoints,
    database: TestDatabase,
    books: TestDatabase,
    keys: tempfile::TempDir,
    settings: Settings,
    gateway: Option<(CancellationToken, JoinHandle<()>)>,
}

impl World {
    pub(crate) async fn start(test: &str) -> World {
        World::start_with(test, Settings::default()).await
    }

    pub(crate) async fn start_with(test: &str, settings: Settings) -> World {
        let cluster = tokio::task::spawn_blocking(shared_cluster)
            .await
            .expect("a cluster");
        let kafka = KafkaConfig {
            brokers: cluster.kafka_brokers.clone(),
            group_protocol: GroupProtocol::Consumer,
            topic_prefix: unique_prefix(test),
            kafka_statistics_directory: None,
        };
        let database = create_database(cluster, test).await.expect("a database");
        let books = create_database(cluster, "books").await.expect("a database");
        let arguments = synchronizer_arguments(cluster, &kafka.topic_prefix, &books, &database);
        let config = synchronizer::Config::parse_from(arguments);
        synchronizer::run(config, CancellationToken::new())
            .await
            .expect("topics, schemas and tables");
        let codec = Codec::connect(
            &cluster.schema_registry_url,
            &kafka.topics(),
            &[
                Topic::AccountCreationFeedback,
                Topic::MoneyTransferFeedback,
                Topic::BalanceChanged,
            ],
        )
        .await;
        let mut world = World {
            producer: Producer::new(&kafka, "test").expect("a producer"),
            codec,
            address: String::new(),
            kafka,
            cluster,
            database,
            books,
            keys: tempfile::tempdir().expect("a folder"),
            settings,
            gateway: None,
        };
        world.start_gateway().await;
        world
    }

    /// Starts the gateway (again) and waits until it is ready.
    pub(crate) async fn start_gateway(&mut self) {
        self.stop_gateway().await;
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .expect("a free port")
            .port();
        self.address = format!("127.0.0.1:{port}");
        let config = self.config();
        let limits = self.settings.limits;
        let stop = CancellationToken::new();
        let token = stop.clone();
        let running = tokio::spawn(async move {
            graphql_endpoint::run_within(config, token, Steps::default(), limits)
                .await
                .expect("the gateway goes on");
        });
        self.gateway = Some((stop, running));
        let url = format!("http://{}/readyz", self.address);
        eventually("the gateway is ready", async || {
            let answer = reqwest::get(&url).await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
    }

    /// The line that starts a gateway.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let key = self.keys.path().join("token.key");
        std::fs::write(&key, "17".repeat(32)).expect("a key");
        [
            "graphql-endpoint",
            "--kafka-brokers",
            &self.kafka.brokers,
            "--topic-prefix",
            &self.kafka.topic_prefix,
            "--schema-registry-url",
            &self.cluster.schema_registry_url,
            "--database-url",
            &self.database.url,
            "--token-key-file",
            &key.display().to_string(),
            "--demo-mode",
            if self.settings.demo_mode {
                "true"
            } else {
                "false"
            },
            "--listen-address",
            &self.address,
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// What the gateway is told.
    pub(crate) fn config(&self) -> Config {
        let mut config = Config::parse_from(self.arguments());
        config.site_directory.clone_from(&self.settings.site);
        config.services.clone_from(&self.settings.services);
        config.auditor_address = self.settings.auditor.map(|address| address.to_string());
        config.heartbeat_address = self.settings.heartbeat.map(|address| address.to_string());
        config
    }

    pub(crate) async fn stop_gateway(&mut self) {
        if let Some((stop, running)) = self.gateway.take() {
            stop.cancel();
            running.await.expect("the gateway stops");
        }
    }

    /// Does something to the read model behind the gateway's back.
    pub(crate) async fn read_model(&self, statement: &str) {
        let mut connection = AsyncPgConnection::establish(&self.database.url)
            .await
            .expect("a database");
        connection.batch_execute(statement).await.expect(statement);
    }

    /// Sends a record's bytes and waits until the broker has them.
    pub(crate) async fn send(&self, topic: Topic, key: &str, value: &[u8]) {
        self.producer
            .send(Outgoing {
                topic,
                key: key.as_bytes(),
                value: Some(value),
                headers: &[],
            })
            .await
            .expect("a producer that takes records")
            .wait()
            .await
            .expect("a broker that keeps them");
    }

    pub(crate) async fn send_change(&self, change: BalanceChanged) {
        let key = change.iban.clone();
        let value = self
            .codec
            .encode(Topic::BalanceChanged, &Record::BalanceChanged(change))
            .expect("a change");
        self.send(Topic::BalanceChanged, &key, &value).await;
    }

    /// The id the registry gave the 2019 form of BalanceChanged.
    pub(crate) async fn id_of_2019(&self) -> u32 {
        let subject = self.kafka.topics().subject(
            Topic::BalanceChanged,
            topology::records::RecordKind::BalanceChanged,
        );
        let registry = &self.cluster.schema_registry_url;
        let answer: Value = reqwest::get(format!("{registry}/subjects/{subject}/versions/1"))
            .await
            .expect("a registry")
            .json()
            .await
            .expect("its answer");
        u32::try_from(answer["id"].as_u64().expect("an id")).expect("a small id")
    }

    /// Everything in a topic until `done` says it is enough.
    pub(crate) async fn read_until(
        &self,
        topic: Topic,
        done: impl Fn(&[Consumed]) -> bool,
    ) -> Vec<Consumed> {
        let mut consumer = self.consumer("reader", &[topic]).await;
        let mut records = Vec::new();
        let reading = async {
            while !done(&records) {
                records.extend(consumer.next().await.expect("records"));
            }
        };
        timeout(DEADLINE, reading).await.expect("records in time");
        consumer.close().await;
        records
    }

    async fn consumer(&self, name: &str, topics: &[Topic]) -> BatchConsumer {
        let positions = first_positions(&self.kafka, name, topics)
            .await
            .expect("positions");
        let source = Source::Fixed {
            group: name.to_owned(),
            positions,
        };
        BatchConsumer::start(&self.kafka, name, source, 64).expect("a consumer")
    }

    /// The command handler itself.
    pub(crate) async fn run_real_bank(&self) -> Bank {
        let file = |name: &str, content: &str| {
            let path = self.keys.path().join(name);
            std::fs::write(&path, content).expect("a key");
            path.display().to_string()
        };
        let own = [
            ("--database-url", self.books.url.clone()),
            ("--handler-key-file", file("handler.key", &"11".repeat(32))),
            (
                "--company-token-file",
                file("company.token", &"22".repeat(32)),
            ),
        ];
        let arguments = std::iter::once("command-handler".to_owned())
            .chain(client_arguments(self.cluster, &self.kafka.topic_prefix))
            .chain(
                own.into_iter()
                    .flat_map(|(name, value)| [name.to_owned(), value]),
            );
        let config = command_handler::Config::try_parse_from(arguments).expect("settings");
        let stop = CancellationToken::new();
        let running = command_handler::run(config, stop.clone());
        let running = tokio::spawn(async move { running.await.expect("the bank goes on") });
        Bank { stop, running }
    }

    /// A bank that opens every account and confirms every payment of a customer.
    pub(crate) async fn run_agreeable_bank(&self) -> JoinHandle<()> {
        let mut commands = self
            .consumer(
                "agreeable-bank",
                &[Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer],
            )
            .await;
        let (kafka, registry) = (self.kafka.clone(), self.cluster.schema_registry_url.clone());
        let producer = self.producer.clone();
        tokio::spawn(async move {
            let written = [
                Topic::AccountCreationFeedback,
                Topic::MoneyTransferFeedback,
                Topic::BalanceChanged,
            ];
            let codec = Codec::connect(&registry, &kafka.topics(), &written).await;
            let mut bank = AgreeableBank::default();
            while let Ok(batch) = commands.next().await {
                for consumed in batch {
                    let record = codec
                        .decode(consumed.topic, consumed.value.as_deref())
                        .await
                        .expect("commands of the gateway can be read");
                    for (topic, key, said) in bank.hear(record) {
                        let value = codec.encode(topic, &said).expect("a record");
                        let outgoing = Outgoing {
                            topic,
                            key: key.as_bytes(),
                            value: Some(&value),
                            headers: &[],
                        };
                        let _delivery = producer.send(outgoing).await.expect("a producer");
                    }
                }
            }
        })
    }
}

/// A command handler that runs.
pub(crate) struct Bank {
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Bank {
    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.running.await.expect("the bank stops");
    }
}

#[derive(Default)]
struct AgreeableBank {
    accounts: u64,
    balances: std::collections::BTreeMap<String, (i64, i64)>,
    heard: std::collections::BTreeSet<topology::CommandId>,
}

impl AgreeableBank {
    fn hear(&mut self, record: Record) -> Vec<(Topic, String, Record)> {
        match record {
            Record::ConfirmAccountCreation(command) => {
                self.accounts += 1;
                let confirmed = AccountCreationConfirmed {
                    id: command.id,
                    iban: Iban::of_our_bank(self.accounts).as_str().to_owned(),
                    token: Token::new(format!("token-of-{}", self.accounts)),
                    account_type: command.account_type,
                };
                let said = Record::AccountCreationConfirmed(confirmed);
                vec![(Topic::AccountCreationFeedback, command.id.to_string(), said)]
            }
            Record::ConfirmMoneyTransfer(command) => self.pay(command),
            _ => vec![],
        }
    }

    fn pay(&mut self, command: ConfirmMoneyTransfer) -> Vec<(Topic, String, Record)> {
        let confirmed = MoneyTransferConfirmed { id: command.id };
        let mut said = vec![(
            Topic::MoneyTransferFeedback,
            command.id.to_string(),
            Record::MoneyTransferConfirmed(confirmed),
        )];
        if !self.heard.insert(command.id) {
            return said;
        }
        let (iban, other, changed_by) = if command.from == CASH {
            (command.to, command.from, command.amount.0)
        } else {
            (command.from, command.to, -command.amount.0)
        };
        let (balance, version) = self.balances.entry(iban.clone()).or_default();
        *balance += changed_by;
        *version += 1;
        let changed = BalanceChanged {
            iban: iban.clone(),
            new_balance: Cents(*balance),
            changed_by: Cents(changed_by),
            from_to: other,
            description: command.description,
            change: Some(ChangeIdentity {
                version: *version,
                command_id: command.id,
                occurred_at_us: 1_700_000_000_000_000,
            }),
        };
        said.push((Topic::BalanceChanged, iban, Record::BalanceChanged(changed)));
        said
    }
}

/// Asks until there is an answer.
pub(crate) async fn eventually<T>(what: &str, ask: impl AsyncFn() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "never: {what}");
        sleep(PAUSE).await;
    }
}

/// A program that speaks GraphQL over HTTP.
#[derive(Default)]
pub(crate) struct Program {
    pub(crate) bearer: Option<String>,
}

impl Program {
    pub(crate) async fn ask(&self, world: &World, query: &str, variables: Value) -> Value {
        let body = json!({ "query": query, "variables": variables });
        self.send(world, &body).await
    }

    /// Sends a request as it is.
    pub(crate) async fn send(&self, world: &World, body: &Value) -> Value {
        let mut request = reqwest::Client::new()
            .post(format!("http://{}/graphql", world.address))
            .json(body);
        if let Some(bearer) = &self.bearer {
            request = request.bearer_auth(bearer);
        }
        let answer = request.send().await.expect("an answer");
        answer.json().await.expect("an answer in JSON")
    }
}

/// A program that follows an account.
pub(crate) struct Follower(WebSocketStream<MaybeTlsStream<TcpStream>>);

impl Follower {
    pub(crate) async fn of(
        world: &World,
        bearer: Option<&str>,
        iban: &str,
        after: Option<&str>,
    ) -> Follower {
        let uri = format!("ws://{}/graphql-ws", world.address);
        let request = ClientRequestBuilder::new(uri.parse().expect("an address"))
            .with_sub_protocol("graphql-transport-ws");
        let (socket, _) = connect_async(request).await.expect("a socket");
        let mut follower = Follower(socket);
        let payload = bearer.map(|bearer| json!({ "authorization": format!("Bearer {bearer}") }));
        follower
            .say(&json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(follower.hear().await["type"], "connection_ack");
        let query = "subscription ($iban: Iban!, $after: String) {
            transactions(iban: $iban, after: $after) {
                version newBalance changedBy description commandId cursor } }";
        let variables = json!({ "iban": iban, "after": after });
        follower
            .say(&json!({ "type": "subscribe", "id": "1",
                          "payload": { "query": query, "variables": variables } }))
            .await;
        follower
    }

    async fn say(&mut self, message: &Value) {
        let text = message.to_string();
        self.0
            .send(Message::Text(text.into()))
            .await
            .expect("a socket that takes messages");
    }

    async fn hear(&mut self) -> Value {
        loop {
            let message = timeout(DEADLINE, self.0.next())
                .await
                .expect("a message in time")
                .expect("a message")
                .expect("a good message");
            if let Message::Text(text) = message {
                return serde_json::from_str(&text).expect("JSON");
            }
        }
    }

    /// The next transaction.
    pub(crate) async fn transaction(&mut self) -> Value {
        let message = self.hear().await;
        assert_eq!(message["type"], "next", "{message}");
        message["payload"]["data"]["transactions"].clone()
    }

    /// The versions of the next transactions.
    pub(crate) async fn versions(&mut self, count: usize) -> Vec<i64> {
        let mut versions = Vec::new();
        for _ in 0..count {
            versions.push(
                self.transaction().await["version"]
                    .as_i64()
                    .expect("a version"),
            );
        }
        versions
    }
}
