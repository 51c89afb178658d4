//! The rule book as a specification.

use proptest::prelude::*;
use topology::{CASH, Iban};

use super::*;
use crate::domain::Digest;

const TOKEN: Digest = Digest([7; 32]);
const OTHER_TOKEN: Digest = Digest([8; 32]);

fn iban(number: u64) -> Iban {
    Iban::of_our_bank(number)
}

fn account(number: u64, balance: i64) -> Account {
    Account {
        iban: iban(number),
        token_digest: TOKEN,
        balance: Cents(balance),
        limit: LIMIT,
        version: 3,
    }
}

fn transfer(from: &str, to: &str, amount: i64) -> Transfer {
    Transfer::read(Cents(amount), from, to, TOKEN, "rent")
}

/// Given two accounts with € 10,00 and € 0,00, when this transfer, then this.
fn when(transfer: Transfer) -> Result<(Cents, Cents), Rejection> {
    let given: Accounts = [account(1, 1_000), account(2, 0)].into_iter().collect();
    let command = Command::Transfer(transfer);
    let event = decide(&given, &command, &Facts::default())?;
    let then = evolve(given, &event);
    let balance = |number| then.get(&iban(number)).unwrap().balance;
    Ok((balance(1), balance(2)))
}

#[test]
fn a_transfer_is_answered_by_the_first_rule_that_applies() {
    let one = iban(1).to_string();
    let two = iban(2).to_string();
    let unknown = iban(9).to_string();
    let (one, two, unknown) = (one.as_str(), two.as_str(), unknown.as_str());
    let spaced = format!("{} {}", &two[..4], &two[4..]).to_lowercase();
    let wrong_digits = two.replacen(&two[2..4], "00", 1);
    let long_name = "x".repeat(141);
    let moved = |one, two| Ok((Cents(one), Cents(two)));
    let max = TRANSFER_MAX.0;
    for (from, to, amount, then) in [
        // what moves
        (one, two, 1, moved(999, 1)),
        (one, two, 1_000, moved(0, 1_000)),
        (one, spaced.as_str(), 1, moved(999, 1)),
        (CASH, two, 500, moved(1_000, 500)),
        (CASH, two, max, moved(1_000, max)),
        (one, CASH, 500, moved(500, 0)),
        (one, "Albert Heijn BV", 500, moved(500, 0)),
        (one, "DE89 3704 0044 0532 0130 00", 500, moved(500, 0)),
        // the limit: exactly to it, and one cent beyond
        (one, two, 51_000, moved(-50_000, 51_000)),
        (one, two, 51_001, Err(Rejection::InsufficientFunds)),
        // amounts
        (one, two, 0, Err(Rejection::AmountInvalid)),
        (one, two, -1, Err(Rejection::AmountInvalid)),
        (one, two, i64::MIN, Err(Rejection::AmountInvalid)),
        (CASH, two, max + 1, Err(Rejection::AmountInvalid)),
        (CASH, two, i64::MAX, Err(Rejection::AmountInvalid)),
        // payers
        ("", two, 1, Err(Rejection::PayerInvalid)),
        ("CASH", two, 1, Err(Rejection::PayerInvalid)),
        ("Albert Heijn BV", two, 1, Err(Rejection::PayerInvalid)),
        (
            "DE89370400440532013000",
            two,
            1,
            Err(Rejection::PayerInvalid),
        ),
        (wrong_digits.as_str(), two, 1, Err(Rejection::PayerInvalid)),
        (unknown, two, 1, Err(Rejection::TokenInvalid)),
        // payees
        (one, "", 1, Err(Rejection::PayeeInvalid)),
        (one, "Cash", 1, Err(Rejection::PayeeInvalid)),
        (one, "a\u{0}b", 1, Err(Rejection::PayeeInvalid)),
        (one, long_name.as_str(), 1, Err(Rejection::PayeeInvalid)),
        (one, wrong_digits.as_str(), 1, Err(Rejection::PayeeInvalid)),
        (
            one,
            "DE88370400440532013000",
            1,
            Err(Rejection::PayeeInvalid),
        ),
        (one, unknown, 1, Err(Rejection::PayeeUnknown)),
        (CASH, unknown, 1, Err(Rejection::PayeeUnknown)),
        (CASH, "Albert Heijn BV", 1, Err(Rejection::BothUnknown)),
        // the same on both sides
        (one, one, 1, Err(Rejection::SameAccount)),
        (CASH, CASH, 1, Err(Rejection::SameAccount)),
        // who wins
        (one, one, 0, Err(Rejection::AmountInvalid)),
        (unknown, unknown, 1, Err(Rejection::SameAccount)),
        (unknown, "", 1, Err(Rejection::PayeeInvalid)),
    ] {
        assert_eq!(
            when(transfer(from, to, amount)),
            then,
            "{from} to {to}: {amount}"
        );
    }
}

