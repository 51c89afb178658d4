//! Starts and stops what the bank stands on: PostgreSQL, Apache Kafka (one KRaft process) and the Apicurio schema
//! registry, side by side, on free ports of 127.0.0.1, with all data under one directory. It also keeps the
//! bank's own services running. It knows how programs are started, watched and ended, not what they mean.
//!
//! A directory has one supervisor at a time (a lock); what it owns is written down in `state.json`, so that a
//! supervisor that was killed is cleaned up after by the next one, and nothing else is touched.
//!
//! Used by `cargo bank up`, and by every integration test through [`testing`].
//!
//! Reading order: [`cluster`](Cluster) (a start from beginning to end), `layout` (what is where), `state`,
//! `process`, `program`, `supervision`, `readiness`, then the parts: `postgres`, `kafka`, `registry` with
//! `java`; `ports` and `secrets` help them.

mod cluster;
mod error;
mod java;
mod kafka;
mod layout;
mod ports;
mod postgres;
mod process;
mod program;
mod readiness;
mod registry;
mod secrets;
mod state;
mod supervision;
pub mod testing;

pub use cluster::{Cluster, Endpoints, PostgresEndpoint, clean_up};
pub use error::ClusterError;
pub use java::{OLDEST_JAVA, find_java, find_program, jars_are_cached, java_version};
pub use layout::Layout;
pub use ports::is_free;
pub use postgres::{DATABASES, find_postgres};
pub use process::{ProcessIdentity, Usage};
pub use program::{Program, RunAs, Stage, last_lines, open_log, withhold};
pub use secrets::{secret, secret_file};
pub use state::{DirectoryLock, ProgramState, State, write_atomically};
pub use supervision::{Event, Report};
