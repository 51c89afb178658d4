//! Queries: pages, cursors, filters, and whose accounts one may see.

use serde_json::{Value, json};
use topology::records::BalanceChanged;
use topology::{COMPANY_IBAN, Cents};

use crate::support::{Program, World, change, eventually};
use crate::{Table, assert_discreet, code, employee, sign_up};

/// Cases in this table.
const CASES: usize = 68;
const PAGE: &str = "query ($iban: Iban!, $first: Int, $after: String, $filter: TransactionFilter) {
    transactions(iban: $iban, first: $first, after: $after, filter: $filter) {
        nodes { version description changedBy } pageInfo { hasNextPage endCursor } } }";
const ACCOUNTS: &str =
    "query ($first: Int, $after: String, $search: String, $order: AccountOrder) {
    accounts(first: $first, after: $after, search: $search, order: $order) {
        nodes { iban } pageInfo { hasNextPage endCursor } totalCount } }";
/// Changes of the company's account.
const CHANGES: i64 = 120;
const DESCRIPTIONS: [&str; 6] = ["100%", "a_b", "axb", "(.*)", "Lunch", "ÉÉN \\ twee"];

fn page(change: Value) -> Value {
    let mut variables = json!({ "iban": COMPANY_IBAN });
    for (field, value) in change.as_object().unwrap() {
        variables[field] = value.clone();
    }
    variables
}

async fn ask(world: &World, variables: Value) -> Value {
    Program::default().ask(world, PAGE, variables).await
}

fn rows(answer: &Value) -> Option<usize> {
    answer["data"]["transactions"]["nodes"]
        .as_array()
        .map(Vec::len)
}

/// Rows on the first page, or the code of a refusal.
fn pages() -> Vec<(Value, Result<usize, &'static str>)> {
    let refused = Err("VALIDATION");
    let filter = |filter: Value| page(json!({ "first": 100, "filter": filter }));
    let text = |text: &str| filter(json!({ "text": text }));
    let after = |after: Value| page(json!({ "after": after }));
    vec![
        (page(json!({})), Ok(25)),
        (page(json!({ "first": null })), Ok(25)),
        (page(json!({ "first": 1 })), Ok(1)),
        (page(json!({ "first": 100 })), Ok(100)),
        (page(json!({ "first": 0 })), refused),
        (page(json!({ "first": -1 })), refused),
        (page(json!({ "first": 101 })), refused),
        (page(json!({ "first": i32::MAX })), refused),
        (page(json!({ "first": i64::MAX })), refused),
        (page(json!({ "first": "all" })), refused),
        (after(json!("11")), Ok(10)),
        (after(json!("1")), Ok(0)),
        (after(json!("0")), Ok(0)),
        (after(json!("1000000")), Ok(25)),
        (after(json!("-1")), refused),
        (after(json!("")), refused),
        (after(json!("x")), refused),
        (after(json!("1 OR 1=1")), refused),
        (after(json!("MSBPUiAxPTE=")), refused),
        (after(json!("99999999999999999999")), refused),
        (after(json!("1".repeat(10_000))), refused),
        (after(json!(7)), refused),
        (filter(json!({})), Ok(100)),
        (filter(json!({ "direction": "DEBIT" })), Ok(40)),
        (filter(json!({ "direction": "CREDIT" })), Ok(80)),
        (filter(json!({ "direction": "debit" })), refused),
        (filter(json!({ "direction": "BOTH" })), refused),
        (filter(json!({ "minAmount": "110" })), Ok(11)),
        (filter(json!({ "minAmount": 10, "maxAmount": 10 })), Ok(1)),
        (filter(json!({ "maxAmount": "10" })), Ok(10)),
        (
            filter(json!({ "direction": "DEBIT", "maxAmount": "10" })),
            Ok(3),
        ),
        (filter(json!({ "minAmount": 11, "maxAmount": 10 })), refused),
        (filter(json!({ "minAmount": -1 })), refused),
        (
            filter(json!({ "maxAmount": "9223372036854775807" })),
            Ok(100),
        ),
        (
            filter(json!({ "maxAmount": "9223372036854775808" })),
            refused,
        ),
        (filter(json!({ "minAmount": "ten" })), refused),
        (text("100%"), Ok(20)),
        (text("%"), Ok(20)),
        (text("a_b"), Ok(20)),
        (text("(.*)"), Ok(20)),
        (text(".*)"), Ok(20)),
        (text("LUNCH"), Ok(20)),
        (text("één \\"), Ok(20)),
        (text("dinner"), Ok(0)),
        (text("'; DROP TABLE account; --"), Ok(0)),
        (text(""), Ok(100)),
        (text("a\0b"), refused),
        (text(&"x".repeat(140)), Ok(0)),
        (text(&"x".repeat(141)), refused),
        (text(&"x".repeat(10_000)), refused),
        (filter(json!({ "colour": "red" })), refused),
        (page(json!({ "iban": "NL67OPEN0000000000" })), refused),
        (
            page(json!({ "iban": "nl66 open 0000 0000 00", "first": 3 })),
            Ok(3),
        ),
    ]
}

/// Cases that need more than one line. Each returns how many cases it is.
mod special {
    use super::*;