/// What a transfer may be made of, right and wrong in each way a rule knows.
#[derive(Clone, Copy, Debug)]
struct Case {
    amount: i64,
    from: &'static str,
    to: &'static str,
    description: &'static str,
    token: Digest,
}

/// Names for account numbers in the cases.
fn spelt(name: &str) -> String {
    match name {
        "rich" => iban(1).to_string(),
        "poor" => iban(2).to_string(),
        "full" => iban(3).to_string(),
        "unknown" => iban(9).to_string(),
        "mistyped" => iban(2).as_str().replacen(&iban(2).as_str()[2..4], "00", 1),
        text => text.to_owned(),
    }
}

fn is_own(name: &str) -> bool {
    ["rich", "poor", "full", "unknown"].contains(&name)
}

const RICH: i64 = TRANSFER_MAX.0;
const POOR: i64 = LIMIT.0;

/// A reason, with when it applies.
type Rule = (Rejection, fn(&Case) -> bool);

/// The rule book: each reason in its place.
const RULES: [Rule; 10] = [
    (Rejection::AmountInvalid, |it| {
        it.amount < 1 || it.amount > TRANSFER_MAX.0
    }),
    (Rejection::PayerInvalid, |it| {
        !is_own(it.from) && it.from != CASH
    }),
    (Rejection::PayeeInvalid, |it| {
        ["mistyped", "Cash", "DE88370400440532013000"].contains(&it.to)
    }),
    (Rejection::SameAccount, |it| it.from == it.to),
    (Rejection::DescriptionInvalid, |it| {
        it.description.contains('\n')
    }),
    (Rejection::TokenInvalid, |it| {
        it.from == "unknown" || (is_own(it.from) && it.token != TOKEN)
    }),
    (Rejection::InsufficientFunds, |it| match it.from {
        "rich" => RICH - it.amount < LIMIT.0,
        "poor" => POOR - it.amount < LIMIT.0,
        _ => false,
    }),
    (Rejection::PayeeUnknown, |it| it.to == "unknown"),
    (Rejection::BalanceLimitExceeded, |it| it.to == "full"),
    (Rejection::BothUnknown, |it| {
        !is_own(it.from) && !is_own(it.to)
    }),
];

fn cases() -> Vec<Case> {
    let froms = ["rich", "poor", "full", "unknown", CASH, "mistyped", "Shop"];
    let tos = [
        "rich",
        "poor",
        "full",
        "unknown",
        CASH,
        "mistyped",
        "Cash",
        "Shop",
        "DE89370400440532013000",
        "DE88370400440532013000",
    ];
    let mut cases = Vec::new();
    for amount in [i64::MIN, -1, 0, 1, TRANSFER_MAX.0, TRANSFER_MAX.0 + 1] {
        for from in froms {
            for to in tos {
                for description in ["rent", "line\nbreak"] {
                    for token in [TOKEN, OTHER_TOKEN] {
                        cases.push(Case {
                            amount,
                            from,
                            to,
                            description,
                            token,
                        });
                    }
                }
            }
        }
    }
    cases
}

#[test]
fn every_combination_is_answered_by_the_first_rule_of_the_book() {
    let given: Accounts = [
        account(1, RICH),
        account(2, POOR),
        account(3, BALANCE_MAX.0),
    ]
    .into_iter()
    .collect();
    let mut told = std::collections::HashMap::<_, usize>::new();
    for case in cases() {
        let rule = RULES.iter().position(|(_, applies)| applies(&case));
        let expected = rule.map(|rule| RULES[rule].0);
        let (from, to) = (spelt(case.from), spelt(case.to));
        let transfer = Transfer::read(Cents(case.amount), &from, &to, case.token, case.description);
        let decision = decide(&given, &Command::Transfer(transfer), &Facts::default());
        assert_eq!(decision.err(), expected, "{case:?}");
        *told.entry(rule).or_default() += 1;
    }
    // Each rule decides somewhere, and so does none of them.
    assert_eq!(told.len(), RULES.len() + 1, "{told:?}");
}

