//! What holds for every record, not only for the golden ones.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use futures_util::FutureExt as _;
use proptest::prelude::*;
use topology::codec::reference;
use topology::records::RecordKind;
use topology::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, Record,
};
use topology::topics::DEFINITIONS;
use topology::{Cents, Codec, CommandId, DecodeError, Token, Topic, schemas};

/// Any text, the empty and the foreign among it.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![any::<String>(), "[ -~]{0,40}", Just(String::new())]
}

fn id() -> impl Strategy<Value = CommandId> {
    any::<[u8; 16]>().prop_map(CommandId::from_bytes)
}

fn account_type() -> impl Strategy<Value = AccountType> {
    prop_oneof![Just(AccountType::Auto), Just(AccountType::Manual)]
}

fn change() -> impl Strategy<Value = Option<ChangeIdentity>> {
    let some =
        (any::<i64>(), id(), any::<i64>()).prop_map(|(version, command_id, at)| ChangeIdentity {
            version,
            command_id,
            occurred_at_us: at,
        });
    proptest::option::of(some)
}

fn record() -> impl Strategy<Value = (Topic, Record)> {
    let heartbeat =
        any::<i64>().prop_map(|beat| (Topic::Heartbeat, Record::Heartbeat(Heartbeat { beat })));
    let opening = (id(), account_type()).prop_map(|(id, account_type)| {
        let command = ConfirmAccountCreation { id, account_type };
        (
            Topic::ConfirmAccountCreation,
            Record::ConfirmAccountCreation(command),
        )
    });
    let opened =
        (id(), text(), text(), account_type()).prop_map(|(id, iban, token, account_type)| {
            let outcome = AccountCreationConfirmed {
                id,
                iban,
                token: Token::new(token),
                account_type,
            };
            (
                Topic::AccountCreationFeedback,
                Record::AccountCreationConfirmed(outcome),
            )
        });
    let not_opened = (id(), text()).prop_map(|(id, reason)| {
        let outcome = AccountCreationFailed { id, reason };
        (
            Topic::AccountCreationFeedback,
            Record::AccountCreationFailed(outcome),
        )
    });
    let transfer = (id(), text(), any::<i64>(), text(), text(), text()).prop_map(
        |(id, token, amount, from, to, description)| {
            let command = ConfirmMoneyTransfer {
                id,
                token: Token::new(token),
                amount: Cents(amount),
                from,
                to,
                description,
            };
            (
                Topic::ConfirmMoneyTransfer,
                Record::ConfirmMoneyTransfer(command),
            )
        },
    );
    let moved = id().prop_map(|id| {
        (
            Topic::MoneyTransferFeedback,
            Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id }),
        )
    });
    let not_moved = (id(), text()).prop_map(|(id, reason)| {
        let outcome = MoneyTransferFailed { id, reason };
        (
            Topic::MoneyTransferFeedback,
            Record::MoneyTransferFailed(outcome),
        )
    });
    let changed = (text(), any::<i64>(), any::<i64>(), text(), text(), change()).prop_map(
        |(iban, new_balance, changed_by, from_to, description, change)| {
            let event = BalanceChanged {
                iban,
                new_balance: Cents(new_balance),
                changed_by: Cents(changed_by),
                from_to,
                description,
                change,
            };
            (Topic::BalanceChanged, Record::BalanceChanged(event))
        },
    );
    prop_oneof![
        heartbeat, opening, opened, not_opened, transfer, moved, not_moved, changed
    ]
}

fn codec() -> Codec {
    let ids: Vec<_> = DEFINITIONS
        .iter()
        .flat_map(|it| it.records.iter().map(|kind| (it.topic, *kind)))
        .zip(1..)
        .map(|((topic, kind), id)| (topic, kind, id))
        .collect();
    Codec::with_ids(&ids)
}

fn decode(codec: &Codec, topic: Topic, bytes: &[u8]) -> Result<Record, DecodeError> {
    codec
        .decode(topic, Some(bytes))
        .now_or_never()
        .expect("the id is known")
}

const HEADER: usize = 5;

/// What came of reading, as far as both ways of reading must agree.
fn verdict(outcome: Result<Record, DecodeError>) -> Result<Record, &'static str> {
    outcome.map_err(|error| match error {
        DecodeError::Undecodable { reason, .. } => reason,
        DecodeError::Registry { .. } => "REGISTRY",
    })
}

/// Reads a value both ways and fails unless they agree; returns what they agree on.
fn both_ways(codec: &Codec, topic: Topic, kind: RecordKind, value: &[u8]) -> Option<Record> {
    let borrowed = codec.decode_borrowed(topic, Some(value)).unwrap();
    let direct = verdict(borrowed.map(Record::from));
    let reference = reference::read(kind, schemas::newest(kind), &value[HEADER..]);
    assert_eq!(direct, verdict(reference), "{kind:?} {value:02x?}");
    assert_eq!(direct, verdict(decode(codec, topic, value)));
    direct.ok()
}

/// Bytes that often are numbers: long ones, negative lengths, texts that end too early.
fn bytes_like_avro() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![any::<u8>(), 0..8_u8, Just(0x80), Just(0xff), b'a'..=b'z'];
    proptest::collection::vec(byte, 0..120)
}

