//! Payments: amounts, payees, descriptions, ids, and many at once, in front of a real bank.

use futures_util::future::join_all;
use serde_json::{Value, json};
use topology::{COMPANY_IBAN, Topic};
use uuid::Uuid;

use crate::support::{Program, World, eventually};
use crate::{Table, assert_discreet, code, sign_up};

/// Cases in this table.
const CASES: usize = 103;
const TRANSFER: &str = "mutation ($id: CommandId!, $to: String!, $amount: Amount!, $for: String!) {
    transfer(input: { commandId: $id, to: $to, amount: $amount, description: $for }) {
        __typename ... on CommandRejected { reason } } }";
const DEPOSIT: &str = "mutation ($id: CommandId!, $amount: Amount!) {
    deposit(input: { commandId: $id, amount: $amount }) {
        __typename ... on CommandRejected { reason } } }";
const FUNDS: i64 = 1_000_000;
/// The lowest balance of an account.
const LIMIT: i64 = -50_000;

/// One word for an answer: a code, a reason, or what it is.
pub(crate) fn word(answer: &Value) -> String {
    let said = ["transfer", "deposit"].map(|field| &answer["data"][field]);
    let said = said.into_iter().find(|said| said.is_object());
    match said {
        None => code(answer).to_owned(),
        Some(said) => said["reason"]
            .as_str()
            .or(said["__typename"].as_str())
            .unwrap_or("none")
            .to_owned(),
    }
}

struct Case {
    name: &'static str,
    variables: Value,
    word: &'static str,
}

fn id() -> String {
    Uuid::new_v4().to_string()
}

fn pay(name: &'static str, change: Value, word: &'static str) -> Case {
    let mut variables = json!({ "id": id(), "to": "Shop", "amount": 1, "for": "" });
    for (field, value) in change.as_object().unwrap() {
        variables[field] = value.clone();
    }
    Case {
        name,
        variables,
        word,
    }
}

const OK: &str = "PaymentConfirmed";
const INVALID: &str = "VALIDATION";

fn amounts() -> Vec<Case> {
    let of = |name, amount: Value, word| pay(name, json!({ "amount": amount }), word);
    vec![
        of("nothing", json!(0), INVALID),
        of("less than nothing", json!(-1), INVALID),
        of("-2^31", json!(-2_147_483_648_i64), INVALID),
        of("-2^63", json!(i64::MIN), INVALID),
        of("a cent", json!(1), OK),
        of("a cent as text", json!("1"), OK),
        of("zeros before", json!("0001"), OK),
        of(
            "the most, and more than there is",
            json!(1_000_000_000),
            "INSUFFICIENT_FUNDS",
        ),
        of("a cent more than the most", json!(1_000_000_001), INVALID),
        of("2^31", json!(2_147_483_648_i64), INVALID),
        of("2^31 as text", json!("2147483648"), INVALID),
        of("2^53+1", json!(9_007_199_254_740_993_i64), INVALID),
        of("2^63-1", json!(i64::MAX), INVALID),
        of("2^63", json!(9_223_372_036_854_775_808_u64), INVALID),
        of("2^63 as text", json!("9223372036854775808"), INVALID),
        of("a fraction", json!(1.5), INVALID),
        of("a fraction of nothing", json!(1.0), INVALID),
        of("a fraction as text", json!("1.50"), INVALID),
        of("a comma", json!("1,50"), INVALID),
        of("a power", json!("1e3"), INVALID),
        of("a plus", json!("+1"), INVALID),
        of("a blank before", json!(" 1"), INVALID),
        of("no digits", json!(""), INVALID),
        of("a word", json!("NaN"), INVALID),
        of("other digits", json!("\u{661}"), INVALID),
        of("null", json!(null), INVALID),
        of("a truth", json!(true), INVALID),
        of("a list", json!([1]), INVALID),
        of("an object", json!({}), INVALID),
    ]
}

