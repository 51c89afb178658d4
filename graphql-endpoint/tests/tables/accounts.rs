//! Signing up and logging in: names, passwords, tries, the same again and many at once.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde_json::{Value, json};
use topology::Topic;
use uuid::Uuid;

use crate::support::{Program, Settings, World, eventually};
use crate::{Table, assert_discreet, code};

/// Cases in this table.
const CASES: usize = 66;
const OPEN: &str = "mutation ($id: CommandId!, $name: String!, $password: String!) {
    openAccount(input: { commandId: $id, userName: $name, password: $password, bearer: true }) {
        __typename ... on SignedIn { sessionToken user { userName account { iban } } } } }";
const LOG_IN: &str = "mutation ($name: String!, $password: String!) {
    logIn(input: { userName: $name, password: $password, bearer: true }) {
        sessionToken user { userName account { iban } } } }";
const GOOD: &str = "correct horse battery";
const OK: &str = "SignedIn";
const INVALID: &str = "VALIDATION";
const TAKEN: &str = "CONFLICT";

fn opening(name: &str, password: &str) -> Value {
    json!({ "id": Uuid::new_v4(), "name": name, "password": password })
}

async fn open(world: &World, variables: &Value) -> Value {
    Program::default().ask(world, OPEN, variables.clone()).await
}

async fn log_in(world: &World, name: &str, password: &str) -> Value {
    let variables = json!({ "name": name, "password": password });
    Program::default().ask(world, LOG_IN, variables).await
}

fn word(answer: &Value) -> &str {
    match answer["data"]["openAccount"]["__typename"].as_str() {
        Some(word) => word,
        None => code(answer),
    }
}

fn iban(answer: &Value) -> &str {
    ["openAccount", "logIn"]
        .iter()
        .find_map(|field| answer["data"][field]["user"]["account"]["iban"].as_str())
        .unwrap_or("none")
}

struct Case {
    name: &'static str,
    user_name: String,
    password: String,
    word: &'static str,
}

fn names() -> Vec<Case> {
    let of = |name, user_name: &str, word| Case {
        name,
        user_name: user_name.to_owned(),
        password: GOOD.to_owned(),
        word,
    };
    vec![
        of("a name", "first.customer_of-1", OK),
        of("no name", "", INVALID),
        of("one character", "a", INVALID),
        of("two characters", "ab", INVALID),
        of("32 characters", &"m".repeat(32), OK),
        of("33 characters", &"m".repeat(33), INVALID),
        of("10,000 characters", &"m".repeat(10_000), INVALID),
        of("a blank before", " ann", INVALID),
        of("a blank after", "ann ", INVALID),
        of("a blank within", "an n", INVALID),
        of("a tab", "an\tn", INVALID),
        of("a line break", "ann\n", INVALID),
        of("NUL", "ann\0", INVALID),
        of("a control character", "ann\u{1b}", INVALID),
        of("another direction", "\u{202e}nna", INVALID),
        of("nothing wide", "an\u{200b}n", INVALID),
        of(
            "a storm of accents",
            &format!("a{}", "\u{301}".repeat(40)),
            INVALID,
        ),
        of("a face", "ann😀", INVALID),
        of("a letter that looks alike", "\u{430}nn", INVALID),
        of("a composed accent", "ren\u{e9}", INVALID),
        of("a decomposed accent", "rene\u{301}", INVALID),
        of("wide letters", "\u{ff41}\u{ff4e}\u{ff4e}", INVALID),
        of("a name in capitals", "FIRST.CUSTOMER_OF-1", TAKEN),
        of("admin", "admin", INVALID),
        of("Admin", "Admin", INVALID),
        of("cash", "cash", INVALID),
        of("external", "external", INVALID),
        of("an IBAN", "NL66OPEN0000000000", INVALID),
        of("a demo user", "demo-customer", INVALID),
        of("SQL", "'; DROP TABLE customer; --", INVALID),
        of("HTML", "<b>ann</b>", INVALID),
        of("GraphQL", "ann\") { id } }", INVALID),
        of("a format", "%s%n", INVALID),
        of("a path", "../ann", INVALID),
    ]
}

