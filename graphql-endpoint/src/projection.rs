//! The projection: topics into the read model, batch by batch, for ever.
//!
//! Where it starts is what the read model says; each batch moves offsets and effects
//! together. A database or registry that is away is waited for. A record that is of no
//! use becomes a dead letter before its offset moves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, Consumed, Position, Positions, PositionsError, Source};
use topology::kafka::KafkaConfig;
use topology::operations::Readiness;
use topology::pace::{Pace, Paced};
use topology::producer::{Outgoing, Producer, SendError};
use topology::stamps::now_us;
use topology::{Backoff, Codec, DecodeError, Topic, dead_letters};
use tracing::{info, warn};

use crate::error::Error;
use crate::facts::{Fact, understand};
use crate::figures::{Projected, note_projected};
use crate::identity::TokenVault;
use crate::journeys::{Journeys, Moment};
use crate::spans;
use crate::steps::{Step, Steps};
use crate::store::Store;
use crate::store::projection::{Applied, Assignment, Item};

/// Group whose members share the projection.
pub const GROUP: &str = "graphql-endpoint";
/// What the projection reads.
pub const TOPICS: [Topic; 3] = [
    Topic::AccountCreationFeedback,
    Topic::MoneyTransferFeedback,
    Topic::BalanceChanged,
];
/// Records of a batch: enough to make a rebuild fast, small enough to stay short.
const RECORDS_MAX: usize = 512;
/// Nobody waits for the read model but who asks it: live updates come from the tail. A
/// lone payment has three records.
const PACE: Pace = Pace {
    per_item: Duration::from_millis(1),
    pause_max: Duration::from_millis(20),
    enough: 256,
};
/// Name of its condition of readiness.
pub const CONDITION: &str = "projection";

/// What the projection works with.
pub struct Projection {
    /// Into here.
    pub store: Store,
    /// Reads records.
    pub codec: Arc<Codec>,
    /// For dead letters; none in a rebuild, when they are in their topic already.
    pub producer: Option<Producer>,
    /// For the tokens of new accounts.
    pub vault: Arc<TokenVault>,
    /// Watched in tests only.
    pub steps: Steps,
    /// Of the commands of this gateway.
    pub journeys: Arc<Journeys>,
    /// How far it is.
    pub projected: Projected,
}

struct StoredPositions {
    store: Store,
    assigned: Arc<AtomicBool>,
    steps: Steps,
}

impl Positions for StoredPositions {
    fn assigned(
        &self,
        partitions: Vec<(Topic, i32)>,
    ) -> BoxFuture<'_, Result<Vec<Position>, PositionsError>> {
        async move {
            let mut backoff = Backoff::new("finding where the projection goes on");
            loop {
                match self.store.take_partitions(&partitions).await {
                    Ok(positions) => {
                        backoff.succeeded();
                        self.steps.pass(Step::PartitionsTaken)?;
                        self.assigned.store(true, Ordering::Relaxed);
                        return Ok(positions);
                    }
                    Err(error) => backoff.wait(&error).await,
                }
            }
        }
        .boxed()
    }
}

impl Projection {
    /// Reads and applies until told to stop.
    ///
    /// # Errors
    /// When the topics can no longer be read, or dead letters no longer be sent.
    pub async fn run(
        self,
        kafka: &KafkaConfig,
        readiness: &Readiness,
        stop: CancellationToken,
    ) -> Result<(), Error> {
        let assigned = Arc::new(AtomicBool::new(false));
        let source = Source::Group {
            group: GROUP.to_owned(),
            topics: TOPICS.to_vec(),
            positions: Arc::new(StoredPositions {
                store: self.store.clone(),
                assigned: Arc::clone(&assigned),
                steps: self.steps.clone(),
            }),
        };
        let mut consumer =
            BatchConsumer::start(kafka, "graphql-endpoint-projection", source, RECORDS_MAX)?;
        readiness.check(CONDITION, move || assigned.load(Ordering::Relaxed));
        let mut paced = Paced::new(PACE, RECORDS_MAX);
        loop {
            let next_batch = async {
                paced.turn().await;
                consumer.next().await
            };
            let batch = tokio::select! {
                () = stop.cancelled() => break,
                batch = next_batch => batch?,
            };
            paced.begin(batch.len());
            self.steps.pass(Step::Polled)?;
            let fenced = tokio::select! {
                // Not applied, so not moved: it is read again.
                () = stop.cancelled() => break,
                fenced = self.apply(kafka, &batch) => fenced?,
            };
            self.steps.pass(Step::Committed)?;
            for consumed in &batch {
                let (topic, partition) = (consumed.topic, consumed.partition);
                if !fenced.contains(&(topic, partition, consumed.epoch)) {
                    consumer.mark_done(topic, partition, consumed.offset + 1);
                }
            }
            for (topic, partition, epoch) in fenced {
                info!(?topic, partition, "another instance has taken a partition");
                consumer.fenced(topic, partition, epoch);
            }
            self.steps.pass(Step::Marked)?;
        }
        consumer.close().await;
        Ok(())
    }

