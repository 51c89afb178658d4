//! Lines over the load: ours first, the published ones behind it.

#![expect(clippy::float_arithmetic, reason = "measured, not money")]

use super::{OURS, differs, none_of_ours};
use crate::{
    chart::{Chart, Point, Series, extent},
    figures,
    results::{
        BankDocument, Drawn, HandlerDocument, Percentile, Picture, Published, Step,
        documents::{HandlerStep, Latency, Used},
    },
    scale::Range,
};

const PERCENT_OF_A_CORE_TO_US: f64 = 10_000.0;
const KIB_PER_MIB: f64 = 1_024.0;
/// The strokes of published lines; the first is ours.
const PUBLISHED_STROKES: [u8; 4] = [2, 3, 4, 5];

fn pick(latency: &Latency, percentile: Percentile) -> f64 {
    match percentile {
        Percentile::P50 => latency.p50_ms,
        Percentile::P95 => latency.p95_ms,
        Percentile::P99 => latency.p99_ms,
    }
}

/// The loads that were held, rising, each once; what was held longest is what counts. A step without any load is none:
/// nothing was waited for in it, and a log axis has no zero.
fn loads(bank: &BankDocument) -> Vec<&Step> {
    let mut steps: Vec<&Step> = bank
        .steps
        .iter()
        .filter(|step| {
            let is_held = step.is_kept_up && step.is_valid && step.offered_per_second > 0.0;
            is_held && step.name != "followers"
        })
        .collect();
    steps.sort_by(|one, other| one.offered_per_second.total_cmp(&other.offered_per_second));
    steps.reverse();
    steps.dedup_by(|later, kept| {
        let is_same = (later.offered_per_second - kept.offered_per_second).abs()
            < kept.offered_per_second * 0.01;
        if is_same && later.name.ends_with('%') {
            std::mem::swap(later, kept);
        }
        is_same
    });
    steps.reverse();
    steps
}

pub(super) fn line(name: &str, stroke: u8, points: Vec<Point>, is_cut: bool) -> Option<Series> {
    (!points.is_empty()).then(|| Series {
        name: name.to_owned(),
        stroke,
        points,
        is_cut,
    })
}

pub(super) fn lines(y_title: &str, unit: &str, also: &[&str], series: Vec<Series>) -> Chart {
    let points = || series.iter().flat_map(|series| &series.points);
    Chart {
        y: Range::log(points().filter_map(|point| point.y)),
        x: Range::log(points().map(|point| point.x)),
        y_title: y_title.to_owned(),
        x_title: "transfers per second (log)".to_owned(),
        x_unit: "/s".to_owned(),
        unit: unit.to_owned(),
        also: also.iter().map(|name| (*name).to_owned()).collect(),
        series,
    }
}

/// A chart without a line is none.
fn drawn(chart: Chart) -> Vec<Picture> {
    if chart.series.is_empty() {
        return Vec::new();
    }
    vec![Picture::Lines(chart)]
}

/// The published lines of one column, counted into another unit; a log axis has no zero, so load 0 is left to the
/// chart about idling.
fn published_lines(
    published: &Published,
    column: &str,
    also: &[&str],
    convert: impl Fn(f64, f64) -> f64,
) -> Vec<Series> {
    let series =
        published
            .handlers
            .iter()
            .zip(PUBLISHED_STROKES)
            .filter_map(|(handler, stroke)| {
                let points = handler
                    .by_load(column)
                    .into_iter()
                    .filter(|(load, _)| *load > 0.0)
                    .map(|(load, value)| Point {
                        x: load,
                        y: Some(convert(load, value)),
                        also: also
                            .iter()
                            .filter_map(|column| handler.at(column, load))
                            .collect(),
                    })
                    .collect();
                line(&format!("{}, 2019", handler.name), stroke, points, true)
            });
    series.collect()
}

pub(super) fn latency(
    bank: Option<&BankDocument>,
    published: Option<&Published>,
    percentile: Percentile,
) -> Drawn {
    let mut series = Vec::new();
    if let Some(bank) = bank {
        let points = loads(bank)
            .into_iter()
            .filter_map(|step| point(step.offered_per_second, step.visible.as_ref()?, percentile))
            .collect();
        let was_cut = bank
            .capacity
            .as_ref()
            .and_then(|capacity| capacity.failed_per_second)
            .is_some_and(|failed| failed > 0.0);
        series.extend(line(OURS, 1, points, was_cut));
        for run in &bank.article {
            let points = run
                .steps
                .iter()
                .filter(|step| step.per_second > 0.0)
                .filter_map(|step| point(step.per_second, step.painted.as_ref()?, percentile))
                .collect();
            series.extend(line(
                &format!("{OURS}, measured as in 2019: {}", run.name),
                6,
                points,
                false,
            ));
        }
    }
    let column = format!("{}_ms", percentile.name());
    if let Some(published) = published {
        series.extend(published_lines(
            published,
            &column,
            &["p50_ms", "p95_ms", "p99_ms"],
            |_, value| value,
        ));
    }
    let chart = lines(
        &format!(
            "to the changed balance, {}, milliseconds (log)",
            percentile.name()
        ),
        "ms",
        &["p50", "p95", "p99"],
        series,
    );
    Drawn {
        finding: latency_finding(&chart, percentile, bank.is_some()),
        differs: published
            .map(|published| differs(published, bank))
            .unwrap_or_default(),
        pictures: drawn(chart),
    }
}

