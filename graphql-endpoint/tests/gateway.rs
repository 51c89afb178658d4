//! The gateway against a real Kafka, registry and PostgreSQL.

#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod support;

use serde_json::{Value, json};
use topology::records::BalanceChanged;
use topology::{COMPANY_IBAN, CommandId, Record, Topic};

use support::{Follower, Program, World, change, eventually};

const COMPANY: &str = "query ($iban: Iban!) {
    account(iban: $iban) { balance version }
    transactions(iban: $iban) { nodes { version newBalance description commandId } } }";
const OPEN: &str = "mutation ($id: CommandId!, $name: String!, $password: String!) {
    openAccount(input: { commandId: $id, userName: $name, password: $password, bearer: true }) {
        __typename ... on SignedIn { sessionToken user { account { iban balance } } } } }";
const DEPOSIT: &str = "mutation ($id: CommandId!, $amount: Amount!) {
    deposit(input: { commandId: $id, amount: $amount }) { __typename } }";
const TRANSFER: &str = "mutation ($id: CommandId!, $to: String!, $amount: Amount!, $for: String!) {
    transfer(input: { commandId: $id, to: $to, amount: $amount, description: $for }) {
        __typename } }";

fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

fn id(number: u128) -> String {
    CommandId::from_bytes(number.to_be_bytes()).to_string()
}

