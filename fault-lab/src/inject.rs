//! Doing what a schedule says: inject, wait, heal; each step when its time has come.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use local_cluster::{ProcessIdentity, Program};
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
};
use rustix::process::Signal;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use crate::{
    bank::{Bank, Subject, numbered},
    clock::Clock,
    database,
    error::LabError,
    fault::{Fault, Step},
    load::direct::Direct,
    observer::{self, Place},
    part::{Link, Part},
    poison,
    proxy::Weather,
    seed::Seed,
    wire::topics,
};

/// Members of a storm come and go this often.
const STORM_INTERVAL: Duration = Duration::from_secs(2);
/// A second gateway is ready within this.
const GATEWAY_READY: Duration = Duration::from_secs(20);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A record of a topic that is read again comes within this.
const READ_TIMEOUT: Duration = Duration::from_millis(500);
/// A partition is read again within this, whatever else is broken meanwhile.
const READ_PATIENCE: Duration = Duration::from_secs(30);
/// A broker that was killed is back within this.
const BROKER_PATIENCE: Duration = Duration::from_secs(30);
/// Deliveries that are awaited at once.
const DELIVERIES_MAX: usize = 500;
/// Milliseconds since 1970 in years that are not this one; the broker refuses what is more than an hour ahead.
const STRANGE_TIMES_MS: [i64; 5] = [
    1,
    // The second day of 1970.
    86_400_000,
    // 9 September 2001.
    1_000_000_000_000,
    // The year of the article.
    1_560_000_000_000,
    // 2020.
    1_580_000_000_000,
];
/// Where Debian keeps the library that lies about the time.
const FAKE_TIME_FOLDERS: [&str; 4] = [
    "/usr/lib/x86_64-linux-gnu/faketime",
    "/usr/lib/aarch64-linux-gnu/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
];

/// Something happened to the bank.
#[derive(Clone, Debug, Serialize)]
pub struct Happened {
    /// Since the first moment of the load.
    pub at_ms: u64,
    /// `inject` or `heal`.
    pub what: &'static str,
    /// What it is about.
    pub fault: String,
}

/// What happened when.
pub struct Timeline {
    clock: Clock,
    start_us: u64,
    happened: Mutex<Vec<Happened>>,
}

impl Timeline {
    /// Begins now.
    #[must_use]
    pub fn begin(clock: Clock) -> Timeline {
        Timeline {
            clock,
            start_us: clock.now_us(),
            happened: Mutex::default(),
        }
    }

    fn note(&self, what: &'static str, fault: Fault) {
        let happened = Happened {
            at_ms: self.clock.now_us().saturating_sub(self.start_us) / 1_000,
            what,
            fault: fault.to_string(),
        };
        self.happened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(happened);
    }

