//! The tables of the report, for a page and for a terminal.

use crate::numbers::float;
use crate::tables::Table;
use crate::verdict::show;

use super::results::{Results, Service, Step, TargetState};
use super::svg::escape;

/// A table of the report; nothing for one without rows.
pub(super) fn html(table: &Table) -> String {
    if table.rows.is_empty() {
        return String::new();
    }
    let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
        let row: String = cells
            .map(|it| format!("<{tag}>{}</{tag}>", escape(it)))
            .collect();
        format!("<tr>{row}</tr>")
    };
    let head = cells("th", &mut table.head.iter().copied());
    let rows: String = table
        .rows
        .iter()
        .map(|row| cells("td", &mut row.iter().map(String::as_str)))
        .collect();
    format!("<div class=\"wide\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>")
}

fn state(state: TargetState) -> &'static str {
    match state {
        TargetState::Reached => "reached",
        TargetState::NotReached => "NOT reached",
        TargetState::NotMeasured => "not measured",
    }
}

pub(super) fn targets(results: &Results) -> Table {
    let row = |it: &super::results::Target| {
        vec![
            it.id.clone(),
            it.what.clone(),
            it.wanted.clone(),
            it.found.clone(),
            state(it.state).to_owned(),
        ]
    };
    Table {
        head: vec!["", "target", "wanted", "found", ""],
        rows: results.targets.iter().map(row).collect(),
    }
}

pub(super) fn loads(results: &Results) -> Table {
    let row = |it: &Step| {
        let mut note = it.reasons.join("; ");
        if it.is_kept_up && it.is_valid {
            "kept up".clone_into(&mut note);
        }
        vec![
            it.name.clone(),
            show(it.offered_per_second),
            show(it.answered_per_second),
            show(it.outcome.p50_ms),
            show(it.outcome.p99_ms),
            show(it.visible.p50_ms),
            show(it.visible.p90_ms),
            show(it.visible.p99_ms),
            show(it.visible.p999_ms),
            show(it.visible.max_ms),
            show(it.send_delay.p99_ms),
            show(it.generator_cpu_percent),
            note,
        ]
    };
    let head = vec![
        "step",
        "offered/s",
        "answered/s",
        "outcome p50 ms",
        "p99",
        "balance p50 ms",
        "p90",
        "p99",
        "p99.9",
        "max",
        "sent late p99 ms",
        "generator CPU %",
        "",
    ];
    Table {
        head,
        rows: results
            .steps
            .iter()
            .filter(|it| it.commands > 0)
            .map(row)
            .collect(),
    }
}

/// Steps whose costs are told.
const COSTS: [&str; 10] = [
    "nothing",
    "idle",
    "25 %",
    "50 %",
    "75 %",
    "100 %",
    "followers",
    "soak",
    "without statistics",
    "with statistics",
];
/// Steps whose costs are told where there is little room.
const COSTS_IN_SHORT: [&str; 3] = ["nothing", "idle", "50 %"];

pub(super) fn costs(results: &Results) -> Table {
    costs_of(results, &COSTS)
}

pub(super) fn costs_in_short(results: &Results) -> Table {
    costs_of(results, &COSTS_IN_SHORT)
}

/// A figure, or that there is none.
fn maybe(figure: Option<f64>) -> String {
    figure.map_or_else(|| "-".to_owned(), show)
}

/// The first step of each name.
fn costs_of(results: &Results, names: &[&str]) -> Table {
    let is_of_containers = results.containers.is_some();
    let row = |step: &str, it: &Service| {
        let mut row = vec![
            step.to_owned(),
            it.name.clone(),
            show(it.cpu_percent),
            show(it.cpu_us_per_command),
        ];
        if is_of_containers {
            row.extend([maybe(it.rss_anon_mib), maybe(it.memory_mib)]);
        } else {
            row.extend([it.run_queue_wait_percent, it.rss_anon_mib, it.pss_mib].map(maybe));
        }
        row
    };
    let mut head = vec!["step", "process", "CPU % of a core", "us per command"];
    if is_of_containers {
        head[1] = "service";
        head.extend(["of its own MiB", "all but idle file pages MiB"]);
    } else {
        head.extend(["waited for a core, % of CPU", "RssAnon MiB", "Pss MiB"]);
    }
    let steps = names.iter().filter_map(|name| results.step(name));
    Table {
        head,
        rows: steps
            .flat_map(|step| step.services.iter().map(|it| row(&step.name, it)))
            .collect(),
    }
}

