//! Handlers as whole processes: the program itself, or the same with a watcher that stops
//! it at a step.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use clap::Parser;
use command_handler::steps::{Interrupted, Step, Steps};
use command_handler::{Config, run_watched};
use local_cluster::withhold;
use rustix::process::{Pid, Signal, kill_process};
use tokio_postgres::NoTls;

use crate::world::World;
use crate::{PATIENCE, eventually};

/// Where the watched handler stops, how, and at which passing. Not `BANK_`: the program
/// knows no such thing.
const STOP_VARIABLE: &str = "STOP_HANDLER_AT";
/// Said by the watched handler just before it acts.
const REACHED: &str = "reached the step";
/// The word on its standard input with which a paused handler goes on.
const GO_ON: &[u8] = b"\n";

/// What the watched handler does at its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    /// Dies without a word.
    Abort,
    /// The next step fails.
    Error,
    /// Stops running, as when its machine is suspended.
    Pause,
}

/// Where and how a watched handler is stopped.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stop {
    pub(crate) step: Step,
    pub(crate) action: Action,
    /// 1 for the first time it passes the step.
    pub(crate) passing: u64,
}

/// Settings of one process that differ.
#[derive(Clone, Copy, Default)]
pub(crate) struct Settings<'a> {
    pub(crate) database_url: Option<&'a str>,
    pub(crate) batch_max: Option<u64>,
    pub(crate) classic: bool,
    pub(crate) stop: Option<Stop>,
}

/// A running handler; killed when dropped.
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// The program as users run it.
    pub(crate) fn start(world: &World) -> Process {
        Process::start_with(world, Settings::default())
    }

    pub(crate) fn start_with(world: &World, settings: Settings<'_>) -> Process {
        let mut command = match settings.stop {
            None => Command::new(env!("CARGO_BIN_EXE_command-handler")),
            Some(stop) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command
                    .args(["--exact", "process::a_watched_handler"])
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
        let database_url = settings.database_url.unwrap_or(&world.books.url);
        command
            .env("BANK_KAFKA_BROKERS", &world.cluster.kafka_brokers)
            .env("BANK_TOPIC_PREFIX", &world.prefix)
            .env(
                "BANK_SCHEMA_REGISTRY_URL",
                &world.cluster.schema_registry_url,
            )
            .env("BANK_DATABASE_URL", database_url)
            .env("BANK_HANDLER_KEY_FILE", world.folder.join("handler.key"))
            .env(
                "BANK_COMPANY_TOKEN_FILE",
                world.folder.join("company.token"),
            )
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(file.try_clone().unwrap())
            .stderr(file);
        if let Some(batch_max) = settings.batch_max {
            command.env("BANK_BATCH_MAX", batch_max.to_string());
        }
        if settings.classic {
            command.env("BANK_KAFKA_GROUP_PROTOCOL", "classic");
        }
        let child = command.spawn().unwrap();
        Process { child, log }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGSTOP.
    pub(crate) fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT, and the word that the watched handler waits for at its step.
    pub(crate) fn resume(&mut self) {
        self.signal(Signal::CONT);
        self.child.stdin.as_mut().unwrap().write_all(GO_ON).unwrap();
    }

    /// SIGTERM, and the clean end it asks for.
    pub(crate) async fn end(mut self) {
        self.signal(Signal::TERM);
        let status = self.exit().await;
        assert!(status.success(), "{status}\n{}", self.said());
    }

    /// Asks for a clean end.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
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

    /// Waits until it has said something.
    pub(crate) async fn says(&mut self, what: &str) {
        eventually(what, PATIENCE, async || {
            let said = self.said();
            let there = said.contains(what);
            assert!(
                there || self.is_running(),
                "it ended without {what}:\n{said}"
            );
            there.then_some(())
        })
        .await;
    }

    /// Whether the watched handler has come to its step.
    pub(crate) fn has_reached(&self) -> bool {
        self.said().contains(REACHED)
    }

    /// Waits until the watched handler is at its step, and has done what it was to do
    /// there, unless that is to go on.
    pub(crate) async fn reaches(&mut self, stop: Stop) {
        self.says(REACHED).await;
        match stop.action {
            Action::Abort => {
                let status = self.exit().await;
                assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()));
            }
            Action::Pause => {
                self.pause();
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

/// Not a test: the handler as the tests start it when it is to stop at a step. It ends at
/// once when the harness runs it.
#[test]
fn a_watched_handler() {
    let Ok(stop) = std::env::var(STOP_VARIABLE) else {
        return;
    };
    let code = watched_handler(parse(&stop));
    std::process::exit(i32::from(code != ExitCode::SUCCESS));
}

fn parse(text: &str) -> Stop {
    let words: Vec<&str> = text.split(' ').collect();
    let step = Step::ALL
        .into_iter()
        .find(|step| format!("{step:?}") == words[0])
        .unwrap();
    let action = [Action::Abort, Action::Error, Action::Pause]
        .into_iter()
        .find(|action| format!("{action:?}") == words[1])
        .unwrap();
    Stop {
        step,
        action,
        passing: words[2].parse().unwrap(),
    }
}

fn watched_handler(stop: Stop) -> ExitCode {
    let config = Config::try_parse_from(["command-handler"]).unwrap();
    topology::telemetry::start(&config.common.log, config.common.log_format);
    let passed = AtomicU64::new(0);
    let database_url = config.database_url.clone();
    let steps = Steps::watched_by(move |step| {
        if step == stop.step && passed.fetch_add(1, Ordering::Relaxed) + 1 == stop.passing {
            if step == Step::CommitSent {
                wait_for_commit(&database_url);
            }
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
        // The test stops the process. Stopping itself would not do: the signal may be taken
        // by another thread, while this one goes on to its next step.
        Action::Pause => {
            let mut word = [0; GO_ON.len()];
            std::io::stdin().read_exact(&mut word).unwrap();
            Ok(())
        }
    }
}

/// Blocks until the server has worked off what was sent to it: then the commit is done,
/// and its answer is on the way to a reader who does not read.
fn wait_for_commit(database_url: &str) {
    let database_url = database_url.to_owned();
    let waiting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&database_url, NoTls).await.unwrap();
            tokio::spawn(connection);
            eventually("the commit is done", PATIENCE, async || {
                let busy = "select count(*) from pg_stat_activity \
                            where datname = current_database() and state <> 'idle' \
                              and application_name = 'command-handler'";
                let busy: i64 = client.query_one(busy, &[]).await.unwrap().get(0);
                (busy == 0).then_some(())
            })
            .await;
        });
    });
    waiting.join().unwrap();
}

/// Longest time that something takes while it is looked at in between.
pub(crate) const GLANCE: Duration = Duration::from_millis(20);
