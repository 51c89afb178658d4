//! What must be true of topics and books when all is quiet, read from both by other ways
//! than the handler's.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message, OwnedMessage};
use rdkafka::{Offset, TopicPartitionList};
use topology::{CommandId, Record, Topic};
use uuid::Uuid;

use crate::world::World;
use crate::{PATIENCE, eventually};

const BROKER_PATIENCE: Duration = Duration::from_secs(20);
const COMMANDS: [Topic; 2] = [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer];
const ANSWERS: [Topic; 2] = [Topic::AccountCreationFeedback, Topic::MoneyTransferFeedback];

/// A living instance has taken over the debts of a dead one by then.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(2);
/// Debts whose owner is no living session.
const ORPHANS: &str = "select count(*) from emission_debt where owner not in \
    (select (classid::bigint << 32) + objid::bigint from pg_locks \
     where locktype = 'advisory' and objsubid = 1 \
       and database = (select oid from pg_database where datname = current_database()))";

/// What was found, for tests that look closer.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) commands: usize,
    /// Records of answers and changes beyond the first with the same identity.
    pub(crate) repeated: usize,
    /// Reasons of the dead letters.
    pub(crate) dead_letters: Vec<String>,
}

/// Bytes, change and balance of each change of an account.
type Versions<'a> = BTreeMap<i64, (&'a [u8], i64, i64)>;

