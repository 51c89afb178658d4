//! Target by target: the figure, and whether it is reached.

use serde::Serialize;

use crate::handler::Results;
use crate::installation::Mode;
use crate::numbers::{Spread, float, ratio};
use crate::workload::Workload;

/// CPU per command is judged at this rate and above.
const CPU_JUDGED_FROM: u32 = 2_000;
const KIB_PER_MIB: f64 = 1_024.0;

/// One target.
#[derive(Clone, Debug, Serialize)]
pub struct Line {
    /// What is measured.
    pub what: String,
    /// What is wanted.
    pub target: String,
    /// What was found.
    pub figure: String,
    /// Whether that is enough.
    pub reached: bool,
    /// Whether the run fails when it is not: counts, which no noise can move.
    pub is_gate: bool,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Lines(Vec<Line>);

impl Lines {
    fn add(&mut self, what: impl Into<String>, bound: Bound, unit: &str, value: Option<Spread>) {
        self.push(what, bound, unit, value, false);
    }

    fn gate(&mut self, what: &str, bound: Bound, unit: &str, value: Option<f64>) {
        let value = value.and_then(|value| Spread::of(vec![value]));
        self.push(what, bound, unit, value, true);
    }

    fn push(
        &mut self,
        what: impl Into<String>,
        bound: Bound,
        unit: &str,
        value: Option<Spread>,
        is_gate: bool,
    ) {
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => (">=", limit),
            Bound::AtMost(limit) => ("<=", limit),
        };
        let reached = value.as_ref().is_some_and(|value| match bound {
            Bound::AtLeast(limit) => value.median >= limit,
            Bound::AtMost(limit) => value.median <= limit,
        });
        let figure = match &value {
            None => "not measured".to_owned(),
            Some(value) if value.repeats.len() == 1 => show(value.median),
            Some(value) => format!(
                "{} ({} - {})",
                show(value.median),
                show(value.least),
                show(value.greatest)
            ),
        };
        self.0.push(Line {
            what: what.into(),
            target: format!("{sign} {}{unit}", show(limit)),
            figure: format!("{figure}{unit}"),
            reached,
            is_gate,
        });
    }
}

/// A number with as many digits as mean something.
#[must_use]
pub fn show(number: f64) -> String {
    match number.abs() {
        0.0 => "0".to_owned(),
        size if size >= 1_000.0 => thousands(&format!("{number:.0}")),
        size if size >= 100.0 => format!("{number:.0}"),
        size if size >= 10.0 => trimmed(format!("{number:.1}")),
        size if size >= 1.0 => trimmed(format!("{number:.2}")),
        size if size >= 0.1 => trimmed(format!("{number:.3}")),
        _ => trimmed(format!("{number:.4}")),
    }
}

