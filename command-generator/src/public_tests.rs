use std::collections::BTreeMap;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::*;

const DRAWS: usize = 70_000;

fn random() -> StdRng {
    StdRng::seed_from_u64(4_711)
}

fn occasion() -> Occasion {
    Occasion {
        id: CommandId::from_bytes([7; 16]),
        time: "2026-11-21T12:00:00".to_owned(),
    }
}

fn account(number: usize) -> Account {
    Account {
        iban: format!("NL00OPEN{number:010}"),
        token: Token::new(format!("token of {number}")),
    }
}

fn public(accounts: usize) -> Public {
    let mut public = Public::new(Token::new("company's token".to_owned()));
    for number in 1..=accounts {
        assert!(public.welcome(account(number), &mut random()));
    }
    public
}

/// Transfers drawn from many beats that open no account.
fn transfers(public: &Public, count: usize) -> Vec<ConfirmMoneyTransfer> {
    let mut random = random();
    (0..count)
        .map(|_| match public.command(21, occasion(), &mut random) {
            Command::Move(transfer) => transfer,
            Command::Open(_) => panic!("beat 21 opens no account"),
        })
        .collect()
}

fn kind_of(transfer: &ConfirmMoneyTransfer) -> Kind {
    let (word, _) = transfer.description.split_once(' ').unwrap();
    SHARES
        .iter()
        .find(|(kind, _)| kind.word() == word)
        .unwrap()
        .0
}

#[test]
fn the_first_beats_and_every_200th_open_an_account() {
    let public = public(3);
    for (beat, opens) in [
        (-1, true),
        (0, true),
        (19, true),
        (20, false),
        (199, false),
        (200, true),
        (201, false),
        (1_000_000, true),
        (1_000_001, false),
    ] {
        let command = public.command(beat, occasion(), &mut random());
        assert_eq!(matches!(command, Command::Open(_)), opens, "beat {beat}");
    }
}

#[test]
fn kinds_come_in_their_shares() {
    let mut counts: BTreeMap<Kind, i64> = BTreeMap::new();
    for transfer in transfers(&public(50), DRAWS) {
        *counts.entry(kind_of(&transfer)).or_default() += 1;
    }
    for (kind, share) in SHARES {
        let expected = i64::from(share) * 1_000;
        // Five standard deviations of a draw this large are below 5 % of 40, 16 % of 1.
        let tolerance = 200 + expected / 20;
        let found = counts[&kind];
        assert!((found - expected).abs() <= tolerance, "{kind:?}: {found}");
    }
}

#[test]
fn each_kind_has_its_payer_payee_token_and_amounts() {
    let public = public(50);
    let known = |iban: &str| (1..=50).any(|number| account(number).iban == iban);
    for transfer in transfers(&public, DRAWS) {
        let ConfirmMoneyTransfer {
            from, to, token, ..
        } = &transfer;
        let (payer_fits, payee_fits, amounts) = match kind_of(&transfer) {
            Kind::Salary => (from == COMPANY_IBAN, known(to), 220_000..=269_999),
            Kind::Deposit => (from == CASH, known(to), 2_000..=20_000),
            Kind::Withdraw => (known(from), to == CASH, 2_000..=20_000),
            Kind::AhPin => (known(from), to == SHOP, 1_000..=10_999),
            Kind::Transfer => (known(from), known(to), 1_000..=10_999),
        };
        assert!(payer_fits && payee_fits, "{transfer:?}");
        assert!(amounts.contains(&transfer.amount.0), "{transfer:?}");
        if matches!(kind_of(&transfer), Kind::Deposit | Kind::Withdraw) {
            assert!(MACHINE_AMOUNTS.contains(&transfer.amount.0), "{transfer:?}");
        }
        let expected = match from.as_str() {
            COMPANY_IBAN => "company's token".to_owned(),
            CASH => CASH.to_owned(),
            iban => format!("token of {}", iban[8..].parse::<u64>().unwrap()),
        };
        assert_eq!(token.expose(), expected);
        assert_ne!(from, to);
    }
}

#[test]
fn every_amount_and_every_account_comes_at_some_time() {
    let public = public(50);
    let transfers = transfers(&public, DRAWS);
    let mut payers: Vec<_> = transfers.iter().map(|it| it.from.as_str()).collect();
    payers.sort_unstable();
    payers.dedup();
    assert_eq!(payers.len(), 50 + 2, "all accounts, the company and cash");
    for amount in MACHINE_AMOUNTS {
        assert!(transfers.iter().any(|it| it.amount == Cents(amount)));
    }
}

#[test]
fn nobody_pays_himself_however_few_are_known() {
    for known in 0..4 {
        for transfer in transfers(&public(known), 5_000) {
            assert_ne!(transfer.from, transfer.to, "{known} known: {transfer:?}");
        }
    }
}

#[test]
fn the_key_is_the_payer_or_for_cash_the_receiver() {
    let public = public(5);
    for transfer in transfers(&public, 2_000) {
        let expected = match kind_of(&transfer) {
            Kind::Deposit => transfer.to.clone(),
            _ => transfer.from.clone(),
        };
        assert_eq!(Command::Move(transfer).key(), expected);
    }
    let opening = public.command(0, occasion(), &mut random());
    assert_eq!(opening.key(), occasion().id.to_string());
}

#[test]
fn an_account_confirmed_again_is_not_a_new_one() {
    let mut public = public(3);
    assert!(!public.welcome(account(2), &mut random()));
    assert_eq!(public.len(), 3);
}

#[test]
fn beyond_the_limit_a_new_account_takes_the_place_of_another() {
    let mut public = public(0);
    public.accounts_max = 10;
    let mut random = random();
    for number in 1..=500 {
        assert!(public.welcome(account(number), &mut random));
        assert!(public.len() <= 10);
        assert_eq!(public.places.len(), public.accounts.len());
        for (iban, place) in &public.places {
            assert_eq!(public.accounts[*place].iban, *iban);
        }
    }
    assert!(public.places.contains_key(&account(500).iban));
}

#[test]
fn a_first_salary_comes_from_the_company() {
    let command = public(1).salary(&account(1).iban, occasion(), &mut random());
    let Command::Move(salary) = command else {
        panic!("a salary moves money");
    };
    assert_eq!(salary.from, COMPANY_IBAN);
    assert_eq!(salary.to, account(1).iban);
    assert!((220_000..=269_999).contains(&salary.amount.0));
    assert_eq!(salary.description, "salary 2026-11-21T12:00:00");
}
