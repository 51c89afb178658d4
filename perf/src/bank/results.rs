//! What a run of the whole bank found: the file that people and programs read.
//!
//! `perf/results/README.md` describes every field; change both together, and count
//! [`VERSION`] up when a reader of the old form would be wrong.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::machine::{self, Machine};
use crate::procfs::Noise;

use super::containers::Containers;
use super::kafka_clients::KafkaClients;
use super::soak::Soak;

/// Form of the file; a reader of another one must not guess.
pub const VERSION: u32 = 2;
/// What this form is about.
pub const SUBJECT: &str = "bank";

/// Everything a run found.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// Form of this file.
    pub version: u32,
    /// What was measured.
    pub subject: String,
    /// Which run: `quick`, `full`, `smoke`, `target`, `article`, `soak` or `statistics`.
    pub kind: String,
    /// When it began, UTC.
    pub measured_at: String,
    /// How long it took.
    pub took_seconds: u64,
    /// Of the sources; `+` when they were changed, empty when nobody knows.
    pub commit: String,
    /// Where.
    pub machine: Machine,
    /// Of the parts, by name.
    pub versions: Vec<(String, String)>,
    /// Settings of the parts that somebody chose: part, name, value.
    pub settings: Vec<(String, String, String)>,
    /// What was sent.
    pub load: Load,
    /// Whether the bank was right; without that there are no figures.
    pub verdict: Verdict,
    /// Why the figures are noisy; empty on a quiet machine.
    pub noisy: Vec<String>,
    /// The machine before the run.
    pub quiet_check: Noise,
    /// What the machine itself takes.
    pub floors: Vec<Floor>,
    /// Every step, in the order they were measured.
    pub steps: Vec<Step>,
    /// The highest rate that was kept up.
    pub capacity: Option<Capacity>,
    /// In a browser.
    pub painted: Option<Painted>,
    /// Where the time goes.
    pub stages: Vec<Stages>,
    /// The handler alone, from topic to topic.
    pub drain: Option<DrainSummary>,
    /// `kill -9` of the handler under load.
    pub recovery: Option<Recovery>,
    /// Memory of the gateway with many who follow accounts.
    pub followers: Option<Followers>,
    /// The article's experiment.
    pub article: Vec<ArticleRun>,
    /// Whether figures of containers could be had, and whose; absent where processes are watched.
    #[serde(default)]
    pub containers: Option<Containers>,
    /// A modest load for long.
    #[serde(default)]
    pub soak: Option<Soak>,
    /// What the Kafka clients say of themselves.
    #[serde(default)]
    pub kafka_clients: Option<KafkaClients>,
    /// Target by target.
    pub targets: Vec<Target>,
    /// The figures that runs are compared by.
    pub figures: Vec<Figure>,
}

/// What was sent.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Load {
    /// Customers with an account each.
    pub customers: u64,
    /// WebSockets that commands are sent through.
    pub sockets: u64,
    /// `poisson` or `constant`.
    pub arrivals: String,
    /// How payees are drawn.
    pub payees: String,
    /// Share of transfers that the bank must refuse.
    pub planned_rejections_percent: f64,
    /// Share of commands that are sent a second time.
    pub planned_repeats_percent: f64,
    /// Repeats all that was drawn.
    pub seed: u64,
}

/// Whether the bank was right.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Verdict {
    /// True when nothing was wrong.
    pub holds: bool,
    /// Who says so: `auditor` or `clients`.
    pub by: String,
    /// Invariants that were judged.
    pub invariants: u64,
    /// Of them, how many hold.
    pub holding: u64,
    /// Records that were read for it.
    pub records: u64,
    /// What is wrong.
    pub findings: Vec<String>,
}

/// Latencies from the intended time, in milliseconds.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Latency {
    /// How many; what never came is one of them.
    pub samples: u64,
    /// The mean.
    pub mean_ms: f64,
    /// Half are below.
    pub p50_ms: f64,
    /// Percentile.
    pub p90_ms: f64,
    /// Percentile.
    pub p95_ms: f64,
    /// Percentile.
    pub p99_ms: f64,
    /// Percentile.
    pub p999_ms: f64,
    /// The greatest.
    pub max_ms: f64,
    /// Least and greatest median of the four quarters of the step.
    pub p50_spread_ms: (f64, f64),
    /// Least and greatest p99 of the four quarters of the step.
    pub p99_spread_ms: (f64, f64),
    /// Every value that occurred, in microseconds, with how often.
    pub histogram_us: Vec<(u64, u64)>,
}