fn passwords() -> Vec<Case> {
    let mut number = 0;
    let mut of = |name, password: &str, word| {
        number += 1;
        Case {
            name,
            user_name: format!("password-{number}"),
            password: password.to_owned(),
            word,
        }
    };
    vec![
        of("no password", "", INVALID),
        of("14 characters", "abcdefghijklmn", INVALID),
        of("15 characters", "abcdefghijklmno", OK),
        of("64 characters", &"abcdefgh".repeat(8), OK),
        of("128 characters", &"abcdefgh".repeat(16), OK),
        of(
            "129 characters",
            &format!("{}x", "abcdefgh".repeat(16)),
            INVALID,
        ),
        of("14 faces", &"😀😁😂😃😄😅😆".repeat(2), INVALID),
        of("15 faces and more", &"😀😁😂😃😄😅😆".repeat(3), OK),
        of("blanks", &" ".repeat(15), INVALID),
        of("one character again and again", &"a".repeat(20), INVALID),
        of(
            "the user's name and a little",
            "my-password-11-secret",
            INVALID,
        ),
        of("blanks around", "  correct horse battery  ", OK),
        of("NUL within", "correct\0horse battery", OK),
        of("SQL", "' OR '1'='1' OR '1'='1", OK),
    ]
}

/// Cases that need more than one line. Each returns how many cases it is.
mod special {
    use super::*;

    pub(super) async fn a_password_is_not_cut(world: &World) -> usize {
        let long = "abcdefgh".repeat(16);
        let name = "password-5";
        assert_eq!(code(&log_in(world, name, &long).await), "none");
        let cut = log_in(world, name, &long[..127]).await;
        assert_eq!(code(&cut), "UNAUTHENTICATED");
        let more = log_in(world, name, &format!("{long}x")).await;
        assert_eq!(code(&more), "UNAUTHENTICATED");
        3
    }

    pub(super) async fn one_way_of_writing_an_accent(world: &World) -> usize {
        let composed = "caf\u{e9} au lait, please";
        let decomposed = "cafe\u{301} au lait, please";
        let answer = open(world, &opening("rene", composed)).await;
        assert_eq!(word(&answer), OK, "{answer}");
        assert_eq!(code(&log_in(world, "rene", decomposed).await), "none");
        1
    }

    pub(super) async fn wrong_and_unknown_are_told_the_same(world: &World) -> usize {
        let wrong = log_in(world, "first.customer_of-1", "wrong horse battery").await;
        let unknown = log_in(world, "nobody-of-this-name", "wrong horse battery").await;
        let impossible = log_in(world, "no name at all!", "wrong horse battery").await;
        assert_eq!(code(&wrong), "UNAUTHENTICATED");
        assert_eq!(wrong, unknown);
        assert_eq!(wrong, impossible);
        3
    }

    pub(super) async fn wrong_and_unknown_take_as_long(world: &World) -> usize {
        // Few of each, since tries are counted; the fastest says what the work is.
        let fastest = async |names: [&str; 3]| {
            let mut fastest = Duration::MAX;
            for name in names {
                let started = Instant::now();
                log_in(world, name, "wrong horse battery").await;
                fastest = fastest.min(started.elapsed());
            }
            fastest
        };
        let wrong = fastest(["password-3", "password-4", "password-8"]).await;
        let unknown = fastest(["unknown-3", "unknown-4", "unknown-8"]).await;
        assert!(
            unknown * 2 > wrong && wrong * 2 > unknown,
            "{wrong:?} {unknown:?}"
        );
        1
    }

    pub(super) async fn the_right_password_is_the_same_account_each_time(world: &World) -> usize {
        let first = log_in(world, "first.customer_of-1", GOOD).await;
        for _ in 0..3 {
            let again = log_in(world, "FIRST.customer_of-1", GOOD).await;
            assert_eq!(iban(&again), iban(&first), "{again}");
            assert_ne!(
                again["data"]["logIn"]["sessionToken"],
                first["data"]["logIn"]["sessionToken"]
            );
        }
        assert_ne!(iban(&first), "none");
        1
    }

    pub(super) async fn the_same_sign_up_is_one_account(world: &World) -> usize {
        let variables = opening("again-and-again", GOOD);
        let first = open(world, &variables).await;
        let again = open(world, &variables).await;
        assert_eq!(iban(&first), iban(&again), "{again}");
        let mut other = variables.clone();
        other["password"] = json!("another horse battery");
        assert_eq!(word(&open(world, &other).await), TAKEN);
        let mut other = variables.clone();
        other["name"] = json!("somebody-else");
        assert_eq!(word(&open(world, &other).await), TAKEN);
        let other = opening("again-and-again", GOOD);
        assert_eq!(word(&open(world, &other).await), TAKEN);
        4
    }

    pub(super) async fn many_at_once_are_one_account(world: &World) -> usize {
        let variables = opening("all-at-once", GOOD);
        let same = join_all((0..5).map(|_| open(world, &variables))).await;
        let others = (0..5).map(|number| opening("all-at-once", &format!("{GOOD} {number}")));
        let others: Vec<Value> = others.collect();
        let others = join_all(others.iter().map(|variables| open(world, variables))).await;
        let mut ibans: Vec<&str> = same.iter().filter(|it| word(it) == OK).map(iban).collect();
        ibans.dedup();
        assert_eq!(ibans.len(), 1, "{same:?}");
        for answer in &others {
            assert!([TAKEN, "RATE_LIMITED"].contains(&word(answer)), "{answer}");
        }
        2
    }

