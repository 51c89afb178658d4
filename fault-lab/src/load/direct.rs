//! Commands straight into the topics, at a steady rate, whatever is broken: Kafka's client keeps them until the
//! broker has them.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientConfig,
    error::{KafkaError, RDKafkaErrorCode},
    producer::{FutureProducer, FutureRecord, Producer, future_producer::DeliveryFuture},
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::{
    board::Account,
    clock::Clock,
    error::LabError,
    observer::Observer,
    seed::Seed,
    wire::{Schemas, Transfer, topics},
};

/// Opening accounts and filling them; nothing is broken yet.
const SEED_PATIENCE: Duration = Duration::from_secs(60);
/// The last commands are with the broker within this, once it is back.
const FLUSH_PATIENCE: Duration = Duration::from_secs(60);
/// How often the board is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// A full queue is tried again after this.
const QUEUE_PAUSE: Duration = Duration::from_millis(20);
/// In cents.
const FIRST_DEPOSIT_CENTS: i64 = 100_000_000;
const LARGEST_PAYMENT_CENTS: u64 = 100;
/// Of a hundred commands: to another bank, which is one change instead of two.
const FOREIGN_PERCENT: u64 = 4;
/// Of a hundred commands: with a wrong token, which is none.
const REFUSED_PERCENT: u64 = 4;
/// What opens `cash`.
const CASH: &str = "cash";

/// Sends commands and tells the board what must come of them.
pub struct Direct {
    producer: FutureProducer,
    observer: Arc<Observer>,
    schemas: Schemas,
    clock: Clock,
    prefix: String,
    /// Between which money is moved.
    pub accounts: Vec<Account>,
}

impl Direct {
    /// A sender without accounts.
    ///
    /// # Errors
    /// When the client cannot be made.
    pub fn new(
        brokers: &str,
        prefix: &str,
        schemas: Schemas,
        observer: Arc<Observer>,
        clock: Clock,
    ) -> Result<Direct, LabError> {
        let producer = ClientConfig::new()
            .set("bootstrap.servers", brokers)
            .set("broker.address.family", "v4")
            .set("enable.idempotence", "true")
            // For ever: what was given to it is sent.
            .set("message.timeout.ms", "0")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "1")
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("log_level", "0")
            .create()
            .map_err(LabError::kafka("make a producer"))?;
        Ok(Direct {
            producer,
            observer,
            schemas,
            clock,
            prefix: prefix.to_owned(),
            accounts: Vec::new(),
        })
    }

    /// Sees what it sends.
    #[must_use]
    pub fn observer(&self) -> &Observer {
        &self.observer
    }

    /// The schemas it writes.
    #[must_use]
    pub fn schemas(&self) -> &Schemas {
        &self.schemas
    }

    /// Opens accounts by commands, and fills them.
    ///
    /// # Errors
    /// When the bank does not do that in time.
    pub async fn open_accounts(&mut self, count: usize, seed: &mut Seed) -> Result<(), LabError> {
        let ids: Vec<[u8; 16]> = (0..count).map(|_| seed.command_id()).collect();
        for id in &ids {
            self.observer.board().expect(*id, 0, self.clock.now_us());
            let key = Uuid::from_bytes(*id).to_string();
            self.put(topics::CREATIONS, &key, &self.schemas.creation(*id))
                .await;
        }
        let opened = || -> Option<Vec<Account>> {
            let board = self.observer.board();
            ids.iter().map(|id| board.opened(id).cloned()).collect()
        };
        let accounts = self.wait("accounts are opened", opened).await?;
        for account in &accounts {
            let id = seed.command_id();
            let deposit = Transfer {
                id,
                token: CASH,
                amount: FIRST_DEPOSIT_CENTS,
                from: CASH,
                to: &account.iban,
                description: &Uuid::from_bytes(id).to_string(),
            };
            self.observer.board().expect(id, 1, self.clock.now_us());
            let value = self.schemas.transfer(&deposit);
            self.put(topics::TRANSFERS, &account.iban, &value).await;
        }
        let filled = || self.observer.board().is_complete().then_some(());
        self.wait("accounts are filled", filled).await?;
        self.accounts = accounts;
        Ok(())
    }

    /// Sends so many payments a second until told to stop, and until the broker has them all.
    pub async fn pay(&self, rate: u32, mut seed: Seed, stop: CancellationToken) {
        let between = Duration::from_secs(1) / rate.max(1);
        let mut ticks = tokio::time::interval(between);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Burst);
        loop {
            tokio::select! {
                _ = ticks.tick() => self.pay_once(&mut seed).await,
                () = stop.cancelled() => break,
            }
        }
        let producer = self.producer.clone();
        // What is not flushed in time has no outcome: that is seen.
        let _ = tokio::task::spawn_blocking(move || producer.flush(FLUSH_PATIENCE)).await;
    }

    /// One payment between accounts of the lab, or to another bank, or with a wrong token.
    pub async fn pay_once(&self, seed: &mut Seed) {
        let (key, value) = self.payment(seed);
        self.put(topics::TRANSFERS, &key, &value).await;
    }

    /// A payment that the board expects from now on: its key and its bytes.
    pub fn payment(&self, seed: &mut Seed) -> (String, Vec<u8>) {
        let from = seed.index(self.accounts.len());
        let to = (from + 1 + seed.index(self.accounts.len() - 1)) % self.accounts.len();
        let kind = seed.below(100);
        let is_refused = kind < REFUSED_PERCENT;
        let is_foreign = !is_refused && kind < REFUSED_PERCENT + FOREIGN_PERCENT;
        let id = seed.command_id();
        let payer = &self.accounts[from];
        let payment = Transfer {
            id,
            token: if is_refused {
                "a wrong token"
            } else {
                &payer.token
            },
            amount: i64::try_from(seed.between(1, LARGEST_PAYMENT_CENTS)).unwrap_or(1),
            from: &payer.iban,
            to: if is_foreign {
                "Somebody elsewhere"
            } else {
                &self.accounts[to].iban
            },
            description: &Uuid::from_bytes(id).to_string(),
        };
        let changes = if is_foreign { 1 } else { 2 };
        self.observer
            .board()
            .expect(id, changes, self.clock.now_us());
        (payer.iban.clone(), self.schemas.transfer(&payment))
    }

    /// Gives a record to the client, which keeps it until the broker has it.
    async fn put(&self, topic: &str, key: &str, value: &[u8]) {
        // It is never dropped here, so that its delivery is awaited by the flush alone.
        drop(
            self.send(topic, Some(key.as_bytes()), Some(value), None)
                .await,
        );
    }

    /// Gives a record to the client; the delivery can be awaited.
    pub async fn send(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        timestamp_ms: Option<i64>,
    ) -> Option<DeliveryFuture> {
        let name = format!("{}{topic}", self.prefix);
        loop {
            let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(&name);
            record.key = key;
            record.payload = value;
            record.timestamp = timestamp_ms;
            match self.producer.send_result(record) {
                Ok(delivery) => return Some(delivery),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    tokio::time::sleep(QUEUE_PAUSE).await;
                }
                // Too large for the client, say: nobody gets to see it.
                Err(_) => return None,
            }
        }
    }

    async fn wait<T>(
        &self,
        what: &str,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, LabError> {
        let waiting = async {
            loop {
                if let Some(value) = condition() {
                    return value;
                }
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::time::timeout(SEED_PATIENCE, waiting)
            .await
            .map_err(|_| LabError::TooLate {
                what: what.to_owned(),
                seconds: SEED_PATIENCE.as_secs(),
            })
    }
}