/// First offset after the end, once the partition has a leader: a new topic's has none at
/// first.
fn end_of(reader: &BaseConsumer, topic: &str, partition: i32) -> i64 {
    let deadline = Instant::now() + BROKER_PATIENCE;
    loop {
        match reader.fetch_watermarks(topic, partition, BROKER_PATIENCE) {
            Ok((_, end)) => return end,
            Err(error) if Instant::now() > deadline => panic!("{topic}[{partition}]: {error}"),
            Err(_) => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

impl World {
    fn reader(&self) -> BaseConsumer {
        self.kafka
            .client("reader")
            .set("group.id", format!("{}reader", self.prefix))
            .set("enable.auto.commit", "false")
            .create()
            .unwrap()
    }

    /// First offset after the end, by partition.
    fn ends(&self, reader: &BaseConsumer, topic: Topic) -> BTreeMap<i32, i64> {
        let name = self.kafka.topics().name(topic);
        (0..topic.definition().partitions)
            .map(|partition| (partition, end_of(reader, &name, partition)))
            .collect()
    }

    /// Every record of a topic.
    pub(crate) fn records(&self, topic: Topic) -> Vec<OwnedMessage> {
        let reader = self.reader();
        let name = self.kafka.topics().name(topic);
        let mut open = self.ends(&reader, topic);
        open.retain(|_, end| *end > 0);
        let mut list = TopicPartitionList::new();
        for partition in open.keys() {
            list.add_partition_offset(&name, *partition, Offset::Beginning)
                .unwrap();
        }
        reader.assign(&list).unwrap();
        let deadline = Instant::now() + BROKER_PATIENCE;
        let mut records = Vec::new();
        while !open.is_empty() {
            assert!(Instant::now() < deadline, "{name} ends at {open:?}");
            if let Some(Ok(message)) = reader.poll(Duration::from_millis(100)) {
                if open.get(&message.partition()) == Some(&(message.offset() + 1)) {
                    open.remove(&message.partition());
                }
                records.push(message.detach());
            }
        }
        records
    }

    /// Waits until every command is dealt with and nothing is owed.
    pub(crate) async fn is_quiet(&self) {
        self.wait_until_decided(0).await;
    }

    /// Waits until every command is dealt with; a paused instance may owe something.
    pub(crate) async fn is_decided(&self) {
        self.wait_until_decided(i64::MAX).await;
    }

    async fn wait_until_decided(&self, owed_at_most: i64) {
        let client = self.sql().await;
        let mut ends = BTreeMap::new();
        for topic in COMMANDS {
            let marks = tokio::task::block_in_place(|| self.ends(&self.reader(), topic));
            for (partition, end) in marks {
                ends.insert((topic.definition().name.to_owned(), partition), end);
            }
        }
        let mut last = String::new();
        let quiet = tokio::time::timeout(PATIENCE, async {
            loop {
                let rows = client
                    .query(
                        "select topic, partition, next_offset from consumer_offset",
                        &[],
                    )
                    .await
                    .unwrap();
                let stand: BTreeMap<(String, i32), i64> = rows
                    .iter()
                    .map(|row| ((row.get(0), row.get(1)), row.get(2)))
                    .collect();
                let behind: Vec<_> = ends
                    .iter()
                    .filter(|(at, end)| stand.get(at).copied().unwrap_or(0) < **end)
                    .map(|(at, end)| (at, *end, stand.get(at)))
                    .collect();
                let owed: i64 = client
                    .query_one("select count(*) from emission_debt", &[])
                    .await
                    .unwrap()
                    .get(0);
                if behind.is_empty() && owed <= owed_at_most {
                    break;
                }
                last = format!("{owed} debts, behind: {behind:?}");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        assert!(quiet.await.is_ok(), "not quiet: {last}");
    }

    /// Checks everything that must be true when all is quiet.
    pub(crate) async fn check(&self) -> Found {
        self.check_books().await;
        let mut found = Found::default();
        let read = |topics: &[Topic]| -> Vec<OwnedMessage> {
            topics
                .iter()
                .flat_map(|topic| self.records(*topic))
                .collect()
        };
        let (commands, answers, changes, dead) = tokio::task::block_in_place(|| {
            (
                read(&COMMANDS),
                read(&ANSWERS),
                read(&[Topic::BalanceChanged]),
                read(&[Topic::DeadLetters]),
            )
        });
        for letter in &dead {
            let headers = letter.headers().unwrap();
            let reason = headers.iter().find(|it| it.key == "reason").unwrap();
            let reason = String::from_utf8(reason.value.unwrap().to_vec()).unwrap();
            found.dead_letters.push(reason);
        }

        let mut ids = BTreeSet::new();
        for message in &commands {
            ids.insert(self.command_of(message).await);
        }
        found.commands = ids.len();
        self.check_answers(&ids, &answers, &mut found).await;
        self.check_changes(&changes, &mut found).await;
        found
    }

    async fn decode(&self, message: &OwnedMessage) -> Record {
        let topic = self.kafka.topics().find(message.topic()).unwrap();
        self.codec.decode(topic, message.payload()).await.unwrap()
    }

    async fn command_of(&self, message: &OwnedMessage) -> Uuid {
        match self.decode(message).await {
            Record::ConfirmAccountCreation(record) => record.id.0,
            Record::ConfirmMoneyTransfer(record) => record.id.0,
            other => panic!("no command: {other:?}"),
        }
    }

    /// Exactly one outcome per command, the same bytes however often it was sent, and
    /// the one in the books.
    async fn check_answers(
        &self,
        commands: &BTreeSet<Uuid>,
        answers: &[OwnedMessage],
        found: &mut Found,
    ) {
        let mut outcomes: BTreeMap<Uuid, (&[u8], Option<String>)> = BTreeMap::new();
        for message in answers {
            let (id, rejection): (CommandId, _) = match self.decode(message).await {
                Record::AccountCreationConfirmed(record) => (record.id, None),
                Record::AccountCreationFailed(record) => (record.id, Some(record.reason)),
                Record::MoneyTransferConfirmed(record) => (record.id, None),
                Record::MoneyTransferFailed(record) => (record.id, Some(record.reason)),
                other => panic!("no outcome: {other:?}"),
            };
            let bytes = message.payload().unwrap();
            if let Some((first, _)) = outcomes.get(&id.0) {
                assert_eq!(*first, bytes, "two outcomes of {id}");
                found.repeated += 1;
            }
            outcomes.insert(id.0, (bytes, rejection));
        }
        let booked: BTreeMap<Uuid, Option<String>> = self
            .sql()
            .await
            .query(
                "select command_id, rejection from outcome where kind <> 'opening'",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), row.get(1)))
            .collect();
        let told: BTreeMap<Uuid, Option<String>> = outcomes
            .into_iter()
            .map(|(id, (_, rejection))| (id, rejection))
            .collect();
        assert_eq!(told, booked, "outcomes told and booked");
        let refused = |it: &&Uuid| !booked.contains_key(*it);
        let unanswered = commands.iter().filter(refused).count();
        let refusals = found
            .dead_letters
            .iter()
            .filter(|it| *it == "REFUSED_BY_DATABASE")
            .count();
        assert!(
            unanswered <= refusals,
            "{unanswered} commands without outcome"
        );
        assert!(
            booked.keys().all(|id| commands.contains(id)),
            "an outcome of no command"
        );
    }

    /// Versions without hole, copies with the same bytes, each balance the fold.
    async fn check_changes(&self, changes: &[OwnedMessage], found: &mut Found) {
        let mut accounts: BTreeMap<String, Versions<'_>> = BTreeMap::new();
        for message in changes {
            let Record::BalanceChanged(record) = self.decode(message).await else {
                panic!("no change");
            };
            let version = record.change.unwrap().version;
            let bytes = message.payload().unwrap();
            assert_eq!(message.key(), Some(record.iban.as_bytes()));
            let account = accounts.entry(record.iban.clone()).or_default();
            let change = (bytes, record.changed_by.0, record.new_balance.0);
            if let Some(first) = account.insert(version, change) {
                assert_eq!(first.0, bytes, "two changes {version} of {}", record.iban);
                found.repeated += 1;
            }
        }
        let mut folded = BTreeMap::new();
        for (iban, versions) in accounts {
            let mut balance = 0;
            for (expected, (version, (_, delta, after))) in (1..).zip(&versions) {
                assert_eq!(*version, expected, "a hole in the versions of {iban}");
                balance += delta;
                assert_eq!(balance, *after, "{iban} at {version}");
            }
            folded.insert(iban, (balance, i64::try_from(versions.len()).unwrap()));
        }
        let booked: BTreeMap<String, (i64, i64)> = self
            .sql()
            .await
            .query(
                "select iban, balance_cents, version from account where version > 0",
                &[],
            )
            .await
            .unwrap()
            .iter()
            .map(|row| (row.get(0), (row.get(1), row.get(2))))
            .collect();
        assert_eq!(folded, booked, "balances told and booked");
    }

    async fn check_books(&self) {
        for (what, query) in [
            (
                "the ledger sums to zero",
                "select sum(delta_cents)::bigint from ledger_entry",
            ),
            (
                "each booking is two entries that sum to zero",
                "select count(*) from (select from ledger_entry group by command_id \
                 having count(*) <> 2 or sum(delta_cents) <> 0) as wrong",
            ),
            (
                "confirmed transfers are booked, refused ones are not",
                "select count(*) from outcome where kind = 'money_transfer' and \
                 (rejection is null) <> exists \
                     (select from ledger_entry where command_id = outcome.command_id)",
            ),
            (
                "accounts are the sums of their entries",
                "select count(*) from account where (balance_cents, version) <> \
                 (select coalesce(sum(delta_cents), 0), count(*) from ledger_entry \
                  where account = iban)",
            ),
            (
                "versions have no hole and no repeat",
                "select count(*) from (select from ledger_entry where version is not null \
                 group by account having count(distinct version) <> max(version) \
                     or count(*) <> max(version) or min(version) <> 1) as wrong",
            ),
            (
                "no entry went below a limit",
                "select count(*) from ledger_entry join account on account = iban \
                 where balance_after_cents < limit_cents",
            ),
            (
                "every account has its confirmed creation",
                "select count(*) from account left join outcome using (command_id) \
                 where rejection is not null or kind is null or kind = 'money_transfer'",
            ),
        ] {
            assert_eq!(self.number(query).await, 0, "{what}");
        }
    }

    /// The debts of the dead are somebody's, soon.
    pub(crate) async fn debts_are_taken_over(&self) {
        eventually("no debt is an orphan", TAKEN_OVER_WITHIN, async || {
            (self.number(ORPHANS).await == 0).then_some(())
        })
        .await;
    }

    /// Outcomes in the books, the opening's not counted.
    pub(crate) async fn decided(&self) -> i64 {
        self.number("select count(*) from outcome where kind <> 'opening'")
            .await
    }

    pub(crate) async fn decides(&self, at_least: i64) {
        eventually("commands are decided", PATIENCE, async || {
            (self.decided().await >= at_least).then_some(())
        })
        .await;
    }
}
