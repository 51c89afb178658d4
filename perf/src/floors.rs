//! What the machine itself takes, in the same run: a record from a producer to a consumer,
//! one command in the books, its changes in the read model, one forced write. Every figure is worth what its floors were.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use rdkafka::consumer::BaseConsumer;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde::Serialize;
use topology::Topic;

use crate::books;
use crate::clock::Clock;
use crate::error::Error;
use crate::installation::Installation;
use crate::latency::{Latencies, LatencySummary};
use crate::observer;
use crate::read_model;

/// Like an idle bank: a record now and then.
const HOP_INTERVAL: Duration = Duration::from_millis(50);
const HOP_PATIENCE: Duration = Duration::from_secs(10);
const HOP_BYTES: usize = 100;
/// Before the first counts.
const WARM_UP: usize = 20;
const SYNC_BYTES: usize = 8 * 1024;

/// The floors.
#[derive(Clone, Debug, Serialize)]
pub struct Floors {
    /// A record of 100 bytes from a producer to a consumer with the services' settings.
    pub hop: LatencySummary,
    /// One transfer in a copy of the books: the handler's statements, two pipelined round
    /// trips; as often as records hop.
    pub apply: LatencySummary,
    /// The same with a full batch.
    pub apply_full: LatencySummary,
    /// The records of one transfer into a copy of the gateway's tables: its statements, in seven
    /// round trips.
    pub read_model: LatencySummary,
    /// The same with a full batch.
    pub read_model_full: LatencySummary,
    /// 8 KiB written over and forced to disk.
    pub sync: LatencySummary,
}

/// Takes all floors; no handler may run.
///
/// # Errors
/// When one of them cannot be taken.
pub fn floors(installation: &Installation, samples: usize) -> Result<Floors, Error> {
    let summary = |latencies: Latencies| {
        let mut summary = latencies.summary();
        summary.histogram_us.clear();
        summary
    };
    let books = installation.runtime.block_on(books::measure(
        &installation.administrator,
        &installation.names.database,
        &installation.accounts,
        installation.clock,
        samples,
    ))?;
    let read_model = installation.runtime.block_on(read_model::measure(
        &installation.administrator,
        &installation.names.gateway_database,
        &installation.accounts,
        installation.clock,
        samples,
    ))?;
    Ok(Floors {
        hop: summary(hop(installation, samples)?),
        apply: summary(books.one),
        apply_full: summary(books.full),
        read_model: summary(read_model.one),
        read_model_full: summary(read_model.full),
        sync: summary(sync(
            installation.site.layout.directory(),
            samples,
            installation.clock,
        )?),
    })
}

fn hop(installation: &Installation, samples: usize) -> Result<Latencies, Error> {
    let (kafka, clock) = (&installation.kafka, installation.clock);
    // Nobody beats and nobody listens in an installation that is measured.
    let topic = kafka.topics().name(Topic::Heartbeat);
    let consumer: BaseConsumer = kafka.consumer("perf-hop", "perf-hop").create()?;
    observer::assign_ends(&consumer, kafka, &[Topic::Heartbeat])?;
    let producer: BaseProducer = kafka.producer("perf-hop").create()?;
    let value = [7_u8; HOP_BYTES];
    let mut latencies = Latencies::default();
    for number in 0..samples + WARM_UP {
        let sent = clock.now_ns();
        let record: BaseRecord<'_, str, [u8]> = BaseRecord::to(&topic).key("hop").payload(&value);
        producer.send(record).map_err(|(error, _)| error)?;
        let arrived = loop {
            match consumer.poll(HOP_PATIENCE) {
                Some(Ok(message)) if message.payload().is_some() => break clock.now_ns(),
                Some(_) => {}
                None => {
                    return Err(Error::TooLate {
                        what: "a record has hopped".to_owned(),
                        patience: HOP_PATIENCE,
                    });
                }
            }
        };
        if number >= WARM_UP {
            latencies.record(sent, arrived);
        }
        producer.poll(Duration::ZERO);
        installation.pause(HOP_INTERVAL)?;
    }
    producer.flush(HOP_PATIENCE)?;
    Ok(latencies)
}

fn sync(folder: &Path, samples: usize, clock: Clock) -> Result<Latencies, Error> {
    let path = folder.join("perf-sync");
    let failed = |action| Error::io(action, path.clone());
    let mut file = File::create(&path).map_err(failed("create"))?;
    let page = vec![7_u8; SYNC_BYTES];
    file.write_all(&page).map_err(failed("write"))?;
    file.sync_all().map_err(failed("sync"))?;
    let mut latencies = Latencies::default();
    for number in 0..samples + WARM_UP {
        let started = clock.now_ns();
        file.write_all_at(&page, 0).map_err(failed("write"))?;
        file.sync_data().map_err(failed("sync"))?;
        if number >= WARM_UP {
            latencies.record(started, clock.now_ns());
        }
    }
    std::fs::remove_file(&path).map_err(failed("remove"))?;
    Ok(latencies)
}
