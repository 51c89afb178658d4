//! The synchronizer against real brokers, a real registry and real databases.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::{Command, Output};
use std::time::Duration;

use clap::Parser;
use local_cluster::Endpoints;
use local_cluster::testing::{TestDatabase, create_database, drop_database, shared_cluster};
use rdkafka::ClientConfig;
use rdkafka::admin::{
    AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication,
};
use rdkafka::client::DefaultClientContext;
use synchronizer::plan::{Drift, Plan};
use synchronizer::{Config, NOTHING_TO_DO, SynchronizerError, apply, plan};
use topology::topics::DEFINITIONS;

/// A port nobody listens on.
const NOWHERE: &str = "127.0.0.1:9";
/// How often, and how long apart, is looked for what a broker shows late.
const PATIENCE_ATTEMPTS: usize = 1_000;
const PATIENCE_PAUSE: Duration = Duration::from_millis(20);

/// One installation of its own on the shared cluster.
struct Installation {
    cluster: &'static Endpoints,
    prefix: String,
    handler: TestDatabase,
    endpoint: TestDatabase,
}

impl Installation {
    async fn new(test: &str) -> Installation {
        let cluster = shared_cluster();
        Installation {
            cluster,
            prefix: local_cluster::testing::unique_prefix(test),
            handler: create_database(cluster, "sync_handler").await.unwrap(),
            endpoint: create_database(cluster, "sync_endpoint").await.unwrap(),
        }
    }

    fn arguments(&self) -> Vec<(&'static str, String)> {
        vec![
            ("--kafka-brokers", self.cluster.kafka_brokers.clone()),
            (
                "--schema-registry-url",
                self.cluster.schema_registry_url.clone(),
            ),
            ("--topic-prefix", self.prefix.clone()),
            ("--command-handler-database-url", self.handler.url.clone()),
            ("--graphql-endpoint-database-url", self.endpoint.url.clone()),
            ("--deadline-seconds", "60".to_owned()),
        ]
    }

    fn config(&self) -> Config {
        self.config_but(&[])
    }

    /// With some arguments replaced.
    fn config_but(&self, replaced: &[(&str, &str)]) -> Config {
        let mut line = vec!["synchronizer".to_owned()];
        for (name, value) in self.arguments() {
            let other = replaced.iter().find(|(replaced, _)| *replaced == name);
            line.push(name.to_owned());
            line.push(other.map_or(value, |(_, value)| (*value).to_owned()));
        }
        Config::try_parse_from(line).unwrap()
    }

    fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new()
            .set("bootstrap.servers", &self.cluster.kafka_brokers)
            .create()
            .unwrap()
    }

    async fn create_topic(&self, name: &str, partitions: i32) {
        let name = self.topic(name);
        let topic = NewTopic::new(&name, partitions, TopicReplication::Fixed(1));
        let created = self
            .admin()
            .create_topics([&topic], &AdminOptions::new())
            .await
            .unwrap();
        assert_eq!(created, [Ok(name.clone())]);
        // The broker answers before it shows the topic.
        let mut patience = PATIENCE_ATTEMPTS;
        while !self
            .topics()
            .iter()
            .any(|it| *it == name[self.prefix.len()..])
        {
            assert!(patience > 0, "{name} never showed");
            patience -= 1;
            tokio::time::sleep(PATIENCE_PAUSE).await;
        }
    }

    /// A setting of a topic, as the broker shows it.
    async fn setting(&self, topic: &str, name: &str) -> Option<String> {
        let admin = self.admin();
        let topic = self.topic(topic);
        let described = admin
            .describe_configs([&ResourceSpecifier::Topic(&topic)], &AdminOptions::new())
            .await
            .unwrap();
        let settings = described[0].as_ref().unwrap();
        settings.get(name).unwrap().value.clone()
    }

    /// Our topics that are there, without the prefix.
    fn topics(&self) -> Vec<String> {
        let admin = self.admin();
        let metadata = admin
            .inner()
            .fetch_metadata(None, Duration::from_secs(10))
            .unwrap();
        let names = metadata.topics().iter().map(|topic| topic.name());
        names
            .filter_map(|name| Some(name.strip_prefix(&self.prefix)?.to_owned()))
            .collect()
    }

    async fn register(&self, subject: &str, schema: &str) -> reqwest::Response {
        let url = format!(
            "{}/subjects/{}/versions",
            self.cluster.schema_registry_url,
            self.topic(subject)
        );
        let body = serde_json::json!({ "schema": schema, "schemaType": "AVRO" });
        let client = reqwest::Client::new();
        client.post(url).json(&body).send().await.unwrap()
    }

    async fn remove(self) {
        for database in [&self.handler, &self.endpoint] {
            drop_database(self.cluster, database).await.unwrap();
        }
    }
}

async fn execute(url: &str, statement: &str) {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let driver = tokio::spawn(connection);
    client.batch_execute(statement).await.unwrap();
    drop(client);
    driver.await.unwrap().unwrap();
}

