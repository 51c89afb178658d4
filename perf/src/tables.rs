//! The results, for people.

use std::fmt::Write as _;

use crate::handler::Results;
use crate::installation::Mode;
use crate::steady::Steady;
use crate::verdict::show;
use crate::workload::Workload;

/// Rows of cells under a head, with columns as wide as they must be.
#[derive(Debug, Default)]
pub struct Table {
    /// Of the columns.
    pub head: Vec<&'static str>,
    /// Each as wide as the head.
    pub rows: Vec<Vec<String>>,
}

impl Table {
    /// With these heads.
    #[must_use]
    pub fn new(head: &[&'static str]) -> Table {
        Table {
            head: head.to_vec(),
            rows: Vec::new(),
        }
    }

    /// With a row more.
    pub fn row(&mut self, cells: Vec<String>) {
        self.rows.push(cells);
    }

    /// As Markdown, which is as good in a terminal.
    #[must_use]
    pub fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|it| (*it).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| {
            let cells = all.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut text = String::new();
        for (number, row) in all.iter().enumerate() {
            text.push('|');
            for (cell, width) in row.iter().zip(&widths) {
                // Writing to a string cannot fail.
                let _ = write!(text, " {cell:<width$} |");
            }
            text.push('\n');
            if number == 0 {
                text.push('|');
                for width in &widths {
                    let _ = write!(text, "{}|", "-".repeat(width + 2));
                }
                text.push('\n');
            }
        }
        text
    }
}

/// Everything, in the order of the questions people ask.
#[must_use]
pub fn text(results: &Results) -> String {
    let machine = &results.machine;
    let noise = if results.noisy.is_empty() {
        "quiet".to_owned()
    } else {
        format!("NOISY: {}", results.noisy.join("; "))
    };
    let mut text = format!(
        "commit {}, {}, {} s; {} x {}, {} MiB, {}; PostgreSQL {}, librdkafka {}; {noise}\n",
        results.commit,
        results.began_at,
        results.took_seconds,
        machine.cores,
        machine.processor,
        machine.memory_mib,
        machine.kernel,
        results.postgres_version,
        results.librdkafka_version,
    );
    for (title, table) in [
        ("Targets", targets(results)),
        ("Drains: commands wait, the handler starts", drains(results)),
        ("Steady loads, topic to topic", steady(results)),
        ("What each guarantee costs and gives", guarantees(results)),
        ("Floors of this run, ms", floors(results)),
    ] {
        let _ = write!(text, "\n{title}\n\n{}", table.text());
    }
    text
}

fn targets(results: &Results) -> Table {
    let mut table = Table::new(&["figure", "target", "found", ""]);
    for line in &results.verdict {
        let judged = match (line.reached, line.is_gate) {
            (true, _) => "reached",
            (false, false) => "NOT reached",
            (false, true) => "NOT reached (gate)",
        };
        table.row(vec![
            line.what.clone(),
            line.target.clone(),
            line.figure.clone(),
            judged.to_owned(),
        ]);
    }
    table
}

fn drains(results: &Results) -> Table {
    let mut table = Table::new(&[
        "decided",
        "payments",
        "waiting",
        "commands/s (least - most)",
        "per commit",
        "fsyncs/cmd",
        "WAL B/cmd",
        "requests/cmd",
        "CPU us/cmd: handler",
        "PostgreSQL",
        "Kafka",
    ]);
    let mut kinds: Vec<(Mode, Workload, usize)> = results
        .drains
        .iter()
        .map(|drain| (drain.mode, drain.workload, drain.commands))
        .collect();
    kinds.sort_by_key(|(mode, workload, commands)| (*mode, *commands, *workload));
    kinds.dedup();
    for (mode, workload, commands) in kinds {
        let spread = |figure: fn(&crate::drain::Drain) -> f64| {
            results.spread(mode, workload, commands, figure)
        };
        let median = |figure| spread(figure).map_or_else(String::new, |it| show(it.median));
        let rate = spread(|it| it.commands_per_second).map_or_else(String::new, |it| {
            format!(
                "{} ({} - {})",
                show(it.median),
                show(it.least),
                show(it.greatest)
            )
        });
        table.row(vec![
            mode.name().to_owned(),
            workload.name().to_owned(),
            show(crate::numbers::float_len(commands)),
            rate,
            median(|it| it.commands_per_commit),
            median(|it| it.syncs_per_command),
            median(|it| it.wal_bytes_per_command),
            median(|it| it.produce_requests_per_command.unwrap_or(0.0)),
            median(|it| it.cpu.handler_us),
            median(|it| it.cpu.postgres_us),
            median(|it| it.cpu.kafka_us),
        ]);
    }
    table
}

fn steady(results: &Results) -> Table {
    let mut table = Table::new(&[
        "offered/s",
        "answered/s",
        "outcome p50 ms",
        "p99",
        "balance p50 ms",
        "p90",
        "p99",
        "p99.9",
        "max",
        "CPU us/cmd: handler",
        "PostgreSQL",
        "Kafka",
        "sent late p99 ms",
        "",
    ]);
    let all = std::iter::once(&results.idle)
        .chain(&results.steps)
        .chain(std::iter::once(&results.half_load));
    for step in all {
        table.row(steady_row(step));
    }
    table
}

fn steady_row(step: &Steady) -> Vec<String> {
    vec![
        show(f64::from(step.rate)),
        show(step.answered_per_second),
        show(step.outcome.p50_ms),
        show(step.outcome.p99_ms),
        show(step.balance.p50_ms),
        show(step.balance.p90_ms),
        show(step.balance.p99_ms),
        show(step.balance.p999_ms),
        show(step.balance.max_ms),
        show(step.cpu.handler_us),
        show(step.cpu.postgres_us),
        show(step.cpu.kafka_us),
        show(step.send_delay.p99_ms),
        if step.is_valid {
            "valid".to_owned()
        } else {
            format!("INVALID ({} dropped)", step.dropped)
        },
    ]
}

fn guarantees(results: &Results) -> Table {
    let mut table = Table::new(&["", "the handler", "--batch-max 1", "the article's way"]);
    let mut row = |what: &str, figure: &dyn Fn(Mode) -> Option<String>| {
        let cells = Mode::ALL.map(|mode| figure(mode).unwrap_or_else(|| "-".to_owned()));
        table.row(std::iter::once(what.to_owned()).chain(cells).collect());
    };
    let drained = |mode, figure: fn(&crate::drain::Drain) -> f64| {
        let commands = results.backlog_of(mode);
        let spread = results.spread(mode, Workload::Uniform, commands, figure)?;
        Some(show(spread.median))
    };
    let sockets = |mode: Mode| results.counted_of(mode)?.sockets.as_ref();
    let steady = |mode: Mode| results.compared.iter().find(|it| it.mode == mode);
    let kills = |mode: Mode| results.kills.iter().find(|it| it.mode == mode);
    row("commands/s, drained", &|mode| {
        drained(mode, |it| it.commands_per_second)
    });
    row("balance p50 / p99 at 200/s, ms", &|mode| {
        let balance = &steady(mode)?.balance;
        Some(format!(
            "{} / {}",
            show(balance.p50_ms),
            show(balance.p99_ms)
        ))
    });
    row("handler CPU, us/command, drained", &|mode| {
        drained(mode, |it| it.cpu.handler_us)
    });
    row("PostgreSQL CPU, us/command, drained", &|mode| {
        drained(mode, |it| it.cpu.postgres_us)
    });
    row("Kafka CPU, us/command, drained", &|mode| {
        drained(mode, |it| it.cpu.kafka_us)
    });
    row("round trips/command", &|mode| {
        Some(show(sockets(mode)?.round_trips_per_command))
    });
    row("transactions/command", &|mode| {
        drained(mode, |it| it.commits_per_command)
    });
    row("fsyncs/command", &|mode| {
        drained(mode, |it| it.syncs_per_command)
    });
    row("WAL, B/command", &|mode| {
        drained(mode, |it| it.wal_bytes_per_command)
    });
    row("kills under load; commands", &|mode| {
        let kills = kills(mode)?;
        Some(format!("{}; {}", kills.kills, kills.commands))
    });
    row("outcomes lost", &|mode| {
        Some(kills(mode)?.outcomes_lost.to_string())
    });
    row("balance changes lost", &|mode| {
        Some(kills(mode)?.changes_lost.to_string())
    });
    row("events repeated with the same bytes (allowed)", &|mode| {
        let kills = kills(mode)?;
        let same = kills.outcomes_repeated.same + kills.changes_repeated.same;
        Some(same.to_string())
    });
    row("events repeated with other bytes", &|mode| {
        let kills = kills(mode)?;
        let different = kills.outcomes_repeated.different + kills.changes_repeated.different;
        Some(different.to_string())
    });
    row("accounts whose balance is not what was answered", &|mode| {
        Some(kills(mode)?.accounts_wrong.to_string())
    });
    row("money made or lost, cents", &|mode| {
        Some(kills(mode)?.money_made_cents.to_string())
    });
    table
}

fn floors(results: &Results) -> Table {
    let mut table = Table::new(&["", "before p50", "p99", "after p50", "p99"]);
    let (before, after) = (&results.floors_before, &results.floors_after);
    for (name, before, after) in [
        ("hop of a record", &before.hop, &after.hop),
        ("apply, one transfer", &before.apply, &after.apply),
        (
            "apply, 256 transfers",
            &before.apply_full,
            &after.apply_full,
        ),
        (
            "read model, one transfer",
            &before.read_model,
            &after.read_model,
        ),
        (
            "read model, 170 transfers",
            &before.read_model_full,
            &after.read_model_full,
        ),
        ("forced write of 8 KiB", &before.sync, &after.sync),
    ] {
        table.row(vec![
            name.to_owned(),
            show(before.p50_ms),
            show(before.p99_ms),
            show(after.p50_ms),
            show(after.p99_ms),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let mut table = Table::new(&["a", "long head"]);
        table.row(vec!["wide cell".to_owned(), "é".to_owned()]);
        assert_eq!(
            table.text(),
            "| a         | long head |\n|-----------|-----------|\n| wide cell | é         |\n"
        );
    }
}
