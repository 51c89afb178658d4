//! The benchmark of the command handler, from its first account to its last kill.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Handle;

use crate::clock::Clock;
use crate::drain::{self, Drain, Memory, Order};
use crate::error::Error;
use crate::floors::{self, Floors};
use crate::installation::{Installation, Mode, Names, Site, Stop};
use crate::kills::{self, Kills};
use crate::machine::{self, Machine};
use crate::numbers::{Spread, ratio};
use crate::procfs::{Noise, NoiseWatch};
use crate::steady::{self, Recovery, Steady, Step};
use crate::verdict::{self, Line};
use crate::workload::Workload;

/// Of the results file; a reader of another one must not guess.
const FORMAT: u32 = 1;
/// An idle bank is asked so often.
const IDLE_RATE: u32 = 20;
/// All ways can hold this rate, so that their latencies can be compared.
const COMPARED_RATE: u32 = 200;
/// The rate at which handlers are killed.
const KILL_RATE: u32 = 400;
const RECOVERY_RATE: u32 = 1_000;
const QUIET_CHECK: Duration = Duration::from_secs(5);
/// More CPU of others than this, and the machine is not quiet.
const FOREIGN_CPU_MAX_PERCENT: f64 = 5.0;
const STOLEN_MAX_PERCENT: f64 = 1.0;
/// Floors that moved by more than this share make a run noisy.
const FLOORS_MOVED_MAX: f64 = 0.25;

/// How much is measured.
#[derive(Clone, Debug, Serialize)]
pub struct Sizes {
    /// Accounts beside the company.
    pub accounts: u32,
    /// Commands in a short drain.
    pub short_backlog: usize,
    /// Commands in a long drain, if there are any.
    pub long_backlog: Option<usize>,
    /// Commands in a drain one at a time.
    pub one_at_a_time_backlog: usize,
    /// Of each short drain.
    pub repeats: usize,
    /// Of each long drain.
    pub long_repeats: usize,
    /// Of each floor.
    pub floor_samples: usize,
    /// Commands per second of each step.
    pub rates: Vec<u32>,
    /// Of a step, not measured.
    pub warm_up: Duration,
    /// Of a step.
    pub measured: Duration,
    /// Of an idle bank.
    pub idle: Duration,
    /// Handlers killed for the time they take to come back.
    pub recoveries: u32,
    /// Kills of each way of deciding.
    pub kills: u32,
}

impl Sizes {
    /// Everything.
    #[must_use]
    pub fn full() -> Sizes {
        Sizes {
            accounts: 10_000,
            short_backlog: 20_000,
            long_backlog: Some(150_000),
            one_at_a_time_backlog: 4_000,
            repeats: 5,
            long_repeats: 2,
            floor_samples: 300,
            rates: vec![100, 500, 1_000, 2_000, 5_000, 10_000, 15_000],
            warm_up: Duration::from_secs(3),
            measured: Duration::from_secs(12),
            idle: Duration::from_secs(30),
            recoveries: 3,
            kills: 8,
        }
    }

    /// In a few minutes.
    #[must_use]
    pub fn quick() -> Sizes {
        Sizes {
            long_backlog: None,
            one_at_a_time_backlog: 2_000,
            repeats: 2,
            floor_samples: 60,
            rates: vec![100, 1_000, 5_000],
            warm_up: Duration::from_secs(1),
            measured: Duration::from_secs(4),
            idle: Duration::from_secs(5),
            recoveries: 1,
            kills: 2,
            ..Sizes::full()
        }
    }
}

/// What to measure and where.
pub struct Request {
    /// The cluster.
    pub site: Site,
    /// The bank of the handler as it is.
    pub names: Names,
    /// The bank of the article's way.
    pub article: Names,
    /// How much.
    pub sizes: Sizes,
    /// The sources.
    pub root: PathBuf,
    /// Told when somebody wants it to end.
    pub stop: Stop,
    /// Told what is being done.
    pub progress: Box<dyn Fn(&str) + Send>,
}

