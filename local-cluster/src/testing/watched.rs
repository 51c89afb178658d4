//! A service as a process of a test: the program itself, or the test binary started anew
//! with a watcher that stops the service at one of its steps.
//!
//! The steps are the service's own; here they are names.

use std::fmt::Debug;
use std::fs::File;
use std::future::Future;
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use rustix::process::{Pid, Signal, kill_process};

use crate::program::withhold;

/// Longest wait for anything to become true.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at what is waited for.
pub const GLANCE: Duration = Duration::from_millis(20);
/// Where a watched service stops, how, and at which passing. Not `BANK_`: the programs know
/// nothing of it.
const STOP_VARIABLE: &str = "STOP_AT";
/// Said by a watched service just before it acts.
const REACHED: &str = "reached the step";
/// The word on its standard input with which a paused service goes on.
const GO_ON: &[u8] = b"on\n";
/// Asks for the long form of the tests that have one.
const FULL_VARIABLE: &str = "BANK_TEST_FULL";

/// What a watched service does at its step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Dies at once.
    Abort,
    /// Its next step fails.
    Error,
    /// Stands still until told to go on.
    Pause,
}

impl Action {
    /// All.
    pub const ALL: [Action; 3] = [Action::Abort, Action::Error, Action::Pause];
}

/// Where and how a watched service is stopped.
#[derive(Clone, Copy, Debug)]
pub struct Stop<S> {
    /// After this step.
    pub step: S,
    /// This happens.
    pub action: Action,
    /// When the step is passed for this time, the first being 1.
    pub passing: u64,
}

impl<S: Copy + Debug + PartialEq> Stop<S> {
    /// What a process that was started with [`watched`] is to do; `None` in any other.
    ///
    /// # Panics
    /// When the steps it may stop at do not hold it.
    #[must_use]
    pub fn asked_for(steps: &[S]) -> Option<Stop<S>> {
        let text = std::env::var(STOP_VARIABLE).ok()?;
        let words: Vec<&str> = text.split(' ').collect();
        let named = |word: &str, it: &dyn Debug| format!("{it:?}") == word;
        let step = steps.iter().find(|step| named(words[0], step));
        let action = Action::ALL.iter().find(|action| named(words[1], action));
        Some(Stop {
            step: *step.expect("a step of the service"),
            action: *action.expect("an action"),
            passing: words[2].parse().expect("a number"),
        })
    }

    /// Tells of each step whether the service is to go on: does what the stop is to do when
    /// its time has come. `before` is called just before that.
    ///
    /// The error is the step after which the next one is to fail.
    pub fn watcher(self, before: impl Fn(S)) -> impl Fn(S) -> Result<(), S> {
        let passed = AtomicU64::new(0);
        move |step| {
            if step != self.step || passed.fetch_add(1, Ordering::Relaxed) + 1 != self.passing {
                return Ok(());
            }
            before(step);
            tracing::warn!("{REACHED} {step:?}");
            match self.action {
                Action::Abort => std::process::abort(),
                Action::Error => Err(step),
                // The test stops the process. Stopping itself would not do: the signal may
                // be taken by another thread, while this one goes on to its next step.
                Action::Pause => {
                    let mut word = [0; GO_ON.len()];
                    let told = std::io::stdin().read_exact(&mut word);
                    told.expect("the test tells when to go on");
                    Ok(())
                }
            }
        }
    }
}

/// The test binary that runs, as a command that runs only `entry`, a test function that
/// asks [`Stop::asked_for`] and then is the service.
///
/// # Panics
/// When the operating system does not say what runs.
#[must_use]
pub fn watched<S: Debug>(entry: &str, stop: &Stop<S>) -> Command {
    let own = std::env::current_exe().expect("a running program has a path");
    let mut command = Command::new(own);
    command
        .args(["--exact", entry, "--nocapture", "--test-threads", "1"])
        .env(
            STOP_VARIABLE,
            format!("{:?} {:?} {}", stop.step, stop.action, stop.passing),
        );
    command
}

/// Runs a watched service to its end, as its program does.
///
/// # Panics
/// When there are no threads for it.
pub fn run_to_its_end<E: std::error::Error>(
    service: impl Future<Output = Result<(), E>>,
    chain: impl Fn(&E) -> String,
) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(3)
        .enable_all()
        .build()
        .expect("threads for the service");
    let ended = runtime.block_on(service);
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error = chain(&error);
            tracing::error!(error, "cannot go on");
            ExitCode::FAILURE
        }
    }
}

