//! Two gateways behind one read model, one of them killed every five seconds: customers pay
//! and follow their accounts through whichever is there, and each sees everything once.
//!
//! A quarter of a minute; a whole one with `BANK_TEST_FULL=1`.

use std::collections::BTreeMap;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::{Bank, PATIENCE, eventually};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use uuid::Uuid;

const CUSTOMERS: usize = 4;
/// Between two kills.
const KILL_INTERVAL: Duration = Duration::from_secs(5);
const KILLS: u32 = 3;
const KILLS_FULL: u32 = 12;
/// Between two payments of a customer.
const PAYMENT_INTERVAL: Duration = Duration::from_millis(100);
/// Longest wait for an answer or a change before the other gateway is tried.
const ANSWER_WAIT: Duration = Duration::from_secs(6);
/// Pause before the other gateway is tried.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// What the second gateway is told otherwise than the first.
const OWN_ADDRESSES: [&str; 2] = ["BANK_LISTEN_ADDRESS", "BANK_OPERATIONS_ADDRESS"];

const PAY: &str = "mutation ($id: CommandId!) {
    deposit(input: { commandId: $id, amount: 1 }) { __typename } }";
const FOLLOW: &str = "subscription ($iban: Iban!, $after: String) {
    transactions(iban: $iban, after: $after) { version commandId cursor } }";

/// Everything of the first gateway's environment but its addresses.
fn environment(pid: &str) -> Result<BTreeMap<String, String>> {
    let bytes = std::fs::read(format!("/proc/{pid}/environ"))?;
    let text = String::from_utf8(bytes).context("a variable is no UTF-8")?;
    let all = text.split('\0').filter_map(|line| line.split_once('='));
    Ok(all
        .filter(|(name, _)| !OWN_ADDRESSES.contains(name))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect())
}

/// A gateway beside the bank's own.
struct Second {
    environment: BTreeMap<String, String>,
    program: std::path::PathBuf,
    address: String,
    child: Option<Child>,
}

impl Second {
    fn start(&mut self) -> Result<()> {
        self.kill()?;
        let child = Command::new(&self.program)
            .env_clear()
            .envs(&self.environment)
            .env("BANK_LISTEN_ADDRESS", &self.address)
            .env("BANK_OPERATIONS_ADDRESS", "127.0.0.1:0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run the second gateway")?;
        self.child = Some(child);
        Ok(())
    }

    fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Second {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.kill();
    }
}

/// A customer, signed in at both gateways.
#[derive(Clone)]
struct Customer {
    gateways: [String; 2],
    http: reqwest::Client,
    session: String,
    iban: String,
}

async fn ask(
    http: &reqwest::Client,
    gateway: &str,
    session: Option<&str>,
    body: &Value,
) -> Result<Value> {
    let mut request = http.post(format!("http://{gateway}/graphql")).json(body);
    if let Some(session) = session {
        request = request.bearer_auth(session);
    }
    Ok(request.send().await?.json().await?)
}

impl Customer {
    async fn open(gateways: [String; 2], name: &str) -> Result<Customer> {
        let http = reqwest::Client::builder().timeout(ANSWER_WAIT).build()?;
        let query = "mutation ($id: CommandId!, $name: String!) {
            openAccount(input: { commandId: $id, userName: $name, bearer: true,
                                 password: \"a long enough secret\" }) {
                ... on SignedIn { sessionToken user { account { iban } } } } }";
        let body = json!({ "query": query, "variables": { "id": Uuid::new_v4(), "name": name } });
        let mut opened = None;
        eventually("the account is open", PATIENCE, async || {
            let answer = ask(&http, &gateways[0], None, &body).await?;
            let text = |value: &Value| value.as_str().map(str::to_owned);
            let signed_in = &answer["data"]["openAccount"];
            let session = text(&signed_in["sessionToken"]);
            let iban = text(&signed_in["user"]["account"]["iban"]);
            ensure!(session.is_some() && iban.is_some(), "{answer}");
            Ok(())
        })
        .await?;
        let answer = ask(&http, &gateways[0], None, &body).await?;
        let signed_in = &answer["data"]["openAccount"];
        if let (Some(session), Some(iban)) = (
            signed_in["sessionToken"].as_str(),
            signed_in["user"]["account"]["iban"].as_str(),
        ) {
            opened = Some((session.to_owned(), iban.to_owned()));
        }
        let (session, iban) = opened.context("no session")?;
        Ok(Customer {
            gateways,
            http,
            session,
            iban,
        })
    }

