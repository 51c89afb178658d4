//! Customers of the benchmark: their accounts are opened and filled through the gateway, as
//! everybody's are.

use std::time::Duration;

use futures_util::{StreamExt, TryStreamExt, stream};
use reqwest::Client;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::Error;

/// Passwords are hashed one or two at a time; more would only wait.
const AT_ONCE: usize = 8;
const TIMEOUT: Duration = Duration::from_secs(20);
/// The gateway may say *pending* or be busy.
const ATTEMPTS: usize = 10;
const RETRY_PAUSE: Duration = Duration::from_millis(500);
/// Of all customers; nobody else's.
pub const PASSWORD: &str = "a password of the benchmark";
/// Cents of the first deposit: enough for every run, and less than [`REFUSED_CENTS`].
pub const DEPOSIT_CENTS: i64 = 400_000_000;
/// Cents that may be asked for and that nobody here has.
pub const REFUSED_CENTS: i64 = 1_000_000_000;

const OPEN_ACCOUNT: &str = "mutation($input: OpenAccountInput!) { answer: openAccount(input: $input) { __typename \
    ... on SignedIn { sessionToken user { account { iban } } } } }";
const LOG_IN: &str = "mutation($input: LogInInput!) { answer: logIn(input: $input) { sessionToken \
    user { account { iban } } } }";
const DEPOSIT: &str =
    "mutation($input: DepositInput!) { answer: deposit(input: $input) { __typename } }";
const BALANCE: &str = "{ me { account { balance version } } }";

/// Somebody with an account.
#[derive(Clone, Debug)]
pub struct Customer {
    /// To sign in with, beside [`PASSWORD`].
    pub user_name: String,
    /// Of the account.
    pub iban: String,
    /// Signs requests.
    pub session: String,
}

/// Speaks HTTP with a gateway.
#[derive(Clone)]
pub struct Api {
    http: Client,
    url: String,
}

impl Api {
    /// Of the gateway at `page`, like `http://127.0.0.1:8181`.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(page: &str) -> Result<Api, Error> {
        let http = Client::builder()
            .no_proxy()
            .timeout(TIMEOUT)
            .tcp_nodelay(true)
            .build()
            .map_err(Error::http("prepare to speak HTTP"))?;
        Ok(Api {
            http,
            url: format!("{}/graphql", page.trim_end_matches('/')),
        })
    }

    /// Asks once; the answer is the whole GraphQL answer.
    ///
    /// # Errors
    /// When there is none.
    pub async fn ask(
        &self,
        session: Option<&str>,
        query: &str,
        variables: &Value,
    ) -> Result<Value, Error> {
        let body = json!({ "query": query, "variables": variables });
        let mut request = self.http.post(&self.url).json(&body);
        if let Some(session) = session {
            request = request.bearer_auth(session);
        }
        let answer = request.send().await;
        let answer = answer.map_err(Error::http("ask the gateway"))?;
        let answer = answer.json().await;
        answer.map_err(Error::http("understand the gateway"))
    }

    /// Opens `count` accounts, named after `name`, and pays a deposit into each.
    ///
    /// # Errors
    /// When one cannot be opened or filled.
    pub async fn open(&self, name: &str, count: usize) -> Result<Vec<Customer>, Error> {
        let opening = (0..count).map(|number| self.open_one(format!("{name}-{number}")));
        stream::iter(opening).buffered(AT_ONCE).try_collect().await
    }

    async fn open_one(&self, user_name: String) -> Result<Customer, Error> {
        let id = Uuid::new_v4();
        let opened = self
            .until(OPEN_ACCOUNT, None, || {
                json!({ "input": { "commandId": id, "userName": user_name, "password": PASSWORD, "bearer": true } })
            })
            .await;
        let opened = match opened {
            Ok(opened) => opened,
            // The account was opened, but we were not told: sign in.
            Err(_) => {
                let input = json!({ "input": { "userName": user_name, "password": PASSWORD, "bearer": true } });
                self.until(LOG_IN, None, || input.clone()).await?
            }
        };
        let text = |path: &str| {
            opened
                .pointer(path)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let (Some(iban), Some(session)) = (text("/user/account/iban"), text("/sessionToken"))
        else {
            return Err(Error::Wrong(format!("no account was opened: {opened}")));
        };
        let id = Uuid::new_v4();
        self.until(
            DEPOSIT,
            Some(&session),
            || json!({ "input": { "commandId": id, "amount": DEPOSIT_CENTS.to_string() } }),
        )
        .await?;
        Ok(Customer {
            user_name,
            iban,
            session,
        })
    }

    /// Asks until the answer is clear; the same command id each time.
    async fn until(
        &self,
        query: &str,
        session: Option<&str>,
        variables: impl Fn() -> Value,
    ) -> Result<Value, Error> {
        let mut last = Value::Null;
        for _ in 0..ATTEMPTS {
            if let Ok(answer) = self.ask(session, query, &variables()).await {
                let kind = answer["data"]["answer"]["__typename"]
                    .as_str()
                    .unwrap_or("SignedIn");
                let is_clear = matches!(kind, "SignedIn" | "PaymentConfirmed");
                if is_clear && answer["errors"].is_null() && !answer["data"]["answer"].is_null() {
                    return Ok(answer["data"]["answer"].clone());
                }
                last = answer;
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        Err(Error::Wrong(format!("the gateway does not do it: {last}")))
    }

    /// Balance in cents and version of each account, as the gateway tells them.
    ///
    /// # Errors
    /// When it does not.
    pub async fn balances(&self, customers: &[Customer]) -> Result<Vec<(i64, u64)>, Error> {
        let asking = customers.iter().map(|customer| async move {
            let answer = self
                .ask(Some(&customer.session), BALANCE, &Value::Null)
                .await?;
            let account = &answer["data"]["me"]["account"];
            let balance = account["balance"].as_str().and_then(|it| it.parse().ok());
            balance
                .zip(account["version"].as_u64())
                .ok_or_else(|| Error::Wrong(format!("no balance of {}: {answer}", customer.iban)))
        });
        stream::iter(asking).buffered(AT_ONCE).try_collect().await
    }
}
