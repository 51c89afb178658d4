//! A modest load for half an hour: whether anything grows under it.

use std::collections::BTreeMap;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use topology::kafka::KafkaConfig;
use topology::topics::DEFINITIONS;

use crate::clock::pause;
use crate::error::Error;
use crate::numbers::{float, float_len, ratio, whole};
use crate::procfs;

use super::measures::kafka_of_the_bank;
use super::resources::Parts;
use super::results::Results;
use super::run::{GATEWAY, HANDLER, Request, Run};

/// Between two looks at the memory.
const SAMPLED_EACH: Duration = Duration::from_secs(10);
/// The load is held so long at a time, and judged by itself.
const HELD: Duration = Duration::from_secs(60);
/// Of the whole time, not counted: caches fill, pools grow to what they need.
const WARM_UP_SHARE: f64 = 1.0 / 3.0;
/// For the groups to tell Kafka how far they have come: they do so each second.
const LAG_PATIENCE: Duration = Duration::from_secs(20);
const LAG_LOOK: Duration = Duration::from_millis(500);
const KAFKA_PATIENCE: Duration = Duration::from_secs(5);
/// Those that read topics.
const GROUPS: [&str; 3] = [HANDLER, "command-generator", GATEWAY];
const SECONDS_PER_HOUR: f64 = 3_600.0;
const KIB_PER_MIB: f64 = 1_024.0;

/// What is held, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct Wish {
    /// The whole time.
    pub minutes: u64,
    /// Commands per second.
    pub per_second: f64,
}

/// What became of it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Soak {
    /// How long the load was held.
    pub minutes: f64,
    /// Commands per second.
    pub per_second: f64,
    /// Between two samples.
    pub sampled_each_seconds: f64,
    /// From the beginning, not counted in any growth.
    pub warm_up_minutes: f64,
    /// Process by process.
    pub processes: Vec<Growth>,
    /// By group: records of its topics that it had not dealt with at the end.
    pub lag: Vec<(String, u64)>,
}

/// How a process grew.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Growth {
    /// Of the program; PostgreSQL with all its sessions.
    pub name: String,
    /// Slope of the line through its memory after the warm-up; `null` with too few samples.
    pub mib_per_hour: Option<f64>,
    /// Standard error of that slope, had its samples nothing to do with each other.
    pub error_mib_per_hour: Option<f64>,
    /// At the end of the warm-up and at the end.
    pub rss_anon_mib: (f64, f64),
    /// The greatest of all.
    pub greatest_mib: f64,
    /// Open files at the end of the warm-up and at the end.
    pub open_files: (u64, u64),
    /// Threads at the end of the warm-up and at the end.
    pub threads: (u64, u64),
    /// Whether it was another process at the end than at the beginning.
    pub was_replaced: bool,
    /// Seconds, MiB, open files and threads of every sample.
    pub samples: Vec<Sample>,
}

/// Seconds since the beginning, RssAnon in MiB, open files, threads.
pub type Sample = (f64, f64, u64, u64);

impl Soak {
    /// The process of this name.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<&Growth> {
        self.processes.iter().find(|it| it.name == name)
    }
}

/// Holds a load for long. Blocks its thread; must be called beside a tokio runtime that
/// somebody else drives.
///
/// # Errors
/// When something could not be measured. A bank that is found wrong is no error: the results
/// say so, and hold no figures.
pub fn run(request: Request, runtime: Handle, wish: Wish) -> Result<Results, Error> {
    let mut run = Run::prepare(request, runtime)?;
    run.quiet_and_floors()?;
    run.soak(wish)?;
    run.floors_again()?;
    run.finish()
}

