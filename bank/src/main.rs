//! The command line of the Bank: builds it, starts it, watches it, stops it, tests it.
//!
//! Reading order: `cli` (every command), `up` (a start from beginning to end), `services` (which programs, with
//! which variables), then the smaller commands: `down`, `status`, `load`, `logs`, `reset`, `test_run`, `perf`, `perf_bank`, `perf_steady`, `chaos`; `preflight`
//! and `build` come before a start, `failure` says what the exit codes mean.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line speaks to its terminal"
)]

mod apt;
mod audit;
mod build;
mod chaos;
mod cli;
mod down;
mod failure;
mod load;
mod logs;
mod page;
mod perf;
mod perf_bank;
mod perf_steady;
mod preflight;
mod progress;
mod rebuild;
mod reset;
mod services;
mod status;
mod test_run;
mod up;
mod workspace;

fn main() -> std::process::ExitCode {
    let arguments = <cli::Arguments as clap::Parser>::parse();
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) => failure::explain(&error),
    }
}
