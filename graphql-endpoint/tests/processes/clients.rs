//! Customers that keep their word: an id until there is an answer, a cursor until the next
//! transaction. They go to another gateway when one does not answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::{ClientRequestBuilder, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use crate::GLANCE;

/// A request that has no answer by then is sent elsewhere; a payment may be pending for five.
const ANSWER_WAIT: Duration = Duration::from_secs(7);
/// A follower that has heard nothing for so long asks another gateway.
const SILENCE_MAX: Duration = Duration::from_secs(2);
/// Tries of one request: as many as a gateway needs to come back.
const TRIES_MAX: usize = 2_000;

const PASSWORD: &str = "a canary that nobody may hear";
const OPEN: &str = "mutation ($id: CommandId!, $name: String!) {
    openAccount(input: { commandId: $id, userName: $name, bearer: true,
                         password: \"a canary that nobody may hear\" }) {
        __typename ... on SignedIn { sessionToken user { account { iban } } } } }";
const DEPOSIT: &str = "mutation ($id: CommandId!, $amount: Amount!) {
    deposit(input: { commandId: $id, amount: $amount }) {
        __typename ... on CommandRejected { reason } } }";
const TRANSFER: &str = "mutation ($id: CommandId!, $to: String!, $amount: Amount!) {
    transfer(input: { commandId: $id, to: $to, amount: $amount, description: \"\" }) {
        __typename ... on CommandRejected { reason } } }";
const STATE: &str = "query ($id: CommandId!) { command(id: $id) { status reason } }";
const LIVE: &str = "subscription ($iban: Iban!, $after: String) {
    transactions(iban: $iban, after: $after) { version newBalance changedBy commandId } }";

/// Gateways, and the one that answered last.
#[derive(Clone)]
struct Gateways {
    addresses: Vec<String>,
    at: usize,
}

impl Gateways {
    fn address(&self) -> &str {
        &self.addresses[self.at % self.addresses.len()]
    }
}

/// A payment that was given, and all its answers.
pub(crate) struct Given {
    query: &'static str,
    variables: Value,
    pub(crate) answers: BTreeSet<String>,
}

/// A transaction as a follower saw it.
pub(crate) type Seen = (i64, String, String, String);

/// IBANs of all customers of a test.
pub(crate) type Directory = Arc<Mutex<Vec<String>>>;

/// One customer.
pub(crate) struct Customer {
    name: String,
    gateways: Gateways,
    client: reqwest::Client,
    bearer: Option<String>,
    pub(crate) iban: String,
    random: SmallRng,
    pub(crate) given: BTreeMap<String, Given>,
    directory: Directory,
}

impl Customer {
    pub(crate) fn new(number: u64, seed: u64, addresses: &[String], directory: Directory) -> Self {
        Customer {
            name: format!("customer-{number}"),
            gateways: Gateways {
                addresses: addresses.to_vec(),
                at: usize::try_from(number).unwrap(),
            },
            client: reqwest::Client::builder()
                .timeout(ANSWER_WAIT)
                .build()
                .unwrap(),
            bearer: None,
            iban: String::new(),
            random: SmallRng::seed_from_u64(seed * 1_000 + number),
            given: BTreeMap::new(),
            directory,
        }
    }

    fn id(&mut self) -> String {
        let id: [u8; 16] = self.random.random();
        topology::CommandId::from_bytes(id).to_string()
    }

    /// Sends until there is an answer that says more than "not now".
    async fn ask(&mut self, query: &str, variables: &Value) -> Value {
        for _ in 0..TRIES_MAX {
            let url = format!("http://{}/graphql", self.gateways.address());
            let mut request = self
                .client
                .post(url)
                .json(&json!({ "query": query, "variables": variables }));
            if let Some(bearer) = &self.bearer {
                request = request.bearer_auth(bearer);
            }
            let answer = match request.send().await {
                Ok(answer) => answer.json::<Value>().await.ok(),
                Err(_) => None,
            };
            if let Some(answer) = answer {
                match answer["errors"][0]["extensions"]["code"].as_str() {
                    None => return answer["data"].clone(),
                    Some("UNAVAILABLE" | "INTERNAL" | "RATE_LIMITED") => {}
                    Some(_) => panic!("{query}: {answer}"),
                }
            }
            self.gateways.at += 1;
            tokio::time::sleep(GLANCE).await;
        }
        panic!("no answer to {query}");
    }

    /// Asks the same again while the bank has not answered.
    async fn decide(&mut self, query: &str, variables: &Value, field: &str) -> Value {
        loop {
            let data = self.ask(query, variables).await;
            if data[field]["__typename"] != "CommandPending" {
                return data[field].clone();
            }
        }
    }

    pub(crate) async fn sign_up(&mut self) {
        let variables = json!({ "id": self.id(), "name": self.name });
        let signed_in = self.decide(OPEN, &variables, "openAccount").await;
        assert_eq!(signed_in["__typename"], "SignedIn", "{signed_in}");
        let again = self.decide(OPEN, &variables, "openAccount").await;
        let iban = |answer: &Value| answer["user"]["account"]["iban"].clone();
        assert_eq!(iban(&signed_in), iban(&again), "{again}");
        self.bearer = signed_in["sessionToken"].as_str().map(str::to_owned);
        self.iban = iban(&signed_in).as_str().unwrap().to_owned();
        self.directory.lock().unwrap().push(self.iban.clone());
    }

    /// Cash into the account.
    pub(crate) async fn deposit(&mut self) {
        let variables = json!({ "id": self.id(), "amount": 50_000 });
        self.give(DEPOSIT, variables).await;
    }

