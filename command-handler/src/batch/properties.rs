//! What holds whatever is sent, in whatever order and in whatever batches, with the books
//! kept in memory. The letters are the invariants of `docs/architecture.md`'s promises:
//! A money, B outcomes, C events.

mod bank;

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use topology::records::{ConfirmAccountCreation, ConfirmMoneyTransfer, RecordKind};
use topology::{CASH, Record, Token};

use super::*;
use bank::{Bank, Sent};

const OPENINGS: Topic = Topic::ConfirmAccountCreation;
const TRANSFERS: Topic = Topic::ConfirmMoneyTransfer;
const PARTITIONS: i32 = 4;
const COMPANY_BALANCE: Cents = Cents(1_000_000);
const COMPANY_TOKEN: &str = "the company's token";

fn codec() -> Codec {
    use RecordKind as Kind;
    Codec::with_ids(&[
        (OPENINGS, Kind::ConfirmAccountCreation, 1),
        (TRANSFERS, Kind::ConfirmMoneyTransfer, 2),
        (
            Topic::AccountCreationFeedback,
            Kind::AccountCreationConfirmed,
            3,
        ),
        (
            Topic::AccountCreationFeedback,
            Kind::AccountCreationFailed,
            4,
        ),
        (
            Topic::MoneyTransferFeedback,
            Kind::MoneyTransferConfirmed,
            5,
        ),
        (Topic::MoneyTransferFeedback, Kind::MoneyTransferFailed, 6),
        (Topic::BalanceChanged, Kind::BalanceChanged, 7),
    ])
}

fn key() -> HandlerKey {
    HandlerKey::new("a key")
}

fn understood(codec: &Codec, record: &Consumed) -> Item {
    let read = codec.decode_borrowed(record.topic, record.value.as_deref());
    let request = Request::from_record(read.unwrap().unwrap());
    Item {
        record: record.clone(),
        request,
    }
}

/// One thing somebody sends.
#[derive(Clone, Debug)]
enum Sending {
    Open {
        account: u8,
    },
    Pay {
        number: u8,
        from: u8,
        to: u8,
        amount: i64,
        right_token: bool,
    },
}

fn opening_id(account: u8) -> CommandId {
    CommandId::from_bytes([account + 1; 16])
}

/// Account 0 is the company's, 7 is cash, the others come to be when opened.
fn iban_of(account: u8) -> String {
    match account {
        0 => Iban::company().to_string(),
        7 => CASH.to_owned(),
        opened => key().iban_candidates(opening_id(opened))[0].to_string(),
    }
}

fn token_of(account: u8) -> String {
    match account {
        0 => COMPANY_TOKEN.to_owned(),
        opened => key().token(opening_id(opened)),
    }
}

impl Sending {
    fn record(&self) -> (Topic, i32, Record) {
        match self {
            Sending::Open { account } => {
                let record = ConfirmAccountCreation {
                    id: opening_id(*account),
                    account_type: AccountType::Auto,
                };
                (OPENINGS, 0, Record::ConfirmAccountCreation(record))
            }
            Sending::Pay {
                number,
                from,
                to,
                amount,
                right_token,
            } => {
                let token = if *right_token {
                    token_of(*from)
                } else {
                    "wrong".to_owned()
                };
                let record = ConfirmMoneyTransfer {
                    id: CommandId::from_bytes([0x80 | number; 16]),
                    token: Token::new(token),
                    amount: Cents(*amount),
                    from: iban_of(*from),
                    to: if *to == 6 {
                        "Shop".to_owned()
                    } else {
                        iban_of(*to)
                    },
                    description: "book".to_owned(),
                };
                let partition = i32::from(*from) % PARTITIONS;
                (TRANSFERS, partition, Record::ConfirmMoneyTransfer(record))
            }
        }
    }
}

