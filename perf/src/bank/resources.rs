//! What each process takes while something is measured: CPU, waiting for a core, memory.

use std::collections::BTreeMap;
use std::fs;

use crate::numbers::{float, ratio};
use crate::procfs;

use super::results::Service;

/// PostgreSQL as a whole, with all its sessions.
pub const POSTGRES: &str = "postgres";
const KIB_PER_MIB: f64 = 1_024.0;

/// The processes that are watched.
#[derive(Clone, Debug, Default)]
pub struct Parts {
    /// Name and process.
    pub programs: Vec<(String, u32)>,
    /// The postmaster; its sessions are told apart by their database.
    pub postgres: Option<u32>,
}

/// Nanoseconds that a thread ran, and that it waited for a core.
type Times = (u64, u64);

/// Everything at one time.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// By part, then by process and thread.
    times: BTreeMap<String, BTreeMap<(u32, u32), Times>>,
    rss_anon_kib: BTreeMap<String, u64>,
}

impl Parts {
    /// The process of a program.
    #[must_use]
    pub fn pid(&self, name: &str) -> Option<u32> {
        let found = self.programs.iter().find(|(it, _)| it == name);
        found.map(|(_, pid)| *pid)
    }

    /// Every process.
    #[must_use]
    pub fn pids(&self) -> Vec<u32> {
        let mut pids = self.postgres.map(procfs::family).unwrap_or_default();
        pids.extend(self.programs.iter().map(|(_, pid)| *pid));
        pids.push(std::process::id());
        pids
    }

    /// Every part with its processes.
    #[must_use]
    pub fn families(&self) -> Vec<(String, Vec<u32>)> {
        let programs = self.programs.iter();
        let mut families: Vec<(String, Vec<u32>)> = programs
            .map(|(name, pid)| (name.clone(), vec![*pid]))
            .collect();
        if let Some(postmaster) = self.postgres {
            families.push((POSTGRES.to_owned(), procfs::family(postmaster)));
        }
        families
    }

    /// Everything now.
    #[must_use]
    pub fn sample(&self) -> Sample {
        let mut sample = Sample::default();
        for (name, pid) in &self.programs {
            sample.add(name, *pid);
        }
        for pid in self.postgres.map(procfs::family).unwrap_or_default() {
            sample.add(POSTGRES, pid);
            if let Some(database) = database_of(pid) {
                sample.add(&format!("{POSTGRES}: {database}"), pid);
            }
        }
        sample
    }

    fn pss_mib(&self, name: &str) -> f64 {
        let of = |pid: u32| {
            let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
            procfs::field(&text, "Pss:").unwrap_or(0)
        };
        let kib: u64 = if name == POSTGRES {
            let family = self.postgres.map(procfs::family).unwrap_or_default();
            family.into_iter().map(of).sum()
        } else {
            self.pid(name).map_or(0, of)
        };
        float(kib) / KIB_PER_MIB
    }
}

impl Sample {
    fn add(&mut self, name: &str, pid: u32) {
        let times = self.times.entry(name.to_owned()).or_default();
        for thread in procfs::numbers_in(&format!("/proc/{pid}/task")) {
            let path = format!("/proc/{pid}/task/{thread}/schedstat");
            let Ok(text) = fs::read_to_string(path) else {
                continue;
            };
            let mut numbers = text.split_whitespace().filter_map(|it| it.parse().ok());
            if let Some(run_and_wait) = numbers.next().zip(numbers.next()) {
                times.insert((pid, thread), run_and_wait);
            }
        }
        *self.rss_anon_kib.entry(name.to_owned()).or_default() += procfs::rss_anon_kib(pid);
    }

    /// CPU of a part since an earlier sample, in nanoseconds.
    #[must_use]
    pub fn run_ns_since(&self, earlier: &Sample, name: &str) -> u64 {
        self.since(earlier, name).0
    }

    /// A thread that was not there then counts from its birth.
    fn since(&self, earlier: &Sample, name: &str) -> Times {
        let (now, then) = (self.times.get(name), earlier.times.get(name));
        let mut sum = (0, 0);
        for (thread, (run, wait)) in now.into_iter().flatten() {
            let (ran, waited) = then
                .and_then(|it| it.get(thread))
                .copied()
                .unwrap_or((0, 0));
            sum.0 += run.saturating_sub(ran);
            sum.1 += wait.saturating_sub(waited);
        }
        sum
    }
}

/// Every part between the first and the last sample; memory is the greatest of all.
#[must_use]
pub fn services(parts: &Parts, samples: &[Sample], seconds: f64, commands: u64) -> Vec<Service> {
    let (Some(first), Some(last)) = (samples.first(), samples.last()) else {
        return Vec::new();
    };
    let greatest = |name: &String| {
        let all = samples.iter().filter_map(|it| it.rss_anon_kib.get(name));
        float(all.copied().max().unwrap_or(0)) / KIB_PER_MIB
    };
    let of = |name: &String| {
        let (run_ns, wait_ns) = last.since(first, name);
        Service {
            name: name.clone(),
            cpu_percent: ratio(float(run_ns) / 1e7, seconds).unwrap_or(0.0),
            cpu_us_per_command: ratio(float(run_ns) / 1e3, float(commands)).unwrap_or(0.0),
            run_queue_wait_percent: ratio(float(wait_ns), float(run_ns)).map(|it| 100.0 * it),
            rss_anon_mib: Some(greatest(name)),
            pss_mib: Some(parts.pss_mib(name)),
            memory_mib: None,
        }
    };
    last.times.keys().map(of).collect()
}

/// The database of a session, from the title that PostgreSQL gives each process:
/// `postgres: user database address state`.
fn database_of(pid: u32) -> Option<String> {
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    database_in(&String::from_utf8_lossy(&title))
}

fn database_in(title: &str) -> Option<String> {
    let words: Vec<&str> = title.split_whitespace().collect();
    match words[..] {
        ["postgres:", _, database, address, ..]
            if address.contains('(') || address == "[local]" =>
        {
            Some(database.to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_told_by_its_title_and_other_processes_have_none() {
        let title = "postgres: graphql_endpoint graphql_endpoint 127.0.0.1(40126) idle";
        assert_eq!(database_in(title).as_deref(), Some("graphql_endpoint"));
        for title in [
            "postgres: walwriter ",
            "postgres: autovacuum launcher",
            "/usr/bin/postgres -D x",
        ] {
            assert_eq!(database_in(title), None, "{title}");
        }
    }

    #[test]
    fn given_this_process_at_work_when_sampled_twice_then_its_cpu_is_there() {
        let parts = Parts {
            programs: vec![("me".to_owned(), std::process::id())],
            postgres: None,
        };
        let before = parts.sample();
        // On a crowded machine it may take a while to get that much.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        let after = loop {
            let after = parts.sample();
            if after.run_ns_since(&before, "me") > 10_000_000 {
                break after;
            }
            assert!(std::time::Instant::now() < deadline, "{after:?}");
        };
        let services = services(&parts, &[before, after], 0.05, 10);
        assert!(services[0].cpu_us_per_command >= 1_000.0, "{services:?}");
        assert!(services[0].rss_anon_mib > Some(0.1) && services[0].pss_mib > Some(0.1));
    }
}