/// A running service; killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts it without the caller's `BANK_` variables but those of the command, and with
    /// its words in `log`.
    ///
    /// # Panics
    /// When it cannot be started.
    #[must_use]
    pub fn spawn(mut command: Command, log: &Path) -> Process {
        let given: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        withhold(&mut command);
        let file = File::create(log).expect("the log can be written");
        let errors = file.try_clone().expect("the log can be written twice");
        let child = command
            .envs(given)
            .env("NO_COLOR", "1")
            .stdin(Stdio::piped())
            .stdout(file)
            .stderr(errors)
            .spawn()
            .expect("the program can be started");
        Process {
            child,
            log: log.to_owned(),
        }
    }

    fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("a process has a number"), signal).expect("the process is ours");
    }

    /// SIGKILL.
    ///
    /// # Panics
    /// When it is not there any more.
    pub fn kill(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// SIGSTOP.
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    /// SIGCONT, and the word that a watched service waits for at its step.
    ///
    /// # Panics
    /// When it has ended.
    pub fn resume(&mut self) {
        self.signal(Signal::CONT);
        let input = self.child.stdin.as_mut().expect("its input is ours");
        input.write_all(GO_ON).expect("it listens");
    }

    /// Asks for a clean end.
    pub fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    /// SIGTERM, and the clean end it asks for.
    ///
    /// # Panics
    /// When it ends otherwise, or not.
    pub async fn end(mut self) {
        self.terminate();
        let status = self.exit().await;
        assert!(status.success(), "{status}\n{}", self.said());
    }

    /// Waits until it has ended.
    ///
    /// # Panics
    /// When it does not.
    pub async fn exit(&mut self) -> ExitStatus {
        eventually("the process ends", PATIENCE, async || {
            self.child.try_wait().expect("it is our child")
        })
        .await
    }

    /// Whether it has not ended.
    ///
    /// # Panics
    /// When the operating system does not say.
    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Everything it has said.
    ///
    /// # Panics
    /// When its log is gone.
    #[must_use]
    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).expect("its log is there")
    }

    /// Waits until it has said something.
    ///
    /// # Panics
    /// When it ends without.
    pub async fn says(&mut self, what: &str) {
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

    /// Whether a watched service has come to its step.
    #[must_use]
    pub fn has_reached(&self) -> bool {
        self.said().contains(REACHED)
    }

    /// Waits until a watched service is at its step, and has done what it was to do there,
    /// unless that is to go on.
    ///
    /// # Panics
    /// When it does something else.
    pub async fn reaches<S>(&mut self, stop: Stop<S>) {
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
                    let stat = std::fs::read_to_string(&stat).expect("it is there");
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

/// Asks again and again until there is an answer.
///
/// # Panics
/// When there is none in time.
pub async fn eventually<T>(
    what: &str,
    patience: Duration,
    mut condition: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(answer) = condition().await {
            return answer;
        }
        assert!(Instant::now() < deadline, "not within {patience:?}: {what}");
        tokio::time::sleep(GLANCE).await;
    }
}

/// Whether the long form of the tests is asked for: `BANK_TEST_FULL=1`.
#[must_use]
pub fn full() -> bool {
    std::env::var(FULL_VARIABLE).is_ok_and(|value| value == "1")
}

/// Runs scenarios, so many side by side, and tells of every one that failed.
///
/// # Panics
/// When one did.
pub async fn run_all<T, F>(
    scenarios: Vec<T>,
    side_by_side: usize,
    run: impl Fn(T) -> F + Copy + Send + 'static,
) where
    T: Copy + Debug + Send + 'static,
    F: Future<Output = ()>,
{
    let outcomes: Vec<(T, bool)> = futures_util::stream::iter(scenarios)
        .map(|scenario| async move {
            let runtime = tokio::runtime::Handle::current();
            let blocking = move || runtime.block_on(run(scenario));
            let outcome = tokio::task::spawn_blocking(blocking).await;
            (scenario, outcome.is_ok())
        })
        .buffer_unordered(side_by_side)
        .collect()
        .await;
    let failed: Vec<T> = outcomes
        .into_iter()
        .filter(|(_, passed)| !passed)
        .map(|(scenario, _)| scenario)
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
