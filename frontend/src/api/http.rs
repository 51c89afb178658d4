//! Queries and commands over HTTP.

use futures_util::{FutureExt, select};
use gloo_net::http::Request;
use gloo_timers::future::TimeoutFuture;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::operations::{ApiError, Operation, Response};

const ENDPOINT: &str = "/graphql";
/// Longer than the gateway waits for an outcome.
const DEADLINE_MS: u32 = 20_000;

/// Sends an operation and reads its answer.
///
/// # Errors
/// When the gateway is not reached in time, or says no.
pub(crate) async fn send<Answer: DeserializeOwned>(
    operation: &Operation,
) -> Result<Answer, ApiError> {
    select! {
        answer = exchange(operation).fuse() => answer,
        () = TimeoutFuture::new(DEADLINE_MS).fuse() => Err(ApiError::Unreachable),
    }
}

async fn exchange<Answer: DeserializeOwned>(operation: &Operation) -> Result<Answer, ApiError> {
    let body = json!({ "query": operation.query, "operationName": operation.name(), "variables": operation.variables });
    let request = Request::post(ENDPOINT)
        .json(&body)
        .map_err(|error| ApiError::Malformed(error.to_string()))?;
    let response = request.send().await.map_err(|_| ApiError::Unreachable)?;
    let text = response.text().await.map_err(|_| ApiError::Unreachable)?;
    // A refusal may come with any HTTP status; what counts is whether it is GraphQL.
    let read: Response<Answer> =
        serde_json::from_str(&text).map_err(|error| ApiError::Malformed(error.to_string()))?;
    read.into_result()
}