    /// A payment to somebody, one in eight too large; one time in four an old one again.
    pub(crate) async fn pay(&mut self) {
        if self.random.random_ratio(1, 4) {
            let at = self.random.random_range(0..self.given.len());
            let (id, old) = self.given.iter().nth(at).unwrap();
            let (id, query, variables) = (id.clone(), old.query, old.variables.clone());
            // As from a second tab, at another gateway.
            self.gateways.at += 1;
            let answer = self.answer(query, &variables).await;
            self.gateways.at += 1;
            self.given.get_mut(&id).unwrap().answers.insert(answer);
            return;
        }
        let payees = self.directory.lock().unwrap().clone();
        let at = self.random.random_range(0..payees.len());
        let to = match &payees[at] {
            own if *own == self.iban => "Shop".to_owned(),
            other => other.clone(),
        };
        let amount = if self.random.random_ratio(1, 8) {
            100_000_000
        } else {
            self.random.random_range(1..500)
        };
        let variables = json!({ "id": self.id(), "to": to, "amount": amount });
        self.give(TRANSFER, variables).await;
    }

    async fn give(&mut self, query: &'static str, variables: Value) {
        let id = variables["id"].as_str().unwrap().to_owned();
        let answer = self.answer(query, &variables).await;
        let given = Given {
            query,
            variables,
            answers: BTreeSet::from([answer]),
        };
        self.given.insert(id, given);
    }

    /// CONFIRMED, or why not.
    async fn answer(&mut self, query: &str, variables: &Value) -> String {
        let field = if query == DEPOSIT {
            "deposit"
        } else {
            "transfer"
        };
        let said = self.decide(query, variables, field).await;
        match said["reason"].as_str() {
            Some(reason) => reason.to_owned(),
            None => "CONFIRMED".to_owned(),
        }
    }

    /// Asks for each command by its id, until its outcome is known there too.
    pub(crate) async fn ask_for_all(&mut self) {
        for id in self.given.keys().cloned().collect::<Vec<_>>() {
            let state = loop {
                let data = self.ask(STATE, &json!({ "id": id })).await;
                if data["command"]["status"] != "PENDING" {
                    break data["command"].clone();
                }
                tokio::time::sleep(GLANCE).await;
            };
            let said = state["reason"].as_str().or(state["status"].as_str());
            let answers = &mut self.given.get_mut(&id).unwrap().answers;
            answers.insert(said.unwrap().to_owned());
        }
    }

    /// What must stand in no log.
    pub(crate) fn secrets(&self) -> [&str; 2] {
        [PASSWORD, self.bearer.as_ref().unwrap()]
    }

    /// Somebody who follows the account.
    pub(crate) fn follower(&self) -> Follower {
        Follower {
            gateways: self.gateways.clone(),
            bearer: self.bearer.clone().unwrap(),
            iban: self.iban.clone(),
        }
    }
}

/// One who follows an account, wherever that can be done.
pub(crate) struct Follower {
    gateways: Gateways,
    bearer: String,
    iban: String,
}

impl Follower {
    /// Follows the account until the version that `last` names.
    pub(crate) async fn follow(mut self, last: watch::Receiver<Option<i64>>) -> Vec<Seen> {
        let mut seen: Vec<Seen> = Vec::new();
        let is_done = |seen: &[Seen]| {
            last.borrow()
                .is_some_and(|last| seen.len() >= usize::try_from(last).unwrap())
        };
        while !is_done(&seen) {
            let after = seen.len().to_string();
            let stream = self.subscribe(&after);
            if let Ok(Some(mut socket)) = timeout(SILENCE_MAX, stream).await {
                while let Ok(Some(transaction)) = timeout(SILENCE_MAX, next(&mut socket)).await {
                    let text = |name: &str| transaction[name].as_str().unwrap().to_owned();
                    let version = transaction["version"].as_i64().unwrap();
                    let expected = i64::try_from(seen.len()).unwrap() + 1;
                    assert_eq!(version, expected, "{} has a hole or a repeat", self.iban);
                    let change = (version, text("newBalance"), text("changedBy"));
                    seen.push((change.0, change.1, change.2, text("commandId")));
                    if is_done(&seen) {
                        break;
                    }
                }
            }
            self.gateways.at += 1;
            tokio::time::sleep(GLANCE).await;
        }
        seen
    }

    async fn subscribe(&self, after: &str) -> Option<Socket> {
        let address = self.gateways.address();
        let uri = format!("ws://{address}/graphql-ws").parse().unwrap();
        let request = ClientRequestBuilder::new(uri).with_sub_protocol("graphql-transport-ws");
        let (mut socket, _) = connect_async(request).await.ok()?;
        let authorization = format!("Bearer {}", self.bearer);
        let payload = json!({ "authorization": authorization });
        let variables = json!({ "iban": self.iban, "after": after });
        for message in [
            json!({ "type": "connection_init", "payload": payload }),
            json!({ "type": "subscribe", "id": "1",
                    "payload": { "query": LIVE, "variables": variables } }),
        ] {
            if message["type"] == "subscribe" {
                // Only after the acknowledgement.
                socket.next().await?.ok()?;
            }
            let text = message.to_string();
            socket.send(Message::Text(text.into())).await.ok()?;
        }
        Some(socket)
    }
}

type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// The next transaction; `None` when the stream or the connection has ended.
async fn next(socket: &mut Socket) -> Option<Value> {
    loop {
        if let Message::Text(text) = socket.next().await?.ok()? {
            let message: Value = serde_json::from_str(&text).unwrap();
            if message["type"] != "next" {
                return None;
            }
            return Some(message["payload"]["data"]["transactions"].clone());
        }
    }
}
