//! What can go wrong while starting, watching or stopping a cluster.

use std::{io, path::PathBuf, process::ExitStatus, time::Duration};

/// Why a cluster could not be started, watched or stopped.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// A file or folder under the cluster's directory, or a program, could not be used.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: io::Error,
    },
    /// A program this machine lacks.
    #[error("{what} is missing: {hint}")]
    Missing {
        /// The program.
        what: &'static str,
        /// How to get it.
        hint: String,
    },
    /// Another supervisor owns the directory.
    #[error("{} is in use by another supervisor; stop it with `cargo bank down`", directory.display())]
    Locked {
        /// The directory that is owned.
        directory: PathBuf,
    },
    /// A one-shot program ended without success.
    #[error("{program} failed ({status}); its last lines, from {}:\n{last_lines}", log_file.display())]
    Failed {
        /// The program.
        program: String,
        /// How it ended.
        status: ExitStatus,
        /// Where its output is.
        log_file: PathBuf,
        /// The end of that output.
        last_lines: String,
    },
    /// A process did not become ready in time, or kept dying.
    #[error("{name} is not ready after {:.1} s ({reason}); its last lines, from {}:\n{last_lines}", after.as_secs_f64(), log_file.display())]
    NotReady {
        /// The process.
        name: String,
        /// How long it was given.
        after: Duration,
        /// What the last check said.
        reason: String,
        /// Where its output is.
        log_file: PathBuf,
        /// The end of that output.
        last_lines: String,
    },
    /// What the cluster remembers cannot be read.
    #[error("{} is damaged; `cargo bank reset` makes a new one", path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
    /// PostgreSQL refused what the cluster asked of it.
    #[error("PostgreSQL refused to {action}")]
    Postgres {
        /// What was asked.
        action: String,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// PostgreSQL refuses to run as root and no other way was open.
    #[error(
        "PostgreSQL does not run as root, the user `{user}` cannot enter {}, and `unshare --user` does not work here: \
         choose a directory that every user can enter (--directory), or run as another user",
        directory.display()
    )]
    NoUnprivilegedUser {
        /// The user it would run as.
        user: String,
        /// The folder that user cannot enter.
        directory: PathBuf,
    },
    /// No port of the range was free.
    #[error("no free TCP port between {first} and {last} on 127.0.0.1")]
    NoFreePort {
        /// The first port tried.
        first: u16,
        /// The last port tried.
        last: u16,
    },
    /// The operating system gave no random bytes.
    #[error("no random bytes for a secret")]
    Random(#[source] getrandom::Error),
}

impl ClusterError {
    /// For `map_err`: an I/O error with what was tried and where.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
