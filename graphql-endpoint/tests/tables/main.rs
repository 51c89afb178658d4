//! What the gateway answers to bad input, case by case, against a running gateway. Each
//! table counts its cases, so that none can be dropped without a word.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod support;

mod accounts;
mod authorisation;
mod documents;
mod events;
mod examples;
mod load;
mod queries;
mod raw;
mod requests;
mod sockets;
mod status;
mod trails;
mod transfers;

use std::panic::AssertUnwindSafe;

use futures_util::FutureExt;
use serde_json::{Value, json};
use uuid::Uuid;

use support::{Program, World, eventually};

/// The code of an answer's first error; `none` without one.
pub(crate) fn code(answer: &Value) -> &str {
    answer["errors"][0]["extensions"]["code"]
        .as_str()
        .unwrap_or("none")
}

/// The cases of a table: all are run, however many fail.
#[derive(Default)]
pub(crate) struct Table {
    cases: usize,
    failed: Vec<String>,
}

impl Table {
    /// Runs what says how many cases it is.
    pub(crate) async fn run(&mut self, name: &str, cases: impl Future<Output = usize>) {
        match AssertUnwindSafe(cases).catch_unwind().await {
            Ok(cases) => self.cases += cases,
            // Its panic has been printed.
            Err(_) => self.failed.push(name.to_owned()),
        }
    }

    /// All were run, and none failed.
    pub(crate) fn end(self, cases: usize) {
        assert!(self.failed.is_empty(), "{:#?}", self.failed);
        assert_eq!(self.cases, cases, "the number of cases has changed");
    }
}

/// A refusal says nothing of what is inside.
pub(crate) fn assert_discreet(name: &str, text: &str) {
    for word in [
        "panicked",
        ".rs:",
        "diesel",
        "postgres",
        "tokio",
        "rdkafka",
        "SELECT ",
        "did you mean",
        "Did you mean",
        "Error(",
        "Some(",
    ] {
        assert!(!text.contains(word), "{name} tells of {word}: {text}");
    }
}

/// A new customer of this name, with their IBAN.
pub(crate) async fn sign_up(world: &World, name: &str) -> (Program, String) {
    let query = "mutation ($id: CommandId!, $name: String!) {
        openAccount(input: { commandId: $id, userName: $name, password: \"a long enough secret\",
                             bearer: true }) {
            __typename ... on SignedIn { sessionToken user { account { iban } } } } }";
    let variables = json!({ "id": Uuid::new_v4(), "name": name });
    let opened = eventually("the account is open", async || {
        let answer = Program::default()
            .ask(world, query, variables.clone())
            .await;
        let opened = answer["data"]["openAccount"].clone();
        (opened["__typename"] == "SignedIn").then_some(opened)
    })
    .await;
    let bearer = opened["sessionToken"].as_str().map(str::to_owned);
    let iban = opened["user"]["account"]["iban"].as_str().unwrap();
    (Program { bearer }, iban.to_owned())
}

/// The demo employee.
pub(crate) async fn employee(world: &World) -> Program {
    let query = "mutation { logIn(input: { userName: \"demo-employee\", \
                 password: \"demo-employee-password\", bearer: true }) { sessionToken } }";
    let bearer = eventually("the demo employee logs in", async || {
        let answer = Program::default().ask(world, query, Value::Null).await;
        let token = answer["data"]["logIn"]["sessionToken"].as_str();
        token.map(str::to_owned)
    })
    .await;
    Program {
        bearer: Some(bearer),
    }
}
