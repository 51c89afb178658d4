//! The rules of the bank: pure, so that they can be read, tested and replayed alone.
//!
//! Nothing here knows a clock, randomness, async, Kafka or SQL. [`decide`] may refuse;
//! [`evolve`] may not. Reading order: [`command`], [`rejection`], [`account`], [`decide`].

mod account;
mod command;
mod decide;
mod rejection;

pub use account::{Account, Accounts};
pub use command::{Command, Digest, Facts, Party, Transfer};
pub use decide::{Event, decide, evolve};
pub use rejection::Rejection;

use topology::Cents;

/// How far below zero a new account may go: € 500.
pub const LIMIT: Cents = Cents(-50_000);
/// Most characters of a description.
pub const DESCRIPTION_CHARACTERS_MAX: usize = 140;
/// Most characters of another bank's account holder.
pub const NAME_CHARACTERS_MAX: usize = 140;