/// Everything a run found.
#[derive(Clone, Debug, Serialize)]
pub struct Results {
    /// Form of this file.
    pub format: u32,
    /// What was measured.
    pub subject: &'static str,
    /// When the run began, UTC.
    pub began_at: String,
    /// How long it took, in seconds.
    pub took_seconds: u64,
    /// Of the sources; `+` when they were changed.
    pub commit: String,
    /// Where.
    pub machine: Machine,
    /// PostgreSQL's version.
    pub postgres_version: String,
    /// Of the Kafka client.
    pub librdkafka_version: String,
    /// PostgreSQL's settings that differ from its own.
    pub postgres_settings: Vec<(String, String)>,
    /// The broker's settings.
    pub kafka_settings: Vec<String>,
    /// How much was measured.
    pub sizes: Sizes,
    /// Why the figures are noisy; empty on a quiet machine.
    pub noisy: Vec<String>,
    /// Before the run.
    pub quiet_check: Noise,
    /// Before the run.
    pub floors_before: Floors,
    /// After the run.
    pub floors_after: Floors,
    /// Every drain, in order.
    pub drains: Vec<Drain>,
    /// Drains with the sockets counted; their times mean nothing.
    pub counted: Vec<Drain>,
    /// Memory.
    pub memory: Memory,
    /// A command now and then.
    pub idle: Steady,
    /// Steady loads, by rate.
    pub steps: Vec<Steady>,
    /// A steady load at half of the highest rate that was kept up, on these processors
    /// beside the generator.
    pub half_load: Steady,
    /// The same steady load for each way of deciding.
    pub compared: Vec<Steady>,
    /// Kills under a steady load: the time.
    pub recoveries: Vec<Recovery>,
    /// Kills under a steady load: what was lost.
    pub kills: Vec<Kills>,
    /// Target by target.
    pub verdict: Vec<Line>,
}

impl Results {
    /// Repeats of the same drain.
    pub fn drains_of(
        &self,
        mode: Mode,
        workload: Workload,
        commands: usize,
    ) -> impl Iterator<Item = &Drain> {
        self.drains.iter().filter(move |drain| {
            (drain.mode, drain.workload, drain.commands) == (mode, workload, commands)
        })
    }

    /// A figure of those repeats.
    #[must_use]
    pub fn spread(
        &self,
        mode: Mode,
        workload: Workload,
        commands: usize,
        figure: impl Fn(&Drain) -> f64,
    ) -> Option<Spread> {
        Spread::of(
            self.drains_of(mode, workload, commands)
                .map(figure)
                .collect(),
        )
    }

    /// How many waited in the drains of this mode that are compared.
    #[must_use]
    pub fn backlog_of(&self, mode: Mode) -> usize {
        match mode {
            Mode::Batches => self.sizes.short_backlog,
            Mode::OneAtATime | Mode::ArticlesWay => self.sizes.one_at_a_time_backlog,
        }
    }

    /// Commands per second of a drain with uniform payments.
    #[must_use]
    pub fn rate_of(&self, mode: Mode) -> Option<Spread> {
        self.spread(mode, Workload::Uniform, self.backlog_of(mode), |drain| {
            drain.commands_per_second
        })
    }

    /// The counted drain of a mode.
    #[must_use]
    pub fn counted_of(&self, mode: Mode) -> Option<&Drain> {
        self.counted.iter().find(|drain| drain.mode == mode)
    }

    /// True when nothing that must hold on any machine failed.
    #[must_use]
    pub fn gates_hold(&self) -> bool {
        self.verdict
            .iter()
            .all(|line| !line.is_gate || line.reached)
    }
}

struct Bench {
    ours: Installation,
    article: Installation,
    sizes: Sizes,
    progress: Box<dyn Fn(&str) + Send>,
    began: Instant,
}

