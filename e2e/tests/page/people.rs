//! Customers of the bank, as the gateway knows them: what a test compares the page with.

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::{Value, json};

use e2e::browser::Browser;

pub(crate) const COMPANY_IBAN: &str = "NL66OPEN0000000000";
pub(crate) const PASSWORD: &str = "correct horse battery";

/// A customer with an account, and a session of their own beside the browser's.
pub(crate) struct Customer {
    pub(crate) user_name: String,
    pub(crate) iban: String,
    page: String,
    http: reqwest::Client,
}

impl Customer {
    /// Opens an account with so much on it.
    pub(crate) async fn with(page: &str, cents: i64) -> Result<Customer> {
        let mut customer = Customer {
            user_name: format!("p-{}", &uuid::Uuid::new_v4().simple().to_string()[..23]),
            iban: String::new(),
            page: page.to_owned(),
            http: reqwest::Client::builder().cookie_store(true).build()?,
        };
        let opened = customer
            .data(
                "mutation($input: OpenAccountInput!) { openAccount(input: $input) { \
                 __typename ... on SignedIn { user { account { iban } } } } }",
                json!({ "input": { "commandId": uuid::Uuid::new_v4(), "userName": customer.user_name, "password": PASSWORD } }),
            )
            .await?;
        let iban = &opened["openAccount"]["user"]["account"]["iban"];
        customer.iban = iban
            .as_str()
            .with_context(|| opened.to_string())?
            .to_owned();
        if cents > 0 {
            customer.deposit(cents).await?;
        }
        Ok(customer)
    }

    /// Puts cash into the account.
    pub(crate) async fn deposit(&self, cents: i64) -> Result<()> {
        let input = json!({ "commandId": uuid::Uuid::new_v4(), "amount": cents.to_string() });
        let answer = self
            .data(
                "mutation($input: DepositInput!) { deposit(input: $input) { __typename } }",
                json!({ "input": input }),
            )
            .await?;
        ensure!(
            answer["deposit"]["__typename"] == "PaymentConfirmed",
            "{answer}"
        );
        Ok(())
    }

    /// Pays from elsewhere than the browser.
    pub(crate) async fn pay(&self, to: &str, cents: i64, description: &str) -> Result<()> {
        let input = json!({
            "commandId": uuid::Uuid::new_v4(), "to": to, "amount": cents.to_string(), "description": description,
        });
        let answer = self
            .data(
                "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }",
                json!({ "input": input }),
            )
            .await?;
        ensure!(
            answer["transfer"]["__typename"] == "PaymentConfirmed",
            "{answer}"
        );
        Ok(())
    }

    /// The newest changes the bank has booked, newest first.
    pub(crate) async fn changes(&self) -> Result<Vec<i64>> {
        let answer = self
            .data(
                "query($iban: Iban!) { transactions(iban: $iban, first: 100) { nodes { changedBy } } }",
                json!({ "iban": self.iban }),
            )
            .await?;
        let nodes = answer["transactions"]["nodes"]
            .as_array()
            .context("no nodes")?;
        let cents = |node: &Value| {
            node["changedBy"]
                .as_str()
                .and_then(|cents| cents.parse().ok())
        };
        nodes
            .iter()
            .map(|node| cents(node).context("no cents"))
            .collect()
    }

    /// Waits until the bank has booked exactly these changes, newest first.
    pub(crate) async fn has_booked(&self, changes: &[i64]) -> Result<()> {
        eventually(&format!("booked {changes:?}"), PATIENCE, async || {
            let booked = self.changes().await?;
            ensure!(booked == changes, "{booked:?}");
            Ok(())
        })
        .await
    }

    /// Signs in with the browser, at the page as it is reached there.
    pub(crate) async fn enter(&self, browser: &Browser, page: &str) -> Result<()> {
        browser.go(&format!("{page}/client")).await?;
        browser.sign_in(&self.user_name, PASSWORD).await?;
        browser.find("#own-iban").await?;
        browser.find("#balance").await.map(drop)
    }

    /// Sends a GraphQL operation that must give data.
    pub(crate) async fn data(&self, query: &str, variables: Value) -> Result<Value> {
        let answer: Value = self
            .http
            .post(format!("{}/graphql", self.page))
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?
            .json()
            .await?;
        ensure!(!answer["errors"].is_array(), "{answer}");
        Ok(answer["data"].clone())
    }
}
