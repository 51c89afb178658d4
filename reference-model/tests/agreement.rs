//! Whatever is sent, in whatever batches the handler decides it, and in whatever order its
//! decisions are told to the model: both lead to the same records, byte for byte.
//!
//! This file alone knows both sides. The books are kept in memory; `e2e/tests/replay.rs` does
//! the same with a real bank.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use command_handler::batch::{self, Item, Tools};
use command_handler::domain::{Account, Event, LIMIT};
use command_handler::keys::{self, HandlerKey};
use command_handler::request::Request as HandlerRequest;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use reference_model::{
    AccountKind, Assigned, Command, Facts, Opening, Reason, Record, Recorded, RecordedOutcome,
    Replay, Request, Token, rules,
};
use topology::consumer::Consumed;
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer, RecordKind};
use topology::{Cents, Codec, CommandId, Iban, Topic, Topics};

const COMPANY_TOKEN: &str = "the company's token";
/// Magic byte and schema id, in front of each value.
const FRAMING_BYTES: usize = 5;
/// Commands of one run.
const COMMANDS_MAX: usize = 120;
/// Commands that open accounts come first among the ids, so that others can name them.
const OPENINGS: u8 = 6;

fn codec() -> Codec {
    use RecordKind as Kind;
    Codec::with_ids(&[
        (
            Topic::ConfirmAccountCreation,
            Kind::ConfirmAccountCreation,
            1,
        ),
        (Topic::ConfirmMoneyTransfer, Kind::ConfirmMoneyTransfer, 2),
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

/// A payer or a payee, as somebody may write it.
#[derive(Clone, Debug)]
enum Side {
    Company,
    /// An account that may be opened in this run, written in one of some ways.
    Opened(u8, Spelling),
    Text(String),
}

#[derive(Clone, Copy, Debug)]
enum Spelling {
    Plain,
    Small,
    Spaced,
    WrongDigit,
}

impl Side {
    fn text(&self) -> String {
        match self {
            Side::Company => Iban::company().to_string(),
            Side::Opened(number, spelling) => {
                let iban = account_of(*number);
                match spelling {
                    Spelling::Plain => iban,
                    Spelling::Small => iban.to_ascii_lowercase(),
                    Spelling::Spaced => format!(" {} {}\u{a0}", &iban[..4], &iban[4..]),
                    Spelling::WrongDigit => {
                        let digit = if iban.ends_with('0') { "1" } else { "0" };
                        format!("{}{digit}", &iban[..17])
                    }
                }
            }
            Side::Text(text) => text.clone(),
        }
    }
}

fn opening_id(number: u8) -> [u8; 16] {
    [number + 1; 16]
}

/// What the handler's key gives; that an account has no other number is checked below.
fn account_of(number: u8) -> String {
    key().iban_candidates(CommandId::from_bytes(opening_id(number)))[0].to_string()
}

#[derive(Clone, Debug)]
enum Sending {
    Open(u8),
    Pay {
        from: Side,
        to: Side,
        has_right_token: bool,
        amount_cents: i64,
        description: String,
    },
}

fn side() -> impl Strategy<Value = Side> {
    let spelling = prop_oneof![
        12 => Just(Spelling::Plain),
        1 => Just(Spelling::Small),
        1 => Just(Spelling::Spaced),
        1 => Just(Spelling::WrongDigit),
    ];
    let texts = prop::sample::select(vec![
        "cash",
        "cash",
        "cash",
        "Cash",
        " cash ",
        "Shop",
        " Shop ",
        "",
        " ",
        "a\0b",
        "DE89370400440532013000",
        "de89 3704 0044 0532 0130 00",
        "DE88370400440532013000",
        "NL99OPEN0000000085",
        "NL01OPEN0000000006",
        "NO9386011117947",
        "NL66OPEN0000000000\n",
        "NL66OPEN000000000",
        "NL00OPEN0000000024",
        "DE99000000000000000030",
        "NL66OPEN00000000000",
        "N\u{130}66OPEN0000000000",
        "\u{2003}Shop",
    ]);
    // Any two check digits, so that those with the same remainder are met as well.
    let checks =
        (0..100_u8, 0..60_u64).prop_map(|(check, number)| format!("NL{check:02}OPEN{number:010}"));
    prop_oneof![
        4 => Just(Side::Company),
        12 => (0..OPENINGS, spelling).prop_map(|(number, spelling)| Side::Opened(number, spelling)),
        6 => texts.prop_map(|text| Side::Text(text.to_owned())),
        1 => checks.prop_map(Side::Text),
        1 => ".{0,5}".prop_map(Side::Text),
        1 => prop::sample::select(vec![139, 140, 141]).prop_map(|length| Side::Text("\u{e9}".repeat(length))),
    ]
}

fn sending() -> impl Strategy<Value = Sending> {
    let amount = prop_oneof![
        12 => 1..60_000_i64,
        1 => prop::sample::select(vec![0, -1, i64::MIN, i64::MAX, 1_000_000_000, 1_000_000_001, 50_000, 50_001]),
    ];
    let description = prop_oneof![
        12 => Just("book".to_owned()),
        1 => ".{0,4}",
        1 => prop::sample::select(vec![140, 141]).prop_map(|length| "\u{20ac}".repeat(length)),
    ];
    prop_oneof![
        1 => (0..OPENINGS).prop_map(Sending::Open),
        8 => (side(), side(), prop::bool::weighted(0.9), amount, description).prop_map(
            |(from, to, has_right_token, amount_cents, description)| Sending::Pay {
                from, to, has_right_token, amount_cents, description,
            }
        ),
    ]
}

/// A command for both, the first of its id.
struct Sent {
    command: Command,
    recorded_at_ms: i64,
    consumed: Consumed,
}

fn sent(sendings: &[Sending]) -> Vec<Sent> {
    let codec = codec();
    let mut opened = BTreeSet::new();
    let mut sent = Vec::new();
    for (number, sending) in (0_u8..).zip(sendings) {
        let (topic, record, command) = match sending {
            Sending::Open(account) => {
                if !opened.insert(*account) {
                    continue;
                }
                let id = opening_id(*account);
                let record = topology::Record::ConfirmAccountCreation(ConfirmAccountCreation {
                    id: CommandId::from_bytes(id),
                    account_type: AccountType::Manual,
                });
                let kind = AccountKind::Manual;
                let request = Request::OpenAccount { kind };
                (
                    Topic::ConfirmAccountCreation,
                    record,
                    Command { id, request },
                )
            }
            Sending::Pay {
                from,
                to,
                has_right_token,
                amount_cents,
                description,
            } => {
                let token = match from {
                    _ if !has_right_token => "wrong".to_owned(),
                    Side::Company => COMPANY_TOKEN.to_owned(),
                    Side::Opened(number, _) => {
                        key().token(CommandId::from_bytes(opening_id(*number)))
                    }
                    Side::Text(_) => String::new(),
                };
                let id = [0x80 | number; 16];
                let record = topology::Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
                    id: CommandId::from_bytes(id),
                    token: topology::Token::new(token.clone()),
                    amount: Cents(*amount_cents),
                    from: from.text(),
                    to: to.text(),
                    description: description.clone(),
                });
                let request = Request::Transfer {
                    token,
                    amount_cents: *amount_cents,
                    from: from.text(),
                    to: to.text(),
                    description: description.clone(),
                };
                (Topic::ConfirmMoneyTransfer, record, Command { id, request })
            }
        };
        // As the consumer hands it over: never before 1970.
        let recorded_at_ms = 1_763_726_400_000 * i64::from(number % 3);
        sent.push(Sent {
            command,
            recorded_at_ms,
            consumed: Consumed {
                topic,
                partition: 0,
                offset: i64::from(number),
                epoch: 1,
                timestamp_ms: recorded_at_ms,
                key: None,
                value: Some(
                    codec
                        .encode(topic, &record)
                        .expect("the codec writes commands"),
                ),
                trace: None,
            },
        });
    }
    sent
}

fn records_of<'a>(frames: impl Iterator<Item = command_handler::frames::Frame<'a>>) -> Vec<Record> {
    frames
        .map(|frame| {
            let value = frame.value.expect("no dead letters here");
            Record {
                topic: frame.topic.definition().name,
                key: String::from_utf8(frame.key.to_vec()).expect("keys are texts"),
                // The schema's id tells the type.
                name: match value[4] {
                    3 => "AccountCreationConfirmed",
                    4 => "AccountCreationFailed",
                    5 => "MoneyTransferConfirmed",
                    6 => "MoneyTransferFailed",
                    _ => "BalanceChanged",
                },
                body: value[FRAMING_BYTES..].to_vec(),
            }
        })
        .collect()
}