/// Measures the handler. Blocks its thread; must be called beside a tokio runtime that
/// somebody else drives.
///
/// # Errors
/// When something could not be measured. What was measured shows in the progress.
pub fn run(request: Request, runtime: Handle) -> Result<Results, Error> {
    let began = Instant::now();
    let began_at = machine::now();
    let commit = machine::commit(&request.root);
    let mut bench = Bench::prepare(request, runtime)?;
    let sizes = bench.sizes.clone();
    let quiet_check = bench.quiet_check()?;
    bench.say("floors: a hop, an apply, a forced write");
    let floors_before = floors::floors(&bench.ours, sizes.floor_samples)?;
    let backlog = sizes.long_backlog.unwrap_or(sizes.short_backlog);
    bench.say(&format!(
        "memory: idle, and with {backlog} commands waiting"
    ));
    let memory = drain::memory(&mut bench.ours, backlog)?;
    let drains = bench.drains()?;
    let counted = bench.counted()?;
    let (idle, steps, half_load) = bench.steady()?;
    let compared = bench.compared()?;
    let recoveries = bench.recoveries()?;
    let kills = bench.kills()?;
    bench.say("floors again");
    let floors_after = floors::floors(&bench.ours, sizes.floor_samples)?;
    let administrator = &bench.ours.administrator;
    let (postgres_version, postgres_settings) =
        bench.ours.runtime.block_on(administrator.settings())?;
    let mut results = Results {
        format: FORMAT,
        subject: "command-handler",
        began_at,
        took_seconds: began.elapsed().as_secs(),
        commit,
        machine: Machine::this(),
        postgres_version,
        librdkafka_version: rdkafka::util::get_rdkafka_version().1,
        postgres_settings,
        kafka_settings: kafka_settings(&bench.ours.site),
        noisy: noisy(&quiet_check, &floors_before, &floors_after, &drains),
        sizes,
        quiet_check,
        floors_before,
        floors_after,
        drains,
        counted,
        memory,
        idle,
        steps,
        half_load,
        compared,
        recoveries,
        kills,
        verdict: Vec::new(),
    };
    results.verdict = verdict::judge(&results);
    Ok(results)
}

impl Bench {
    fn prepare(request: Request, runtime: Handle) -> Result<Bench, Error> {
        let Request {
            site,
            names,
            article,
            sizes,
            stop,
            progress,
            ..
        } = request;
        let began = Instant::now();
        let clock = Clock::start();
        let prepare = |names: Names| {
            let (site, runtime, stop) = (site.clone(), runtime.clone(), stop.clone());
            Installation::prepare(site, names, runtime, clock, stop)
        };
        let mut bench = Bench {
            ours: prepare(names)?,
            article: prepare(article)?,
            sizes,
            progress,
            began,
        };
        let accounts = bench.sizes.accounts;
        bench.say(&format!("opens and fills {accounts} accounts"));
        bench.ours.seed(accounts)?;
        bench.article.copy_accounts(&bench.ours.accounts)?;
        Ok(bench)
    }

    fn say(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        (self.progress)(&format!("{seconds:>4} s  {what}"));
    }

    fn bank_of(&mut self, mode: Mode) -> &mut Installation {
        match mode {
            Mode::Batches | Mode::OneAtATime => &mut self.ours,
            Mode::ArticlesWay => &mut self.article,
        }
    }

    fn quiet_check(&self) -> Result<Noise, Error> {
        self.say("listens how quiet the machine is");
        let own = || self.ours.site.own_pids(None);
        let watch = NoiseWatch::start(&own());
        self.ours.pause(QUIET_CHECK)?;
        Ok(watch.end(&own()))
    }

