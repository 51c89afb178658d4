//! A run of the whole bank from its first account to its verdict.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use topology::COMPANY_IBAN;

use crate::clock::Clock;
use crate::database::Administrator;
use crate::drain::{self, Memory, Order as DrainOrder};
use crate::error::Error;
use crate::floors;
use crate::handler::kafka_settings;
use crate::installation::{Installation, Mode, Names, Site, Stop};
use crate::numbers::{Spread, float, ratio};
use crate::procfs::NoiseWatch;
use crate::steady::{CAUGHT_UP_NS, PATIENCE as RECOVERY_PATIENCE};
use crate::workload::Workload;

use super::browser::{Actions, Browser};
use super::customers::{Api, Customer};
use super::fleet::{Fleet, Muster};
use super::resources::Parts;
use super::results::{
    Capacity, DrainSummary, Floor, Followers, Latency, Load, Painted, Recovery, Results, Step,
};
use super::schedule::Arrivals;
use super::search::{Search, Tried};
use super::step::{Bench, Held, Order, PLANNED_PERCENT, Patience, latency};
use super::witness::Witness;
use super::{figures, judgement, loopback, targets};

/// The services by their programs' names.
pub const HANDLER: &str = "command-handler";
/// See [`HANDLER`].
pub const GATEWAY: &str = "graphql-endpoint";
const QUIET_CHECK: Duration = Duration::from_secs(5);
const FOREIGN_CPU_MAX_PERCENT: f64 = 5.0;
const STOLEN_MAX_PERCENT: f64 = 1.0;
const FLOORS_MOVED_MAX: f64 = 0.25;
/// In front of the topics of the handler that is drained alone.
const ALONE_PREFIX: &str = "alone-";
/// Pace of an idle bank.
const IDLE_RATE: f64 = 5.0;
/// Before anything is measured, so that code is compiled and caches are filled.
const WARM_UP_RATE: f64 = 1_000.0;
const RECOVERY_RATE: f64 = 1_000.0;
const FOLLOWED_RATE: f64 = 1_000.0;
/// Customers whose accounts many follow, and in whose name nothing happens.
const FOLLOWED: usize = 20;
const FOLLOWERS_EACH: usize = 50;
/// One action a second, as the article's user.
const ACTION_INTERVAL: Duration = Duration::from_secs(1);

/// How much is measured.
#[derive(Clone, Debug)]
pub struct Sizes {
    /// As results name it.
    pub kind: &'static str,
    /// Customers who pay.
    pub customers: usize,
    /// WebSockets of each.
    pub sockets_each: usize,
    /// Before the first figure.
    pub first_warm_up: Duration,
    /// Of an idle bank.
    pub idle: Duration,
    /// Of each step, not measured.
    pub warm_up: Duration,
    /// Of each step of the search.
    pub searched: Duration,
    /// Of each level.
    pub measured: Duration,
    /// The search for the capacity.
    pub search: Search,
    /// Of each floor.
    pub floor_samples: usize,
    /// In the browser.
    pub actions: usize,
    /// Commands that wait for the handler alone.
    pub backlog: usize,
    /// How often they are drained.
    pub drains: usize,
    /// Commands that wait while its memory is watched.
    pub memory_backlog: usize,
    /// Of the handler that is drained alone.
    pub accounts: u32,
    /// Whether there is a cluster of our own, with all that can be measured there.
    pub has_own_cluster: bool,
}

impl Sizes {
    /// At most six minutes.
    #[must_use]
    pub fn quick() -> Sizes {
        Sizes {
            kind: "quick",
            customers: 300,
            sockets_each: 3,
            first_warm_up: Duration::from_secs(6),
            idle: Duration::from_secs(20),
            warm_up: Duration::from_secs(1),
            searched: Duration::from_secs(4),
            measured: Duration::from_secs(6),
            search: Search {
                ladder: vec![500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0],
                tries: 2,
                bisections: 3,
            },
            floor_samples: 60,
            actions: 20,
            backlog: 20_000,
            drains: 2,
            memory_backlog: 20_000,
            accounts: 2_000,
            has_own_cluster: true,
        }
    }

