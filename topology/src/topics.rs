//! The topics: one table, read by the services and applied by the synchronizer.

use crate::records::RecordKind;

/// A topic of the Bank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// The pace of the simulated public.
    Heartbeat,
    /// Commands: open an account.
    ConfirmAccountCreation,
    /// Commands: move money.
    ConfirmMoneyTransfer,
    /// Outcomes of account creations.
    AccountCreationFeedback,
    /// Outcomes of money transfers.
    MoneyTransferFeedback,
    /// One record per change of an own account's balance.
    BalanceChanged,
    /// Records nobody could use, with their reason.
    DeadLetters,
}

/// What the synchronizer makes of a topic.
#[derive(Clone, Copy, Debug)]
pub struct TopicDefinition {
    /// Which topic.
    pub topic: Topic,
    /// Its name on the wire, before any prefix.
    pub name: &'static str,
    /// How many partitions it has.
    pub partitions: i32,
    /// Record types that may stand in it; empty for dead letters, which keep foreign bytes.
    pub records: &'static [RecordKind],
    /// Settings that differ from, or must not depend on, the broker's defaults.
    pub settings: &'static [(&'static str, &'static str)],
}

/// The broker unpacks what strangers pack: it then refuses what is too large unpacked, and
/// no reader meets a codec it was not built with. Our own producers pack nothing.
const UNPACKED: (&str, &str) = ("compression.type", "uncompressed");
/// A batch of records, with the client's framing: a megabyte, as brokers have it.
const BATCH_BYTES_MAX: (&str, &str) = ("max.message.bytes", "1048588");
/// Largest batch of dead letters: what filled a batch elsewhere, with where it stood.
pub const DEAD_LETTER_BATCH_BYTES_MAX: u32 = 2 * 1024 * 1024;

/// Events are facts: kept for ever.
const KEPT: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    UNPACKED,
    BATCH_BYTES_MAX,
];
/// A beat has no meaning after a quarter of an hour.
const SHORT_LIVED: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "900000"),
    ("segment.ms", "900000"),
    UNPACKED,
    BATCH_BYTES_MAX,
];
/// Whatever stood in another topic has room here, whole.
const KEPT_WHOLE: &[(&str, &str)] = &[
    ("cleanup.policy", "delete"),
    ("retention.ms", "-1"),
    ("retention.bytes", "-1"),
    UNPACKED,
    ("max.message.bytes", "2097152"),
];

/// Every topic of the Bank.
pub const DEFINITIONS: [TopicDefinition; 7] = [
    TopicDefinition {
        topic: Topic::Heartbeat,
        name: "heartbeat",
        partitions: 1,
        records: &[RecordKind::Heartbeat],
        settings: SHORT_LIVED,
    },
    TopicDefinition {
        topic: Topic::ConfirmAccountCreation,
        name: "confirm_account_creation",
        partitions: 1,
        records: &[RecordKind::ConfirmAccountCreation],
        settings: KEPT,
    },
    TopicDefinition {
        topic: Topic::ConfirmMoneyTransfer,
        name: "confirm_money_transfer",
        partitions: 9,
        records: &[RecordKind::ConfirmMoneyTransfer],
        settings: KEPT,
    },
    TopicDefinition {
        topic: Topic::AccountCreationFeedback,
        name: "account_creation_feedback",
        partitions: 1,
        records: &[
            RecordKind::AccountCreationConfirmed,
            RecordKind::AccountCreationFailed,
        ],
        settings: KEPT,
    },
    TopicDefinition {
        topic: Topic::MoneyTransferFeedback,
        name: "money_transfer_feedback",
        partitions: 9,
        records: &[
            RecordKind::MoneyTransferConfirmed,
            RecordKind::MoneyTransferFailed,
        ],
        settings: KEPT,
    },
    TopicDefinition {
        topic: Topic::BalanceChanged,
        name: "balance_changed",
        partitions: 9,
        records: &[RecordKind::BalanceChanged],
        settings: KEPT,
    },
    TopicDefinition {
        topic: Topic::DeadLetters,
        name: "dead_letters",
        partitions: 1,
        records: &[],
        settings: KEPT_WHOLE,
    },
];

impl Topic {
    /// The table's row for this topic.
    #[must_use]
    pub fn definition(self) -> &'static TopicDefinition {
        &DEFINITIONS[self as usize]
    }
}

/// Names of the topics in one installation.
///
/// The prefix is empty everywhere but in tests, where it keeps tests that share a
/// broker apart; it goes in front of topics, and so of subjects, and of groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topics {
    prefix: String,
}

impl Topics {
    /// Names with this prefix.
    #[must_use]
    pub fn with_prefix(prefix: &str) -> Topics {
        Topics {
            prefix: prefix.to_owned(),
        }
    }

    /// The topic's full name.
    #[must_use]
    pub fn name(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.definition().name)
    }

    /// The topic with this full name, if it is one of ours.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Topic> {
        let bare = name.strip_prefix(self.prefix.as_str())?;
        DEFINITIONS
            .iter()
            .find(|definition| definition.name == bare)
            .map(|definition| definition.topic)
    }

    /// A consumer group's full name.
    #[must_use]
    pub fn group(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The registry subject of a record type in a topic (`TopicRecordNameStrategy`).
    #[must_use]
    pub fn subject(&self, topic: Topic, record: RecordKind) -> String {
        format!("{}-{}", self.name(topic), record.full_name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_stands_in_the_order_of_the_enum() {
        for definition in &DEFINITIONS {
            assert_eq!(definition.topic.definition().name, definition.name);
        }
    }

    #[test]
    fn dead_letters_have_room_for_whatever_any_topic_takes() {
        let bytes_max = |definition: &TopicDefinition| {
            let settings = definition.settings.iter();
            let found = settings.rev().find(|(name, _)| *name == BATCH_BYTES_MAX.0);
            found.map(|(_, value)| value.parse::<u32>().unwrap())
        };
        for definition in &DEFINITIONS {
            let expected = match definition.topic {
                Topic::DeadLetters => DEAD_LETTER_BATCH_BYTES_MAX,
                // Half of it is more than the headers need.
                _ => DEAD_LETTER_BATCH_BYTES_MAX / 2 + 12,
            };
            assert_eq!(bytes_max(definition), Some(expected), "{}", definition.name);
        }
    }

    #[test]
    fn names_and_subjects_are_the_originals() {
        let topics = Topics::default();
        assert_eq!(topics.name(Topic::BalanceChanged), "balance_changed");
        assert_eq!(
            topics.subject(Topic::BalanceChanged, RecordKind::BalanceChanged),
            "balance_changed-nl.openweb.data.BalanceChanged"
        );
        assert_eq!(topics.find("balance_changed"), Some(Topic::BalanceChanged));
        assert_eq!(topics.find("somebody_elses"), None);
    }

    #[test]
    fn a_prefix_keeps_tests_apart() {
        let topics = Topics::with_prefix("t1_");
        assert_eq!(topics.name(Topic::Heartbeat), "t1_heartbeat");
        assert_eq!(topics.find("heartbeat"), None);
        assert_eq!(topics.find("t1_heartbeat"), Some(Topic::Heartbeat));
    }
}
