//! The `synchronizer` program; see the library.

use std::process::ExitCode;

use topology::service::{self, Threads};

fn main() -> ExitCode {
    service::main("synchronizer", Threads::One, synchronizer::run)
}