    pub(super) async fn pages_under_inserts_have_each_row_once(world: &World) -> usize {
        let mut versions = Vec::new();
        let mut after = Value::Null;
        let mut next = CHANGES;
        loop {
            let answer = ask(world, page(json!({ "first": 30, "after": after }))).await;
            let found = &answer["data"]["transactions"];
            let nodes = found["nodes"].as_array().unwrap();
            versions.extend(nodes.iter().map(|it| it["version"].as_i64().unwrap()));
            next += 1;
            world.send_change(change(next)).await;
            if found["pageInfo"]["hasNextPage"] == false {
                break;
            }
            after = found["pageInfo"]["endCursor"].clone();
        }
        assert_eq!(versions, (1..=CHANGES).rev().collect::<Vec<i64>>());
        1
    }

    pub(super) async fn everybody_sees_their_own(world: &World) -> usize {
        let (ann, of_ann) = sign_up(world, "ann-of-queries").await;
        let (bob, of_bob) = sign_up(world, "bob-of-queries").await;
        let employee = employee(world).await;
        let nobody = Program::default();
        let mut cases = 0;
        for (who, iban, expected) in [
            (&ann, &of_ann, "none"),
            (&ann, &of_bob, "FORBIDDEN"),
            (&bob, &of_ann, "FORBIDDEN"),
            (&employee, &of_ann, "none"),
            (&nobody, &of_ann, "UNAUTHENTICATED"),
        ] {
            let answer = who.ask(world, PAGE, json!({ "iban": iban })).await;
            assert_eq!(code(&answer), expected, "{answer}");
            cases += 1;
        }
        // No word on whether there is such an account.
        let unknown = json!({ "iban": "NL39OPEN0000000001" });
        let there = ann.ask(world, PAGE, json!({ "iban": of_bob })).await;
        assert_eq!(ann.ask(world, PAGE, unknown).await, there);
        cases + 1
    }

    pub(super) async fn accounts_come_in_each_order_and_by_part(world: &World) -> usize {
        let employee = employee(world).await;
        let mut cases = 0;
        for order in ["NEWEST_CHANGE", "IBAN", "BALANCE"] {
            let mut ibans = Vec::new();
            let mut after = Value::Null;
            loop {
                let variables = json!({ "first": 1, "after": after, "order": order });
                let answer = employee.ask(world, ACCOUNTS, variables).await;
                let found = &answer["data"]["accounts"];
                for node in found["nodes"].as_array().unwrap() {
                    ibans.push(node["iban"].as_str().unwrap().to_owned());
                }
                if found["pageInfo"]["hasNextPage"] == false {
                    assert_eq!(found["totalCount"], ibans.len(), "{order}");
                    break;
                }
                after = found["pageInfo"]["endCursor"].clone();
            }
            let count = ibans.len();
            ibans.sort();
            ibans.dedup();
            assert_eq!(ibans.len(), count, "{order}: no row twice");
            cases += 1;
        }
        for (variables, expected) in [
            (json!({ "search": "nl66 open" }), "none"),
            (json!({ "search": "%" }), "VALIDATION"),
            (json!({ "search": "x".repeat(43) }), "VALIDATION"),
            (json!({ "after": "x" }), "VALIDATION"),
            (
                json!({ "order": "IBAN", "after": "5.NL66OPEN0000000000" }),
                "VALIDATION",
            ),
        ] {
            let answer = employee.ask(world, ACCOUNTS, variables.clone()).await;
            assert_eq!(code(&answer), expected, "{variables}: {answer}");
            cases += 1;
        }
        cases
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_page_has_what_was_asked_for_and_only_what_one_may_see() {
    let world = World::start("queries").await;
    let _bank = world.run_agreeable_bank().await;
    for version in 1..=CHANGES {
        let at = usize::try_from(version).unwrap() % DESCRIPTIONS.len();
        let sign = if version % 3 == 0 { -1 } else { 1 };
        world
            .send_change(BalanceChanged {
                changed_by: Cents(sign * version),
                description: DESCRIPTIONS[at].to_owned(),
                ..change(version)
            })
            .await;
    }
    eventually("the read model has all", async || {
        let answer = ask(&world, page(json!({ "first": 1 }))).await;
        let newest = &answer["data"]["transactions"]["nodes"][0]["version"];
        (*newest == CHANGES).then_some(())
    })
    .await;
    let mut table = Table::default();
    for (variables, expected) in pages() {
        let name = format!("{variables:.80}");
        table
            .run(&name, async {
                let answer = ask(&world, variables.clone()).await;
                match expected {
                    Ok(count) => assert_eq!(rows(&answer), Some(count), "{variables}: {answer}"),
                    Err(expected) => {
                        assert_eq!(code(&answer), expected, "{variables}: {answer}");
                        assert_discreet(expected, &answer.to_string());
                    }
                }
                1
            })
            .await;
    }
    table
        .run(
            "pages_under_inserts_have_each_row_once",
            special::pages_under_inserts_have_each_row_once(&world),
        )
        .await;
    table
        .run(
            "everybody_sees_their_own",
            special::everybody_sees_their_own(&world),
        )
        .await;
    table
        .run(
            "accounts_come_in_each_order_and_by_part",
            special::accounts_come_in_each_order_and_by_part(&world),
        )
        .await;
    table.end(CASES);
}
