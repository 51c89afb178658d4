//! The load generator against a gateway with planted faults: what is wrong must show.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use perf::bank::customers::{Customer, REFUSED_CENTS};
use perf::bank::fleet::{Fleet, Muster};
use perf::bank::judgement;
use perf::bank::resources::Parts;
use perf::bank::results::Step;
use perf::bank::schedule::Arrivals;
use perf::bank::step::{Bench, Order, Patience};
use perf::clock::Clock;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc};
use tokio_tungstenite::accept_hdr_async;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

const CUSTOMERS: usize = 20;
const RATE: f64 = 500.0;
const PAUSED_EACH: u64 = 500;
const PAUSE: Duration = Duration::from_millis(200);

/// What is wrong with the gateway.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// Nobody is served for a while after each so many requests.
    Pauses,
    /// One change is told to nobody.
    LosesAnEvent,
    /// One change is told twice.
    DoublesAnEvent,
}

#[derive(Default)]
struct Books {
    requests: u64,
    done: HashSet<String>,
    versions: HashMap<String, u64>,
    followers: HashMap<String, mpsc::UnboundedSender<Message>>,
}

/// A gateway that does what the protocol asks for, but for its fault.
async fn gateway(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let books = Arc::new(Mutex::new(Books::default()));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, Arc::clone(&books), fault));
        }
    });
    address
}

#[expect(
    clippy::result_large_err,
    reason = "the library's callback is made like this"
)]
async fn serve(stream: TcpStream, books: Arc<Mutex<Books>>, fault: Fault) {
    let protocol = |_: &Request, mut response: Response| {
        let name = "graphql-transport-ws".parse().unwrap();
        response
            .headers_mut()
            .insert("sec-websocket-protocol", name);
        Ok(response)
    };
    let Ok(socket) = accept_hdr_async(stream, protocol).await else {
        return;
    };
    let (mut sink, mut source) = socket.split();
    let (sender, mut receiver) = mpsc::unbounded_channel::<Message>();
    tokio::spawn(async move {
        while let Some(message) = receiver.recv().await {
            if sink.send(message).await.is_err() {
                return;
            }
        }
    });
    let mut iban = String::new();
    while let Some(Ok(message)) = source.next().await {
        let Ok(text) = message.to_text() else {
            return;
        };
        let Ok(message) = serde_json::from_str::<Value>(text) else {
            return;
        };
        match message["type"].as_str() {
            Some("connection_init") => {
                let bearer = message["payload"]["authorization"].as_str().unwrap();
                iban = bearer.trim_start_matches("Bearer session-").to_owned();
                tell(&sender, &json!({ "type": "connection_ack" }));
            }
            Some("subscribe") if message["id"] == "s" => {
                let mut books = books.lock().await;
                books.followers.insert(iban.clone(), sender.clone());
            }
            Some("subscribe") => transfer(&sender, &books, &iban, &message, fault).await,
            _ => {}
        }
    }
}

async fn transfer(
    sender: &mpsc::UnboundedSender<Message>,
    books: &Mutex<Books>,
    payer: &str,
    message: &Value,
    fault: Fault,
) {
    let mut books = books.lock().await;
    books.requests += 1;
    if fault == Fault::Pauses && books.requests.is_multiple_of(PAUSED_EACH) {
        // The books are held meanwhile: nobody is served.
        tokio::time::sleep(PAUSE).await;
    }
    let input = &message["payload"]["variables"]["input"];
    let command = input["commandId"].as_str().unwrap().to_owned();
    let amount: i64 = input["amount"].as_str().unwrap().parse().unwrap();
    let is_refused = amount == REFUSED_CENTS;
    let kind = if is_refused {
        "CommandRejected"
    } else {
        "PaymentConfirmed"
    };
    let data = json!({ "transfer": { "__typename": kind } });
    let id = &message["id"];
    tell(
        sender,
        &json!({ "id": id, "type": "next", "payload": { "data": data } }),
    );
    tell(sender, &json!({ "id": id, "type": "complete" }));
    if is_refused || !books.done.insert(command.clone()) {
        return;
    }
    let is_planted = books.done.len() == 100;
    for (iban, change) in [(payer, -amount), (input["to"].as_str().unwrap(), amount)] {
        let version = books.versions.entry(iban.to_owned()).or_insert(0);
        if !(is_planted && fault == Fault::LosesAnEvent && change > 0) {
            *version += 1;
        }
        let transaction = json!({
            "version": *version, "commandId": command, "changedBy": change.to_string(), "cursor": version.to_string(),
        });
        let event = json!({ "id": "s", "type": "next", "payload": { "data": { "transactions": transaction } } });
        if let Some(follower) = books.followers.get(iban) {
            match fault {
                Fault::LosesAnEvent if is_planted && change > 0 => {}
                Fault::DoublesAnEvent if is_planted => {
                    tell(follower, &event);
                    tell(follower, &event);
                }
                _ => tell(follower, &event),
            }
        }
    }
}

