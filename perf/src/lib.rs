//! Measures the Bank.
#![expect(
    clippy::float_arithmetic,
    reason = "times, ratios and shares, never money"
)]

pub mod article;
pub mod board;
pub mod clock;
pub mod commands;
pub mod database;
pub mod drain;
pub mod error;
pub mod floors;
pub mod generator;
pub mod handler;
pub mod installation;
pub mod kafka_log;
pub mod kills;
pub mod latency;
pub mod machine;
pub mod numbers;
pub mod observer;
pub mod pgwire;
pub mod procfs;
pub mod proxy;
pub mod steady;
pub mod tables;
pub mod verdict;
pub mod wire;
pub mod workload;

pub use error::Error;
