//! The command generator against real brokers and a real registry.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use command_generator::{Config, GeneratorError};
use local_cluster::Endpoints;
use local_cluster::testing::{
    client_arguments, create_database, drop_database, free_address, shared_cluster,
    synchronizer_arguments, unique_prefix,
};
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Headers as _, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::kafka::KafkaConfig;
use topology::producer::{Outgoing, Producer};
use topology::records::{
    AccountCreationConfirmed, AccountType, ConfirmMoneyTransfer, Heartbeat, Record,
};
use topology::{COMPANY_IBAN, Codec, CommandId, Iban, Token, Topic};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const COMPANY_TOKEN: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// Makes topics and schemas under a prefix.
async fn synchronize(cluster: &Endpoints, prefix: &str) {
    let handler = create_database(cluster, "generator_handler").await.unwrap();
    let endpoint = create_database(cluster, "generator_endpoint")
        .await
        .unwrap();
    let arguments = synchronizer_arguments(cluster, prefix, &handler, &endpoint);
    let config = synchronizer::Config::try_parse_from(arguments);
    synchronizer::apply(&config.unwrap()).await.unwrap();
    for database in [handler, endpoint] {
        drop_database(cluster, &database).await.unwrap();
    }
}

/// The world around a generator.
struct World {
    cluster: &'static Endpoints,
    prefix: String,
    kafka: KafkaConfig,
    codec: Codec,
    producer: Producer,
    token_file: PathBuf,
    next_beat: i64,
}

impl World {
    async fn new(test: &str) -> World {
        let cluster = shared_cluster();
        let prefix = unique_prefix(test);
        synchronize(cluster, &prefix).await;
        let token_file = std::env::temp_dir().join(format!("{prefix}company.token"));
        std::fs::write(&token_file, format!("{COMPANY_TOKEN}\n")).unwrap();
        let kafka = config(cluster, &prefix, "127.0.0.1:0", &token_file)
            .common
            .kafka;
        let written = [
            Topic::Heartbeat,
            Topic::AccountCreationFeedback,
            Topic::ConfirmMoneyTransfer,
        ];
        World {
            codec: Codec::connect(&cluster.schema_registry_url, &kafka.topics(), &written).await,
            producer: Producer::new(&kafka, "generator-test").unwrap(),
            cluster,
            prefix,
            kafka,
            token_file,
            // The next one that opens no account, nor do 170 after it.
            next_beat: 21,
        }
    }

    async fn send(&self, topic: Topic, key: &str, value: &[u8]) {
        let outgoing = Outgoing {
            topic,
            key: key.as_bytes(),
            value: Some(value),
            headers: &[],
        };
        let delivery = self.producer.send(outgoing).await.unwrap();
        delivery.wait().await.unwrap();
    }

    async fn beat(&mut self, count: usize) {
        for _ in 0..count {
            let beat = self.next_beat;
            self.next_beat += 1;
            let record = Record::Heartbeat(Heartbeat { beat });
            let value = self.codec.encode(Topic::Heartbeat, &record).unwrap();
            self.send(Topic::Heartbeat, "time", &value).await;
        }
    }

    async fn confirm(&self, iban: &str, account_type: AccountType) {
        let topic = Topic::AccountCreationFeedback;
        let record = Record::AccountCreationConfirmed(AccountCreationConfirmed {
            id: CommandId::from_bytes([1; 16]),
            iban: iban.to_owned(),
            token: Token::new(format!("token of {iban}")),
            account_type,
        });
        let value = self.codec.encode(topic, &record).unwrap();
        self.send(topic, "command", &value).await;
    }

    /// All records of a topic, once there are at least so many; in no order between
    /// partitions.
    async fn records(&self, topic: Topic, at_least: usize) -> Vec<OwnedMessage> {
        let consumer: BaseConsumer = self
            .kafka
            .client("generator-test")
            .set("group.id", "generator-test")
            .create()
            .unwrap();
        let mut list = TopicPartitionList::new();
        let name = self.kafka.topics().name(topic);
        for partition in 0..topic.definition().partitions {
            list.add_partition_offset(&name, partition, Offset::Beginning)
                .unwrap();
        }
        consumer.assign(&list).unwrap();
        tokio::task::spawn_blocking(move || {
            let deadline = std::time::Instant::now() + PATIENCE;
            let mut records = Vec::new();
            let mut wait = PATIENCE;
            loop {
                match consumer.poll(wait) {
                    Some(Ok(message)) => records.push(message.detach()),
                    Some(Err(error)) => assert!(std::time::Instant::now() < deadline, "{error}"),
                    None => break,
                }
                if records.len() >= at_least {
                    // What else there is shows within this time.
                    wait = Duration::from_millis(700);
                }
            }
            assert!(records.len() >= at_least, "only {} records", records.len());
            records
        })
        .await
        .unwrap()
    }

    async fn transfers(&self, at_least: usize) -> Vec<ConfirmMoneyTransfer> {
        let mut transfers = Vec::new();
        for record in self.records(Topic::ConfirmMoneyTransfer, at_least).await {
            let decoded = self
                .codec
                .decode(Topic::ConfirmMoneyTransfer, record.payload());
            let Record::ConfirmMoneyTransfer(transfer) = decoded.await.unwrap() else {
                panic!("only transfers here");
            };
            let key = String::from_utf8(record.key().unwrap().to_vec()).unwrap();
            let payer = if transfer.from == "cash" {
                &transfer.to
            } else {
                &transfer.from
            };
            assert_eq!(key, *payer);
            transfers.push(transfer);
        }
        transfers
    }

