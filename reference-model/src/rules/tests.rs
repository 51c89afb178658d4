use super::*;
use crate::command::AccountKind;

const ALICE: &str = "NL39OPEN0000000001";
const BOB: &str = "NL12OPEN0000000002";
const NOT_OPENED: &str = "NL82OPEN0000000003";
const ELSEWHERE: &str = "DE89370400440532013000";

fn id(number: u8) -> CommandId {
    [number; 16]
}

fn facts() -> Facts {
    Facts {
        recorded_at_ms: 1_763_726_400_123,
        assigned: None,
    }
}

fn open(bank: &mut Bank, number: u8, iban: &str, token: &str) {
    let command = Command {
        id: id(number),
        request: Request::OpenAccount {
            kind: AccountKind::Manual,
        },
    };
    let assigned = Assigned {
        iban: iban.to_owned(),
        token: token.to_owned(),
    };
    let facts = Facts {
        assigned: Some(assigned),
        ..facts()
    };
    let decision = bank.decide(&command, &facts).unwrap();
    assert_eq!(decision.rejection, None);
}

fn transfer(token: &str, amount_cents: i64, from: &str, to: &str, description: &str) -> Request {
    Request::Transfer {
        token: token.to_owned(),
        amount_cents,
        from: from.to_owned(),
        to: to.to_owned(),
        description: description.to_owned(),
    }
}

/// The company, Alice with 1,000 cents, Bob with nothing.
fn bank() -> Bank {
    let (mut bank, _) = Bank::open(Opening {
        company_token: Token::Digest(*blake3::hash(b"company").as_bytes()),
        occurred_at_us: 1,
    });
    open(&mut bank, 1, ALICE, "alice");
    open(&mut bank, 2, BOB, "bob");
    let deposit = Command {
        id: id(3),
        request: transfer("", 1_000, "cash", ALICE, "deposit"),
    };
    let decision = bank.decide(&deposit, &facts()).unwrap();
    assert_eq!(decision.rejection, None);
    bank
}

#[test]
fn given_the_test_accounts_when_checked_then_they_are_ours() {
    for iban in [COMPANY, ALICE, BOB, NOT_OPENED] {
        assert!(own(iban).is_some(), "{iban}");
    }
}

/// Token, amount in cents, payer, payee, description; and the answer.
type Row<'a> = (&'a str, i64, &'a str, &'a str, &'a str, Option<Reason>);