fn payees(own: &str, other: &str) -> Vec<Case> {
    let to = |name, to: &str, word| pay(name, json!({ "to": to }), word);
    let spaced = format!(" {} {} ", &other[..4].to_lowercase(), &other[4..]);
    let own_spaced = format!("{} {}", &own[..8], &own[8..]);
    vec![
        to("nobody", "", INVALID),
        to("blanks", "   ", INVALID),
        to("cash", "cash", INVALID),
        to("CASH", " CASH ", INVALID),
        to("oneself", own, "SAME_ACCOUNT"),
        to("oneself with a space", &own_spaced, "SAME_ACCOUNT"),
        to("another customer", other, OK),
        to("another customer in small letters with spaces", &spaced, OK),
        to("the company", COMPANY_IBAN, OK),
        to(
            "an account of ours that is not there",
            "NL39OPEN0000000001",
            "PAYEE_UNKNOWN",
        ),
        to("ours with 17 characters", &other[..17], INVALID),
        to("ours with 19 characters", &format!("{other}0"), INVALID),
        to("a foreign account", "DE89370400440532013000", OK),
        to(
            "a foreign account in groups",
            "DE89 3704 0044 0532 0130 00",
            OK,
        ),
        to(
            "a foreign account with wrong check digits",
            "DE88370400440532013000",
            INVALID,
        ),
        to(
            "an account of 35 characters",
            &format!("DE89{}", "0".repeat(31)),
            INVALID,
        ),
        to("a name", "Albert Heijn", OK),
        to(
            "a name that is told apart from `external` by nobody",
            "external",
            OK,
        ),
        to("a name of 140 characters", &"é".repeat(140), OK),
        to("a name of 141 characters", &"é".repeat(141), INVALID),
        to("a name with a line break", "Ann\nBob", INVALID),
        to("a name with NUL", "Ann\0", INVALID),
        to("a name that is SQL", "'; DROP TABLE account; --", OK),
        to("a name that is HTML", "<script>alert(1)</script>", OK),
        pay("a number as payee", json!({ "to": 7 }), INVALID),
        pay("null as payee", json!({ "to": null }), INVALID),
    ]
}

fn descriptions() -> Vec<Case> {
    let says = |name, text: &str, word| pay(name, json!({ "for": text }), word);
    vec![
        says("nothing", "", OK),
        says("140 characters", &"x".repeat(140), OK),
        says("141 characters", &"x".repeat(141), INVALID),
        says("10,000 characters", &"x".repeat(10_000), INVALID),
        says("140 characters of four bytes", &"😀".repeat(140), OK),
        says("a line break", "a\r\nb", INVALID),
        says("a tab", "a\tb", INVALID),
        says("NUL", "a\0b", INVALID),
        says("an escape", "\u{1b}[31mred", INVALID),
        says("a line separator", "a\u{2028}b", INVALID),
        says("HTML", "<script>alert(1)</script>", OK),
        says("a formula", "=cmd|' /C calc'!A0", OK),
        says("right to left", "\u{5d0}\u{5d1}", OK),
        says("SQL", "'); DROP TABLE account; --", OK),
        pay("null", json!({ "for": null }), INVALID),
    ]
}

fn ids() -> Vec<Case> {
    let of = |name, id: &str, word| pay(name, json!({ "id": id }), word);
    let good = Uuid::new_v4();
    vec![
        of("empty", "", INVALID),
        of(
            "no hexadecimal",
            "zzzzzzzz-zzzz-4zzz-8zzz-zzzzzzzzzzzz",
            INVALID,
        ),
        of("31 digits", "67e55044-10b1-426f-9247-bb680e5fe0c", INVALID),
        of(
            "33 digits",
            "67e55044-10b1-426f-9247-bb680e5fe0c80",
            INVALID,
        ),
        of("all zeros", "00000000-0000-0000-0000-000000000000", INVALID),
        of("all ones", "ffffffff-ffff-ffff-ffff-ffffffffffff", OK),
        of(
            "of the first version",
            "c232ab00-9414-11ec-b3c8-9f6bdeced846",
            OK,
        ),
        of("of the seventh version", &Uuid::now_v7().to_string(), OK),
        of("capitals", &good.to_string().to_uppercase(), OK),
        of("without hyphens", &Uuid::new_v4().simple().to_string(), OK),
        of("SQL", "' OR '1'='1", INVALID),
        pay("a number", json!({ "id": 7 }), INVALID),
        pay("null", json!({ "id": null }), INVALID),
    ]
}

/// Cases that need more than one line. Each returns how many cases it is.
mod special {
    use super::*;