#[test]
fn each_reason_has_words_of_its_own() {
    let words: std::collections::HashSet<_> = RULES.iter().map(|(rule, _)| rule.reason()).collect();
    assert_eq!(words.len(), RULES.len());
    assert!(!words.contains(Rejection::IbanTaken.reason()));
}

#[test]
fn a_wrong_token_and_an_unknown_payer_get_the_same_answer() {
    let wrong = Transfer {
        token_digest: OTHER_TOKEN,
        ..transfer(iban(1).as_str(), iban(2).as_str(), 1)
    };
    assert_eq!(when(wrong.clone()), Err(Rejection::TokenInvalid));
    let poor = Transfer {
        amount: Cents(1_000_000),
        ..wrong
    };
    assert_eq!(when(poor), Err(Rejection::TokenInvalid), "before the funds");
}

#[test]
fn a_description_has_an_end_and_no_control_characters() {
    for (description, then) in [
        ("", Ok(())),
        ("<script>alert(1)</script>", Ok(())),
        ("é".repeat(140).as_str(), Ok(())),
        ("é".repeat(141).as_str(), Err(Rejection::DescriptionInvalid)),
        ("line\nbreak", Err(Rejection::DescriptionInvalid)),
        ("nul\u{0}", Err(Rejection::DescriptionInvalid)),
    ] {
        let given = Transfer {
            description: description.to_owned(),
            ..transfer(iban(1).as_str(), iban(2).as_str(), 1)
        };
        assert_eq!(when(given).map(|_| ()), then, "{description}");
    }
}

#[test]
fn a_balance_that_would_leave_its_range_is_refused() {
    let given: Accounts = [account(1, BALANCE_MAX.0), account(2, 100)]
        .into_iter()
        .collect();
    let command = Command::Transfer(transfer(iban(2).as_str(), iban(1).as_str(), 1));
    assert_eq!(
        decide(&given, &command, &Facts::default()),
        Err(Rejection::BalanceLimitExceeded)
    );
}

#[test]
fn a_new_account_takes_the_first_number_that_is_free() {
    let given: Accounts = [account(1, 0)].into_iter().collect();
    let facts = Facts {
        iban_candidates: vec![iban(1), iban(5)],
        new_token_digest: Some(TOKEN),
    };
    let event = decide(&given, &Command::OpenAccount, &facts).unwrap();
    let Event::AccountOpened(opened) = event else {
        panic!("an account: {event:?}");
    };
    assert_eq!((&opened.iban, opened.version), (&iban(5), 0));
    let taken = Facts {
        iban_candidates: vec![iban(1)],
        ..facts
    };
    assert_eq!(
        decide(&given, &Command::OpenAccount, &taken),
        Err(Rejection::IbanTaken)
    );
}

proptest! {
    #[test]
    fn money_is_moved_never_made_and_no_limit_is_passed(
        moves in proptest::collection::vec((0..4_u64, 0..5_u64, -10..60_000_i64), 1..200)
    ) {
        let mut accounts: Accounts = (0..4).map(|number| account(number, 0)).collect();
        let mut outside = 0_i64;
        for (from, to, amount) in moves {
            let from = if from == 3 { CASH.to_owned() } else { iban(from).to_string() };
            let to = if to == 4 { "Shop".to_owned() } else { iban(to).to_string() };
            let command = Command::Transfer(transfer(&from, &to, amount));
            let before = accounts.clone();
            match decide(&accounts, &command, &Facts::default()) {
                Ok(event) => {
                    accounts = evolve(accounts, &event);
                    if let Event::MoneyMoved { from, to, amount } = event {
                        if from.own().is_none() { outside -= amount.0 }
                        if to.own().is_none() { outside += amount.0 }
                    }
                }
                Err(_) => prop_assert_eq!(&before, &accounts),
            }
            let inside: i64 = (0..4).map(|n| accounts.get(&iban(n)).unwrap().balance.0).sum();
            prop_assert_eq!(inside + outside, 0);
            for number in 0..4 {
                let account = accounts.get(&iban(number)).unwrap();
                prop_assert!(account.balance >= account.limit);
            }
        }
    }
}