impl Run {
    fn soak(&mut self, wish: Wish) -> Result<(), Error> {
        let whole_time = Duration::from_secs(wish.minutes * 60);
        self.say(&format!(
            "holds {:.0}/s for {} minutes",
            wish.per_second, wish.minutes
        ));
        self.refresh();
        let parts = self.bench.parts.clone();
        let (began, is_over) = (Instant::now(), AtomicBool::new(false));
        let samples = std::thread::scope(|scope| {
            let sampler = scope.spawn(|| watch(&parts, began, &is_over));
            let held = self.hold_minutes(wish.per_second, began, whole_time);
            is_over.store(true, Ordering::Relaxed);
            let samples = sampler.join();
            held?;
            samples.map_err(|_| Error::Wrong("the thread that looks at memory died".to_owned()))
        })?;
        let seconds = began.elapsed().as_secs_f64();
        let warm_up = seconds * WARM_UP_SHARE;
        self.refresh();
        let now = &self.bench.parts;
        let processes = samples
            .into_iter()
            .map(|(name, samples)| Growth {
                was_replaced: now.pid(&name) != parts.pid(&name),
                ..growth(name, samples, warm_up)
            })
            .collect();
        let lag = match &self.own {
            Some((_, installation)) => lag(&kafka_of_the_bank(installation), &self.bench.stop)?,
            None => Vec::new(),
        };
        self.results.soak = Some(Soak {
            minutes: seconds / 60.0,
            per_second: wish.per_second,
            sampled_each_seconds: SAMPLED_EACH.as_secs_f64(),
            warm_up_minutes: warm_up / 60.0,
            processes,
            lag,
        });
        Ok(())
    }

    fn hold_minutes(
        &mut self,
        per_second: f64,
        began: Instant,
        whole_time: Duration,
    ) -> Result<(), Error> {
        while let Some(left) = whole_time.checked_sub(began.elapsed()) {
            // Less than a second is no load.
            if left < Duration::from_secs(1) {
                break;
            }
            let mut held = self.hold_quietly("soak", per_second, Duration::ZERO, HELD.min(left))?;
            if !held.step.is_kept_up || !held.step.is_valid {
                self.say(&super::run::line(&held.step));
            }
            // Half an hour of them would be more than anybody reads.
            held.step.outcome.histogram_us.clear();
            held.step.visible.histogram_us.clear();
            self.results.steps.push(held.step);
        }
        Ok(())
    }
}

/// Looks at every process now and then, until it is over.
fn watch(parts: &Parts, began: Instant, is_over: &AtomicBool) -> BTreeMap<String, Vec<Sample>> {
    let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
    for number in 0.. {
        let due = SAMPLED_EACH * number;
        if pause(due.saturating_sub(began.elapsed()), is_over).is_err() {
            break;
        }
        let seconds = began.elapsed().as_secs_f64();
        for (name, pids) in parts.families() {
            let kib: u64 = pids.iter().map(|pid| procfs::rss_anon_kib(*pid)).sum();
            // A process that is gone has no memory, which is no figure.
            if kib > 0 {
                let sample = (
                    seconds,
                    float(kib) / KIB_PER_MIB,
                    entries(&pids, "fd"),
                    entries(&pids, "task"),
                );
                samples.entry(name).or_default().push(sample);
            }
        }
    }
    samples
}

fn entries(pids: &[u32], folder: &str) -> u64 {
    let of = |pid: &u32| fs::read_dir(format!("/proc/{pid}/{folder}")).map_or(0, Iterator::count);
    pids.iter().map(of).sum::<usize>() as u64
}

fn growth(name: String, samples: Vec<Sample>, warm_up_seconds: f64) -> Growth {
    let first = samples.partition_point(|(seconds, ..)| *seconds < warm_up_seconds);
    let counted = &samples[first..];
    let points: Vec<(f64, f64)> = counted
        .iter()
        .map(|(seconds, mib, ..)| (seconds / SECONDS_PER_HOUR, *mib))
        .collect();
    let slope = slope(&points);
    let (begin, end) = (counted.first(), counted.last());
    let ends = |of: fn(&Sample) -> u64| (begin.map_or(0, of), end.map_or(0, of));
    Growth {
        name,
        mib_per_hour: slope.map(|it| it.0),
        error_mib_per_hour: slope.map(|it| it.1),
        rss_anon_mib: (begin.map_or(0.0, |it| it.1), end.map_or(0.0, |it| it.1)),
        greatest_mib: samples.iter().map(|it| it.1).fold(0.0, f64::max),
        open_files: ends(|it| it.2),
        threads: ends(|it| it.3),
        was_replaced: false,
        samples,
    }
}

/// Slope of the line through points by least squares, and its standard error.
fn slope(points: &[(f64, f64)]) -> Option<(f64, f64)> {
    const LEAST_POINTS: usize = 3;
    if points.len() < LEAST_POINTS {
        return None;
    }
    let count = float_len(points.len());
    let mean_x = points.iter().map(|it| it.0).sum::<f64>() / count;
    let mean_y = points.iter().map(|it| it.1).sum::<f64>() / count;
    let spread = points.iter().map(|it| (it.0 - mean_x).powi(2)).sum::<f64>();
    let together = points.iter().map(|it| (it.0 - mean_x) * (it.1 - mean_y));
    let slope = ratio(together.sum(), spread)?;
    let off = |it: &(f64, f64)| (it.1 - mean_y - slope * (it.0 - mean_x)).powi(2);
    let rest: f64 = points.iter().map(off).sum();
    Some((slope, (rest / (count - 2.0) / spread).sqrt()))
}

