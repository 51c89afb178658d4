//! Figures of containers, asked of a server on a socket that answers as the Docker Engine does.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use perf::bank::containers::{Sample, Watched};
use perf::bank::engine::Engine;
use perf::bank::results::Service;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;

/// Answers by path: a status and a body.
type Answers = Arc<Mutex<HashMap<String, (u16, String)>>>;

/// An Engine, and what it answers next.
struct Fake {
    folder: TempDir,
    answers: Answers,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    fn start() -> Fake {
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join("docker.sock")).unwrap();
        let (answers, asked) = (Answers::default(), Arc::default());
        let fake = Fake {
            folder,
            answers: Arc::clone(&answers),
            asked: Arc::clone(&asked),
        };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&answers), Arc::clone(&asked)));
            }
        });
        fake
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("docker.sock")
    }

    fn answer(&self, path: &str, status: u16, body: &str) {
        let mut answers = self.answers.lock().unwrap();
        answers.insert(path.to_owned(), (status, body.to_owned()));
    }

    /// Containers that run: id, project, service.
    fn run(&self, containers: &[(&str, &str, &str)]) {
        let listed: Vec<Value> = containers
            .iter()
            .map(|(id, project, service)| {
                json!({ "Id": id, "State": "running", "Labels": {
                    "com.docker.compose.project": project, "com.docker.compose.service": service } })
            })
            .collect();
        self.answer("/containers/json", 200, &json!(listed).to_string());
    }

    fn stats(&self, id: &str, stats: &Value) {
        self.answer(&format!("/containers/{id}/stats"), 200, &stats.to_string());
    }

    async fn look(watched: &mut Watched) -> Sample {
        let asked = watched.ask(&Handle::current());
        watched.answers(vec![asked]).await.0.remove(0)
    }

    async fn watch(&self) -> Watched {
        let engine = Engine::at(&self.socket()).unwrap();
        Watched::find(engine, None).await.unwrap()
    }
}

/// HTTP as far as it is needed: a request without a body, an answer with its length.
async fn serve(stream: UnixStream, answers: Answers, asked: Arc<Mutex<Vec<String>>>) {
    let mut stream = BufReader::new(stream);
    loop {
        let mut first = String::new();
        if stream.read_line(&mut first).await.unwrap_or(0) == 0 {
            return;
        }
        let mut line = String::new();
        while stream.read_line(&mut line).await.unwrap_or(0) > 2 {
            line.clear();
        }
        let target = first.split(' ').nth(1).unwrap().to_owned();
        let path = target.split('?').next().unwrap().to_owned();
        asked.lock().unwrap().push(target);
        let answer = answers.lock().unwrap().get(&path).cloned();
        let (status, body) = answer.unwrap_or((404, "{\"message\":\"No such container\"}".into()));
        let head = format!(
            "HTTP/1.1 {status} Any\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}

/// As an Engine on cgroups of version 2 answers.
fn second_version(cpu_ms: u64, mib: u64) -> Value {
    json!({ "read": "2026-11-22T01:02:03.000000004Z", "preread": "0001-01-01T00:00:00Z", "num_procs": 0,
        "pids_stats": { "current": 9 }, "precpu_stats": {},
        "cpu_stats": { "cpu_usage": { "total_usage": cpu_ms * 1_000_000, "usage_in_kernelmode": 1, "usage_in_usermode": 2 },
            "system_cpu_usage": 9_000_000_000_000_u64, "online_cpus": 2 },
        "memory_stats": { "usage": (mib + 7) * 1_048_576, "limit": 1_u64 << 40,
            "stats": { "anon": (mib - 1) * 1_048_576, "file": 8 * 1_048_576, "inactive_file": 7 * 1_048_576 } } })
}

/// As an Engine on cgroups of version 1 answers.
fn first_version(cpu_ms: u64, mib: u64) -> Value {
    json!({ "read": "2026-11-22T01:02:03.000000004Z",
        "cpu_stats": { "cpu_usage": { "total_usage": cpu_ms * 1_000_000, "percpu_usage": [1, 2] }, "online_cpus": 2 },
        "memory_stats": { "usage": (mib + 7) * 1_048_576, "max_usage": 1_u64 << 40, "failcnt": 0,
            "stats": { "cache": 9, "rss": 5, "inactive_file": 3, "total_cache": 8 * 1_048_576,
                "total_rss": (mib - 1) * 1_048_576, "total_inactive_file": 7 * 1_048_576 } } })
}

fn service<'a>(services: &'a [Service], name: &str) -> &'a Service {
    services.iter().find(|it| it.name == name).unwrap()
}

#[tokio::test]
async fn given_cgroups_of_either_version_when_watched_then_cpu_and_memory_come_by_service() {
    for stats in [first_version, second_version] {
        let fake = Fake::start();
        fake.run(&[
            ("g1", "bank", "graphql-endpoint"),
            ("g2", "bank", "graphql-endpoint"),
            ("h1", "bank", "command-handler"),
        ]);
        for (id, cpu_ms, mib) in [("g1", 100, 30), ("g2", 200, 40), ("h1", 5, 10)] {
            fake.stats(id, &stats(cpu_ms, mib));
        }
        let mut watched = fake.watch().await;
        assert_eq!(watched.project, "bank");
        let first = Fake::look(&mut watched).await;
        for (id, cpu_ms, mib) in [("g1", 600, 35), ("g2", 700, 40), ("h1", 105, 8)] {
            fake.stats(id, &stats(cpu_ms, mib));
        }
        let last = Fake::look(&mut watched).await;
        let services = watched.services(&[first, last], 2.0, 1_000.0);
        let gateway = service(&services, "graphql-endpoint");
        assert!((gateway.cpu_percent - 50.0).abs() < 1e-9, "{gateway:?}");
        assert!((gateway.cpu_us_per_command - 1_000.0).abs() < 1e-9);
        assert_eq!(
            (gateway.memory_mib, gateway.rss_anon_mib),
            (Some(75.0), Some(73.0))
        );
        let handler = service(&services, "command-handler");
        assert!((handler.cpu_percent - 5.0).abs() < 1e-9, "{handler:?}");
        assert_eq!(handler.memory_mib, Some(10.0), "the greatest");
        assert_eq!(
            (handler.pss_mib, handler.run_queue_wait_percent),
            (None, None)
        );
        assert!(watched.about.missing.is_empty(), "{:?}", watched.about);
        let asked = fake.asked.lock().unwrap().join("\n");
        assert!(
            asked.contains("com.docker.compose.project%3Dbank"),
            "{asked}"
        );
        assert!(
            asked.contains("/containers/h1/stats?stream=false&one-shot=true"),
            "{asked}"
        );
    }
}

#[tokio::test]
async fn given_a_container_that_stops_when_watched_then_it_has_no_figures_and_the_others_have() {
    let fake = Fake::start();
    fake.run(&[
        ("g1", "bank", "graphql-endpoint"),
        ("h1", "bank", "command-handler"),
    ]);
    fake.stats("g1", &second_version(100, 30));
    fake.stats("h1", &second_version(100, 30));
    let mut watched = fake.watch().await;
    let first = Fake::look(&mut watched).await;
    fake.stats("g1", &second_version(300, 30));
    // What the Engine says of one that has ended; the list may be older.
    fake.stats(
        "h1",
        &json!({ "read": "0001-01-01T00:00:00Z", "cpu_stats": { "cpu_usage": { "total_usage": 0 } }, "memory_stats": {} }),
    );
    let last = Fake::look(&mut watched).await;
    let services = watched.services(&[first.clone(), last], 2.0, 1_000.0);
    let names: Vec<&str> = services.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["graphql-endpoint"]);
    assert!(
        watched.about.missing[0].contains("command-handler"),
        "{:?}",
        watched.about
    );
    // And one that is gone altogether.
    fake.answers.lock().unwrap().remove("/containers/h1/stats");
    let last = Fake::look(&mut watched).await;
    assert_eq!(watched.services(&[first, last], 2.0, 1_000.0).len(), 1);
}

