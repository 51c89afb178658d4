//! What a gateway's process takes when nobody does anything, and for each idle WebSocket; and
//! how long answers take among them, told and not judged: a busy machine would decide that.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod support;

#[path = "tables/raw.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod raw;

use std::io::Write as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use raw::RawSocket;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::Value;
use support::{Program, World, eventually};

/// Most of an idle gateway, in KiB.
const IDLE_KIB_MAX: u64 = 16 * 1024;
/// Most of one idle WebSocket, in KiB.
const SOCKET_KIB_MAX: u64 = 40;
const SOCKETS: u64 = 5_000;
/// Sockets opened at a time.
const AT_A_TIME: u64 = 100;
/// Descriptors for everything else.
const OTHER_DESCRIPTORS: u64 = 200;
const QUESTIONS: usize = 300;

struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Process {
    /// Its own memory, without files it has mapped.
    fn rss_anon_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let number = line.unwrap().trim().split(' ').next().unwrap();
        number.parse().unwrap()
    }
}

/// Half of the answers come within this.
async fn median(world: &World) -> Duration {
    let mut took = Vec::with_capacity(QUESTIONS);
    for _ in 0..QUESTIONS {
        let begun_at = Instant::now();
        let answer = Program::default()
            .ask(world, "{ bank { version } }", Value::Null)
            .await;
        took.push(begun_at.elapsed());
        assert!(answer["data"]["bank"].is_object(), "{answer}");
    }
    took.sort();
    took[QUESTIONS / 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn given_thousands_of_idle_sockets_then_each_takes_little() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, raised).unwrap();
    let sockets = limit.maximum.map_or(SOCKETS, |most| {
        SOCKETS.min(most.saturating_sub(OTHER_DESCRIPTORS))
    });
    let mut world = World::start("memory").await;
    world.stop_gateway().await;
    let gateway = Command::new(env!("CARGO_BIN_EXE_graphql-endpoint"))
        .args(&world.arguments()[1..])
        .args(["--sockets-per-address", "10000"])
        // What tests are told is nothing that a service knows.
        .env_clear()
        .env("MALLOC_ARENA_MAX", "2")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let gateway = Process(gateway);
    let url = format!("http://{}/readyz", world.address);
    eventually("the gateway is ready", async || {
        let answer = reqwest::get(&url).await.ok()?;
        answer.status().is_success().then_some(())
    })
    .await;
    // Idle, but used before: caches are filled.
    let alone = median(&world).await;
    let idle = gateway.rss_anon_kib();

    let mut open = Vec::new();
    for _ in 0..sockets / AT_A_TIME {
        let batch = (0..AT_A_TIME).map(|_| async {
            let headers = "Sec-WebSocket-Protocol: graphql-transport-ws\r\n";
            let mut socket = RawSocket::open(&world.address, headers).await;
            socket.hello(None).await;
            socket
        });
        open.extend(join_all(batch).await);
    }
    let each = (gateway.rss_anon_kib() - idle) / sockets;
    let among_many = median(&world).await;
    // Past the harness, which keeps what a passing test prints to itself.
    writeln!(
        std::io::stderr(),
        "RssAnon {idle} KiB idle, {each} KiB for each of {sockets} idle WebSockets; half of the \
         answers within {alone:?} alone, {among_many:?} among them"
    )
    .unwrap();
    assert!(idle <= IDLE_KIB_MAX, "{idle} KiB idle");
    assert!(each <= SOCKET_KIB_MAX, "{each} KiB for each socket");
}
