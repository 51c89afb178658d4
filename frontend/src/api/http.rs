//! Queries and commands over HTTP.

use futures_util::{FutureExt, select};
use gloo_net::http::Request;
use gloo_timers::future::TimeoutFuture;
use serde_json::Value;

use super::{
    operations::Operation,
    response::{self, ApiError},
};
use crate::readable::Readable;

const ENDPOINT: &str = "/graphql";
/// Longer than the gateway waits for an outcome.
const DEADLINE_MS: u32 = 20_000;

/// Sends an operation and reads its answer.
///
/// # Errors
/// When the gateway is not reached in time, or says no.
pub(crate) async fn send<Answer: Readable>(operation: &Operation) -> Result<Answer, ApiError> {
    response::read(&exchange(operation.request()).await?)
}

/// Not generic, so that it is there once and not once for each kind of answer.
async fn exchange(request: Value) -> Result<Value, ApiError> {
    select! {
        response = post(request).fuse() => response,
        () = TimeoutFuture::new(DEADLINE_MS).fuse() => Err(ApiError::Unreachable),
    }
}

async fn post(request: Value) -> Result<Value, ApiError> {
    let request = Request::post(ENDPOINT)
        .json(&request)
        .map_err(|error| ApiError::Malformed(error.to_string()))?;
    let response = request.send().await.map_err(|_| ApiError::Unreachable)?;
    let text = response.text().await.map_err(|_| ApiError::Unreachable)?;
    // A refusal may come with any HTTP status; what counts is whether it is GraphQL.
    response::parse(&text)
}
