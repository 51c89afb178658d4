//! Why a measurement could not be taken.

use std::path::PathBuf;
use std::time::Duration;

/// Why a measurement could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cluster did not start, or a program failed.
    #[error("the cluster failed")]
    Cluster(#[from] local_cluster::ClusterError),
    /// A database refused.
    #[error("PostgreSQL refused to {action}")]
    Postgres {
        /// What was asked.
        action: &'static str,
        /// The cause.
        #[source]
        source: tokio_postgres::Error,
    },
    /// The benchmark's own Kafka client failed.
    #[error("the benchmark's Kafka client failed")]
    Kafka(#[from] rdkafka::error::KafkaError),
    /// A record could not be made.
    #[error("could not encode a record")]
    Encode(#[from] topology::EncodeError),
    /// A file or a program.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was tried, as a verb.
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The gateway could not be reached, or did not speak as it should.
    #[error("could not {action}")]
    Http {
        /// What was tried.
        action: &'static str,
        /// The cause.
        #[source]
        source: reqwest::Error,
    },
    /// The auditor could not do its work.
    #[error("the auditor could not check the bank")]
    Audit(#[from] auditor::CannotCheck),
    /// Something that must happen did not.
    #[error("not within {:.0} s: {what}", patience.as_secs_f64())]
    TooLate {
        /// What was waited for, and how far it had come.
        what: String,
        /// How long.
        patience: Duration,
    },
    /// The handler ended although nobody told it to.
    #[error("{program} ended ({status}); its log is {}", log.display())]
    Ended {
        /// Which.
        program: &'static str,
        /// How.
        status: std::process::ExitStatus,
        /// What it wrote.
        log: PathBuf,
    },
    /// Something measured is not what it must be for the figure to mean anything.
    #[error("{0}")]
    Wrong(String),
    /// Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    pub(crate) fn io(
        action: &'static str,
        path: impl Into<PathBuf>,
    ) -> impl FnOnce(std::io::Error) -> Error {
        let path = path.into();
        move |source| Error::Io {
            action,
            path,
            source,
        }
    }

    pub(crate) fn http(action: &'static str) -> impl FnOnce(reqwest::Error) -> Error {
        move |source| Error::Http { action, source }
    }

    pub(crate) fn postgres(action: &'static str) -> impl FnOnce(tokio_postgres::Error) -> Error {
        move |source| Error::Postgres { action, source }
    }
}