    /// Everything, in about twenty minutes.
    #[must_use]
    pub fn full() -> Sizes {
        Sizes {
            kind: "full",
            first_warm_up: Duration::from_secs(20),
            idle: Duration::from_secs(60),
            warm_up: Duration::from_secs(5),
            searched: Duration::from_secs(20),
            measured: Duration::from_secs(30),
            search: Search {
                ladder: vec![
                    100.0, 200.0, 400.0, 800.0, 1_600.0, 3_200.0, 6_400.0, 12_800.0,
                ],
                tries: 2,
                bisections: 4,
            },
            floor_samples: 300,
            actions: 60,
            drains: 5,
            memory_backlog: 150_000,
            accounts: 10_000,
            ..Sizes::quick()
        }
    }

    /// A bank that runs already, of which only the gateway is known.
    #[must_use]
    pub fn target() -> Sizes {
        Sizes {
            kind: "target",
            has_own_cluster: false,
            ..Sizes::quick()
        }
    }

    /// Seconds instead of minutes, to see that everything works.
    #[must_use]
    pub fn smoke() -> Sizes {
        Sizes {
            kind: "smoke",
            customers: 40,
            first_warm_up: Duration::from_secs(1),
            idle: Duration::from_secs(3),
            searched: Duration::from_secs(1),
            measured: Duration::from_secs(2),
            search: Search {
                ladder: vec![200.0, 1_000.0],
                tries: 1,
                bisections: 1,
            },
            floor_samples: 20,
            actions: 10,
            backlog: 5_000,
            drains: 1,
            memory_backlog: 5_000,
            accounts: 300,
            ..Sizes::quick()
        }
    }
}

/// The parts of a cluster of our own.
pub struct Own {
    /// Where everything is.
    pub site: Site,
    /// Databases for the handler that is drained alone: its own, and the gateway's that the
    /// synchronizer wants to know.
    pub alone: [(String, String); 2],
    /// What the auditor looks at.
    pub sources: auditor::Sources,
    /// Gives the processes as they are now: one that was killed has another.
    pub parts: Box<dyn Fn() -> Parts + Send>,
}

/// What to measure and where.
pub struct Request {
    /// Where the page and the API are, like `http://127.0.0.1:8181`.
    pub page: String,
    /// The same as an address.
    pub gateway: SocketAddr,
    /// How much.
    pub sizes: Sizes,
    /// The parts, where the cluster is our own.
    pub own: Option<Own>,
    /// Scratch.
    pub folder: PathBuf,
    /// The sources.
    pub root: PathBuf,
    /// Repeats all that is drawn.
    pub seed: u64,
    /// Told when somebody wants it to end.
    pub stop: Stop,
    /// Told what is being done.
    pub progress: Box<dyn Fn(&str) + Send>,
}

struct Run {
    bench: Bench,
    own: Option<(Own, Installation)>,
    sizes: Sizes,
    page: String,
    folder: PathBuf,
    api: Api,
    progress: Box<dyn Fn(&str) + Send>,
    began: Instant,
    results: Results,
}

/// Measures the whole bank. Blocks its thread; must be called beside a tokio runtime that
/// somebody else drives.
///
/// # Errors
/// When something could not be measured. A bank that is found wrong is no error: the results
/// say so, and hold no figures.
pub fn run(request: Request, runtime: Handle) -> Result<Results, Error> {
    let mut run = Run::prepare(request, runtime)?;
    run.quiet_and_floors()?;
    run.idle()?;
    run.painted()?;
    run.ladder()?;
    run.levels()?;
    run.followers()?;
    run.recovery()?;
    run.drain()?;
    run.floors_again()?;
    run.finish()
}

