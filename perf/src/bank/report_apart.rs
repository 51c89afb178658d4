//! Tables of what is measured in runs of its own: a load held for long, and what the Kafka
//! clients say of themselves.

use crate::numbers::{Spread as Repeats, float};
use crate::tables::Table;
use crate::verdict::show;

use super::kafka_clients::{Client, Spread};
use super::results::Results;
use super::soak;

/// Kinds of requests that are told in a line.
const KINDS_MAX: usize = 4;

pub(super) fn soak(results: &Results) -> Table {
    let mut table = Table::new(&[
        "process",
        "growth MiB/h",
        "+-",
        "RssAnon MiB, warm",
        "at the end",
        "greatest",
        "open files, warm",
        "at the end",
        "threads, warm",
        "at the end",
        "",
    ]);
    for it in results.soak.iter().flat_map(|it| &it.processes) {
        let maybe = |figure: Option<f64>| figure.map_or_else(|| "-".to_owned(), show);
        table.row(vec![
            it.name.clone(),
            maybe(it.mib_per_hour),
            maybe(it.error_mib_per_hour),
            show(it.rss_anon_mib.0),
            show(it.rss_anon_mib.1),
            show(it.greatest_mib),
            it.open_files.0.to_string(),
            it.open_files.1.to_string(),
            it.threads.0.to_string(),
            it.threads.1.to_string(),
            if it.was_replaced {
                "started again meanwhile".to_owned()
            } else {
                String::new()
            },
        ]);
    }
    table
}

/// The soak in a sentence or two; nothing without one.
pub(super) fn soak_in_words(results: &Results) -> String {
    let Some(it) = &results.soak else {
        return String::new();
    };
    let steps = results.steps.iter().filter(|step| step.name == "soak");
    let (mut p50, mut p99, mut kept_up, mut all) = (Vec::new(), 0.0_f64, 0, 0);
    for step in steps {
        p50.push(step.visible.p50_ms);
        p99 = p99.max(step.visible.p99_ms);
        kept_up += usize::from(step.is_kept_up);
        all += 1;
    }
    let middle = Repeats::of(p50).map_or_else(String::new, |it| {
        format!(
            "balance visible p50 {} ms ({} - {})",
            show(it.median),
            show(it.least),
            show(it.greatest)
        )
    });
    let lag: Vec<String> = it
        .lag
        .iter()
        .map(|(group, lag)| format!("{group} {lag}"))
        .collect();
    format!(
        "{}/s for {} minutes, of which the first {} do not count; {kept_up} of {all} minutes kept up; {middle}, the \
         highest p99 of a minute {} ms. Records not dealt with at the end: {}.",
        show(it.per_second),
        soak::minutes(it),
        show(it.warm_up_minutes),
        show(p99),
        lag.join(", ")
    )
}

pub(super) fn clients(results: &Results) -> Table {
    let mut table = Table::new(&[
        "client",
        "",
        "records/command",
        "requests/command",
        "of which",
        "sent B/command",
        "received B/command",
        "records a batch",
        "bytes a batch",
        "queued ms",
        "unsent ms",
        "round trip ms",
        "unacknowledged max",
        "fetched max",
        "wake-ups/command",
    ]);
    for it in results.kafka_clients.iter().flat_map(|it| &it.clients) {
        table.row(client(it));
    }
    table
}

fn client(it: &Client) -> Vec<String> {
    let spread = |spread: Option<Spread>| match spread {
        Some(it) => format!("{} ({})", show(it.mean), show(it.p99_of_a_second_max)),
        None => "-".to_owned(),
    };
    let kinds: Vec<String> = it
        .requests
        .iter()
        .take(KINDS_MAX)
        .map(|(kind, each)| format!("{kind} {}", show(*each)))
        .collect();
    vec![
        it.name.clone(),
        it.kind.clone(),
        show(it.records_per_command),
        show(it.requests_per_command),
        kinds.join(", "),
        show(it.tx_bytes_per_command),
        show(it.rx_bytes_per_command),
        spread(it.batch_records),
        spread(it.batch_bytes),
        spread(it.queued_ms),
        spread(it.unsent_ms),
        spread(it.round_trip_ms),
        show(float(it.unacknowledged_max)),
        show(float(it.fetched_max)),
        show(it.wakeups_per_command),
    ]
}

pub(super) fn clients_cost(results: &Results) -> Table {
    let mut table = Table::new(&[
        "process",
        "us per command, without",
        "with",
        "with / without",
    ]);
    for it in results.kafka_clients.iter().flat_map(|it| &it.cost) {
        let (without, with) = (
            Repeats::of(it.without_us.clone()),
            Repeats::of(it.with_us.clone()),
        );
        let Some((without, with)) = without.zip(with) else {
            continue;
        };
        let told = |it: &Repeats| {
            format!(
                "{} ({} - {})",
                show(it.median),
                show(it.least),
                show(it.greatest)
            )
        };
        let ratio = crate::numbers::ratio(with.median, without.median);
        table.row(vec![
            it.name.clone(),
            told(&without),
            told(&with),
            ratio.map_or_else(|| "-".to_owned(), show),
        ]);
    }
    table
}
