//! The contract of the Bank: what its services say to each other, and how.
//!
//! Every service depends on this crate and on no other service.
//! It knows none of them: it holds names, shapes and rules of the wire, and the
//! clients set up once so that all services treat Kafka and the registry alike.
//!
//! Reading order: [`money`], [`iban`], [`identity`] (types that carry rules),
//! [`topics`] and [`records`] (what is on the wire), [`schemas`] and [`codec`]
//! (how it becomes bytes), [`kafka`], [`consumer`], [`partition`], [`producer`],
//! [`dead_letters`], [`stamps`] and [`traces`] (how it travels),
//! [`backoff`], [`config`], [`telemetry`], [`metrics`], [`shutdown`], [`operations`],
//! [`health`], [`service`] and [`steps`] (what every program needs to be started, watched,
//! stopped and tested).

pub mod money;

pub mod iban;

pub mod identity;

pub mod topics;

pub mod records;

pub mod schemas;

pub mod codec;

pub mod kafka;

pub mod tls;

pub mod postgres;

pub mod consumer;

pub mod pace;

pub mod partition;

pub mod producer;

pub mod dead_letters;

pub mod stamps;

pub mod traces;

pub mod backoff;

pub mod config;

pub mod telemetry;

pub mod shutdown;

pub mod metrics;

pub mod operations;

pub mod health;

pub mod service;

pub mod steps;

pub use backoff::Backoff;
pub use codec::{Codec, DecodeError, EncodeError};
pub use iban::{COMPANY_IBAN, Iban};
pub use identity::{CommandId, Token};
pub use money::Cents;
pub use records::Record;
pub use topics::{Topic, Topics};

/// Payer of a cash deposit and payee of a cash withdrawal, as the wire spells it.
pub const CASH: &str = "cash";
