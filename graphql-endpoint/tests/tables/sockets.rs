//! The WebSocket: graphql-transport-ws, its codes, and the limits of this gateway.

use std::time::Duration;

use graphql_endpoint::limits::Limits;
use serde_json::{Value, json};
use topology::{COMPANY_IBAN, Iban};
use uuid::Uuid;

use crate::raw::{Heard, RawSocket, frame, unmasked};
use crate::support::{Program, Settings, World, change, eventually};
use crate::transfers::word;
use crate::{Table, assert_discreet, employee, sign_up};

/// Cases in this table.
const CASES: usize = 81;
const OURS: &str = "graphql-transport-ws";
const SOCKETS_PER_USER: usize = 6;
const SOCKETS_PER_ADDRESS: usize = 40;
/// What a socket may run at once.
const OPERATIONS_MAX: usize = 20;
/// Enough changes that a client who does not read holds up its socket.
const CHANGES: i64 = 400;

/// What a client does.
enum Do {
    Say(Value),
    Send(Vec<u8>),
    Hear(&'static str),
}

/// How it ends.
enum End {
    /// The upgrade is refused with this status.
    Refused(u16),
    Closed(u16),
    /// The operation "1" is refused with this code, and the socket lives.
    Error(&'static str),
    /// The socket answers a ping.
    Lives,
}

use Do::{Hear, Say, Send};
use End::{Closed, Error, Lives, Refused};

struct Case {
    name: &'static str,
    headers: String,
    does: Vec<Do>,
    end: End,
}

fn subprotocol(name: &str) -> String {
    format!("Sec-WebSocket-Protocol: {name}\r\n")
}

fn init(payload: Value) -> Do {
    Say(json!({ "type": "connection_init", "payload": payload }))
}

fn run(id: Value, query: &str) -> Do {
    Say(json!({ "type": "subscribe", "id": id, "payload": { "query": query } }))
}

fn text(text: &str) -> Do {
    Send(frame(0x81, text.as_bytes()))
}

fn close(code: u16) -> Do {
    Send(frame(0x88, &code.to_be_bytes()))
}

fn follow(after: &str) -> String {
    format!(
        "subscription {{ transactions(iban: \"{COMPANY_IBAN}\", after: \"{after}\") {{ id }} }}"
    )
}

/// Before anything else is said.
fn bare(name: &'static str, headers: String, does: Vec<Do>, end: End) -> Case {
    Case {
        name,
        headers,
        does,
        end,
    }
}

/// On a socket of our subprotocol.
fn first(name: &'static str, does: Vec<Do>, end: End) -> Case {
    bare(name, subprotocol(OURS), does, end)
}

/// After a welcome.
fn then(name: &'static str, does: Vec<Do>, end: End) -> Case {
    let hello = [init(Value::Null), Hear("connection_ack")];
    first(name, hello.into_iter().chain(does).collect(), end)
}

fn subprotocols_and_origins(address: &str) -> Vec<Case> {
    let hello = || vec![init(Value::Null), Hear("connection_ack")];
    let from = |origin: &str| format!("{}Origin: {origin}\r\n", subprotocol(OURS));
    let port: u16 = address.rsplit(':').next().unwrap().parse().unwrap();
    let other_port = port.wrapping_add(1).max(1);
    vec![
        bare("no subprotocol", String::new(), vec![], Closed(4406)),
        bare(
            "an unknown subprotocol",
            subprotocol("soap"),
            vec![],
            Closed(4406),
        ),
        bare(
            "the legacy subprotocol",
            subprotocol("graphql-ws"),
            vec![],
            Closed(4406),
        ),
        bare(
            "both subprotocols",
            subprotocol("graphql-ws, graphql-transport-ws"),
            hello(),
            Lives,
        ),
        bare("no origin", subprotocol(OURS), hello(), Lives),
        bare(
            "our origin",
            from(&format!("http://{address}")),
            hello(),
            Lives,
        ),
        bare(
            "a foreign origin",
            from("http://evil.example"),
            vec![],
            Refused(403),
        ),
        bare("the origin null", from("null"), vec![], Refused(403)),
        bare(
            "the origin of another port",
            from(&format!("http://127.0.0.1:{other_port}")),
            vec![],
            Refused(403),
        ),
    ]
}

fn hellos() -> Vec<Case> {
    let bearer = |token: &str| init(json!({ "authorization": token }));
    let long = "x".repeat(1024 * 1024);
    vec![
        first("no hello", vec![], Closed(4408)),
        first(
            "a ping instead of a hello",
            vec![Say(json!({ "type": "ping" })), Hear("pong")],
            Closed(4408),
        ),
        then("two hellos", vec![init(Value::Null)], Closed(4429)),
        first(
            "a hello without payload",
            vec![
                Say(json!({ "type": "connection_init" })),
                Hear("connection_ack"),
            ],
            Lives,
        ),
        first(
            "a hello with an empty payload",
            vec![init(json!({})), Hear("connection_ack")],
            Lives,
        ),
        first(
            "a text as payload of the hello",
            vec![init(json!("x"))],
            Closed(4400),
        ),
        first(
            "a list as payload of the hello",
            vec![init(json!([]))],
            Closed(4400),
        ),
        first(
            "a number as authorization",
            vec![init(json!({ "authorization": 7 }))],
            Closed(4400),
        ),
        first(
            "a hello of a megabyte",
            vec![init(json!({ "x": long }))],
            Closed(1009),
        ),
        first(
            "a session that is none",
            vec![bearer(&format!("Bearer {}", "ab".repeat(32)))],
            Closed(4403),
        ),
        first(
            "SQL as a session",
            vec![bearer("Bearer ' OR '1'='1")],
            Closed(4403),
        ),
        first(
            "another scheme",
            vec![bearer("Basic YW5uOmFubg==")],
            Closed(4403),
        ),
        first(
            "an operation before the welcome",
            vec![run(json!("1"), "{ bank { version } }")],
            Closed(4401),
        ),
    ]
}

fn messages() -> Vec<Case> {
    let again = follow("0");
    vec![
        then(
            "an id in use",
            vec![run(json!("1"), &again), run(json!("1"), &again)],
            Closed(4409),
        ),
        then("an empty id", vec![run(json!(""), &again)], Closed(4400)),
        then(
            "an id of 10,000 characters",
            vec![run(json!("x".repeat(10_000)), &again)],
            Closed(4400),
        ),
        then("a number as id", vec![run(json!(1), &again)], Closed(4400)),
        then(
            "no id",
            vec![Say(
                json!({ "type": "subscribe", "payload": { "query": again } }),
            )],
            Closed(4400),
        ),
        then(
            "an end without id",
            vec![Say(json!({ "type": "complete" }))],
            Closed(4400),
        ),
        then(
            "an id that is free again",
            vec![
                run(json!("1"), "{ bank { version } }"),
                Hear("next"),
                Hear("complete"),
                run(json!("1"), "{ bank { version } }"),
                Hear("next"),
                Hear("complete"),
            ],
            Lives,
        ),
        then("no JSON", vec![text("hello")], Closed(4400)),
        then("an empty text", vec![text("")], Closed(4400)),
        then("a list", vec![text("[]")], Closed(4400)),
        then(
            "JSON nested 10,000 deep",
            vec![text(&"[".repeat(10_000))],
            Closed(4400),
        ),
        then(
            "an unknown kind",
            vec![Say(json!({ "type": "hello" }))],
            Closed(4400),
        ),
        then("no kind", vec![Say(json!({ "id": "1" }))], Closed(4400)),
        then(
            "a number as kind",
            vec![Say(json!({ "type": 1 }))],
            Closed(4400),
        ),
        then(
            "a server's next",
            vec![Say(json!({ "type": "next", "id": "1", "payload": {} }))],
            Closed(4400),
        ),
        then(
            "a server's welcome",
            vec![Say(json!({ "type": "connection_ack" }))],
            Closed(4400),
        ),
        then(
            "a start of the legacy protocol",
            vec![Say(json!({ "type": "start", "id": "1" }))],
            Closed(4400),
        ),
        then(
            "an operation without payload",
            vec![Say(json!({ "type": "subscribe", "id": "1" }))],
            Closed(4400),
        ),
        then(
            "a number as document",
            vec![Say(
                json!({ "type": "subscribe", "id": "1", "payload": { "query": 1 } }),
            )],
            Closed(4400),
        ),
        then(
            "the end of an unknown operation",
            vec![Say(json!({ "type": "complete", "id": "7" }))],
            Lives,
        ),
        then(
            "the end of a finished operation",
            vec![
                run(json!("1"), "{ bank { version } }"),
                Hear("next"),
                Hear("complete"),
                Say(json!({ "type": "complete", "id": "1" })),
            ],
            Lives,
        ),
        then(
            "a ping with a payload",
            vec![
                Say(json!({ "type": "ping", "payload": { "at": 7 } })),
                Hear("pong"),
            ],
            Lives,
        ),
        then(
            "a pong nobody asked for",
            vec![Say(json!({ "type": "pong" }))],
            Lives,
        ),
    ]
}

fn frames() -> Vec<Case> {
    let mut flood = frame(0x01, b"\"");
    for _ in 0..70_000 {
        flood.extend(frame(0x00, b"x"));
    }
    vec![
        then(
            "a binary frame",
            vec![Send(frame(0x82, b"{}"))],
            Closed(1003),
        ),
        then(
            "a text that is no UTF-8",
            vec![Send(frame(0x81, &[0xff, 0xfe]))],
            Closed(1007),
        ),
        then("a flood of fragments", vec![Send(flood)], Closed(1009)),
        then(
            "a message of 64 KiB and a byte",
            vec![text(&"x".repeat(65_537))],
            Closed(1009),
        ),
        then(
            "a frame without a mask",
            vec![Send(unmasked(0x81, b"{}"))],
            Closed(1002),
        ),
        then(
            "reserved bits",
            vec![Send(frame(0xf1, b"{}"))],
            Closed(1002),
        ),
        then(
            "a reserved kind of frame",
            vec![Send(frame(0x83, b"{}"))],
            Closed(1002),
        ),
        then(
            "a continuation of nothing",
            vec![Send(frame(0x80, b"{}"))],
            Closed(1002),
        ),
        then(
            "a ping of 126 bytes",
            vec![Send(frame(0x89, &[7; 126]))],
            Closed(1002),
        ),
        then("a close with code 1005", vec![close(1005)], Closed(1002)),
        then("a close with code 1006", vec![close(1006)], Closed(1002)),
        then("a close with code 999", vec![close(999)], Closed(1002)),
        then("a close with code 5000", vec![close(5000)], Closed(1002)),
    ]
}

fn operations() -> Vec<Case> {
    let one = |query: &str| vec![run(json!("1"), query)];
    let deep = format!("{}{}", "{a".repeat(9), "}".repeat(9));
    let transfer = "mutation { logOut }";
    let many = (0..=OPERATIONS_MAX).map(|id| run(json!(id.to_string()), &follow("0")));
    let chatter = (0..300).map(|_| Say(json!({ "type": "ping" })));
    vec![
        then("a document that is none", one("{"), Error("VALIDATION")),
        then(
            "an unknown field",
            one("subscription { salaries { id } }"),
            Error("VALIDATION"),
        ),
        then(
            "a document that is too deep",
            one(&deep),
            Error("TOO_COMPLEX"),
        ),
        then(
            "a mutation by nobody",
            one(transfer),
            Error("UNAUTHENTICATED"),
        ),
        then(
            "a cursor of the future",
            one(&follow("1000000000")),
            Error("VALIDATION"),
        ),
        then(
            "a cursor that is none",
            one(&follow("x' OR 1")),
            Error("VALIDATION"),
        ),
        then(
            "a cursor before the first",
            one(&follow("-1")),
            Error("VALIDATION"),
        ),
        then(
            "an account of somebody",
            one("subscription { transactions(iban: \"NL39OPEN0000000001\") { id } }"),
            Error("UNAUTHENTICATED"),
        ),
        then("one operation too many", many.collect(), Closed(4429)),
        then("too many messages", chatter.collect(), Closed(4429)),
    ]
}

impl Case {
    async fn run(self, world: &World) -> usize {
        let name = self.name;
        let mut socket = RawSocket::open(&world.address, &self.headers).await;
        if let Refused(status) = self.end {
            assert_eq!(socket.status(), status, "{name}");
            return 1;
        }
        assert_eq!(socket.status(), 101, "{name}: {}", socket.head);
        for it in self.does {
            match it {
                Say(message) => socket.say(&message).await,
                Send(bytes) => socket.send(&bytes).await,
                Hear(kind) => {
                    socket.hear(kind).await;
                }
            }
        }
        match self.end {
            Refused(_) => {}
            Closed(code) => assert_eq!(socket.closed().await, code, "{name}"),
            Error(code) => {
                let message = socket.hear("error").await;
                let said = &message["payload"][0]["extensions"]["code"];
                assert_eq!(*said, code, "{name}: {message}");
                assert_discreet(name, &message.to_string());
                lives(&mut socket).await;
            }
            Lives => lives(&mut socket).await,
        }
        1
    }
}

async fn lives(socket: &mut RawSocket) {
    socket.say(&json!({ "type": "ping" })).await;
    socket.hear("pong").await;
}

async fn open(world: &World) -> RawSocket {
    RawSocket::open(&world.address, &subprotocol(OURS)).await
}

async fn subscribe(socket: &mut RawSocket, id: &str, query: &str) {
    let payload = json!({ "query": query });
    socket
        .say(&json!({ "type": "subscribe", "id": id, "payload": payload }))
        .await;
}

async fn session(world: &World) -> String {
    employee(world).await.bearer.unwrap()
}

/// Cases that need more than one line. Each returns how many cases it is.
mod special {
    use super::*;

