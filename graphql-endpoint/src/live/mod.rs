//! Live updates: every instance tails outcomes and balance changes from the end of the
//! log and hands each to those who wait for it.
//!
//! [`waiters`] are requests that wait for their command's outcome, [`hub`] has the
//! subscribers by account, [`join`] puts replay and live in one order without hole or
//! repeat, [`follow`] is one subscriber's stream.

pub mod follow;

pub mod hub;

pub mod join;

pub mod waiters;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use topology::consumer::{BATCH_RECORDS_MAX, BatchConsumer, Consumed, Source, end_positions};
use topology::kafka::KafkaConfig;
use topology::operations::Readiness;
use topology::service::chain;
use topology::{Codec, DecodeError, Topic};
use tracing::warn;

use crate::error::Error;
use crate::facts::{Fact, understand};
use crate::spans;
use crate::steps::{Interrupted, Step, Steps};
use hub::Hub;
use waiters::{Outcome, Waiters};

/// What the tail reads.
const TOPICS: [Topic; 3] = [
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
];
/// For lag tools only; nothing is committed under it.
pub const GROUP: &str = "graphql-endpoint-live";
/// Pause before a record is read again when the registry is away.
const RETRY_PAUSE: Duration = Duration::from_millis(200);
/// Name of its condition of readiness.
pub const CONDITION: &str = "live_updates";

/// The tail of this instance.
pub struct Tail {
    /// Reads records.
    pub codec: Arc<Codec>,
    /// Subscribers.
    pub hub: Arc<Hub>,
    /// Requests.
    pub waiters: Arc<Waiters>,
    /// Watched in tests only.
    pub steps: Steps,
}

impl Tail {
    /// Reads and hands out until told to stop.
    ///
    /// # Errors
    /// When the topics can no longer be read.
    pub async fn run(
        self,
        kafka: &KafkaConfig,
        readiness: &Readiness,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let positions = tokio::select! {
            () = stop.cancelled() => return Ok(()),
            positions = end_positions(kafka, "graphql-endpoint-end", &TOPICS) => positions?,
        };
        let reached = positions
            .iter()
            .filter(|position| position.topic == Topic::BalanceChanged)
            .map(|position| (position.partition, position.next_offset));
        self.hub.started(reached.collect());
        self.steps.pass(Step::TailStarted)?;
        let source = Source::Fixed {
            group: GROUP.to_owned(),
            positions,
        };
        let mut consumer =
            BatchConsumer::start(kafka, "graphql-endpoint-live", source, BATCH_RECORDS_MAX)?;
        readiness.holds(CONDITION);
        let connection = consumer.connection();
        readiness.check("kafka", move || connection.is_up());
        loop {
            let batch = tokio::select! {
                () = stop.cancelled() => break,
                batch = consumer.next() => batch?,
            };
            // Before the records are handed out: who subscribes from now on knows that
            // everything up to here must come from the read model.
            self.hub.reached(&batch);
            self.steps.pass(Step::TailPolled)?;
            for consumed in &batch {
                tokio::select! {
                    () = stop.cancelled() => break,
                    handed_out = self.hand_out(consumed) => handed_out?,
                }
            }
        }
        consumer.close().await;
        Ok(())
    }

    async fn hand_out(&self, consumed: &Consumed) -> Result<(), Interrupted> {
        if !self.is_awaited(consumed) {
            return Ok(());
        }
        let Some(record) = self.read(consumed).await else {
            return Ok(());
        };
        // What is of no use is the projection's to report.
        let Ok(fact) = understand(consumed, record) else {
            return Ok(());
        };
        if let Fact::Changed(mut change) = fact {
            change.heard = spans::heard(consumed, change.command_id);
            self.steps.pass(Step::ChangeRead)?;
            self.hub.publish(change);
            return self.steps.pass(Step::Published);
        }
        self.steps.pass(Step::OutcomeRead)?;
        match fact {
            Fact::Changed(_) => {}
            Fact::AccountOpened {
                command_id,
                iban,
                token,
                is_manual,
                ..
            } => {
                let outcome = Outcome::AccountOpened {
                    iban,
                    token,
                    is_manual,
                };
                self.waiters.tell(command_id, &outcome);
            }
            Fact::TransferConfirmed { command_id } => {
                self.waiters.tell(command_id, &Outcome::Confirmed);
            }
            Fact::AccountRefused { command_id, reason } => {
                self.waiters
                    .tell(command_id, &Outcome::AccountRefused(reason));
            }
            Fact::TransferRefused { command_id, reason } => {
                self.waiters.tell(command_id, &Outcome::Refused(reason));
            }
        }
        Ok(())
    }

    /// Most records are nobody's business here: they are not even decoded.
    fn is_awaited(&self, consumed: &Consumed) -> bool {
        if consumed.topic == Topic::BalanceChanged {
            consumed
                .key
                .as_deref()
                .and_then(|key| std::str::from_utf8(key).ok())
                .is_some_and(|iban| self.hub.is_watched(iban))
        } else {
            !self.waiters.is_empty()
        }
    }

    async fn read(&self, consumed: &Consumed) -> Option<topology::Record> {
        let mut told = false;
        loop {
            match self
                .codec
                .decode(consumed.topic, consumed.value.as_deref())
                .await
            {
                Ok(record) => return Some(record),
                Err(DecodeError::Undecodable { .. }) => return None,
                Err(error) if !told => {
                    warn!(error = chain(&error), "live updates cannot go on, waiting");
                    told = true;
                }
                Err(_) => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
    }
}