pub(super) fn postgres(results: &Results) -> Table {
    let row = |step: &Step| {
        let it = step.postgres.as_ref()?;
        Some(vec![
            step.name.clone(),
            show(step.offered_per_second),
            show(it.wal_bytes_per_command),
            show(it.wal_syncs_per_command),
            show(it.handler_commits_per_command),
            show(it.gateway_commits_per_command),
        ])
    };
    Table {
        head: vec![
            "step",
            "offered/s",
            "WAL B/command",
            "forced writes/command",
            "handler's commits/command",
            "gateway's",
        ],
        rows: results
            .steps
            .iter()
            .filter(|it| it.commands > 0)
            .filter_map(row)
            .collect(),
    }
}

pub(super) fn floors(results: &Results) -> Table {
    let row = |it: &super::results::Floor| {
        vec![
            it.name.clone(),
            it.what.clone(),
            show(it.before_p50_ms),
            show(it.before_p99_ms),
            show(it.after_p50_ms),
            show(it.after_p99_ms),
        ]
    };
    Table {
        head: vec!["floor", "", "before p50 ms", "p99", "after p50 ms", "p99"],
        rows: results.floors.iter().map(row).collect(),
    }
}

pub(super) fn stages(results: &Results) -> Table {
    let rows = results.stages.iter().flat_map(|all| {
        all.stages.iter().map(|it| {
            vec![
                format!("{} ({}/s)", all.step, show(all.per_second)),
                it.name.clone(),
                format!("{} - {}", it.from, it.to),
                show(it.mean_ms),
                show(it.p50_ms),
                show(it.p99_ms),
            ]
        })
    });
    Table {
        head: vec!["step", "stage", "stamps", "mean ms", "p50", "p99"],
        rows: rows.collect(),
    }
}

pub(super) fn others(results: &Results) -> Table {
    let mut rows = Vec::new();
    let mut row = |what: &str, found: String| rows.push(vec![what.to_owned(), found]);
    if let Some(it) = &results.capacity {
        let limit = match it.limited_by.first() {
            Some(why) => format!("; {}/s was not: {why}", show(it.failed_per_second)),
            None => String::new(),
        };
        row(
            "capacity through the gateway",
            format!("{}/s was kept up{limit}", show(it.per_second)),
        );
    }
    if let Some(it) = &results.painted {
        row(
            "click to paint, one action a second",
            format!(
                "p50 {} ms, p99 {} ms of {} actions, {} timed out ({})",
                show(it.latency.p50_ms),
                show(it.latency.p99_ms),
                it.latency.samples,
                it.timed_out,
                it.browser
            ),
        );
    }
    if let Some(it) = &results.recovery {
        row(
            "handler killed (kill -9) under load",
            format!(
                "at {}/s: answers flow again after {} ms, caught up after {} ms, {} commands lost",
                show(it.per_second),
                show(it.flows_again_ms),
                show(it.caught_up_ms),
                it.lost
            ),
        );
    }
    if let Some(it) = &results.drain {
        let rates: Vec<String> = it.per_second.iter().map(|rate| show(*rate)).collect();
        row(
            "the handler alone, topic to topic",
            format!(
                "{} commands drained at {}/s; one at a time {}/s; 90 % of one account {}/s",
                show(float(it.commands)),
                rates.join(" and "),
                show(it.one_at_a_time_per_second),
                show(it.hot_per_second)
            ),
        );
    }
    if let Some(it) = results.followers.as_ref().filter(|it| it.followers > 0) {
        row(
            "the gateway's RssAnon",
            format!(
                "{} MiB idle; {} MiB with {} followers beside {}/s (balance p99 {} ms)",
                show(it.idle_mib),
                show(it.loaded_mib),
                it.followers,
                show(it.per_second),
                show(it.visible_p99_ms)
            ),
        );
    }
    Table {
        head: vec!["", ""],
        rows,
    }
}

pub(super) fn article(results: &Results) -> Table {
    let rows = results.article.iter().flat_map(|run| {
        run.steps.iter().map(|it| {
            vec![
                run.name.clone(),
                show(it.per_second),
                show(it.painted.mean_ms),
                show(it.painted.p50_ms),
                show(it.painted.p99_ms),
                it.timed_out.to_string(),
                show(it.handler_cpu_percent),
                show(it.handler_mib),
                show(it.postgres_cpu_percent),
                show(it.gateway_cpu_percent),
                show(it.kafka_cpu_percent),
            ]
        })
    });
    Table {
        head: vec![
            "handler",
            "heartbeats/s",
            "painted mean ms",
            "p50",
            "p99",
            "timed out",
            "handler CPU %",
            "handler MiB",
            "PostgreSQL CPU %",
            "gateway CPU %",
            "Kafka CPU %",
        ],
        rows: rows.collect(),
    }
}