async fn company_at(world: &World, version: i64) -> Value {
    eventually("the read model has the change", async || {
        let program = Program::default();
        let answer = program
            .ask(world, COMPANY, json!({ "iban": COMPANY_IBAN }))
            .await;
        (answer["data"]["account"]["version"] == version).then_some(answer)
    })
    .await["data"]
        .clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_customer_signs_up_pays_and_sees_it_live_and_a_repeated_command_books_once() {
    let world = World::start("journey").await;
    let _bank = world.run_agreeable_bank().await;
    let sign_up = json!({ "id": id(1), "name": "ann-from-journey", "password": "eight888" });
    let opened = Program::default().ask(&world, OPEN, sign_up.clone()).await;
    let signed_in = &opened["data"]["openAccount"];
    assert_eq!(signed_in["__typename"], "SignedIn", "{opened}");
    let iban = signed_in["user"]["account"]["iban"].as_str().unwrap();
    let again = Program::default().ask(&world, OPEN, sign_up).await;
    assert_eq!(
        again["data"]["openAccount"]["user"]["account"]["iban"], iban,
        "{again}"
    );
    let ann = Program {
        bearer: signed_in["sessionToken"].as_str().map(str::to_owned),
    };

    let mut follower = Follower::of(&world, ann.bearer.as_deref(), iban, Some("0")).await;
    let deposit = json!({ "id": id(2), "amount": 10_000 });
    for _ in 0..3 {
        let paid = ann.ask(&world, DEPOSIT, deposit.clone()).await;
        assert_eq!(
            paid["data"]["deposit"]["__typename"], "PaymentConfirmed",
            "{paid}"
        );
    }
    let other = ann
        .ask(&world, DEPOSIT, json!({ "id": id(2), "amount": 10_001 }))
        .await;
    assert_eq!(code(&other), "CONFLICT");
    let transfer = json!({ "id": id(3), "to": "Albert Heijn", "amount": "1234", "for": "lunch" });
    let paid = ann.ask(&world, TRANSFER, transfer).await;
    assert_eq!(
        paid["data"]["transfer"]["__typename"], "PaymentConfirmed",
        "{paid}"
    );

    let first = follower.transaction().await;
    assert_eq!(
        (&first["version"], &first["newBalance"]),
        (&json!(1), &json!("10000"))
    );
    let second = follower.transaction().await;
    assert_eq!(second["version"], 2);
    assert_eq!(second["changedBy"], "-1234");
    assert_eq!(second["commandId"], id(3));
    let state = ann
        .ask(
            &world,
            "query ($id: CommandId!) { command(id: $id) { status } }",
            json!({ "id": id(3) }),
        )
        .await;
    assert_eq!(state["data"]["command"]["status"], "CONFIRMED");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_invalid_reaches_kafka_and_each_fault_has_its_code() {
    let world = World::start("refusals").await;
    let bank = world.run_agreeable_bank().await;
    let sign_up = json!({ "id": id(1), "name": "bob-of-refusals", "password": "eight888" });
    let opened = Program::default().ask(&world, OPEN, sign_up).await;
    let bob = Program {
        bearer: opened["data"]["openAccount"]["sessionToken"]
            .as_str()
            .map(str::to_owned),
    };
    let nobody = Program::default();
    let pay = |id: String, to: &str, amount: Value, text: &str| json!({ "id": id, "to": to, "amount": amount, "for": text });
    let long = "x".repeat(141);
    for (program, variables, expected) in [
        (&nobody, pay(id(2), "Ann", json!(1), ""), "UNAUTHENTICATED"),
        (&bob, pay(id(0), "Ann", json!(1), ""), "VALIDATION"),
        (
            &bob,
            pay("no uuid".to_owned(), "Ann", json!(1), ""),
            "VALIDATION",
        ),
        (&bob, pay(id(2), "Ann", json!(0), ""), "VALIDATION"),
        (&bob, pay(id(2), "Ann", json!(-1), ""), "VALIDATION"),
        (&bob, pay(id(2), "Ann", json!(1.5), ""), "VALIDATION"),
        (&bob, pay(id(2), "Ann", json!("1.50"), ""), "VALIDATION"),
        (&bob, pay(id(2), "Ann", json!("ten"), ""), "VALIDATION"),
        (
            &bob,
            pay(id(2), "Ann", json!(1_000_000_001), ""),
            "VALIDATION",
        ),
        (&bob, pay(id(2), "Ann", json!(null), ""), "VALIDATION"),
        (&bob, pay(id(2), "", json!(1), ""), "VALIDATION"),
        (&bob, pay(id(2), "Cash", json!(1), ""), "VALIDATION"),
        (
            &bob,
            pay(id(2), "NL67OPEN0000000000", json!(1), ""),
            "VALIDATION",
        ),
        (&bob, pay(id(2), "Ann", json!(1), &long), "VALIDATION"),
        (&bob, pay(id(2), "Ann", json!(1), "a\u{0}b"), "VALIDATION"),
    ] {
        let answer = program.ask(&world, TRANSFER, variables.clone()).await;
        assert_eq!(code(&answer), expected, "{variables}: {answer}");
    }
    // The first and only payment that is sent is the one that may be.
    let good = bob
        .ask(&world, TRANSFER, pay(id(9), "Ann", json!(1), "ok"))
        .await;
    assert_eq!(
        good["data"]["transfer"]["__typename"], "PaymentConfirmed",
        "{good}"
    );
    let sent = world
        .read_until(Topic::ConfirmMoneyTransfer, |records| !records.is_empty())
        .await;
    assert_eq!(sent.len(), 1);
    bank.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_bank_a_payment_is_pending_and_its_outcome_is_told_later_by_its_id() {
    let world = World::start("pending").await;
    let bank = world.run_agreeable_bank().await;
    let sign_up = json!({ "id": id(1), "name": "eve-of-pending", "password": "eight888" });
    let opened = Program::default().ask(&world, OPEN, sign_up).await;
    let eve = Program {
        bearer: opened["data"]["openAccount"]["sessionToken"]
            .as_str()
            .map(str::to_owned),
    };
    bank.abort();
    let _ = bank.await;
    let deposit = json!({ "id": id(2), "amount": 500 });
    let paid = eve.ask(&world, DEPOSIT, deposit).await;
    assert_eq!(
        paid["data"]["deposit"]["__typename"], "CommandPending",
        "{paid}"
    );
    let _bank = world.run_agreeable_bank().await;
    let query = "query ($id: CommandId!) { command(id: $id) { status } }";
    eventually("the outcome is known", async || {
        let state = eve.ask(&world, query, json!({ "id": id(2) })).await;
        (state["data"]["command"]["status"] == "CONFIRMED").then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_handler_of_2019_its_changes_are_numbered_once_and_seen_live() {
    let mut world = World::start("year2019").await;
    let id_of_2019 = world.id_of_2019().await;
    let in_2019_form = |world: &World, number: i64| {
        let record = Record::BalanceChanged(BalanceChanged {
            change: None,
            ..change(number)
        });
        let mut bytes = world.codec.encode(Topic::BalanceChanged, &record).unwrap();
        // The second version only added three fields at the end, which are one byte each
        // when they have their defaults.
        bytes.truncate(bytes.len() - 3);
        bytes[1..5].copy_from_slice(&id_of_2019.to_be_bytes());
        bytes
    };
    let mut follower = Follower::of(&world, None, COMPANY_IBAN, None).await;
    for number in 1..=3 {
        let bytes = in_2019_form(&world, number);
        world
            .send(Topic::BalanceChanged, COMPANY_IBAN, &bytes)
            .await;
    }
    for number in 1..=3 {
        let seen = follower.transaction().await;
        assert_eq!(seen["version"], number);
        assert_eq!(seen["description"], format!("change {number}"));
        assert_eq!(seen["commandId"], Value::Null);
    }
    company_at(&world, 3).await;

    world.start_gateway().await;
    let mut follower = Follower::of(&world, None, COMPANY_IBAN, Some("2")).await;
    let bytes = in_2019_form(&world, 4);
    world
        .send(Topic::BalanceChanged, COMPANY_IBAN, &bytes)
        .await;
    // A handler of today takes over, counting on.
    world.send_change(change(5)).await;
    assert_eq!(follower.versions(3).await, [3, 4, 5]);
    let company = company_at(&world, 5).await;
    assert_eq!(company["account"]["balance"], "500");
    assert_eq!(
        company["transactions"]["nodes"].as_array().unwrap().len(),
        5
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn given_records_of_no_use_they_become_dead_letters_and_the_next_one_is_read() {
    let world = World::start("deadletters").await;
    world.send_change(change(1)).await;
    // Sent again by a handler that died: the same change, at another place.
    world.send_change(change(1)).await;
    let contradiction = BalanceChanged {
        description: "forged".to_owned(),
        ..change(1)
    };
    world.send_change(contradiction).await;
    let good = world
        .codec
        .encode(Topic::BalanceChanged, &Record::BalanceChanged(change(2)))
        .unwrap();
    let mut unknown = good.clone();
    unknown[1..5].copy_from_slice(&999_999_u32.to_be_bytes());
    let mut longer = good.clone();
    longer.push(0);
    let useless: [&[u8]; 5] = [b"garbage", &[], &unknown, &longer, &good[..20]];
    for bytes in useless {
        world.send(Topic::BalanceChanged, COMPANY_IBAN, bytes).await;
    }
    world
        .send(Topic::BalanceChanged, "NL39OPEN0000000001", &good)
        .await;
    world
        .send(Topic::AccountCreationFeedback, "key", b"garbage")
        .await;
    world.send(Topic::MoneyTransferFeedback, "key", &good).await;
    world.send_change(change(2)).await;

    let company = company_at(&world, 2).await;
    let nodes = company["transactions"]["nodes"].as_array().unwrap();
    let descriptions: Vec<&str> = nodes
        .iter()
        .filter_map(|node| node["description"].as_str())
        .collect();
    assert_eq!(descriptions, ["change 2", "change 1"]);
    let dead = world
        .read_until(Topic::DeadLetters, |records| records.len() >= 9)
        .await;
    assert_eq!(dead.len(), 9);
    assert!(
        dead.iter()
            .any(|record| record.value.as_deref() == Some(b"garbage"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_restart_a_follower_resumes_by_cursor_without_hole_or_repeat() {
    let mut world = World::start("resume").await;
    for version in 1..=300 {
        world.send_change(change(version)).await;
    }
    let mut follower = Follower::of(&world, None, COMPANY_IBAN, Some("0")).await;
    let seen = follower.versions(150).await;
    assert_eq!(seen, (1..=150).collect::<Vec<i64>>());
    world.stop_gateway().await;
    for version in 301..=310 {
        world.send_change(change(version)).await;
    }
    world.start_gateway().await;
    let mut follower = Follower::of(&world, None, COMPANY_IBAN, Some("150")).await;
    for version in 311..=320 {
        world.send_change(change(version)).await;
    }
    let seen = follower.versions(170).await;
    assert_eq!(seen, (151..=320).collect::<Vec<i64>>());
    // Out of order, as when a debt is paid late: given out in order.
    world.send_change(change(322)).await;
    world.send_change(change(321)).await;
    assert_eq!(follower.versions(2).await, [321, 322]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_taken_in_the_wrong_order_is_taken_back_and_feeds_the_read_model_again() {
    let world = World::start("fenced").await;
    world.send_change(change(1)).await;
    company_at(&world, 1).await;
    // As another instance that took it too late, after the group had given it to us.
    world
        .read_model("UPDATE projection_offset SET epoch = epoch + 1")
        .await;
    world.send_change(change(2)).await;
    let company = company_at(&world, 2).await;
    assert_eq!(company["account"]["balance"], "200", "{company}");
}