    /// All drains, repeat by repeat, so that whatever changes with time meets all alike.
    fn drains(&mut self) -> Result<Vec<Drain>, Error> {
        let sizes = self.sizes.clone();
        let mut orders = Vec::new();
        let order = |mode, workload, commands| Order {
            mode,
            workload,
            commands,
            through_proxy: false,
        };
        for repeat in 0..sizes.repeats {
            for workload in Workload::ALL {
                orders.push(order(Mode::Batches, workload, sizes.short_backlog));
            }
            for mode in [Mode::OneAtATime, Mode::ArticlesWay] {
                orders.push(order(mode, Workload::Uniform, sizes.one_at_a_time_backlog));
            }
            if let Some(commands) = sizes.long_backlog
                && repeat < sizes.long_repeats
            {
                for workload in Workload::ALL {
                    orders.push(order(Mode::Batches, workload, commands));
                }
            }
        }
        orders.into_iter().map(|order| self.drain(order)).collect()
    }

    fn drain(&mut self, order: Order) -> Result<Drain, Error> {
        let drain = drain::drain(self.bank_of(order.mode), order)?;
        let counted = drain.sockets.as_ref().map_or_else(String::new, |sockets| {
            format!(
                ", {:.2} round trips per batch of {:.0}",
                sockets.round_trips_per_batch, sockets.batch_median
            )
        });
        self.say(&format!(
            "drain of {}, {}, {}: {:.0}/s, {:.1} commands per commit, CPU us/command \
             handler {:.1}, PostgreSQL {:.1}, Kafka {:.1}{counted}",
            order.commands,
            order.mode.name(),
            order.workload.name(),
            drain.commands_per_second,
            drain.commands_per_commit,
            drain.cpu.handler_us,
            drain.cpu.postgres_us,
            drain.cpu.kafka_us,
        ));
        Ok(drain)
    }

    /// The same drains once more, counted at the sockets, which disturbs their times.
    fn counted(&mut self) -> Result<Vec<Drain>, Error> {
        let sizes = self.sizes.clone();
        let counted = |mode| {
            let commands = match mode {
                Mode::Batches => sizes.short_backlog,
                Mode::OneAtATime | Mode::ArticlesWay => sizes.one_at_a_time_backlog / 2,
            };
            self.drain(Order {
                mode,
                workload: Workload::Uniform,
                commands,
                through_proxy: true,
            })
        };
        Mode::ALL.into_iter().map(counted).collect()
    }

    /// The idle rate, the ladder, and half of the highest rate of it that was kept up.
    fn steady(&mut self) -> Result<(Steady, Vec<Steady>, Steady), Error> {
        let sizes = self.sizes.clone();
        let mut handler = self.ours.start(Mode::Batches, None)?;
        self.ours.wait_until_it_works(&mut handler)?;
        let mut step = |rate, measured| {
            let step = Step {
                rate,
                warm_up: sizes.warm_up,
                measured,
            };
            let steady = steady::step(&mut self.ours, &mut handler, Mode::Batches, step)?;
            self.say_steady(&steady);
            Ok::<Steady, Error>(steady)
        };
        let idle = step(IDLE_RATE, sizes.idle)?;
        let steps: Vec<Steady> = sizes
            .rates
            .iter()
            .map(|rate| step(*rate, sizes.measured))
            .collect::<Result<_, _>>()?;
        let kept_up = steps.iter().filter(|it| it.is_kept_up());
        let capacity = kept_up.map(|it| it.rate).max().unwrap_or(IDLE_RATE);
        let half = step(capacity / 2, sizes.measured)?;
        handler.stop()?;
        Ok((idle, steps, half))
    }

    fn say_steady(&self, steady: &Steady) {
        self.say(&format!(
            "{}/s, {}: balance p50 {:.2} ms, p99 {:.2} ms, max {:.0} ms; sent late p99 {:.2} ms{}",
            steady.rate,
            steady.mode.name(),
            steady.balance.p50_ms,
            steady.balance.p99_ms,
            steady.balance.max_ms,
            steady.send_delay.p99_ms,
            if steady.is_valid { "" } else { ": invalid" },
        ));
    }

