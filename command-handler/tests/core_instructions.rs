//! Instructions per command, counted by callgrind: the difference between two numbers of
//! batches, so that everything but the batches cancels out.
//!
//! A program of its own, since one that also counts allocations pays for counting.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "core/workload.rs"]
mod workload;

use std::env;
use std::fmt::Write as _;
use std::io::Write as _;
use std::process::Command;

use workload::{Stage, Workload};

/// Most instructions one confirmed transfer may cost in the core.
const INSTRUCTIONS_MAX: u64 = 10_000;

const FEW_BATCHES: u64 = 2;
const MANY_BATCHES: u64 = 12;
/// Tell the counted process how much to do, and how far.
const BATCHES_VARIABLE: &str = "CORE_LOOP_BATCHES";
const STAGE_VARIABLE: &str = "CORE_LOOP_STAGE";

#[test]
fn a_command_costs_no_more_instructions_than_its_gate() {
    let commands = u64::try_from(Workload::new().commands()).unwrap();
    let costs = Stage::ALL.map(|stage| {
        let few = instructions(stage, FEW_BATCHES);
        let many = instructions(stage, MANY_BATCHES);
        (many - few) / ((MANY_BATCHES - FEW_BATCHES) * commands)
    });
    let [decode, read, ask, plan, encode] = costs;
    let mut table = String::from("instructions per confirmed transfer:\n");
    for (what, count) in [
        ("decode", decode),
        ("read parties, hash content, digest token", read - decode),
        ("sort what the books are asked for", ask - read),
        ("decide and book", (plan - ask).saturating_sub(encode)),
        ("encode three records", encode),
        ("all", plan),
    ] {
        writeln!(table, "{count:>8}  {what}").unwrap();
    }
    // Past the harness, which keeps what a passing test prints to itself.
    write!(std::io::stderr(), "{table}").unwrap();
    assert!(
        plan <= INSTRUCTIONS_MAX,
        "at most {INSTRUCTIONS_MAX}; {table}"
    );
}

/// Runs this program again under callgrind.
fn instructions(stage: Stage, batches: u64) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "the_counted_loop"])
        .arg("--test-threads=1")
        .env(BATCHES_VARIABLE, batches.to_string())
        .env(STAGE_VARIABLE, stage.name())
        .output();
    let output = output.unwrap_or_else(|error| {
        panic!(
            "cannot run valgrind, which counts the instructions ({error}); `cargo bank test` \
             installs it, and on Debian or Ubuntu so does: apt-get install valgrind"
        )
    });
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :"));
    let (_, count) = collected.unwrap_or_else(|| panic!("no count in: {said}"));
    count.trim().parse().unwrap()
}

/// What the test above counts; by itself it runs a single batch.
#[test]
fn the_counted_loop() {
    let batches = env::var(BATCHES_VARIABLE).map_or(1, |count| count.parse().unwrap());
    let stage = env::var(STAGE_VARIABLE).unwrap_or_else(|_| Stage::Plan.name().to_owned());
    let stage = Stage::ALL.into_iter().find(|it| it.name() == stage);
    let workload = Workload::new();
    for _ in 0..batches {
        workload.run(stage.unwrap());
    }
}