/// Each rule with both sides of its edges, then pairs of broken rules: the first one wins.
#[test]
fn given_the_rule_book_when_a_transfer_is_judged_then_the_first_broken_rule_is_the_answer() {
    use Reason as No;
    let long = "d".repeat(DESCRIPTION_MAX_CHARACTERS);
    let wide = "\u{20ac}".repeat(DESCRIPTION_MAX_CHARACTERS);
    let too_long = "d".repeat(DESCRIPTION_MAX_CHARACTERS + 1);
    let name = "n".repeat(crate::party::NAME_MAX_CHARACTERS + 1);
    let rows: &[Row<'_>] = &[
        // The amount.
        ("alice", 0, ALICE, BOB, "", Some(No::AmountInvalid)),
        ("alice", -1, ALICE, BOB, "", Some(No::AmountInvalid)),
        ("alice", i64::MIN, ALICE, BOB, "", Some(No::AmountInvalid)),
        ("alice", i64::MAX, ALICE, BOB, "", Some(No::AmountInvalid)),
        (
            "company",
            AMOUNT_MAX_CENTS + 1,
            COMPANY,
            BOB,
            "",
            Some(No::AmountInvalid),
        ),
        ("company", AMOUNT_MAX_CENTS, COMPANY, BOB, "", None),
        ("alice", 1, ALICE, BOB, "", None),
        // The payer.
        ("alice", 1, "", BOB, "", Some(No::PayerInvalid)),
        ("alice", 1, "Alice", BOB, "", Some(No::PayerInvalid)),
        ("alice", 1, "Cash", BOB, "", Some(No::PayerInvalid)),
        ("alice", 1, ELSEWHERE, BOB, "", Some(No::PayerInvalid)),
        (
            "alice",
            1,
            "NL40OPEN0000000001",
            BOB,
            "",
            Some(No::PayerInvalid),
        ),
        ("alice", 1, "nl39 open 0000 0000 01", BOB, "", None),
        ("anything", 1, "cash", BOB, "", None),
        // The payee.
        ("alice", 1, ALICE, "", "", Some(No::PayeeInvalid)),
        ("alice", 1, ALICE, " CASH ", "", Some(No::PayeeInvalid)),
        (
            "alice",
            1,
            ALICE,
            "NL40OPEN0000000001",
            "",
            Some(No::PayeeInvalid),
        ),
        (
            "alice",
            1,
            ALICE,
            "DE88370400440532013000",
            "",
            Some(No::PayeeInvalid),
        ),
        ("alice", 1, ALICE, &name, "", Some(No::PayeeInvalid)),
        ("alice", 1, ALICE, "tab\tbed", "", Some(No::PayeeInvalid)),
        ("alice", 1, ALICE, "cash", "", None),
        ("alice", 1, ALICE, "Albert Heijn BV", "", None),
        ("alice", 1, ALICE, ELSEWHERE, "", None),
        ("alice", 1, ALICE, COMPANY, "", None),
        // The same on both sides.
        ("alice", 1, ALICE, ALICE, "", Some(No::SameAccount)),
        (
            "alice",
            1,
            ALICE,
            "nl39open0000000001",
            "",
            Some(No::SameAccount),
        ),
        ("", 1, "cash", "cash", "", Some(No::SameAccount)),
        // The description.
        (
            "alice",
            1,
            ALICE,
            BOB,
            &too_long,
            Some(No::DescriptionInvalid),
        ),
        (
            "alice",
            1,
            ALICE,
            BOB,
            "line\nbreak",
            Some(No::DescriptionInvalid),
        ),
        (
            "alice",
            1,
            ALICE,
            BOB,
            "nul\0",
            Some(No::DescriptionInvalid),
        ),
        ("alice", 1, ALICE, BOB, &long, None),
        ("alice", 1, ALICE, BOB, &wide, None),
        // The payer's token.
        ("", 1, ALICE, BOB, "", Some(No::TokenInvalid)),
        ("bob", 1, ALICE, BOB, "", Some(No::TokenInvalid)),
        ("alice ", 1, ALICE, BOB, "", Some(No::TokenInvalid)),
        ("alice", 1, NOT_OPENED, BOB, "", Some(No::TokenInvalid)),
        ("company!", 1, COMPANY, BOB, "", Some(No::TokenInvalid)),
        // The payer's limit.
        ("alice", 51_000, ALICE, BOB, "", None),
        ("alice", 51_001, ALICE, BOB, "", Some(No::InsufficientFunds)),
        ("bob", 50_000, BOB, "Shop", "", None),
        ("bob", 50_001, BOB, "Shop", "", Some(No::InsufficientFunds)),
        // The payee.
        ("alice", 1, ALICE, NOT_OPENED, "", Some(No::PayeeUnknown)),
        ("", 1, "cash", NOT_OPENED, "", Some(No::PayeeUnknown)),
        ("", 1, "cash", "Shop", "", Some(No::BothUnknown)),
        ("", 1, "cash", ELSEWHERE, "", Some(No::BothUnknown)),
        // Which one wins.
        ("", 0, "", "", &too_long, Some(No::AmountInvalid)),
        ("", 1, "", "", &too_long, Some(No::PayerInvalid)),
        ("", 1, ALICE, "", &too_long, Some(No::PayeeInvalid)),
        ("", 1, ALICE, ALICE, &too_long, Some(No::SameAccount)),
        (
            "",
            1,
            ALICE,
            NOT_OPENED,
            &too_long,
            Some(No::DescriptionInvalid),
        ),
        ("", 99_999, ALICE, NOT_OPENED, "", Some(No::TokenInvalid)),
        (
            "alice",
            99_999,
            ALICE,
            NOT_OPENED,
            "",
            Some(No::InsufficientFunds),
        ),
        ("", 1, NOT_OPENED, "Shop", "", Some(No::TokenInvalid)),
    ];
    for row in rows {
        let (token, amount, from, to, description, reason) = *row;
        let mut bank = bank();
        let before: Vec<_> = [COMPANY, ALICE, BOB].map(|iban| bank.account(iban)).into();
        let command = Command {
            id: id(9),
            request: transfer(token, amount, from, to, description),
        };
        let decision = bank.decide(&command, &facts()).unwrap();
        assert_eq!(decision.rejection, reason, "{row:?}");
        let after: Vec<_> = [COMPANY, ALICE, BOB].map(|iban| bank.account(iban)).into();
        assert_eq!(before == after, reason.is_some(), "{row:?}");
        let answer = decision.records.last().unwrap();
        assert_eq!(answer.key, "09090909-0909-0909-0909-090909090909");
        assert_eq!(answer.topic, "money_transfer_feedback");
        let failed = answer.name == "MoneyTransferFailed";
        assert_eq!(failed, reason.is_some(), "{row:?}");
        if let Some(reason) = reason {
            assert_eq!(decision.records.len(), 1, "{row:?}");
            assert!(answer.body.ends_with(reason.text().as_bytes()), "{row:?}");
        }
    }
    for reason in Reason::ALL {
        let met = rows.iter().any(|row| row.5 == Some(reason));
        let elsewhere = matches!(reason, No::BalanceLimitExceeded | No::IbanTaken);
        assert!(met || elsewhere, "{reason:?} has no row");
        assert_eq!(Reason::of_text(reason.text()), Some(reason));
    }
}

