//! The pace-maker: sends numbered heartbeats at a set rate, and so sets the pace of the
//! simulated public. The smallest complete service; read it first.
//!
//! Writes [`Topic::Heartbeat`]: key the time at which the beat was due (RFC 3339), value
//! its number, from 0 at each start. Reads nothing. The rate is set at the start and by
//! `PUT /rate`; at rate 0 it sleeps.
//!
//! Reading order: [`config`], [`pace`] (when beats are due; pure), [`beats`] (sending
//! them), [`rate`] (the knob), [`kept`] (its position over a restart), [`meter`] (what was achieved), [`error`].

pub mod beats;
pub mod config;
pub mod error;
pub mod kept;
pub mod meter;
pub mod pace;
pub mod rate;

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use topology::operations::{self, Readiness};
use topology::producer::Producer;
use topology::{Codec, Topic, consumer};
use tracing::warn;

use crate::beats::{Beater, Tally};
pub use crate::config::Config;
pub use crate::error::HeartbeatError;
use crate::kept::Kept;

const NAME: &str = "heartbeat";
/// Longest wait at the end for beats on their way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// Beats until told to stop.
///
/// # Errors
/// [`HeartbeatError`] when it cannot go on; what is away is waited for.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), HeartbeatError> {
    let readiness = Readiness::waiting_for(&["kafka", "schema_registry"]);
    let tally = Arc::new(Tally::new(Instant::now()));
    let kept = Kept::new(config.rate_file.clone());
    let (rate, rate_changes) = watch::channel(kept.read(config.heartbeats_per_second));
    let router = rate::router(Arc::new(rate), kept, Arc::clone(&tally));
    let operations = async {
        let address = config.common.operations_address;
        operations::serve(address, readiness.clone(), router, stop.clone())
            .await
            .map_err(HeartbeatError::Operations)?;
        if stop.is_cancelled() {
            // Told to stop: beats on their way still have their time.
            std::future::pending().await
        } else {
            Err(HeartbeatError::Ended("operations"))
        }
    };
    let beating = beat(&config, &readiness, rate_changes, tally, stop.clone());
    // Whichever ends first ends both: half a service must not look alive.
    tokio::select! {
        outcome = operations => outcome,
        outcome = beating => outcome,
    }
}

async fn beat(
    config: &Config,
    readiness: &Readiness,
    rate: watch::Receiver<u32>,
    tally: Arc<Tally>,
    stop: CancellationToken,
) -> Result<(), HeartbeatError> {
    let Some((codec, producer)) = stop
        .run_until_cancelled(connect(config, readiness))
        .await
        .transpose()?
    else {
        return Ok(());
    };
    let (beater, deliveries) = Beater::new(codec, producer, rate, Arc::clone(&tally));
    let delivering = beats::await_deliveries(deliveries, tally);
    tokio::pin!(delivering);
    tokio::select! {
        // The beater keeps deliveries open: they end before it only by an error.
        delivered = &mut delivering => return delivered.and(Err(HeartbeatError::Ended("deliveries"))),
        beaten = beater.run(stop) => beaten?,
    }
    if let Ok(delivered) = tokio::time::timeout(DRAIN_TIMEOUT, delivering).await {
        delivered
    } else {
        warn!("beats on their way were given up");
        Ok(())
    }
}

/// Waits until there is a topic to write to and a schema to write with.
async fn connect(
    config: &Config,
    readiness: &Readiness,
) -> Result<(Codec, Producer), HeartbeatError> {
    let kafka = &config.common.kafka;
    let producer = Producer::new(kafka, NAME).map_err(HeartbeatError::Open)?;
    let topic = async {
        let found = consumer::end_positions(kafka, NAME, &[Topic::Heartbeat]).await;
        found.map_err(HeartbeatError::Topic)?;
        let producer = producer.clone();
        readiness.check("kafka", move || producer.is_connected());
        Ok(())
    };
    let schema = async {
        let url = &config.common.schema_registry_url;
        let codec = Codec::connect(url, &kafka.topics(), &[Topic::Heartbeat]).await;
        readiness.holds("schema_registry");
        Ok(codec)
    };
    let (codec, ()) = tokio::try_join!(schema, topic)?;
    Ok((codec, producer))
}
