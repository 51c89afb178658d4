//! The operator's knob: `GET /rate` and `PUT /rate` beside /livez and /readyz.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use crate::beats::Tally;
use crate::kept::Kept;
use crate::pace::BEATS_PER_SECOND_MAX;

/// Most bytes of a request.
const REQUEST_BYTES_MAX: usize = 1_024;

#[derive(Clone)]
struct Knob {
    rate: Arc<watch::Sender<u32>>,
    kept: Kept,
    tally: Arc<Tally>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    heartbeats_per_second: serde_json::Number,
}

#[derive(Serialize)]
struct Answer {
    heartbeats_per_second: u32,
    achieved_per_second: u64,
    delivered: u64,
    skipped: u64,
}

/// The routes; whoever holds the other end of `rate` hears of changes.
pub fn router(rate: Arc<watch::Sender<u32>>, kept: Kept, tally: Arc<Tally>) -> Router {
    Router::new()
        .route("/rate", get(show).put(change))
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .with_state(Knob { rate, kept, tally })
}

async fn show(State(knob): State<Knob>) -> Response {
    answer(&knob)
}

async fn change(State(knob): State<Knob>, body: Bytes) -> Response {
    match parse(&body) {
        Ok(rate) => {
            // First what a restart goes on with: one that dies right now comes back with it.
            knob.kept.write(rate);
            // Setting what is set already must not start a new pace.
            knob.rate
                .send_if_modified(|current| std::mem::replace(current, rate) != rate);
            answer(&knob)
        }
        Err((status, words)) => {
            (status, Json(serde_json::json!({ "error": words }))).into_response()
        }
    }
}

fn answer(knob: &Knob) -> Response {
    let now = Instant::now();
    Json(Answer {
        heartbeats_per_second: *knob.rate.borrow(),
        achieved_per_second: knob.tally.delivered.per_second(now),
        delivered: knob.tally.delivered.total(now),
        skipped: knob.tally.skipped.load(Ordering::Relaxed),
    })
    .into_response()
}

/// The rate a request asks for: 400 when it cannot be read, 422 when it cannot be done.
fn parse(body: &[u8]) -> Result<u32, (StatusCode, String)> {
    let wanted: Wanted = serde_json::from_slice(body).map_err(|error| {
        let words = format!("expected {{\"heartbeats_per_second\": 200}}: {error}");
        (StatusCode::BAD_REQUEST, words)
    })?;
    let number = wanted.heartbeats_per_second;
    number
        .as_u64()
        .and_then(|rate| u32::try_from(rate).ok())
        .filter(|rate| *rate <= BEATS_PER_SECOND_MAX)
        .ok_or_else(|| {
            let words = format!(
                "heartbeats_per_second is {number}; it must be a whole number \
                 from 0 to {BEATS_PER_SECOND_MAX}"
            );
            (StatusCode::UNPROCESSABLE_ENTITY, words)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_taken_or_refused_with_words() {
        for (body, expected) in [
            (r#"{"heartbeats_per_second": 0}"#, Ok(0)),
            (r#"{"heartbeats_per_second": 2000}"#, Ok(2_000)),
            (r#"{"heartbeats_per_second": 2001}"#, Err(422)),
            (r#"{"heartbeats_per_second": -1}"#, Err(422)),
            (r#"{"heartbeats_per_second": 1.5}"#, Err(422)),
            (r#"{"heartbeats_per_second": 4294967496}"#, Err(422)),
            (r#"{"heartbeats_per_second": 1e30}"#, Err(422)),
            (r#"{"heartbeats_per_second": "200"}"#, Err(400)),
            (r#"{"heartbeats_per_second": null}"#, Err(400)),
            (r#"{"heartbeats_per_second": 1, "more": 2}"#, Err(400)),
            (r#"{"rate": 1}"#, Err(400)),
            ("200", Err(400)),
            ("", Err(400)),
            ("\u{0}", Err(400)),
        ] {
            let parsed = parse(body.as_bytes());
            assert_eq!(
                parsed
                    .as_ref()
                    .map_err(|(status, _)| status.as_u16())
                    .copied(),
                expected,
                "{body}"
            );
        }
    }
}
