//! Starting a service the same way everywhere, and asking a running one how it is.

use std::error::Error;
use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::config::{self, CommonConfig};
use crate::{health, metrics, shutdown, telemetry, traces};

/// Threads a service's tasks run on; the Kafka clients have their own beside them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Threads {
    /// The work is one chain of steps: another thread would only be woken to hand over.
    One,
    /// Many tasks that have nothing to do with each other, such as requests.
    Several,
}

/// What [`Threads::Several`] means, beside the main thread: the work is waiting, not
/// computing.
const WORKER_THREADS: usize = 2;

impl Threads {
    fn runtime(self) -> std::io::Result<Runtime> {
        match self {
            Threads::One => Builder::new_current_thread().enable_all().build(),
            Threads::Several => Builder::new_multi_thread()
                .worker_threads(WORKER_THREADS)
                .enable_all()
                .build(),
        }
    }
}

/// A configuration with the part all services share.
pub trait ServiceConfig: Parser + CommandFactory {
    /// The shared part.
    fn common(&self) -> &CommonConfig;
}

/// Reads the configuration, starts logging, runs the service until it is told to stop. With
/// the one argument `healthcheck` it asks the service that runs already; see [`health`].
///
/// Exit code 0 after a stop that was asked for, 1 when the service could not go on,
/// 2 when the configuration cannot work.
pub fn main<C, F, R, E>(name: &'static str, threads: Threads, run: R) -> ExitCode
where
    C: ServiceConfig,
    R: FnOnce(C, CancellationToken) -> F,
    F: Future<Output = Result<(), E>>,
    E: Error,
{
    if let Some(code) = health::asked_for() {
        return code;
    }
    let config: C = config::parse();
    metrics::introduce(name, env!("CARGO_PKG_VERSION"));
    telemetry::start(&config.common().log, config.common().log_format);
    if let Err(reason) = config.common().tls.install() {
        error!(reason, "BANK_TLS_CA_FILE cannot be used");
        return ExitCode::from(config::EXIT_CONFIGURATION);
    }
    if let Err(reason) = config.common().traces.start(name) {
        error!(reason, "OTEL_EXPORTER_OTLP_ENDPOINT cannot be used");
        return ExitCode::from(config::EXIT_CONFIGURATION);
    }
    let runtime = match threads.runtime() {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "could not start the runtime");
            return ExitCode::FAILURE;
        }
    };
    let code = runtime.block_on(async {
        let stop = match shutdown::on_signal() {
            Ok(stop) => stop,
            Err(error) => {
                error!(%error, "could not listen to signals");
                return ExitCode::FAILURE;
            }
        };
        info!(
            service = name,
            version = env!("CARGO_PKG_VERSION"),
            "starting"
        );
        match run(config, stop).await {
            Ok(()) => {
                info!(service = name, "stopped");
                ExitCode::SUCCESS
            }
            Err(error) => {
                error!(service = name, error = chain(&error), "cannot go on");
                ExitCode::FAILURE
            }
        }
    });
    traces::finish();
    // Threads of librdkafka may still be closing; the process need not wait for them.
    runtime.shutdown_background();
    code
}

/// An error with all its causes, in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(source) = cause {
        text.push_str(": ");
        text.push_str(&source.to_string());
        cause = source.source();
    }
    text
}
