//! What a run measures, one after the other.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use topology::COMPANY_IBAN;
use topology::kafka::KafkaConfig;

use crate::drain::{self, Memory, Order as DrainOrder};
use crate::error::Error;
use crate::floors;
use crate::installation::{Installation, Mode};
use crate::numbers::{Spread, float};
use crate::procfs::NoiseWatch;
use crate::steady::{CAUGHT_UP_NS, PATIENCE as RECOVERY_PATIENCE};
use crate::workload::Workload;

use super::browser::{Actions, Browser};
use super::customers::Customer;
use super::loopback;
use super::results::{Capacity, DrainSummary, Floor, Latency, Painted, Recovery, Step};
use super::run::{GATEWAY, HANDLER, IDLE_RATE, Run, clock_name};
use super::schedule::Arrivals;
use super::search::Tried;
use super::step::{Looks, Order, latency};
use super::witness::Witness;

/// How often sockets are looked after while a load recovers.
const LOOK: Duration = Duration::from_millis(100);
const QUIET_CHECK: Duration = Duration::from_secs(5);
const RECOVERY_RATE: f64 = 1_000.0;
const FOLLOWED_RATE: f64 = 1_000.0;
/// Customers whose accounts many follow, and in whose name nothing happens.
const FOLLOWED: usize = 20;
const FOLLOWERS_EACH: usize = 50;
/// One action a second, as the article's user.
const ACTION_INTERVAL: Duration = Duration::from_secs(1);

impl Run {
    pub(super) fn quiet_and_floors(&mut self) -> Result<(), Error> {
        self.say("listens how quiet the machine is");
        self.refresh();
        let pids = self.bench.parts.pids();
        let watch = NoiseWatch::start(&pids);
        let mut looks = Looks::default();
        self.bench.look(&mut looks);
        let began = Instant::now();
        self.bench.pause(QUIET_CHECK)?;
        self.bench.look(&mut looks);
        let seconds = began.elapsed().as_secs_f64();
        self.results.quiet_check = watch.end(&pids);
        let services = self.bench.services(looks, seconds, 0);
        self.results.steps.push(Step {
            name: "nothing".to_owned(),
            seconds,
            services,
            noise: self.results.quiet_check.clone(),
            is_valid: true,
            is_kept_up: true,
            ..Step::default()
        });
        self.take_floors(true)
    }

    pub(super) fn floors_again(&mut self) -> Result<(), Error> {
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
            (
                "apply_full",
                "the same for a full batch, 256 transfers",
                &taken.apply_full,
            ),
            (
                "read_model",
                "the three records of one transfer into a copy of the gateway's tables: seven round trips",
                &taken.read_model,
            ),
            (
                "read_model_full",
                "the same for a full batch, 510 records of 170 transfers",
                &taken.read_model_full,
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
    pub(super) fn idle(&mut self) -> Result<(), Error> {
        self.hold("idle", IDLE_RATE, self.sizes.idle)?;
        self.with_stages("stages", IDLE_RATE * 2.0, self.sizes.idle / 2)
    }

    /// A step whose stamps are read, where Kafka can be reached.
    fn with_stages(&mut self, name: &str, per_second: f64, time: Duration) -> Result<(), Error> {
        let witness = match &self.own {
            Some((own, installation)) => {
                let kafka = kafka_of_the_bank(installation);
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

    pub(super) fn painted(&mut self) -> Result<(), Error> {
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

    pub(super) fn ladder(&mut self) -> Result<(), Error> {
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
    pub(super) fn levels(&mut self) -> Result<(), Error> {
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
    pub(super) fn followers(&mut self) -> Result<(), Error> {
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
            found.loaded_mib = held.step.own_mib(GATEWAY).unwrap_or(0.0);
            found.per_second = held.step.offered_per_second;
            found.visible_p99_ms = held.step.visible.p99_ms;
        }
        Ok(())
    }

    /// `kill -9` of the handler under load; whoever looks after it starts it again.
    pub(super) fn recovery(&mut self) -> Result<(), Error> {
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
        while !sending.is_finished() {
            // The burst afterwards is more than some who follow may leave unread: they come
            // back and go on where they were.
            self.bench.fleet.mend()?;
            self.bench.pause(LOOK)?;
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
            lost: counts.timed_out,
            not_sent: counts.dropped,
            failed: counts.failed,
            visible,
        };
        self.say(&format!(
            "handler killed under {RECOVERY_RATE:.0}/s: flows again after {:.0} ms, caught up after {:.0} ms; {} \
             unanswered, {} failed or pending, {} not sent since too many were under way",
            recovery.flows_again_ms,
            recovery.caught_up_ms,
            recovery.lost,
            recovery.failed,
            recovery.not_sent
        ));
        for why in self.bench.fleet.take_closed().iter().take(1) {
            self.say(&format!("a socket was closed: {why}"));
        }
        self.results.recovery = Some(recovery);
        Ok(())
    }

    /// The handler alone, from topic to topic: what its own benchmark measures, in short.
    pub(super) fn drain(&mut self) -> Result<(), Error> {
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
}

/// The installation's clients, for the topics of the bank beside it.
pub(super) fn kafka_of_the_bank(installation: &Installation) -> KafkaConfig {
    KafkaConfig {
        topic_prefix: String::new(),
        ..installation.kafka.clone()
    }
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
