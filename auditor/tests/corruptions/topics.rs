//! Wrong things in the topics.

use topology::records::{ConfirmMoneyTransfer, MoneyTransferFailed};
use topology::{Cents, CommandId, Record, Token, Topic};

use crate::case::Case;
use crate::log::{Entry, Log};

fn is_change(entry: &Entry) -> bool {
    entry.topic == Topic::BalanceChanged
}

fn is_answer(entry: &Entry) -> bool {
    entry.topic == Topic::MoneyTransferFeedback
}

/// A change of one transfer between two own accounts.
fn internal_change(log: &Log) -> usize {
    log.find(|it| is_change(it) && it.change().from_to.starts_with("NL"))
}

fn dead_letter(log: &Log, is_conflict: bool) -> usize {
    log.find(|it| {
        it.topic == Topic::DeadLetters && (it.reason() == b"IDEMPOTENCY_CONFLICT") == is_conflict
    })
}

fn swap_records(log: &mut Log, one: usize, other: usize) {
    let first = log.entries[one].clone();
    let second = std::mem::replace(&mut log.entries[other], first);
    log.entries[one] = second;
}

/// The command that was sent twice with the same content.
fn repeated(log: &Log) -> CommandId {
    let commands: Vec<_> = log.in_topic(Topic::ConfirmMoneyTransfer).collect();
    let twice = commands.iter().find(|(one, it)| {
        let mut others = commands.iter();
        it.record.is_some() && others.any(|(other, that)| other > one && that.record == it.record)
    });
    twice.unwrap().1.id().unwrap()
}

pub(crate) fn cases() -> Vec<Case> {
    [changes(), answers_and_commands(), dead_letters()].concat()
}

fn changes() -> Vec<Case> {
    let it = Case::in_topics;
    vec![
        it("C1", "a change is missing", |log| {
            let at = log.find_last(is_change);
            log.entries.remove(at);
        }),
        it("C1", "a change that was never booked", |log| {
            let last = *log.changes_of_one().last().unwrap();
            let entry = log.entries[last].clone();
            let change = log.append(entry).change_mut();
            change.change.as_mut().unwrap().version += 1;
        }),
        it("C1", "a change in the form of 2019", |log| {
            let at = log.find_last(is_change);
            log.entries[at].change_mut().change = None;
        }),
        it("C2", "one letter of a copy is another", |log| {
            let at = log.changes_of_one()[1];
            let entry = log.entries[at].clone();
            log.append(entry).change_mut().description.push('!');
        }),
        it(
            "C2",
            "a change differs from the one the books keep",
            |log| {
                let at = log.find_last(is_change);
                log.entries[at].change_mut().description.push('!');
            },
        ),
        it("C3", "two versions are swapped", |log| {
            let of_one = log.changes_of_one();
            let versions = [of_one[1], of_one[2]]
                .map(|it| log.entries[it].change().change.as_ref().unwrap().version);
            for (at, version) in [(of_one[1], versions[1]), (of_one[2], versions[0])] {
                let change = log.entries[at].change_mut();
                change.change.as_mut().unwrap().version = version;
            }
        }),
        it("C3", "one cent more in a balance", |log| {
            let at = log.changes_of_one()[2];
            log.entries[at].change_mut().new_balance.0 += 1;
        }),
        it(
            "C4",
            "a later version stands before an earlier one",
            |log| {
                let of_one = log.changes_of_one();
                swap_records(log, of_one[1], of_one[2]);
            },
        ),
        it("C5", "a change of a command that was refused", |log| {
            let refused = log.find(|it| matches!(it.record, Some(Record::MoneyTransferFailed(_))));
            let id = log.entries[refused].id().unwrap();
            let at = log.find_last(is_change);
            log.entries[at]
                .change_mut()
                .change
                .as_mut()
                .unwrap()
                .command_id = id;
        }),
        it("C5", "a change of no command", |log| {
            let at = log.find_last(is_change);
            let change = log.entries[at].change_mut().change.as_mut().unwrap();
            change.command_id = CommandId::from_bytes([9; 16]);
        }),
        it(
            "C6",
            "the two sides of a transfer do not name each other",
            |log| {
                let at = internal_change(log);
                log.entries[at].change_mut().from_to = "Somebody".to_owned();
            },
        ),
        it("C6", "the two sides of a transfer have one sign", |log| {
            let at = internal_change(log);
            let change = log.entries[at].change_mut();
            change.changed_by = Cents(-change.changed_by.0);
        }),
        it(
            "E3",
            "the time of a change is not that of its command",
            |log| {
                let at = log.find_last(is_change);
                log.entries[at]
                    .change_mut()
                    .change
                    .as_mut()
                    .unwrap()
                    .occurred_at_us += 1;
            },
        ),
        it("C7", "a change under another key", |log| {
            let at = log.find_last(is_change);
            log.entries[at].key = b"NL66OPEN0000000001".to_vec();
        }),
        it("C7", "a change in another partition", |log| {
            let at = log.find_last(is_change);
            let mut entry = log.entries.remove(at);
            entry.partition = (entry.partition + 1) % 9;
            log.append(entry);
        }),
        it("F10", "a schema id that nobody knows", |log| {
            let at = log.find_last(is_change);
            let mut value = log.entries[at].value.clone();
            value[1..5].copy_from_slice(&[0x7f, 0xff, 0xff, 0xfe]);
            log.entries[at].with_value(value);
        }),
        it(
            "F1",
            "a change that cannot be read, and no dead letter",
            |log| {
                let at = log.find_last(is_change);
                let mut value = log.entries[at].value.clone();
                value.push(0);
                log.entries[at].with_value(value);
            },
        ),
    ]
}

