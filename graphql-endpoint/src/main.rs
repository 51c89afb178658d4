//! The gateway's process; all of it is in the library.

use std::io::Write;
use std::process::ExitCode;

use graphql_endpoint::config::{Config, PRINT_SCHEMA};
use tikv_jemallocator::Jemalloc;
use topology::service::{self, Threads};

/// Requests of an overload wait by the thousand, and answers are made of many small pieces: the
/// C library's allocator is slower at that, and keeps for ever what the worst second took.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    // Asked for by builds, which have no database to name.
    if std::env::args()
        .skip(1)
        .any(|argument| argument == PRINT_SCHEMA)
    {
        let written = std::io::stdout().write_all(graphql_endpoint::schema_text().as_bytes());
        return if written.is_ok() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    service::main(
        "graphql-endpoint",
        Threads::Several,
        |config: Config, stop| async move {
            if config.rebuild {
                graphql_endpoint::rebuild::run(config, stop).await
            } else {
                graphql_endpoint::run(config, stop).await
            }
        },
    )
}