    pub(super) async fn an_id_means_one_thing(
        world: &World,
        ann: &Program,
        bob: &Program,
    ) -> usize {
        let first = json!({ "id": id(), "to": "Shop", "amount": 7, "for": "first" });
        assert_eq!(word(&ann.ask(world, TRANSFER, first.clone()).await), OK);
        assert_eq!(word(&ann.ask(world, TRANSFER, first.clone()).await), OK);
        let mut cases = 2;
        for (field, value) in [
            ("to", json!("Other")),
            ("amount", json!(8)),
            ("for", json!("second")),
        ] {
            let mut other = first.clone();
            other[field] = value;
            let answer = ann.ask(world, TRANSFER, other).await;
            assert_eq!(word(&answer), "CONFLICT", "{field}: {answer}");
            cases += 1;
        }
        // Somebody else's, of another kind, of a sign-up.
        let answer = bob.ask(world, TRANSFER, first.clone()).await;
        assert_eq!(word(&answer), "CONFLICT", "{answer}");
        let deposit = json!({ "id": first["id"], "amount": 7 });
        assert_eq!(word(&ann.ask(world, DEPOSIT, deposit).await), "CONFLICT");
        let query = "query ($id: CommandId!) { command(id: $id) { status } }";
        let other = bob.ask(world, query, json!({ "id": first["id"] })).await;
        assert_eq!(other["data"]["command"], Value::Null, "{other}");
        cases + 3
    }

    pub(super) async fn all_residues_but_one_are_wrong(world: &World, ann: &Program) -> usize {
        let mut valid = 0;
        for digits in 2..99 {
            let to = format!("NL{digits:02}OPEN0000000000");
            let variables = json!({ "id": id(), "to": to, "amount": 1, "for": "" });
            let answer = ann.ask(world, TRANSFER, variables).await;
            if word(&answer) == OK {
                valid += 1;
                assert_eq!(to, COMPANY_IBAN);
            } else {
                assert_eq!(word(&answer), INVALID, "{to}: {answer}");
            }
        }
        assert_eq!(valid, 1);
        1
    }

    pub(super) async fn who_may_pay(world: &World) -> usize {
        let variables = json!({ "id": id(), "to": "Shop", "amount": 1, "for": "" });
        let nobody = Program::default();
        let answer = nobody.ask(world, TRANSFER, variables.clone()).await;
        assert_eq!(word(&answer), "UNAUTHENTICATED");
        let forged = Program {
            bearer: Some("ab".repeat(32)),
        };
        let answer = forged.ask(world, TRANSFER, variables.clone()).await;
        assert_eq!(word(&answer), "UNAUTHENTICATED");
        let employee = crate::employee(world).await;
        let answer = employee.ask(world, TRANSFER, variables).await;
        assert_eq!(word(&answer), "FORBIDDEN");
        // From another account there is no way at all.
        let query = "mutation { transfer(input: { commandId: \"67e55044-10b1-426f-9247-bb680e5fe0c9\", \
            from: \"NL66OPEN0000000000\", to: \"Shop\", amount: 1, description: \"\" }) { __typename } }";
        let answer = nobody.ask(world, query, Value::Null).await;
        assert_eq!(word(&answer), INVALID);
        4
    }

    pub(super) async fn exactly_to_the_limit_and_not_a_cent_beyond(world: &World) -> usize {
        let (carl, _) = sign_up(world, "carl-at-the-limit").await;
        let pay = |amount: i64| json!({ "id": id(), "to": "Shop", "amount": amount, "for": "" });
        let answer = carl.ask(world, TRANSFER, pay(-LIMIT + 1)).await;
        assert_eq!(word(&answer), "INSUFFICIENT_FUNDS");
        assert_eq!(word(&carl.ask(world, TRANSFER, pay(-LIMIT)).await), OK);
        let answer = carl.ask(world, TRANSFER, pay(1)).await;
        assert_eq!(word(&answer), "INSUFFICIENT_FUNDS");
        3
    }

    pub(super) async fn the_same_at_once_is_booked_once(world: &World) -> usize {
        let (dora, iban) = sign_up(world, "dora-many-times").await;
        let variables = json!({ "id": id(), "amount": 100 });
        let same = (0..100).map(|_| dora.ask(world, DEPOSIT, variables.clone()));
        for answer in join_all(same).await {
            assert_eq!(word(&answer), OK, "{answer}");
        }
        assert_eq!(balance(world, &dora, &iban, 1).await, "100");
        1
    }

    pub(super) async fn money_for_half_of_them_is_enough_for_half(world: &World) -> usize {
        let (emil, iban) = sign_up(world, "emil-half").await;
        // Fifty of a thousand cents each can be paid from the credit.
        let payments = (0..100).map(|_| {
            let pay = json!({ "id": id(), "to": "Shop", "amount": 1_000, "for": "" });
            emil.ask(world, TRANSFER, pay)
        });
        let answers = join_all(payments).await;
        let paid = answers.iter().filter(|answer| word(answer) == OK);
        assert_eq!(paid.count(), 50);
        let refused = answers.iter().filter(|it| word(it) == "INSUFFICIENT_FUNDS");
        assert_eq!(refused.count(), 50);
        assert_eq!(balance(world, &emil, &iban, 50).await, LIMIT.to_string());
        1
    }

