//! How the bank is, and what stands in its topics: for whoever looks at a demo.

use std::net::SocketAddr;

use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use graphql_endpoint::config::ServiceAddress;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::raw::RawSocket;
use crate::support::{Program, Settings, World, eventually};
use crate::{code, sign_up};

/// A service that answers these at its operations.
async fn service(ready: (StatusCode, Value), metrics: &'static str) -> SocketAddr {
    let readyz = move || {
        let (status, body) = ready.clone();
        async move { (status, Json(body)) }
    };
    let status = || async {
        Json(
            json!({ "verdict": "holds", "age_seconds": 1, "rounds": 1, "trouble": null,
            "report": { "records": 7, "rows": 1, "repeated": 0, "took_ms": 1, "findings": [
                { "invariant": "A1", "what": "money stays", "checked": 3, "violations": 0,
                  "first_offender": null, "note": null, "state": "holds" } ] } }),
        )
    };
    let router = Router::new()
        .route("/readyz", get(readyz))
        .route("/metrics", get(move || async move { metrics }))
        .route("/status", get(status));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

fn named(name: &str, address: SocketAddr) -> ServiceAddress {
    ServiceAddress {
        name: name.to_owned(),
        address: address.to_string(),
    }
}

fn of<'a>(rows: &'a Value, name: &str) -> &'a Value {
    let rows = rows.as_array().unwrap();
    let found = rows
        .iter()
        .find(|row| row["name"].as_str().is_some_and(|it| it.ends_with(name)));
    found.unwrap_or_else(|| panic!("no {name} in {rows:?}"))
}

async fn subscribe(world: &World, query: &str) -> RawSocket {
    let headers = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
    let mut socket = RawSocket::open(&world.address, headers).await;
    socket.hello(None).await;
    let payload = json!({ "query": query });
    socket
        .say(&json!({ "type": "subscribe", "id": "1", "payload": payload }))
        .await;
    socket
}

const STATUS: &str = "{ status { at achievedPerSecond owed pushedPerSecond sockets
    load { heartbeatsPerSecond }
    services { name kind state waitingFor since instances residentBytes cpuPercent lag }
    topics { name partitions recordsPerSecond lag lastRecordAt schemaVersions }
    latency { from seconds count p50Ms p95Ms p99Ms }
    auditor { verdict cause checkedAt invariants holding records findings { invariant state } } } }";

