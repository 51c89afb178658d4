//! The report for people: one file of HTML that needs nothing from anywhere, and the same in
//! short for a terminal.

use std::fmt::Write as _;

use crate::numbers::float;
use crate::verdict::show;

use super::figures::cpu_us;
use super::published::Published;
use super::results::{Results, Step, TargetState};
use super::run::{GATEWAY, HANDLER};
use super::svg::{Chart, Line, Scale, bars, escape};

const STYLE: &str = include_str!("report.css");
/// The parts whose costs are drawn.
const PARTS: [&str; 4] = [HANDLER, GATEWAY, "postgres", "kafka"];

/// A table: its head, and rows as wide as the head.
struct Table {
    head: Vec<&'static str>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn html(&self) -> String {
        let cells = |tag: &str, cells: &mut dyn Iterator<Item = &str>| {
            let row: String = cells
                .map(|it| format!("<{tag}>{}</{tag}>", escape(it)))
                .collect();
            format!("<tr>{row}</tr>")
        };
        let head = cells("th", &mut self.head.iter().copied());
        let rows: String = self
            .rows
            .iter()
            .map(|row| cells("td", &mut row.iter().map(String::as_str)))
            .collect();
        format!(
            "<div class=\"wide\"><table><thead>{head}</thead><tbody>{rows}</tbody></table></div>"
        )
    }

    fn text(&self) -> String {
        let head: Vec<String> = self.head.iter().map(|it| (*it).to_owned()).collect();
        let all: Vec<&Vec<String>> = std::iter::once(&head).chain(&self.rows).collect();
        let width = |column: usize| {
            let widths = all.iter().filter_map(|row| row.get(column));
            widths.map(|it| it.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..head.len()).map(width).collect();
        let mut text = String::new();
        for row in all {
            let cells = row
                .iter()
                .zip(&widths)
                .map(|(cell, width)| format!("{cell:<width$}"));
            let line = cells.collect::<Vec<_>>().join("  ");
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}", line.trim_end());
        }
        text
    }
}

fn state(state: TargetState) -> &'static str {
    match state {
        TargetState::Reached => "reached",
        TargetState::NotReached => "NOT reached",
        TargetState::NotMeasured => "not measured",
    }
}

