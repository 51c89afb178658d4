//! Batches as a specification: what repeats, conflicts and poison give.

use topology::records::RecordKind;
use topology::stamps::{Stamp, Stamps};

use super::*;
use crate::domain::{Digest, LIMIT, Transfer};
use crate::frames::Frame;

fn codec() -> Codec {
    use RecordKind as Kind;
    Codec::with_ids(&[
        (
            Topic::AccountCreationFeedback,
            Kind::AccountCreationConfirmed,
            1,
        ),
        (
            Topic::AccountCreationFeedback,
            Kind::AccountCreationFailed,
            2,
        ),
        (
            Topic::MoneyTransferFeedback,
            Kind::MoneyTransferConfirmed,
            3,
        ),
        (Topic::MoneyTransferFeedback, Kind::MoneyTransferFailed, 4),
        (Topic::BalanceChanged, Kind::BalanceChanged, 5),
    ])
}

fn key() -> HandlerKey {
    HandlerKey::new("a key")
}

fn iban(number: u64) -> Iban {
    Iban::of_our_bank(number)
}

fn given() -> Accounts {
    (1..=2)
        .map(|number| Account {
            iban: iban(number),
            token_digest: Digest([7; 32]),
            balance: Cents(1_000),
            limit: LIMIT,
            version: 10,
        })
        .collect()
}

fn record(offset: i64) -> Consumed {
    Consumed {
        topic: Topic::ConfirmMoneyTransfer,
        partition: 4,
        offset,
        epoch: 1,
        timestamp_ms: 1_700_000_000_000,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        trace: None,
    }
}

fn pay(offset: i64, id: u8, amount: i64) -> Item {
    let amount_byte = u8::try_from(amount & 0xff).unwrap();
    Item {
        record: record(offset),
        request: Ok(Request {
            id: CommandId::from_bytes([id; 16]),
            hash: [amount_byte; 16],
            account_type: None,
            command: Command::Transfer(Transfer::read(
                Cents(amount),
                iban(1).as_str(),
                iban(2).as_str(),
                Digest([7; 32]),
                "book",
            )),
        }),
    }
}

fn when(items: &[Item], priors: HashMap<CommandId, Prior>) -> Plan {
    let tools = Tools {
        key: &key(),
        codec: &codec(),
        topics: &Topics::default(),
    };
    plan(items, given(), priors, tools).unwrap()
}

fn frames(plan: &Plan) -> Vec<Frame<'_>> {
    plan.frames.iter().collect()
}

/// What a decision left in the books.
fn prior(plan: &Plan, number: usize) -> (CommandId, Prior) {
    let outcome = &plan.outcomes[number];
    let mut frames = Frames::default();
    let stored = plan.frames.stored(outcome.frames.clone());
    let stored = stored.pieces().concat();
    frames.restore(&stored, outcome.id, &key()).unwrap();
    let prior = Prior {
        hash: outcome.hash,
        source: outcome.source,
        frames,
    };
    (outcome.id, prior)
}

fn topics(plan: &Plan) -> Vec<Topic> {
    plan.frames.iter().map(|frame| frame.topic).collect()
}

const ONE_TRANSFER: [Topic; 3] = [
    Topic::BalanceChanged,
    Topic::BalanceChanged,
    Topic::MoneyTransferFeedback,
];

#[test]
fn a_transfer_gives_two_entries_two_changes_and_one_answer() {
    let plan = when(&[pay(0, 1, 100)], HashMap::new());
    assert_eq!(topics(&plan), ONE_TRANSFER);
    let entries: Vec<_> = plan
        .entries
        .iter()
        .map(|it| (it.delta.0, it.after))
        .collect();
    assert_eq!(
        entries,
        [
            (-100, Some((11, Cents(900)))),
            (100, Some((11, Cents(1_100))))
        ]
    );
    assert_eq!(plan.offsets.len(), 1);
    assert_eq!(plan.offsets[0].next_offset, 1);
    assert_eq!(plan.owed.len(), 1);
}

#[test]
fn many_transfers_touch_each_account_once_and_leave_no_hole_in_the_versions() {
    let items: Vec<Item> = (0..10).map(|n| pay(n.into(), n + 1, 10)).collect();
    let plan = when(&items, HashMap::new());
    assert_eq!(plan.changed.len(), 2);
    let versions: Vec<_> = plan
        .entries
        .iter()
        .filter(|it| it.account.own() == Some(&iban(1)))
        .filter_map(|it| it.after.map(|(version, _)| version))
        .collect();
    assert_eq!(versions, (11..=20).collect::<Vec<i64>>());
    assert_eq!(plan.changed[0].version, 20);
}

#[test]
fn the_same_command_again_in_the_same_batch_gets_the_same_bytes_and_moves_nothing() {
    let plan = when(&[pay(0, 1, 100), pay(1, 1, 100)], HashMap::new());
    assert_eq!(plan.entries.len(), 2);
    assert_eq!(plan.outcomes.len(), 1);
    let frames = frames(&plan);
    assert_eq!(frames[..3], frames[3..]);
}

