//! Tests that belong to no single service: a whole bank of its own for each, driven from
//! outside, as its users do it.
//!
//! Each test starts a bank in a directory of its own with `bank up --detach`, and stops it
//! at its end, also when it fails. They run one after the other: two banks on two cores
//! would only measure each other.

pub mod browser;
pub mod log;

use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

/// Longest wait for anything to become true.
pub const PATIENCE: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(50);

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// A running bank.
pub struct Bank {
    name: String,
    directory: PathBuf,
    /// Address of the page, without a slash at its end.
    pub page: String,
    /// `host:port`.
    pub kafka: String,
    /// Base of the Confluent API.
    pub schema_registry: String,
    /// Talks HTTP, keeps the session cookie.
    pub http: reqwest::Client,
    _alone: MutexGuard<'static, ()>,
}

/// The folder of the built programs: tests lie in its folder `deps`.
fn programs() -> Result<PathBuf> {
    let test = std::env::current_exe()?;
    let folder = test.ancestors().nth(2).context("a test has a folder")?;
    Ok(folder.to_owned())
}

impl Bank {
    /// Starts a bank under the name of its test.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn start(name: &str) -> Result<Bank> {
        let alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = programs()?
            .join("e2e")
            .join(format!("{name}-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let mut bank = Bank {
            name: name.to_owned(),
            directory,
            page: format!("http://127.0.0.1:{port}"),
            kafka: String::new(),
            schema_registry: String::new(),
            http: reqwest::Client::builder().cookie_store(true).build()?,
            _alone: alone,
        };
        bank.succeed(&["up", "--detach", "--port", &port.to_string()])?;
        let addresses = bank.status()?["addresses"].clone();
        let address = |name: &str| {
            let text = addresses[name].as_str();
            text.map(str::to_owned)
                .with_context(|| format!("no address of {name} in {addresses}"))
        };
        bank.kafka = address("kafka")?;
        bank.schema_registry = address("schema_registry")?;
        Ok(bank)
    }

    /// Runs a command of the command line.
    ///
    /// # Errors
    /// When it cannot be run at all.
    pub fn run(&self, arguments: &[&str]) -> Result<Output> {
        Command::new(programs()?.join("bank"))
            .arg("--directory")
            .arg(&self.directory)
            .args(arguments)
            .env_remove("BANK_TEST_CLUSTER")
            .env_remove("BANK_TEST_PYTHON")
            .output()
            .context("cannot run bank")
    }

