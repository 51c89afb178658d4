//! The command handler as a program.

use std::process::ExitCode;

fn main() -> ExitCode {
    topology::service::main("command-handler", command_handler::run)
}
