//! Speaking GraphQL to a gateway, and what its answers mean for somebody who must not guess.

use std::{net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use crate::error::LabError;

/// To connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// For an answer: the gateway itself says *pending* after five seconds.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);

const OPEN_ACCOUNT: &str = "mutation($input: OpenAccountInput!) { answer: openAccount(input: $input) { __typename \
    ... on SignedIn { sessionToken user { account { iban } } } ... on CommandRejected { reason } } }";
const DEPOSIT: &str = "mutation($input: DepositInput!) { answer: deposit(input: $input) { __typename \
    ... on CommandRejected { reason } } }";
const TRANSFER: &str = "mutation($input: TransferInput!) { answer: transfer(input: $input) { __typename \
    ... on CommandRejected { reason } } }";

/// What a client knows after an attempt.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// Yes; with what was asked for.
    Confirmed(Value),
    /// No, and nothing was done.
    Rejected(String),
    /// Not known: the same again.
    Unclear(String),
    /// An answer that nothing the lab does may bring about.
    Wrong(String),
}

/// What can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Opens an account and signs in.
    OpenAccount,
    /// Cash into one's own account.
    Deposit,
    /// Pays somebody.
    Transfer,
}

impl Question {
    fn query(self) -> &'static str {
        match self {
            Question::OpenAccount => OPEN_ACCOUNT,
            Question::Deposit => DEPOSIT,
            Question::Transfer => TRANSFER,
        }
    }
}

/// A client of gateways.
#[derive(Clone, Debug)]
pub struct Api {
    http: reqwest::Client,
}

impl Api {
    /// A client with its own connections.
    ///
    /// # Errors
    /// When the machine does not let it.
    pub fn new() -> Result<Api, LabError> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(ANSWER_TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(LabError::http("a client"))?;
        Ok(Api { http })
    }

    /// Asks a gateway once.
    pub async fn ask(
        &self,
        gateway: SocketAddr,
        session: Option<&str>,
        question: Question,
        input: &Value,
    ) -> Answer {
        let query = question.query();
        let mut request = self
            .http
            .post(format!("http://{gateway}/graphql"))
            .json(&json!({ "query": query, "variables": { "input": input } }));
        if let Some(session) = session {
            request = request.bearer_auth(session);
        }
        let answered = async {
            let answer = request.send().await?;
            let status = answer.status();
            Ok::<_, reqwest::Error>((status, answer.bytes().await?))
        };
        match answered.await {
            Err(error) => Answer::Unclear(error.without_url().to_string()),
            Ok((status, body)) => match serde_json::from_slice(&body) {
                Ok(body) => judge(&body),
                Err(_) => Answer::Unclear(format!("{status} without an answer")),
            },
        }
    }
}

/// What an answer in JSON means.
fn judge(body: &Value) -> Answer {
    if let Some(error) = body.pointer("/errors/0") {
        let code = error.pointer("/extensions/code").and_then(Value::as_str);
        return match code {
            Some("UNAVAILABLE" | "RATE_LIMITED" | "INTERNAL") => Answer::Unclear(error.to_string()),
            _ => Answer::Wrong(error.to_string()),
        };
    }
    let answer = &body["data"]["answer"];
    match answer["__typename"].as_str() {
        Some("PaymentConfirmed" | "SignedIn") => Answer::Confirmed(answer.clone()),
        Some("CommandRejected") => {
            Answer::Rejected(answer["reason"].as_str().unwrap_or_default().to_owned())
        }
        Some("CommandPending") => Answer::Unclear("pending".to_owned()),
        _ => Answer::Wrong(body.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_answer_when_judged_then_only_a_clear_one_is_taken_for_one() {
        let error = |code: &str| json!({ "errors": [{ "extensions": { "code": code } }] });
        let answer = |name: &str| json!({ "data": { "answer": { "__typename": name } } });
        for code in ["UNAVAILABLE", "RATE_LIMITED"] {
            assert!(matches!(judge(&error(code)), Answer::Unclear(_)), "{code}");
        }
        for code in ["CONFLICT", "UNAUTHENTICATED", "VALIDATION"] {
            assert!(matches!(judge(&error(code)), Answer::Wrong(_)), "{code}");
        }
        assert!(matches!(
            judge(&answer("CommandPending")),
            Answer::Unclear(_)
        ));
        assert!(matches!(
            judge(&answer("PaymentConfirmed")),
            Answer::Confirmed(_)
        ));
        assert!(matches!(
            judge(&answer("CommandRejected")),
            Answer::Rejected(_)
        ));
        assert!(matches!(judge(&json!({ "data": null })), Answer::Wrong(_)));
    }
}
