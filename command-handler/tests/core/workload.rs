//! One batch as it comes from the topic, again and again: 256 transfers between 512
//! accounts, all of them confirmed, which is the most work there is.

use std::collections::HashMap;
use std::hint::black_box;

use command_handler::batch::{self, Item, Plan, Tools};
use command_handler::domain::{Account, LIMIT};
use command_handler::frames::Frames;
use command_handler::keys::{self, HandlerKey};
use command_handler::request::Request;
use topology::consumer::{BATCH_RECORDS_MAX, Consumed};
use topology::records::borrowed::{BalanceChangedRef, RecordRef};
use topology::records::{ChangeIdentity, ConfirmMoneyTransfer, MoneyTransferConfirmed, RecordKind};
use topology::{Cents, Codec, CommandId, EncodeError, Iban, Record, Token, Topic, Topics};

/// How far the core goes with a batch. Each stage does what those before it do, too; only
/// `Encode` stands alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Stage {
    /// From bytes to a record that borrows from them.
    Decode,
    /// To a request: parties read, content hashed, token digested.
    Read,
    /// What the books must be asked for, in order.
    Ask,
    /// Everything: decided, booked, encoded.
    Plan,
    /// Only the three records of a transfer, encoded.
    Encode,
}

impl Stage {
    pub(crate) const ALL: [Stage; 5] = [
        Stage::Decode,
        Stage::Read,
        Stage::Ask,
        Stage::Plan,
        Stage::Encode,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Stage::Decode => "decode",
            Stage::Read => "read",
            Stage::Ask => "ask",
            Stage::Plan => "plan",
            Stage::Encode => "encode",
        }
    }
}

pub(crate) struct Workload {
    pub(crate) codec: Codec,
    pub(crate) key: HandlerKey,
    topics: Topics,
    pub(crate) accounts: Vec<Account>,
    records: Vec<Consumed>,
}

const TOKEN: &str = "abcdefghijklmnopqrstuvwxyz";
const ACCOUNTS: u64 = 2 * BATCH_RECORDS_MAX as u64;

/// Ids for everything in the topics of the handler.
pub(crate) fn codec() -> Codec {
    Codec::with_ids(&[
        (
            Topic::ConfirmAccountCreation,
            RecordKind::ConfirmAccountCreation,
            1,
        ),
        (
            Topic::ConfirmMoneyTransfer,
            RecordKind::ConfirmMoneyTransfer,
            2,
        ),
        (
            Topic::AccountCreationFeedback,
            RecordKind::AccountCreationConfirmed,
            3,
        ),
        (
            Topic::AccountCreationFeedback,
            RecordKind::AccountCreationFailed,
            4,
        ),
        (
            Topic::MoneyTransferFeedback,
            RecordKind::MoneyTransferConfirmed,
            5,
        ),
        (
            Topic::MoneyTransferFeedback,
            RecordKind::MoneyTransferFailed,
            6,
        ),
        (Topic::BalanceChanged, RecordKind::BalanceChanged, 7),
    ])
}

/// A record of a command topic with this value.
pub(crate) fn consumed(topic: Topic, offset: i64, value: Vec<u8>) -> Consumed {
    Consumed {
        topic,
        partition: 4,
        offset,
        epoch: 1,
        timestamp_ms: 1_763_726_400_000,
        key: Some(b"NL66OPEN0000000000".to_vec()),
        value: Some(value),
        trace: None,
    }
}

/// Spread as random ids are, and the same each time.
fn id(number: u64) -> CommandId {
    let high = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    CommandId::from_bytes(((u128::from(high) << 64) | u128::from(!high)).to_be_bytes())
}

fn iban(number: u64) -> Iban {
    Iban::of_our_bank(number * 7_919)
}

