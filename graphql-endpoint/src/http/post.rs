//! `POST /graphql`: one operation as JSON, one answer as JSON.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use async_graphql::Response as GraphQlResponse;
use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::{Shared, caller, events, origin};
use crate::answer::{Code, Refusal};
use crate::graphql::{classify, operation, prepare, refused};
use crate::steps::Step;

/// How long an operation may take; a payment waits five seconds for its outcome.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(15);

pub(super) async fn answer(
    State(shared): State<Shared>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    request: Request,
) -> Response {
    if !origin::is_ours(request.headers(), &shared.gateway.host_names) {
        let refusal = Refusal::new(
            Code::Forbidden,
            "this origin may not use the API; a name of ours belongs into BANK_HOST_NAMES",
        );
        return refuse(StatusCode::FORBIDDEN, refusal);
    }
    if !is_json(request.headers()) {
        let refusal = Refusal::new(Code::BadRequest, "send application/json");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal);
    }
    if !is_plain(request.headers()) {
        let refusal = Refusal::new(Code::BadRequest, "send the body as it is, not compressed");
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, refusal);
    }
    let caller = caller(request.headers(), address.ip());
    let are_events_wanted = events::are_wanted(request.headers());
    let body = tokio::time::timeout(
        shared.gateway.limits.body_wait,
        Bytes::from_request(request, &()),
    )
    .await;
    let bytes = match body {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) if error.status() == StatusCode::PAYLOAD_TOO_LARGE => {
            let refusal = Refusal::new(Code::TooLarge, "the body is too large");
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, refusal);
        }
        Ok(Err(_)) => {
            let refusal = Refusal::new(Code::BadRequest, "the body could not be read");
            return refuse(StatusCode::BAD_REQUEST, refusal);
        }
        Err(_) => {
            let refusal = Refusal::new(Code::BadRequest, "the body came too slowly");
            return refuse(StatusCode::REQUEST_TIMEOUT, refusal);
        }
    };
    let operation = match operation::read(&bytes) {
        Ok(operation) => operation,
        Err(refusal) => return refuse(StatusCode::BAD_REQUEST, refusal),
    };
    let request = operation.into_request();
    let prepared =
        request.and_then(|request| prepare(&shared.schema, request, caller, &shared.gateway));
    let prepared = match prepared {
        Ok(prepared) if prepared.checked().is_subscription && are_events_wanted => {
            return events::answer(shared, address.ip(), prepared);
        }
        Ok(prepared) if prepared.checked().is_subscription => {
            let refusal = Refusal::new(
                Code::BadRequest,
                "subscriptions are answered on the WebSocket at /graphql-ws, or as text/event-stream",
            );
            return refuse(StatusCode::BAD_REQUEST, refusal);
        }
        Ok(prepared) => prepared,
        Err(refusal) => return refuse(StatusCode::OK, refusal),
    };
    let is_mutation = prepared.checked().is_mutation;
    let begun_at = Instant::now();
    // On its own: a client that goes away must not cut a command in two.
    let schema = shared.schema.clone();
    let executed = tokio::spawn(async move { schema.execute(prepared).await });
    let mut response = match tokio::time::timeout(OPERATION_TIMEOUT, executed).await {
        Ok(Ok(response)) => response,
        Ok(Err(ended)) => refused(Refusal::internal(&ended)),
        Err(_) => refused(Refusal::new(
            Code::Unavailable,
            "the answer takes too long; ask for the command later",
        )),
    };
    if is_mutation && let Err(interrupted) = shared.gateway.steps.pass(Step::Answering) {
        response = refused(interrupted.into());
    }
    shared
        .gateway
        .figures
        .answered(is_mutation, begun_at.elapsed());
    classify(&mut response);
    respond(StatusCode::OK, response)
}

/// A body that had to be inflated could be any size.
fn is_plain(headers: &HeaderMap) -> bool {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    encodings.into_iter().all(|encoding| encoding == "identity")
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(content_type) = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
    else {
        return false;
    };
    let mut parts = content_type.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    is_json
        && parts.all(|parameter| {
            parameter.is_empty()
                || parameter.split_once('=').is_some_and(|(name, value)| {
                    !name.trim().eq_ignore_ascii_case("charset")
                        || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
                })
        })
}

fn refuse(status: StatusCode, refusal: Refusal) -> Response {
    let mut response = refused(refusal);
    classify(&mut response);
    respond(status, response)
}

fn respond(status: StatusCode, response: GraphQlResponse) -> Response {
    let bytes = serde_json::to_vec(&response).unwrap_or_default();
    let mut answer = (status, bytes).into_response();
    let headers = answer.headers_mut();
    for (name, value) in &response.http_headers {
        headers.append(name, value.clone());
    }
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_json_in_utf8_is_read() {
        for (content_type, read) in [
            (None, false),
            (Some("application/json"), true),
            (Some("Application/JSON; charset=utf-8"), true),
            (Some("application/json; charset=\"UTF-8\""), true),
            (Some("application/json; charset=utf-16"), false),
            (Some("text/plain"), false),
            (Some("application/x-www-form-urlencoded"), false),
            (Some("multipart/form-data; boundary=x"), false),
            (Some("application/graphql"), false),
            (Some("application/jsonp"), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(content_type) = content_type {
                headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
            }
            assert_eq!(is_json(&headers), read, "{content_type:?}");
        }
    }
}
