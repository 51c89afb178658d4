//! The load: customers who pay through the gateway, followers of their accounts, and a stream of commands straight
//! into the topics. Every client keeps a command's id until it has an answer, and writes down what it did and saw.

pub mod customer;
pub mod direct;
pub mod follower;
pub mod graphql;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use auditor::history::{Operation, Phase, Recorder};

use crate::{clock::Clock, latency::Sample, observer::Observer};

/// What all clients of a lab share.
pub struct Common {
    /// Of all figures.
    pub clock: Clock,
    /// Sees the topics.
    pub observer: Arc<Observer>,
    /// Where gateways answer now.
    pub gateways: Gateways,
    /// What clients did and saw, for the auditor.
    pub recorder: Recorder,
    samples: Mutex<Vec<Sample>>,
    findings: Mutex<Vec<String>>,
}

impl Common {
    /// For a lab with these gateways.
    #[must_use]
    pub fn new(
        clock: Clock,
        observer: Arc<Observer>,
        gateways: Gateways,
        recorder: Recorder,
    ) -> Common {
        Common {
            clock,
            observer,
            gateways,
            recorder,
            samples: Mutex::default(),
            findings: Mutex::default(),
        }
    }

    /// Writes an event of the history down.
    pub fn record(&self, client: &str, phase: Phase, operation: Operation, reason: Option<String>) {
        if let Err(error) = self.recorder.record(client, phase, operation, reason) {
            self.find(format!("the history cannot be written: {error}"));
        }
    }

    /// A payment through a gateway was answered for good.
    pub fn answered(&self, began_us: u64) {
        let took_us = self.clock.now_us().saturating_sub(began_us);
        lock(&self.samples).push(Sample { began_us, took_us });
    }

    /// Payments through gateways from this one on.
    #[must_use]
    pub fn samples(&self, from: usize) -> Vec<Sample> {
        lock(&self.samples).get(from..).unwrap_or_default().to_vec()
    }

    /// How many payments were answered so far.
    #[must_use]
    pub fn answers(&self) -> usize {
        lock(&self.samples).len()
    }

    /// A client saw something it must not see.
    pub fn find(&self, what: String) {
        lock(&self.findings).push(what);
    }

    /// What clients saw that they must not see, since the last call.
    #[must_use]
    pub fn take_findings(&self) -> Vec<String> {
        std::mem::take(&mut lock(&self.findings))
    }
}

/// The addresses of gateways that are up, best first.
#[derive(Clone, Debug, Default)]
pub struct Gateways(Arc<Mutex<Vec<SocketAddr>>>);

impl Gateways {
    /// Only these.
    pub fn set(&self, addresses: Vec<SocketAddr>) {
        *lock(&self.0) = addresses;
    }

    /// The one for this client; somebody takes the next one after a failure.
    #[must_use]
    pub fn choose(&self, number: usize) -> SocketAddr {
        let addresses = lock(&self.0);
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 1));
        let index = number.checked_rem(addresses.len()).unwrap_or_default();
        addresses.get(index).copied().unwrap_or(nowhere)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