fn tell(sender: &mpsc::UnboundedSender<Message>, message: &Value) {
    // A client that is gone hears nothing.
    let _ = sender.send(Message::Text(message.to_string().into()));
}

/// Holds a load against a gateway with this fault: the step, and what clients found.
async fn held(fault: Fault) -> (Step, Vec<String>) {
    let gateway = gateway(fault).await;
    let runtime = Handle::current();
    let measured = tokio::task::spawn_blocking(move || {
        let customers = (0..CUSTOMERS).map(|number| {
            let iban = format!("NL{number:02}OPEN{number:010}");
            Customer {
                user_name: format!("customer-{number}"),
                session: format!("session-{iban}"),
                iban,
            }
        });
        let clock = Clock::start();
        let muster = Muster {
            gateway,
            customers: customers.collect(),
            sockets_each: 3,
            company: "NL66OPEN0000000000".to_owned(),
        };
        let mut bench = Bench {
            fleet: Fleet::open(muster, clock).unwrap(),
            parts: Parts::default(),
            containers: None,
            administrator: None,
            runtime,
            clock,
            stop: Arc::new(AtomicBool::new(false)),
            seed: 1,
            patience: Patience {
                answers: Duration::from_secs(3),
                settling: Duration::ZERO,
            },
        };
        let order = Order {
            name: "planted".to_owned(),
            per_second: RATE,
            warm_up: Duration::from_millis(100),
            measured: Duration::from_secs(3),
            arrivals: Arrivals::Constant,
            to_company_percent: 0,
        };
        let held = bench.hold(&order).unwrap();
        (held.step, judgement::seen_by_clients(&bench))
    });
    measured.await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_good_gateway_when_measured_then_everything_is_answered_and_seen_once() {
    let (step, findings) = held(Fault::None).await;
    assert_eq!(findings, Vec::<String>::new());
    assert_eq!(
        (step.commands, step.dropped, step.failed, step.timed_out),
        (1_500, 0, 0, 0)
    );
    assert!(step.rejected > 0, "some are planned to be refused");
    assert_eq!(step.outcome.samples, 1_500);
    assert_eq!(step.visible.samples, 1_500 - step.rejected);
    assert!(step.visible.max_ms < 3_000.0, "{step:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_pause_of_200_ms_each_500_requests_when_measured_then_the_p99_shows_it() {
    let (step, findings) = held(Fault::Pauses).await;
    assert_eq!(findings, Vec::<String>::new());
    assert!(step.visible.p99_ms >= 150.0, "{:?}", step.visible);
    assert!(step.outcome.p99_ms >= 150.0, "{:?}", step.outcome);
    assert!(!step.is_kept_up, "more than 100 ms at p99 is not kept up");
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_lost_event_when_measured_then_the_run_fails() {
    let (step, findings) = held(Fault::LosesAnEvent).await;
    assert_eq!(step.timed_out, 1, "{:?}", step.reasons);
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].contains("a change of it never came"));
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_doubled_event_when_measured_then_the_run_fails() {
    let (_, findings) = held(Fault::DoublesAnEvent).await;
    assert!(
        findings.iter().any(|it| it.contains("came twice")),
        "{findings:?}"
    );
}
