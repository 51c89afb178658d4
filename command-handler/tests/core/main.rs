//! The memory the pure core asks for: for an honest command, and for any bytes at all. The
//! core is all that happens to a command between the consumer and the database: decode,
//! read, decide, encode. Its instructions are counted in `core_instructions`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod allocations;
mod hostile_bytes;
mod workload;
