//! The `heartbeat` program; see the library.

use std::process::ExitCode;

use topology::service::{self, Threads};

fn main() -> ExitCode {
    service::main("heartbeat", Threads::One, heartbeat::run)
}
