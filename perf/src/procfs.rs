//! CPU time, memory and pressure, from /proc.
//!
//! CPU comes from `schedstat`, in nanoseconds, summed over all threads; `stat` counts in
//! steps of ten milliseconds.

use std::collections::BTreeMap;
use std::fs;

use serde::{Deserialize, Serialize};

use crate::numbers::{float, ratio};

/// What `/proc/stat` counts in: hundredths of a second on every Linux we run on.
const TICK_NS: u64 = 10_000_000;

/// CPU time used so far by the threads of some processes, by process and thread.
#[derive(Clone, Debug, Default)]
pub struct CpuSample(BTreeMap<(u32, u32), u64>);

impl CpuSample {
    /// Of these processes; those that are gone count nothing.
    #[must_use]
    pub fn of(pids: &[u32]) -> CpuSample {
        let mut sample = CpuSample::default();
        for pid in pids {
            for thread in numbers_in(&format!("/proc/{pid}/task")) {
                let path = format!("/proc/{pid}/task/{thread}/schedstat");
                let run = fs::read_to_string(path)
                    .ok()
                    .and_then(|text| text.split_whitespace().next()?.parse().ok());
                if let Some(run) = run {
                    sample.0.insert((*pid, thread), run);
                }
            }
        }
        sample
    }

    /// Nanoseconds used since an earlier sample; a thread that was not there then counts
    /// from its birth.
    #[must_use]
    pub fn since(&self, earlier: &CpuSample) -> u64 {
        self.0
            .iter()
            .map(|(at, run)| run.saturating_sub(earlier.0.get(at).copied().unwrap_or(0)))
            .sum()
    }
}

/// A process and its children.
#[must_use]
pub fn family(pid: u32) -> Vec<u32> {
    let is_child = |candidate: &u32| {
        fs::read_to_string(format!("/proc/{candidate}/stat"))
            .ok()
            .and_then(|stat| parent_in(&stat))
            == Some(pid)
    };
    let children = numbers_in("/proc").into_iter().filter(is_child);
    std::iter::once(pid).chain(children).collect()
}

fn parent_in(stat: &str) -> Option<u32> {
    // The command stands in parentheses and may hold spaces and parentheses itself.
    let (_, fields) = stat.rsplit_once(") ")?;
    fields.split_whitespace().nth(1)?.parse().ok()
}

pub(crate) fn numbers_in(folder: &str) -> Vec<u32> {
    fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// Memory that is a process's own and backed by no file, in KiB; 0 when it is gone.
#[must_use]
pub fn rss_anon_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "RssAnon:").unwrap_or(0)
}

/// Memory of the machine, in KiB.
#[must_use]
pub fn memory_kib() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    field(&text, "MemTotal:").unwrap_or(0)
}

pub(crate) fn field(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// What the whole machine did so far, in nanoseconds of CPU.
#[derive(Clone, Copy, Debug, Default)]
pub struct Machine {
    busy_ns: u64,
    stolen_ns: u64,
}

impl Machine {
    /// Now.
    #[must_use]
    pub fn now() -> Machine {
        let text = fs::read_to_string("/proc/stat").unwrap_or_default();
        let ticks: Vec<u64> = text
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .filter_map(|ticks| ticks.parse().ok())
            .collect();
        let tick = |index: usize| ticks.get(index).copied().unwrap_or(0);
        // user, nice, system, idle, iowait, irq, softirq, steal.
        Machine {
            busy_ns: (tick(0) + tick(1) + tick(2) + tick(5) + tick(6)) * TICK_NS,
            stolen_ns: tick(7) * TICK_NS,
        }
    }
}

/// How much else went on while something was measured.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Noise {
    /// CPU of everybody else, in per cent of the machine.
    pub foreign_cpu_percent: f64,
    /// CPU that other machines took, in per cent of this one.
    pub stolen_percent: f64,
    /// Share of the last ten seconds in which somebody waited for a CPU, in per cent, at the end.
    pub cpu_pressure_percent: f64,
}

/// Watches the machine while something is measured.
#[derive(Clone, Debug)]
pub struct NoiseWatch {
    since: std::time::Instant,
    machine: Machine,
    own: CpuSample,
}

impl NoiseWatch {
    /// From now on; `own` are the processes that belong to the measurement.
    #[must_use]
    pub fn start(own: &[u32]) -> NoiseWatch {
        NoiseWatch {
            since: std::time::Instant::now(),
            machine: Machine::now(),
            own: CpuSample::of(own),
        }
    }

    /// Until now.
    #[must_use]
    pub fn end(&self, own: &[u32]) -> Noise {
        let elapsed = self.since.elapsed().as_secs_f64() * 1e9 * cores();
        let now = Machine::now();
        let busy = now.busy_ns.saturating_sub(self.machine.busy_ns);
        let foreign = busy.saturating_sub(CpuSample::of(own).since(&self.own));
        let stolen = now.stolen_ns.saturating_sub(self.machine.stolen_ns);
        let percent = |part: u64| 100.0 * ratio(float(part), elapsed).unwrap_or(0.0);
        Noise {
            foreign_cpu_percent: percent(foreign),
            stolen_percent: percent(stolen),
            cpu_pressure_percent: pressure_percent(),
        }
    }
}

/// Cores of the machine.
#[must_use]
pub fn cores() -> f64 {
    std::thread::available_parallelism().map_or(1.0, |cores| crate::numbers::float_len(cores.get()))
}

fn pressure_percent() -> f64 {
    let text = fs::read_to_string("/proc/pressure/cpu").unwrap_or_default();
    text.split_whitespace()
        .find_map(|word| word.strip_prefix("avg10=")?.parse().ok())
        .unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_cpu_and_memory_and_goes_on_to() {
        let pid = std::process::id();
        let before = CpuSample::of(&[pid]);
        let started = std::time::Instant::now();
        while started.elapsed().as_millis() < 50 {
            std::hint::spin_loop();
        }
        let used = CpuSample::of(&[pid]).since(&before);
        assert!(used > 5_000_000, "{used} ns");
        assert!(rss_anon_kib(pid) > 100);
        assert!(family(pid).contains(&pid));
    }

    #[test]
    fn a_command_with_parentheses_does_not_hide_the_parent() {
        assert_eq!(parent_in("42 (a (b) c) S 7 42 42 0"), Some(7));
    }
}