pub(super) fn point(load: f64, latency: &Latency, percentile: Percentile) -> Option<Point> {
    Some(Point {
        also: vec![latency.p50_ms, latency.p95_ms, latency.p99_ms],
        ..simple(load, Some(pick(latency, percentile)))?
    })
}

fn latency_finding(chart: &Chart, percentile: Percentile, is_run_chosen: bool) -> String {
    let heights = |series: &Series| extent(series.points.iter().filter_map(|point| point.y));
    let of = |is_ours: bool| {
        let found = chart
            .series
            .iter()
            .filter(move |series| (series.stroke == 1) == is_ours);
        found.filter_map(heights).collect::<Vec<_>>()
    };
    let span = |found: &[(f64, f64)]| {
        let low = extent(found.iter().map(|(low, _)| *low))?.0;
        let high = extent(found.iter().map(|(_, high)| *high))?.1;
        Some(format!(
            "{} to {}",
            figures::milliseconds(low),
            figures::milliseconds(high)
        ))
    };
    let name = percentile.name();
    match (span(&of(true)), span(&of(false))) {
        (Some(ours), Some(theirs)) => {
            format!(
                "Over all loads that were kept up, {name} is {ours} here; in 2019 it was {theirs}."
            )
        }
        (Some(ours), None) => format!("Over all loads that were kept up, {name} is {ours}."),
        (None, Some(theirs)) => {
            format!(
                "In 2019 {name} was {theirs}. {}",
                none_of_ours(is_run_chosen)
            )
        }
        (None, None) if is_run_chosen => none_of_ours(true).to_owned(),
        (None, None) => "Nothing measured to draw.".to_owned(),
    }
}

/// What was measured and is more than nothing; a log axis has no zero.
fn simple(x: f64, measured: Option<f64>) -> Option<Point> {
    let y = measured.filter(|value| *value > 0.0)?;
    Some(Point {
        x,
        y: Some(y),
        also: Vec::new(),
    })
}

fn over_load(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    of_step: impl Fn(&Used) -> Option<f64>,
    of_handler: impl Fn(&HandlerStep) -> Option<f64>,
) -> Vec<Series> {
    let of_bank = bank.and_then(|bank| {
        let points = loads(bank)
            .into_iter()
            .filter_map(|step| simple(step.offered_per_second, of_step(step.handler()?)))
            .collect();
        line(OURS, 1, points, false)
    });
    let alone = handler.and_then(|handler| {
        let points = handler
            .steps
            .iter()
            .filter_map(|step| simple(step.rate, of_handler(step)))
            .collect();
        line("the handler alone", 1, points, false)
    });
    of_bank.into_iter().chain(alone).collect()
}

fn finding_of_ends(chart: &Chart, what: &str, unit: &str, is_run_chosen: bool) -> String {
    let heights = |is_ours: bool| {
        let series = chart
            .series
            .iter()
            .filter(move |series| (series.stroke == 1) == is_ours);
        extent(series.flat_map(|series| series.points.iter().filter_map(|point| point.y)))
    };
    let span = |(low, high): (f64, f64)| {
        format!(
            "{} to {} {unit}",
            figures::precise(low),
            figures::precise(high)
        )
    };
    match (heights(true), heights(false)) {
        (Some(ours), Some(theirs)) => {
            format!("{what}: {} here, {} in 2019.", span(ours), span(theirs))
        }
        (Some(ours), None) => format!("{what}: {}.", span(ours)),
        (None, Some(theirs)) => format!(
            "{what} in 2019: {}. {}",
            span(theirs),
            none_of_ours(is_run_chosen)
        ),
        (None, None) if is_run_chosen => none_of_ours(true).to_owned(),
        (None, None) => "Nothing measured to draw.".to_owned(),
    }
}

pub(super) fn cpu(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    published: Option<&Published>,
) -> Drawn {
    let mut series = over_load(
        bank,
        handler,
        |used| used.cpu_us_per_command,
        |step| step.cpu.handler_us,
    );
    if let Some(published) = published {
        series.extend(published_lines(
            published,
            "handler_cpu_percent_of_a_core",
            &[],
            |load, percent| percent * PERCENT_OF_A_CORE_TO_US / load,
        ));
    }
    let chart = lines(
        "CPU of the command handler for each command, microseconds (log)",
        "µs",
        &[],
        series,
    );
    Drawn {
        finding: finding_of_ends(
            &chart,
            "CPU of the handler for each command",
            "µs",
            bank.is_some() || handler.is_some(),
        ),
        differs: published
            .map(|published| differs(published, bank))
            .unwrap_or_default(),
        pictures: drawn(chart),
    }
}

pub(super) fn memory(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    published: Option<&Published>,
) -> Drawn {
    let mut series = over_load(
        bank,
        handler,
        |used| used.rss_anon_mib,
        |step| step.rss_anon_kib.map(|kib| kib / KIB_PER_MIB),
    );
    if let Some(published) = published {
        series.extend(published_lines(
            published,
            "handler_memory_mib",
            &[],
            |_, value| value,
        ));
    }
    let chart = lines(
        "memory of the command handler, MiB (log)",
        "MiB",
        &[],
        series,
    );
    let mut differ = Vec::new();
    if let Some(published) = published {
        differ.push(
            "Ours is the process's own memory, theirs what docker stats counts for the container."
                .to_owned(),
        );
        differ.extend(differs(published, bank));
    }
    Drawn {
        finding: finding_of_ends(
            &chart,
            "Memory of the handler",
            "MiB",
            bank.is_some() || handler.is_some(),
        ),
        differs: differ,
        pictures: drawn(chart),
    }
}
