//! The bank under test, what strangers know of it, and how they send.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::log::{client, read_all};
use e2e::{Bank, PATIENCE};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use topology::Iban;
use uuid::Uuid;

use crate::bytes::{Change, Datum, Transfer};

/// The largest record a stranger's client lets through; what a broker takes is its own choice.
const CLIENT_BYTES_MAX: &str = "40000000";
/// A secret that must not be seen anywhere but in the records it was sent in.
pub(crate) const CANARY: &str = "canary-7c1e5d90-token";
/// Own account numbers nobody has; the tests' changes are about these.
const UNUSED_NUMBERS: u64 = 700_000_000;

pub(crate) const HEARTBEAT: &str = "heartbeat";
pub(crate) const OPENINGS: &str = "confirm_account_creation";
pub(crate) const TRANSFERS: &str = "confirm_money_transfer";
pub(crate) const ACCOUNT_ANSWERS: &str = "account_creation_feedback";
pub(crate) const TRANSFER_ANSWERS: &str = "money_transfer_feedback";
pub(crate) const CHANGES: &str = "balance_changed";

/// A record to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Bad {
    pub(crate) topic: &'static str,
    pub(crate) partition: Option<i32>,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) timestamp_ms: Option<i64>,
    /// Of the client that sends it.
    pub(crate) compression: &'static str,
}

impl Bad {
    pub(crate) fn to(topic: &'static str, value: impl Into<Option<Vec<u8>>>) -> Bad {
        Bad {
            topic,
            partition: None,
            key: Some(b"a stranger's key".to_vec()),
            value: value.into(),
            headers: Vec::new(),
            timestamp_ms: None,
            compression: "none",
        }
    }

    pub(crate) fn with_key(self, key: impl Into<Option<Vec<u8>>>) -> Bad {
        Bad {
            key: key.into(),
            ..self
        }
    }

    pub(crate) fn with_headers(self, headers: Vec<(String, Vec<u8>)>) -> Bad {
        Bad { headers, ..self }
    }

    pub(crate) fn at(self, timestamp_ms: i64) -> Bad {
        Bad {
            timestamp_ms: Some(timestamp_ms),
            ..self
        }
    }

    pub(crate) fn compressed(self, compression: &'static str) -> Bad {
        Bad {
            compression,
            ..self
        }
    }

    pub(crate) fn in_partition(self, partition: i32) -> Bad {
        Bad {
            partition: Some(partition),
            ..self
        }
    }
}

/// Where a record came to stand.
pub(crate) type Place = (String, i32, i64);

/// A bank with an account that has money, and the ids of the schemas.
pub(crate) struct World {
    pub(crate) bank: Bank,
    pub(crate) iban: String,
    pub(crate) token: String,
    pub(crate) schemas: BTreeMap<&'static str, u32>,
    producers: BTreeMap<&'static str, FutureProducer>,
    unused: AtomicU64,
}

/// Schemas of strangers, under subjects of their own: name, type, text.
fn strangers_schemas() -> Vec<(&'static str, &'static str, String)> {
    let transfer = |name: &str, namespace: &str, fields: Value| {
        json!({ "type": "record", "name": name, "namespace": namespace, "fields": fields })
            .to_string()
    };
    let ours = "nl.openweb.data";
    let id = json!({ "name": "id", "type": { "type": "fixed", "name": "Uuid", "size": 16 } });
    let field = |name: &str, of: &str| json!({ "name": name, "type": of });
    let usual = || {
        vec![
            id.clone(),
            field("token", "string"),
            field("amount", "long"),
            field("from", "string"),
            field("to", "string"),
            field("description", "string"),
        ]
    };
    let with = |place: usize, field: Value| {
        let mut fields = usual();
        fields[place] = field;
        json!(fields)
    };
    let mut newer = usual();
    newer.push(json!({ "name": "channel", "type": "string", "default": "web" }));
    let mut reordered = usual();
    reordered.reverse();
    let mut shorter = usual();
    shorter.pop();
    let aliased = json!({ "name": "to", "type": "string", "aliases": ["payee"] });
    let robot = json!([id, { "name": "a_type", "type": {
        "type": "enum", "name": "Atype", "symbols": ["AUTO", "MANUAL", "ROBOT"] } }]);
    let name = "ConfirmMoneyTransfer";
    vec![
        ("newer", "AVRO", transfer(name, ours, json!(newer))),
        ("reordered", "AVRO", transfer(name, ours, json!(reordered))),
        ("shorter", "AVRO", transfer(name, ours, json!(shorter))),
        ("aliased", "AVRO", transfer(name, ours, with(4, aliased))),
        (
            "promoted",
            "AVRO",
            transfer(name, ours, with(2, field("amount", "int"))),
        ),
        (
            "incompatible",
            "AVRO",
            transfer(name, ours, with(2, field("amount", "string"))),
        ),
        (
            "elsewhere",
            "AVRO",
            transfer(name, "com.example", json!(usual())),
        ),
        (
            "robot",
            "AVRO",
            transfer("ConfirmAccountCreation", ours, robot),
        ),
        (
            "json",
            "JSON",
            json!({ "$schema": "http://json-schema.org/draft-07/schema#", "type": "object" })
                .to_string(),
        ),
        (
            "protobuf",
            "PROTOBUF",
            "syntax = \"proto3\"; message Transfer { string to = 1; }".to_owned(),
        ),
    ]
}

