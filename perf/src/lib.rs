//! Measures the Bank.
#![expect(
    clippy::float_arithmetic,
    reason = "times, ratios and shares, never money"
)]

pub mod latency;
pub mod numbers;
pub mod wire;
pub mod workload;
