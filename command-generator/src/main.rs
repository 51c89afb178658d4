//! The `command-generator` program; see the library.

use std::process::ExitCode;

use topology::service::{self, Threads};

fn main() -> ExitCode {
    service::main("command-generator", Threads::One, command_generator::run)
}
