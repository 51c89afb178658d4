//! A gateway as a process: the program itself, or the same with a watcher that stops it at
//! a step.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use clap::Parser;
use graphql_endpoint::config::Config;
use graphql_endpoint::run_watched;
use graphql_endpoint::steps::{Interrupted, Step, Steps};
use local_cluster::withhold;
use rustix::process::{Pid, Signal, kill_process};

use crate::world::World;
use crate::{PATIENCE, eventually};

/// Where the watched gateway stops, how, and at which passing. Not `BANK_`: the program
/// knows no such thing.
const STOP_VARIABLE: &str = "STOP_GATEWAY_AT";
/// Said by the watched gateway just before it acts.
const REACHED: &str = "reached the step";
/// The word on its standard input with which a paused gateway goes on.
const GO_ON: &[u8] = b"\n";

/// What the watched gateway does at its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Dies without a word.
    Abort,
    /// The next step fails.
    Error,
    /// Stops running, as when its machine is suspended.
    Pause,
}

impl Action {
    pub(crate) const ALL: [Action; 3] = [Action::Abort, Action::Error, Action::Pause];
}

/// Where and how a watched gateway is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) action: Action,
    /// 1 for the first time it passes the step.
    pub(crate) passing: u64,
}

/// A running gateway; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub(crate) fn start(world: &World, address: &str, stop: Option<Stop>) -> Process {
        let mut command = match stop {
            None => Command::new(env!("CARGO_BIN_EXE_graphql-endpoint")),
            Some(stop) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command
                    .args(["--exact", "process::a_watched_gateway"])
                    .args(["--nocapture", "--test-threads", "1"])
                    .env(
                        STOP_VARIABLE,
                        format!("{:?} {:?} {}", stop.step, stop.action, stop.passing),
                    );
                command
            }
        };
        withhold(&mut command);
        let log = world.folder.join(format!("{}.log", world.next_process()));
        let file = File::create(&log).unwrap();
        let child = command
            .env("BANK_KAFKA_BROKERS", &world.cluster.kafka_brokers)
            .env("BANK_TOPIC_PREFIX", &world.kafka.topic_prefix)
            .env(
                "BANK_SCHEMA_REGISTRY_URL",
                &world.cluster.schema_registry_url,
            )
            .env("BANK_DATABASE_URL", &world.read_model.url)
            .env("BANK_TOKEN_KEY_FILE", world.folder.join("token.key"))
            .env("BANK_LISTEN_ADDRESS", address)
            .env("BANK_DEMO_MODE", "true")
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file)
            .spawn()
            .unwrap();
        Process { child, log }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// SIGCONT, and the word that the watched gateway waits for at its step.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(GO_ON).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and the clean end it asks for.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        let status = self.exit().await;
        assert!(status.success(), "{status}\n{}", self.said());
    }

    /// Waits until it has ended.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        eventually("the process ends", PATIENCE, async || {
            self.child.try_wait().unwrap()
        })
        .await
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Everything it has said.
    pub(crate) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Whether the watched gateway has come to its step.
    pub(crate) fn has_reached(&self) -> bool {
        self.said().contains(REACHED)
    }

    /// Waits until the watched gateway is at its step, and has done what it was to do
    /// there, unless that is to go on.
    pub(crate) async fn reaches(&mut self, stop: Stop) {
        eventually(&format!("{stop:?}"), PATIENCE, async || {
            let said = self.said();
            let there = said.contains(REACHED);
            assert!(
                there || self.is_running(),
                "it ended before {stop:?}:\n{said}"
            );
            there.then_some(())
        })
        .await;
        match stop.action {
            Action::Abort => {
                let status = self.exit().await;
                assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
            }
            Action::Pause => {
                self.signal(Signal::STOP);
                let stat = format!("/proc/{}/stat", self.child.id());
                eventually("the process pauses", PATIENCE, async || {
                    let stat = std::fs::read_to_string(&stat).unwrap();
                    stat.rsplit(") ").next()?.starts_with('T').then_some(())
                })
                .await;
            }
            Action::Error => {}
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Not a test: the gateway as the tests start it when it is to stop at a step. It ends at
/// once when the harness runs it.
#[test]
fn a_watched_gateway() {
    let Ok(stop) = std::env::var(STOP_VARIABLE) else {
        return;
    };
    let code = watched_gateway(parse(&stop));
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

fn parse(text: &str) -> Stop {
    let words: Vec<&str> = text.split(' ').collect();
    let step = Step::ALL
        .into_iter()
        .find(|step| format!("{step:?}") == words[0])
        .unwrap();
    let action = Action::ALL
        .into_iter()
        .find(|action| format!("{action:?}") == words[1])
        .unwrap();
    Stop {
        step,
        action,
        passing: words[2].parse().unwrap(),
    }
}

fn watched_gateway(stop: Stop) -> ExitCode {
    let config = Config::try_parse_from(["graphql-endpoint"]).unwrap();
    topology::telemetry::start(&config.common.log, config.common.log_format);
    let passed = AtomicU64::new(0);
    let steps = Steps::watched_by(move |step| {
        if step == stop.step && passed.fetch_add(1, Ordering::Relaxed) + 1 == stop.passing {
            act(stop)
        } else {
            Ok(())
        }
    });
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .unwrap();
    let ended = runtime.block_on(async {
        let signal = topology::shutdown::on_signal().unwrap();
        run_watched(config, signal, steps).await
    });
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = topology::service::chain(&error);
            tracing::error!(error, "cannot go on");
            ExitCode::FAILURE
        }
    }
}

fn act(stop: Stop) -> Result<(), Interrupted> {
    tracing::warn!("{REACHED} {:?}", stop.step);
    match stop.action {
        Action::Abort => std::process::abort(),
        Action::Error => Err(Interrupted(stop.step)),
        // The test stops the process, and this thread waits for its word: stopping itself
        // would let it run on until the signal is taken.
        Action::Pause => {
            let mut word = [0; GO_ON.len()];
            std::io::stdin().read_exact(&mut word).unwrap();
            Ok(())
        }
    }
}