#[test]
fn the_same_record_again_gives_nothing_but_its_offset() {
    let first = when(&[pay(0, 1, 100)], HashMap::new());
    let again = when(&[pay(0, 1, 100)], HashMap::from([prior(&first, 0)]));
    assert!(again.frames.is_empty() && again.owed.is_empty() && again.entries.is_empty());
    assert_eq!(again.offsets, first.offsets);
}

#[test]
fn a_used_id_with_other_content_changes_nothing_and_the_first_answer_stands() {
    let plan = when(&[pay(0, 1, 100), pay(1, 1, 101)], HashMap::new());
    assert_eq!(plan.entries.len(), 2);
    let letter = plan.dead_letters.iter().next().unwrap();
    let header = |name: &str| {
        let (_, value) = letter.headers.iter().find(|(it, _)| it == name).unwrap();
        String::from_utf8(value.clone()).unwrap()
    };
    assert_eq!(header("reason"), IDEMPOTENCY_CONFLICT);
    assert_eq!(header("source_topic"), "confirm_money_transfer");
    assert_eq!(header("source_partition"), "4");
    assert_eq!(header("source_offset"), "1");
    assert_eq!(letter.value, Some(b"value".as_slice()));
    let first = plan.frames.range(plan.outcomes[0].frames.clone());
    assert!(plan.frames.range(4..7).eq(first));
}

#[test]
fn what_cannot_be_understood_is_a_dead_letter_and_the_next_is_handled() {
    let poison = Item {
        record: record(0),
        request: Err("FRAMING"),
    };
    let plan = when(&[poison, pay(1, 1, 100)], HashMap::new());
    assert_eq!(plan.dead_letters.len(), 1);
    assert_eq!(plan.outcomes.len(), 1);
    assert_eq!(plan.offsets[0].next_offset, 2);
}

#[test]
fn a_rejection_is_an_outcome_with_an_answer_and_no_entries() {
    let plan = when(&[pay(0, 1, 1_000_000)], HashMap::new());
    assert_eq!(topics(&plan), [Topic::MoneyTransferFeedback]);
    assert_eq!(
        plan.outcomes[0].rejection,
        Some(Rejection::InsufficientFunds)
    );
    assert_eq!(plan.outcomes[0].observed_version, Some(10));
    assert!(plan.entries.is_empty() && plan.changed.is_empty());
}

#[test]
fn an_opened_account_can_be_paid_in_the_same_batch() {
    let id = CommandId::from_bytes([9; 16]);
    let open = Item {
        record: Consumed {
            topic: Topic::ConfirmAccountCreation,
            ..record(0)
        },
        request: Ok(Request {
            id,
            hash: [9; 16],
            account_type: Some(AccountType::Manual),
            command: Command::OpenAccount,
        }),
    };
    let new = key().iban_candidates(id).remove(0);
    let mut deposit = pay(1, 1, 500);
    if let Ok(Request {
        command: Command::Transfer(transfer),
        ..
    }) = &mut deposit.request
    {
        transfer.from = Ok(Party::Cash);
        transfer.to = Ok(Party::Own(new));
    }
    let plan = when(&[open, deposit], HashMap::new());
    assert_eq!(plan.opened[0].1.iban, new);
    assert_eq!(
        (plan.changed[0].version, plan.changed[0].balance),
        (1, Cents(500))
    );
    let confirmation = plan.frames.iter().next().unwrap();
    let at = usize::from(confirmation.token_at.unwrap());
    let token = key().token(id);
    assert_eq!(
        &confirmation.value.unwrap()[at..at + token.len()],
        token.as_bytes()
    );
    assert_eq!(plan.offsets.len(), 2, "one per partition");
}

fn traced(item: Item) -> Item {
    let trace = Trace {
        parent: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".to_owned()),
        stamps: Stamps::default().with(Stamp::Accepted, 1),
    };
    Item {
        record: Consumed {
            trace: Some(Box::new(trace)),
            ..item.record
        },
        ..item
    }
}

#[test]
fn given_a_command_with_times_when_decided_then_they_travel_with_what_it_gives() {
    let asked = traced(pay(1, 2, 100));
    let plan = when(&[pay(0, 1, 100), asked.clone()], HashMap::new());
    let journeys: Vec<_> = plan.journeys.iter().map(|it| it.frames.clone()).collect();
    let of_the_second = plan.outcomes[1].frames.clone();
    assert_eq!(journeys, [of_the_second]);
    assert_eq!(
        Some(plan.journeys[0].trace.clone()),
        asked.record.trace.map(|it| *it)
    );
}

#[test]
fn given_a_command_with_times_when_it_was_decided_before_then_its_answer_has_none() {
    let first = when(&[pay(0, 1, 100)], HashMap::new());
    let again = when(&[traced(pay(5, 1, 100))], HashMap::from([prior(&first, 0)]));
    assert_eq!(topics(&again), ONE_TRANSFER);
    assert_eq!(again.journeys, []);
}