#[tokio::test(flavor = "multi_thread")]
async fn what_each_source_tells_is_shown_and_what_none_tells_is_not_made_up() {
    let up = service(
        (StatusCode::OK, json!({ "ready": true })),
        "process_resident_memory_bytes 1048576\nprocess_cpu_seconds_total 1\n",
    )
    .await;
    let waiting = json!({ "ready": false, "waiting_for": ["kafka"] });
    let waiting = service((StatusCode::SERVICE_UNAVAILABLE, waiting), "").await;
    let gone = SocketAddr::from(([127, 0, 0, 1], 1));
    let settings = Settings {
        heartbeat: Some(crate::load::pace_maker().await),
        services: vec![
            named("command-handler", up),
            named("command-handler", up),
            named("command-generator", waiting),
            named("heartbeat", gone),
        ],
        auditor: Some(up),
        ..Settings::default()
    };
    let world = World::start_with("status", settings).await;
    let status = eventually("all sources have told", async || {
        let answer = Program::default().ask(&world, STATUS, Value::Null).await;
        let status = answer["data"]["status"].clone();
        let kafka = of(&status["services"], "kafka")["state"] == "UP";
        let postgres = of(&status["services"], "postgres")["state"] == "UP";
        (kafka && postgres).then_some(status)
    })
    .await;
    let services = &status["services"];
    let handler = of(services, "command-handler");
    assert_eq!(handler["state"], "UP", "{handler}");
    assert_eq!(handler["instances"], 2);
    assert_eq!(handler["residentBytes"], 2_097_152.0);
    let generator = of(services, "command-generator");
    assert_eq!(generator["state"], "NOT_READY");
    assert_eq!(generator["waitingFor"], json!(["kafka"]));
    assert_eq!(generator["residentBytes"], Value::Null);
    let heartbeat = of(services, "heartbeat");
    assert_eq!(
        (&heartbeat["state"], &heartbeat["instances"]),
        (&json!("GONE"), &json!(0))
    );
    let registry = of(services, "schema-registry");
    assert_eq!(
        (&registry["state"], &registry["kind"]),
        (&json!("UP"), &json!("INFRASTRUCTURE"))
    );
    assert_eq!(status["load"]["heartbeatsPerSecond"], 7);
    assert_eq!(status["owed"], Value::Null);
    assert_eq!(status["latency"].as_array().unwrap().len(), 60);
    assert_eq!(status["auditor"]["verdict"], "HOLDS");
    assert_eq!(status["auditor"]["findings"][0]["invariant"], "A1");
    assert_eq!(status["topics"].as_array().unwrap().len(), 7);
    let changes = of(&status["topics"], "balance_changed");
    assert_eq!(changes["partitions"], 9);
    assert_eq!(changes["schemaVersions"], json!([1, 2]));
    assert_eq!(changes["lastRecordAt"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_transfer_is_seen_in_its_topic_in_the_latency_and_hop_by_hop() {
    let world = World::start("seen").await;
    let bank = world.run_real_bank().await;
    let (ann, own) = sign_up(&world, "ann-who-is-seen").await;
    let live = "subscription { topicRecords(topic: \"confirm_money_transfer\") { key } }";
    let mut topic = subscribe(&world, live).await;
    let follow = format!("subscription {{ transactions(iban: \"{own}\") {{ cursor }} }}");
    let headers = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
    let mut follower = RawSocket::open(&world.address, headers).await;
    follower.hello(ann.bearer.as_deref()).await;
    follower
        .say(&json!({ "type": "subscribe", "id": "1", "payload": { "query": follow } }))
        .await;
    let mut status = subscribe(
        &world,
        "subscription { status { latency { count p50Ms } sockets } }",
    )
    .await;

    let pay = async || {
        let id = Uuid::new_v4().to_string();
        let deposit = format!(
            "mutation {{ deposit(input: {{ commandId: \"{id}\", amount: 5 }}) {{ __typename }} }}"
        );
        let answer = ann.ask(&world, &deposit, Value::Null).await;
        assert_eq!(code(&answer), "none", "{answer}");
        id
    };
    // The live records begin somewhere here: payments go on until there is one.
    let paying = async {
        loop {
            pay().await;
        }
    };
    let next = tokio::select! {
        next = topic.hear("next") => next,
        () = paying => unreachable!("it pays for ever"),
    };
    assert_eq!(next["payload"]["data"]["topicRecords"][0]["key"], own);
    follower.hear("next").await;
    let paid = pay().await;
    loop {
        let next = status.hear("next").await;
        let seen = &next["payload"]["data"]["status"];
        let windows = seen["latency"].as_array().unwrap();
        assert!(seen["sockets"].as_i64().unwrap() >= 3, "{seen}");
        if windows.iter().any(|it| it["count"].as_i64() > Some(0)) {
            break;
        }
    }

    let find = format!(
        "{{ topicRecords(topic: \"confirm_money_transfer\", contains: \"{paid}\") {{
            schemaName bytes fields {{ name value }} headers {{ name value }} }} }}"
    );
    let answer = Program::default().ask(&world, &find, Value::Null).await;
    let found = answer["data"]["topicRecords"].as_array().unwrap();
    assert_eq!(found.len(), 1, "{answer}");
    assert!(found[0]["bytes"].as_i64().unwrap() > 50);
    let names = found[0]["headers"].as_array().unwrap().iter();
    let names: Vec<_> = names.map(|it| it["name"].as_str().unwrap()).collect();
    assert!(
        names.contains(&"stamps") && names.contains(&"traceparent"),
        "{names:?}"
    );
    assert!(answer.to_string().contains("(not shown)"), "{answer}");

    let trail = format!(
        "{{ trail(commandId: \"{paid}\") {{ hops {{ name startedAt endedAt detail }} }} }}"
    );
    let wanted = [
        "received",
        "polled",
        "decided",
        "committed",
        "emitted",
        "pushed",
    ];
    eventually("each hop has its time", async || {
        let answer = ann.ask(&world, &trail, Value::Null).await;
        let hops = answer["data"]["trail"]["hops"].as_array()?.clone();
        let ended = hops.iter().filter(|hop| hop["endedAt"].is_string());
        let ended: Vec<_> = ended.filter_map(|hop| hop["name"].as_str()).collect();
        wanted.iter().all(|name| ended.contains(name)).then_some(())
    })
    .await;
    bank.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_topic_or_nothing_to_look_for_is_refused() {
    let world = World::start("no-topic").await;
    for (arguments, expected) in [
        ("topic: \"nothing\"", "NOT_FOUND"),
        ("topic: \"__consumer_offsets\"", "NOT_FOUND"),
        ("topic: \"\"", "NOT_FOUND"),
        ("topic: \"heartbeat\", first: 0", "VALIDATION"),
        ("topic: \"heartbeat\", first: -1", "VALIDATION"),
        ("topic: \"heartbeat\", first: 101", "VALIDATION"),
        ("topic: \"heartbeat\", contains: \"ab\"", "VALIDATION"),
        ("topic: \"heartbeat\", contains: \"';--\"", "VALIDATION"),
        ("topic: \"heartbeat\", contains: \"\"", "none"),
        (
            "topic: \"heartbeat\", contains: \"NL66OPEN0000000000\"",
            "none",
        ),
        ("topic: \"dead_letters\", first: 100", "none"),
    ] {
        let query = format!("{{ topicRecords({arguments}) {{ key }} }}");
        let answer = Program::default().ask(&world, &query, Value::Null).await;
        assert_eq!(code(&answer), expected, "{arguments}: {answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_everywhere_ends_every_session_and_nobody_elses() {
    let world = World::start("everywhere").await;
    let _bank = world.run_agreeable_bank().await;
    let (here, _) = sign_up(&world, "ann-here-and-there").await;
    let (other, _) = sign_up(&world, "bob-somewhere-else").await;
    let log_in = "mutation { logIn(input: { userName: \"ann-here-and-there\", \
                  password: \"a long enough secret\", bearer: true }) { sessionToken } }";
    let answer = Program::default().ask(&world, log_in, Value::Null).await;
    let bearer = answer["data"]["logIn"]["sessionToken"].as_str();
    let there = Program {
        bearer: bearer.map(str::to_owned),
    };
    let me = "{ me { userName } }";
    for (who, is_in) in [(&here, true), (&there, true), (&other, true)] {
        let answer = who.ask(&world, me, Value::Null).await;
        assert_eq!(answer["data"]["me"].is_object(), is_in, "{answer}");
    }
    let out = "mutation { logOutEverywhere }";
    let answer = here.ask(&world, out, Value::Null).await;
    assert_eq!(answer["data"]["logOutEverywhere"], true, "{answer}");
    for (who, is_in) in [(&here, false), (&there, false), (&other, true)] {
        let answer = who.ask(&world, me, Value::Null).await;
        assert_eq!(answer["data"]["me"].is_object(), is_in, "{answer}");
    }
    let answer = here.ask(&world, out, Value::Null).await;
    assert_eq!(code(&answer), "UNAUTHENTICATED", "{answer}");
}
