//! Gathers the status, once a second, while somebody looks.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use chrono::Utc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use topology::Topic;
use topology::kafka::KafkaConfig;
use topology::topics::DEFINITIONS;
use tracing::debug;

use super::registry::Registry;
use super::services::{Found, Services};
use super::snapshot::{ServiceKind, ServiceState, ServiceStatus, Status, TopicStatus};
use super::topics::{Asker, READERS, Sample};
use super::{Board, auditor, web};
use crate::config::ServiceAddress;
use crate::graphql::types::Load;
use crate::pace_maker::PaceMaker;
use crate::store::Store;

/// Time between two rounds.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between the first two: a rate needs both.
const FIRST_INTERVAL: Duration = Duration::from_millis(250);
/// What Kafka said is no longer how it is after so long.
const KAFKA_WORD_HOLDS: Duration = Duration::from_secs(5);

/// Whom to ask.
#[derive(Clone)]
pub struct Sources {
    /// The brokers.
    pub kafka: KafkaConfig,
    /// The registry's base.
    pub registry_url: String,
    /// Services that tell how they are.
    pub services: Vec<ServiceAddress>,
    /// The auditor's operations.
    pub auditor: Option<String>,
    /// The knob of the simulated public.
    pub pace_maker: PaceMaker,
    /// The read model.
    pub store: Store,
}

/// Gathers until told to stop.
pub async fn run(board: &Board, sources: &Sources, stop: CancellationToken) {
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            () = board.wait_for_a_look() => {}
        }
        // Clients are made for as long as somebody looks: idle, they would be memory and
        // threads that nobody uses.
        let Some(client) = web::client() else {
            debug!("no client for the status");
            stop.cancelled().await;
            return;
        };
        let kafka = KafkaWatch::start(&sources.kafka);
        let mut round = Round {
            sources,
            client,
            services: Services::at(&sources.services),
            registry: Registry::at(&sources.registry_url, sources.kafka.topics()),
            heartbeats_per_second: 0,
            pushed: None,
            kafka: &kafka,
        };
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_first = true;
        while board.is_looked_at() {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = interval.tick() => {}
            }
            if is_first {
                round.gather(board).await;
                kafka.wait_for_two(FIRST_INTERVAL).await;
                is_first = false;
            }
            let status = tokio::select! {
                () = stop.cancelled() => return,
                status = round.gather(board) => status,
            };
            board.show(Some(Arc::new(status)));
        }
        board.show(None);
    }
}

struct Round<'a> {
    sources: &'a Sources,
    client: reqwest::Client,
    services: Services,
    registry: Registry,
    heartbeats_per_second: u32,
    pushed: Option<(Instant, u64)>,
    kafka: &'a KafkaWatch,
}

impl Round<'_> {
    async fn gather(&mut self, board: &Board) -> Status {
        let sources = self.sources;
        let (found, auditor, load, ()) = tokio::join!(
            self.services.ask(&self.client),
            auditor::ask(&self.client, sources.auditor.as_deref()),
            sources.pace_maker.rate_by(&self.client),
            self.registry.ask(&self.client),
        );
        if let Some(rate) = load {
            self.heartbeats_per_second = rate;
        }
        let Found { mut services, owed } = found;
        let (before, now) = self.kafka.newest();
        let fresh = now.as_ref();
        let fresh = fresh.filter(|sample| sample.taken_at.elapsed() < KAFKA_WORD_HOLDS);
        for service in &mut services {
            let reads = READERS.iter().find(|(name, _)| *name == service.name);
            service.lag = reads.and_then(|(_, topics)| lag_of(fresh?, topics));
        }
        self.add_infrastructure(&mut services, fresh.is_some());
        let topics = DEFINITIONS.iter().map(|definition| {
            let topic = definition.topic;
            let name = sources.kafka.topics().name(topic);
            let progress = fresh.and_then(|sample| sample.topics.get(&topic));
            TopicStatus {
                partitions: definition.partitions,
                records_per_second: rate(before.as_ref(), fresh, &[topic]),
                lag: progress.and_then(|it| it.lag),
                last_record_at: progress.and_then(|it| it.last_record_at),
                schema_versions: self.registry.versions(&name),
                name,
            }
        });
        let topics = topics.collect();
        let answers = [Topic::AccountCreationFeedback, Topic::MoneyTransferFeedback];
        let at = Utc::now();
        Status {
            at,
            load: Load {
                heartbeats_per_second: self.heartbeats_per_second,
            },
            achieved_per_second: rate(before.as_ref(), fresh, &answers),
            services,
            topics,
            latency: board.meter.latency(at),
            owed,
            pushed_per_second: self.pushed_per_second(board.meter.pushed_count()),
            sockets: i64::try_from(board.meter.sockets()).unwrap_or(i64::MAX),
            auditor,
        }
    }

    fn add_infrastructure(&mut self, services: &mut Vec<ServiceStatus>, is_kafka_up: bool) {
        let kafka = match (is_kafka_up, self.kafka.has_failed()) {
            (true, _) => Some(true),
            (false, true) => Some(false),
            (false, false) => None,
        };
        for (name, answers) in [
            ("kafka", kafka),
            ("schema-registry", self.registry.answers),
            ("postgres", Some(self.sources.store.is_up())),
        ] {
            let state = match answers {
                Some(true) => ServiceState::Up,
                Some(false) => ServiceState::Gone,
                None => ServiceState::Unknown,
            };
            services.push(ServiceStatus {
                name: name.to_owned(),
                kind: ServiceKind::Infrastructure,
                state,
                waiting_for: Vec::new(),
                since: self.services.since(name, state, None),
                instances: i32::from(state == ServiceState::Up),
                resident_bytes: None,
                cpu_percent: None,
                lag: None,
            });
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        clippy::float_arithmetic,
        reason = "a rate for people, not money"
    )]
    fn pushed_per_second(&mut self, pushed: u64) -> f64 {
        let now = Instant::now();
        let Some((at, before)) = self.pushed.replace((now, pushed)) else {
            return 0.0;
        };
        let seconds = now.duration_since(at).as_secs_f64();
        if seconds > 0.0 {
            tenths((pushed - before) as f64 / seconds)
        } else {
            0.0
        }
    }
}

