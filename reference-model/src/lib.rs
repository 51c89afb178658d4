//! A second opinion: the rules of the bank, written apart from the command handler.
//!
//! One thread, no clock, no randomness, no IO, and no code of a service: IBANs, Avro and the
//! rule book are all written here again, from the rule book's text, so that a fault would have
//! to be made twice to go unseen. Given the commands in an order in which they may have been
//! decided, and the few facts a model cannot know (which account number and token an account
//! was given, when the log took a command), it says which records each command must have led
//! to, byte for byte. What the topics hold has to be equal.
//!
//! It reads no topic and no table; the auditor does, and a test in `tests/` that replays a
//! real run.
//!
//! Use [`Replay`]: tell it what the bank said no to ([`Replay::expect`]), then give it every
//! command with what was recorded of it ([`Replay::push`]), in any order, best in about the
//! order of the decisions; what it gives back is in an order in which it can have happened.
//! What is left at the end ([`Replay::finish`]) cannot have happened at all: a cycle, or a
//! version that nobody has.
//!
//! Modules, in reading order: [`command`] is what goes in, [`rules`] decides, [`record`] is
//! what comes out, [`sequence`] finds the order, [`replay`] joins them; [`party`], [`iban`]
//! and `avro` are the tools.

mod avro;
pub mod command;
pub mod iban;
pub mod party;
pub mod record;
pub mod replay;
pub mod rules;
pub mod sequence;

pub use command::{AccountKind, Assigned, Command, CommandId, Facts, Request};
pub use record::Record;
pub use replay::{Decided, Recorded, RecordedOutcome, Replay};
pub use rules::{Bank, Decision, Impossible, Opening, Reason, Token};
pub use sequence::{Need, Seen, Sequencer, Stuck};
