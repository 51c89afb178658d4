//! The pace-maker's knob: how fast the simulated public gives commands.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::warn;

use crate::answer::{Code, Refusal};

/// Longest wait for the pace-maker.
const ANSWER_WAIT: Duration = Duration::from_secs(2);

/// What the pace-maker says and is told.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Rate {
    heartbeats_per_second: u32,
}

/// The way to the pace-maker, where there is one.
#[derive(Clone)]
pub struct PaceMaker {
    url: Option<String>,
}

impl PaceMaker {
    /// At its operations address; without one, every question is refused.
    #[must_use]
    pub fn at(address: Option<String>) -> PaceMaker {
        PaceMaker {
            url: address.map(|address| format!("http://{address}/rate")),
        }
    }

    /// Heartbeats a second.
    ///
    /// # Errors
    /// UNAVAILABLE when it does not answer.
    pub async fn rate(&self) -> Result<u32, Refusal> {
        let answer = self.ask(|client, url| client.get(url)).await?;
        match answer.json::<Rate>().await {
            Ok(rate) => Ok(rate.heartbeats_per_second),
            Err(error) => Err(away(&error)),
        }
    }

    /// The same, asked by a client that is there anyway; `None` when it does not answer.
    pub async fn rate_by(&self, client: &reqwest::Client) -> Option<u32> {
        let answer = client.get(self.url.as_deref()?).send().await.ok()?;
        Some(answer.json::<Rate>().await.ok()?.heartbeats_per_second)
    }

    /// Sets it.
    ///
    /// # Errors
    /// VALIDATION for a rate it does not take, UNAVAILABLE when it does not answer.
    pub async fn set_rate(&self, heartbeats_per_second: u32) -> Result<u32, Refusal> {
        let rate = Rate {
            heartbeats_per_second,
        };
        let answer = self.ask(|client, url| client.put(url).json(&rate)).await?;
        if answer.status().is_client_error() {
            return Err(Refusal::validation("the pace-maker does not go so fast"));
        }
        Ok(heartbeats_per_second)
    }

    async fn ask(
        &self,
        request: impl FnOnce(&reqwest::Client, &str) -> reqwest::RequestBuilder,
    ) -> Result<reqwest::Response, Refusal> {
        let url = self.url.as_deref().ok_or_else(|| {
            Refusal::new(Code::Unavailable, "this gateway knows of no pace-maker")
        })?;
        // Asked for rarely: a client that is kept would be memory that nobody uses.
        let client = reqwest::Client::builder().no_proxy().timeout(ANSWER_WAIT);
        let client = client.build().map_err(|error| away(&error))?;
        let answer = request(&client, url).send().await;
        answer.map_err(|error| away(&error))
    }
}

fn away(error: &reqwest::Error) -> Refusal {
    warn!(%error, "the pace-maker does not answer");
    Refusal::new(Code::Unavailable, "the pace-maker does not answer")
}
