//! The `heartbeat` program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    topology::service::main("heartbeat", heartbeat::run)
}
