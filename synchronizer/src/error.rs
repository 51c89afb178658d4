//! Why synchronizing ended without reaching its end.

use std::fmt;
use std::time::Duration;

use crate::plan::Drift;

/// Why the system is not, or could not be made, what this build needs.
#[derive(Debug, thiserror::Error)]
pub enum SynchronizerError {
    /// The tables or schemas of this build contradict themselves; nothing was touched.
    #[error("the contract of this build is malformed: {0}")]
    Contract(String),
    /// What is there differs in a way that must not be repaired by a program; nothing
    /// was touched.
    #[error("drift that is not repaired here: {}", Listed(.0))]
    Drift(Vec<Drift>),
    /// Something did not answer in time.
    #[error("gave up after {} s, waiting for {}", waited.as_secs(), Listed(parties))]
    Deadline {
        /// How long was waited.
        waited: Duration,
        /// What for, each with its last answer.
        parties: Vec<String>,
    },
    /// Something answered, and the answer was no.
    #[error("refused: {}", Listed(.0))]
    Refused(Vec<String>),
    /// Told to stop before the end.
    #[error("stopped before the end")]
    Stopped,
    /// The plan could not be printed.
    #[error("could not print the plan")]
    Output(#[source] std::io::Error),
}

struct Listed<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for Listed<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("; ")?;
            }
            item.fmt(f)?;
        }
        Ok(())
    }
}

/// One attempt that did not succeed.
#[derive(Debug)]
pub(crate) struct Failure {
    /// Whether trying again cannot help.
    pub(crate) lasting: bool,
    /// Who failed us and what was said.
    pub(crate) reason: String,
}

impl Failure {
    pub(crate) fn away(party: &str, cause: impl fmt::Display) -> Failure {
        Failure {
            lasting: false,
            reason: format!("{party} ({cause})"),
        }
    }

    pub(crate) fn refused(party: &str, cause: impl fmt::Display) -> Failure {
        Failure {
            lasting: true,
            reason: format!("{party} ({cause})"),
        }
    }
}
