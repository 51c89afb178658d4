//! One program to run: what, with which environment, as whom, and how it is told to end.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use rustix::process::Signal;
use tokio::process::{Child, Command};

use crate::{ClusterError, Layout, java::ClassArchive};

/// A log file longer than this at a start is put aside as `.log.1`, in place of the one before.
const LOG_LIMIT_BYTES: u64 = 16 * 1024 * 1024;

/// Lines of a log that an error shows.
const SHOWN_LINES: usize = 15;

/// At most this much of a log's end is read to show its last lines.
const SHOWN_BYTES: u64 = 16 * 1024;

/// Variables of the caller that must not reach a program by accident: each gets its own.
const WITHHELD_PREFIXES: [&str; 8] = [
    "BANK_",
    "KAFKA_",
    "APICURIO_",
    "QUARKUS_",
    "PG",
    "CLASSPATH",
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
];

/// When a program is stopped: later stages first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// PostgreSQL.
    Database,
    /// Kafka.
    Broker,
    /// The schema registry, which stores in PostgreSQL.
    Registry,
    /// What uses all of them.
    Service,
}

/// As whom a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunAs {
    /// As the caller.
    Caller,
    /// As another user, which takes root.
    User {
        /// User id.
        uid: u32,
        /// Group id.
        gid: u32,
    },
    /// As root that sees itself as another user, in a user namespace.
    Namespace {
        /// User id seen inside.
        uid: u32,
        /// Group id seen inside.
        gid: u32,
    },
}

/// What must be done before each start of a program.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Preparation {
    /// Nothing.
    None,
    /// Remove what a killed PostgreSQL left behind in this data directory.
    ClearDatabase(PathBuf),
}

/// A program that a supervisor keeps running.
#[derive(Debug, Clone)]
pub struct Program {
    pub(crate) name: String,
    pub(crate) stage: Stage,
    pub(crate) executable: PathBuf,
    pub(crate) arguments: Vec<OsString>,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) working_directory: PathBuf,
    pub(crate) run_as: RunAs,
    pub(crate) stop_signal: Signal,
    pub(crate) stop_deadline: Duration,
    pub(crate) preparation: Preparation,
    pub(crate) class_archive: Option<ClassArchive>,
}

impl Program {
    /// A service of ours: ends on SIGTERM, runs as the caller in `working_directory`.
    #[must_use]
    pub fn service(name: &str, executable: PathBuf, working_directory: PathBuf) -> Self {
        Self {
            name: name.to_owned(),
            stage: Stage::Service,
            executable,
            arguments: Vec::new(),
            environment: Vec::new(),
            working_directory,
            run_as: RunAs::Caller,
            stop_signal: Signal::TERM,
            stop_deadline: SERVICE_STOP_DEADLINE,
            preparation: Preparation::None,
            class_archive: None,
        }
    }

    /// With an argument more.
    #[must_use]
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// With an environment variable more.
    #[must_use]
    pub fn variable(mut self, name: &str, value: impl Into<String>) -> Self {
        self.environment.push((name.to_owned(), value.into()));
        self
    }

    /// The name, as in `state.json`, `status` and the log file.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Starts it once, in a process group of its own so that Ctrl-C reaches the supervisor only.
    pub(crate) fn spawn(&self, layout: &Layout) -> Result<Child, ClusterError> {
        let log = open_log(&layout.log_file(&self.name))?;
        let log_too = log
            .try_clone()
            .map_err(ClusterError::io("open", layout.log_file(&self.name)))?;
        self.command()
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            // A one-shot whose caller gives up must not go on alone; a supervised one is always ended first.
            .kill_on_drop(true)
            .spawn()
            .map_err(ClusterError::io("start", &self.executable))
    }

    /// Runs it to its end.
    ///
    /// # Errors
    /// When it cannot be started, or ends without success; the error shows the end of its output.
    pub async fn run_once(&self, layout: &Layout) -> Result<(), ClusterError> {
        let mut child = self.spawn(layout)?;
        let status = child
            .wait()
            .await
            .map_err(ClusterError::io("wait for", &self.executable))?;
        if status.success() {
            return Ok(());
        }
        let log_file = layout.log_file(&self.name);
        let last_lines = last_lines(&log_file);
        Err(ClusterError::Failed {
            program: self.name.clone(),
            status,
            log_file,
            last_lines,
        })
    }

    fn command(&self) -> Command {
        let mut command = match self.run_as {
            RunAs::Caller => Command::new(&self.executable),
            RunAs::User { uid, gid } => {
                let mut command = Command::new(&self.executable);
                command.uid(uid).gid(gid);
                command
            }
            RunAs::Namespace { uid, gid } => {
                let mut command = Command::new("unshare");
                command
                    .arg("--user")
                    .arg(format!("--map-user={uid}"))
                    .arg(format!("--map-group={gid}"));
                command.arg("--").arg(&self.executable);
                command
            }
        };
        if let Some(archive) = &self.class_archive {
            command.args(archive.flags());
        }
        withhold(command.as_std_mut());
        command
            .args(&self.arguments)
            .current_dir(&self.working_directory)
            .process_group(0);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// How long a service of ours may take to end; its contract says 10 s.
const SERVICE_STOP_DEADLINE: Duration = Duration::from_secs(12);

/// Takes from a program the caller's variables that it should get from nobody but its starter.
///
/// Use it for every service that a test starts: the variables of `cargo bank test` are unknown to services.
pub fn withhold(command: &mut std::process::Command) {
    for (name, _) in std::env::vars_os() {
        let unwanted = name.to_str().is_some_and(|name| {
            WITHHELD_PREFIXES
                .iter()
                .any(|prefix| name.starts_with(prefix))
        });
        if unwanted {
            command.env_remove(name);
        }
    }
}

/// Opens a log for appending; a long one is put aside first.
///
/// # Errors
/// When it cannot be opened.
pub fn open_log(path: &Path) -> Result<File, ClusterError> {
    if fs::metadata(path).is_ok_and(|metadata| metadata.len() > LOG_LIMIT_BYTES) {
        fs::rename(path, path.with_extension("log.1"))
            .map_err(ClusterError::io("put aside", path))?;
    }
    File::options()
        .create(true)
        .append(true)
        .open(path)
        .map_err(ClusterError::io("open", path))
}

/// The end of a log, for an error message.
#[must_use]
pub fn last_lines(path: &Path) -> String {
    let read = || -> std::io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(SHOWN_BYTES)))?;
        let mut bytes = Vec::new();
        file.take(SHOWN_BYTES).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_long_log_when_its_end_is_shown_then_it_is_the_last_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.log");
        let text: String = (0..10_000).map(|line| format!("line {line}\n")).collect();
        fs::write(&path, text).unwrap();
        let shown = last_lines(&path);
        assert_eq!(shown.lines().count(), SHOWN_LINES);
        assert!(shown.ends_with("line 9999"));
        assert_eq!(last_lines(&folder.path().join("none.log")), "");
    }

    #[tokio::test]
    async fn given_a_program_that_fails_when_run_once_then_the_error_shows_what_it_wrote() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create().unwrap();
        let program = Program::service("failing", "/bin/sh".into(), folder.path().to_owned())
            .argument("-c")
            .argument("echo $GREETING; exit 3")
            .variable("GREETING", "no such topic");
        let error = program.run_once(&layout).await.unwrap_err().to_string();
        assert!(
            error.contains("no such topic") && error.contains("failing.log"),
            "{error}"
        );
    }
}