fn is_undecodable(outcome: &Result<Record, DecodeError>) -> bool {
    matches!(outcome, Err(DecodeError::Undecodable { .. }))
}

proptest! {
    #[test]
    fn what_is_written_is_read_again((topic, record) in record()) {
        let codec = codec();
        let bytes = codec.encode(topic, &record).unwrap();
        prop_assert_eq!(decode(&codec, topic, &bytes).unwrap(), record);
    }

    #[test]
    fn a_truncated_record_is_undecodable((topic, record) in record()) {
        let codec = codec();
        let bytes = codec.encode(topic, &record).unwrap();
        for length in 0..bytes.len() {
            let outcome = decode(&codec, topic, &bytes[..length]);
            prop_assert!(is_undecodable(&outcome), "{length} of {}", bytes.len());
        }
    }

    #[test]
    fn a_record_with_a_byte_too_many_is_undecodable(
        (topic, record) in record(),
        extra in any::<u8>(),
    ) {
        let codec = codec();
        let mut bytes = codec.encode(topic, &record).unwrap();
        bytes.push(extra);
        prop_assert!(is_undecodable(&decode(&codec, topic, &bytes)));
    }

    /// Behind the header, where other content may come out, but never a panic and never
    /// a record that does not write itself again.
    #[test]
    fn a_flipped_bit_never_does_harm((topic, record) in record()) {
        let codec = codec();
        let good = codec.encode(topic, &record).unwrap();
        for at in 5..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                match decode(&codec, topic, &bytes) {
                    Ok(other) => {
                        let written = codec.encode(topic, &other).unwrap();
                        prop_assert_eq!(decode(&codec, topic, &written).unwrap(), other);
                    }
                    outcome => prop_assert!(is_undecodable(&outcome)),
                }
            }
        }
    }

    #[test]
    fn any_bytes_after_a_good_header_never_do_harm(
        datum in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let codec = codec();
        for (definition, id) in DEFINITIONS
            .iter()
            .flat_map(|it| it.records.iter().map(move |_| it))
            .zip(1_u8..)
        {
            let bytes = [&[0, 0, 0, 0, id], datum.as_slice()].concat();
            let outcome = decode(&codec, definition.topic, &bytes);
            prop_assert!(outcome.is_ok() || is_undecodable(&outcome));
        }
    }

    #[test]
    fn both_ways_of_writing_write_the_same((topic, record) in record()) {
        let codec = codec();
        let direct = codec.encode(topic, &record).unwrap();
        let reference = reference::write(&record).unwrap();
        prop_assert_eq!(&direct[HEADER..], reference.as_slice());
        let mut behind = b"before".to_vec();
        codec.encode_into(&mut behind, topic, &(&record).into()).unwrap();
        prop_assert_eq!(&behind[6..], direct.as_slice(), "appended");
    }

    #[test]
    fn both_ways_of_reading_agree_on_each_end_and_each_bit((topic, record) in record()) {
        let codec = codec();
        let kind = record.kind();
        let good = codec.encode(topic, &record).unwrap();
        prop_assert_eq!(both_ways(&codec, topic, kind, &good), Some(record));
        for length in HEADER..good.len() {
            prop_assert_eq!(both_ways(&codec, topic, kind, &good[..length]), None);
        }
        for at in HEADER..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[at] ^= 1 << bit;
                both_ways(&codec, topic, kind, &bytes);
            }
        }
    }

    #[test]
    fn both_ways_of_reading_agree_on_any_bytes(datum in bytes_like_avro()) {
        let codec = codec();
        let kinds = DEFINITIONS.iter().flat_map(|it| it.records.iter().map(|kind| (it.topic, *kind)));
        for ((topic, kind), id) in kinds.zip(1_u8..) {
            both_ways(&codec, topic, kind, &[&[0, 0, 0, 0, id], datum.as_slice()].concat());
        }
    }
}

/// Numbers at the edges of their form: ten bytes, eleven, bits beyond the 64th, and none.
#[test]
fn both_ways_of_reading_agree_on_the_edges_of_numbers() {
    let codec = codec();
    let eleven: &[u8] = &[0x80; 11];
    for number in [
        &[] as &[u8],
        &[0x80],
        &[0x80, 0x00],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f],
        &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80],
        &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x02],
        &eleven[..9],
        &eleven[..10],
        eleven,
    ] {
        let value = [&[0, 0, 0, 0, 1], number].concat();
        both_ways(&codec, Topic::Heartbeat, RecordKind::Heartbeat, &value);
    }
}

#[test]
fn a_record_of_another_schema_is_not_read_borrowed() {
    let old = schemas::texts(RecordKind::BalanceChanged)[0];
    let old = apache_avro::Schema::parse_str(old).unwrap();
    let codec = codec().knowing(90, RecordKind::BalanceChanged, old);
    let value = [&[0, 0, 0, 0, 90], [0; 5].as_slice()].concat();
    assert!(
        codec
            .decode_borrowed(Topic::BalanceChanged, Some(&value))
            .is_none()
    );
    assert!(decode(&codec, Topic::BalanceChanged, &value).is_ok());
    let unknown = [0, 0, 0, 1, 1];
    assert!(
        codec
            .decode_borrowed(Topic::BalanceChanged, Some(&unknown))
            .is_none()
    );
}