fn drifts(outcome: Result<Plan, SynchronizerError>) -> Vec<Drift> {
    match outcome {
        Err(SynchronizerError::Drift(drifts)) => drifts,
        other => panic!("drift was expected, not {other:?}"),
    }
}

#[tokio::test]
async fn given_nothing_when_applied_twice_then_all_is_there_and_the_second_changes_nothing() {
    let installation = Installation::new("sync-twice").await;
    let config = installation.config();

    let planned = plan(&config).await.unwrap();
    let again = plan(&config).await.unwrap();
    assert_eq!(planned, again, "planning changes nothing");
    assert!(installation.topics().is_empty(), "planning changes nothing");

    let done = apply(&config).await.unwrap();
    assert_eq!(done, planned);
    for definition in &DEFINITIONS {
        let topics = installation.topics();
        assert!(topics.iter().any(|it| it == definition.name), "{topics:?}");
    }
    assert_eq!(apply(&config).await.unwrap(), Plan::default());
    assert_eq!(plan(&config).await.unwrap(), Plan::default());

    // The compatibility is in force, not only written down.
    let refused = installation
        .register(
            "heartbeat-nl.openweb.data.Heartbeat",
            r#"{"type":"record","name":"Heartbeat","namespace":"nl.openweb.data",
                "fields":[{"name":"beat","type":"string"}]}"#,
        )
        .await;
    assert_eq!(refused.status(), 409);
    installation.remove().await;
}

#[tokio::test]
async fn given_two_at_once_when_applied_then_both_succeed() {
    let installation = Installation::new("sync-two").await;
    let config = installation.config();
    let (one, other) = tokio::join!(apply(&config), apply(&config));
    let idle = [one.unwrap(), other.unwrap()]
        .iter()
        .filter(|plan| plan.is_empty())
        .count();
    assert_eq!(idle, 1, "one did all, the other found all done");
    installation.remove().await;
}

#[tokio::test]
async fn given_other_settings_when_applied_then_they_are_repaired_and_foreign_ones_kept() {
    let installation = Installation::new("sync-settings").await;
    let config = installation.config();
    apply(&config).await.unwrap();

    let heartbeat = installation.topic("heartbeat");
    let altered = AlterConfig::new(ResourceSpecifier::Topic(&heartbeat))
        .set("retention.ms", "12345")
        .set("flush.ms", "54321");
    let admin = installation.admin();
    admin
        .alter_configs([&altered], &AdminOptions::new())
        .await
        .unwrap();

    let mut patience = PATIENCE_ATTEMPTS;
    while installation
        .setting("heartbeat", "flush.ms")
        .await
        .as_deref()
        != Some("54321")
    {
        assert!(patience > 0, "the setting never showed");
        patience -= 1;
        tokio::time::sleep(PATIENCE_PAUSE).await;
    }

    let lines = apply(&config).await.unwrap().lines();
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(
        lines[0].contains("retention.ms 12345 -> 900000"),
        "{lines:?}"
    );
    for (name, value) in [
        ("retention.ms", "900000"),
        ("segment.ms", "900000"),
        ("flush.ms", "54321"),
    ] {
        let found = installation.setting("heartbeat", name).await;
        assert_eq!(found.as_deref(), Some(value), "{name}");
    }
    assert!(apply(&config).await.unwrap().is_empty());
    installation.remove().await;
}

#[tokio::test]
async fn given_a_topic_with_other_partitions_when_applied_then_it_is_named_and_nothing_touched() {
    let installation = Installation::new("sync-partitions").await;
    installation.create_topic("balance_changed", 3).await;
    let outcome = apply(&installation.config()).await;
    let said = outcome.as_ref().unwrap_err().to_string();
    assert!(said.contains("has 3 partitions instead of 9"), "{said}");
    assert_eq!(
        drifts(outcome),
        [Drift::Partitions {
            topic: installation.topic("balance_changed"),
            expected: 9,
            found: 3,
        }]
    );
    assert_eq!(installation.topics(), ["balance_changed"]);
    installation.remove().await;
}

#[tokio::test]
async fn given_another_schema_in_our_place_when_applied_then_the_drift_is_named() {
    let installation = Installation::new("sync-schema").await;
    let subject = "heartbeat-nl.openweb.data.Heartbeat";
    let registered = installation
        .register(
            subject,
            r#"{"type":"record","name":"Heartbeat","namespace":"nl.openweb.data",
                "fields":[{"name":"beat","type":"long"},{"name":"x","type":"long","default":1}]}"#,
        )
        .await;
    assert!(registered.status().is_success());
    assert_eq!(
        drifts(apply(&installation.config()).await),
        [Drift::Schema {
            subject: installation.topic(subject),
            version: 1,
        }]
    );
    installation.remove().await;
}

