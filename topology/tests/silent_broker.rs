//! A broker that is there and does not answer: nothing is lost, nothing overtakes, and
//! the wait costs nothing.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::time::Duration;

use local_cluster::{Cluster, Endpoints, State};
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rustix::process::Signal;
use topology::Topic;
use topology::consumer::{BATCH_RECORDS_MAX, BatchConsumer, Source, first_positions};
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::producer::{Outgoing, Producer};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
/// Time over which the cost of waiting is taken.
const OBSERVED: Duration = Duration::from_secs(2);
/// A fifth of one core; the library's spin takes a whole one.
const CPU_MAX: Duration = Duration::from_millis(400);
/// One partition's: with many, requests that wait for the connection hide the spin.
const KEY: &str = "NL66OPEN0000000000";
const RECORDS: u32 = 2_000;

async fn make_topic(cluster: &Endpoints) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", &cluster.kafka_brokers)
        .create()
        .unwrap();
    let definition = Topic::BalanceChanged.definition();
    let topic = NewTopic::new(
        definition.name,
        definition.partitions,
        TopicReplication::Fixed(1),
    );
    let made = admin.create_topics(&[topic], &AdminOptions::new()).await;
    made.unwrap().remove(0).unwrap();
}

/// CPU time of all threads of this process.
fn cpu_time() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanoseconds: u64 = tasks
        .filter_map(|task| {
            let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        })
        .sum();
    Duration::from_nanos(nanoseconds)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_silent_broker_when_records_are_sent_then_waiting_is_idle_and_all_arrive_in_order()
{
    let folder = tempfile::tempdir().unwrap();
    let quiet = std::sync::Arc::new(|_: &local_cluster::Event| {});
    let cluster = Cluster::open(folder.path(), &[], quiet).await.unwrap();
    cluster.start().await.unwrap();
    make_topic(cluster.endpoints()).await;
    let config = KafkaConfig {
        brokers: cluster.endpoints().kafka_brokers.clone(),
        group_protocol: GroupProtocol::Consumer,
        topic_prefix: String::new(),
        kafka_statistics_directory: None,
    };
    let producer = Producer::new(&config, "silence").unwrap();
    let send = async |number: u32| {
        let value = number.to_string();
        let outgoing = Outgoing {
            topic: Topic::BalanceChanged,
            key: KEY.as_bytes(),
            value: Some(value.as_bytes()),
            headers: &[],
        };
        producer.send(outgoing).await.unwrap()
    };
    send(0).await.wait().await.unwrap();

    let state = State::load(cluster.layout()).unwrap().unwrap();
    let kafka = state.programs["kafka"].process.unwrap();
    kafka.signal(Signal::STOP);
    let mut deliveries = Vec::new();
    for number in 1..=RECORDS {
        deliveries.push(send(number).await);
    }
    let before = cpu_time();
    tokio::time::sleep(OBSERVED).await;
    let spent = cpu_time() - before;
    kafka.signal(Signal::CONT);
    assert!(
        spent <= CPU_MAX,
        "{spent:?} of CPU in {OBSERVED:?} of waiting"
    );

    for delivery in deliveries {
        let delivered = tokio::time::timeout(PATIENCE, delivery.wait()).await;
        delivered.unwrap().unwrap();
    }
    let mut consumer = BatchConsumer::start(
        &config,
        "silence",
        Source::Fixed {
            group: "silence".to_owned(),
            positions: first_positions(&config, "silence", &[Topic::BalanceChanged])
                .await
                .unwrap(),
        },
        BATCH_RECORDS_MAX,
    )
    .unwrap();
    let mut next = 0;
    while next <= RECORDS {
        let batch = tokio::time::timeout(PATIENCE, consumer.next()).await;
        for record in batch.expect("all arrive").unwrap() {
            let value = String::from_utf8(record.value.unwrap()).unwrap();
            assert_eq!(value, next.to_string());
            next += 1;
        }
    }
    consumer.close().await;
    cluster.stop().await;
}
