//! A run of the whole bank from its first account to its verdict.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use topology::COMPANY_IBAN;

use crate::clock::Clock;
use crate::database::Administrator;
use crate::error::Error;
use crate::handler::kafka_settings;
use crate::installation::{Installation, Names, Site, Stop};
use crate::numbers::{float, ratio};

use super::containers::{Containers, Watched};
use super::customers::Api;
use super::fleet::{Fleet, Muster};
use super::resources::Parts;
use super::results::{Followers, Load, Results, Step, Target, TargetState};
use super::schedule::Arrivals;
use super::sizes::Sizes;
use super::step::{Bench, Held, Order, PLANNED_PERCENT, Patience};
use super::{figures, judgement, targets};

/// The services by their programs' names.
pub const HANDLER: &str = "command-handler";
/// See [`HANDLER`].
pub const GATEWAY: &str = "graphql-endpoint";
const FOREIGN_CPU_MAX_PERCENT: f64 = 5.0;
const STOLEN_MAX_PERCENT: f64 = 1.0;
const FLOORS_MOVED_MAX: f64 = 0.25;
/// In front of the topics of the handler that is drained alone.
const ALONE_PREFIX: &str = "alone-";
/// Pace of an idle bank.
pub(super) const IDLE_RATE: f64 = 5.0;
/// Before anything is measured, so that code is compiled and caches are filled.
const WARM_UP_RATE: f64 = 1_000.0;

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
    /// The containers of a bank that is not, or why there are no figures of them.
    pub containers: Option<Result<Watched, String>>,
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

pub(super) struct Run {
    pub(super) bench: Bench,
    pub(super) own: Option<(Own, Installation)>,
    pub(super) sizes: Sizes,
    pub(super) page: String,
    pub(super) folder: PathBuf,
    pub(super) api: Api,
    pub(super) progress: Box<dyn Fn(&str) + Send>,
    pub(super) began: Instant,
    pub(super) results: Results,
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
    pub(super) fn prepare(request: Request, runtime: Handle) -> Result<Run, Error> {
        let Request {
            page,
            gateway,
            sizes,
            own,
            containers,
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
        let mut results = Results::begin(sizes.kind, &root);
        let containers = match containers {
            Some(Err(why)) => {
                say(&format!("no figures of containers: {why}"));
                let mut about = Containers::default();
                about.note(why);
                results.containers = Some(about);
                None
            }
            Some(Ok(watched)) => {
                say(&format!("watches the containers of {}", watched.project));
                Some(watched)
            }
            None => None,
        };
        let bench = Bench {
            fleet,
            parts,
            containers,
            administrator,
            runtime: runtime.clone(),
            clock,
            stop: Arc::clone(&stop),
            seed,
            patience: Patience::default(),
        };
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

    pub(super) fn say(&self, what: &str) {
        let seconds = self.began.elapsed().as_secs();
        (self.progress)(&format!("{seconds:>4} s  {what}"));
    }

    /// Whatever was killed and started again has other processes now.
    pub(super) fn refresh(&mut self) {
        if let Some((own, _)) = &self.own {
            self.bench.parts = (own.parts)();
        }
    }

    pub(super) fn hold_quietly(
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
    pub(super) fn hold(
        &mut self,
        name: &str,
        per_second: f64,
        measured: Duration,
    ) -> Result<Held, Error> {
        let held = self.hold_quietly(name, per_second, self.sizes.warm_up, measured)?;
        self.say(&line(&held.step));
        self.results.steps.push(held.step.clone());
        Ok(held)
    }

    pub(super) fn finish(mut self) -> Result<Results, Error> {
        self.say("asks clients and auditor whether the bank was right");
        let sources = self.own.as_ref().map(|(own, _)| &own.sources);
        self.results.verdict = judgement::judge(&self.bench, &self.api, sources)?;
        let mut results = self.results;
        if let Some(watched) = self.bench.containers {
            results.containers = Some(watched.about);
        }
        results.noisy = noisy(&results);
        results.took_seconds = self.began.elapsed().as_secs();
        if !results.verdict.holds {
            // What is not right is not fast.
            results.withhold();
            return Ok(results);
        }
        results.figures = figures::figures(&results);
        results.targets = targets::judge(&results);
        if self.sizes.is_one_load {
            // It has nothing to say to most of them.
            let is_told = |it: &Target| it.state != TargetState::NotMeasured || it.id == "P23";
            results.targets.retain(is_told);
        }
        Ok(results)
    }
}

/// A step in a line.
pub(super) fn line(step: &Step) -> String {
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
    let [
        (database, database_url),
        (gateway_database, gateway_database_url),
    ] = own.alone.clone();
    let names = Names {
        topic_prefix: ALONE_PREFIX.to_owned(),
        database,
        database_url,
        gateway_database,
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
pub(super) fn clock_name() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.unwrap_or_default().as_secs()
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
        self.soak = None;
        self.kafka_clients = None;
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