    /// Runs a command that must succeed; returns what it printed.
    ///
    /// # Errors
    /// When it does not.
    pub fn succeed(&self, arguments: &[&str]) -> Result<String> {
        let output = self.run(arguments)?;
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(
            output.status.success(),
            "bank {arguments:?}: {}\n{printed}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(printed)
    }

    /// What `bank status --json` says, ready or not.
    ///
    /// # Errors
    /// When it prints no JSON.
    pub fn status(&self) -> Result<Value> {
        let output = self.run(&["status", "--json"])?;
        serde_json::from_slice(&output.stdout)
            .with_context(|| format!("no JSON: {}", String::from_utf8_lossy(&output.stdout)))
    }

    /// The row of a service in the status.
    ///
    /// # Errors
    /// When there is none.
    pub fn service(&self, name: &str) -> Result<Value> {
        let status = self.status()?;
        let rows = status["services"].as_array().cloned().unwrap_or_default();
        rows.into_iter()
            .find(|row| row["name"] == name)
            .with_context(|| format!("no service {name} in {status}"))
    }

    /// Answers to transfers in their topic so far.
    ///
    /// # Errors
    /// When the status does not tell.
    pub fn answers(&self) -> Result<u64> {
        let status = self.status()?;
        let topics = status["topics"].as_array().context("no topics")?;
        topics
            .iter()
            .find(|row| row["name"] == "money_transfer_feedback")
            .and_then(|row| row["records"].as_u64())
            .with_context(|| format!("no count of answers in {status}"))
    }

    /// Where the bank keeps everything.
    #[must_use]
    pub fn directory(&self) -> &std::path::Path {
        &self.directory
    }

    /// A connection to one of the bank's databases, as its owner.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub async fn database(&self, name: &str) -> Result<tokio_postgres::Client> {
        let address = self.status()?["addresses"]["postgres"].clone();
        let address = address.as_str().context("no address of postgres")?;
        let password = std::fs::read_to_string(
            self.directory
                .join("secrets")
                .join(format!("{name}.password")),
        )?;
        let url = format!("postgres://{name}:{}@{address}/{name}", password.trim());
        let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Sends a GraphQL operation with the session of [`Bank::http`].
    ///
    /// # Errors
    /// When the answer is no GraphQL answer.
    pub async fn graphql(&self, query: &str, variables: Value) -> Result<Value> {
        let answer = self
            .http
            .post(format!("{}/graphql", self.page))
            .json(&json!({ "query": query, "variables": variables }))
            .send()
            .await?;
        let status = answer.status();
        let text = answer.text().await?;
        serde_json::from_str(&text).with_context(|| format!("{status}: {text}"))
    }

    /// Sends a GraphQL operation that must give data.
    ///
    /// # Errors
    /// When it gives errors.
    pub async fn data(&self, query: &str, variables: Value) -> Result<Value> {
        let answer = self.graphql(query, variables).await?;
        if answer["errors"].is_array() {
            bail!("{answer}");
        }
        Ok(answer["data"].clone())
    }

    /// Opens an account for a new customer, signed in afterwards; returns its IBAN.
    ///
    /// # Errors
    /// When it is not opened at once.
    pub async fn open_account(&self, user_name: &str) -> Result<String> {
        let opened = self
            .data(
                "mutation($input: OpenAccountInput!) { openAccount(input: $input) { \
                 __typename ... on SignedIn { user { account { iban } } } } }",
                json!({ "input": {
                    "commandId": uuid::Uuid::new_v4(),
                    "userName": user_name,
                    "password": "a-long-password",
                } }),
            )
            .await?;
        let iban = &opened["openAccount"]["user"]["account"]["iban"];
        iban.as_str()
            .map(str::to_owned)
            .with_context(|| format!("no account: {opened}"))
    }

    /// Reads every record with an independent client; see `python/read_topics.py`.
    ///
    /// # Errors
    /// When Python or one of its packages is missing, or it fails.
    pub fn read_topics(&self) -> Result<Value> {
        let python = std::env::var("BANK_TEST_PYTHON")
            .context("BANK_TEST_PYTHON is not set; run the tests with `cargo bank test`")?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/read_topics.py");
        let output = Command::new(python)
            .args([script, &self.kafka, &self.schema_registry])
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    /// Waits until no consumer lags and nothing is owed.
    ///
    /// # Errors
    /// When that does not come within the time.
    pub async fn wait_until_quiet(&self, patience: Duration) -> Result<()> {
        eventually("all lags are 0", patience, async || {
            let status = self.status()?;
            let lags = status["consumer_lag"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let lagging: Vec<_> = lags.iter().filter(|row| row["lag"] != 0).collect();
            ensure!(!lags.is_empty() && lagging.is_empty(), "{lagging:?}");
            let owed: i64 = self
                .database("command_handler")
                .await?
                .query_one("select count(*) from emission_debt", &[])
                .await?
                .get(0);
            ensure!(owed == 0, "{owed} debts");
            Ok(())
        })
        .await
    }

    /// Checks that the books and the topics agree; returns the number of commands.
    ///
    /// # Errors
    /// With every finding.
    pub async fn check_invariants(&self) -> Result<u64> {
        let read = self.read_topics()?;
        ensure!(read["undecodable"] == json!([]), "{}", read["undecodable"]);
        ensure!(read["findings"] == json!([]), "{}", read["findings"]);
        let books = self.database("command_handler").await?;
        let sum: Option<i64> = books
            .query_one("select sum(delta_cents)::bigint from ledger_entry", &[])
            .await?
            .get(0);
        ensure!(sum == Some(0), "the ledger sums to {sum:?}");
        let unbalanced: i64 = books
            .query_one(
                "select count(*) from (select command_id from ledger_entry group by command_id \
                 having count(*) <> 2 or sum(delta_cents) <> 0) as wrong",
                &[],
            )
            .await?
            .get(0);
        ensure!(
            unbalanced == 0,
            "{unbalanced} commands are not two entries of sum 0"
        );
        let outcomes: i64 = books
            .query_one("select count(*) from outcome where kind <> 'opening'", &[])
            .await?
            .get(0);
        let commands = read["commands"].as_u64().unwrap_or_default();
        ensure!(
            u64::try_from(outcomes)? == commands,
            "{outcomes} outcomes of {commands} commands"
        );
        self.compare_balances("the books", &books, "account", &read["balances"])
            .await?;
        let views = self.database("graphql_endpoint").await?;
        self.compare_balances("the read model", &views, "account", &read["balances"])
            .await?;
        Ok(commands)
    }

    async fn compare_balances(
        &self,
        what: &str,
        database: &tokio_postgres::Client,
        table: &str,
        folded: &Value,
    ) -> Result<()> {
        let rows = database
            .query(
                &format!("select iban, balance_cents, version from {table} where version > 0"),
                &[],
            )
            .await?;
        let folds = folded.as_object().map_or(0, serde_json::Map::len);
        ensure!(
            rows.len() == folds,
            "{what}: {} of {folds} accounts",
            rows.len()
        );
        for row in rows {
            let iban: String = row.get(0);
            let stands = json!({
                "balance_cents": row.get::<_, i64>(1),
                "version": row.get::<_, i64>(2),
            });
            ensure!(
                folded[&iban] == stands,
                "{what}: {iban} {stands}, folded {}",
                folded[&iban]
            );
        }
        Ok(())
    }
}

impl Drop for Bank {
    fn drop(&mut self) {
        let stopped = self
            .run(&["down"])
            .is_ok_and(|output| output.status.success());
        if stopped && !std::thread::panicking() {
            // What a passing test leaves behind is of no use to anyone.
            let _ = std::fs::remove_dir_all(&self.directory);
        } else {
            tracing_hint(&self.name, &self.directory);
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "tells the reader of a failed test where to look"
)]
fn tracing_hint(name: &str, directory: &std::path::Path) {
    eprintln!(
        "the logs of {name} are in {}",
        directory.join("logs").display()
    );
}

/// Asks again and again until a condition holds.
///
/// # Errors
/// With the last reason why it does not, when the time is over.
pub async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Result<T>,
) -> Result<T> {
    let deadline = Instant::now() + patience;
    loop {
        match condition().await {
            Ok(value) => return Ok(value),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("not within {patience:?}: {what}")));
            }
            Err(_) => tokio::time::sleep(POLL_INTERVAL).await,
        }
    }
}
