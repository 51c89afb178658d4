//! Measures the Bank: how fast, at what cost, and what is left after a death at work.
//!
//! Open loop, latency from the time a command was meant to be sent, floors of the machine
//! in the same run, counts where noise cannot reach, and a baseline that does without the
//! guarantees. It starts programs and reads topics and databases; it knows no service from
//! within. `cargo bank perf handler` runs it; `docs/performance.md` explains the figures.
//!
//! Reading order: [`handler`] (a run from beginning to end), [`installation`] (the bank
//! that is measured), [`drain`], [`steady`], [`kills`] and [`floors`] with [`read_model`]
//! (what is measured),
//! [`generator`], [`observer`] and [`board`] with [`commands`] and [`wire`] (how commands
//! are sent and seen), [`workload`], [`latency`] and [`numbers`]; [`proxy`] with
//! [`pgwire`], [`kafka_log`], [`database`] and [`procfs`] (what is counted, and where);
//! [`article`] (the baseline); [`verdict`] and [`tables`] (what is said in the end).
#![expect(
    clippy::float_arithmetic,
    reason = "times, ratios and shares, never money"
)]

pub mod article;
pub mod bank;
pub mod board;
pub mod books;
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
mod priority;
pub mod procfs;
pub mod proxy;
pub mod read_model;
pub mod steady;
pub mod tables;
pub mod verdict;
pub mod wire;
pub mod workload;

pub use error::Error;
