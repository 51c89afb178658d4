//! The command line as a person or a script meets it: what it prints, how it ends, and what is left running.
//! Only the cluster is started here; the whole bank is the business of the end-to-end tests.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::{
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

use local_cluster::{Layout, ProcessIdentity, State};
use rustix::process::Signal;
use serde_json::Value;

fn bank(directory: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_bank"));
    local_cluster::withhold(&mut command);
    command
        .arg("--directory")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null());
    // Waits for the end of the pipes too: a detached supervisor must not have inherited them.
    command.output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn status(directory: &Path) -> (i32, Value) {
    let output = bank(directory, &["status", "--json"]);
    (
        code(&output),
        serde_json::from_slice(&output.stdout).unwrap(),
    )
}

fn processes(directory: &Path) -> Vec<ProcessIdentity> {
    let state = State::load(&Layout::new(directory)).unwrap().unwrap();
    state
        .programs
        .values()
        .filter_map(|program| program.process)
        .collect()
}

/// Stops what a failed test leaves running.
struct Running<'a>(&'a Path);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        bank(self.0, &["down"]);
    }
}

#[test]
fn given_nothing_that_runs_when_asked_then_every_command_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path().join("bank");
    for (arguments, expected_code, expected_text) in [
        (&["down"][..], 0, "Nothing runs"),
        (&["status"], 1, "Nothing runs"),
        (&["load", "200"], 1, "not running"),
        (&["load", "2001"], 2, "0..=2000"),
        (&["logs"], 2, "no logs"),
        (&["reset", "--yes"], 0, "nothing in"),
        (&["up", "--port", "0"], 2, "--port"),
        (&["perf", "gateway"], 2, "gateway"),
        (&["fly"], 2, "fly"),
    ] {
        let output = bank(&directory, arguments);
        assert_eq!(
            code(&output),
            expected_code,
            "{arguments:?}: {}",
            text(&output)
        );
        assert!(
            text(&output).contains(expected_text),
            "{arguments:?}: {}",
            text(&output)
        );
    }
    let (code, status) = status(&directory);
    assert_eq!(
        (code, status["ready"].as_bool(), &status["services"]),
        (1, Some(false), &Value::Array(vec![]))
    );
    assert!(!directory.exists(), "asking makes nothing");
}

#[test]
fn given_a_directory_of_somebody_else_when_reset_then_it_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("thesis.txt"), "years of work").unwrap();
    let output = bank(folder.path(), &["reset", "--yes"]);
    assert_eq!(code(&output), 2, "{}", text(&output));
    assert!(folder.path().join("thesis.txt").exists());
}

#[test]
fn given_a_detached_cluster_when_its_supervisor_is_killed_then_the_next_start_takes_over_and_down_ends_all()
 {
    let folder = tempfile::tempdir().unwrap();
    let directory = folder.path();
    let _running = Running(directory);

    let output = bank(directory, &["up", "--cluster", "--detach"]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    for expected in [
        "PostgreSQL answers",
        "Kafka answers",
        "the schema registry answers",
        "ready after",
    ] {
        assert!(
            text(&output).contains(expected),
            "{expected} in {}",
            text(&output)
        );
    }
    let (code_ready, first) = status(directory);
    assert_eq!(
        (code_ready, first["ready"].as_bool()),
        (0, Some(true)),
        "{first}"
    );
    assert!(
        first["addresses"]["kafka"]
            .as_str()
            .unwrap()
            .starts_with("127.0.0.1:")
    );
    let names: Vec<&str> = first["services"]
        .as_array()
        .unwrap()
        .iter()
        .map(|service| service["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["postgres", "kafka", "registry"]);
    for service in first["services"].as_array().unwrap() {
        assert_eq!(
            (service["state"].as_str(), service["restarts"].as_u64()),
            (Some("ready"), Some(0))
        );
        assert!(
            service["resident_kib"].as_u64().unwrap() > 1024,
            "{service}"
        );
        assert!(service["cpu_seconds"].is_f64());
    }
    let again = bank(directory, &["up", "--cluster", "--detach"]);
    assert!(
        code(&again) == 0 && text(&again).contains("It runs already"),
        "{}",
        text(&again)
    );

    let orphans = processes(directory);
    let supervisor = State::load(&Layout::new(directory))
        .unwrap()
        .unwrap()
        .supervisor
        .unwrap();
    supervisor.signal(Signal::KILL);
    let deadline = Instant::now() + Duration::from_secs(10);
    while supervisor.is_alive() {
        assert!(Instant::now() < deadline, "a killed supervisor ends");
        std::thread::sleep(Duration::from_millis(10));
    }
    assert!(
        orphans.iter().all(|process| process.is_alive()),
        "its processes go on"
    );
    assert_eq!(status(directory).0, 1);

    let taken_over = bank(directory, &["up", "--cluster", "--detach"]);
    assert_eq!(code(&taken_over), 0, "{}", text(&taken_over));
    assert!(
        orphans.iter().all(|process| !process.is_alive()),
        "one owner, one set of processes"
    );
    assert_eq!(
        status(directory).1["addresses"],
        first["addresses"],
        "the addresses stay"
    );

    let current = processes(directory);
    let logs = bank(directory, &["logs", "kafka"]);
    assert!(
        text(&logs).contains("Kafka Server started"),
        "{}",
        text(&logs)
    );
    let down = bank(directory, &["down"]);
    assert!(
        code(&down) == 0 && text(&down).contains("Stopped"),
        "{}",
        text(&down)
    );
    assert!(current.iter().all(|process| !process.is_alive()));

    let squatted: u16 = first["addresses"]["kafka"]
        .as_str()
        .unwrap()
        .rsplit(':')
        .next()
        .unwrap()
        .parse()
        .unwrap();
    let squatter = TcpListener::bind(("127.0.0.1", squatted)).unwrap();
    let elsewhere = bank(directory, &["up", "--cluster", "--detach"]);
    assert_eq!(code(&elsewhere), 0, "{}", text(&elsewhere));
    assert_ne!(
        status(directory).1["addresses"]["kafka"],
        first["addresses"]["kafka"]
    );
    drop(squatter);

    let reset = bank(directory, &["reset", "--yes"]);
    assert_eq!(code(&reset), 0, "{}", text(&reset));
    assert!(!directory.exists());
}
