//! The `auditor` program; see the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    auditor::program::main()
}