impl Run {
    fn prepare(request: Request, runtime: Handle) -> Result<Run, Error> {
        let Request {
            page,
            gateway,
            sizes,
            own,
            folder,
            root,
            seed,
            stop,
            progress,
        } = request;
        let began = Instant::now();
        let clock = Clock::start();
        let say = |what: &str| progress(&format!("{:>4} s  {what}", began.elapsed().as_secs()));
        let parts = own.as_ref().map(|own| (own.parts)()).unwrap_or_default();
        let administrator = match &own {
            Some(own) => {
                Some(runtime.block_on(Administrator::connect(&own.site.endpoints.postgres))?)
            }
            None => None,
        };
        let versions = versions(&runtime, administrator.as_ref())?;
        let api = Api::new(&page)?;
        // Nobody is connected and nothing has happened yet.
        let gateway_idle_mib = resident_mib(&parts, GATEWAY);
        say(&format!(
            "opens {} accounts through the gateway",
            sizes.customers
        ));
        let name = format!("perf-{:x}", clock_name());
        let customers = runtime.block_on(api.open(&name, sizes.customers))?;
        let sockets = sizes.customers * sizes.sockets_each;
        say(&format!("opens {sockets} WebSockets"));
        let muster = Muster {
            gateway,
            customers,
            sockets_each: sizes.sockets_each,
            company: COMPANY_IBAN.to_owned(),
        };
        let fleet = Fleet::open(muster, clock)?;
        let bench = Bench {
            fleet,
            parts,
            administrator,
            runtime: runtime.clone(),
            clock,
            stop: Arc::clone(&stop),
            seed,
            patience: Patience::default(),
        };
        let mut results = Results::begin(sizes.kind, &root);
        (results.versions, results.settings) = versions;
        if let Some(own) = &own {
            results.note_kafka_settings(&own.site);
        }
        results.load = Load {
            customers: sizes.customers as u64,
            sockets: sockets as u64,
            arrivals: Arrivals::Poisson.name().to_owned(),
            payees: "uniform".to_owned(),
            planned_rejections_percent: float(PLANNED_PERCENT),
            planned_repeats_percent: float(PLANNED_PERCENT),
            seed,
        };
        results.followers = Some(Followers {
            idle_mib: gateway_idle_mib,
            ..Followers::default()
        });
        let own = match own {
            Some(own) => {
                say("prepares a handler of its own for the floors and the drain");
                let installation = alone(&own, &runtime, clock, &stop, sizes.accounts)?;
                Some((own, installation))
            }
            None => None,
        };
        let mut run = Run {
            bench,
            own,
            sizes,
            page,
            folder,
            api,
            progress,
            began,
            results,
        };
        let (measured, warm_up) = (run.sizes.first_warm_up, Duration::ZERO);
        run.say("warms up");
        run.hold_quietly("warm-up", WARM_UP_RATE, warm_up, measured)?;
        Ok(run)
    }

    fn say(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        (self.progress)(&format!("{seconds:>4} s  {what}"));
    }

    /// Whatever was killed and started again has other processes now.
    fn refresh(&mut self) {
        if let Some((own, _)) = &self.own {
            self.bench.parts = (own.parts)();
        }
    }

    fn hold_quietly(
        &mut self,
        name: &str,
        per_second: f64,
        warm_up: Duration,
        measured: Duration,
    ) -> Result<Held, Error> {
        self.refresh();
        self.bench.hold(&Order {
            name: name.to_owned(),
            per_second,
            warm_up,
            measured,
            arrivals: if per_second > IDLE_RATE {
                Arrivals::Poisson
            } else {
                Arrivals::Constant
            },
            to_company_percent: 0,
        })
    }

    /// Holds a load, says how it went, and keeps it.
    fn hold(&mut self, name: &str, per_second: f64, measured: Duration) -> Result<Held, Error> {
        let held = self.hold_quietly(name, per_second, self.sizes.warm_up, measured)?;
        self.say(&line(&held.step));
        self.results.steps.push(held.step.clone());
        Ok(held)
    }

    fn quiet_and_floors(&mut self) -> Result<(), Error> {
        self.say("listens how quiet the machine is");
        self.refresh();
        let pids = self.bench.parts.pids();
        let watch = NoiseWatch::start(&pids);
        let before = self.bench.parts.sample();
        self.bench.pause(QUIET_CHECK)?;
        let after = self.bench.parts.sample();
        self.results.quiet_check = watch.end(&pids);
        let services = super::resources::services(
            &self.bench.parts,
            &[before, after],
            QUIET_CHECK.as_secs_f64(),
            0,
        );
        self.results.steps.push(Step {
            name: "nothing".to_owned(),
            seconds: QUIET_CHECK.as_secs_f64(),
            services,
            noise: self.results.quiet_check.clone(),
            is_valid: true,
            is_kept_up: true,
            ..Step::default()
        });
        self.take_floors(true)
    }

    fn floors_again(&mut self) -> Result<(), Error> {
        self.take_floors(false)
    }

