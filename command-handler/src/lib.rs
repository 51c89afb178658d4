//! The bank itself: decides commands, keeps the books, emits events.
//!
//! Reads the topics `confirm_account_creation` and `confirm_money_transfer`; writes
//! `account_creation_feedback`, `money_transfer_feedback`, `balance_changed` and
//! `dead_letters`; owns the database `command_handler` (tables `account`, `ledger_entry`,
//! `outcome`, `consumer_offset`, `emission_debt`). Any number of it may run.
//!
//! Reading order: [`domain`] (the rules, pure), [`request`] and [`keys`] (from record to
//! command), [`batch`] (many commands decided in memory), [`store`] (the books),
//! [`frames`] and [`emission`] (what is owed to the topics), `spans` (its steps of traces),
//! `orphans` (what others owe and do not pay), [`opening`], [`restored`] (books that are older than the log), [`counts`] (its metrics), and [`handler`], the loop that
//! joins them. What happens when it dies between any two [`steps`] is told in
//! `docs/failure-modes.md`.

pub mod domain;

pub mod request;

pub mod keys;

pub mod batch;

pub mod frames;

pub mod store;

pub mod emission;

pub mod opening;

mod orphans;

mod spans;

pub mod counts;

pub mod restored;

pub mod steps;

pub mod handler;

mod config;

pub use config::Config;
pub use handler::{Error, run, run_watched};
