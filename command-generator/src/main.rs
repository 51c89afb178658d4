//! The `command-generator` program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    topology::service::main("command-generator", command_generator::run)
}
