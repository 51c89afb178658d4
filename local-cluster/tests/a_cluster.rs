//! A real cluster: its parts answer, it survives the death of any of them, and it leaves nothing behind.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use local_cluster::{Cluster, Endpoints, Event, ProcessIdentity, State, testing};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
    producer::{FutureProducer, FutureRecord},
};
use rustix::process::Signal;

/// The bank promises to be back within it.
const RECOVERY_DEADLINE: Duration = Duration::from_secs(30);

fn kafka(cluster: &Endpoints) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &cluster.kafka_brokers)
        .set("broker.address.family", "v4");
    config
}

async fn make_topic(cluster: &Endpoints, name: &str) {
    let admin: AdminClient<DefaultClientContext> = kafka(cluster).create().unwrap();
    let topic = NewTopic::new(name, 1, TopicReplication::Fixed(1));
    for result in admin
        .create_topics(&[topic], &AdminOptions::new())
        .await
        .unwrap()
    {
        result.unwrap();
    }
}

async fn send(cluster: &Endpoints, topic: &str) {
    let producer: FutureProducer = kafka(cluster).create().unwrap();
    producer
        .send(
            FutureRecord::to(topic).key("key").payload("payload"),
            RECOVERY_DEADLINE,
        )
        .await
        .map_err(|(error, _)| error)
        .unwrap();
}

fn records(cluster: &Endpoints, topic: &str) -> i64 {
    let consumer: BaseConsumer = kafka(cluster).create().unwrap();
    consumer
        .fetch_watermarks(topic, 0, RECOVERY_DEADLINE)
        .unwrap()
        .1
}

async fn subjects(cluster: &Endpoints) -> Option<String> {
    let url = format!("{}/subjects", cluster.schema_registry_url);
    let response = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .get(url)
        .send()
        .await
        .ok()?;
    response.error_for_status().ok()?.text().await.ok()
}

async fn count_tables(url: &str) -> Result<i64, tokio_postgres::Error> {
    let (client, connection) = tokio_postgres::connect(url, tokio_postgres::NoTls).await?;
    tokio::spawn(connection);
    Ok(client
        .query_one("SELECT count(*) FROM information_schema.tables", &[])
        .await?
        .get(0))
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut check: impl FnMut() -> F) {
    let until_true = async {
        while !check().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(RECOVERY_DEADLINE, until_true)
        .await
        .unwrap_or_else(|_| panic!("{what}: not in time"));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_shared_cluster_when_used_then_each_test_has_its_own_topics_and_databases() {
    let cluster = testing::shared_cluster();

    let first = testing::create_database(cluster, "Some Test")
        .await
        .unwrap();
    let second = testing::create_database(cluster, "Some Test")
        .await
        .unwrap();
    assert_ne!(first.name, second.name);
    assert!(count_tables(&first.url).await.unwrap() > 0);
    let intruder = second
        .url
        .replace(&format!("/{}", second.name), &format!("/{}", first.name));
    let others_password = intruder.replacen(&first.name, &second.name, 1);
    assert!(
        count_tables(&others_password).await.is_err(),
        "an owner must not enter another one's database"
    );
    for database in [first, second] {
        testing::drop_database(cluster, &database).await.unwrap();
        assert!(count_tables(&database.url).await.is_err());
    }

    let topic = format!("{}heartbeat", testing::unique_prefix("some test"));
    make_topic(cluster, &topic).await;
    send(cluster, &topic).await;
    assert_eq!(records(cluster, &topic), 1);
    assert!(subjects(cluster).await.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_cluster_when_each_part_is_killed_then_it_is_back_with_its_data_and_stop_leaves_nothing()
 {
    let folder = tempfile::tempdir().unwrap();
    let events = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&events);
    let cluster = Cluster::open(
        folder.path(),
        &[],
        Arc::new(move |event| heard.lock().unwrap().push(event.clone())),
    )
    .await
    .unwrap();
    cluster.start().await.unwrap();
    let endpoints = cluster.endpoints().clone();
    make_topic(&endpoints, "kept").await;
    send(&endpoints, "kept").await;
    let process = |name: &str| -> Option<ProcessIdentity> {
        State::load(cluster.layout())
            .unwrap()?
            .programs
            .get(name)?
            .process
    };

    for name in ["postgres", "kafka", "registry"] {
        let killed = process(name).unwrap();
        killed.signal(Signal::KILL);
        eventually(name, || async {
            process(name).is_some_and(|new| new != killed && new.is_alive())
        })
        .await;
        eventually(name, || async { subjects(&endpoints).await.is_some() }).await;
        let died = |event: &Event| matches!(event, Event::Died { name: died, .. } if died == name);
        assert!(
            events.lock().unwrap().iter().any(died),
            "the death of {name} is reported"
        );
    }
    send(&endpoints, "kept").await;
    assert_eq!(records(&endpoints, "kept"), 2);
    let url = cluster.database_url("command_handler").unwrap();
    eventually("postgres", || async { count_tables(&url).await.is_ok() }).await;

    let processes = cluster.processes();
    assert_eq!(processes.len(), 3);
    cluster.stop().await;
    assert!(processes.iter().all(|process| !process.is_alive()));
    assert!(cluster.processes().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_directory_with_a_supervisor_when_another_opens_it_then_it_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let _first = Cluster::open(folder.path(), &[], Arc::new(|_| {}))
        .await
        .unwrap();
    let second = Cluster::open(folder.path(), &[], Arc::new(|_| {})).await;
    assert!(second.is_err_and(|error| error.to_string().contains("in use by another supervisor")));
}