/// Few accounts, few ids: so that commands meet, repeat and contradict each other.
fn sendings() -> impl Strategy<Value = Vec<Sending>> {
    let open = (1..5_u8).prop_map(|account| Sending::Open { account });
    let payer = prop_oneof![0..5_u8, Just(7)];
    let wrong = prop_oneof![Just(0), Just(-5), Just(i64::MAX)];
    let amount = prop_oneof![12 => 1..60_000_i64, 1 => wrong];
    let pay = (0..100_u8, payer, 0..8_u8, amount, prop::bool::weighted(0.9)).prop_map(
        |(number, from, to, amount, right_token)| Sending::Pay {
            number,
            from,
            to,
            amount,
            right_token,
        },
    );
    prop::collection::vec(prop_oneof![1 => open, 5 => pay], 1..60)
}

/// Appends to the log, each partition with offsets of its own.
fn log(sendings: &[Sending]) -> Vec<Consumed> {
    let codec = codec();
    let mut ends = BTreeMap::<(Topic, i32), i64>::new();
    let records = sendings.iter().zip(0..);
    records
        .map(|(sending, at)| {
            let (topic, partition, record) = sending.record();
            let end = ends.entry((topic, partition)).or_default();
            *end += 1;
            Consumed {
                topic,
                partition,
                offset: *end - 1,
                epoch: 1,
                timestamp_ms: at,
                key: None,
                value: Some(codec.encode(topic, &record).unwrap()),
                trace: None,
            }
        })
        .collect()
}

/// The same log at other offsets: sent again.
fn sent_again(log: &[Consumed]) -> Vec<Consumed> {
    let later = log.iter().cloned().map(|record| Consumed {
        offset: record.offset + 1_000,
        ..record
    });
    later.collect()
}

/// Another order that keeps each partition's own: `picks` says which partition is next.
fn interleaved(log: &[Consumed], picks: &[prop::sample::Index]) -> Vec<Consumed> {
    let mut queues = BTreeMap::<(Topic, i32), std::collections::VecDeque<Consumed>>::new();
    for record in log {
        let queue = queues.entry((record.topic, record.partition)).or_default();
        queue.push_back(record.clone());
    }
    let mut order = Vec::new();
    for pick in picks.iter().cycle() {
        queues.retain(|_, queue| !queue.is_empty());
        if queues.is_empty() {
            break;
        }
        let next = pick.index(queues.len());
        let queue = queues.values_mut().nth(next);
        order.extend(queue.and_then(std::collections::VecDeque::pop_front));
    }
    order
}

fn handled(log: &[Consumed], batch: usize) -> Bank {
    let mut bank = Bank::opened();
    for records in log.chunks(batch) {
        bank.deal_with(records);
    }
    bank
}

/// A property that never meets what it is about holds for nothing.
#[test]
fn the_sendings_reach_what_the_properties_are_about() {
    let mut runner = TestRunner::deterministic();
    let (mut entries, mut letters, mut repeats) = (0, 0, 0);
    let mut reasons = BTreeSet::new();
    for _ in 0..200 {
        let sendings = sendings().new_tree(&mut runner).unwrap().current();
        let bank = handled(&log(&sendings), 7);
        entries += bank.ledger.len();
        letters += bank
            .sent
            .iter()
            .filter(|it| it.0 == Topic::DeadLetters)
            .count();
        repeats += sendings.len() - bank.outcomes.len();
        let decided = bank.outcomes.values();
        reasons.extend(decided.filter_map(|it| Some(it.rejection?.reason())));
    }
    let reached = (entries, letters, repeats);
    assert!(entries > 1_000 && letters > 100, "{reached:?}");
    assert!(repeats > letters, "{reached:?}");
    for rejection in [
        Rejection::AmountInvalid,
        Rejection::SameAccount,
        Rejection::TokenInvalid,
        Rejection::InsufficientFunds,
        Rejection::PayeeUnknown,
        Rejection::BothUnknown,
    ] {
        assert!(reasons.contains(rejection.reason()), "{rejection}");
    }
}