    fn take_floors(&mut self, is_before: bool) -> Result<(), Error> {
        let Some((own, installation)) = &self.own else {
            return Ok(());
        };
        self.say(if is_before { "floors" } else { "floors again" });
        let taken = floors::floors(installation, self.sizes.floor_samples)?;
        let loopback = loopback::round_trips(self.sizes.floor_samples * 20)?.summary();
        let _ = own;
        let all = [
            (
                "hop",
                "a record of 100 B from a producer to a consumer, with the services' settings",
                &taken.hop,
            ),
            (
                "apply",
                "one transfer in a copy of the books: two pipelined round trips",
                &taken.apply,
            ),
            ("sync", "8 KiB written over and forced to disk", &taken.sync),
            (
                "loopback",
                "a byte to another thread and back, over TCP",
                &loopback,
            ),
        ];
        for (index, (name, what, found)) in all.into_iter().enumerate() {
            if is_before {
                self.results.floors.push(Floor {
                    name: name.to_owned(),
                    what: what.to_owned(),
                    before_p50_ms: found.p50_ms,
                    before_p99_ms: found.p99_ms,
                    ..Floor::default()
                });
            } else if let Some(floor) = self.results.floors.get_mut(index) {
                floor.after_p50_ms = found.p50_ms;
                floor.after_p99_ms = found.p99_ms;
            }
        }
        Ok(())
    }

    /// An idle bank: a command now and then; and once more with its stamps read.
    fn idle(&mut self) -> Result<(), Error> {
        self.hold("idle", IDLE_RATE, self.sizes.idle)?;
        self.with_stages("stages", IDLE_RATE * 2.0, self.sizes.idle / 2)
    }

    /// A step whose stamps are read, where Kafka can be reached.
    fn with_stages(&mut self, name: &str, per_second: f64, time: Duration) -> Result<(), Error> {
        let witness = match &self.own {
            Some((own, installation)) => {
                let mut kafka = installation.kafka.clone();
                kafka.topic_prefix.clear();
                let registry = &own.site.endpoints.schema_registry_url;
                let topics = kafka.topics();
                let headers = crate::wire::Headers::fetch(registry, &topics);
                let headers = self.bench.runtime.block_on(headers)?;
                Some(Witness::start(&kafka, headers, self.bench.clock)?)
            }
            None => None,
        };
        let Some(witness) = witness else {
            return Ok(());
        };
        let held = self.hold(name, per_second, time)?;
        let stages = witness.stages(&held);
        if stages.samples == 0 {
            self.say("no stamps were found: no stages");
        }
        self.results.stages.push(stages);
        Ok(())
    }

