//! One load held for a while, with everything that is measured meanwhile.

use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;

use crate::clock::{Clock, nanoseconds, pause};
use crate::database::{Administrator, Counters};
use crate::error::Error;
use crate::generator::DELAY_P99_MAX_MS;
use crate::installation::Stop;
use crate::latency::Latencies;
use crate::numbers::{float, float_len, ratio};
use crate::procfs::NoiseWatch;
use crate::workload::Random;

use super::containers::{Asked, Watched};
use super::customers::REFUSED_CENTS;
use super::fleet::Fleet;
use super::resources::{self, Parts};
use super::results::{Latency, PostgresCounts, Service, Step};
use super::schedule::{Arrivals, quarter, times_ns};
use super::wall::{Payee, Plan, Wall};

/// A balance that is visible later than this at p99 is not kept up with.
const VISIBLE_P99_MAX_MS: f64 = 100.0;
/// Share of the commands that must be answered in their time.
const ANSWERED_MIN: f64 = 0.99;
/// From the order to send to the first intended time.
const LEAD: Duration = Duration::from_millis(50);
const LOOK: Duration = Duration::from_millis(20);
/// Of a hundred commands, so many are more than anybody has, or sent twice.
pub const PLANNED_PERCENT: u64 = 1;
/// In cents.
const AMOUNT_MAX: u64 = 100;
/// Quarters of a step, for the spread.
const QUARTERS: usize = 4;

/// What a load is to be.
#[derive(Clone, Debug)]
pub struct Order {
    /// As results name it.
    pub name: String,
    /// Commands per second.
    pub per_second: f64,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub measured: Duration,
    /// How commands follow each other.
    pub arrivals: Arrivals,
    /// Of a hundred payments, how many go to the company.
    pub to_company_percent: u64,
}

/// Everything a step needs.
pub struct Bench {
    /// The clients.
    pub fleet: Fleet,
    /// The processes that are watched.
    pub parts: Parts,
    /// Containers that are watched instead.
    pub containers: Option<Watched>,
    /// PostgreSQL's counters, where they can be read.
    pub administrator: Option<Administrator>,
    /// Drives the administrator's connection.
    pub runtime: Handle,
    /// The clock of all figures.
    pub clock: Clock,
    /// Told when somebody wants it to end.
    pub stop: Stop,
    /// Repeats all that is drawn.
    pub seed: u64,
    /// How long is waited after a load.
    pub patience: Patience,
}

/// How long is waited after a load.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For what is under way; what has not come by then counts as never.
    pub answers: Duration,
    /// Then nothing is measured until all has come, so that the next load begins alone.
    pub settling: Duration,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            answers: Duration::from_secs(10),
            settling: Duration::from_secs(60),
        }
    }
}

/// What was seen of processes or containers, from first to last.
#[derive(Default)]
pub struct Looks {
    processes: Vec<resources::Sample>,
    containers: Vec<Asked>,
}

/// A step with the commands it is made of.
pub struct Held {
    /// The figures.
    pub step: Step,
    /// The commands.
    pub wall: Arc<Wall>,
    /// Those of them that were measured.
    pub measured: Range<usize>,
}

