//! Keeps programs running: a process that dies is started again with back-off, and every process is written
//! down in `state.json` so that a later supervisor can clean up after one that was killed.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    process::ExitStatus,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio::{process::Child, task::JoinHandle};
use tokio_util::sync::CancellationToken;

use crate::{
    ClusterError, Layout, ProcessIdentity, Program, ProgramState, Stage, State, postgres,
    program::Preparation,
};

/// Wait before the first, second, third ... start after a death; the last one stays.
const BACK_OFF: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// After this long without dying, the next death counts as the first.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// A Java program that dies this early may have been given an unusable class archive.
const EARLY_DEATH: Duration = Duration::from_secs(5);

/// What a supervisor tells while it works.
#[derive(Debug, Clone)]
pub enum Event {
    /// A step is done.
    Step {
        /// What was done.
        what: String,
        /// In how much time.
        took: Duration,
    },
    /// Something worth a line.
    Note(String),
    /// A supervised process ended by itself.
    Died {
        /// Which.
        name: String,
        /// How.
        status: String,
        /// When it is started again.
        restart_in: Duration,
        /// Where its output is.
        log_file: PathBuf,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step { what, took } => {
                write!(formatter, "{what:<44} {:>6.1} s", took.as_secs_f64())
            }
            Self::Note(text) => formatter.write_str(text),
            Self::Died {
                name,
                status,
                restart_in,
                log_file,
            } => write!(
                formatter,
                "{name} died ({status}); started again in {:.1} s, its log is {}",
                restart_in.as_secs_f64(),
                log_file.display()
            ),
        }
    }
}

/// Told every event, from any thread.
pub type Report = Arc<dyn Fn(&Event) + Send + Sync>;

/// The programs of one directory and the tasks that keep them running.
pub(crate) struct Supervisor {
    shared: Arc<Shared>,
    running: Mutex<BTreeMap<String, Running>>,
}

struct Shared {
    layout: Layout,
    state: Mutex<State>,
    report: Report,
}

struct Running {
    stage: Stage,
    program: Program,
    stop: CancellationToken,
    deaths: Arc<AtomicU32>,
    task: JoinHandle<()>,
}

impl Supervisor {
    pub(crate) fn new(
        layout: Layout,
        mut state: State,
        report: Report,
    ) -> Result<Self, ClusterError> {
        state.supervisor = ProcessIdentity::own();
        state.ready = false;
        state.programs.clear();
        state.save(&layout)?;
        let shared = Arc::new(Shared {
            layout,
            state: Mutex::new(state),
            report,
        });
        Ok(Self {
            shared,
            running: Mutex::new(BTreeMap::new()),
        })
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.shared.layout
    }

    pub(crate) fn report(&self, event: &Event) {
        (self.shared.report)(event);
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.shared.state).clone()
    }

    /// Changes what is remembered.
    pub(crate) fn update<T>(
        &self,
        change: impl FnOnce(&mut State) -> T,
    ) -> Result<T, ClusterError> {
        self.shared.update(change)
    }

    /// How often the program died since it was started.
    pub(crate) fn deaths(&self, name: &str) -> u32 {
        lock(&self.running)
            .get(name)
            .map_or(0, |running| running.deaths.load(Ordering::Relaxed))
    }

    /// Starts a program and keeps it running until it is stopped.
    pub(crate) fn start(&self, program: Program) {
        let stop = CancellationToken::new();
        let deaths = Arc::new(AtomicU32::new(0));
        let name = program.name.clone();
        let stage = program.stage;
        let kept = program.clone();
        let task = tokio::spawn(keep_running(
            Arc::clone(&self.shared),
            program,
            stop.clone(),
            Arc::clone(&deaths),
        ));
        lock(&self.running).insert(
            name,
            Running {
                stage,
                program: kept,
                stop,
                deaths,
                task,
            },
        );
    }

    /// Ends one program and keeps it ended; returns it, none when it was not started.
    pub(crate) async fn stop_program(&self, name: &str, signal: Signal) -> Option<Program> {
        let running = lock(&self.running).remove(name)?;
        let process = self.state().programs.get(name).and_then(|it| it.process);
        running.stop.cancel();
        if let Some(process) = process {
            process.signal(signal);
        }
        // A panic of the task has already been printed.
        let _ = running.task.await;
        Some(running.program)
    }

    /// Stops everything, the latest stage first, the programs of a stage together.
    pub(crate) async fn stop(&self) {
        for stage in [
            Stage::Service,
            Stage::Registry,
            Stage::Broker,
            Stage::Database,
        ] {
            let started = Instant::now();
            let leaving: Vec<(String, Running)> = lock(&self.running)
                .extract_if(.., |_, running| running.stage == stage)
                .collect();
            if leaving.is_empty() {
                continue;
            }
            for (_, running) in &leaving {
                running.stop.cancel();
            }
            let mut names = Vec::with_capacity(leaving.len());
            for (name, running) in leaving {
                // A panic of the task has already been printed; the process is then cleaned up at the next start.
                let _ = running.task.await;
                names.push(name);
            }
            self.report(&Event::Step {
                what: format!("stopped {}", names.join(", ")),
                took: started.elapsed(),
            });
        }
        let forgotten = self.update(|state| {
            state.supervisor = None;
            state.ready = false;
        });
        if let Err(error) = forgotten {
            self.report(&Event::Note(error.to_string()));
        }
    }
}

