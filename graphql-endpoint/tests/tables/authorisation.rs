//! Who may ask for what: every field of the schema has a row, and every row is asked for by
//! every role against a running gateway.

use std::collections::BTreeSet;

use async_graphql::parser::parse_schema;
use async_graphql::parser::types::{TypeKind, TypeSystemDefinition};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{Program, Settings, World};
use crate::{code, employee, sign_up};

/// Answers to: nobody, the owner of the account, another customer, an employee.
type Answers = [&'static str; 4];

const ALL: Answers = ["none", "none", "none", "none"];
/// The account's owner and employees.
const OWNER: Answers = ["UNAUTHENTICATED", "none", "FORBIDDEN", "none"];
const EMPLOYEE: Answers = ["UNAUTHENTICATED", "FORBIDDEN", "FORBIDDEN", "none"];
/// Whoever has an account pays from it, and from no other.
const CUSTOMER: Answers = ["UNAUTHENTICATED", "none", "none", "FORBIDDEN"];
/// Whoever is signed in; what is not theirs is as if it was not there.
const SIGNED_IN: Answers = ["UNAUTHENTICATED", "none", "none", "none"];

/// Fields of a type that are reached the same way: `*` is where the field goes.
struct Rows {
    of: &'static str,
    fields: &'static [&'static str],
    way: &'static str,
    answers: Answers,
}

const fn rows(
    of: &'static str,
    fields: &'static [&'static str],
    way: &'static str,
    answers: Answers,
) -> Rows {
    Rows {
        of,
        fields,
        way,
        answers,
    }
}

