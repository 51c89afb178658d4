//! Allocations per command.

use std::fmt::Write as _;
use std::io::Write as _;

use super::workload::{Stage, Workload};

/// Most allocations one confirmed transfer may need in the core, in hundredths.
const ALLOCATIONS_MAX_HUNDREDTHS: u64 = 400;

#[test]
fn a_command_needs_no_more_allocations_than_its_gate() {
    let workload = Workload::new();
    let commands = u64::try_from(workload.commands()).unwrap();
    let hundredths = Stage::ALL.map(|stage| {
        // The first batch also makes what is made once.
        workload.run(stage);
        let counted = allocation_counter::measure(|| workload.run(stage));
        counted.count_total * 100 / commands
    });
    let mut table = String::from("allocations per confirmed transfer, each with all before it:\n");
    for (stage, count) in Stage::ALL.iter().zip(hundredths) {
        let (whole, rest) = (count / 100, count % 100);
        writeln!(table, "{whole:>5}.{rest:02}  {}", stage.name()).unwrap();
    }
    // Past the harness, which keeps what a passing test prints to itself.
    write!(std::io::stderr(), "{table}").unwrap();
    let [_, _, _, plan, _] = hundredths;
    assert!(plan <= ALLOCATIONS_MAX_HUNDREDTHS, "{table}");
}