    pub(super) async fn both_ways_at_once_nobody_waits_for_ever(world: &World) -> usize {
        let (fred, of_fred) = sign_up(world, "fred-both-ways").await;
        let (gina, of_gina) = sign_up(world, "gina-both-ways").await;
        let ways = [(&fred, &of_gina), (&gina, &of_fred)];
        let payments = (0..100).map(|number| {
            let (payer, payee) = ways[number % 2];
            let pay = json!({ "id": id(), "to": payee, "amount": 1, "for": "" });
            payer.ask(world, TRANSFER, pay)
        });
        for answer in join_all(payments).await {
            assert_eq!(word(&answer), OK, "{answer}");
        }
        assert_eq!(balance(world, &fred, &of_fred, 100).await, "0");
        assert_eq!(balance(world, &gina, &of_gina, 100).await, "0");
        1
    }

    pub(super) async fn a_client_that_hangs_up_has_paid_once(world: &World) -> usize {
        let (hugo, iban) = sign_up(world, "hugo-hangs-up").await;
        let variables = json!({ "id": id(), "amount": 5 });
        let hasty = reqwest::Client::builder()
            .timeout(std::time::Duration::from_millis(1))
            .build()
            .unwrap();
        let request = hasty
            .post(format!("http://{}/graphql", world.address))
            .bearer_auth(hugo.bearer.as_ref().unwrap())
            .json(&json!({ "query": DEPOSIT, "variables": variables }));
        // Whether it was sent at all is not known to the client either: it asks again.
        let _ = request.send().await;
        assert_eq!(word(&hugo.ask(world, DEPOSIT, variables).await), OK);
        assert_eq!(balance(world, &hugo, &iban, 1).await, "5");
        1
    }

    async fn balance(world: &World, program: &Program, iban: &str, version: i64) -> String {
        let query = "query ($iban: Iban!) { account(iban: $iban) { balance version } }";
        eventually("the read model has it", async || {
            let answer = program.ask(world, query, json!({ "iban": iban })).await;
            let account = &answer["data"]["account"];
            (account["version"] == version).then(|| account["balance"].as_str().unwrap().to_owned())
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_payment_has_the_answer_it_deserves_and_nothing_invalid_reaches_the_bank() {
    let world = World::start("transfers").await;
    let bank = world.run_real_bank().await;
    let (ann, own) = sign_up(&world, "ann-of-transfers").await;
    let (bob, other) = sign_up(&world, "bob-of-transfers").await;
    let deposit = json!({ "id": id(), "amount": FUNDS });
    assert_eq!(word(&ann.ask(&world, DEPOSIT, deposit).await), OK);
    let mut table = Table::default();
    let mut sent = 1;
    let tables = [amounts(), payees(&own, &other), descriptions(), ids()];
    for case in tables.into_iter().flatten() {
        table
            .run(case.name, async {
                let answer = ann.ask(&world, TRANSFER, case.variables).await;
                assert_eq!(word(&answer), case.word, "{}: {answer}", case.name);
                assert_discreet(case.name, &answer.to_string());
                1
            })
            .await;
        sent += usize::from(case.word != INVALID);
    }
    let commands = world
        .read_until(Topic::ConfirmMoneyTransfer, |records| records.len() >= sent)
        .await;
    assert_eq!(commands.len(), sent, "nothing invalid reaches the bank");
    table
        .run(
            "an_id_means_one_thing",
            special::an_id_means_one_thing(&world, &ann, &bob),
        )
        .await;
    table
        .run(
            "all_residues_but_one_are_wrong",
            special::all_residues_but_one_are_wrong(&world, &ann),
        )
        .await;
    table.run("who_may_pay", special::who_may_pay(&world)).await;
    table
        .run(
            "exactly_to_the_limit_and_not_a_cent_beyond",
            special::exactly_to_the_limit_and_not_a_cent_beyond(&world),
        )
        .await;
    table
        .run(
            "the_same_at_once_is_booked_once",
            special::the_same_at_once_is_booked_once(&world),
        )
        .await;
    table
        .run(
            "money_for_half_of_them_is_enough_for_half",
            special::money_for_half_of_them_is_enough_for_half(&world),
        )
        .await;
    table
        .run(
            "both_ways_at_once_nobody_waits_for_ever",
            special::both_ways_at_once_nobody_waits_for_ever(&world),
        )
        .await;
    table
        .run(
            "a_client_that_hangs_up_has_paid_once",
            special::a_client_that_hangs_up_has_paid_once(&world),
        )
        .await;
    table.end(CASES);
    bank.end().await;
}