#[tokio::test]
async fn given_a_migration_of_a_newer_build_when_applied_then_the_drift_is_named() {
    let installation = Installation::new("sync-migration").await;
    let config = installation.config();
    apply(&config).await.unwrap();
    execute(
        &installation.endpoint.url,
        "INSERT INTO __diesel_schema_migrations (version) VALUES ('29990101000000')",
    )
    .await;
    assert_eq!(
        drifts(apply(&config).await),
        [Drift::UnknownMigration {
            database: "graphql_endpoint",
            version: "29990101000000".to_owned(),
        }]
    );
    installation.remove().await;
}

#[tokio::test]
async fn given_topics_and_subjects_we_do_not_know_when_applied_then_they_are_left_alone() {
    let installation = Installation::new("sync-unknown").await;
    let config = installation.config();
    installation.create_topic("somebody_elses", 2).await;
    let registered = installation.register("somebody_elses", r#""string""#).await;
    assert!(registered.status().is_success());
    apply(&config).await.unwrap();
    assert!(apply(&config).await.unwrap().is_empty());
    assert!(installation.topics().contains(&"somebody_elses".to_owned()));
    let url = format!(
        "{}/subjects/{}/versions",
        installation.cluster.schema_registry_url,
        installation.topic("somebody_elses")
    );
    let versions = reqwest::get(url).await.unwrap().text().await.unwrap();
    assert_eq!(versions, "[1]");
    installation.remove().await;
}

#[tokio::test]
async fn given_what_stays_away_when_the_deadline_is_over_then_all_of_it_is_named() {
    let installation = Installation::new("sync-away").await;
    let registry = format!("http://{NOWHERE}/apis/ccompat/v7");
    let database = format!("postgres://u:secret@{NOWHERE}/command_handler");
    for (replaced, expected) in [
        (
            vec![
                ("--kafka-brokers", NOWHERE),
                ("--schema-registry-url", registry.as_str()),
            ],
            vec![
                "kafka at 127.0.0.1:9",
                "schema registry at http://127.0.0.1:9",
            ],
        ),
        (
            vec![("--command-handler-database-url", database.as_str())],
            vec!["database command_handler"],
        ),
    ] {
        let replaced = [replaced, vec![("--deadline-seconds", "1")]].concat();
        let config = installation.config_but(&replaced);
        let error = apply(&config).await.unwrap_err();
        assert!(
            matches!(error, SynchronizerError::Deadline { .. }),
            "{error:?}"
        );
        let said = error.to_string();
        for part in expected {
            assert!(said.contains(part), "{said}");
        }
        assert!(!said.contains("secret"), "{said}");
    }
    assert!(installation.topics().is_empty());
    installation.remove().await;
}

fn program(arguments: &[&str], variables: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_synchronizer"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("BANK_") {
            command.env_remove(name);
        }
    }
    let variables = variables.iter().copied();
    command.args(arguments).envs(variables).output().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_program_when_run_then_its_exit_code_and_output_say_what_happened() {
    let installation = Installation::new("sync-program").await;
    let arguments = installation.arguments();
    let mut line: Vec<&str> = Vec::new();
    for (name, value) in &arguments {
        line.extend([*name, value.as_str()]);
    }
    let dry: Vec<&str> = [line.as_slice(), &["--dry-run"]].concat();

    let printed = program(&dry, &[]);
    assert!(printed.status.success(), "{printed:?}");
    let text = String::from_utf8(printed.stdout).unwrap();
    assert!(text.contains("create topic"), "{text}");
    assert!(text.contains("migrate database command_handler"), "{text}");
    assert!(installation.topics().is_empty());

    assert!(program(&line, &[]).status.success());
    let second = program(&line, &[]);
    assert!(second.status.success());
    assert!(String::from_utf8_lossy(&second.stderr).contains(NOTHING_TO_DO));
    let printed = program(&dry, &[]);
    assert_eq!(printed.stdout, format!("{NOTHING_TO_DO}\n").as_bytes());
    installation.remove().await;
}

#[test]
fn given_a_configuration_that_cannot_work_when_run_then_it_exits_with_2_and_names_it() {
    let handler = ("BANK_COMMAND_HANDLER_DATABASE_URL", "postgres://u:p@h/d");
    let endpoint = ("BANK_GRAPHQL_ENDPOINT_DATABASE_URL", "postgres://u:p@h/e");
    for (variables, named) in [
        (vec![handler], "--graphql-endpoint-database-url"),
        (
            vec![handler, ("BANK_GRAPHQL_ENDPOINT_DATABASE_URL", "mysql://")],
            "--graphql-endpoint-database-url",
        ),
        (
            vec![handler, endpoint, ("BANK_DEADLINE_SECONDS", "0")],
            "--deadline-seconds",
        ),
        (
            vec![handler, endpoint, ("BANK_DEADLINE", "5")],
            "BANK_DEADLINE",
        ),
    ] {
        let output = program(&[], &variables);
        assert_eq!(output.status.code(), Some(2), "{named}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains(named), "{said}");
    }
}
