//! The article's way as a program of its own; see `perf::article`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let config = topology::config::parse::<perf::article::Config>();
    match perf::article::run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(
                clippy::print_stderr,
                reason = "its last word, for the reader of its log"
            )]
            {
                eprintln!("error: {}", topology::service::chain(&error));
            }
            ExitCode::FAILURE
        }
    }
}