type Decision = Recorded<Vec<Record>>;

/// Decides everything with the handler's core, in batches, and records what came of it.
fn decided_by_handler(sent: &[Sent], batch: usize) -> (Vec<Decision>, BTreeMap<Iban, Account>) {
    let (codec, key, topics) = (codec(), key(), Topics::default());
    let company = Account {
        iban: Iban::company(),
        token_digest: keys::digest(COMPANY_TOKEN),
        balance: Cents(rules::OPENING_CENTS),
        limit: LIMIT,
        version: 1,
    };
    let mut books = BTreeMap::from([(company.iban, company)]);
    let mut decisions = Vec::new();
    for part in sent.chunks(batch) {
        let items: Vec<Item> = part
            .iter()
            .map(|sent| {
                let value = sent.consumed.value.as_deref();
                let read = codec.decode_borrowed(sent.consumed.topic, value);
                let read = read.expect("a known schema").expect("a good record");
                Item {
                    record: sent.consumed.clone(),
                    request: HandlerRequest::from_record(read),
                }
            })
            .collect();
        let accounts = batch::touched_ibans(&items, &key)
            .iter()
            .filter_map(|iban| books.get(iban).cloned())
            .collect();
        let tools = Tools {
            key: &key,
            codec: &codec,
            topics: &topics,
        };
        let plan =
            batch::plan(&items, accounts, HashMap::new(), tools).expect("the codec writes answers");
        let entries = |id: CommandId| plan.entries.iter().filter(move |it| it.command_id == id);
        for (outcome, sent) in plan.outcomes.iter().zip(part) {
            assert_eq!(outcome.id.to_bytes(), sent.command.id);
            let opened = plan.opened.iter().find(|(id, _)| *id == outcome.id);
            let versions: Vec<Option<i64>> = entries(outcome.id)
                .map(|entry| entry.after.map(|(version, _)| version))
                .collect();
            decisions.push(Recorded {
                command: sent.command.clone(),
                facts: Facts {
                    recorded_at_ms: sent.recorded_at_ms,
                    assigned: opened.map(|(id, account)| Assigned {
                        iban: account.iban.to_string(),
                        token: key.token(*id),
                    }),
                },
                outcome: match (outcome.rejection, versions.as_slice()) {
                    (Some(rejection), _) => RecordedOutcome::Rejected {
                        reason: rejection.reason().to_owned(),
                        observed_version: outcome.observed_version,
                    },
                    (None, [payer, payee]) => RecordedOutcome::Moved {
                        payer_version: *payer,
                        payee_version: *payee,
                    },
                    (None, _) => RecordedOutcome::Opened,
                },
                attached: records_of(plan.frames.range(outcome.frames.clone())),
            });
        }
        let opened = plan.opened.into_iter().map(|(_, account)| account);
        for account in opened.chain(plan.changed) {
            books.insert(account.iban, account);
        }
    }
    (decisions, books)
}

