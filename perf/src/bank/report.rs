//! The report for people: one file of HTML that needs nothing from anywhere, and the same in
//! short for a terminal.

use std::fmt::Write as _;

use crate::numbers::float;
use crate::tables::Table;
use crate::verdict::show;

use super::published::Published;
use super::report_apart::{clients, clients_cost, soak, soak_in_words};
use super::report_charts::{
    cpu_over_load, handler_cpu_per_command, latency_over_load, memory_over_load,
};
use super::report_tables::{
    article, costs, costs_in_short, floors, html as table, loads, others, postgres, stages, targets,
};
use super::results::Results;
use super::svg::{bars, escape};

/// Of both tables of clients.
const CLIENTS_IN_WORDS: &str = "Per command of the load; in brackets the highest p99 of a second. A consumer's round \
    trips are its waits for records. Below: CPU of each process without and with these reports, median, least and \
    greatest of the steps.";
const STYLE: &str = include_str!("report.css");

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
        &costs_in_words(results),
        &[
            cpu_over_load(results).svg(),
            handler_cpu_per_command(results, &published).svg(),
            memory_over_load(results, &published).svg(),
            table(&costs(results)),
            table(&postgres(results)),
        ],
    );
    section(
        "Held for long",
        &soak_in_words(results),
        &[table(&soak(results))],
    );
    section(
        "What the Kafka clients say",
        CLIENTS_IN_WORDS,
        &[table(&clients(results)), table(&clients_cost(results))],
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

fn costs_in_words(results: &Results) -> String {
    let Some(it) = &results.containers else {
        return "Each process, from schedstat and smaps; PostgreSQL with all its sessions, and those of each database."
            .to_owned();
    };
    let mut text = String::new();
    if !it.services.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "The containers of each service of {}, from the Docker Engine at {}.",
            it.project, it.socket
        );
    }
    if !it.missing.is_empty() {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}Missing: {}.", it.missing.join("; "));
    }
    text
}

fn about(results: &Results) -> String {
    let machine = &results.machine;
    let versions: Vec<String> = results
        .versions
        .iter()
        .map(|(part, version)| format!("{part} {version}"))
        .collect();
    let mut text = format!(
        "{} run of commit {} on {}, {} s; {} cores ({}), {} GiB, {}.",
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
    );
    if !versions.is_empty() {
        // Writing to a string cannot fail.
        let _ = write!(text, " {}.", versions.join(", "));
    }
    let load = &results.load;
    if load.customers > 0 {
        let _ = write!(
            text,
            " Load: {} customers, {} WebSockets, {} arrivals, payees {}, {} % planned refusals, {} % \
             repeated commands, seed {}.",
            load.customers,
            load.sockets,
            load.arrivals,
            load.payees,
            load.planned_rejections_percent,
            load.planned_repeats_percent,
            load.seed,
        );
    }
    text
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
    if results.containers.is_some() {
        text.push_str(&costs_in_words(results));
        text.push('\n');
    }
    if results.soak.is_some() {
        text.push_str(&soak_in_words(results));
        text.push('\n');
    }
    for table in [
        others(results),
        loads(results),
        costs_in_short(results),
        soak(results),
        clients(results),
        clients_cost(results),
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
