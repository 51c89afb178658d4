//! Turns heartbeats into the commands of a simulated public that gets salaries, takes
//! cash, shops and pays each other: one command for each beat.
//!
//! Reads [`Topic::Heartbeat`] (on from the group's committed offset where the log still
//! has it, else from the end) and [`Topic::AccountCreationFeedback`] (from the first at
//! every start, to know the accounts again). Writes [`Topic::ConfirmAccountCreation`],
//! [`Topic::ConfirmMoneyTransfer`] and, for what cannot be understood,
//! [`Topic::DeadLetters`]. It keeps nothing on disk.
//!
//! Each new account of the simulated public gets a salary at once, as long as this
//! program runs; a crash between the outcome and its salary loses that one salary, and
//! accounts confirmed while it was down get none but by chance. Nobody counts on it.
//!
//! Reading order: [`config`], [`public`] (who pays whom; pure), [`positions`] (where
//! reading starts), `rebuild`, `generator` (the loop), `reading`, [`error`].

pub mod config;
pub mod error;
pub mod positions;
pub mod public;

mod generator;
mod reading;
mod rebuild;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BATCH_RECORDS_MAX, BatchConsumer, Source};
use topology::operations::{self, Readiness};
use topology::producer::Producer;
use topology::{Codec, Topic};

pub use crate::config::Config;
pub use crate::error::GeneratorError;
use crate::generator::Generator;
use crate::public::Public;

/// Of the group and of the clients.
const NAME: &str = "command-generator";

/// Makes commands until told to stop.
///
/// # Errors
/// [`GeneratorError`] when it cannot go on; what is away is waited for.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), GeneratorError> {
    let readiness = Readiness::waiting_for(&["kafka", "schema_registry", "accounts"]);
    let operations = async {
        let address = config.common.operations_address;
        operations::serve(
            address,
            readiness.clone(),
            axum::Router::new(),
            stop.clone(),
        )
        .await
        .map_err(GeneratorError::Operations)?;
        if stop.is_cancelled() {
            // Told to stop: commands on their way still have their time.
            std::future::pending().await
        } else {
            Err(GeneratorError::Ended("operations"))
        }
    };
    // Whichever ends first ends both: half a service must not look alive.
    tokio::select! {
        outcome = operations => outcome,
        outcome = generate(&config, &readiness, stop.clone()) => outcome,
    }
}

async fn generate(
    config: &Config,
    readiness: &Readiness,
    stop: CancellationToken,
) -> Result<(), GeneratorError> {
    let preparing = prepare(config, readiness);
    match stop.run_until_cancelled(preparing).await.transpose()? {
        Some((generator, consumer)) => generator.run(consumer, stop).await,
        None => Ok(()),
    }
}

/// Waits for what it needs, knows its accounts again, and opens the live consumer.
async fn prepare(
    config: &Config,
    readiness: &Readiness,
) -> Result<(Generator, BatchConsumer), GeneratorError> {
    let kafka = &config.common.kafka;
    let topics = kafka.topics();
    let producer = Producer::new(kafka, NAME).map_err(GeneratorError::Open)?;
    let starts = async {
        let starts = positions::find(kafka).await?;
        let producer = producer.clone();
        readiness.check("kafka", move || producer.is_connected());
        Ok::<_, GeneratorError>(starts)
    };
    let codec = async {
        let written = [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer];
        let url = &config.common.schema_registry_url;
        let codec = Codec::connect(url, &topics, &written).await;
        readiness.holds("schema_registry");
        Ok(codec)
    };
    let (starts, codec) = tokio::try_join!(starts, codec)?;
    let mut public = Public::new(config.company_token_file.secret().clone());
    let mut random = StdRng::from_rng(&mut rand::rng());
    let outcomes =
        rebuild::rebuild(kafka, &codec, &producer, &starts, &mut public, &mut random).await?;
    let consumer = BatchConsumer::start(
        kafka,
        NAME,
        Source::Fixed {
            group: NAME.to_owned(),
            positions: [starts.heartbeats, outcomes.clone()].concat(),
        },
        BATCH_RECORDS_MAX,
    )?;
    for outcome in outcomes {
        consumer.mark_done(outcome.topic, outcome.partition, outcome.next_offset);
    }
    let (sending, reading) = (producer.clone(), consumer.connection());
    readiness.check("kafka", move || sending.is_connected() && reading.is_up());
    readiness.holds("accounts");
    let generator = Generator {
        codec,
        producer,
        topics,
        public,
        random,
    };
    Ok((generator, consumer))
}