impl Bench {
    /// Sleeps, unless somebody wants to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<(), Error> {
        pause(time, &self.stop)
    }

    /// A wall with the commands of an order, to be sent from shortly after now.
    pub fn plan(&mut self, order: &Order) -> Wall {
        let run = self.fleet.next_run();
        let seed = self.seed.wrapping_add(u64::from(run));
        let times = times_ns(
            order.arrivals,
            order.per_second,
            order.warm_up + order.measured,
            seed,
        );
        let mut random = Random(seed ^ 0x9e37_79b9);
        let customers = self.fleet.customers().len();
        let plans = times.iter().map(|_| {
            let is_to_company = random.next_bits() % 100 < order.to_company_percent;
            let customer = u32::try_from(random.below(customers)).unwrap_or(0);
            let is_refusal = random.next_bits() % 100 < PLANNED_PERCENT;
            let cents = 1 + random.next_bits() % AMOUNT_MAX;
            Plan {
                payee: if is_to_company {
                    Payee::Company
                } else {
                    Payee::Customer(customer)
                },
                amount: if is_refusal {
                    REFUSED_CENTS
                } else {
                    i64::try_from(cents).unwrap_or(1)
                },
                is_refusal,
                is_repeated: random.next_bits() % 100 < PLANNED_PERCENT,
            }
        });
        let plans = plans.collect();
        let since = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        let unix_ms = u64::try_from(since.as_millis()).unwrap_or(0);
        let first_ns = self.clock.now_ns() + nanoseconds(LEAD);
        Wall::new(run, first_ns, times, plans, unix_ms)
    }

    /// Waits until everything was answered and seen; false when it was not in time. Sockets
    /// that were closed are opened again: what was under way on them is never answered, but
    /// its changes come.
    ///
    /// # Errors
    /// [`Error::Interrupted`], or a gateway that lets nobody in.
    pub fn settle(&self, wall: &Wall, patience: Duration) -> Result<bool, Error> {
        let deadline = Instant::now() + patience;
        loop {
            if wall.is_complete() {
                return Ok(true);
            }
            if Instant::now() > deadline {
                return Ok(false);
            }
            self.fleet.mend()?;
            if self.fleet.under_way() == 0 && wall.is_seen() {
                // Nobody will answer what is still open.
                return Ok(false);
            }
            self.pause(LOOK)?;
        }
    }

    /// Looks at all that is watched.
    pub fn look(&self, looks: &mut Looks) {
        match &self.containers {
            None => looks.processes.push(self.parts.sample()),
            Some(watched) => looks.containers.push(watched.ask(&self.runtime)),
        }
    }

    /// What everything took between the first look and the last.
    pub fn services(&mut self, looks: Looks, seconds: f64, commands: u64) -> Vec<Service> {
        match &mut self.containers {
            None => resources::services(&self.parts, &looks.processes, seconds, commands),
            Some(watched) => {
                let (samples, between) = self.runtime.block_on(watched.answers(looks.containers));
                // The Engine's answers are as far apart as they happen to be.
                let commands = float(commands) * ratio(between, seconds).unwrap_or(0.0);
                watched.services(&samples, between, commands)
            }
        }
    }

    /// Holds a load and measures it.
    ///
    /// # Errors
    /// When something could not be measured. A bank that does not keep up is no error.
    pub fn hold(&mut self, order: &Order) -> Result<Held, Error> {
        self.fleet.mend()?;
        // What was closed before is not this step's.
        drop(self.fleet.take_closed());
        let wall = Arc::new(self.plan(order));
        let from_ns = wall.first_ns + nanoseconds(order.warm_up);
        let first = wall
            .times_ns
            .partition_point(|at| wall.first_ns + at < from_ns);
        let measured = first..wall.len();
        let sending = self.fleet.send(Arc::clone(&wall))?;
        self.pause_until(from_ns)?;
        let counters = self.counters()?;
        let noise = NoiseWatch::start(&self.parts.pids());
        let mut looks = Looks::default();
        self.look(&mut looks);
        let began = Instant::now();
        let answered = wall.answered();
        let own = crate::procfs::CpuSample::of(&[std::process::id()]);
        let mut under_way = Vec::new();
        for number in 1..=QUARTERS {
            let share = f64::from(u32::try_from(number).unwrap_or(1)) / float_len(QUARTERS);
            self.pause_until(from_ns + nanoseconds(order.measured.mul_f64(share)))?;
            self.look(&mut looks);
            under_way.push(wall.under_way());
        }
        let seconds = began.elapsed().as_secs_f64();
        let answered = wall.answered() - answered;
        let own_ns = crate::procfs::CpuSample::of(&[std::process::id()]).since(&own);
        let noise = noise.end(&self.parts.pids());
        let postgres = self.postgres(counters, answered)?;
        sending.finish()?;
        let is_complete = self.settle(&wall, self.patience.answers)?;
        let mut step = Step {
            name: order.name.clone(),
            offered_per_second: order.per_second,
            answered_per_second: float(answered) / seconds,
            seconds,
            commands: measured.len() as u64,
            generator_cpu_percent: 100.0 * float(own_ns) / 1e9 / seconds,
            under_way: (under_way[0], under_way[QUARTERS - 1]),
            services: self.services(looks, seconds, answered),
            postgres,
            noise,
            ..Step::default()
        };
        count(&mut step, &wall, measured.clone(), from_ns, order.measured);
        judge(&mut step, answered, &self.fleet.take_closed());
        if !is_complete {
            self.settle(&wall, self.patience.settling)?;
        }
        Ok(Held {
            step,
            wall,
            measured,
        })
    }

    fn pause_until(&self, at_ns: u64) -> Result<(), Error> {
        let left = at_ns.saturating_sub(self.clock.now_ns());
        self.pause(Duration::from_nanos(left))
    }

    fn counters(&self) -> Result<Option<(Counters, Counters)>, Error> {
        let Some(administrator) = &self.administrator else {
            return Ok(None);
        };
        let read = async {
            let handler = administrator.counters("command_handler").await?;
            let gateway = administrator.counters("graphql_endpoint").await?;
            Ok(Some((handler, gateway)))
        };
        self.runtime.block_on(read)
    }

    fn postgres(
        &self,
        before: Option<(Counters, Counters)>,
        commands: u64,
    ) -> Result<Option<PostgresCounts>, Error> {
        let Some((before, after)) = before.zip(self.counters()?) else {
            return Ok(None);
        };
        let handler = after.0.since(&before.0);
        let gateway = after.1.since(&before.1);
        let each = |count: u64| ratio(float(count), float(commands)).unwrap_or(0.0);
        Ok(Some(PostgresCounts {
            wal_bytes_per_command: each(handler.wal_bytes),
            wal_syncs_per_command: each(handler.wal_syncs),
            handler_commits_per_command: each(handler.commits),
            gateway_commits_per_command: each(gateway.commits),
        }))
    }
}