/// A floor before and after the run.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Floor {
    /// `hop`, `apply`, `apply_full`, `read_model`, `read_model_full`, `sync` or `loopback`.
    pub name: String,
    /// What is done.
    pub what: String,
    /// Median before the run.
    pub before_p50_ms: f64,
    /// p99 before the run.
    pub before_p99_ms: f64,
    /// Median after the run.
    pub after_p50_ms: f64,
    /// p99 after the run.
    pub after_p99_ms: f64,
}

impl Floor {
    /// The middle of before and after.
    #[must_use]
    pub fn p50_ms(&self) -> f64 {
        f64::midpoint(self.before_p50_ms, self.after_p50_ms)
    }

    /// The middle of before and after.
    #[must_use]
    pub fn p99_ms(&self) -> f64 {
        f64::midpoint(self.before_p99_ms, self.after_p99_ms)
    }
}

/// One load, held for a while.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Step {
    /// `nothing`, `idle`, `ladder`, `bisection`, `25 %`, `50 %`, `75 %`, `100 %`, `stages`,
    /// `stages at 50 %`, `followers`; `soak`; `without statistics`, `with statistics`.
    pub name: String,
    /// Commands per second that were meant to be sent.
    pub offered_per_second: f64,
    /// Commands per second that were answered.
    pub answered_per_second: f64,
    /// How long was measured.
    pub seconds: f64,
    /// Commands that were measured.
    pub commands: u64,
    /// From the intended time to the answer at the client.
    pub outcome: Latency,
    /// From the intended time to the changed balance at the paying client.
    pub visible: Latency,
    /// How much later than intended commands were handed to the system.
    pub send_delay: Latency,
    /// CPU of the load generator, in per cent of a core.
    pub generator_cpu_percent: f64,
    /// Not sent: too many were under way.
    pub dropped: u64,
    /// Answered with an error, or *pending*.
    pub failed: u64,
    /// Not answered, or no balance seen, before the step was given up.
    pub timed_out: u64,
    /// Refused as planned.
    pub rejected: u64,
    /// Waiting for an answer at the end of the first and of the last quarter.
    pub under_way: (u64, u64),
    /// Whether the generator was on time and sent everything.
    pub is_valid: bool,
    /// Whether the bank kept up.
    pub is_kept_up: bool,
    /// Why not, for both.
    pub reasons: Vec<String>,
    /// Every process, or the containers of every service.
    pub services: Vec<Service>,
    /// What PostgreSQL counted.
    pub postgres: Option<PostgresCounts>,
    /// What else went on.
    pub noise: Noise,
}

/// A process, or the containers of a service, during a step.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Service {
    /// Of the program, `postgres: <database>` for the sessions of a database, or of the service.
    pub name: String,
    /// In per cent of a core.
    pub cpu_percent: f64,
    /// Per command that was answered; 0 without any.
    pub cpu_us_per_command: f64,
    /// Time its threads waited for a core, in per cent of the time they ran; nobody tells of
    /// containers.
    pub run_queue_wait_percent: Option<f64>,
    /// Memory of its own, the greatest seen.
    pub rss_anon_mib: Option<f64>,
    /// Its share of all memory, at the end of the step; nobody tells of containers.
    pub pss_mib: Option<f64>,
    /// What its containers hold beside file pages that could go at once, the greatest seen;
    /// of containers only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_mib: Option<f64>,
}

/// What PostgreSQL counted in a step, per command.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct PostgresCounts {
    /// Bytes of write-ahead log, of both databases.
    pub wal_bytes_per_command: f64,
    /// Times the log was forced to disk.
    pub wal_syncs_per_command: f64,
    /// Transactions of the handler.
    pub handler_commits_per_command: f64,
    /// Transactions of the gateway.
    pub gateway_commits_per_command: f64,
}

