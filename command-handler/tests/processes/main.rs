//! Handlers as whole processes, against a real cluster: killed, paused, cut off from
//! their database or broker, and stopped between any two steps.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod crash_points;
mod failures;
mod instances;
mod process;
mod proxy;
mod stamps;
mod world;

pub(crate) use local_cluster::testing::watched::{PATIENCE, eventually};