fn answers_and_commands() -> Vec<Case> {
    let it = Case::in_topics;
    vec![
        it("B1", "a command is missing", |log| {
            let at =
                log.find_last(|it| it.topic == Topic::ConfirmMoneyTransfer && it.record.is_some());
            log.entries.remove(at);
        }),
        it("B1", "an answer is missing", |log| {
            let at = log.find_last(is_answer);
            log.entries.remove(at);
        }),
        it("B1", "an answer to no command", |log| {
            let at = log.find_last(is_answer);
            let entry = log.entries[at].clone();
            let id = CommandId::from_bytes([9; 16]);
            let reason = "no".to_owned();
            let entry = log.append(entry);
            entry.record = Some(Record::MoneyTransferFailed(MoneyTransferFailed {
                id,
                reason,
            }));
        }),
        it("B2", "a second answer says something else", |log| {
            let at = log.find(|it| matches!(it.record, Some(Record::MoneyTransferConfirmed(_))));
            let entry = log.entries[at].clone();
            let id = entry.id().unwrap();
            let reason = "insufficient funds".to_owned();
            let entry = log.append(entry);
            entry.record = Some(Record::MoneyTransferFailed(MoneyTransferFailed {
                id,
                reason,
            }));
        }),
        it("B2", "an answer under another key", |log| {
            let at = log.find_last(is_answer);
            log.entries[at].key = b"another".to_vec();
        }),
        it(
            "B2",
            "an answer with another token than the account's",
            |log| {
                let confirmed =
                    |it: &Entry| matches!(it.record, Some(Record::AccountCreationConfirmed(_)));
                let at = log.find(confirmed);
                if let Some(Record::AccountCreationConfirmed(it)) = &mut log.entries[at].record {
                    it.token = Token::new("a".repeat(26));
                }
            },
        ),
        it(
            "E2",
            "an answer tells of an account that is not there",
            |log| {
                let confirmed =
                    |it: &Entry| matches!(it.record, Some(Record::AccountCreationConfirmed(_)));
                let at = log.find(confirmed);
                if let Some(Record::AccountCreationConfirmed(it)) = &mut log.entries[at].record {
                    it.iban = topology::Iban::of_our_bank(412_883_157).to_string();
                }
            },
        ),
        it(
            "B5",
            "an id used for something else, and no dead letter",
            |log| {
                let at =
                    log.find(|it| it.topic == Topic::ConfirmMoneyTransfer && it.record.is_some());
                let mut entry = log.entries[at].clone();
                // In the place of another command, so that it lies within what was dealt with.
                let last = log
                    .find_last(|it| it.topic == Topic::ConfirmMoneyTransfer && it.record.is_some());
                entry.partition = log.entries[last].partition;
                if let Some(Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer { amount, .. })) =
                    &mut entry.record
                {
                    amount.0 += 1;
                }
                log.entries[last] = entry;
            },
        ),
        it("E5", "a command was sent twice and answered once", |log| {
            let id = repeated(log);
            let at = log.find(|it| is_answer(it) && it.id() == Some(id));
            log.entries.remove(at);
        }),
        it(
            "F1",
            "a command that cannot be read, and no dead letter",
            |log| {
                let at = log
                    .find_last(|it| it.topic == Topic::ConfirmMoneyTransfer && it.record.is_some());
                log.entries[at].with_value(b"garbage".to_vec());
            },
        ),
    ]
}

fn dead_letters() -> Vec<Case> {
    let it = Case::in_topics;
    vec![
        it("F1", "a dead letter is missing", |log| {
            let at = dead_letter(log, false);
            log.entries.remove(at);
        }),
        it("B5", "the dead letter of a reused id is missing", |log| {
            let at = dead_letter(log, true);
            log.entries.remove(at);
        }),
        it("F4", "one byte of a dead letter is another", |log| {
            let at = dead_letter(log, false);
            let mut value = log.entries[at].value.clone();
            value[0] ^= 1;
            log.entries[at].with_value(value);
        }),
        it("F4", "a dead letter under another key", |log| {
            let at = dead_letter(log, false);
            log.entries[at].key = b"another".to_vec();
        }),
        it(
            "F4",
            "a dead letter names a place where nothing is",
            |log| {
                let at = dead_letter(log, false);
                let entry = log.entries[at].clone();
                *log.append(entry).header_mut("source_offset") = b"100000".to_vec();
            },
        ),
        it("F4", "a dead letter without its origin", |log| {
            let at = dead_letter(log, false);
            log.entries[at].headers.clear();
        }),
        it("F4", "two reasons for one record", |log| {
            let at = dead_letter(log, false);
            let entry = log.entries[at].clone();
            *log.append(entry).header_mut("reason") = b"ANOTHER".to_vec();
        }),
    ]
}