/// What a reader has not dealt with in all its topics.
fn lag_of(sample: &Sample, topics: &[Topic]) -> Option<i64> {
    let lags = topics
        .iter()
        .filter_map(|topic| sample.topics.get(topic)?.lag);
    lags.fold(None, |sum: Option<i64>, lag| {
        Some(sum.unwrap_or(0).saturating_add(lag))
    })
}

/// Records that came into these topics between two samples, per second.
#[expect(
    clippy::cast_precision_loss,
    clippy::float_arithmetic,
    reason = "a rate for people, not money"
)]
fn rate(before: Option<&Sample>, now: Option<&Sample>, topics: &[Topic]) -> f64 {
    let (Some(before), Some(now)) = (before, now) else {
        return 0.0;
    };
    let written = |sample: &Sample| -> i64 {
        let of = topics.iter().filter_map(|topic| sample.topics.get(topic));
        of.map(|progress| progress.written).sum()
    };
    let seconds = now.taken_at.duration_since(before.taken_at).as_secs_f64();
    if seconds > 0.0 {
        tenths((written(now) - written(before)).max(0) as f64 / seconds)
    } else {
        0.0
    }
}

#[expect(clippy::float_arithmetic, reason = "a rate for people, not money")]
fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

#[derive(Default)]
struct Known {
    before: Option<Sample>,
    now: Option<Sample>,
    has_failed: bool,
}

/// Asks Kafka at its own pace: a broker that is away would hold up everything else.
struct KafkaWatch {
    known: Arc<Mutex<Known>>,
    changed: Arc<tokio::sync::Notify>,
    stop: Arc<CancellationToken>,
}

impl Drop for KafkaWatch {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl KafkaWatch {
    fn start(kafka: &KafkaConfig) -> KafkaWatch {
        let watch = KafkaWatch {
            known: Arc::default(),
            changed: Arc::default(),
            stop: Arc::default(),
        };
        let (known, stop, kafka) = (
            Arc::clone(&watch.known),
            Arc::clone(&watch.stop),
            kafka.clone(),
        );
        let changed = Arc::clone(&watch.changed);
        tokio::task::spawn_blocking(move || {
            let mut asker = match Asker::new(&kafka) {
                Ok(asker) => asker,
                Err(error) => {
                    debug!(%error, "no client to ask Kafka with");
                    return;
                }
            };
            let mut pause = FIRST_INTERVAL;
            while !stop.is_cancelled() {
                let sample = asker.ask();
                if let Err(error) = &sample {
                    debug!(%error, "Kafka does not tell how far it is");
                }
                {
                    let mut known = known.lock().unwrap_or_else(PoisonError::into_inner);
                    known.has_failed = sample.is_err();
                    if let Ok(sample) = sample {
                        known.before = known.now.replace(sample);
                    }
                }
                changed.notify_one();
                std::thread::sleep(pause);
                pause = INTERVAL;
            }
        });
        watch
    }

    /// Until a rate can be told, or Kafka does not answer.
    async fn wait_for_two(&self, longest_beyond_the_answer: Duration) {
        let told = async {
            loop {
                {
                    let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
                    if known.has_failed || known.before.is_some() {
                        return;
                    }
                }
                self.changed.notified().await;
            }
        };
        let _ = tokio::time::timeout(INTERVAL + longest_beyond_the_answer, told).await;
    }

    fn newest(&self) -> (Option<Sample>, Option<Sample>) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        (known.before.clone(), known.now.clone())
    }

    fn has_failed(&self) -> bool {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.has_failed
    }
}
