//! Short questions to services that may be away, slow or talkative.

use std::time::Duration;

use serde::de::DeserializeOwned;

/// Longest wait for an answer.
const ANSWER_WAIT: Duration = Duration::from_millis(800);
/// Bytes of an answer.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Status and body of an answer.
pub(super) struct Answer {
    pub(super) is_success: bool,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// For all questions of one stretch of attention.
pub(super) fn client() -> Option<reqwest::Client> {
    topology::tls::trusting(reqwest::Client::builder())
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .pool_max_idle_per_host(1)
        .timeout(ANSWER_WAIT)
        .build()
        .ok()
}

/// What stands at an address; `None` when it does not answer in time, or says too much.
pub(super) async fn get(client: &reqwest::Client, url: &str) -> Option<Answer> {
    let mut response = client.get(url).send().await.ok()?;
    let is_success = response.status().is_success();
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > ANSWER_BYTES_MAX {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(Answer { is_success, body })
}