    fn compared(&mut self) -> Result<Vec<Steady>, Error> {
        let step = Step {
            rate: COMPARED_RATE,
            warm_up: self.sizes.warm_up,
            measured: self.sizes.measured,
        };
        let mut compared = Vec::new();
        for mode in Mode::ALL {
            let bank = self.bank_of(mode);
            let mut handler = bank.start(mode, None)?;
            bank.wait_until_it_works(&mut handler)?;
            let mut steady = steady::step(bank, &mut handler, mode, step)?;
            handler.stop()?;
            steady.balance.histogram_us.clear();
            self.say_steady(&steady);
            compared.push(steady);
        }
        Ok(compared)
    }

    fn recoveries(&mut self) -> Result<Vec<Recovery>, Error> {
        const BEFORE: Duration = Duration::from_secs(2);
        const AFTER: Duration = Duration::from_secs(6);
        let mut handler = self.ours.start(Mode::Batches, None)?;
        self.ours.wait_until_it_works(&mut handler)?;
        let mut recoveries = Vec::new();
        for _ in 0..self.sizes.recoveries {
            let killed = steady::recovery(&mut self.ours, handler, RECOVERY_RATE, BEFORE, AFTER)?;
            handler = killed.1;
            self.say(&format!(
                "killed under {RECOVERY_RATE}/s: flows again after {:.0} ms, caught up after {:.0} ms",
                killed.0.flows_again_ms, killed.0.caught_up_ms
            ));
            recoveries.push(killed.0);
        }
        handler.stop()?;
        Ok(recoveries)
    }

    fn kills(&mut self) -> Result<Vec<Kills>, Error> {
        let times = self.sizes.kills;
        let mut all = Vec::new();
        for mode in Mode::ALL {
            let kills = kills::kills(self.bank_of(mode), mode, KILL_RATE, times)?;
            self.say(&format!(
                "{times} kills of {} under {KILL_RATE}/s: {} effects lost, {} doubled, \
                 {} cents made",
                mode.name(),
                kills.lost(),
                kills.doubled(),
                kills.money_made_cents
            ));
            all.push(kills);
        }
        Ok(all)
    }
}

fn noisy(quiet: &Noise, before: &Floors, after: &Floors, drains: &[Drain]) -> Vec<String> {
    let mut reasons = Vec::new();
    let foreign = drains
        .iter()
        .map(|drain| drain.noise.foreign_cpu_percent)
        .fold(quiet.foreign_cpu_percent, f64::max);
    if foreign > FOREIGN_CPU_MAX_PERCENT {
        reasons.push(format!("others took up to {foreign:.0} % of the CPU"));
    }
    let stolen = drains
        .iter()
        .map(|drain| drain.noise.stolen_percent)
        .fold(quiet.stolen_percent, f64::max);
    if stolen > STOLEN_MAX_PERCENT {
        reasons.push(format!("{stolen:.0} % of the CPU was stolen"));
    }
    for (name, before, after) in [
        ("the hop", before.hop.p50_ms, after.hop.p50_ms),
        ("the apply", before.apply.p50_ms, after.apply.p50_ms),
        ("the forced write", before.sync.p50_ms, after.sync.p50_ms),
    ] {
        let moved = ratio(after, before).map_or(0.0, |moved| moved - 1.0);
        if moved.abs() > FLOORS_MOVED_MAX {
            reasons.push(format!("{name} moved from {before:.2} to {after:.2} ms"));
        }
    }
    reasons
}

pub(crate) fn kafka_settings(site: &Site) -> Vec<String> {
    let path = site.layout.kafka().join("server.properties");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // Where the data lies says nothing but how somebody's disk is laid out.
    let is_setting =
        |line: &&str| !line.is_empty() && !line.starts_with('#') && !line.starts_with("log.dirs=");
    text.lines().filter(is_setting).map(str::to_owned).collect()
}
