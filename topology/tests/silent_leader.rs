//! A broker that went silent while another took over its partitions: what was asked of it is
//! asked of the other one, and not after a minute.

use std::time::{Duration, Instant};

use clap::Parser;
use rdkafka::mocking::MockCluster;
use topology::kafka::KafkaConfig;
use topology::producer::{Outgoing, Producer};
use topology::{Topic, partition};

/// One request that is not answered, and one for who leads now that asks the same broker.
const WAIT_MAX: Duration = Duration::from_secs(25);
/// Longer than anybody waits.
const SILENCE: Duration = Duration::from_secs(600);
const KEY: &[u8] = b"NL66OPEN0000000000";

#[derive(Parser)]
struct Settings {
    #[command(flatten)]
    kafka: KafkaConfig,
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_leader_that_is_silent_when_another_leads_then_a_record_is_delivered_in_time() {
    let cluster = MockCluster::new(3).unwrap();
    let definition = Topic::BalanceChanged.definition();
    cluster
        .create_topic(definition.name, definition.partitions, 3)
        .unwrap();
    let partition = partition::of_key(Topic::BalanceChanged, KEY);
    let lead = |broker: i32| {
        cluster
            .partition_leader(definition.name, partition, Some(broker))
            .unwrap();
    };
    lead(1);
    let brokers = cluster.bootstrap_servers();
    let settings = Settings::parse_from(["test", "--kafka-brokers", &brokers]);
    let producer = Producer::new(&settings.kafka, "silent-leader").unwrap();
    let send = async |value: &str| {
        let outgoing = Outgoing {
            topic: Topic::BalanceChanged,
            key: KEY,
            value: Some(value.as_bytes()),
            headers: &[],
        };
        producer.send(outgoing).await.unwrap()
    };
    send("before").await.wait().await.unwrap();

    cluster.broker_round_trip_time(1, SILENCE).unwrap();
    let under_way = send("under way").await;
    lead(2);
    let after = send("after").await;
    let began = Instant::now();
    for delivery in [under_way, after] {
        let delivered = tokio::time::timeout(WAIT_MAX, delivery.wait()).await;
        delivered.expect("somebody else takes it").unwrap();
    }
    println!("delivered after {:?}", began.elapsed());
}
