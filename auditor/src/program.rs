//! The program: one audit printed, or round after round.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the report is what it is started for"
)]

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use topology::service::chain;
use topology::{config, health, metrics, shutdown, telemetry};
use tracing::{error, warn};

use crate::config::Config;
use crate::invariants::document;
use crate::{Progress, Report, Verdict, audit, follow};

/// How often progress is told where it cannot be overwritten.
const TOLD_EACH: Duration = Duration::from_secs(5);
/// Two for the records, one for the rows.
const THREADS: usize = 3;
/// Of one that follows.
const NICENESS: i32 = 10;

/// Reads the configuration and does what it asks; the exit code is the verdict.
#[must_use]
pub fn main() -> ExitCode {
    if std::env::args().skip(1).eq(["--list"]) {
        print!("{}", document());
        return ExitCode::SUCCESS;
    }
    if let Some(code) = health::asked_for() {
        return code;
    }
    let config: Config = config::parse();
    metrics::introduce("auditor", env!("CARGO_PKG_VERSION"));
    telemetry::start(&config.common.log, config.common.log_format);
    if let Err(reason) = config.common.tls.install() {
        error!(reason, "BANK_TLS_CA_FILE cannot be used");
        return ExitCode::from(config::EXIT_CONFIGURATION);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            error!(%error, "could not start the runtime");
            return ExitCode::from(Verdict::Unchecked.exit_code());
        }
    };
    let code = if config.follow {
        runtime.block_on(run_follow(&config))
    } else {
        runtime.block_on(run_once(&config))
    };
    // Threads of librdkafka may still be closing; the process need not wait for them.
    runtime.shutdown_background();
    code
}

async fn run_follow(config: &Config) -> ExitCode {
    // It looks on: those who work go first.
    if let Err(error) = rustix::process::nice(NICENESS) {
        warn!(%error, "goes on with the priority of everybody");
    }
    let stop = match shutdown::on_signal() {
        Ok(stop) => stop,
        Err(error) => {
            error!(%error, "could not listen to signals");
            return ExitCode::FAILURE;
        }
    };
    let wish = follow::Wish {
        sources: config.sources(),
        options: config.options(),
        every: Duration::from_secs(config.every_seconds),
        address: config.common.operations_address,
    };
    match follow::follow(wish, stop, &|report| print(report, false)).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error!(error = chain(&error), "cannot go on");
            ExitCode::FAILURE
        }
    }
}

async fn run_once(config: &Config) -> ExitCode {
    let teller = Teller::default();
    let outcome = audit(&config.sources(), &config.options(), &|progress| {
        teller.tell(progress);
    })
    .await;
    teller.end();
    match outcome {
        Ok(report) => {
            print(&report, config.json);
            ExitCode::from(report.verdict().exit_code())
        }
        Err(error) => {
            error!(error = chain(&error), "could not be checked");
            ExitCode::from(Verdict::Unchecked.exit_code())
        }
    }
}

/// Prints a report, for programs or for people.
pub fn print(report: &Report, is_json: bool) {
    if is_json {
        let json = serde_json::json!({ "verdict": report.verdict(), "report": report });
        println!("{json:#}");
    } else {
        print!("{}", report.table());
    }
}

/// Tells progress on standard error: one line that is written over on a terminal, one now
/// and then elsewhere.
#[derive(Debug, Default)]
pub struct Teller {
    last: Mutex<Option<(Instant, String)>>,
}

impl Teller {
    /// Says how far it is.
    pub fn tell(&self, progress: &Progress) {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let text = if progress.total > 0 {
            let percent = 100 * u128::from(progress.done) / u128::from(progress.total);
            format!("{}: {percent} % of {}", progress.what, progress.total)
        } else {
            progress.what.clone()
        };
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[2K{text}");
        } else if last
            .as_ref()
            .is_none_or(|(at, what)| at.elapsed() > TOLD_EACH || *what != progress.what)
        {
            eprintln!("{text}");
        } else {
            return;
        }
        *last = Some((Instant::now(), progress.what.clone()));
    }

    /// Removes the line.
    pub fn end(&self) {
        if std::io::stderr().is_terminal() {
            eprint!("\r\x1b[2K");
        }
    }
}
