//! Gateways as whole processes, in front of a real bank: stopped between any two steps,
//! alone or beside a second one.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod checks;
mod clients;
mod crash_points;
mod process;
mod world;

pub(crate) use local_cluster::testing::watched::{GLANCE, PATIENCE, eventually};