fn count(step: &mut Step, wall: &Wall, measured: Range<usize>, from_ns: u64, time: Duration) {
    let quarters: Vec<_> = (0..QUARTERS)
        .map(|number| {
            let starts = |quarter_wanted: usize| {
                let of = |at: &u64| quarter(wall.first_ns + at, from_ns, time) < quarter_wanted;
                measured.start + wall.times_ns[measured.clone()].partition_point(of)
            };
            wall.count(starts(number)..starts(number + 1))
        })
        .collect();
    let all = wall.count(measured);
    let of = |pick: fn(&super::wall::Counts) -> &Latencies| {
        latency(pick(&all), quarters.iter().map(pick))
    };
    step.outcome = of(|counts| &counts.outcome);
    step.visible = of(|counts| &counts.visible);
    step.send_delay = of(|counts| &counts.send_delay);
    step.send_delay.histogram_us.clear();
    step.dropped = all.dropped;
    step.failed = all.failed;
    step.timed_out = all.timed_out;
    step.rejected = all.rejected;
}

/// A distribution with the spread of its quarters.
#[must_use]
pub fn latency<'a>(all: &Latencies, quarters: impl Iterator<Item = &'a Latencies>) -> Latency {
    let summary = all.summary();
    let mut p50 = (f64::INFINITY, 0.0_f64);
    let mut p99 = p50;
    for quarter in quarters.filter(|it| it.summary().samples > 0) {
        let (q50, q99) = (quarter.percentile_ms(50.0), quarter.percentile_ms(99.0));
        p50 = (p50.0.min(q50), p50.1.max(q50));
        p99 = (p99.0.min(q99), p99.1.max(q99));
    }
    let finite = |spread: (f64, f64), value: f64| {
        if spread.0.is_finite() {
            spread
        } else {
            (value, value)
        }
    };
    Latency {
        samples: summary.samples,
        mean_ms: all.mean_ms(),
        p50_ms: summary.p50_ms,
        p90_ms: summary.p90_ms,
        p95_ms: all.percentile_ms(95.0),
        p99_ms: summary.p99_ms,
        p999_ms: summary.p999_ms,
        max_ms: summary.max_ms,
        p50_spread_ms: finite(p50, summary.p50_ms),
        p99_spread_ms: finite(p99, summary.p99_ms),
        histogram_us: summary.histogram_us,
    }
}

/// Whether the generator was on time, and whether the bank kept up; `answered` while it was
/// measured.
fn judge(step: &mut Step, answered: u64, closed: &[String]) {
    let mut reasons = Vec::new();
    if step.send_delay.p99_ms > DELAY_P99_MAX_MS {
        reasons.push(format!(
            "the generator was {:.1} ms late at p99",
            step.send_delay.p99_ms
        ));
    }
    if step.dropped > 0 {
        reasons.push(format!("{} commands were not sent", step.dropped));
    }
    step.is_valid = reasons.is_empty();
    let before = reasons.len();
    // A tenth of a second of load may be under way more at the end than at the start.
    let due = ANSWERED_MIN * float(step.commands) - step.offered_per_second / 10.0;
    if float(answered) < due {
        reasons.push(format!(
            "{answered} of {} commands were answered in time",
            step.commands
        ));
    }
    if step.visible.p99_ms > VISIBLE_P99_MAX_MS {
        reasons.push(format!(
            "the balance is visible after {:.0} ms at p99",
            step.visible.p99_ms
        ));
    }
    let (first, last) = step.under_way;
    if float(last) > float(first) + step.offered_per_second {
        reasons.push(format!("the queue grew from {first} to {last}"));
    }
    if step.failed > 0 {
        reasons.push(format!("{} commands failed", step.failed));
    }
    if step.timed_out > 0 {
        reasons.push(format!(
            "{} commands were not answered or not seen",
            step.timed_out
        ));
    }
    if let Some(why) = closed.first() {
        reasons.push(format!("{} sockets were closed: {why}", closed.len()));
    }
    step.is_kept_up = reasons.len() == before && step.dropped == 0;
    step.reasons = reasons;
}