#[test]
fn given_a_payee_at_the_bound_when_paid_then_the_last_cent_fits_and_the_next_does_not() {
    let mut bank = bank();
    let iban = own(BOB).unwrap();
    bank.accounts.get_mut(&iban).unwrap().balance_cents = BALANCE_MAX_CENTS - 7;
    for (amount, reason) in [(8, Some(Reason::BalanceLimitExceeded)), (7, None)] {
        let command = Command {
            id: id(9),
            request: transfer("alice", amount, ALICE, BOB, ""),
        };
        let decision = bank.decide(&command, &facts()).unwrap();
        assert_eq!(decision.rejection, reason, "{amount}");
    }
}

/// The bytes are written out by hand, from the schemas.
#[test]
fn given_a_payment_between_two_accounts_when_decided_then_the_records_are_these_bytes() {
    let mut bank = bank();
    let command = Command {
        id: id(9),
        request: transfer("alice", 64, "nl39 open 0000 0000 01", BOB, "tea"),
    };
    let decision = bank.decide(&command, &facts()).unwrap();
    let [paid, got, answer] = decision.records.try_into().unwrap();
    let identity = |version: u8| {
        let mut bytes = vec![version * 2, 2];
        bytes.extend_from_slice(&[9; 16]);
        // 1763726400123000, zigzag, seven bits a byte.
        bytes.extend_from_slice(&[0xf0, 0xc1, 0xfb, 0xd8, 0xb1, 0x86, 0xa2, 0x06]);
        bytes
    };
    let text = |text: &str| [&[u8::try_from(text.len() * 2).unwrap()], text.as_bytes()].concat();
    let expected = [
        &text(ALICE)[..],
        &[0xd0, 0x0e],
        &[0x7f],
        &text(BOB),
        &text("tea"),
        &identity(2),
    ];
    assert_eq!(paid.body, expected.concat());
    assert_eq!((paid.topic, paid.key.as_str()), ("balance_changed", ALICE));
    let expected = [
        &text(BOB)[..],
        &[0x80, 0x01],
        &[0x80, 0x01],
        &text(ALICE),
        &text("tea"),
        &identity(1),
    ];
    assert_eq!(got.body, expected.concat());
    assert_eq!((got.topic, got.key.as_str()), ("balance_changed", BOB));
    assert_eq!(answer.body, [9; 16]);
    assert_eq!(answer.name, "MoneyTransferConfirmed");
}

#[test]
fn given_account_creations_when_decided_then_the_answer_has_what_was_given_out() {
    let mut bank = bank();
    let command = |number| Command {
        id: id(number),
        request: Request::OpenAccount {
            kind: AccountKind::Manual,
        },
    };
    let given = |iban: &str| Facts {
        assigned: Some(Assigned {
            iban: iban.to_owned(),
            token: "t".to_owned(),
        }),
        ..facts()
    };
    let opened = bank.decide(&command(9), &given(NOT_OPENED)).unwrap();
    let expected = [&[9; 16][..], &[36], NOT_OPENED.as_bytes(), &[2, b't', 2]].concat();
    assert_eq!(opened.records[0].body, expected);
    assert_eq!(opened.records[0].topic, "account_creation_feedback");
    assert_eq!(bank.account(NOT_OPENED), Some((0, 0)));

    let refused = bank.decide(&command(10), &facts()).unwrap();
    assert_eq!(refused.rejection, Some(Reason::IbanTaken));
    let words = Reason::IbanTaken.text();
    let expected = [&[10; 16][..], &[80], words.as_bytes()].concat();
    assert_eq!(refused.records[0].body, expected);

    for (iban, impossible) in [
        (NOT_OPENED, Impossible::GivenTwice(NOT_OPENED.to_owned())),
        (ELSEWHERE, Impossible::NotOurs(ELSEWHERE.to_owned())),
        (
            "NL40OPEN0000000001",
            Impossible::NotOurs("NL40OPEN0000000001".to_owned()),
        ),
    ] {
        assert_eq!(bank.decide(&command(11), &given(iban)), Err(impossible));
    }
}

#[test]
fn given_no_timestamp_when_decided_then_the_change_occurred_at_the_beginning_of_time() {
    for (recorded_at_ms, last_bytes) in [
        (-1, vec![0]),
        (0, vec![0]),
        (1, vec![0xd0, 0x0f]),
        (
            i64::MAX,
            vec![0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01],
        ),
    ] {
        let command = Command {
            id: id(9),
            request: transfer("", 1, "cash", BOB, ""),
        };
        let facts = Facts {
            recorded_at_ms,
            assigned: None,
        };
        let decision = bank().decide(&command, &facts).unwrap();
        let expected = [&[9; 16][..], &last_bytes].concat();
        assert!(
            decision.records[0].body.ends_with(&expected),
            "{recorded_at_ms}"
        );
    }
}