    pub(super) async fn a_session_that_has_ended(world: &World) -> usize {
        let session = session(world).await;
        let program = Program {
            bearer: Some(session.clone()),
        };
        program.ask(world, "mutation { logOut }", Value::Null).await;
        let mut socket = open(world).await;
        let payload = json!({ "authorization": format!("Bearer {session}") });
        socket
            .say(&json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(socket.closed().await, 4403);
        1
    }

    pub(super) async fn a_session_revoked_while_subscribed(world: &World) -> usize {
        let session = session(world).await;
        let mut socket = open(world).await;
        socket.hello(Some(&session)).await;
        subscribe(&mut socket, "1", &follow("0")).await;
        socket.hear("next").await;
        let program = Program {
            bearer: Some(session),
        };
        program.ask(world, "mutation { logOut }", Value::Null).await;
        loop {
            match socket.next().await {
                Heard::Message(message) if message["type"] == "error" => {
                    let code = &message["payload"][0]["extensions"]["code"];
                    assert_eq!(*code, "UNAUTHENTICATED");
                    return 1;
                }
                Heard::Message(_) | Heard::Ping => {}
                other => panic!("{other:?}"),
            }
        }
    }

    pub(super) async fn a_session_revoked_between_two_payments(world: &World) -> usize {
        let (program, _) = sign_up(world, "socket-payer").await;
        let mut socket = open(world).await;
        socket.hello(program.bearer.as_deref()).await;
        let pay = |id: Uuid| {
            format!(
                "mutation {{ deposit(input: {{ commandId: \"{id}\", amount: 1 }}) \
                 {{ __typename }} }}"
            )
        };
        let (paid, refused) = (Uuid::new_v4(), Uuid::new_v4());
        subscribe(&mut socket, "1", &pay(paid)).await;
        let answer = socket.hear("next").await;
        assert_eq!(word(&answer["payload"]), "PaymentConfirmed");
        socket.hear("complete").await;

        program.ask(world, "mutation { logOut }", Value::Null).await;
        for (operation, command) in [("2", refused), ("3", paid)] {
            subscribe(&mut socket, operation, &pay(command)).await;
            let answer = socket.hear("next").await;
            assert_eq!(word(&answer["payload"]), "UNAUTHENTICATED", "{answer}");
            socket.hear("complete").await;
        }

        let log_in = "mutation { logIn(input: { userName: \"socket-payer\", \
                      password: \"a long enough secret\", bearer: true }) { sessionToken } }";
        let signed_in = Program::default().ask(world, log_in, Value::Null).await;
        let bearer = signed_in["data"]["logIn"]["sessionToken"].as_str();
        let again = Program {
            bearer: bearer.map(str::to_owned),
        };
        for (command, is_claimed) in [(paid, true), (refused, false)] {
            let query = format!("{{ command(id: \"{command}\") {{ status }} }}");
            let answer = again.ask(world, &query, Value::Null).await;
            let known = &answer["data"]["command"];
            assert_eq!(known.is_object(), is_claimed, "{answer}");
        }
        3
    }

    pub(super) async fn a_session_of_somebody_else(world: &World) -> usize {
        let query = format!(
            "mutation {{ openAccount(input: {{ commandId: \"{}\", userName: \"socket-eve\", \
             password: \"eight888\", bearer: true }}) {{ ... on SignedIn {{ sessionToken }} }} }}",
            Uuid::new_v4()
        );
        let opened = Program::default().ask(world, &query, Value::Null).await;
        let eve = opened["data"]["openAccount"]["sessionToken"]
            .as_str()
            .unwrap();
        let mut socket = open(world).await;
        socket.hello(Some(eve)).await;
        let other = Iban::of_our_bank(4_711);
        let query = format!(
            "subscription {{ transactions(iban: \"{}\") {{ id }} }}",
            other.as_str()
        );
        subscribe(&mut socket, "1", &query).await;
        let refused = socket.hear("error").await;
        let code = &refused["payload"][0]["extensions"]["code"];
        assert_eq!(*code, "FORBIDDEN", "{refused}");
        1
    }

    pub(super) async fn nothing_follows_the_end_that_a_client_asks_for(world: &World) -> usize {
        let mut socket = open(world).await;
        socket.hello(None).await;
        subscribe(&mut socket, "1", &follow("0")).await;
        socket.hear("next").await;
        socket.say(&json!({ "type": "complete", "id": "1" })).await;
        socket.say(&json!({ "type": "ping" })).await;
        // What was on its way comes before the answer to the ping, and nothing after it.
        loop {
            if let Heard::Message(message) = socket.next().await
                && message["type"] == "pong"
            {
                break;
            }
        }
        socket.say(&json!({ "type": "ping" })).await;
        socket.hear("pong").await;
        1
    }

    pub(super) async fn one_socket_more_than_a_user_may_have(world: &World) -> usize {
        let session = session(world).await;
        let mut sockets = Vec::new();
        for _ in 0..SOCKETS_PER_USER {
            let mut socket = open(world).await;
            socket.hello(Some(&session)).await;
            sockets.push(socket);
        }
        let mut socket = open(world).await;
        let payload = json!({ "authorization": format!("Bearer {session}") });
        socket
            .say(&json!({ "type": "connection_init", "payload": payload }))
            .await;
        assert_eq!(socket.closed().await, 4429);
        1
    }

    pub(super) async fn one_socket_more_than_an_address_may_have(world: &World) -> usize {
        eventually("the sockets of other cases have ended", async || {
            let mut sockets = Vec::new();
            for _ in 0..SOCKETS_PER_ADDRESS {
                let socket = open(world).await;
                if socket.status() != 101 {
                    return None;
                }
                sockets.push(socket);
            }
            assert_eq!(open(world).await.status(), 429);
            Some(())
        })
        .await;
        1
    }

    pub(super) async fn a_client_that_never_reads(world: &World) -> usize {
        let mut socket = RawSocket::open_narrow(&world.address, &subprotocol(OURS)).await;
        socket.hello(None).await;
        for id in 0..OPERATIONS_MAX {
            subscribe(&mut socket, &id.to_string(), &follow("0")).await;
        }
        // Longer than the gateway waits for one message to be taken.
        tokio::time::sleep(Duration::from_secs(3)).await;
        loop {
            match socket.next().await {
                Heard::Message(_) | Heard::Ping => {}
                Heard::Closed(code) => {
                    assert_eq!(code, 4408);
                    break;
                }
                Heard::Ended => break,
            }
        }
        1
    }

    pub(super) async fn a_client_that_never_answers_a_ping(world: &World) -> usize {
        let mut socket = open(world).await;
        socket.hello(None).await;
        socket.is_alive = false;
        assert_eq!(socket.closed().await, 4408);
        1
    }

    pub(super) async fn compression_is_not_agreed_to(world: &World) -> usize {
        let headers = format!(
            "{}Sec-WebSocket-Extensions: permessage-deflate\r\n",
            subprotocol(OURS)
        );
        let socket = RawSocket::open(&world.address, &headers).await;
        assert_eq!(socket.status(), 101);
        let head = socket.head.to_ascii_lowercase();
        assert!(!head.contains("deflate"), "{head}");
        1
    }

    pub(super) async fn a_restart_is_announced_and_survived(world: &mut World) -> usize {
        let mut socket = open(world).await;
        socket.hello(None).await;
        subscribe(&mut socket, "1", &follow("398")).await;
        socket.hear("next").await;
        socket.hear("next").await;
        world.stop_gateway().await;
        assert_eq!(socket.closed().await, 1001);
        world.start_gateway().await;
        world.send_change(change(CHANGES + 1)).await;
        let mut socket = open(world).await;
        socket.hello(None).await;
        subscribe(&mut socket, "1", &follow(&CHANGES.to_string())).await;
        let next = socket.hear("next").await;
        let id = format!("{COMPANY_IBAN}:{}", CHANGES + 1);
        assert_eq!(next["payload"]["data"]["transactions"]["id"], id);
        1
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_thing_that_a_socket_may_do_wrong_has_its_code() {
    let limits = Limits {
        hello_wait: Duration::from_millis(800),
        ping_interval: Duration::from_millis(400),
        silence_max: Duration::from_millis(1_500),
        write_wait: Duration::from_millis(1_500),
        session_check: Duration::from_millis(300),
        sockets_per_user: SOCKETS_PER_USER,
        sockets_per_address: SOCKETS_PER_ADDRESS,
        ..Limits::default()
    };
    let settings = Settings {
        limits,
        ..Settings::default()
    };
    let mut world = World::start_with("sockets", settings).await;
    let _bank = world.run_agreeable_bank().await;
    for version in 1..=CHANGES {
        world.send_change(change(version)).await;
    }
    let mut table = Table::default();
    let tables = [
        subprotocols_and_origins(&world.address),
        hellos(),
        messages(),
        frames(),
        operations(),
    ];
    for case in tables.into_iter().flatten() {
        table.run(case.name, case.run(&world)).await;
    }
    table
        .run(
            "a_session_that_has_ended",
            special::a_session_that_has_ended(&world),
        )
        .await;
    table
        .run(
            "a_session_revoked_while_subscribed",
            special::a_session_revoked_while_subscribed(&world),
        )
        .await;
    table
        .run(
            "a_session_revoked_between_two_payments",
            special::a_session_revoked_between_two_payments(&world),
        )
        .await;
    table
        .run(
            "a_session_of_somebody_else",
            special::a_session_of_somebody_else(&world),
        )
        .await;
    table
        .run(
            "nothing_follows_the_end_that_a_client_asks_for",
            special::nothing_follows_the_end_that_a_client_asks_for(&world),
        )
        .await;
    table
        .run(
            "one_socket_more_than_a_user_may_have",
            special::one_socket_more_than_a_user_may_have(&world),
        )
        .await;
    table
        .run(
            "a_client_that_never_reads",
            special::a_client_that_never_reads(&world),
        )
        .await;
    table
        .run(
            "a_client_that_never_answers_a_ping",
            special::a_client_that_never_answers_a_ping(&world),
        )
        .await;
    table
        .run(
            "compression_is_not_agreed_to",
            special::compression_is_not_agreed_to(&world),
        )
        .await;
    table
        .run(
            "one_socket_more_than_an_address_may_have",
            special::one_socket_more_than_an_address_may_have(&world),
        )
        .await;
    table
        .run(
            "a_restart_is_announced_and_survived",
            special::a_restart_is_announced_and_survived(&mut world),
        )
        .await;
    table.end(CASES);
}
