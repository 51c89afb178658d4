//! The texts stand in the schema, and answers are read as the gateway writes them.

use super::*;
use crate::readable;

/// A bank at 400 commands per second with two handlers, as the gateway writes it.
pub(crate) fn sample() -> Status {
    let service = |name: &str, kind: &str, instances: u32, lag: Value| {
        json!({ "name": name, "kind": kind, "state": "UP", "waitingFor": [], "since": "2026-11-21T12:00:00Z",
                "instances": instances, "residentBytes": 11_534_336.0, "cpuPercent": 1.4, "lag": lag })
    };
    let topic = |name: &str, partitions: u32, rate: f64, lag: Value| {
        json!({ "name": name, "partitions": partitions, "recordsPerSecond": rate, "lag": lag,
                "lastRecordAt": "2026-11-21T12:00:06.9Z", "schemaVersions": [1] })
    };
    let text = json!({
        "at": "2026-11-21T12:00:07Z",
        "load": { "heartbeatsPerSecond": 400 },
        "achievedPerSecond": 398.2, "owed": 0, "pushedPerSecond": 3.0, "sockets": 3,
        "services": [
            service("command-handler", "SERVICE", 2, json!(0)),
            service("graphql-endpoint", "SERVICE", 1, json!(2)),
            service("command-generator", "SERVICE", 1, json!(0)),
            service("heartbeat", "SERVICE", 1, Value::Null),
            service("auditor", "SERVICE", 1, Value::Null),
            service("kafka", "INFRASTRUCTURE", 1, Value::Null),
            service("schema-registry", "INFRASTRUCTURE", 1, Value::Null),
            service("postgres", "INFRASTRUCTURE", 1, Value::Null),
        ],
        "topics": [
            topic("heartbeat", 1, 400.0, json!(0)),
            topic("confirm_account_creation", 1, 0.0, json!(0)),
            topic("confirm_money_transfer", 9, 398.0, json!(0)),
            topic("account_creation_feedback", 1, 0.0, json!(0)),
            topic("money_transfer_feedback", 9, 398.0, json!(0)),
            topic("balance_changed", 9, 796.0, json!(3)),
            topic("dead_letters", 1, 0.0, Value::Null),
        ],
        "latency": [
            { "from": "2026-11-21T11:59:50Z", "seconds": 5, "count": 20, "p50Ms": 5.2, "p95Ms": 8.0, "p99Ms": 12.5 },
            { "from": "2026-11-21T11:59:55Z", "seconds": 5, "count": 0, "p50Ms": null, "p95Ms": null, "p99Ms": null },
            { "from": "2026-11-21T12:00:00Z", "seconds": 5, "count": 20, "p50Ms": 5.4, "p95Ms": 8.1, "p99Ms": 11.5 },
        ],
        "auditor": { "verdict": "HOLDS", "cause": null, "checkedAt": "2026-11-21T12:00:03Z", "invariants": 2,
            "holding": 2, "records": 551_870.0, "findings": [
                { "invariant": "A1", "what": "one outcome per command", "checked": 551_870.0, "violations": 0.0,
                  "state": "holds", "firstOffender": null },
                { "invariant": "A2", "what": "the ledger sums to zero", "checked": 12.0, "violations": 0.0,
                  "state": "holds", "firstOffender": null },
            ] },
    });
    readable::answer(&text).expect("the sample is of the schema's shape")
}

#[test]
fn every_operation_stands_in_the_schema() {
    let schema = async_graphql_parser::parse_schema(include_str!(
        "../../../../graphql-endpoint/schema.graphql"
    ))
    .expect("the schema is read");
    for query in [STATUS, WATCH_STATUS, RESULTS, SET_LOAD] {
        crate::api::schema_check::check(&schema, query);
    }
}

#[test]
fn the_state_of_the_bank_is_read_as_the_gateway_writes_it() {
    let status = sample();
    assert_eq!(status.auditor.verdict, AuditorVerdict::Holds);
    assert_eq!(status.services[0].state, ServiceState::Up);
    assert_eq!(status.latency[1].p50_ms, None);
    assert_eq!(
        readable::answer(&json!("ASLEEP")),
        Ok(ServiceState::Unknown)
    );
}
