//! What holds for every record, not only for the golden ones.

use futures_util::FutureExt as _;
use proptest::prelude::*;
use topology::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, Record,
};
use topology::topics::DEFINITIONS;
use topology::{Cents, Codec, CommandId, DecodeError, Token, Topic};

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
}
