//! The knob of the simulated public.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::support::{Settings, World};
use crate::{code, employee};

/// What the real one takes at most.
const RATE_MAX: u64 = 2_000;

/// Something that speaks like the pace-maker.
pub(crate) async fn pace_maker() -> SocketAddr {
    let rate = Arc::new(AtomicU64::new(7));
    let (read, written) = (Arc::clone(&rate), rate);
    let show = move || async move {
        Json(json!({ "heartbeats_per_second": read.load(Ordering::Relaxed), "sent": 0 }))
    };
    let change = move |Json(wish): Json<Value>| async move {
        match wish["heartbeats_per_second"].as_u64() {
            Some(rate) if rate <= RATE_MAX => {
                written.store(rate, Ordering::Relaxed);
                axum::http::StatusCode::OK
            }
            _ => axum::http::StatusCode::UNPROCESSABLE_ENTITY,
        }
    };
    let router = Router::new().route("/rate", get(show).put(change));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn an_employee_sets_the_pace_and_hears_what_cannot_be_done() {
    let settings = Settings {
        heartbeat: Some(pace_maker().await),
        ..Settings::default()
    };
    let world = World::start_with("load", settings).await;
    let employee = employee(&world).await;
    let set =
        "mutation ($rate: Int!) { setLoad(heartbeatsPerSecond: $rate) { heartbeatsPerSecond } }";
    for (rate, expected) in [
        (json!(200), "none"),
        (json!(0), "none"),
        (json!(2_000), "none"),
        (json!(2_001), "VALIDATION"),
        (json!(-1), "VALIDATION"),
        (json!(1.5), "VALIDATION"),
        (json!("1"), "VALIDATION"),
        (json!(null), "VALIDATION"),
    ] {
        let answer = employee.ask(&world, set, json!({ "rate": rate })).await;
        assert_eq!(code(&answer), expected, "{rate}: {answer}");
    }
    let answer = employee
        .ask(&world, "{ load { heartbeatsPerSecond } }", Value::Null)
        .await;
    assert_eq!(
        answer["data"]["load"]["heartbeatsPerSecond"], 2_000,
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn given_no_pace_maker_its_knob_is_unavailable() {
    let world = World::start("no-load").await;
    let employee = employee(&world).await;
    let answer = employee
        .ask(&world, "{ load { heartbeatsPerSecond } }", Value::Null)
        .await;
    assert_eq!(code(&answer), "UNAVAILABLE", "{answer}");
}
