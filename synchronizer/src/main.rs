//! The `synchronizer` program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    topology::service::main("synchronizer", synchronizer::run)
}
