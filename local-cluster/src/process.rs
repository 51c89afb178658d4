//! Processes of this machine, named so that a pid used again by another is never taken for ours.

use std::{fs, path::Path, time::Duration};

use rustix::process::{Pid, Signal};
use serde::{Deserialize, Serialize};

/// How often a process that was told to end is looked at.
const EXIT_POLL: Duration = Duration::from_millis(20);

/// How long a killed process may take to be gone: the kernel frees its memory first.
const KILL_DEADLINE: Duration = Duration::from_secs(5);

/// One process, for as long as it lives: a pid alone may be given to another process later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessIdentity {
    /// The process id.
    pub pid: u32,
    /// When it was started, in clock ticks since the machine was.
    pub started_at_ticks: u64,
}

/// What a process used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Memory in KiB; shared memory is divided among those that share it where [`Usage::of_tree`] says so.
    pub resident_kib: u64,
    /// CPU time in clock ticks, of the process itself and of the children it has waited for.
    pub cpu_ticks: u64,
}

impl ProcessIdentity {
    /// The process that has `pid` now.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self {
            pid,
            started_at_ticks: stat.started_at_ticks,
        })
    }

    /// The calling process.
    #[must_use]
    pub fn own() -> Option<Self> {
        Self::of(std::process::id())
    }

    /// True while this very process runs; a zombie does not.
    #[must_use]
    pub fn is_alive(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| {
            stat.started_at_ticks == self.started_at_ticks && !matches!(stat.state, 'Z' | 'X')
        })
    }

    /// Sends `signal` if this very process still runs.
    pub fn signal(self, signal: Signal) {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let (true, Some(pid)) = (self.is_alive(), pid) {
            // It may have ended since: then there is nothing left to tell it.
            let _ = rustix::process::kill_process(pid, signal);
        }
    }

    /// Waits until it is gone; false when `deadline` passes first.
    pub async fn wait_until_gone(self, deadline: Duration) -> bool {
        let gone = async {
            while self.is_alive() {
                tokio::time::sleep(EXIT_POLL).await;
            }
        };
        tokio::time::timeout(deadline, gone).await.is_ok()
    }

    /// Asks it to end with `signal`, and kills it after `deadline`.
    pub async fn terminate(self, signal: Signal, deadline: Duration) {
        self.signal(signal);
        if !self.wait_until_gone(deadline).await {
            self.signal(Signal::KILL);
            self.wait_until_gone(KILL_DEADLINE).await;
        }
    }
}

impl Usage {
    /// What the process `pid` uses; none when it is gone.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        Some(Self {
            resident_kib: field_kib(&status, "VmRSS:").unwrap_or(0),
            cpu_ticks: stat.cpu_ticks,
        })
    }

    /// What the process `pid` and its children use together, shared memory counted once.
    #[must_use]
    pub fn of_tree(pid: u32) -> Option<Self> {
        let own = Stat::read(pid)?;
        let family = std::iter::once((pid, own))
            .chain(all_processes().filter(|(_, stat)| stat.parent == pid));
        let mut sum = Self::default();
        for (member, stat) in family {
            let share = fs::read_to_string(format!("/proc/{member}/smaps_rollup"))
                .ok()
                .and_then(|rollup| field_kib(&rollup, "Pss:"));
            sum.resident_kib += share.unwrap_or(0);
            sum.cpu_ticks += stat.cpu_ticks;
        }
        Some(sum)
    }

    /// The CPU time in seconds.
    #[must_use]
    #[expect(clippy::float_arithmetic, reason = "a time for people, not money")]
    pub fn cpu_seconds(self) -> f64 {
        let hundredths =
            self.cpu_ticks.saturating_mul(100) / rustix::param::clock_ticks_per_second();
        f64::from(u32::try_from(hundredths).unwrap_or(u32::MAX)) / 100.0
    }
}

/// The processes called `command` that have `directory` as their working directory.
pub(crate) fn working_in(directory: &Path, command: &str) -> Vec<ProcessIdentity> {
    all_processes()
        .filter(|(_, stat)| stat.command == command)
        .filter(|(pid, _)| {
            fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd == directory)
        })
        .map(|(pid, stat)| ProcessIdentity {
            pid,
            started_at_ticks: stat.started_at_ticks,
        })
        .collect()
}

/// The part of `/proc/<pid>/stat` that is used here.
struct Stat {
    command: String,
    state: char,
    parent: u32,
    cpu_ticks: u64,
    started_at_ticks: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The second field is the command in parentheses and may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (head, tail) = text.rsplit_once(") ")?;
        let (_, command) = head.split_once('(')?;
        let fields: Vec<&str> = tail.split_whitespace().collect();
        let number = |index: usize| {
            fields
                .get(index)
                .and_then(|field| field.parse::<u64>().ok())
        };
        Some(Self {
            command: command.to_owned(),
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            cpu_ticks: number(11)? + number(12)? + number(13)? + number(14)?,
            started_at_ticks: number(19)?,
        })
    }
}

fn all_processes() -> impl Iterator<Item = (u32, Stat)> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| Some((pid, Stat::read(pid)?)))
}

fn field_kib(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_command_with_parentheses_when_stat_is_parsed_then_the_fields_are_right() {
        let text = "42 (a (b) c) S 7 42 42 0 -1 4194560 100 0 0 0 5 6 1 2 20 0 1 0 987654 1000 10";
        let stat = Stat::parse(text).unwrap();
        assert_eq!(
            (stat.command.as_str(), stat.state, stat.parent),
            ("a (b) c", 'S', 7)
        );
        assert_eq!((stat.cpu_ticks, stat.started_at_ticks), (14, 987_654));
    }

    #[test]
    fn given_this_process_when_asked_then_it_is_alive_and_another_start_time_is_not() {
        let own = ProcessIdentity::own().unwrap();
        assert!(own.is_alive());
        let earlier = ProcessIdentity {
            started_at_ticks: own.started_at_ticks.wrapping_sub(1),
            ..own
        };
        assert!(!earlier.is_alive());
    }

    #[tokio::test]
    async fn given_a_child_that_ignores_the_signal_when_terminated_then_it_is_killed() {
        let mut child = tokio::process::Command::new("sh")
            .args(["-c", "trap '' TERM; echo; while :; do sleep 0.1; done"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        // The first line says that the trap is set.
        let mut line = [0_u8; 1];
        tokio::io::AsyncReadExt::read_exact(&mut child.stdout.take().unwrap(), &mut line)
            .await
            .unwrap();
        let identity = ProcessIdentity::of(child.id().unwrap()).unwrap();
        identity
            .terminate(Signal::TERM, Duration::from_millis(100))
            .await;
        assert!(!identity.is_alive());
    }
}