proptest! {
    #[test]
    fn money_answers_and_events_hold_whatever_is_sent(sendings in sendings(), batch in 1..20_usize) {
        let log = log(&sendings);
        handled(&log, batch).check(&log);
    }

    #[test]
    fn any_way_of_cutting_into_batches_gives_the_same(
        sendings in sendings(),
        cuts in prop::collection::vec(1..15_usize, 1..60),
    ) {
        let log = log(&sendings);
        let alone = handled(&log, 1);
        let mut cut = Bank::opened();
        let mut rest = log.as_slice();
        for length in cuts.into_iter().cycle() {
            let (batch, more) = rest.split_at(length.min(rest.len()));
            if batch.is_empty() {
                break;
            }
            cut.deal_with(batch);
            rest = more;
        }
        prop_assert_eq!(alone.effects(), cut.effects());
        prop_assert_eq!(&alone.sent, &cut.sent, "the same records in the same order");
        prop_assert_eq!(&alone.outcomes, &cut.outcomes);
        prop_assert_eq!(&alone.offsets, &cut.offsets);
    }

    #[test]
    fn any_order_of_the_partitions_keeps_money_answers_and_events(
        sendings in sendings(),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 1..60),
        batch in 1..20_usize,
    ) {
        let log = interleaved(&log(&sendings), &picks);
        prop_assert_eq!(log.len(), sendings.len());
        handled(&log, batch).check(&log);
    }

    #[test]
    fn the_same_records_again_give_nothing(sendings in sendings(), batch in 1..20_usize) {
        let log = log(&sendings);
        let once = handled(&log, batch);
        let mut again = once.clone();
        // Only first deliveries are known by their place; a repeat that was answered once
        // is answered once more when it is read again.
        let firsts: Vec<Consumed> = log
            .iter()
            .filter(|it| once.outcomes.values().any(|of| of.source == Some(Source::of(it))))
            .cloned()
            .collect();
        for record in &firsts {
            again.offsets.clear();
            again.deal_with(std::slice::from_ref(record));
        }
        prop_assert_eq!(once.effects(), again.effects());
        prop_assert_eq!(&once.sent, &again.sent);
    }

    #[test]
    fn the_same_commands_again_get_the_same_bytes_and_change_nothing(
        sendings in sendings(),
        batch in 1..20_usize,
    ) {
        let log = log(&sendings);
        let once = handled(&log, batch);
        let mut twice = once.clone();
        let again = sent_again(&log);
        for records in again.chunks(batch) {
            twice.deal_with(records);
        }
        prop_assert_eq!(once.effects(), twice.effects());
        let everything: BTreeSet<&Sent> = once.sent.iter().collect();
        prop_assert!(twice.sent.iter().all(|sent| everything.contains(sent)));
        twice.check(&[log, again].concat());
    }

    #[test]
    fn a_repeat_in_between_changes_nothing(
        sendings in sendings(),
        repeats in prop::collection::vec(any::<(prop::sample::Index, prop::sample::Index)>(), 1..10),
        batch in 1..20_usize,
    ) {
        let log = log(&sendings);
        let mut with_repeats = log.clone();
        for (number, (which, place)) in (0..).zip(repeats) {
            let first = which.index(with_repeats.len());
            let mut copy = with_repeats[first].clone();
            copy.offset += 1_000 * (number + 1);
            with_repeats.insert(first + 1 + place.index(with_repeats.len() - first), copy);
        }
        // Offsets ascend in the log, whatever was put in between.
        for partition in [(OPENINGS, 0)].into_iter().chain((0..PARTITIONS).map(|it| (TRANSFERS, it))) {
            let of_partition = |it: &&mut Consumed| (it.topic, it.partition) == partition;
            for (record, offset) in with_repeats.iter_mut().filter(of_partition).zip(0..) {
                record.offset = offset;
            }
        }
        let (without, with) = (handled(&log, batch), handled(&with_repeats, batch));
        prop_assert_eq!(without.effects(), with.effects());
        with.check(&with_repeats);
    }
}