    /// Everything so far.
    #[must_use]
    pub fn happened(&self) -> Vec<Happened> {
        self.happened
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Breaks a bank.
pub struct Injector {
    /// The bank.
    pub bank: Arc<Bank>,
    /// Writes into its topics.
    pub direct: Arc<Direct>,
    /// Written down.
    pub timeline: Arc<Timeline>,
    /// Of what is not in the schedule, such as the bytes of poison.
    pub seed: Seed,
}

impl Injector {
    /// Does what the schedule says and returns when everything is healed.
    ///
    /// # Errors
    /// When something could not be done: then nothing is known.
    pub async fn run(self: Arc<Self>, steps: &[Step]) -> Result<(), LabError> {
        let start = Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        for (number, step) in (0_u32..).zip(steps.iter().copied()) {
            let injector = Arc::clone(&self);
            tasks.spawn(async move {
                sleep_until(start + Duration::from_millis(step.at_ms)).await;
                let seed = injector.seed.fork(&format!("step {number}"));
                injector.timeline.note("inject", step.fault);
                let lasts = Duration::from_millis(step.lasts_ms);
                let done = injector.inject(step.fault, lasts, seed).await;
                injector.timeline.note("heal", step.fault);
                done
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.map_err(|error| LabError::Died(error.to_string()))??;
        }
        Ok(())
    }

    async fn inject(&self, fault: Fault, lasts: Duration, mut seed: Seed) -> Result<(), LabError> {
        let bank = &self.bank;
        let postgres = &bank.cluster.endpoints().postgres;
        match fault {
            Fault::Kill { part } => {
                bank.process(part.program()).await?.signal(Signal::KILL);
                Ok(())
            }
            Fault::Stop { part } => self.stop(part, lasts).await,
            Fault::Pause { part } => self.pause(part, lasts).await,
            Fault::Cut { link } => self.weather(link, Weather::Cut, lasts).await,
            Fault::BlackHole { link } => self.weather(link, Weather::BlackHole, lasts).await,
            Fault::Slow { link, delay_ms } => {
                self.weather(link, Weather::Slow { delay_ms }, lasts).await
            }
            Fault::Slice { link } => self.weather(link, Weather::Slice, lasts).await,
            Fault::RepeatCommands { records } => self.repeat_commands(records).await,
            Fault::Poison { records } => self.poison(records, &mut seed).await,
            Fault::StrangeTimes { records } => self.strange_times(records, &mut seed).await,
            Fault::WrongClock { days } => self.wrong_clock(days, lasts).await,
            Fault::RebalanceStorm => self.storm(lasts).await,
            Fault::ScaleHandlers => self.scale_handlers(lasts).await,
            Fault::ScaleGateways => self.scale_gateways(lasts).await,
            Fault::KillSessions => database::terminate_sessions(postgres, lasts).await,
            Fault::ImmediateStop => {
                bank.process(Part::Postgres.program())
                    .await?
                    .signal(Signal::QUIT);
                Ok(())
            }
            Fault::LockTables => database::lock_tables(postgres, lasts).await,
            Fault::ReadOnly => database::read_only(postgres, lasts).await,
            Fault::UseUpConnections => {
                let url = bank.cluster.database_url("registry")?;
                database::use_up_connections(postgres, &url, lasts).await
            }
            Fault::FillDatabaseDisk | Fault::FillBrokerDisk => self.fill_disk(fault, lasts).await,
        }
    }

    async fn stop(&self, part: Part, lasts: Duration) -> Result<(), LabError> {
        let cluster = &self.bank.cluster;
        let signal = if part == Part::Postgres {
            Signal::INT
        } else {
            Signal::TERM
        };
        let program = cluster.stop_program(part.program(), signal).await;
        sleep(lasts).await;
        if let Some(program) = program {
            cluster.start_program(program);
        }
        Ok(())
    }

    async fn pause(&self, part: Part, lasts: Duration) -> Result<(), LabError> {
        let process = self.bank.process(part.program()).await?;
        // The parent first, so that it makes no child meanwhile.
        process.signal(Signal::STOP);
        let mut paused = vec![process];
        if part == Part::Postgres {
            paused.extend(children(process.pid));
        }
        self.bank.remember_paused(&paused);
        for child in &paused[1..] {
            child.signal(Signal::STOP);
        }
        sleep(lasts).await;
        for process in &paused {
            process.signal(Signal::CONT);
        }
        self.bank.forget_paused(&paused);
        Ok(())
    }

    async fn weather(&self, link: Link, weather: Weather, lasts: Duration) -> Result<(), LabError> {
        let proxy = self.bank.proxy(link);
        proxy.set(weather);
        sleep(lasts).await;
        proxy.set(Weather::Clear);
        Ok(())
    }

    /// Appends the newest commands of each partition again, as a producer that retries too often would.
    async fn repeat_commands(&self, records: u32) -> Result<(), LabError> {
        let brokers = self.bank.cluster.endpoints().kafka_brokers.clone();
        let prefix = self.bank.topic_prefix;
        let ends = self.ends().await?;
        let reading = tokio::task::spawn_blocking(move || {
            let consumer: BaseConsumer = observer::client(&brokers)
                .create()
                .map_err(LabError::kafka("make a consumer"))?;
            let mut copies = Vec::new();
            for ((topic, partition), end) in ends {
                if topic != topics::CREATIONS && topic != topics::TRANSFERS {
                    continue;
                }
                let start = (end - i64::from(records)).max(0);
                let name = format!("{prefix}{topic}");
                let mut assignment = TopicPartitionList::new();
                assignment
                    .add_partition_offset(&name, partition, Offset::Offset(start))
                    .and_then(|()| consumer.assign(&assignment))
                    .map_err(LabError::kafka("read commands again"))?;
                let mut next = start;
                let give_up = std::time::Instant::now() + READ_PATIENCE;
                while next < end && std::time::Instant::now() < give_up {
                    // An error is a broker that is away, for another fault's sake.
                    let Some(Ok(message)) = consumer.poll(READ_TIMEOUT) else {
                        continue;
                    };
                    next = message.offset() + 1;
                    let key = message.key().map(<[u8]>::to_vec);
                    copies.push((topic.clone(), key, message.payload().map(<[u8]>::to_vec)));
                }
            }
            Ok::<_, LabError>(copies)
        });
        let copies = reading
            .await
            .map_err(|error| LabError::Died(error.to_string()))??;
        for (topic, key, value) in copies {
            let sent = self
                .direct
                .send(&topic, key.as_deref(), value.as_deref(), None)
                .await;
            drop(sent);
        }
        Ok(())
    }

    /// Where the topics end, as soon as the broker says so.
    async fn ends(&self) -> Result<BTreeMap<Place, i64>, LabError> {
        let give_up = Instant::now() + BROKER_PATIENCE;
        loop {
            match self.direct.observer().ends().await {
                Err(_) if Instant::now() < give_up => sleep(LOOK).await,
                ends => return ends,
            }
        }
    }

    async fn poison(&self, records: u32, seed: &mut Seed) -> Result<(), LabError> {
        let mut deliveries = Vec::new();
        for _ in 0..records {
            let (topic, key, value) = poison::record(self.direct.schemas(), seed);
            let sent = self
                .direct
                .send(topic, key.as_deref(), value.as_deref(), None)
                .await;
            deliveries.extend(sent);
            if deliveries.len() >= DELIVERIES_MAX {
                delivered(&mut deliveries).await?;
            }
        }
        delivered(&mut deliveries).await
    }

    async fn strange_times(&self, records: u32, seed: &mut Seed) -> Result<(), LabError> {
        let mut deliveries = Vec::new();
        for _ in 0..records {
            let (key, value) = self.direct.payment(seed);
            let time = STRANGE_TIMES_MS[seed.index(STRANGE_TIMES_MS.len())];
            let key = Some(key.as_bytes());
            let sent = self
                .direct
                .send(topics::TRANSFERS, key, Some(&value), Some(time))
                .await;
            deliveries.extend(sent);
        }
        delivered(&mut deliveries).await
    }

    async fn wrong_clock(&self, days: i32, lasts: Duration) -> Result<(), LabError> {
        let cluster = &self.bank.cluster;
        let name = Part::Handler.program();
        let (Some(library), Some(program)) = (
            fake_time_library(),
            cluster.stop_program(name, Signal::TERM).await,
        ) else {
            return Ok(());
        };
        let lied_to = program
            .clone()
            .variable("LD_PRELOAD", library)
            .variable("FAKETIME", format!("{days:+}d"))
            // How long something takes stays true: a machine with a wrong date still counts seconds.
            .variable("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        cluster.start_program(lied_to);
        sleep(lasts).await;
        let stopped = cluster.stop_program(name, Signal::TERM).await;
        if stopped.is_some() {
            cluster.start_program(program);
        }
        Ok(())
    }

    async fn storm(&self, lasts: Duration) -> Result<(), LabError> {
        let end = Instant::now() + lasts;
        let mut turn = 0_u32;
        while Instant::now() < end {
            let number = 2 + turn % 2;
            self.bank.cluster.start_program(self.handler(number)?);
            sleep(STORM_INTERVAL).await;
            // The one before, so that two or three are there at any time.
            if turn > 0 {
                self.leave(5 - number, turn).await;
            }
            turn += 1;
        }
        self.leave(2, turn).await;
        self.leave(3, turn + 1).await;
        Ok(())
    }

    async fn scale_handlers(&self, lasts: Duration) -> Result<(), LabError> {
        for number in [2, 3] {
            self.bank.cluster.start_program(self.handler(number)?);
        }
        sleep(lasts).await;
        self.leave(2, 0).await;
        self.leave(3, 1).await;
        Ok(())
    }

    fn handler(&self, number: u32) -> Result<Program, LabError> {
        match self.bank.subject {
            Subject::Bank => self.bank.handler(number),
            Subject::ArticlesWay => Ok(self.bank.articles_way()),
        }
    }

    /// One handler leaves: in order in even turns, killed in odd ones.
    async fn leave(&self, number: u32, turn: u32) {
        let name = numbered(Part::Handler.program(), number);
        let signal = if turn.is_multiple_of(2) {
            Signal::TERM
        } else {
            Signal::KILL
        };
        self.bank.cluster.stop_program(&name, signal).await;
    }

    async fn scale_gateways(&self, lasts: Duration) -> Result<(), LabError> {
        let bank = &self.bank;
        let (first, second) = (bank.entrance(1), bank.entrance(2));
        let name = Part::Gateway.program();
        bank.cluster.start_program(bank.gateway(2)?);
        self.until_ready(2).await;
        bank.gateways.set(vec![first, second]);
        sleep(lasts / 2).await;
        bank.gateways.set(vec![second]);
        let program = bank.cluster.stop_program(name, Signal::TERM).await;
        sleep(lasts / 2).await;
        if let Some(program) = program {
            bank.cluster.start_program(program);
        }
        self.until_ready(1).await;
        bank.gateways.set(vec![first]);
        let second = numbered(name, 2);
        bank.cluster.stop_program(&second, Signal::TERM).await;
        Ok(())
    }

    async fn until_ready(&self, number: u32) {
        let ready = async {
            while !self.bank.is_gateway_ready(number).await {
                sleep(LOOK).await;
            }
        };
        // One that is late is found by its clients.
        let _ = tokio::time::timeout(GATEWAY_READY, ready).await;
    }

    async fn fill_disk(&self, fault: Fault, lasts: Duration) -> Result<(), LabError> {
        let Some(disk) = self.bank.disk() else {
            return Ok(());
        };
        let end = Instant::now() + lasts;
        disk.fill()?;
        while Instant::now() < end {
            if fault == Fault::FillDatabaseDisk {
                database::switch_log(&self.bank.cluster.endpoints().postgres).await;
            }
            sleep(LOOK * 10).await;
            // What somebody has freed meanwhile is taken, too.
            disk.fill()?;
        }
        disk.empty()
    }
}

async fn delivered(
    deliveries: &mut Vec<rdkafka::producer::future_producer::DeliveryFuture>,
) -> Result<(), LabError> {
    for delivery in deliveries.drain(..) {
        if let Ok(Err((source, _))) = delivery.await {
            return Err(LabError::kafka("write a record")(source));
        }
    }
    Ok(())
}

/// The library that lies about the time, if this machine has it.
#[must_use]
pub fn fake_time_library() -> Option<String> {
    FAKE_TIME_FOLDERS
        .iter()
        .map(|folder| format!("{folder}/libfaketime.so.1"))
        .find(|path| Path::new(path).is_file())
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<ProcessIdentity> {
    let parent = |child: u32| -> Option<u32> {
        let stat = fs::read_to_string(format!("/proc/{child}/stat")).ok()?;
        // The second field is a name in parentheses and may hold anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.split_whitespace().nth(1)?.parse().ok()
    };
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|child| parent(*child) == Some(pid))
        .filter_map(ProcessIdentity::of)
        .collect()
}
