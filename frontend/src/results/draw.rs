//! From documents to pictures: one function for each chart, ours first, the published figures beside it.

use super::{BankDocument, Drawn, Kind, Percentile, Published, Run};
use bars::{handler_alone, idle, recovery, stages, throughput};
use over_load::{cpu, latency, memory};

mod bars;
mod over_load;
#[cfg(test)]
mod tests;

/// What is drawn in the colour of ours.
const OURS: &str = "the Bank";

/// One chart of a run beside what was published. What is no picture has none.
#[must_use]
pub fn draw(
    kind: Kind,
    run: Option<&Run>,
    published: Option<&Published>,
    percentile: Percentile,
) -> Drawn {
    let bank = run.and_then(Run::bank);
    let handler = run.and_then(Run::handler);
    match kind {
        Kind::Latency => latency(bank, published, percentile),
        Kind::Throughput => throughput(bank, published),
        Kind::Cpu => cpu(bank, handler, published),
        Kind::Memory => memory(bank, handler, published),
        Kind::Idle => idle(bank, published),
        Kind::Stages => stages(bank),
        Kind::Recovery => recovery(bank, handler),
        Kind::Handler => handler_alone(bank, handler, percentile),
        Kind::Targets | Kind::Machine => Drawn {
            finding: String::new(),
            pictures: Vec::new(),
            differs: Vec::new(),
        },
    }
}

/// Why nothing of ours is drawn.
fn none_of_ours(is_run_chosen: bool) -> &'static str {
    if is_run_chosen {
        "This run did not measure it."
    } else {
        "No run of the whole bank is chosen."
    }
}

/// What makes ours and the published figures unlike, in both directions.
fn differs(published: &Published, bank: Option<&BankDocument>) -> Vec<String> {
    let mut lines = vec![format!(
        "2019: {}. {}",
        published.machine, published.measured
    )];
    if let Some(bank) = bank {
        lines.push(format!(
            "Ours: {} cores for everything, the load generator too. Open loop: each command counts from when it was \
             meant to be sent, and what never came counts as 60 s. Timed at the client's socket, not in a page, unless \
             it says painted.",
            bank.machine.cores
        ));
    }
    lines
}
