//! Every record of the bank's topics, to be changed and written again.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use topology::kafka::KafkaConfig;
use topology::records::BalanceChanged;
use topology::topics::DEFINITIONS;
use topology::{Codec, CommandId, Record, Topic};

const BROKER_PATIENCE: Duration = Duration::from_secs(20);
/// Topics whose records are judged.
pub(crate) const TOPICS: [Topic; 6] = [
    Topic::ConfirmAccountCreation,
    Topic::ConfirmMoneyTransfer,
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
    Topic::DeadLetters,
];

/// One record.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) topic: Topic,
    pub(crate) partition: i32,
    pub(crate) timestamp_ms: i64,
    pub(crate) key: Vec<u8>,
    pub(crate) value: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    /// What it says, when it can be read.
    pub(crate) record: Option<Record>,
}

/// All of them, those of a partition in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Log {
    pub(crate) entries: Vec<Entry>,
}

impl Log {
    pub(crate) async fn read(kafka: &KafkaConfig, codec: &Codec) -> Log {
        let mut entries = Vec::new();
        for topic in TOPICS {
            entries.extend(tokio::task::block_in_place(|| read(kafka, topic)));
        }
        for entry in &mut entries {
            let decoded = codec.decode(entry.topic, Some(&entry.value));
            if entry.topic != Topic::DeadLetters {
                entry.record = decoded.await.ok();
            }
        }
        Log { entries }
    }

    /// The first entry that is wanted.
    pub(crate) fn find(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        self.entries.iter().position(wanted).unwrap()
    }

    /// The last entry that is wanted and stands last in its partition: what is cut off
    /// there moves nothing else.
    pub(crate) fn find_last(&self, wanted: impl Fn(&Entry) -> bool) -> usize {
        let mut last = BTreeMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            last.insert((entry.topic, entry.partition), index);
        }
        let mut candidates = last.into_values().filter(|it| wanted(&self.entries[*it]));
        candidates.next().unwrap()
    }

    /// Puts a copy behind all of its partition, to be changed.
    pub(crate) fn append(&mut self, entry: Entry) -> &mut Entry {
        self.entries.push(entry);
        self.entries.last_mut().unwrap()
    }

    pub(crate) fn in_topic(&self, topic: Topic) -> impl Iterator<Item = (usize, &Entry)> {
        self.entries
            .iter()
            .enumerate()
            .filter(move |(_, it)| it.topic == topic)
    }

    /// Places of the changes of the account with most of them, in order of version.
    pub(crate) fn changes_of_one(&self) -> Vec<usize> {
        let mut by_account: BTreeMap<String, Vec<(i64, usize)>> = BTreeMap::new();
        for (index, entry) in self.in_topic(Topic::BalanceChanged) {
            let change = entry.change();
            let version = change.change.as_ref().unwrap().version;
            by_account
                .entry(change.iban.clone())
                .or_default()
                .push((version, index));
        }
        let mut longest = by_account.into_values().max_by_key(Vec::len).unwrap();
        longest.sort_unstable();
        // First copies only.
        longest.dedup_by_key(|(version, _)| *version);
        longest.into_iter().map(|(_, index)| index).collect()
    }
}

impl Entry {
    pub(crate) fn change(&self) -> &BalanceChanged {
        match &self.record {
            Some(Record::BalanceChanged(change)) => change,
            other => panic!("no change: {other:?}"),
        }
    }

    pub(crate) fn change_mut(&mut self) -> &mut BalanceChanged {
        match &mut self.record {
            Some(Record::BalanceChanged(change)) => change,
            other => panic!("no change: {other:?}"),
        }
    }

    /// The command this is, or is about.
    pub(crate) fn id(&self) -> Option<CommandId> {
        Some(match self.record.as_ref()? {
            Record::ConfirmAccountCreation(it) => it.id,
            Record::ConfirmMoneyTransfer(it) => it.id,
            Record::AccountCreationConfirmed(it) => it.id,
            Record::AccountCreationFailed(it) => it.id,
            Record::MoneyTransferConfirmed(it) => it.id,
            Record::MoneyTransferFailed(it) => it.id,
            Record::BalanceChanged(it) => it.change.as_ref()?.command_id,
            _ => return None,
        })
    }

    /// Takes the bytes as they are, whatever the record says.
    pub(crate) fn with_value(&mut self, value: Vec<u8>) {
        self.value = value;
        self.record = None;
    }

    pub(crate) fn header_mut(&mut self, name: &str) -> &mut Vec<u8> {
        &mut self.headers.iter_mut().find(|it| it.0 == name).unwrap().1
    }

    pub(crate) fn reason(&self) -> &[u8] {
        let reason = self.headers.iter().find(|it| it.0 == "reason");
        reason.map_or(&[], |it| &it.1)
    }
}

fn read(kafka: &KafkaConfig, topic: Topic) -> Vec<Entry> {
    let reader: BaseConsumer = kafka
        .client("reader")
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .create()
        .unwrap();
    let name = kafka.topics().name(topic);
    let definition = DEFINITIONS.iter().find(|it| it.topic == topic).unwrap();
    let mut open = BTreeMap::new();
    let mut list = TopicPartitionList::new();
    for partition in 0..definition.partitions {
        let (_, end) = reader
            .fetch_watermarks(&name, partition, BROKER_PATIENCE)
            .unwrap();
        if end > 0 {
            open.insert(partition, end);
            list.add_partition_offset(&name, partition, Offset::Beginning)
                .unwrap();
        }
    }
    reader.assign(&list).unwrap();
    let mut entries = Vec::new();
    while !open.is_empty() {
        let message = reader.poll(BROKER_PATIENCE).unwrap().unwrap();
        if open.get(&message.partition()) == Some(&(message.offset() + 1)) {
            open.remove(&message.partition());
        }
        let headers = message.headers().into_iter().flat_map(|it| it.iter());
        entries.push(Entry {
            topic,
            partition: message.partition(),
            timestamp_ms: message.timestamp().to_millis().unwrap(),
            key: message.key().unwrap_or_default().to_vec(),
            value: message.payload().unwrap_or_default().to_vec(),
            headers: headers
                .map(|it| (it.key.to_owned(), it.value.unwrap_or_default().to_vec()))
                .collect(),
            record: None,
        });
    }
    entries
}