    /// Pays until told to stop; each payment until it has its answer. Returns the commands.
    async fn pay(self, stop: Arc<AtomicBool>) -> Result<Vec<String>> {
        let mut pace = interval(PAYMENT_INTERVAL);
        let mut paid = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            pace.tick().await;
            let id = Uuid::new_v4().to_string();
            let body = json!({ "query": PAY, "variables": { "id": id } });
            let deadline = Instant::now() + PATIENCE;
            for gateway in self.gateways.iter().cycle() {
                let answer = ask(&self.http, gateway, Some(&self.session), &body).await;
                let answer = answer.unwrap_or_default();
                match answer["data"]["deposit"]["__typename"].as_str() {
                    Some("PaymentConfirmed") => break,
                    Some("CommandRejected") => bail!("{answer}"),
                    _ => {}
                }
                ensure!(Instant::now() < deadline, "{id} has no answer: {answer}");
                sleep(RETRY_PAUSE).await;
            }
            paid.push(id);
        }
        Ok(paid)
    }

    /// Follows the account, at the other gateway whenever one is gone, until `wanted` says
    /// that all is seen. Returns version and command of each change.
    async fn follow(
        self,
        wanted: tokio::sync::watch::Receiver<Option<usize>>,
    ) -> Result<Vec<(i64, String)>> {
        let mut seen: Vec<(i64, String)> = Vec::new();
        let mut after = "0".to_owned();
        let deadline = Instant::now() + 4 * PATIENCE;
        let is_over = |seen: &[_]| wanted.borrow().is_some_and(|count| seen.len() >= count);
        for gateway in self.gateways.iter().cycle() {
            ensure!(Instant::now() < deadline, "saw only {}", seen.len());
            // A gateway that is gone, or going, is left for the other one.
            let _ = self
                .follow_at(gateway, &mut after, &mut seen, &is_over)
                .await;
            if is_over(&seen) {
                break;
            }
            sleep(RETRY_PAUSE).await;
        }
        Ok(seen)
    }

    async fn follow_at(
        &self,
        gateway: &str,
        after: &mut String,
        seen: &mut Vec<(i64, String)>,
        is_over: &impl Fn(&[(i64, String)]) -> bool,
    ) -> Result<()> {
        let uri = format!("ws://{gateway}/graphql-ws").parse()?;
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("graphql-transport-ws");
        let (mut socket, _) = tokio_tungstenite::connect_async(request).await?;
        let session = format!("Bearer {}", self.session);
        let hello = json!({ "type": "connection_init", "payload": { "authorization": session } });
        let variables = json!({ "iban": self.iban, "after": after });
        let subscribe = json!({ "type": "subscribe", "id": "1",
                                "payload": { "query": FOLLOW, "variables": variables } });
        socket.send(Message::text(hello.to_string())).await?;
        let mut is_welcome = false;
        while !is_over(seen) {
            // Now and then it looks whether it is over.
            let Ok(message) = timeout(ANSWER_WAIT, socket.next()).await else {
                return Ok(());
            };
            let message = message.context("the gateway is gone")??;
            let Message::Text(text) = message else {
                continue;
            };
            let message: Value = serde_json::from_str(&text)?;
            match message["type"].as_str() {
                Some("connection_ack") if !is_welcome => {
                    is_welcome = true;
                    socket.send(Message::text(subscribe.to_string())).await?;
                }
                Some("next") => {
                    let change = &message["payload"]["data"]["transactions"];
                    let version = change["version"].as_i64().context("no version")?;
                    let command = change["commandId"].as_str().context("no command")?;
                    *after = change["cursor"].as_str().context("no cursor")?.to_owned();
                    seen.push((version, command.to_owned()));
                }
                _ => bail!("{message}"),
            }
        }
        Ok(())
    }
}

async fn is_ready(gateway: &str) -> Result<()> {
    eventually("the gateway is ready", PATIENCE, async || {
        let answer = reqwest::get(format!("http://{gateway}/readyz")).await?;
        ensure!(answer.status().is_success(), "{}", answer.status());
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_gateways_when_one_is_killed_every_five_seconds_then_every_client_sees_everything_once()
-> Result<()> {
    let bank = Bank::start("gateways")?;
    let first_pid = || -> Result<String> {
        let row = bank.service("graphql-endpoint")?;
        Ok(row["pid"].as_u64().context("it has no pid")?.to_string())
    };
    let port = std::net::TcpListener::bind("127.0.0.1:0")?
        .local_addr()?
        .port();
    let pid = first_pid()?;
    let mut second = Second {
        environment: environment(&pid)?,
        program: std::fs::read_link(format!("/proc/{pid}/exe"))?,
        address: format!("127.0.0.1:{port}"),
        child: None,
    };
    second.start()?;
    let first = bank.page.trim_start_matches("http://").to_owned();
    is_ready(&second.address).await?;
    let gateways = [first.clone(), second.address.clone()];

    let stop = Arc::new(AtomicBool::new(false));
    let mut at_work = Vec::new();
    for number in 0..CUSTOMERS {
        let mut order = gateways.clone();
        order.rotate_left(number % 2);
        let customer = Customer::open(order, &format!("customer-{number}")).await?;
        let (wanted, told) = tokio::sync::watch::channel(None);
        let following = tokio::spawn(customer.clone().follow(told));
        let paying = tokio::spawn(customer.pay(Arc::clone(&stop)));
        at_work.push((paying, following, wanted));
    }
    let is_full = std::env::var_os("BANK_TEST_FULL").is_some();
    let mut pace = interval(KILL_INTERVAL);
    pace.tick().await;
    for kill in 0..if is_full { KILLS_FULL } else { KILLS } {
        pace.tick().await;
        if kill % 2 == 0 {
            // The bank starts it again by itself.
            let killed = Command::new("kill")
                .args(["-KILL", &first_pid()?])
                .status()?;
            ensure!(killed.success(), "the first gateway was not there");
        } else {
            second.start()?;
        }
    }
    stop.store(true, Ordering::Relaxed);
    for (paying, following, wanted) in at_work {
        let mut paid = paying.await??;
        wanted.send_replace(Some(paid.len()));
        let seen = following.await??;
        let versions: Vec<i64> = seen.iter().map(|(version, _)| *version).collect();
        let expected: Vec<i64> = (1..).take(paid.len()).collect();
        ensure!(versions == expected, "saw {versions:?}");
        let mut commands: Vec<String> = seen.into_iter().map(|(_, command)| command).collect();
        commands.sort();
        paid.sort();
        ensure!(commands == paid, "saw other commands than were given");
    }
    Ok(())
}
