//! Every truncation and every flipped bit of each command record, from bytes to plan:
//! nothing panics, nothing asks for much memory, and money stays whole.

use std::collections::BTreeMap;

use apache_avro::Schema;
use command_handler::batch::{self, Item, Plan};
use command_handler::request::Request;
use futures_util::FutureExt as _;
use topology::consumer::Consumed;
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer, RecordKind};
use topology::{CASH, Cents, Codec, CommandId, DecodeError, Record, Token, Topic};

use super::workload::{self, Workload};

/// Most memory one record may make the core ask for, in bytes, all requests added up.
const MEMORY_MAX_BYTES: u64 = 1024 * 1024;
/// Id of a schema that is not the newest, so that its records are read by the library.
const OTHER_SCHEMA: u32 = 90;
const HEADER: usize = 5;

/// The newest schema of a command and one field more.
fn other_schema(kind: RecordKind) -> Schema {
    let mut schema = serde_json::to_value(topology::schemas::newest(kind)).unwrap();
    let more = serde_json::json!({ "name": "more", "type": "string", "default": "" });
    schema["fields"].as_array_mut().unwrap().push(more);
    Schema::parse(&schema).unwrap()
}

struct Given {
    workload: Workload,
    codec: Codec,
}

impl Given {
    fn for_command(kind: RecordKind) -> Given {
        Given {
            workload: Workload::new(),
            codec: workload::codec().knowing(OTHER_SCHEMA, kind, other_schema(kind)),
        }
    }

    /// As the handler reads a record; `None` for what a registry would have to be asked.
    fn read(&self, record: Consumed) -> Option<Item> {
        let value = record.value.as_deref();
        let read = match self.codec.decode_borrowed(record.topic, value) {
            Some(read) => read.map(Request::from_record),
            None if !is_known(value) => return None,
            None => {
                let read = self.codec.decode(record.topic, value);
                let read = read.now_or_never().expect("the id is known");
                read.map(|read| Request::from_record((&read).into()))
            }
        };
        let request = match read {
            Ok(request) => request,
            Err(DecodeError::Undecodable { reason, .. }) => Err(reason),
            Err(error) => panic!("{error}"),
        };
        Some(Item { record, request })
    }

    fn check(&self, topic: Topic, value: &[u8]) {
        let record = workload::consumed(topic, 7, value.to_vec());
        let mut plan = None;
        let memory = allocation_counter::measure(|| {
            plan = self.read(record).map(|item| {
                let items = [item];
                let key = &self.workload.key;
                std::hint::black_box(batch::touched_ibans(&items, key));
                std::hint::black_box(batch::command_ids(&items));
                self.workload.plan(&items)
            });
        });
        assert!(
            memory.bytes_total <= MEMORY_MAX_BYTES,
            "{} bytes for {value:02x?}",
            memory.bytes_total
        );
        if let Some(plan) = plan {
            is_whole(&plan, value);
        }
    }
}

fn is_known(value: Option<&[u8]>) -> bool {
    value.is_some_and(|value| value[1..HEADER] == OTHER_SCHEMA.to_be_bytes())
}

/// One outcome or one dead letter with the bytes as they came; two entries that sum to
/// zero or none; and the offset moved.
fn is_whole(plan: &Plan, value: &[u8]) {
    assert_eq!(plan.outcomes.len() + plan.dead_letters.len(), 1);
    if let Some(letter) = plan.dead_letters.iter().next() {
        assert_eq!(letter.value, Some(value));
    }
    let mut sums = BTreeMap::<CommandId, (usize, i64)>::new();
    for entry in &plan.entries {
        let (count, sum) = sums.entry(entry.command_id).or_default();
        *count += 1;
        *sum += entry.delta.0;
    }
    assert!(sums.values().all(|it| *it == (2, 0)), "{sums:?}");
    assert_eq!(plan.offsets[0].next_offset, 8);
}

/// Commands that differ in what they make the core do.
fn commands(workload: &Workload) -> Vec<(Topic, Record)> {
    let id = CommandId::from_bytes([0x5a; 16]);
    let own = |at: usize| workload.accounts[at].iban.to_string();
    let transfer = |from: &str, to: &str, description: &str| {
        let record = Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
            id,
            token: Token::new("abcdefghijklmnopqrstuvwxyz".to_owned()),
            amount: Cents(12_345),
            from: from.to_owned(),
            to: to.to_owned(),
            description: description.to_owned(),
        });
        (Topic::ConfirmMoneyTransfer, record)
    };
    let opening = |account_type| {
        let record = Record::ConfirmAccountCreation(ConfirmAccountCreation { id, account_type });
        (Topic::ConfirmAccountCreation, record)
    };
    vec![
        opening(AccountType::Auto),
        opening(AccountType::Manual),
        transfer(&own(0), &own(1), "Groceries"),
        transfer(CASH, &own(1), ""),
        transfer(&own(0), "Albert Heijn BV", "€ 123,45 für Äpfel 🍏"),
        transfer(&own(0), "DE89370400440532013000", &"x".repeat(140)),
    ]
}

fn with_each_end_and_each_bit(value: &[u8], check: impl Fn(&[u8])) {
    check(value);
    for length in 0..value.len() {
        check(&value[..length]);
    }
    let mut flipped = value.to_vec();
    for at in 0..value.len() {
        for bit in 0..8 {
            flipped[at] ^= 1 << bit;
            check(&flipped);
            flipped[at] ^= 1 << bit;
        }
    }
}

#[test]
fn no_end_and_no_bit_of_a_command_does_harm() {
    for kind in [
        RecordKind::ConfirmAccountCreation,
        RecordKind::ConfirmMoneyTransfer,
    ] {
        let given = Given::for_command(kind);
        for (topic, record) in commands(&given.workload) {
            if record.kind() != kind {
                continue;
            }
            let value = given.codec.encode(topic, &record).unwrap();
            with_each_end_and_each_bit(&value, |value| given.check(topic, value));
        }
    }
}

#[test]
fn no_end_and_no_bit_of_a_command_of_another_schema_does_harm() {
    for kind in [
        RecordKind::ConfirmAccountCreation,
        RecordKind::ConfirmMoneyTransfer,
    ] {
        let given = Given::for_command(kind);
        for (topic, record) in commands(&given.workload) {
            if record.kind() != kind {
                continue;
            }
            let mut value = given.codec.encode(topic, &record).unwrap();
            value[1..HEADER].copy_from_slice(&OTHER_SCHEMA.to_be_bytes());
            value.extend_from_slice(b"\x08more");
            let read = given.read(workload::consumed(topic, 7, value.clone()));
            assert!(read.unwrap().request.is_ok());
            with_each_end_and_each_bit(&value, |value| given.check(topic, value));
        }
    }
}

/// Lengths that claim the most a number can hold, or less than nothing.
#[test]
fn no_claimed_length_does_harm() {
    let given = Given::for_command(RecordKind::ConfirmMoneyTransfer);
    let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    let least = [0x01];
    let just_allowed = [0x80, 0x80, 0x08];
    for schema in [2, OTHER_SCHEMA] {
        for length in [most.as_slice(), &least, &just_allowed] {
            let value = [&[0], &schema.to_be_bytes()[..], &[0x5a; 16], length].concat();
            given.check(Topic::ConfirmMoneyTransfer, &value);
        }
    }
}
