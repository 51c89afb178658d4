//! The command handler as a program.

use std::process::ExitCode;

use topology::service::{self, Threads};

fn main() -> ExitCode {
    service::main("command-handler", Threads::One, command_handler::run)
}