    pub(super) async fn too_many_tries_have_to_wait_and_the_owner_still_gets_in(
        world: &World,
    ) -> usize {
        let mut codes = Vec::new();
        for _ in 0..7 {
            let answer = log_in(world, "password-15", "wrong horse battery").await;
            codes.push(code(&answer).to_owned());
            if code(&answer) == "RATE_LIMITED" {
                let seconds = &answer["errors"][0]["extensions"]["retryAfterSeconds"];
                assert!(
                    seconds.as_u64().is_some_and(|it| (1..=60).contains(&it)),
                    "{answer}"
                );
            }
        }
        assert_eq!(codes[..5], ["UNAUTHENTICATED"; 5]);
        assert_eq!(codes[5..], ["RATE_LIMITED"; 2]);
        // Somebody else's tries do not keep this one out.
        assert_eq!(
            code(&log_in(world, "rene", "caf\u{e9} au lait, please").await),
            "none"
        );
        2
    }

    pub(super) async fn one_password_for_many_names_has_to_wait_too(world: &World) -> usize {
        let tries = (0..40).map(|number| {
            let name = format!("sprayed-{number}");
            async move { log_in(world, &name, "wrong horse battery").await }
        });
        let answers = join_all(tries).await;
        let limited = answers.iter().filter(|it| code(it) == "RATE_LIMITED");
        assert!(limited.count() >= 10);
        1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_name_and_password_has_its_answer_and_nobody_gets_in_by_trying() {
    let settings = Settings {
        demo_mode: false,
        ..Settings::default()
    };
    let world = World::start_with("accounts", settings).await;
    let _bank = world.run_agreeable_bank().await;
    let mut table = Table::default();
    let mut opened = 0;
    for case in names().into_iter().chain(passwords()) {
        let name = case.name;
        table
            .run(name, async {
                let answer = open(&world, &opening(&case.user_name, &case.password)).await;
                assert_eq!(word(&answer), case.word, "{name}: {answer}");
                assert_discreet(name, &answer.to_string());
                assert!(!answer.to_string().contains(GOOD), "{name}: {answer}");
                1
            })
            .await;
        opened += usize::from(case.word == OK);
    }
    let commands = world
        .read_until(Topic::ConfirmAccountCreation, |records| {
            records.len() >= opened
        })
        .await;
    assert_eq!(commands.len(), opened, "nothing invalid reaches the bank");
    table
        .run(
            "a_password_is_not_cut",
            special::a_password_is_not_cut(&world),
        )
        .await;
    table
        .run(
            "one_way_of_writing_an_accent",
            special::one_way_of_writing_an_accent(&world),
        )
        .await;
    table
        .run(
            "wrong_and_unknown_are_told_the_same",
            special::wrong_and_unknown_are_told_the_same(&world),
        )
        .await;
    table
        .run(
            "wrong_and_unknown_take_as_long",
            special::wrong_and_unknown_take_as_long(&world),
        )
        .await;
    table
        .run(
            "the_right_password_is_the_same_account_each_time",
            special::the_right_password_is_the_same_account_each_time(&world),
        )
        .await;
    table
        .run(
            "the_same_sign_up_is_one_account",
            special::the_same_sign_up_is_one_account(&world),
        )
        .await;
    table
        .run(
            "many_at_once_are_one_account",
            special::many_at_once_are_one_account(&world),
        )
        .await;
    table
        .run(
            "too_many_tries_have_to_wait_and_the_owner_still_gets_in",
            special::too_many_tries_have_to_wait_and_the_owner_still_gets_in(&world),
        )
        .await;
    table
        .run(
            "one_password_for_many_names_has_to_wait_too",
            special::one_password_for_many_names_has_to_wait_too(&world),
        )
        .await;
    table.end(CASES);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_bank_a_sign_up_is_pending_and_becomes_one_account_when_it_is_back() {
    let world = World::start("waiting").await;
    let variables = opening("early-bird", GOOD);
    let answer = open(&world, &variables).await;
    assert_eq!(word(&answer), "CommandPending", "{answer}");
    let _bank = world.run_agreeable_bank().await;
    let opened = eventually("the account is open", async || {
        let answer = open(&world, &variables).await;
        (word(&answer) == OK).then_some(answer)
    })
    .await;
    let again = log_in(&world, "early-bird", GOOD).await;
    assert_eq!(iban(&opened), iban(&again));
}