/// The highest rate that was kept up.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Capacity {
    /// Commands per second.
    pub per_second: f64,
    /// The lowest rate that was not kept up; 0 when all were.
    pub failed_per_second: f64,
    /// Why that one was not.
    pub limited_by: Vec<String>,
}

/// From the click to the paint, in a headless Chromium.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Painted {
    /// From just before the click to the frame after the row stood in the page.
    pub latency: Latency,
    /// Actions that showed nothing within five seconds.
    pub timed_out: u64,
    /// Actions, in the order they were done: kind, milliseconds.
    pub actions: Vec<(String, f64)>,
    /// As the browser names itself.
    pub browser: String,
}

/// Where the time of some commands went.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Stages {
    /// Of the step they were taken in.
    pub step: String,
    /// Commands per second of that step.
    pub per_second: f64,
    /// Commands whose every stamp was there.
    pub samples: u64,
    /// In the order a command goes through them.
    pub stages: Vec<Stage>,
    /// Mean of the whole way; the means of the stages add up to it.
    pub total_mean_ms: f64,
    /// Commands of a batch, the median over commands.
    pub batch_p50: f64,
}

/// One part of the way.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Stage {
    /// Name of the part.
    pub name: String,
    /// Stamp it begins with.
    pub from: String,
    /// Stamp it ends with.
    pub to: String,
    /// Mean.
    pub mean_ms: f64,
    /// Median.
    pub p50_ms: f64,
    /// Percentile.
    pub p99_ms: f64,
}

/// The handler alone.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct DrainSummary {
    /// Commands that waited.
    pub commands: u64,
    /// Commands per second, each repeat.
    pub per_second: Vec<f64>,
    /// The same with `--batch-max 1`.
    pub one_at_a_time_per_second: f64,
    /// The same where nine in ten payments touch one account.
    pub hot_per_second: f64,
    /// Commands of a transaction.
    pub commands_per_commit: f64,
    /// Round trips of the middle batch, counted at the socket.
    pub round_trips_per_batch: f64,
    /// Statements of a batch.
    pub statements_per_batch: f64,
    /// Prepared again while it worked.
    pub prepares_per_10_000: f64,
    /// Forced writes of the log.
    pub syncs_per_command: f64,
    /// Bytes of the log.
    pub wal_bytes_per_command: f64,
    /// Produce requests.
    pub produce_requests_per_command: f64,
    /// CPU of the handler.
    pub handler_cpu_us: f64,
    /// CPU of PostgreSQL.
    pub postgres_cpu_us: f64,
    /// CPU of Kafka.
    pub kafka_cpu_us: f64,
    /// RssAnon with nothing to do.
    pub idle_mib: f64,
    /// RssAnon at most.
    pub loaded_mib: f64,
    /// RssAnon more than idle while commands waited.
    pub waiting_growth_mib: f64,
    /// How many waited then.
    pub waiting_commands: u64,
}

/// The handler killed under load.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Recovery {
    /// Commands per second, before and after.
    pub per_second: f64,
    /// From the kill to the first answer of the new process.
    pub flows_again_ms: f64,
    /// From the kill until no command had waited longer than 100 ms.
    pub caught_up_ms: f64,
    /// Commands that never got an answer, or whose change no client saw.
    pub lost: u64,
    /// Commands that were answered with an error, or *pending* while the handler was away.
    #[serde(default)]
    pub failed: u64,
    /// Commands that no socket could take: too many were under way.
    #[serde(default)]
    pub not_sent: u64,
    /// Of all commands, those that waited included.
    pub visible: Latency,
}

/// The gateway with many who follow accounts.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Followers {
    /// How many follow accounts that nothing happens to, beside the customers who pay.
    pub followers: u64,
    /// Of the gateway with nobody connected.
    pub idle_mib: f64,
    /// Of the gateway under load with all of them, the greatest.
    pub loaded_mib: f64,
    /// Commands per second meanwhile.
    pub per_second: f64,
    /// To the changed balance meanwhile.
    pub visible_p99_ms: f64,
}

/// The article's experiment with one way of running the handler.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ArticleRun {
    /// How the handler was run.
    pub name: String,
    /// How much shorter than in the article each step was.
    pub faster: f64,
    /// Step by step.
    pub steps: Vec<ArticleStep>,
    /// Why it ended.
    pub ended: String,
}

