//! What the containers of a bank take, by the service of Compose they belong to.
//!
//! Nothing here is ever a guess: a service of which a container came or went while something
//! was measured, or that the Engine has no figures of, is left out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::numbers::{float, ratio};

use super::engine::{Container, Engine};
use super::results::Service;
use super::run::GATEWAY;

const BYTES_PER_MIB: f64 = 1_048_576.0;
/// Things that went wrong; more of them say nothing new.
const WORDS_MAX: usize = 5;

/// Whether figures of containers could be had, and whose.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Containers {
    /// The project of Compose; empty when none was found.
    pub project: String,
    /// The Engine's socket; empty when it could not be asked.
    pub socket: String,
    /// Its services that had figures.
    pub services: Vec<String>,
    /// Why figures are missing.
    pub missing: Vec<String>,
}

impl Containers {
    /// Notes why figures are missing, once.
    pub fn note(&mut self, why: String) {
        if self.missing.len() < WORDS_MAX && !self.missing.contains(&why) {
            self.missing.push(why);
        }
    }
}

/// What a container has used so far, and holds.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Use {
    /// CPU since it was started.
    pub cpu_ns: u64,
    /// Memory without file pages that could go at once.
    pub memory_bytes: u64,
    /// Of it, what is backed by no file; `None` when the Engine does not say.
    pub own_bytes: Option<u64>,
}

impl Use {
    /// From the Engine's answer, of cgroups of either version. `None` for a container that does
    /// not run: its answer has the form of others, with nothing in it.
    #[must_use]
    pub fn read(stats: &Value) -> Option<Use> {
        let cpu_ns = stats["cpu_stats"]["cpu_usage"]["total_usage"].as_u64()?;
        let memory = &stats["memory_stats"];
        let usage = memory["usage"].as_u64()?;
        if cpu_ns == 0 || usage == 0 {
            return None;
        }
        let details = &memory["stats"];
        // Version 1 counts those below it in names that begin with `total_`.
        let of = |first: &str, second: &str| {
            let found = details[first].as_u64();
            found.or_else(|| details[second].as_u64())
        };
        let reclaimable = of("total_inactive_file", "inactive_file")?;
        Some(Use {
            cpu_ns,
            memory_bytes: usage.saturating_sub(reclaimable),
            own_bytes: of("total_rss", "anon"),
        })
    }
}

/// All containers of a project at one time: by service, then by container.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample(BTreeMap<String, BTreeMap<String, Use>>);

impl Sample {
    /// With a container more.
    pub fn add(&mut self, container: Container, used: Use) {
        let service = self.0.entry(container.service).or_default();
        service.insert(container.id, used);
    }

    /// Without any container.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// An answer of the Engine to come, and when it came.
pub type Asked = JoinHandle<(Instant, Result<Sample, String>)>;

/// The containers of one project, asked for by whoever measures.
pub struct Watched {
    /// The Engine.
    pub engine: Engine,
    /// The project.
    pub project: String,
    /// What is told of them in the end.
    pub about: Containers,
}

impl Watched {
    /// The containers of a bank: of this project, or of the only one with a gateway in it.
    ///
    /// # Errors
    /// Words for why there are no figures.
    pub async fn find(engine: Engine, project: Option<&str>) -> Result<Watched, String> {
        let containers = engine.containers(project).await?;
        let projects: BTreeSet<&str> = containers
            .iter()
            .filter(|it| project.is_some() || it.service == GATEWAY)
            .map(|it| it.project.as_str())
            .collect();
        let all: Vec<&str> = projects.into_iter().collect();
        let found = match (all.as_slice(), project) {
            ([one], _) => (*one).to_owned(),
            ([], Some(project)) => {
                return Err(format!("no container of the project {project} runs"));
            }
            ([], None) => return Err(format!("no container of a service {GATEWAY} runs")),
            (many, _) => {
                return Err(format!(
                    "several projects have a service {GATEWAY} ({}): --project says which",
                    many.join(", ")
                ));
            }
        };
        let about = Containers {
            project: found.clone(),
            socket: engine.socket().display().to_string(),
            ..Containers::default()
        };
        Ok(Watched {
            engine,
            project: found,
            about,
        })
    }

    /// Asks beside whoever measures: a busy Engine takes its time, and a load waits for nobody.
    #[must_use]
    pub fn ask(&self, runtime: &Handle) -> Asked {
        let (engine, project) = (self.engine.clone(), self.project.clone());
        runtime.spawn(async move {
            let sample = engine.sample(&project).await;
            (Instant::now(), sample)
        })
    }

    /// What was asked, in its order, with the seconds between the first answer and the last. An
    /// answer that did not come is without any container.
    pub async fn answers(&mut self, asked: Vec<Asked>) -> (Vec<Sample>, f64) {
        let (mut samples, mut times) = (Vec::new(), Vec::new());
        for asked in asked {
            let sample = match asked.await {
                Ok((at, Ok(sample))) => {
                    times.push(at);
                    sample
                }
                Ok((_, Err(why))) => {
                    self.about.note(why);
                    Sample::default()
                }
                Err(error) => {
                    self.about
                        .note(format!("the Docker Engine was not asked: {error}"));
                    Sample::default()
                }
            };
            samples.push(sample);
        }
        let seconds = times.first().zip(times.last());
        let seconds = seconds.map_or(0.0, |(first, last)| (*last - *first).as_secs_f64());
        (samples, seconds)
    }