    fn painted(&mut self) -> Result<(), Error> {
        self.say(&format!("{} actions in a browser", self.sizes.actions));
        match self.act() {
            Ok(painted) => {
                self.say(&format!(
                    "painted: p50 {:.1} ms, p99 {:.1} ms, {} timed out",
                    painted.latency.p50_ms, painted.latency.p99_ms, painted.timed_out
                ));
                self.results.painted = Some(painted);
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(error) => {
                let why = topology::service::chain(&error);
                self.say(&format!("nothing was painted: {why}"));
            }
        }
        Ok(())
    }

    fn act(&self) -> Result<Painted, Error> {
        let runtime = self.bench.runtime.clone();
        // Somebody of their own: the others' balances are checked in the end.
        let name = format!("perf-{:x}-browser", clock_name());
        let customers = runtime.block_on(self.api.open(&name, 1))?;
        let customer: &Customer = &customers[0];
        let start = Browser::start(&self.page, &self.folder, customer, COMPANY_IBAN);
        let mut browser = runtime.block_on(start)?;
        let mut actions = Actions::default();
        for _ in 0..self.sizes.actions {
            let began = Instant::now();
            let (kind, ms) = runtime.block_on(browser.act())?;
            actions.note(kind, ms);
            self.bench
                .pause(ACTION_INTERVAL.saturating_sub(began.elapsed()))?;
        }
        Ok(actions.painted(&browser.name))
    }

    fn ladder(&mut self) -> Result<(), Error> {
        let search = self.sizes.search.clone();
        let mut tried: Vec<Tried> = Vec::new();
        let mut limited_by = Vec::new();
        while let Some((per_second, is_between)) = search.next(&tried) {
            let name = if is_between { "bisection" } else { "ladder" };
            let held = self.hold(name, per_second, self.sizes.searched)?;
            tried.push(Tried {
                per_second,
                is_kept_up: held.step.is_kept_up,
            });
            if !held.step.is_kept_up && search.bad(&tried) == Some(per_second) {
                limited_by = held.step.reasons;
            }
        }
        self.results.capacity = search.capacity(&tried).map(|per_second| Capacity {
            per_second,
            failed_per_second: search.bad(&tried).unwrap_or(0.0),
            limited_by,
        });
        match &self.results.capacity {
            Some(capacity) => self.say(&format!("capacity: {:.0}/s", capacity.per_second)),
            None => self.say("no rate of the ladder was kept up"),
        }
        Ok(())
    }

    /// Percentiles at 25, 50, 75 and 100 % of the capacity.
    fn levels(&mut self) -> Result<(), Error> {
        let Some(capacity) = self.results.capacity.as_ref().map(|it| it.per_second) else {
            return Ok(());
        };
        for percent in [25.0, 50.0, 75.0, 100.0] {
            let per_second = (capacity * percent / 100.0).round();
            let name = format!("{percent:.0} %");
            self.hold(&name, per_second, self.sizes.measured)?;
        }
        self.with_stages(
            "stages at 50 %",
            (capacity / 2.0).round(),
            self.sizes.searched,
        )
    }

    /// The gateway's memory with a thousand who follow accounts of others.
    fn followers(&mut self) -> Result<(), Error> {
        if self.own.is_none() {
            self.results.followers = None;
            return Ok(());
        }
        let name = format!("perf-{:x}-followed", clock_name());
        let customers = self
            .bench
            .runtime
            .block_on(self.api.open(&name, FOLLOWED))?;
        let sources: Vec<IpAddr> = (2..6)
            .map(|it| Ipv4Addr::new(127, 0, 0, it).into())
            .collect();
        let followers = self
            .bench
            .fleet
            .follow_too(&customers, FOLLOWERS_EACH, &sources)?;
        let held = self.hold("followers", FOLLOWED_RATE, self.sizes.searched)?;
        drop(followers);
        if let Some(found) = &mut self.results.followers {
            found.followers = (FOLLOWED * FOLLOWERS_EACH) as u64;
            found.loaded_mib = held.step.service(GATEWAY).map_or(0.0, |it| it.rss_anon_mib);
            found.per_second = held.step.offered_per_second;
            found.visible_p99_ms = held.step.visible.p99_ms;
        }
        Ok(())
    }

    /// `kill -9` of the handler under load; whoever looks after it starts it again.
    fn recovery(&mut self) -> Result<(), Error> {
        const BEFORE: Duration = Duration::from_secs(2);
        const AFTER: Duration = Duration::from_secs(6);
        self.refresh();
        let Some(pid) = self.bench.parts.pid(HANDLER) else {
            return Ok(());
        };
        self.bench.fleet.mend()?;
        let order = Order {
            name: "recovery".to_owned(),
            per_second: RECOVERY_RATE,
            warm_up: Duration::ZERO,
            measured: BEFORE + AFTER,
            arrivals: Arrivals::Poisson,
            to_company_percent: 0,
        };
        let wall = Arc::new(self.bench.plan(&order));
        let sending = self.bench.fleet.send(Arc::clone(&wall))?;
        self.bench.pause(BEFORE)?;
        let killed_ns = self.bench.clock.now_ns();
        let killed = i32::try_from(pid)
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = killed {
            rustix::process::kill_process(pid, rustix::process::Signal::KILL)
                .map_err(|error| Error::io("kill", HANDLER)(error.into()))?;
        }
        sending.finish()?;
        self.bench.settle(&wall, RECOVERY_PATIENCE)?;
        let counts = wall.count(0..wall.len());
        let since =
            |at: Option<u64>| at.map_or(0.0, |at| float(at.saturating_sub(killed_ns)) / 1e6);
        let mut visible: Latency = latency(&counts.visible, std::iter::empty());
        visible.histogram_us.clear();
        let recovery = Recovery {
            per_second: RECOVERY_RATE,
            flows_again_ms: since(wall.flows_again_ns(killed_ns)),
            caught_up_ms: since(wall.caught_up_ns(killed_ns, CAUGHT_UP_NS)),
            lost: counts.timed_out + counts.dropped,
            visible,
        };
        self.say(&format!(
            "handler killed under {RECOVERY_RATE:.0}/s: flows again after {:.0} ms, caught up after {:.0} ms, {} lost",
            recovery.flows_again_ms, recovery.caught_up_ms, recovery.lost
        ));
        self.results.recovery = Some(recovery);
        Ok(())
    }

    /// The handler alone, from topic to topic: what its own benchmark measures, in short.
    fn drain(&mut self) -> Result<(), Error> {
        let (sizes, began) = (self.sizes.clone(), self.began);
        let Some((_, installation)) = &mut self.own else {
            return Ok(());
        };
        let progress = &self.progress;
        let say = |what: &str| progress(&format!("{:>4} s  {what}", began.elapsed().as_secs()));
        say("the handler alone: memory with a backlog");
        let memory = drain::memory(installation, sizes.memory_backlog)?;
        let mut drain = |mode, workload, commands, through_proxy| {
            let order = DrainOrder {
                mode,
                workload,
                commands,
                through_proxy,
            };
            let found = drain::drain(installation, order)?;
            say(&format!(
                "the handler alone: {commands} commands, {}, {}: {:.0}/s",
                mode.name(),
                workload.name(),
                found.commands_per_second
            ));
            Ok::<_, Error>(found)
        };
        let (backlog, few) = (sizes.backlog, sizes.backlog / 10);
        let mut plain = Vec::new();
        for _ in 0..sizes.drains {
            plain.push(drain(Mode::Batches, Workload::Uniform, backlog, false)?);
        }
        let hot = drain(Mode::Batches, Workload::Hot90, backlog, false)?;
        let alone = drain(Mode::OneAtATime, Workload::Uniform, few, false)?;
        let counted = drain(Mode::Batches, Workload::Uniform, backlog / 2, true)?;
        self.results.drain = Some(summary(&plain, &hot, &alone, &counted, memory));
        Ok(())
    }

    fn finish(mut self) -> Result<Results, Error> {
        self.say("asks clients and auditor whether the bank was right");
        let sources = self.own.as_ref().map(|(own, _)| &own.sources);
        self.results.verdict = judgement::judge(&self.bench, &self.api, sources)?;
        let mut results = self.results;
        results.noisy = noisy(&results);
        results.took_seconds = self.began.elapsed().as_secs();
        if !results.verdict.holds {
            // What is not right is not fast.
            results.withhold();
            return Ok(results);
        }
        results.figures = figures::figures(&results);
        results.targets = targets::judge(&results);
        Ok(results)
    }
}

/// A step in a line.
fn line(step: &Step) -> String {
    let mut text = format!(
        "{} at {:.0}/s: outcome p50 {:.2} ms; balance p50 {:.2}, p99 {:.1}, max {:.0} ms; sent late p99 {:.2} ms",
        step.name,
        step.offered_per_second,
        step.outcome.p50_ms,
        step.visible.p50_ms,
        step.visible.p99_ms,
        step.visible.max_ms,
        step.send_delay.p99_ms,
    );
    if !step.is_kept_up {
        text.push_str(": NOT kept up");
    } else if !step.is_valid {
        text.push_str(": invalid");
    }
    for reason in &step.reasons {
        text.push_str("\n          ");
        text.push_str(reason);
    }
    text
}

fn alone(
    own: &Own,
    runtime: &Handle,
    clock: Clock,
    stop: &Stop,
    accounts: u32,
) -> Result<Installation, Error> {
    let [(database, database_url), (_, gateway_database_url)] = own.alone.clone();
    let names = Names {
        topic_prefix: ALONE_PREFIX.to_owned(),
        database,
        database_url,
        gateway_database_url,
    };
    let (site, stop) = (own.site.clone(), Arc::clone(stop));
    let mut installation = Installation::prepare(site, names, runtime.clone(), clock, stop)?;
    installation.seed(accounts)?;
    Ok(installation)
}

type Versions = (Vec<(String, String)>, Vec<(String, String, String)>);

fn versions(runtime: &Handle, administrator: Option<&Administrator>) -> Result<Versions, Error> {
    let mut versions = vec![
        ("bank".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
        (
            "librdkafka".to_owned(),
            rdkafka::util::get_rdkafka_version().1,
        ),
    ];
    let mut settings = Vec::new();
    if let Some(administrator) = administrator {
        let (version, chosen) = runtime.block_on(administrator.settings())?;
        versions.push(("PostgreSQL".to_owned(), version));
        let part = |(name, value)| ("PostgreSQL".to_owned(), name, value);
        settings.extend(chosen.into_iter().map(part));
    }
    Ok((versions, settings))
}

fn resident_mib(parts: &Parts, name: &str) -> f64 {
    parts
        .pid(name)
        .map_or(0.0, |pid| float(crate::procfs::rss_anon_kib(pid)) / 1_024.0)
}

/// Seconds since the epoch: user names of two runs differ.
fn clock_name() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
}

fn summary(
    plain: &[drain::Drain],
    hot: &drain::Drain,
    alone: &drain::Drain,
    counted: &drain::Drain,
    memory: Memory,
) -> DrainSummary {
    let median = |of: fn(&drain::Drain) -> f64| {
        Spread::of(plain.iter().map(of).collect()).map_or(0.0, |spread| spread.median)
    };
    let sockets = counted.sockets.as_ref();
    let mib = |kib: u64| float(kib) / 1_024.0;
    let most = plain
        .iter()
        .map(|it| it.rss_anon_max_kib)
        .max()
        .unwrap_or(0);
    DrainSummary {
        commands: plain.first().map_or(0, |it| it.commands as u64),
        per_second: plain.iter().map(|it| it.commands_per_second).collect(),
        one_at_a_time_per_second: alone.commands_per_second,
        hot_per_second: hot.commands_per_second,
        commands_per_commit: median(|it| it.commands_per_commit),
        round_trips_per_batch: sockets.map_or(0.0, |it| it.round_trips_per_batch),
        statements_per_batch: sockets.map_or(0.0, |it| it.statements_per_batch),
        prepares_per_10_000: sockets.map_or(0.0, |it| it.prepares_per_10_000),
        syncs_per_command: median(|it| it.syncs_per_command),
        wal_bytes_per_command: median(|it| it.wal_bytes_per_command),
        produce_requests_per_command: median(|it| it.produce_requests_per_command.unwrap_or(0.0)),
        handler_cpu_us: median(|it| it.cpu.handler_us),
        postgres_cpu_us: median(|it| it.cpu.postgres_us),
        kafka_cpu_us: median(|it| it.cpu.kafka_us),
        idle_mib: mib(memory.idle_kib),
        loaded_mib: mib(memory.loaded_kib.max(most)),
        waiting_growth_mib: mib(memory.waiting_kib.saturating_sub(memory.idle_kib)),
        waiting_commands: memory.waiting_commands as u64,
    }
}

/// Why the figures are noisy.
fn noisy(results: &Results) -> Vec<String> {
    let mut reasons = Vec::new();
    let all = results.steps.iter().map(|step| &step.noise);
    let all = all.chain(std::iter::once(&results.quiet_check));
    let foreign = all
        .clone()
        .map(|it| it.foreign_cpu_percent)
        .fold(0.0, f64::max);
    let stolen = all.map(|it| it.stolen_percent).fold(0.0, f64::max);
    if foreign > FOREIGN_CPU_MAX_PERCENT && !results.floors.is_empty() {
        reasons.push(format!("others took up to {foreign:.0} % of the CPU"));
    }
    if stolen > STOLEN_MAX_PERCENT {
        reasons.push(format!("{stolen:.0} % of the CPU was stolen"));
    }
    for floor in &results.floors {
        let (before, after) = (floor.before_p50_ms, floor.after_p50_ms);
        let moved = ratio(after, before).map_or(0.0, |moved| moved - 1.0);
        if moved.abs() > FLOORS_MOVED_MAX {
            reasons.push(format!(
                "{} moved from {before:.3} to {after:.3} ms",
                floor.name
            ));
        }
    }
    reasons
}

impl Results {
    /// Takes all figures out.
    fn withhold(&mut self) {
        self.floors.clear();
        self.steps.clear();
        self.stages.clear();
        self.article.clear();
        self.capacity = None;
        self.painted = None;
        self.drain = None;
        self.recovery = None;
        self.followers = None;
    }

    /// Adds what the broker was told, which is found in its files.
    pub fn note_kafka_settings(&mut self, site: &Site) {
        for line in kafka_settings(site) {
            if let Some((name, value)) = line.split_once('=') {
                let setting = ("Kafka".to_owned(), name.to_owned(), value.to_owned());
                self.settings.push(setting);
            }
        }
    }
}