fn replay() -> Replay<Vec<Record>> {
    let (replay, _) = Replay::begin(Opening {
        company_token: Token::Digest(keys::digest(COMPANY_TOKEN).0),
        occurred_at_us: 0,
    });
    replay
}

proptest! {
    #[test]
    fn given_anything_sent_when_decided_by_both_then_the_records_are_equal(
        sendings in prop::collection::vec(sending(), 1..COMMANDS_MAX),
        batch in 1..20_usize,
        shuffle in prop::collection::vec(any::<Index>(), COMMANDS_MAX),
    ) {
        let sent = sent(&sendings);
        let (mut decisions, books) = decided_by_handler(&sent, batch);
        let count = decisions.len();
        for (place, index) in shuffle.iter().enumerate().take(count) {
            decisions.swap(place, index.index(count));
        }
        let mut replay = replay();
        for decision in &decisions {
            if let RecordedOutcome::Rejected { reason, observed_version } = &decision.outcome {
                replay.expect(&decision.command.request, reason, *observed_version);
            }
        }
        let mut replayed = 0;
        for decision in decisions {
            replay.push(decision, |decided| {
                replayed += 1;
                let records = decided.decision.expect("numbers are given once").records;
                assert_eq!(records, decided.recorded.attached, "{:?}", decided.recorded.command);
            });
        }
        let (bank, left) = replay.finish();
        prop_assert!(left.is_empty(), "{left:?}");
        prop_assert_eq!(replayed, count);
        let accounts: BTreeMap<String, (i64, i64)> = bank
            .accounts()
            .map(|(iban, balance, version)| (iban.to_owned(), (balance, version)))
            .collect();
        let expected: BTreeMap<String, (i64, i64)> = books
            .values()
            .map(|account| (account.iban.to_string(), (account.balance.0, account.version)))
            .collect();
        prop_assert_eq!(accounts, expected);
    }
}