fn targets(results: &Results) -> Table {
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

fn loads(results: &Results) -> Table {
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

fn costs(results: &Results) -> Table {
    let of = |step: &Step| {
        let name = step.name.clone();
        let row = move |it: &super::results::Service| {
            vec![
                name.clone(),
                it.name.clone(),
                show(it.cpu_percent),
                show(it.cpu_us_per_command),
                show(it.run_queue_wait_percent),
                show(it.rss_anon_mib),
                show(it.pss_mib),
            ]
        };
        step.services.iter().map(row).collect::<Vec<_>>()
    };
    let named = [
        "nothing",
        "idle",
        "25 %",
        "50 %",
        "75 %",
        "100 %",
        "followers",
    ];
    let steps = named.iter().filter_map(|name| results.step(name));
    Table {
        head: vec![
            "step",
            "process",
            "CPU % of a core",
            "us per command",
            "waited for a core, % of CPU",
            "RssAnon MiB",
            "Pss MiB",
        ],
        rows: steps.flat_map(of).collect(),
    }
}

fn postgres(results: &Results) -> Table {
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

fn floors(results: &Results) -> Table {
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

fn stages(results: &Results) -> Table {
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

fn others(results: &Results) -> Table {
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

fn article(results: &Results) -> Table {
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

/// Steps of the ladder and the levels, by their rate.
fn by_load(results: &Results) -> Vec<&Step> {
    let mut steps: Vec<&Step> = results
        .steps
        .iter()
        .filter(|it| it.commands > 0 && it.visible.samples > 0 && it.is_kept_up)
        .filter(|it| !it.name.starts_with("stages") && it.name != "followers")
        .collect();
    steps.sort_by(|one, other| one.offered_per_second.total_cmp(&other.offered_per_second));
    steps
}

fn latency_over_load(results: &Results, published: &Published) -> Chart {
    let steps = by_load(results);
    let ours = |name: &str, colour: usize, of: fn(&Step) -> f64| Line {
        name: name.to_owned(),
        points: steps
            .iter()
            .map(|it| (it.offered_per_second, of(it)))
            .collect(),
        colour,
        is_dashed: false,
    };
    let mut lines = vec![
        ours("this bank, balance visible, p50", 0, |it| it.visible.p50_ms),
        ours("this bank, balance visible, p99", 1, |it| it.visible.p99_ms),
    ];
    for run in &results.article {
        lines.push(Line {
            name: format!("{}: painted, mean", run.name),
            points: run
                .steps
                .iter()
                .map(|it| (it.per_second, it.painted.mean_ms))
                .collect(),
            colour: lines.len(),
            is_dashed: false,
        });
    }
    let first = lines.len();
    lines.extend(theirs(
        published,
        "mean_ms",
        first,
        "2019, in the page, mean",
    ));
    Chart {
        title: "Latency over load".to_owned(),
        x_label: "commands per second".to_owned(),
        y_label: "milliseconds".to_owned(),
        x_scale: Scale::Logarithmic,
        y_scale: Scale::Logarithmic,
        lines,
    }
}

fn theirs(published: &Published, column: &str, first: usize, what: &str) -> Vec<Line> {
    let line = |(index, handler): (usize, &super::published::Handler)| Line {
        name: format!("{}: {what}", handler.name),
        points: published.points(handler, column),
        colour: first + index,
        is_dashed: true,
    };
    published.handlers.iter().enumerate().map(line).collect()
}

fn cpu_over_load(results: &Results) -> Chart {
    let steps = by_load(results);
    let line = |(colour, part): (usize, &&str)| Line {
        name: (*part).to_owned(),
        points: steps
            .iter()
            .filter_map(|it| Some((it.offered_per_second, it.service(part)?.cpu_percent)))
            .collect(),
        colour,
        is_dashed: false,
    };
    Chart {
        title: "CPU over load".to_owned(),
        x_label: "commands per second".to_owned(),
        y_label: "per cent of a core".to_owned(),
        x_scale: Scale::Linear,
        y_scale: Scale::Linear,
        lines: PARTS.iter().enumerate().map(line).collect(),
    }
}

fn memory_over_load(results: &Results, published: &Published) -> Chart {
    let steps = by_load(results);
    let line = |colour: usize, part: &str| Line {
        name: format!("{part}, RssAnon"),
        points: steps
            .iter()
            .filter_map(|it| Some((it.offered_per_second, it.service(part)?.rss_anon_mib)))
            .collect(),
        colour,
        is_dashed: false,
    };
    let mut lines = vec![line(0, HANDLER), line(1, GATEWAY)];
    lines.extend(theirs(published, "handler_memory_mib", 2, "2019, handler"));
    Chart {
        title: "Memory over load".to_owned(),
        x_label: "commands per second".to_owned(),
        y_label: "MiB".to_owned(),
        x_scale: Scale::Logarithmic,
        y_scale: Scale::Logarithmic,
        lines,
    }
}

fn handler_cpu_per_command(results: &Results, published: &Published) -> Chart {
    let steps = by_load(results);
    let ours = Line {
        name: "this bank's handler".to_owned(),
        points: steps
            .iter()
            .map(|it| (it.offered_per_second, cpu_us(it.service(HANDLER))))
            .collect(),
        colour: 0,
        is_dashed: false,
    };
    let mut lines = vec![ours];
    for mut line in theirs(published, "handler_cpu_percent_of_a_core", 2, "2019") {
        for (rate, percent) in &mut line.points {
            // Per cent of a core at a rate, as microseconds of each command.
            *percent = if *rate > 0.0 {
                *percent * 1e4 / *rate
            } else {
                0.0
            };
        }
        lines.push(line);
    }
    Chart {
        title: "CPU of the handler per command".to_owned(),
        x_label: "commands per second".to_owned(),
        y_label: "microseconds".to_owned(),
        x_scale: Scale::Logarithmic,
        y_scale: Scale::Logarithmic,
        lines,
    }
}

/// The report as HTML.
#[must_use]
pub fn html(results: &Results) -> String {
    let published = Published::load();
    let mut body = String::new();
    let mut section = |title: &str, what: &str, content: &[String]| {
        if content.iter().all(String::is_empty) {
            return;
        }
        // Writing to a string cannot fail.
        let _ = write!(
            body,
            "<section><h2>{}</h2><p>{}</p>{}</section>",
            escape(title),
            escape(what),
            content.concat()
        );
    };
    let table = |table: &Table| {
        if table.rows.is_empty() {
            String::new()
        } else {
            table.html()
        }
    };
    section("In short", &verdict(results), &[table(&others(results))]);
    section(
        "Targets",
        "Each with the figure of this run.",
        &[table(&targets(results))],
    );
    section(
        "Latency over load",
        &format!(
            "From the time a command was meant to be sent. Dashed: the four handlers of the article of 2019, on nine \
             processors of another machine. {}",
            published.measured
        ),
        &[
            latency_over_load(results, &published).svg(),
            table(&loads(results)),
        ],
    );
    let ways: Vec<(String, Vec<(String, f64)>)> = results
        .stages
        .iter()
        .filter(|it| it.samples > 0)
        .map(|it| {
            let parts = it
                .stages
                .iter()
                .map(|stage| (stage.name.clone(), stage.mean_ms))
                .collect();
            (
                format!("{} commands at {}/s, mean", it.samples, show(it.per_second)),
                parts,
            )
        })
        .collect();
    section(
        "Where the time goes",
        "The means of the stages of sampled commands add up to the mean of the whole way.",
        &[
            bars("Where the time goes", "ms", &ways),
            table(&stages(results)),
        ],
    );
    section(
        "What it costs",
        "Each process, from schedstat and smaps; PostgreSQL with all its sessions, and those of each database.",
        &[
            cpu_over_load(results).svg(),
            handler_cpu_per_command(results, &published).svg(),
            memory_over_load(results, &published).svg(),
            table(&costs(results)),
            table(&postgres(results)),
        ],
    );
    section(
        "The article's experiment",
        "One user in a browser, one action a second, more heartbeats step by step.",
        &[table(&article(results))],
    );
    section(
        "Floors",
        "What the machine itself takes, before and after.",
        &[table(&floors(results))],
    );
    let settings = results
        .settings
        .iter()
        .map(|(part, name, value)| vec![part.clone(), name.clone(), value.clone()]);
    let settings = Table {
        head: vec!["part", "setting", "value"],
        rows: settings.collect(),
    };
    section("Settings", &about(results), &[table(&settings)]);
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width, initial-scale=1\"><title>The Bank, measured {}</title><style>{STYLE}</style></head>\
         <body><main><h1>The Bank, measured</h1><p class=\"lead\">{}</p>{body}</main></body></html>\n",
        escape(&results.measured_at),
        escape(&about(results)),
    )
}

fn about(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<String> = results
        .versions
        .iter()
        .map(|(part, version)| format!("{part} {version}"))
        .collect();
    format!(
        "{} run of commit {} on {}, {} s; {} cores ({}), {} GiB, {}; {}. Load: {} customers, {} WebSockets, {} \
         arrivals, payees {}, {} % planned refusals, {} % repeated commands, seed {}.",
        results.kind,
        if results.commit.is_empty() {
            "unknown"
        } else {
            &results.commit
        },
        results.measured_at,
        results.took_seconds,
        machine.cores,
        machine.processor,
        machine.memory_mib / 1_024,
        machine.kernel,
        versions.join(", "),
        results.load.customers,
        results.load.sockets,
        results.load.arrivals,
        results.load.payees,
        results.load.planned_rejections_percent,
        results.load.planned_repeats_percent,
        results.load.seed,
    )
}

fn verdict(results: &Results) -> String {
    let it = &results.verdict;
    let mut text = if it.holds {
        match it.by.as_str() {
            "auditor" => format!(
                "Right: {} of {} invariants hold over {} records, and every client saw every change once.",
                it.holding, it.invariants, show(float(it.records))
            ),
            _ => "Right as far as its clients can see: every change came once, every balance is what was confirmed."
                .to_owned(),
        }
    } else {
        format!(
            "NOT RIGHT, so there are no figures: {}.",
            it.findings.join("; ")
        )
    };
    if !results.noisy.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, " NOISY: {}.", results.noisy.join("; "));
    }
    text
}

/// The report for a terminal.
#[must_use]
pub fn text(results: &Results) -> String {
    let mut text = format!("{}\n{}\n", about(results), verdict(results));
    for table in [
        others(results),
        loads(results),
        stages(results),
        article(results),
        floors(results),
        targets(results),
    ] {
        if !table.rows.is_empty() {
            text.push('\n');
            text.push_str(&table.text());
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::results::sample;

    #[test]
    fn given_results_when_reported_then_one_file_holds_all_and_asks_for_nothing() {
        let html = html(&sample());
        for part in [
            "P18",
            "4,757/s",
            "Rust, native client",
            "hops to the handler",
            "prefers-color-scheme",
            "@media print",
        ] {
            assert!(html.contains(part), "{part}");
        }
        for outside in ["<script", "<link", "src=", "url(", "@import"] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.matches("<svg").count() >= 5);
        assert!(!html.contains("NaN"), "every number is one");
        let text = text(&sample());
        assert!(text.contains("P18") && !text.contains("NOT kept"));
    }

    #[test]
    fn given_a_bank_that_was_wrong_when_reported_then_it_says_so_and_nothing_else() {
        let mut wrong = sample();
        wrong.verdict.holds = false;
        wrong.verdict.findings = vec!["A1 is violated".to_owned()];
        wrong.targets.clear();
        assert!(text(&wrong).contains("NOT RIGHT, so there are no figures: A1 is violated"));
    }
}