const PAGE_INFO: &[&str] = &["hasPreviousPage", "hasNextPage", "startCursor", "endCursor"];
const TABLE: &[Rows] = &[
    rows("Query", &["bank"], "{ * { version } }", ALL),
    rows("Query", &["me"], "{ * { userName } }", ALL),
    rows(
        "Query",
        &["account"],
        "{ *(iban: \"$own\") { iban } }",
        OWNER,
    ),
    rows(
        "Query",
        &["transactions"],
        "{ *(iban: \"$own\") { nodes { id } } }",
        OWNER,
    ),
    rows("Query", &["accounts"], "{ * { totalCount } }", EMPLOYEE),
    rows(
        "Query",
        &["command"],
        "{ *(id: \"$paid\") { status } }",
        SIGNED_IN,
    ),
    rows(
        "Bank",
        &["companyIban", "demoMode", "version", "startedAt"],
        "{ bank { * } }",
        ALL,
    ),
    rows("Bank", &["demoUsers"], "{ bank { * { role } } }", ALL),
    rows(
        "DemoUser",
        &["userName", "password", "role"],
        "{ bank { demoUsers { * } } }",
        ALL,
    ),
    rows("User", &["userName", "role"], "{ me { * } }", ALL),
    rows("User", &["account"], "{ me { * { iban } } }", ALL),
    rows(
        "Account",
        &["iban", "balance", "limit", "version", "changedAt"],
        "{ account(iban: \"$own\") { * } }",
        OWNER,
    ),
    rows(
        "Account",
        &["transactions"],
        "{ account(iban: \"$own\") { * { nodes { id } } } }",
        OWNER,
    ),
    rows(
        "Transaction",
        &[
            "id",
            "iban",
            "version",
            "newBalance",
            "changedBy",
            "direction",
            "counterparty",
            "description",
            "commandId",
            "occurredAt",
            "serial",
            "cursor",
        ],
        "{ transactions(iban: \"$own\") { nodes { * } } }",
        OWNER,
    ),
    rows(
        "TransactionConnection",
        &["edges"],
        "{ transactions(iban: \"$own\") { * { cursor } } }",
        OWNER,
    ),
    rows(
        "TransactionConnection",
        &["nodes"],
        "{ transactions(iban: \"$own\") { * { id } } }",
        OWNER,
    ),
    rows(
        "TransactionConnection",
        &["pageInfo"],
        "{ transactions(iban: \"$own\") { * { hasNextPage } } }",
        OWNER,
    ),
    rows(
        "TransactionEdge",
        &["cursor"],
        "{ transactions(iban: \"$own\") { edges { * } } }",
        OWNER,
    ),
    rows(
        "TransactionEdge",
        &["node"],
        "{ transactions(iban: \"$own\") { edges { * { id } } } }",
        OWNER,
    ),
    rows(
        "PageInfo",
        PAGE_INFO,
        "{ transactions(iban: \"$own\") { pageInfo { * } } }",
        OWNER,
    ),
    rows(
        "AccountConnection",
        &["edges"],
        "{ accounts { * { cursor } } }",
        EMPLOYEE,
    ),
    rows(
        "AccountConnection",
        &["nodes"],
        "{ accounts { * { iban } } }",
        EMPLOYEE,
    ),
    rows(
        "AccountConnection",
        &["pageInfo"],
        "{ accounts { * { hasNextPage } } }",
        EMPLOYEE,
    ),
    rows(
        "AccountConnection",
        &["totalCount"],
        "{ accounts { * } }",
        EMPLOYEE,
    ),
    rows(
        "AccountEdge",
        &["cursor"],
        "{ accounts { edges { * } } }",
        EMPLOYEE,
    ),
    rows(
        "AccountEdge",
        &["node"],
        "{ accounts { edges { * { iban } } } }",
        EMPLOYEE,
    ),
    rows(
        "Command",
        &["commandId", "status", "reason", "message"],
        "{ command(id: \"$paid\") { * } }",
        SIGNED_IN,
    ),
    // A demo is to be looked at, and played with; otherwise these are for employees.
    rows("Query", &["load"], "{ * { heartbeatsPerSecond } }", ALL),
    rows("Load", &["heartbeatsPerSecond"], "{ load { * } }", ALL),
    rows(
        "Mutation",
        &["setLoad"],
        "mutation { *(heartbeatsPerSecond: 0) { heartbeatsPerSecond } }",
        ALL,
    ),
    rows("Query", &["status"], "{ * { at } }", ALL),
    rows(
        "Query",
        &["topicRecords"],
        "{ *(topic: \"balance_changed\", first: 1) { key } }",
        ALL,
    ),
    rows("Query", &["results"], "{ * { name } }", ALL),
    rows(
        "Status",
        &[
            "at",
            "achievedPerSecond",
            "owed",
            "pushedPerSecond",
            "sockets",
        ],
        "{ status { * } }",
        ALL,
    ),
    rows(
        "Status",
        &["load"],
        "{ status { * { heartbeatsPerSecond } } }",
        ALL,
    ),
    rows(
        "Status",
        &["services", "topics"],
        "{ status { * { name } } }",
        ALL,
    ),
    rows("Status", &["latency"], "{ status { * { count } } }", ALL),
    rows("Status", &["auditor"], "{ status { * { verdict } } }", ALL),
    rows(
        "ServiceStatus",
        &[
            "name",
            "kind",
            "state",
            "waitingFor",
            "since",
            "instances",
            "residentBytes",
            "cpuPercent",
            "lag",
        ],
        "{ status { services { * } } }",
        ALL,
    ),
    rows(
        "TopicStatus",
        &[
            "name",
            "partitions",
            "recordsPerSecond",
            "lag",
            "lastRecordAt",
            "schemaVersions",
        ],
        "{ status { topics { * } } }",
        ALL,
    ),
    rows(
        "LatencyWindow",
        &["from", "seconds", "count", "p50Ms", "p95Ms", "p99Ms"],
        "{ status { latency { * } } }",
        ALL,
    ),
    rows(
        "AuditorStatus",
        &[
            "verdict",
            "cause",
            "checkedAt",
            "invariants",
            "holding",
            "records",
        ],
        "{ status { auditor { * } } }",
        ALL,
    ),
    rows(
        "AuditorStatus",
        &["findings"],
        "{ status { auditor { * { what } } } }",
        ALL,
    ),
    rows(
        "AuditorFinding",
        &[
            "invariant",
            "what",
            "checked",
            "violations",
            "state",
            "firstOffender",
        ],
        "{ status { auditor { findings { * } } } }",
        ALL,
    ),
    rows(
        "Result",
        &[
            "name",
            "measuredAt",
            "commit",
            "machine",
            "noisy",
            "verdict",
            "document",
        ],
        "{ results { * } }",
        ALL,
    ),
    rows(
        "Query",
        &["trail"],
        "{ *(commandId: \"$paid\") { command { topic } } }",
        SIGNED_IN,
    ),
    rows(
        "Trail",
        &["command", "outcome", "changes"],
        "{ trail(commandId: \"$paid\") { * { topic } } }",
        SIGNED_IN,
    ),
    rows(
        "Trail",
        &["transactions"],
        "{ trail(commandId: \"$paid\") { * { id } } }",
        SIGNED_IN,
    ),
    rows(
        "Trail",
        &["hops"],
        "{ trail(commandId: \"$paid\") { * { name } } }",
        SIGNED_IN,
    ),
    rows(
        "TrailHop",
        &["name", "startedAt", "endedAt", "detail"],
        "{ trail(commandId: \"$paid\") { hops { * } } }",
        SIGNED_IN,
    ),
    rows(
        "TrailRecord",
        &[
            "topic",
            "partition",
            "offset",
            "sentAt",
            "key",
            "schemaId",
            "schemaVersion",
            "schemaName",
            "bytes",
        ],
        "{ trail(commandId: \"$paid\") { changes { * } } }",
        SIGNED_IN,
    ),
    rows(
        "TrailRecord",
        &["fields", "headers"],
        "{ trail(commandId: \"$paid\") { changes { * { name } } } }",
        SIGNED_IN,
    ),
    rows(
        "TrailField",
        &["name", "value"],
        "{ trail(commandId: \"$paid\") { changes { fields { * } } } }",
        SIGNED_IN,
    ),
    rows(
        "Mutation",
        &["openAccount"],
        "mutation { *(input: { commandId: \"$new\", userName: \"u-$new\", \
         password: \"a long enough secret\" }) { __typename } }",
        // A name of 38 characters: everybody gets as far as the rules for names.
        ["VALIDATION"; 4],
    ),
    rows(
        "Mutation",
        &["logIn"],
        "mutation { *(input: { userName: \"demo-employee\", \
         password: \"demo-employee-password\" }) { user { role } } }",
        ALL,
    ),
    rows(
        "Mutation",
        &["deposit"],
        "mutation { *(input: { commandId: \"$new\", amount: 1 }) { __typename } }",
        CUSTOMER,
    ),
    rows(
        "Mutation",
        &["transfer"],
        "mutation { *(input: { commandId: \"$new\", to: \"Shop\", amount: 1, description: \"\" }) { __typename } }",
        CUSTOMER,
    ),
    rows(
        "SignedIn",
        &["user"],
        "mutation { logIn(input: { userName: \"demo-employee\", \
         password: \"demo-employee-password\" }) { * { role } } }",
        ALL,
    ),
    rows(
        "SignedIn",
        &["sessionToken"],
        "mutation { logIn(input: { userName: \"demo-employee\", \
         password: \"demo-employee-password\" }) { * } }",
        ALL,
    ),
    rows(
        "PaymentConfirmed",
        &["commandId"],
        "mutation { deposit(input: { commandId: \"$new\", amount: 1 }) { ... on PaymentConfirmed { * } } }",
        CUSTOMER,
    ),
    rows(
        "CommandPending",
        &["commandId", "message"],
        "mutation { deposit(input: { commandId: \"$new\", amount: 1 }) { ... on CommandPending { * } } }",
        CUSTOMER,
    ),
    rows(
        "CommandRejected",
        &["commandId", "reason", "message"],
        "mutation { deposit(input: { commandId: \"$new\", amount: 1 }) { ... on CommandRejected { * } } }",
        CUSTOMER,
    ),
    // Last: they end the sessions that the others have used.
    rows(
        "Mutation",
        &["logOutEverywhere"],
        "mutation { * }",
        SIGNED_IN,
    ),
    rows("Mutation", &["logOut"], "mutation { * }", ALL),
    // Over the WebSocket: `live_updates_are_for_the_owner_and_for_employees`.
    rows("Subscription", &["transactions"], "", OWNER),
    // Over the WebSocket, in `status`.
    rows("Subscription", &["status", "topicRecords"], "", ALL),
];

