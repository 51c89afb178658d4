//! What the exit codes mean.

use std::process::ExitCode;

use local_cluster::ClusterError;

/// Shown by `--help`.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  done; for `status`: running and ready; for `test`: all tests passed; for `perf`: measured, and
     every count that must hold holds
  1  failed, not running or not ready
  2  wrong usage or configuration; nothing was started
  3  something is missing on this machine; the message says how to get it";

/// A failure whose exit code is not 1.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Wrong usage or configuration.
    Usage(String),
    /// Something is missing on this machine.
    Missing(String),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Usage(text) | Self::Missing(text) => formatter.write_str(text),
        }
    }
}

impl std::error::Error for Failure {}

/// Prints the error with its causes and chooses the exit code.
pub(crate) fn explain(error: &anyhow::Error) -> ExitCode {
    let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
    eprintln!("error: {}", causes.join(": "));
    ExitCode::from(exit_code(error))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    match error.downcast_ref() {
        Some(Failure::Usage(_)) => return 2,
        Some(Failure::Missing(_)) => return 3,
        None => {}
    }
    match error.downcast_ref() {
        Some(ClusterError::Missing { .. }) => 3,
        // The one-shot programs of the bank have the same codes.
        Some(ClusterError::Failed { status, .. }) if status.code() == Some(2) => 2,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context;

    use super::*;

    #[test]
    fn given_a_failure_under_a_context_when_explained_then_its_code_is_kept() {
        let missing: anyhow::Error = Err::<(), _>(Failure::Missing("no Java".to_owned()))
            .context("preflight")
            .unwrap_err();
        assert_eq!(exit_code(&missing), 3);
        assert_eq!(exit_code(&Failure::Usage("port".to_owned()).into()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("anything")), 1);
    }
}
