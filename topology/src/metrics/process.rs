//! What the system says of this process, under the names all Prometheus clients use.

use std::fmt::Write as _;
use std::fs;

use super::seconds;

/// Adds it; nothing where the system has no `/proc`.
pub(super) fn write(text: &mut String) {
    let Some(process) = Process::read() else {
        return;
    };
    let mut family = |name: &str, kind: &str, help: &str, value: &str| {
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
        );
    };
    family(
        "process_cpu_seconds_total",
        "counter",
        "Processor time in user and system mode.",
        &seconds(process.cpu_microseconds.into()),
    );
    family(
        "process_resident_memory_bytes",
        "gauge",
        "Memory that is really there.",
        &process.resident_bytes.to_string(),
    );
    family(
        "process_threads",
        "gauge",
        "Threads.",
        &process.threads.to_string(),
    );
    family(
        "process_start_time_seconds",
        "gauge",
        "When it started, since 1970.",
        &seconds(process.started_microseconds.into()),
    );
    if let Ok(files) = fs::read_dir("/proc/self/fd") {
        family(
            "process_open_fds",
            "gauge",
            "Open files and sockets.",
            &files.count().to_string(),
        );
    }
}

struct Process {
    cpu_microseconds: u64,
    resident_bytes: u64,
    threads: u64,
    started_microseconds: u64,
}

impl Process {
    fn read() -> Option<Process> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        // The second field is the program's name in brackets, with whatever is in it.
        let (_, after_name) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let microseconds =
            |ticks: u64| ticks * 1_000_000 / rustix::param::clock_ticks_per_second().max(1);
        let pages: u64 = fields.get(24 - 3)?.parse().ok()?;
        let page_bytes = u64::try_from(rustix::param::page_size()).ok()?;
        let boot_seconds: u64 = fs::read_to_string("/proc/stat")
            .ok()?
            .lines()
            .find_map(|line| line.strip_prefix("btime "))?
            .trim()
            .parse()
            .ok()?;
        Some(Process {
            cpu_microseconds: microseconds(field(14)? + field(15)?),
            threads: field(20)?,
            started_microseconds: boot_seconds * 1_000_000 + microseconds(field(22)?),
            resident_bytes: pages * page_bytes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_this_process_then_its_figures_are_plausible() {
        let process = Process::read().unwrap();
        assert!(process.resident_bytes > 1024 * 1024);
        assert!(process.threads >= 1);
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let age = now.as_micros() - u128::from(process.started_microseconds);
        assert!(age < 3_600_000_000, "{age} us old");
    }
}