fn trimmed(text: String) -> String {
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn thousands(digits: &str) -> String {
    let first = digits.len() % 3;
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (index, digit) in digits.char_indices() {
        if index > 0 && index % 3 == first {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Judges a run by the targets of the project.
#[must_use]
pub fn judge(results: &Results) -> Vec<Line> {
    use Bound::{AtLeast, AtMost};
    let mut lines = Lines(Vec::new());
    let short = results.sizes.short_backlog;
    let rate = |workload, commands| {
        results.spread(Mode::Batches, workload, commands, |drain| {
            drain.commands_per_second
        })
    };
    lines.add(
        format!("drain of {short}, topic to topic"),
        AtLeast(15_000.0),
        "/s",
        rate(Workload::Uniform, short),
    );
    if let Some(long) = results.sizes.long_backlog {
        lines.add(
            format!("drain of {long}, topic to topic"),
            AtLeast(15_000.0),
            "/s",
            rate(Workload::Uniform, long),
        );
    }
    let by = |one: Option<Spread>, other: Option<Spread>| one?.ratio_to(&other?);
    lines.add(
        "drain / --batch-max 1",
        AtLeast(10.0),
        " x",
        by(
            results.rate_of(Mode::Batches),
            results.rate_of(Mode::OneAtATime),
        ),
    );
    let backlogs = [Some(short), results.sizes.long_backlog];
    for commands in backlogs.into_iter().flatten() {
        let hot = by(
            rate(Workload::Hot90, commands),
            rate(Workload::Uniform, commands),
        );
        lines.add(
            format!("90 % hot / uniform, {commands}"),
            AtLeast(0.9),
            "",
            hot,
        );
    }
    counts(results, &mut lines);
    let busy: Vec<_> = results
        .steps
        .iter()
        .filter(|step| step.rate >= CPU_JUDGED_FROM)
        .collect();
    if let Some(step) = busy.first() {
        let one = |value| Spread::of(vec![value]);
        let rate = step.rate;
        lines.add(
            format!("CPU of the handler per command at {rate}/s"),
            AtMost(20.0),
            " us",
            one(step.cpu.handler_us),
        );
        lines.add(
            format!("CPU of PostgreSQL per command at {rate}/s"),
            AtMost(60.0),
            " us",
            one(step.cpu.postgres_us),
        );
    }
    for (name, limit, figure) in [
        ("handler", 20.0, (|drain| drain.cpu.handler_us) as Figure),
        ("PostgreSQL", 60.0, |drain| drain.cpu.postgres_us),
    ] {
        lines.add(
            format!("CPU of {name} per command in the drain"),
            AtMost(limit),
            " us",
            results.spread(Mode::Batches, Workload::Uniform, short, figure),
        );
    }
    latencies(results, &mut lines);
    memory(results, &mut lines);
    let recovered: Vec<f64> = results
        .recoveries
        .iter()
        .map(|it| it.flows_again_ms)
        .collect();
    lines.add(
        "killed under 1,000/s until events flow again",
        AtMost(3_000.0),
        " ms",
        Spread::of(recovered),
    );
    for kills in &results.kills {
        if kills.mode != Mode::ArticlesWay {
            let wrong = float(kills.lost() + kills.doubled());
            lines.gate(
                &format!(
                    "effects lost or doubled by {} kills, {}",
                    kills.kills,
                    kills.mode.name()
                ),
                AtMost(0.0),
                "",
                Some(wrong),
            );
        }
    }
    lines.0
}

type Figure = fn(&crate::drain::Drain) -> f64;

fn counts(results: &Results, lines: &mut Lines) {
    use Bound::AtMost;
    let counted = results.counted_of(Mode::Batches);
    let sockets = counted.and_then(|drain| drain.sockets.as_ref());
    lines.gate(
        "round trips per batch, at the socket",
        AtMost(2.0),
        "",
        sockets.map(|it| it.round_trips_per_batch),
    );
    let short = results.sizes.short_backlog;
    let spread = |figure: Figure| results.spread(Mode::Batches, Workload::Uniform, short, figure);
    let median = |figure: Figure| spread(figure).map(|spread| spread.median);
    lines.gate(
        "transactions per command",
        AtMost(0.01),
        "",
        median(|drain| drain.commits_per_command),
    );
    lines.gate(
        "fsyncs per command",
        AtMost(0.02),
        "",
        median(|drain| drain.syncs_per_command),
    );
    lines.gate(
        "statements prepared again per 10,000 commands",
        AtMost(10.0),
        "",
        sockets.map(|it| it.prepares_per_10_000),
    );
    lines.add(
        "produce requests per command",
        AtMost(0.1),
        "",
        Spread::of(
            results
                .drains_of(Mode::Batches, Workload::Uniform, short)
                .filter_map(|drain| drain.produce_requests_per_command)
                .collect(),
        ),
    );
    let longest = results.sizes.long_backlog.unwrap_or(short);
    lines.add(
        format!("WAL per transfer, drain of {longest}"),
        AtMost(2_000.0),
        " B",
        results.spread(Mode::Batches, Workload::Uniform, longest, |drain| {
            drain.wal_bytes_per_command
        }),
    );
}

fn latencies(results: &Results, lines: &mut Lines) {
    use Bound::AtMost;
    let one = |value| Spread::of(vec![value]);
    let hop = f64::midpoint(
        results.floors_before.hop.p50_ms,
        results.floors_after.hop.p50_ms,
    );
    let apply = f64::midpoint(
        results.floors_before.apply.p50_ms,
        results.floors_after.apply.p50_ms,
    );
    // A command hops to the handler first; the rest is its decision.
    let decision = results.idle.balance.p50_ms - hop;
    lines.add(
        "idle decision, polled to events seen, p50",
        AtMost(3.0),
        " ms",
        one(decision),
    );
    lines.add(
        "idle decision / (apply + hop)",
        AtMost(1.3),
        " x",
        ratio(decision, apply + hop).and_then(one),
    );
    let half = &results.half_load;
    lines.add(
        format!("p99 / p50 at half of capacity ({}/s)", half.rate),
        AtMost(4.0),
        " x",
        half.balance.p99_by_p50().and_then(one),
    );
    if let Some(line) = lines.0.last_mut().filter(|_| !half.is_valid) {
        // A load that was not sent as it was meant to proves nothing.
        line.reached = false;
        line.figure.push_str(", step invalid");
    }
}

fn memory(results: &Results, lines: &mut Lines) {
    use Bound::AtMost;
    let mib = |kib: u64| Spread::of(vec![float(kib) / KIB_PER_MIB]);
    let memory = &results.memory;
    lines.add("RssAnon idle", AtMost(8.0), " MiB", mib(memory.idle_kib));
    let loaded = results
        .drains
        .iter()
        .filter(|drain| drain.mode == Mode::Batches)
        .map(|drain| drain.rss_anon_max_kib)
        .max();
    lines.add(
        "RssAnon loaded, the greatest",
        AtMost(24.0),
        " MiB",
        mib(loaded.unwrap_or(0).max(memory.loaded_kib)),
    );
    lines.add(
        format!("RssAnon growth with {} waiting", memory.waiting_commands),
        AtMost(16.0),
        " MiB",
        mib(memory.waiting_kib.saturating_sub(memory.idle_kib)),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_with_the_digits_that_mean_something() {
        for (number, text) in [
            (0.0, "0"),
            (15_000.0, "15,000"),
            (1_234_567.8, "1,234,568"),
            (999.4, "999"),
            (12.345, "12.3"),
            (2.0, "2"),
            (0.9, "0.9"),
            (0.0123, "0.0123"),
        ] {
            assert_eq!(show(number), text);
        }
    }

    #[test]
    fn a_target_is_judged_by_the_median_and_what_is_not_measured_is_not_reached() {
        let mut lines = Lines(Vec::new());
        lines.add(
            "a",
            Bound::AtLeast(10.0),
            "/s",
            Spread::of(vec![9.0, 11.0, 12.0]),
        );
        lines.add("b", Bound::AtMost(10.0), "", Spread::of(vec![10.5]));
        lines.gate("c", Bound::AtMost(1.0), "", None);
        let reached: Vec<bool> = lines.0.iter().map(|line| line.reached).collect();
        assert_eq!(reached, [true, false, false]);
        assert_eq!(lines.0[0].figure, "11 (9 - 12)/s");
        assert!(lines.0[2].is_gate);
    }
}