impl Workload {
    pub(crate) fn new() -> Workload {
        let codec = codec();
        let records = (0..ACCOUNTS / 2)
            .map(|number| {
                let record = Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                    id: id(number),
                    token: Token::new(TOKEN.to_owned()),
                    amount: Cents(1_234),
                    from: iban(2 * number).to_string(),
                    to: iban(2 * number + 1).to_string(),
                    description: "Groceries".to_owned(),
                });
                let topic = Topic::ConfirmMoneyTransfer;
                let value = codec.encode(topic, &record).unwrap();
                consumed(topic, number.try_into().unwrap(), value)
            })
            .collect();
        let accounts = (0..ACCOUNTS).map(|number| Account {
            iban: iban(number),
            token_digest: keys::digest(TOKEN),
            balance: Cents(100_000),
            limit: LIMIT,
            version: 10,
        });
        Workload {
            codec,
            key: HandlerKey::new("a key"),
            topics: Topics::default(),
            accounts: accounts.collect(),
            records,
        }
    }

    /// Commands in one batch.
    pub(crate) fn commands(&self) -> usize {
        self.records.len()
    }

    /// Does one batch up to this stage, with the bytes of the records where they are.
    pub(crate) fn run(&self, until: Stage) {
        if until == Stage::Encode {
            return self.encode();
        }
        let mut items = Vec::with_capacity(self.records.len());
        for record in &self.records {
            let read = self
                .codec
                .decode_borrowed(record.topic, record.value.as_deref());
            let read = black_box(read.unwrap().unwrap());
            if until >= Stage::Read {
                items.push(Item {
                    record: Consumed {
                        key: None,
                        value: None,
                        trace: None,
                        ..*record
                    },
                    request: Request::from_record(read),
                });
            }
        }
        if until >= Stage::Ask {
            black_box(batch::touched_ibans(&items, &self.key));
            black_box(batch::command_ids(&items));
        }
        if until >= Stage::Plan {
            let plan = self.plan(&items);
            assert_eq!(plan.frames.len(), 3 * self.records.len(), "all confirmed");
            black_box(plan);
        }
        black_box(items);
    }

    /// Decides items as the handler does, with the accounts as the books would give them.
    pub(crate) fn plan(&self, items: &[Item]) -> Plan {
        let tools = Tools {
            key: &self.key,
            codec: &self.codec,
            topics: &self.topics,
        };
        let accounts = self.accounts.iter().cloned().collect();
        batch::plan(items, accounts, HashMap::new(), tools).unwrap()
    }

    fn encode(&self) {
        let mut frames = Frames::with_capacity(3 * self.records.len());
        let (from, to) = (iban(1), iban(2));
        for number in 0..ACCOUNTS / 2 {
            let id = id(number);
            for (iban, from_to, changed_by) in [(&from, &to, -1_234), (&to, &from, 1_234)] {
                let record = RecordRef::BalanceChanged(BalanceChangedRef {
                    iban: iban.as_str(),
                    new_balance: Cents(98_766),
                    changed_by: Cents(changed_by),
                    from_to: from_to.as_str(),
                    description: "Groceries",
                    change: Some(ChangeIdentity {
                        version: 11,
                        command_id: id,
                        occurred_at_us: 1_763_726_400_000_000,
                    }),
                });
                self.write(&mut frames, Topic::BalanceChanged, iban.as_str(), &record);
            }
            let record = RecordRef::MoneyTransferConfirmed(MoneyTransferConfirmed { id });
            let mut key = uuid::Uuid::encode_buffer();
            let key = id.0.hyphenated().encode_lower(&mut key);
            self.write(&mut frames, Topic::MoneyTransferFeedback, key, &record);
        }
        black_box(frames);
    }

    fn write(&self, frames: &mut Frames, topic: Topic, key: &str, record: &RecordRef<'_>) {
        let write = |bytes: &mut Vec<u8>| self.codec.encode_into(bytes, topic, record);
        let written: Result<(), EncodeError> = frames.write(topic, key.as_bytes(), write);
        written.unwrap();
    }
}
