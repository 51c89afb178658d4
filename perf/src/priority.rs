//! How the operating system treats the threads of the benchmark.
//!
//! What reads and counts is nice: it must not take the processor from what it measures.
//! What sends must be on time, or the load is not the load that was asked for. With both
//! cores busy a thread of normal priority that wakes up waits for a slice of somebody else,
//! some three milliseconds, and a nice one longer. It needs microseconds each time, so it goes
//! first where the system allows it; how late it was, and what it cost, is with every figure.

use std::process::{Command, Stdio};

/// The nice value of threads of the benchmark: the bank goes first.
const NICE: i32 = 5;
/// The lowest of the real-time priorities is before everything that has none.
const REAL_TIME_PRIORITY: &str = "1";

/// For the calling thread and those it starts from now on. A refusal shows in the delays.
pub(crate) fn be_nice() {
    let _ = rustix::process::setpriority_process(None, NICE);
}

/// For the calling thread alone; threads it starts from now on would be like it, so it comes
/// last. Only root may: elsewhere the thread stays as it is, which shows in the delays.
pub(crate) fn be_on_time() {
    let Some(thread) = this_thread() else { return };
    let _ = Command::new("chrt")
        .args(["--rr", "--pid", REAL_TIME_PRIORITY, &thread])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
}

/// Its number for the operating system.
fn this_thread() -> Option<String> {
    let link = std::fs::read_link("/proc/thread-self").ok()?;
    Some(link.file_name()?.to_str()?.to_owned())
}
