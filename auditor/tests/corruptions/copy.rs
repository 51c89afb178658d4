//! Topics written again, under another prefix.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseRecord, DefaultProducerContext, Producer, ThreadedProducer};
use topology::topics::DEFINITIONS;
use topology::{Codec, Topic};

use crate::log::{Log, TOPICS};

const BROKER_PATIENCE: Duration = Duration::from_secs(30);

fn admin(brokers: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .create()
        .unwrap()
}

fn name_of(topic: Topic) -> (&'static str, i32) {
    let definition = DEFINITIONS.iter().find(|it| it.topic == topic).unwrap();
    (definition.name, definition.partitions)
}

/// Makes the topics and writes the log into them, record for record.
pub(crate) async fn write_topics(brokers: &str, from: &str, to: &str, log: Log, codec: &Codec) {
    let names: Vec<(String, i32)> = TOPICS
        .iter()
        .map(|topic| name_of(*topic))
        .map(|(name, partitions)| (format!("{to}{name}"), partitions))
        .collect();
    let topics: Vec<NewTopic<'_>> = names
        .iter()
        .map(|(name, partitions)| NewTopic::new(name, *partitions, TopicReplication::Fixed(1)))
        .collect();
    let made = admin(brokers)
        .create_topics(&topics, &AdminOptions::new())
        .await
        .unwrap();
    made.into_iter().for_each(|it| drop(it.unwrap()));
    let producer: ThreadedProducer<DefaultProducerContext> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .set("enable.idempotence", "true")
        .set("linger.ms", "5")
        .create()
        .unwrap();
    for entry in log.entries {
        let value = match &entry.record {
            Some(record) => codec.encode(entry.topic, record).unwrap(),
            None => entry.value,
        };
        let headers = entry
            .headers
            .iter()
            .fold(OwnedHeaders::new(), |headers, (key, value)| {
                let text = String::from_utf8_lossy(value);
                let moved = text.strip_prefix(from).map(|rest| format!("{to}{rest}"));
                let value = match (key.as_str(), moved) {
                    ("source_topic", Some(moved)) => moved.into_bytes(),
                    _ => value.clone(),
                };
                headers.insert(Header {
                    key,
                    value: Some(&value),
                })
            });
        let name = format!("{to}{}", name_of(entry.topic).0);
        let record = BaseRecord::to(&name)
            .partition(entry.partition)
            .timestamp(entry.timestamp_ms)
            .key(&entry.key)
            .payload(&value)
            .headers(headers);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    tokio::task::block_in_place(|| producer.flush(BROKER_PATIENCE)).unwrap();
}

/// Gives the broker its room back.
pub(crate) async fn remove_topics(brokers: &str, prefix: &str) {
    let names: Vec<String> = TOPICS
        .iter()
        .map(|topic| format!("{prefix}{}", name_of(*topic).0))
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let removed = admin(brokers)
        .delete_topics(&names, &AdminOptions::new())
        .await;
    removed.unwrap();
}