/// Records that each group has not dealt with, once all have told or nobody wants to wait.
fn lag(kafka: &KafkaConfig, stop: &AtomicBool) -> Result<Vec<(String, u64)>, Error> {
    let deadline = Instant::now() + LAG_PATIENCE;
    loop {
        let mut all = Vec::new();
        for group in GROUPS {
            all.push((group.to_owned(), lag_of(kafka, group)?));
        }
        if Instant::now() > deadline || all.iter().all(|(_, lag)| *lag == 0) {
            return Ok(all);
        }
        pause(LAG_LOOK, stop)?;
    }
}

/// By what the group has told Kafka, of the partitions it has told anything of. Whoever asks
/// never subscribes, and so is no member.
fn lag_of(kafka: &KafkaConfig, group: &str) -> Result<u64, Error> {
    let client: BaseConsumer = kafka.consumer("perf-lag", group).create()?;
    let mut asked = TopicPartitionList::new();
    for definition in DEFINITIONS {
        let name = kafka.topics().name(definition.topic);
        for partition in 0..definition.partitions {
            asked.add_partition(&name, partition);
        }
    }
    let mut lag = 0;
    for element in client.committed_offsets(asked, KAFKA_PATIENCE)?.elements() {
        if let Offset::Offset(reached) = element.offset() {
            let (topic, partition) = (element.topic(), element.partition());
            let (_, end) = client.fetch_watermarks(topic, partition, KAFKA_PATIENCE)?;
            lag += u64::try_from(end - reached).unwrap_or(0);
        }
    }
    Ok(lag)
}

/// Whole minutes, for words.
#[must_use]
pub fn minutes(soak: &Soak) -> u64 {
    whole(soak.minutes.round())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_memory_that_grows_when_judged_then_only_what_follows_the_warm_up_counts() {
        let minutes = |minute: u32| f64::from(minute) * 60.0;
        // Twenty MiB in ten minutes, then one MiB an hour.
        let samples: Vec<Sample> = (0..=30)
            .map(|minute| {
                let mib = if minute < 10 {
                    f64::from(minute) * 2.0
                } else {
                    20.0 + f64::from(minute - 10) / 60.0
                };
                (minutes(minute), mib, 10 + u64::from(minute / 20), 4)
            })
            .collect();
        let found = growth("a service".to_owned(), samples, minutes(10));
        assert!(
            (found.mib_per_hour.unwrap() - 1.0).abs() < 1e-9,
            "{found:?}"
        );
        assert!(found.error_mib_per_hour.unwrap() < 1e-6, "{found:?}");
        assert_eq!(found.open_files, (10, 11));
        assert_eq!(found.threads, (4, 4));
        assert!((found.rss_anon_mib.0 - 20.0).abs() < 1e-9);
    }

    #[test]
    fn given_memory_that_jumps_about_when_judged_then_the_error_says_so() {
        let jumps = (0..60).map(|it| (f64::from(it) / 180.0, f64::from(it % 2)));
        let (slope, error) = slope(&jumps.collect::<Vec<_>>()).unwrap();
        assert!(slope.abs() < 2.0 * error, "{slope} and {error}");
        assert!(error > 0.1);
        assert_eq!(super::slope(&[(0.0, 1.0), (1.0, 2.0)]), None);
    }

    #[test]
    fn given_this_process_when_watched_once_then_its_files_and_threads_are_counted() {
        let parts = Parts {
            programs: vec![
                ("me".to_owned(), std::process::id()),
                ("gone".to_owned(), 0),
            ],
            postgres: None,
        };
        let is_over = AtomicBool::new(false);
        let samples = std::thread::scope(|scope| {
            let looker = scope.spawn(|| watch(&parts, Instant::now(), &is_over));
            is_over.store(true, Ordering::Relaxed);
            looker.join().unwrap()
        });
        // The first look may have come too late, never a look at somebody who is not there.
        assert!(!samples.contains_key("gone"));
        assert!(entries(&[std::process::id()], "fd") > 2);
        assert!(entries(&[std::process::id()], "task") >= 1);
    }
}