    async fn start(&self) -> Service {
        let address = free_address();
        let config = config(self.cluster, &self.prefix, &address, &self.token_file);
        let stop = CancellationToken::new();
        let task = tokio::spawn(command_generator::run(config, stop.clone()));
        let ready = async {
            while !reqwest::get(format!("http://{address}/readyz"))
                .await
                .is_ok_and(|answer| answer.status() == 200)
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, ready).await.expect("it becomes ready");
        Service { stop, task }
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.token_file);
    }
}

fn config(
    cluster: &Endpoints,
    prefix: &str,
    address: &str,
    token_file: &std::path::Path,
) -> Config {
    let mut arguments = vec!["command-generator".to_owned()];
    arguments.extend(client_arguments(cluster, prefix));
    let token_file = token_file.to_str().unwrap();
    let own = [
        "--operations-address",
        address,
        "--company-token-file",
        token_file,
    ];
    arguments.extend(own.map(str::to_owned));
    Config::try_parse_from(arguments).unwrap()
}

struct Service {
    stop: CancellationToken,
    task: JoinHandle<Result<(), GeneratorError>>,
}

impl Service {
    async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(Duration::from_secs(10), self.task).await;
        ended.expect("it stops in time").unwrap().unwrap();
    }
}

fn own_payers(transfers: &[ConfirmMoneyTransfer]) -> BTreeSet<&str> {
    transfers
        .iter()
        .map(|transfer| transfer.from.as_str())
        .filter(|from| *from != "cash" && *from != COMPANY_IBAN)
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_restart_when_beats_go_on_then_the_accounts_are_known_again() {
    let mut world = World::new("generator-restart").await;
    let [one, other, new, persons] = [1, 2, 3, 4].map(Iban::of_our_bank);
    world.confirm(one.as_str(), AccountType::Auto).await;
    world.confirm(persons.as_str(), AccountType::Manual).await;
    world.confirm(other.as_str(), AccountType::Auto).await;

    let service = world.start().await;
    world.beat(40).await;
    let transfers = world.transfers(40).await;
    assert_eq!(
        transfers.len(),
        40,
        "one a beat, no salary for those known before"
    );
    assert_eq!(
        own_payers(&transfers),
        [one.as_str(), other.as_str()].into()
    );
    for transfer in &transfers {
        assert_ne!(transfer.from, transfer.to);
        match transfer.from.as_str() {
            "cash" => {}
            COMPANY_IBAN => assert_eq!(transfer.token.expose(), COMPANY_TOKEN),
            iban => assert_eq!(transfer.token.expose(), format!("token of {iban}")),
        }
    }

    // A new account has its salary at once, and only once.
    world.confirm(new.as_str(), AccountType::Auto).await;
    world.confirm(new.as_str(), AccountType::Auto).await;
    let transfers = world.transfers(41).await;
    assert_eq!(transfers.len(), 41);
    let is_salary = |it: &&ConfirmMoneyTransfer| it.from == COMPANY_IBAN && it.to == new.as_str();
    let salaries: Vec<_> = transfers.iter().filter(is_salary).collect();
    assert_eq!(salaries.len(), 1);
    assert!(salaries[0].description.starts_with("salary "));
    service.stop().await;

    // Beats sent meanwhile are answered, those answered are not answered again.
    world.beat(5).await;
    let service = world.start().await;
    world.beat(75).await;
    let transfers = world.transfers(41 + 80).await;
    assert_eq!(transfers.len(), 41 + 80);
    let known = [one.as_str(), other.as_str(), new.as_str()];
    assert_eq!(own_payers(&transfers), known.into());
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_records_nobody_can_read_when_met_then_they_are_put_aside_and_the_next_is_handled() {
    let mut world = World::new("generator-useless").await;
    world
        .send(Topic::AccountCreationFeedback, "odd", b"no record at all")
        .await;
    let service = world.start().await;
    world.send(Topic::Heartbeat, "broken", &[0, 0, 0]).await;
    world
        .send(Topic::Heartbeat, "unknown", &[0, 0xff, 0, 0, 1, 2])
        .await;
    world.beat(1).await;
    assert_eq!(world.transfers(1).await.len(), 1);
    service.stop().await;

    // What was put aside before a start is not put aside again after it.
    world.start().await.stop().await;
    let letters = world.records(Topic::DeadLetters, 3).await;
    let mut told: Vec<Vec<String>> = letters
        .iter()
        .map(|letter| {
            let headers = letter.headers().unwrap();
            [
                "source_topic",
                "source_partition",
                "source_offset",
                "reason",
            ]
            .iter()
            .map(|name| {
                let mut found = headers.iter().filter(|header| header.key == *name);
                let value = found.next().unwrap().value.unwrap();
                String::from_utf8(value.to_vec()).unwrap()
            })
            .chain([
                String::from_utf8(letter.key().unwrap().to_vec()).unwrap(),
                format!("{:?}", letter.payload().unwrap()),
            ])
            .collect()
        })
        .collect();
    told.sort();
    let topics = world.kafka.topics();
    let (feedback, heartbeat) = (
        topics.name(Topic::AccountCreationFeedback),
        topics.name(Topic::Heartbeat),
    );
    let odd = format!("{:?}", b"no record at all");
    assert_eq!(
        told,
        [
            [&feedback, "0", "0", "FRAMING", "odd", &odd],
            [&heartbeat, "0", "0", "FRAMING", "broken", "[0, 0, 0]"],
            [
                &heartbeat,
                "0",
                "1",
                "UNKNOWN_SCHEMA",
                "unknown",
                "[0, 255, 0, 0, 1, 2]"
            ],
        ]
    );
}