impl World {
    pub(crate) async fn start() -> Result<World> {
        let bank = Bank::start("bad-records")?;
        let iban = bank.open_account("witness").await?;
        let mut schemas = BTreeMap::new();
        for (name, topic, record, version) in [
            ("heartbeat", HEARTBEAT, "Heartbeat", "latest"),
            ("opening", OPENINGS, "ConfirmAccountCreation", "latest"),
            ("transfer", TRANSFERS, "ConfirmMoneyTransfer", "latest"),
            (
                "opened",
                ACCOUNT_ANSWERS,
                "AccountCreationConfirmed",
                "latest",
            ),
            (
                "not opened",
                ACCOUNT_ANSWERS,
                "AccountCreationFailed",
                "latest",
            ),
            (
                "moved",
                TRANSFER_ANSWERS,
                "MoneyTransferConfirmed",
                "latest",
            ),
            (
                "not moved",
                TRANSFER_ANSWERS,
                "MoneyTransferFailed",
                "latest",
            ),
            ("change of 2019", CHANGES, "BalanceChanged", "1"),
            ("change", CHANGES, "BalanceChanged", "2"),
        ] {
            let subject = format!("{topic}-nl.openweb.data.{record}");
            let url = format!(
                "{}/subjects/{subject}/versions/{version}",
                bank.schema_registry
            );
            let found: Value = bank.http.get(url).send().await?.json().await?;
            schemas.insert(name, id_in(&found)?);
        }
        for (name, kind, text) in strangers_schemas() {
            let url = format!(
                "{}/subjects/a-stranger-s-{name}/versions",
                bank.schema_registry
            );
            let body = json!({ "schema": text, "schemaType": kind });
            let made: Value = bank.http.post(url).json(&body).send().await?.json().await?;
            schemas.insert(name, id_in(&made).with_context(|| name.to_owned())?);
        }
        let mut producers = BTreeMap::new();
        for compression in ["none", "gzip", "snappy", "lz4"] {
            let producer = client(&bank.kafka)
                .set("message.max.bytes", CLIENT_BYTES_MAX)
                .set("batch.size", "1000000")
                .set("enable.idempotence", "true")
                .set("compression.codec", compression)
                .set("queue.buffering.max.kbytes", "200000")
                .create()?;
            producers.insert(compression, producer);
        }
        let mut world = World {
            bank,
            iban,
            token: String::new(),
            schemas,
            producers,
            unused: AtomicU64::new(UNUSED_NUMBERS),
        };
        world.token = world.token_of_witness()?;
        Ok(world)
    }

    /// From the record, which is where a stranger who can read the topics finds it.
    fn token_of_witness(&self) -> Result<String> {
        let answers = read_all(&self.bank.kafka, ACCOUNT_ANSWERS)?;
        let values = answers.iter().filter_map(|record| record.value.as_deref());
        for value in values {
            // Frame, id, then two texts with lengths below 64: one byte each.
            let Some((_, rest)) = value.split_at_checked(5 + 16) else {
                continue;
            };
            if rest[1..].starts_with(self.iban.as_bytes()) {
                let token = &rest[1 + self.iban.len()..];
                let length = usize::from(token[0] / 2);
                return Ok(String::from_utf8(token[1..=length].to_vec())?);
            }
        }
        anyhow::bail!("the witness has no token")
    }

