//! Why the lab could not do its work; what the bank does wrong is a finding, not an error.

use std::{io, path::PathBuf};

/// Why the lab could not do its work.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The cluster under the bank.
    #[error("the lab's cluster failed")]
    Cluster(#[from] local_cluster::ClusterError),
    /// A Kafka client of the lab.
    #[error("cannot {action}")]
    Kafka {
        /// What was tried.
        action: String,
        /// The client's error.
        #[source]
        source: rdkafka::error::KafkaError,
    },
    /// The database refused what a fault or a check asked of it.
    #[error("postgresql refused to {action}")]
    Postgres {
        /// What was asked.
        action: String,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// Somebody who speaks HTTP did not answer as asked.
    #[error("no good answer from {from}")]
    Http {
        /// Who.
        from: String,
        /// The client's error.
        #[source]
        source: reqwest::Error,
    },
    /// A file, a port or a mount.
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
    /// Something did not become true in its time.
    #[error("not within {seconds} s: {what}")]
    TooLate {
        /// What was waited for.
        what: String,
        /// How long.
        seconds: u64,
    },
    /// Nobody has such a scenario.
    #[error("there is no scenario `{0}`; see `cargo bank chaos --list`")]
    NoScenario(String),
    /// A task of the lab died.
    #[error("a task of the lab died: {0}")]
    Died(String),
}

impl LabError {
    /// For `map_err`.
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(io::Error) -> LabError {
        let path = path.into();
        move |source| LabError::Io {
            action,
            path,
            source,
        }
    }

    /// For `map_err`.
    pub(crate) fn kafka(
        action: impl Into<String>,
    ) -> impl FnOnce(rdkafka::error::KafkaError) -> LabError {
        let action = action.into();
        move |source| LabError::Kafka { action, source }
    }

    /// For `map_err`.
    pub(crate) fn postgres(
        action: impl Into<String>,
    ) -> impl FnOnce(tokio_postgres::Error) -> LabError {
        let action = action.into();
        move |source| LabError::Postgres { action, source }
    }

    /// For `map_err`.
    pub(crate) fn http(from: impl Into<String>) -> impl FnOnce(reqwest::Error) -> LabError {
        let from = from.into();
        move |source| LabError::Http { from, source }
    }

    /// The error with its causes, in a line.
    #[must_use]
    pub fn in_a_line(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