impl Shared {
    fn update<T>(&self, change: impl FnOnce(&mut State) -> T) -> Result<T, ClusterError> {
        let mut state = lock(&self.state);
        let result = change(&mut state);
        state.save(&self.layout)?;
        Ok(result)
    }

    fn update_program(&self, name: &str, change: impl FnOnce(&mut ProgramState)) {
        let updated =
            self.update(|state| change(state.programs.entry(name.to_owned()).or_default()));
        if let Err(error) = updated {
            (self.report)(&Event::Note(error.to_string()));
        }
    }
}

/// The life of one supervised program.
async fn keep_running(
    shared: Arc<Shared>,
    program: Program,
    stop: CancellationToken,
    deaths: Arc<AtomicU32>,
) {
    let name = program.name.as_str();
    let mut deaths_in_a_row = 0_usize;
    let mut first_start = true;
    while !stop.is_cancelled() {
        if let Preparation::ClearDatabase(data_directory) = &program.preparation {
            postgres::clear_after_kill(data_directory).await;
        }
        let started = Instant::now();
        let status = match program.spawn(&shared.layout) {
            Ok(mut child) => {
                let process = child.id().and_then(ProcessIdentity::of);
                shared.update_program(name, |state| {
                    state.process = process;
                    state.restarts += u32::from(!first_start);
                });
                first_start = false;
                tokio::select! {
                    status = child.wait() => describe(status),
                    () = stop.cancelled() => {
                        end(&program, process, child).await;
                        shared.update_program(name, |state| state.process = None);
                        return;
                    }
                }
            }
            Err(error) => error.to_string(),
        };
        deaths.fetch_add(1, Ordering::Relaxed);
        shared.update_program(name, |state| state.process = None);
        if let Some(archive) = &program.class_archive
            && started.elapsed() < EARLY_DEATH
        {
            archive.discard();
        }
        if started.elapsed() >= STEADY_AFTER {
            deaths_in_a_row = 0;
        }
        let restart_in = BACK_OFF[deaths_in_a_row.min(BACK_OFF.len() - 1)];
        deaths_in_a_row += 1;
        (shared.report)(&Event::Died {
            name: name.to_owned(),
            status,
            restart_in,
            log_file: shared.layout.log_file(name),
        });
        tokio::select! {
            () = tokio::time::sleep(restart_in) => {}
            () = stop.cancelled() => return,
        }
    }
}

/// Ends a process that should no longer run: asks, waits, kills.
async fn end(program: &Program, process: Option<ProcessIdentity>, mut child: Child) {
    if let Some(process) = process {
        process.signal(program.stop_signal);
    }
    if tokio::time::timeout(program.stop_deadline, child.wait())
        .await
        .is_ok()
    {
        if let Some(archive) = &program.class_archive {
            archive.keep();
        }
    } else {
        // An error means that it has ended meanwhile.
        let _ = child.kill().await;
        if let Some(archive) = &program.class_archive {
            archive.discard_new();
        }
    }
}

fn describe(status: std::io::Result<ExitStatus>) -> String {
    status.map_or_else(|error| error.to_string(), |status| status.to_string())
}

/// A panic while the lock was held leaves plain data behind, which is as good as before.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_secs(10);

    async fn until<T>(mut check: impl FnMut() -> Option<T>) -> T {
        tokio::time::timeout(DEADLINE, async {
            loop {
                if let Some(value) = check() {
                    return value;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })
        .await
        .expect("the condition came true in time")
    }

    #[tokio::test]
    async fn given_a_supervised_program_when_it_is_killed_then_it_runs_again_and_stop_ends_it() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create().unwrap();
        let supervisor =
            Supervisor::new(layout.clone(), State::default(), Arc::new(|_| {})).unwrap();
        supervisor.start(
            Program::service("sleeper", "/bin/sleep".into(), folder.path().to_owned())
                .argument("600"),
        );
        let remembered = || {
            State::load(&layout)
                .unwrap()
                .unwrap()
                .programs
                .get("sleeper")
                .cloned()
        };
        let first = until(|| remembered()?.process).await;
        first.signal(Signal::KILL);
        let second = until(|| remembered()?.process.filter(|process| *process != first)).await;
        assert!(second.is_alive() && !first.is_alive());
        assert_eq!(remembered().unwrap().restarts, 1);
        let program = supervisor.stop_program("sleeper", Signal::KILL).await;
        assert!(!second.is_alive());
        assert_eq!(remembered().unwrap().process, None);
        supervisor.start(program.expect("it ran"));
        let third = until(|| remembered()?.process).await;
        supervisor.stop().await;
        assert!(!third.is_alive());
        assert_eq!(remembered().unwrap().process, None);
    }
}
