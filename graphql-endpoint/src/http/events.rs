//! Subscriptions as server-sent events, for clients whose proxies let no WebSocket through:
//! one subscription per request, as graphql-sse has it in its distinct connections mode.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use async_graphql::Value;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, StreamExt, stream};

use super::Shared;
use crate::graphql::classify;
use crate::graphql::documents::Prepared;

/// What a client accepts that wants them.
const CONTENT_TYPE: &str = "text/event-stream";
/// Between two signs of life, so that a connection that is gone is noticed.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// Whether the client wants events.
pub(super) fn are_wanted(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(header::ACCEPT);
    accepted
        .into_iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|kind| kind.split(';').next())
        .any(|kind| kind.trim().eq_ignore_ascii_case(CONTENT_TYPE))
}

/// Answers a subscription; it takes the place of a WebSocket.
pub(super) fn answer(shared: Shared, address: IpAddr, prepared: Prepared) -> Response {
    let Ok(place) = std::sync::Arc::clone(&shared.sockets).try_acquire_owned() else {
        return StatusCode::SERVICE_UNAVAILABLE.into_response();
    };
    let Some(place_of_address) = shared.sockets_by_address.take(&address) else {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    };
    let answers = shared.schema.stream(prepared);
    let open = shared.gateway.board.meter.socket();
    let events = events(answers)
        .take_until(shared.stop.cancelled_owned())
        .map(move |event| {
            let _places = (&place, &place_of_address, &open);
            Ok::<_, Infallible>(event)
        });
    let keep_alive = KeepAlive::new().interval(KEEP_ALIVE);
    Sse::new(events).keep_alive(keep_alive).into_response()
}

fn events(answers: impl Stream<Item = async_graphql::Response>) -> impl Stream<Item = Event> {
    let next = answers.map(|mut answer| {
        classify(&mut answer);
        let text = serde_json::to_string(&answer).unwrap_or_default();
        let failed = !answer.errors.is_empty() && answer.data == Value::Null;
        (Event::default().event("next").data(text), failed)
    });
    let end = stream::once(async { Event::default().event("complete").data("") });
    // A refusal is the last thing that is said before the end.
    let until_refused = next.scan(false, |has_failed, (event, failed)| {
        let was_over = std::mem::replace(has_failed, failed);
        std::future::ready((!was_over).then_some(event))
    });
    until_refused.chain(end)
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_who_accepts_events_gets_them() {
        for (accept, wanted) in [
            (None, false),
            (Some("*/*"), false),
            (Some("application/json"), false),
            (Some("text/event-stream"), true),
            (Some("Text/Event-Stream; q=1"), true),
            (Some("application/json, text/event-stream"), true),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(accept) = accept {
                headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
            }
            assert_eq!(are_wanted(&headers), wanted, "{accept:?}");
        }
    }
}