    pub(crate) fn schema(&self, name: &str) -> u32 {
        self.schemas[name]
    }

    /// A good payment of a cent by the witness.
    pub(crate) fn transfer(&self) -> Transfer {
        Transfer {
            id: Uuid::new_v4(),
            token: self.token.clone(),
            amount_cents: 1,
            from: self.iban.clone(),
            to: "Shop".to_owned(),
            description: "a book".to_owned(),
        }
    }

    /// The same with something changed, as a record.
    pub(crate) fn transfer_with(&self, change: impl FnOnce(&mut Transfer)) -> (Uuid, Bad) {
        let mut transfer = self.transfer();
        change(&mut transfer);
        let value = transfer.datum().framed(self.schema("transfer"));
        (transfer.id, Bad::to(TRANSFERS, value))
    }

    pub(crate) fn opening(&self, id: Uuid) -> Vec<u8> {
        let datum = Datum::default().raw(id.as_bytes()).long(1);
        datum.framed(self.schema("opening"))
    }

    /// An account number of ours that no account has.
    pub(crate) fn unused_iban(&self) -> String {
        let number = self.unused.fetch_add(1, Ordering::Relaxed);
        Iban::of_our_bank(number).to_string()
    }

    /// The first change of an account nobody knows.
    pub(crate) fn change(&self) -> Change {
        Change {
            iban: self.unused_iban(),
            new_balance_cents: 100,
            changed_by_cents: 100,
            from_to: "cash".to_owned(),
            description: "a deposit".to_owned(),
            version: 1,
            command_id: Uuid::new_v4(),
            occurred_at_us: 1_763_726_400_000_000,
        }
    }

    pub(crate) fn change_record(&self, change: &Change) -> Bad {
        let value = change.datum().framed(self.schema("change"));
        Bad::to(CHANGES, value).with_key(change.iban.clone().into_bytes())
    }

    /// Sends records in order and waits until each has its place, or the broker refused it.
    pub(crate) async fn send(&self, records: Vec<Bad>) -> Result<Vec<Result<Place, String>>> {
        let mut under_way = Vec::with_capacity(records.len());
        for record in records {
            let mut message = FutureRecord::<Vec<u8>, Vec<u8>>::to(record.topic);
            message.partition = record.partition;
            message.key = record.key.as_ref();
            message.payload = record.value.as_ref();
            message.timestamp = record.timestamp_ms;
            if !record.headers.is_empty() {
                let headers = OwnedHeaders::new_with_capacity(record.headers.len());
                let headers = record
                    .headers
                    .iter()
                    .fold(headers, |headers, (name, value)| {
                        headers.insert(Header {
                            key: name,
                            value: Some(value),
                        })
                    });
                message.headers = Some(headers);
            }
            let producer = &self.producers[record.compression];
            let delivery = loop {
                match producer.send_result(message) {
                    Ok(delivery) => break Ok((record.topic, delivery)),
                    Err((error, back))
                        if error.rdkafka_error_code()
                            == Some(rdkafka::types::RDKafkaErrorCode::QueueFull) =>
                    {
                        message = back;
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    Err((error, _)) => break Err(error.to_string()),
                }
            };
            under_way.push(delivery);
        }
        let mut places = Vec::with_capacity(under_way.len());
        for delivery in under_way {
            places.push(match delivery {
                Ok((topic, delivery)) => {
                    let delivered = tokio::time::timeout(PATIENCE, delivery).await;
                    delivered
                        .context("not delivered in time")??
                        .map(|it| (topic.to_owned(), it.partition, it.offset))
                        .map_err(|(error, _)| error.to_string())
                }
                Err(error) => Err(error),
            });
        }
        Ok(places)
    }

    /// Secrets of this bank that may stand in records only.
    pub(crate) fn secrets(&self) -> Result<Vec<String>> {
        let mut secrets = vec![CANARY.to_owned(), self.token.clone()];
        for file in std::fs::read_dir(self.bank.directory().join("secrets"))? {
            let secret = std::fs::read_to_string(file?.path())?;
            ensure!(secret.trim().len() >= 16, "a secret of no length");
            secrets.push(secret.trim().to_owned());
        }
        Ok(secrets)
    }
}

fn id_in(answer: &Value) -> Result<u32> {
    let id = answer["id"].as_u64().with_context(|| answer.to_string())?;
    Ok(u32::try_from(id)?)
}