/// A property that never meets what it is about holds for nothing.
#[test]
fn given_the_sendings_when_counted_then_every_rule_that_can_be_met_is_met() {
    let mut runner = TestRunner::deterministic();
    let mut reasons = BTreeMap::<String, usize>::new();
    let mut moved = 0;
    for _ in 0..200 {
        let strategy = prop::collection::vec(sending(), COMMANDS_MAX - 1);
        let sendings = strategy.new_tree(&mut runner).unwrap().current();
        let (decisions, _) = decided_by_handler(&sent(&sendings), 7);
        for decision in decisions {
            match decision.outcome {
                RecordedOutcome::Rejected { reason, .. } => {
                    *reasons.entry(reason).or_default() += 1
                }
                RecordedOutcome::Moved { .. } => moved += 1,
                RecordedOutcome::Opened => {}
            }
        }
    }
    assert!(moved > 1_000, "{moved}");
    for reason in Reason::ALL {
        let out_of_reach = matches!(reason, Reason::BalanceLimitExceeded | Reason::IbanTaken);
        let met = reasons.get(reason.text()).copied().unwrap_or_default();
        assert!(out_of_reach || met >= 20, "{reason:?}: {met}");
    }
}

/// The two rules the sendings do not reach.
#[test]
fn given_no_free_number_or_a_full_account_when_decided_by_both_then_the_answers_are_equal() {
    let facts = command_handler::domain::Facts::default();
    let nothing = std::iter::empty().collect();
    let opening = command_handler::domain::Command::OpenAccount;
    let refused = command_handler::domain::decide(&nothing, &opening, &facts).unwrap_err();
    assert_eq!(refused.reason(), Reason::IbanTaken.text());

    let full = Account {
        iban: Iban::of_our_bank(1),
        token_digest: keys::digest(""),
        balance: Cents(rules::BALANCE_MAX_CENTS - 5),
        limit: LIMIT,
        version: 1,
    };
    let iban = full.iban.to_string();
    let accounts = std::iter::once(full).collect();
    let pay = |amount| {
        let transfer = command_handler::domain::Transfer::read(
            Cents(amount),
            "cash",
            &iban,
            keys::digest(""),
            "",
        );
        let command = command_handler::domain::Command::Transfer(transfer);
        command_handler::domain::decide(&accounts, &command, &facts)
    };
    assert!(matches!(pay(5), Ok(Event::MoneyMoved { .. })));
    let refused = pay(6).unwrap_err();
    assert_eq!(refused.reason(), Reason::BalanceLimitExceeded.text());
}