#[tokio::test]
async fn given_garbage_or_an_engine_that_refuses_when_watched_then_there_are_words_and_no_figures()
{
    let fake = Fake::start();
    fake.run(&[("g1", "bank", "graphql-endpoint")]);
    fake.stats("g1", &second_version(100, 30));
    let mut watched = fake.watch().await;
    let first = Fake::look(&mut watched).await;
    for (status, body) in [
        (200, "not json"),
        (200, "[1, 2]"),
        (500, "{\"message\":\"no\"}"),
    ] {
        fake.answer("/containers/g1/stats", status, body);
        let last = Fake::look(&mut watched).await;
        assert!(last.is_empty(), "{body}");
        assert!(
            watched
                .services(&[first.clone(), last], 2.0, 1_000.0)
                .is_empty()
        );
    }
    assert!(watched.about.missing.len() >= 2, "{:?}", watched.about);
    assert!(watched.about.services.is_empty());
    fake.answer("/containers/json", 403, "{}");
    assert!(Fake::look(&mut watched).await.is_empty());
    let too_much = format!("[{}]", " ".repeat(5 * 1_024 * 1_024));
    fake.answer("/containers/json", 200, &too_much);
    let why = watched.engine.containers(None).await.unwrap_err();
    assert!(why.ends_with("it said too much"), "{why}");
}

#[tokio::test]
async fn given_no_bank_or_several_when_looked_for_then_words_say_which_and_a_name_decides() {
    let fake = Fake::start();
    let engine = || Engine::at(&fake.socket()).unwrap();
    let why = |found: Result<Watched, String>| found.err().unwrap();
    fake.run(&[("a", "shop", "web")]);
    let none = why(Watched::find(engine(), None).await);
    assert_eq!(none, "no container of a service graphql-endpoint runs");
    fake.run(&[]);
    let none = why(Watched::find(engine(), Some("bank")).await);
    assert_eq!(none, "no container of the project bank runs");
    fake.run(&[
        ("a", "one", "graphql-endpoint"),
        ("b", "two", "graphql-endpoint"),
    ]);
    let several = why(Watched::find(engine(), None).await);
    assert!(several.contains("(one, two)"), "{several}");
    fake.run(&[("b", "two", "kafka")]);
    let found = Watched::find(engine(), Some("two")).await.unwrap();
    assert_eq!(found.project, "two");
}
