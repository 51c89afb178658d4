//! Traces: what a collector is told of one payment, by a gateway and a handler that are real.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod support;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Told;
use opentelemetry_proto::tonic::trace::v1::Span;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message;
use serde_json::{Value, json};
use topology::traces::{Ratio, TracesConfig};
use topology::{COMPANY_IBAN, CommandId};

use support::{Follower, Program, World, eventually};

const OPEN: &str = "mutation ($id: CommandId!, $name: String!, $password: String!) {
    openAccount(input: { commandId: $id, userName: $name, password: $password, bearer: true }) {
        __typename ... on SignedIn { sessionToken user { account { iban } } } } }";
const TRANSFER: &str = "mutation ($id: CommandId!, $to: String!, $amount: Amount!) {
    transfer(input: { commandId: $id, to: $to, amount: $amount, description: \"traced\" }) {
        __typename } }";

/// Spans a collector has taken, with the name of their service.
type Taken = Arc<Mutex<Vec<(String, Span)>>>;

async fn take(State(taken): State<Taken>, headers: HeaderMap, body: Bytes) {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    for resource in request.resource_spans {
        let attributes = resource.resource.expect("a resource").attributes;
        let name = attributes.into_iter().find(|it| it.key == "service.name");
        let name = name.and_then(|it| it.value).and_then(|it| it.value);
        let Some(Told::StringValue(name)) = name else {
            panic!("no name of a service");
        };
        let spans = resource.scope_spans.into_iter().flat_map(|it| it.spans);
        let mut taken = taken.lock().expect("a collector that goes on");
        taken.extend(spans.map(|span| (name.clone(), span)));
    }
}

/// A collector of ours; its base.
async fn collect(taken: Taken) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new()
        .route("/v1/traces", post(take))
        .with_state(taken);
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}")
}

fn attributes(span: &Span) -> HashMap<&str, String> {
    let told = span.attributes.iter().map(|it| {
        let value = it.value.as_ref().and_then(|it| it.value.as_ref());
        let value = match value {
            Some(Told::StringValue(text)) => text.clone(),
            Some(Told::IntValue(number)) => number.to_string(),
            other => panic!("{}: {other:?}", it.key),
        };
        (it.key.as_str(), value)
    });
    told.collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_collector_when_a_payment_is_made_then_it_is_told_one_trace_from_request_to_push() {
    let taken = Taken::default();
    let collector = collect(Arc::clone(&taken)).await;
    let config = TracesConfig {
        otlp_endpoint: collector,
        traces_ratio: Ratio::parse("1").unwrap(),
        service_name: String::new(),
    };
    config.start("the-test").unwrap();
    let world = World::start("traces").await;
    let _bank = world.run_real_bank().await;
    let opening = uuid::Uuid::new_v4();
    let sign_up = json!({ "id": opening, "name": "ann-of-traces", "password": "eight888" });
    let opened = Program::default().ask(&world, OPEN, sign_up).await;
    let signed_in = &opened["data"]["openAccount"];
    assert_eq!(signed_in["__typename"], "SignedIn", "{opened}");
    let ann = Program {
        bearer: signed_in["sessionToken"].as_str().map(str::to_owned),
    };
    let iban = signed_in["user"]["account"]["iban"].as_str().unwrap();
    let mut follower = Follower::of(&world, ann.bearer.as_deref(), iban, Some("0")).await;
    let id = CommandId(uuid::Uuid::new_v4());
    let transfer = json!({ "id": id.to_string(), "to": COMPANY_IBAN, "amount": 5 });
    let paid = ann.ask(&world, TRANSFER, transfer).await;
    assert_eq!(
        paid["data"]["transfer"]["__typename"], "PaymentConfirmed",
        "{paid}"
    );
    assert_eq!(
        follower.transaction().await["commandId"],
        Value::from(id.to_string())
    );

    let of_the_payment = || -> Vec<Span> {
        let taken = taken.lock().unwrap();
        let own = taken.iter().filter(|(service, span)| {
            assert_eq!(service, "the-test");
            span.trace_id == id.to_bytes()
        });
        own.map(|(_, span)| span.clone()).collect()
    };
    // One of the gateway, one of the handler, three records in the read model, one pushed.
    let spans = eventually("all six are told", async || {
        let spans = of_the_payment();
        (spans.len() >= 6).then_some(spans)
    })
    .await;
    assert_eq!(spans.len(), 6, "{spans:#?}");
    let named = |name: &str| -> Vec<&Span> { spans.iter().filter(|it| it.name == name).collect() };
    let [sent] = named("send confirm_money_transfer")[..] else {
        panic!("{spans:#?}");
    };
    let [processed] = named("process confirm_money_transfer")[..] else {
        panic!("{spans:#?}");
    };
    let [pushed] = named("push balance_changed")[..] else {
        panic!("{spans:#?}");
    };
    let changes = named("process balance_changed");
    assert_eq!(
        (
            changes.len(),
            named("process money_transfer_feedback").len()
        ),
        (2, 1)
    );

    assert_eq!(sent.kind(), SpanKind::Producer);
    assert!(sent.parent_span_id.is_empty());
    assert_eq!(processed.parent_span_id, sent.span_id);
    let later = spans
        .iter()
        .filter(|it| ![&sent.span_id, &processed.span_id].contains(&&it.span_id));
    for span in later {
        assert_eq!(span.parent_span_id, processed.span_id, "{}", span.name);
        assert_eq!(span.kind(), SpanKind::Consumer);
        assert!(span.start_time_unix_nano >= processed.start_time_unix_nano);
    }
    for span in &spans {
        assert!(span.end_time_unix_nano >= span.start_time_unix_nano);
        let attributes = attributes(span);
        assert_eq!(attributes["messaging.system"], "kafka");
        assert_eq!(attributes["bank.command_id"], id.to_string());
        let topic = span.name.split(' ').nth(1).unwrap();
        assert_eq!(attributes["messaging.destination.name"], topic);
        assert!(attributes.contains_key("messaging.destination.partition.id"));
        let is_sent = span.span_id == sent.span_id;
        assert_eq!(
            attributes.contains_key("messaging.kafka.offset"),
            !is_sent,
            "{topic}"
        );
        assert_eq!(
            attributes.contains_key("messaging.consumer.group.name"),
            !is_sent
        );
    }
    let decided = attributes(processed);
    assert_eq!(decided["messaging.consumer.group.name"], "command-handler");
    assert_eq!(decided["bank.outcome"], "confirmed");
    assert_eq!(decided["bank.batch_size"], "1");
    let partition = "messaging.destination.partition.id";
    assert_eq!(decided[partition], attributes(sent)[partition]);
    assert_eq!(
        attributes(pushed)["messaging.consumer.group.name"],
        "graphql-endpoint-live"
    );
    // The command's way, in order.
    let moments: Vec<&str> = processed.events.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(moments, ["decided", "committed"]);
    let times = [
        sent.start_time_unix_nano,
        processed.start_time_unix_nano,
        processed.events[0].time_unix_nano,
        processed.events[1].time_unix_nano,
        processed.end_time_unix_nano,
        pushed.start_time_unix_nano,
        pushed.end_time_unix_nano,
    ];
    assert!(times.is_sorted(), "{times:?}");
    // The opening of the account is another story.
    let others = taken.lock().unwrap();
    let of_the_opening = others
        .iter()
        .filter(|(_, it)| it.trace_id == *opening.as_bytes());
    assert!(of_the_opening.count() >= 2);
}