    /// Every service between the first and the last sample, and so many commands between them.
    pub fn services(&mut self, samples: &[Sample], seconds: f64, commands: f64) -> Vec<Service> {
        let about = &mut self.about;
        let found = services(samples, seconds, commands, |name| {
            about.note(format!("a container of {name} came, went, or told nothing"));
        });
        for service in &found {
            if !about.services.contains(&service.name) {
                about.services.push(service.name.clone());
            }
        }
        found
    }
}

/// Every service between the first and the last sample; memory is the greatest of all. Names of
/// those that are left out are given to `missing`.
#[must_use]
pub fn services(
    samples: &[Sample],
    seconds: f64,
    commands: f64,
    mut missing: impl FnMut(&str),
) -> Vec<Service> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Vec::new();
    };
    let names: BTreeSet<&String> = samples.iter().flat_map(|it| it.0.keys()).collect();
    let mut services = Vec::new();
    for name in names {
        match used(first.0.get(name), last.0.get(name)) {
            Some(cpu_ns) => services.push(Service {
                name: name.clone(),
                cpu_percent: ratio(float(cpu_ns) / 1e7, seconds).unwrap_or(0.0),
                cpu_us_per_command: ratio(float(cpu_ns) / 1e3, commands).unwrap_or(0.0),
                run_queue_wait_percent: None,
                rss_anon_mib: greatest_mib(samples, name, |it| it.own_bytes),
                pss_mib: None,
                memory_mib: greatest_mib(samples, name, |it| Some(it.memory_bytes)),
            }),
            None => missing(name),
        }
    }
    services
}

type OfService<'a> = Option<&'a BTreeMap<String, Use>>;

/// CPU between two samples, where the same containers ran all the time.
fn used(first: OfService<'_>, last: OfService<'_>) -> Option<u64> {
    let (first, last) = (first?, last?);
    if !first.keys().eq(last.keys()) {
        return None;
    }
    let parts = first.iter().zip(last.values());
    // One that was started again counts from nothing.
    parts
        .map(|((_, then), now)| now.cpu_ns.checked_sub(then.cpu_ns))
        .sum()
}

fn greatest_mib(samples: &[Sample], name: &str, of: fn(&Use) -> Option<u64>) -> Option<f64> {
    let sum = |sample: &Sample| {
        let containers = sample.0.get(name)?;
        containers.values().map(of).sum::<Option<u64>>()
    };
    let greatest = samples.iter().filter_map(sum).max()?;
    Some(float(greatest) / BYTES_PER_MIB)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn container(service: &str, id: &str) -> Container {
        Container {
            id: id.to_owned(),
            project: "bank".to_owned(),
            service: service.to_owned(),
        }
    }

    fn sample(all: &[(&str, &str, u64, u64)]) -> Sample {
        let mut sample = Sample::default();
        for (service, id, cpu_ms, mib) in all {
            let used = Use {
                cpu_ns: cpu_ms * 1_000_000,
                memory_bytes: mib * 1_048_576,
                own_bytes: None,
            };
            sample.add(container(service, id), used);
        }
        sample
    }

    #[test]
    fn given_answers_of_both_versions_when_read_then_pages_that_could_go_do_not_count() {
        let first = json!({ "cpu_stats": { "cpu_usage": { "total_usage": 5_000, "percpu_usage": [2_000, 3_000] } },
            "memory_stats": { "usage": 900, "max_usage": 1_000, "stats":
                { "cache": 300, "rss": 400, "inactive_file": 1, "total_inactive_file": 200, "total_rss": 500 } } });
        let second = json!({ "cpu_stats": { "cpu_usage": { "total_usage": 5_000, "usage_in_usermode": 4_000 } },
            "memory_stats": { "usage": 900, "stats": { "anon": 500, "file": 300, "inactive_file": 200 } } });
        let wanted = Use {
            cpu_ns: 5_000,
            memory_bytes: 700,
            own_bytes: Some(500),
        };
        assert_eq!(Use::read(&first), Some(wanted));
        assert_eq!(Use::read(&second), Some(wanted));
    }

    #[test]
    fn given_a_container_that_does_not_run_when_read_then_it_has_no_figures() {
        let stopped = json!({ "read": "0001-01-01T00:00:00Z", "cpu_stats": { "cpu_usage": { "total_usage": 0 } },
            "memory_stats": {} });
        assert_eq!(Use::read(&stopped), None);
        for garbage in [json!(null), json!([1]), json!({ "memory_stats": "none" })] {
            assert_eq!(Use::read(&garbage), None, "{garbage}");
        }
    }

    #[test]
    fn given_samples_when_folded_then_containers_of_a_service_are_one_and_none_is_guessed() {
        let first = sample(&[
            ("gateway", "a", 100, 30),
            ("gateway", "b", 50, 20),
            ("kafka", "k", 9, 300),
            ("gone", "g", 1, 1),
        ]);
        let middle = sample(&[
            ("gateway", "a", 200, 40),
            ("gateway", "b", 60, 30),
            ("kafka", "k", 9, 300),
        ]);
        let last = sample(&[
            ("gateway", "a", 600, 10),
            ("gateway", "b", 550, 20),
            ("kafka", "k", 3, 300),
            ("new", "n", 1, 1),
        ]);
        let mut missing = Vec::new();
        let services = services(&[first, middle, last], 2.0, 100.0, |name| {
            missing.push(name.to_owned())
        });
        assert_eq!(
            missing,
            ["gone", "kafka", "new"],
            "not there throughout, or started again"
        );
        let [gateway] = &services[..] else {
            panic!("{services:?}")
        };
        assert!((gateway.cpu_percent - 50.0).abs() < 1e-9, "{gateway:?}");
        assert!(
            (gateway.cpu_us_per_command - 10_000.0).abs() < 1e-6,
            "{gateway:?}"
        );
        assert_eq!(gateway.memory_mib, Some(70.0));
        assert_eq!((gateway.rss_anon_mib, gateway.pss_mib), (None, None));
    }
}