    /// Applies a batch. Returns the assignments that are over, whose records were not
    /// applied.
    ///
    /// # Errors
    /// When dead letters can no longer be sent.
    pub async fn apply(
        &self,
        kafka: &KafkaConfig,
        batch: &[Consumed],
    ) -> Result<BTreeSet<Assignment>, Error> {
        // Not in a rebuild, which works on what has long been seen.
        let is_new = self.producer.is_some();
        let polled_us = now_us();
        let mut items = Vec::with_capacity(batch.len());
        for consumed in batch {
            items.push(self.read(kafka, consumed).await?);
        }
        self.steps.pass(Step::Understood)?;
        let mut backoff = Backoff::new("writing the read model");
        loop {
            match self.store.apply(&items).await {
                Ok(Applied::Done { fenced }) => {
                    backoff.succeeded();
                    note_projected(&self.projected, batch);
                    let now = now_us();
                    if is_new {
                        spans::projected(batch, &items, &fenced, polled_us, now);
                    }
                    for item in &items {
                        if let Some(Fact::Changed(change)) = &item.fact
                            && let Some(command_id) = change.command_id
                        {
                            self.journeys.note(command_id, Moment::Projected, now);
                        }
                    }
                    return Ok(fenced);
                }
                Ok(Applied::Corrupt(corrupt)) => {
                    for index in corrupt {
                        let detail = "the change is stored with other content";
                        self.bury(kafka, &batch[index], "CORRUPTION", detail)
                            .await?;
                        items[index].fact = None;
                    }
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
    }

    /// Reads one record; what cannot be read is a dead letter, and an item without a fact.
    async fn read(&self, kafka: &KafkaConfig, consumed: &Consumed) -> Result<Item, Error> {
        let mut item = Item {
            topic: consumed.topic,
            partition: consumed.partition,
            offset: consumed.offset,
            epoch: consumed.epoch,
            fact: None,
            token_ciphertext: None,
        };
        let mut backoff = Backoff::new("reading a record");
        let record = loop {
            match self
                .codec
                .decode(consumed.topic, consumed.value.as_deref())
                .await
            {
                Ok(record) => break record,
                Err(DecodeError::Undecodable { reason, detail }) => {
                    self.bury(kafka, consumed, reason, &detail).await?;
                    return Ok(item);
                }
                Err(error) => backoff.wait(&error).await,
            }
        };
        backoff.succeeded();
        match understand(consumed, record) {
            Ok(fact) => {
                if let Fact::AccountOpened {
                    iban,
                    token,
                    is_manual: true,
                    ..
                } = &fact
                {
                    item.token_ciphertext = Some(self.vault.seal(iban, token)?);
                }
                item.fact = Some(fact);
            }
            Err(unusable) => {
                self.bury(kafka, consumed, unusable.reason, &unusable.detail)
                    .await?;
            }
        }
        Ok(item)
    }

    /// Sends a record as it came to the dead letters and waits until it is there.
    async fn bury(
        &self,
        kafka: &KafkaConfig,
        consumed: &Consumed,
        reason: &str,
        detail: &str,
    ) -> Result<(), Error> {
        let Some(producer) = &self.producer else {
            return Ok(());
        };
        let topic = kafka.topics().name(consumed.topic);
        warn!(
            topic,
            partition = consumed.partition,
            offset = consumed.offset,
            reason,
            detail,
            "dead letter"
        );
        let headers = dead_letters::headers(&kafka.topics(), consumed, reason);
        let letter = Outgoing {
            topic: Topic::DeadLetters,
            key: consumed.key.as_deref().unwrap_or_default(),
            value: consumed.value.as_deref(),
            headers: &headers,
        };
        let mut backoff = Backoff::new("sending a dead letter");
        // A topic that takes none holds up the read model, and nothing else of this service.
        while let Err(refused) = producer.send(letter).await?.wait().await {
            match refused {
                SendError::Undelivered { .. } => backoff.wait(&refused).await,
                SendError::Ended => return Err(refused.into()),
            }
        }
        backoff.succeeded();
        self.steps.pass(Step::Buried)?;
        Ok(())
    }
}
