//! Instructions of a transfer's document that was sent before, counted by callgrind: from
//! the request's JSON to the answer's. Between the two a payment waits for the database, the
//! broker and the bank; here it is answered at once. The difference between two numbers of
//! documents is counted, so that everything but the documents cancels out.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::env;
use std::io::Write as _;
use std::process::Command;

use async_graphql::{EmptySubscription, Object};
use graphql_endpoint::graphql::documents::Documents;
use graphql_endpoint::graphql::types::{PaymentConfirmed, PaymentResult, TransferInput};
use graphql_endpoint::graphql::{classify, operation};

/// Most instructions of one document.
const INSTRUCTIONS_MAX: u64 = 70_000;

const FEW: u64 = 20;
const MANY: u64 = 520;
/// Tells the counted process how many documents to execute.
const DOCUMENTS_VARIABLE: &str = "DOCUMENTS";

const TRANSFER: &str = r#"{"query":"mutation Transfer($input: TransferInput!) {\n  transfer(input: $input) {\n    __typename\n    ... on PaymentConfirmed { commandId }\n    ... on CommandPending { commandId message }\n    ... on CommandRejected { commandId reason message }\n  }\n}","operationName":"Transfer","variables":{"input":{"commandId":"67e55044-10b1-426f-9247-bb680e5fe0c8","to":"NL66OPEN0000000000","amount":"1250","description":"lunch"}}}"#;

struct Query;
struct Mutation;

#[Object]
impl Query {
    async fn version(&self) -> i32 {
        1
    }
}

#[Object]
impl Mutation {
    async fn transfer(&self, input: TransferInput) -> PaymentResult {
        PaymentResult::Confirmed(PaymentConfirmed {
            command_id: input.command_id,
        })
    }
}

#[test]
fn a_document_that_was_sent_before_costs_no_more_instructions_than_its_gate() {
    let cost = (instructions(MANY) - instructions(FEW)) / (MANY - FEW);
    // Past the harness, which keeps what a passing test prints to itself.
    writeln!(
        std::io::stderr(),
        "{cost} instructions per transfer document, from JSON to JSON"
    )
    .unwrap();
    assert!(
        cost <= INSTRUCTIONS_MAX,
        "{cost}, at most {INSTRUCTIONS_MAX}"
    );
}

/// Runs this program again under callgrind.
fn instructions(documents: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "the_counted_documents"])
        .arg("--test-threads=1")
        .env(DOCUMENTS_VARIABLE, documents.to_string())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "cannot run valgrind, which counts the instructions ({error}); `cargo bank test` \
             installs it, and on Debian or Ubuntu so does: apt-get install valgrind"
        )
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.unwrap_or_else(|| panic!("no count in: {said}"));
    count.trim().parse().unwrap()
}

/// What the test above counts; by itself it executes a few.
#[test]
fn the_counted_documents() {
    let count = env::var(DOCUMENTS_VARIABLE).map_or(3, |count| count.parse().unwrap());
    let documents =
        Documents::of(|| async_graphql::Schema::build(Query, Mutation, EmptySubscription));
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        for _ in 0..count {
            let request = operation::read(TRANSFER.as_bytes()).unwrap().into_request();
            let prepared = documents.prepare(request.unwrap()).unwrap();
            assert!(prepared.checked().is_mutation);
            let mut response = documents.execute(prepared).await;
            classify(&mut response);
            let answer = serde_json::to_vec(&response).unwrap();
            assert!(answer.windows(16).any(|part| part == b"PaymentConfirmed"));
        }
    });
    assert_eq!(documents.count(), 1);
}