/// `Type.field` for every field of the schema's objects.
fn fields_of_the_schema() -> BTreeSet<String> {
    let document = parse_schema(graphql_endpoint::schema_text()).unwrap();
    let mut fields = BTreeSet::new();
    for definition in document.definitions {
        let TypeSystemDefinition::Type(definition) = definition else {
            continue;
        };
        if let TypeKind::Object(object) = &definition.node.kind {
            let of = &definition.node.name.node;
            let names = object.fields.iter().map(|field| &field.node.name.node);
            fields.extend(names.map(|name| format!("{of}.{name}")));
        }
    }
    fields
}

#[test]
fn every_field_of_the_schema_has_its_row_and_every_row_its_field() {
    let mut listed = BTreeSet::new();
    for row in TABLE {
        for field in row.fields {
            let name = format!("{}.{field}", row.of);
            assert!(listed.insert(name.clone()), "{name} has two rows");
        }
    }
    let fields = fields_of_the_schema();
    let without: Vec<&String> = fields.difference(&listed).collect();
    assert!(
        without.is_empty(),
        "who may see {without:?}? say so in TABLE"
    );
    let gone: Vec<&String> = listed.difference(&fields).collect();
    assert!(
        gone.is_empty(),
        "{gone:?} is in TABLE but not in the schema"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_gets_each_field_or_is_refused_as_the_table_says() {
    let heartbeat = Some(crate::load::pace_maker().await);
    let settings = Settings {
        heartbeat,
        ..Settings::default()
    };
    let world = World::start_with("authorisation", settings).await;
    let _bank = world.run_agreeable_bank().await;
    let (owner, own) = sign_up(&world, "owner-of-the-account").await;
    let (other, _) = sign_up(&world, "another-customer").await;
    let employee = employee(&world).await;
    let paid = Uuid::new_v4().to_string();
    let deposit = format!(
        "mutation {{ deposit(input: {{ commandId: \"{paid}\", amount: 1 }}) {{ __typename }} }}"
    );
    let answer = owner.ask(&world, &deposit, Value::Null).await;
    assert_eq!(code(&answer), "none", "{answer}");
    let nobody = Program::default();
    let roles = [&nobody, &owner, &other, &employee];
    let names = ["nobody", "the owner", "another customer", "an employee"];
    for row in TABLE.iter().filter(|row| !row.way.is_empty()) {
        for field in row.fields {
            for ((program, role), expected) in roles.into_iter().zip(names).zip(row.answers) {
                let query = row
                    .way
                    .replace('*', field)
                    .replace("$own", &own)
                    .replace("$paid", &paid)
                    .replace("$new", &Uuid::new_v4().to_string());
                let answer = program.ask(&world, &query, json!({})).await;
                let what = format!("{}.{field} for {role}: {answer}", row.of);
                assert_eq!(code(&answer), expected, "{what}");
                if row.of == "Command" && role != "the owner" && expected == "none" {
                    assert_eq!(answer["data"]["command"], Value::Null, "{what}");
                }
                if row.of.starts_with("Trail") && role == "another customer" {
                    assert_eq!(answer["data"]["trail"], Value::Null, "{what}");
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn live_updates_are_for_the_owner_and_for_employees() {
    let world = World::start("live-roles").await;
    let _bank = world.run_agreeable_bank().await;
    let (owner, own) = sign_up(&world, "owner-of-the-account").await;
    let (other, _) = sign_up(&world, "another-customer").await;
    let employee = employee(&world).await;
    let deposit = format!(
        "mutation {{ deposit(input: {{ commandId: \"{}\", amount: 1 }}) {{ __typename }} }}",
        Uuid::new_v4()
    );
    let answer = owner.ask(&world, &deposit, Value::Null).await;
    assert_eq!(code(&answer), "none", "{answer}");
    let query = format!("subscription {{ transactions(iban: \"{own}\", after: \"0\") {{ id }} }}");
    let row = TABLE.iter().find(|row| row.of == "Subscription").unwrap();
    let roles = [None, owner.bearer, other.bearer, employee.bearer];
    for (session, expected) in roles.into_iter().zip(row.answers) {
        let headers = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
        let mut socket = crate::raw::RawSocket::open(&world.address, headers).await;
        socket.hello(session.as_deref()).await;
        let payload = json!({ "query": query });
        socket
            .say(&json!({ "type": "subscribe", "id": "1", "payload": payload }))
            .await;
        if expected == "none" {
            let next = socket.hear("next").await;
            assert_eq!(
                next["payload"]["data"]["transactions"]["id"],
                format!("{own}:1")
            );
        } else {
            let error = socket.hear("error").await;
            assert_eq!(error["payload"][0]["extensions"]["code"], expected);
        }
    }
}