/// One step of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct ArticleStep {
    /// Heartbeats per second.
    pub per_second: f64,
    /// From the click to the paint.
    pub painted: Latency,
    /// Actions without an effect within five seconds.
    pub timed_out: u64,
    /// Of the handler, in per cent of a core.
    pub handler_cpu_percent: f64,
    /// Of the handler.
    pub handler_mib: f64,
    /// Of PostgreSQL, in per cent of a core.
    pub postgres_cpu_percent: f64,
    /// Of the gateway, in per cent of a core.
    pub gateway_cpu_percent: f64,
    /// Of Kafka, in per cent of a core.
    pub kafka_cpu_percent: f64,
}

/// How a target stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetState {
    /// The figure is there and good enough.
    Reached,
    /// The figure is there and is not.
    NotReached,
    /// There is no figure in this run.
    NotMeasured,
}

/// One target.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Target {
    /// `P1` to `P27`.
    pub id: String,
    /// What is measured.
    pub what: String,
    /// What is wanted.
    pub wanted: String,
    /// What was found, or where it is found when not in this run.
    pub found: String,
    /// How it stands.
    pub state: TargetState,
}

/// Which way is better.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Better {
    /// Less is better.
    Lower,
    /// More is better.
    Higher,
}

/// A figure that runs are compared by.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Figure {
    /// Stays the same from run to run.
    pub name: String,
    /// For people.
    pub what: String,
    /// Of the value.
    pub unit: String,
    /// The figure.
    pub value: f64,
    /// The least of its repeats; the value itself without repeats.
    pub least: f64,
    /// The greatest of its repeats.
    pub greatest: f64,
    /// Which way is better.
    pub better: Better,
}

impl Results {
    /// Results without figures yet, of sources in this folder.
    #[must_use]
    pub fn begin(kind: &str, root: &Path) -> Results {
        Results {
            version: VERSION,
            subject: SUBJECT.to_owned(),
            kind: kind.to_owned(),
            measured_at: machine::now(),
            took_seconds: 0,
            commit: machine::commit(root),
            machine: Machine::this(),
            versions: Vec::new(),
            settings: Vec::new(),
            load: Load::default(),
            verdict: Verdict::default(),
            noisy: Vec::new(),
            quiet_check: Noise::default(),
            floors: Vec::new(),
            steps: Vec::new(),
            capacity: None,
            painted: None,
            stages: Vec::new(),
            drain: None,
            recovery: None,
            followers: None,
            article: Vec::new(),
            containers: None,
            soak: None,
            kafka_clients: None,
            targets: Vec::new(),
            figures: Vec::new(),
        }
    }

    /// The step of this name.
    #[must_use]
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// The floor of this name.
    #[must_use]
    pub fn floor(&self, name: &str) -> Option<&Floor> {
        self.floors.iter().find(|floor| floor.name == name)
    }
}

impl Step {
    /// The process of this name.
    #[must_use]
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Memory of its own of the process of this name.
    #[must_use]
    pub fn own_mib(&self, name: &str) -> Option<f64> {
        self.service(name)?.rss_anon_mib
    }
}

/// Results as they may be; the same that the description was written with.
#[cfg(test)]
pub(crate) fn sample() -> Results {
    serde_json::from_str(include_str!("sample.json")).expect("the sample has the form described")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_results_when_written_and_read_again_then_nothing_is_lost() {
        let text = serde_json::to_string(&sample()).unwrap();
        let again: Results = serde_json::from_str(&text).unwrap();
        assert_eq!(serde_json::to_string(&again).unwrap(), text);
        assert_eq!((again.version, again.subject.as_str()), (VERSION, SUBJECT));
    }

    #[test]
    fn the_description_names_every_field() {
        let description = include_str!("../../results/README.md");
        let text = serde_json::to_value(sample()).unwrap();
        let fields = text.as_object().unwrap().keys();
        let step = text["steps"][0].as_object().unwrap().keys();
        for field in fields.chain(step) {
            assert!(description.contains(&format!("`{field}`")), "{field}");
        }
    }
}
