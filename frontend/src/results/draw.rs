//! From documents to pictures: one function for each chart, ours first, the published lines behind it.

#![expect(clippy::float_arithmetic, reason = "measured, not money")]

use super::{
    BankDocument, Drawn, HandlerDocument, Kind, Percentile, Picture, Published, Run, Step,
    documents::Latency,
};
use crate::{
    chart::{Bar, Bars, Chart, Point, Series, extent, mean},
    figures,
    scale::Range,
};

/// What is drawn in the colour of ours.
const OURS: &str = "the Bank";
const PERCENT_OF_A_CORE_TO_US: f64 = 10_000.0;
const KIB_PER_MIB: f64 = 1_024.0;
/// The strokes of published lines; the first is ours.
const PUBLISHED_STROKES: [u8; 4] = [2, 3, 4, 5];

/// One chart of a run beside what was published. A kind that is no picture has none.
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

fn pick(latency: &Latency, percentile: Percentile) -> f64 {
    match percentile {
        Percentile::P50 => latency.p50_ms,
        Percentile::P95 => latency.p95_ms,
        Percentile::P99 => latency.p99_ms,
    }
}

/// The loads that were held, rising, each once; what was held longest is what counts.
fn loads(bank: &BankDocument) -> Vec<&Step> {
    let mut steps: Vec<&Step> = bank
        .steps
        .iter()
        .filter(|step| step.is_kept_up && step.is_valid && step.name != "followers")
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

fn line(name: &str, stroke: u8, points: Vec<Point>, is_cut: bool) -> Option<Series> {
    (!points.is_empty()).then(|| Series {
        name: name.to_owned(),
        stroke,
        points,
        is_cut,
    })
}

fn lines(y_title: &str, unit: &str, also: &[&str], series: Vec<Series>) -> Chart {
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

fn latency(
    bank: Option<&BankDocument>,
    published: Option<&Published>,
    percentile: Percentile,
) -> Drawn {
    let mut series = Vec::new();
    if let Some(bank) = bank {
        let points = loads(bank)
            .into_iter()
            .filter_map(|step| {
                let latency = step.visible.as_ref()?;
                Some(point(step.offered_per_second, latency, percentile))
            })
            .collect();
        let was_cut = bank
            .capacity
            .as_ref()
            .is_some_and(|capacity| capacity.failed_per_second.is_some());
        series.extend(line(OURS, 1, points, was_cut));
        for run in &bank.article {
            let points = run
                .steps
                .iter()
                .filter(|step| step.per_second > 0.0)
                .filter_map(|step| Some(point(step.per_second, step.painted.as_ref()?, percentile)))
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
        finding: latency_finding(&chart, percentile),
        differs: published
            .map(|published| differs(published, bank))
            .unwrap_or_default(),
        pictures: vec![Picture::Lines(chart)],
    }
}

fn point(load: f64, latency: &Latency, percentile: Percentile) -> Point {
    Point {
        x: load,
        y: Some(pick(latency, percentile)),
        also: vec![latency.p50_ms, latency.p95_ms, latency.p99_ms],
    }
}

fn latency_finding(chart: &Chart, percentile: Percentile) -> String {
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
            format!("In 2019 {name} was {theirs}. No run of the whole bank is chosen.")
        }
        (None, None) => "Nothing measured to draw.".to_owned(),
    }
}

fn bar(name: &str, value: f64, figure: String, note: &str, is_ours: bool) -> Bar {
    Bar {
        name: name.to_owned(),
        value,
        figure,
        note: note.to_owned(),
        is_ours,
    }
}

fn throughput(bank: Option<&BankDocument>, published: Option<&Published>) -> Drawn {
    let per_second = |value: f64| format!("{}/s", figures::whole_or_short(value));
    let capacity = bank.and_then(|bank| bank.capacity.as_ref());
    let mut rows = Vec::new();
    if let Some(capacity) = capacity {
        let note = capacity
            .limited_by
            .first()
            .map(|reason| format!("above it, {reason}"))
            .unwrap_or_default();
        rows.push(bar(
            OURS,
            capacity.per_second,
            per_second(capacity.per_second),
            &note,
            true,
        ));
    }
    for handler in published.iter().flat_map(|published| &published.handlers) {
        let load = handler.p95_above_1_s_from_per_second;
        rows.push(bar(
            &format!("{}, 2019", handler.name),
            load,
            per_second(load),
            "from here p95 stays above 1 s",
            false,
        ));
    }
    let best = published.and_then(|published| {
        extent(
            published
                .handlers
                .iter()
                .map(|handler| handler.p95_above_1_s_from_per_second),
        )
    });
    let finding = match (capacity, best) {
        (Some(capacity), Some((_, best))) => format!(
            "Kept up with {} through the gateway, {} times where the best of 2019 went above a second.",
            per_second(capacity.per_second),
            figures::short(capacity.per_second / best)
        ),
        (Some(capacity), None) => format!(
            "Kept up with {} through the gateway.",
            per_second(capacity.per_second)
        ),
        (None, Some((low, high))) => format!(
            "In 2019 p95 went above a second at {} to {}. No run of the whole bank is chosen.",
            figures::whole_or_short(low),
            per_second(high)
        ),
        (None, None) => "Nothing measured to draw.".to_owned(),
    };
    Drawn {
        finding,
        differs: published
            .map(|published| {
                let mut lines = vec![
                    "Ours is the highest load with p99 to the balance within 100 ms and nothing lost; theirs the load at \
                     which 5 % took longer than a second: a stricter measure for ours."
                        .to_owned(),
                ];
                lines.extend(differs(published, bank));
                lines
            })
            .unwrap_or_default(),
        pictures: bars("transfers per second", rows),
    }
}

fn bars(title: &str, rows: Vec<Bar>) -> Vec<Picture> {
    if rows.is_empty() {
        return Vec::new();
    }
    vec![Picture::Bars(Bars {
        title: title.to_owned(),
        rows,
    })]
}

fn simple(x: f64, y: f64) -> Point {
    Point {
        x,
        y: Some(y),
        also: Vec::new(),
    }
}

fn over_load(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    of_step: impl Fn(&super::documents::Used) -> f64,
    of_handler: impl Fn(&super::documents::HandlerStep) -> f64,
) -> Vec<Series> {
    let of_bank = bank.and_then(|bank| {
        let points = loads(bank)
            .into_iter()
            .filter_map(|step| Some(simple(step.offered_per_second, of_step(step.handler()?))))
            .collect();
        line(OURS, 1, points, false)
    });
    let alone = handler.and_then(|handler| {
        let points = handler
            .steps
            .iter()
            .map(|step| simple(step.rate, of_handler(step)))
            .collect();
        line("the handler alone", 1, points, false)
    });
    of_bank.into_iter().chain(alone).collect()
}

fn finding_of_ends(chart: &Chart, what: &str, unit: &str) -> String {
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
        (None, Some(theirs)) => format!("{what} in 2019: {}.", span(theirs)),
        (None, None) => "Nothing measured to draw.".to_owned(),
    }
}

fn cpu(
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
        finding: finding_of_ends(&chart, "CPU of the handler for each command", "µs"),
        differs: published
            .map(|published| differs(published, bank))
            .unwrap_or_default(),
        pictures: vec![Picture::Lines(chart)],
    }
}

fn memory(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    published: Option<&Published>,
) -> Drawn {
    let mut series = over_load(
        bank,
        handler,
        |used| used.rss_anon_mib,
        |step| step.rss_anon_kib / KIB_PER_MIB,
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
        finding: finding_of_ends(&chart, "Memory of the handler", "MiB"),
        differs: differ,
        pictures: vec![Picture::Lines(chart)],
    }
}

fn idle(bank: Option<&BankDocument>, published: Option<&Published>) -> Drawn {
    let mut rows = Vec::new();
    if let Some(bank) = bank {
        if let Some(painted) = &bank.painted {
            let ms = painted.latency.p50_ms;
            rows.push(bar(
                "the Bank, painted",
                ms,
                figures::milliseconds(ms),
                "from the click to the painted frame, in a browser",
                true,
            ));
        }
        let idle = bank.steps.iter().find(|step| step.name == "idle");
        if let Some(latency) = idle.and_then(|step| step.visible) {
            rows.push(bar(
                "the Bank, at the client's socket",
                latency.p50_ms,
                figures::milliseconds(latency.p50_ms),
                "from when it was meant to be sent to the changed balance",
                true,
            ));
        }
    }
    for handler in published.iter().flat_map(|published| &published.handlers) {
        if let Some(ms) = handler.at("p50_ms", 0.0) {
            rows.push(bar(
                &format!("{}, 2019", handler.name),
                ms,
                figures::milliseconds(ms),
                "from the return of the click to the text in the page",
                false,
            ));
        }
    }
    let best_of = |is_ours: bool| {
        let values = rows.iter().filter(|row| row.is_ours == is_ours);
        extent(values.map(|row| row.value)).map(|(low, _)| low)
    };
    let finding = match (best_of(true), best_of(false)) {
        (Some(ours), Some(theirs)) => format!(
            "With next to no load half of all changes are seen within {}; the quickest of 2019 needed {}.",
            figures::milliseconds(ours),
            figures::milliseconds(theirs)
        ),
        (Some(ours), None) => format!(
            "With next to no load half of all changes are seen within {}.",
            figures::milliseconds(ours)
        ),
        (None, Some(theirs)) => format!(
            "The quickest of 2019 needed {} with no other load. No run of the whole bank is chosen.",
            figures::milliseconds(theirs)
        ),
        (None, None) => "Nothing measured to draw.".to_owned(),
    };
    Drawn {
        finding,
        pictures: bars("p50, milliseconds", rows),
        differs: published
            .map(|published| differs(published, bank))
            .unwrap_or_default(),
    }
}

fn stages(bank: Option<&BankDocument>) -> Drawn {
    let all = bank.map(|bank| bank.stages.as_slice()).unwrap_or_default();
    let pictures = all.iter().map(|at| {
        let rows = at.stages.iter().map(|stage| {
            bar(
                &stage.name,
                stage.mean_ms,
                figures::milliseconds(stage.mean_ms),
                &format!("p99 {}", figures::milliseconds(stage.p99_ms)),
                true,
            )
        });
        Picture::Bars(Bars {
            title: format!(
                "{}, {}: mean of {} commands, milliseconds; in all {}",
                at.step,
                figures::rate(at.per_second),
                crate::formats::count(at.samples),
                figures::milliseconds(at.total_mean_ms)
            ),
            rows: rows.collect(),
        })
    });
    let slowest = all.first().and_then(|at| {
        let stage = at
            .stages
            .iter()
            .max_by(|one, other| one.mean_ms.total_cmp(&other.mean_ms))?;
        Some(format!(
            "Of {} from the client's socket to the pushed change, most goes into this: {}, {}.",
            figures::milliseconds(at.total_mean_ms),
            stage.name,
            figures::milliseconds(stage.mean_ms)
        ))
    });
    Drawn {
        finding: slowest.unwrap_or_else(|| "This run did not measure the stages.".to_owned()),
        pictures: pictures.collect(),
        differs: Vec::new(),
    }
}

fn recovery(bank: Option<&BankDocument>, handler: Option<&HandlerDocument>) -> Drawn {
    let of_bank = bank.and_then(|bank| bank.recovery.clone());
    let of_handler = handler
        .map(|handler| handler.recoveries.clone())
        .unwrap_or_default();
    let all: Vec<_> = of_bank.into_iter().chain(of_handler).collect();
    let rows = all.iter().enumerate().flat_map(|(place, once)| {
        let name = |what: &str| {
            if all.len() > 1 {
                format!("{what}, kill {}", place + 1)
            } else {
                what.to_owned()
            }
        };
        let row = |what, ms| bar(&name(what), ms, figures::milliseconds(ms), "", true);
        [
            row("first answer", once.flows_again_ms),
            row("nothing waits any more", once.caught_up_ms),
        ]
    });
    let finding = all.first().map_or_else(
        || "This run did not kill a handler.".to_owned(),
        |once| {
            format!(
                "Killed at {}, the handler answers again after {}; commands lost: {}.",
                figures::rate(once.per_second),
                figures::milliseconds(once.flows_again_ms),
                all.iter().map(|once| once.lost).sum::<u64>()
            )
        },
    );
    Drawn {
        finding,
        pictures: bars("milliseconds after kill -9 of the handler", rows.collect()),
        differs: Vec::new(),
    }
}

fn handler_alone(
    bank: Option<&BankDocument>,
    handler: Option<&HandlerDocument>,
    percentile: Percentile,
) -> Drawn {
    let mut rows = Vec::new();
    let mut add = |name: &str, note: &str, values: &[f64], is_ours: bool| {
        if let (Some(mean), Some((low, high))) = (mean(values), extent(values.iter().copied())) {
            let spread = if values.len() > 1 {
                format!(
                    "{note}; {} to {} in {} repeats",
                    figures::short(low),
                    figures::short(high),
                    values.len()
                )
            } else {
                note.to_owned()
            };
            rows.push(bar(name, mean, figures::rate(mean), &spread, is_ours));
        }
    };
    if let Some(drain) = bank.and_then(|bank| bank.drain.as_ref()) {
        let note = format!("{} commands waited", crate::formats::count(drain.commands));
        add("in batches", &note, &drain.per_second, true);
        add(
            "one command at a time",
            "as the article's handlers",
            drain.one_at_a_time_per_second.as_slice(),
            false,
        );
    }
    for (mode, name, is_ours) in [
        ("batches", "in batches", true),
        ("one_at_a_time", "one command at a time", false),
        ("articles_way", "the article's way", false),
    ] {
        let drains = handler
            .map(|handler| handler.drains.as_slice())
            .unwrap_or_default();
        let uniform = drains
            .iter()
            .filter(|drain| drain.mode == mode && drain.workload == "uniform");
        let shortest = uniform.clone().map(|drain| drain.commands).min();
        let values: Vec<f64> = uniform
            .filter(|drain| Some(drain.commands) == shortest)
            .map(|drain| drain.commands_per_second)
            .collect();
        let note = format!(
            "{} commands waited",
            crate::formats::count(shortest.unwrap_or(0))
        );
        add(name, &note, &values, is_ours);
    }
    let finding = rows.first().map_or_else(
        || "This run did not measure the handler alone.".to_owned(),
        |row| format!("From topic to topic the handler answers {}.", row.figure),
    );
    let mut pictures = bars("commands per second, from topic to topic", rows);
    if let Some(handler) = handler {
        // The handler's document has no p95.
        let percentile = match percentile {
            Percentile::P95 => Percentile::P99,
            other => other,
        };
        let points = handler
            .steps
            .iter()
            .map(|step| point(step.rate, &step.outcome, percentile))
            .collect();
        let series: Vec<Series> = line("the handler alone", 1, points, false)
            .into_iter()
            .collect();
        pictures.push(Picture::Lines(lines(
            &format!(
                "from command to outcome, {}, milliseconds (log)",
                percentile.name()
            ),
            "ms",
            &[],
            series,
        )));
    }
    Drawn {
        finding,
        pictures,
        differs: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{api::status::MeasuredResult, results::published};

    fn run(document: &str) -> Run {
        Run::read(MeasuredResult {
            name: "sample".to_owned(),
            measured_at: "2026-11-21T21:50:00Z".to_owned(),
            commit: String::new(),
            machine: String::new(),
            noisy: false,
            verdict: String::new(),
            document: document.to_owned(),
        })
    }

    fn bank() -> Run {
        run(r#"{"version":2,"subject":"bank","machine":{"cores":2},
            "capacity":{"per_second":4757,"failed_per_second":5657,"limited_by":["p99 to the balance is 240 ms"]},
            "painted":{"latency":{"p50_ms":21}},
            "recovery":{"per_second":1000,"flows_again_ms":1771,"caught_up_ms":2400,"lost":0},
            "stages":[{"step":"idle","per_second":5,"samples":96,"total_mean_ms":4.1,"stages":[
                {"name":"reaches the gateway","mean_ms":0.15,"p99_ms":0.3},{"name":"committed","mean_ms":0.75,"p99_ms":1.5}]}],
            "steps":[
              {"name":"idle","offered_per_second":5,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":4.1,"p95_ms":8.2,"p99_ms":9},
               "services":[{"name":"command-handler","cpu_us_per_command":80,"rss_anon_mib":8.1}]},
              {"name":"ladder","offered_per_second":1000,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":9.1}},
              {"name":"bisection","offered_per_second":4757,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":31}},
              {"name":"100 %","offered_per_second":4757,"is_valid":true,"is_kept_up":true,"visible":{"p50_ms":30}},
              {"name":"ladder","offered_per_second":8000,"is_valid":true,"is_kept_up":false,"visible":{"p50_ms":900}}]}"#)
    }

    fn lines_of(drawn: &Drawn) -> &Chart {
        match &drawn.pictures[0] {
            Picture::Lines(chart) => chart,
            Picture::Bars(_) => panic!("bars"),
        }
    }

    #[test]
    fn ours_is_the_first_line_and_has_each_load_it_kept_up_with_once() {
        let drawn = draw(
            Kind::Latency,
            Some(&bank()),
            Some(&published()),
            Percentile::P50,
        );
        let chart = lines_of(&drawn);
        assert_eq!(chart.series.len(), 5);
        let ours = &chart.series[0];
        assert_eq!(
            (ours.name.as_str(), ours.stroke, ours.is_cut),
            (OURS, 1, true)
        );
        let points: Vec<(f64, Option<f64>)> =
            ours.points.iter().map(|point| (point.x, point.y)).collect();
        assert_eq!(
            points,
            [
                (5.0, Some(4.1)),
                (1_000.0, Some(9.1)),
                (4_757.0, Some(30.0))
            ]
        );
        assert!(drawn.finding.contains("in 2019"), "{}", drawn.finding);
        assert_eq!(drawn.differs.len(), 2);
    }

    #[test]
    fn without_a_run_the_published_lines_stand_alone_and_nothing_of_ours_is_made_up() {
        for kind in [
            Kind::Latency,
            Kind::Throughput,
            Kind::Cpu,
            Kind::Memory,
            Kind::Idle,
        ] {
            let drawn = draw(kind, None, Some(&published()), Percentile::P50);
            let is_ours = drawn.pictures.iter().any(|picture| match picture {
                Picture::Lines(chart) => chart.series.iter().any(|series| series.stroke == 1),
                Picture::Bars(bars) => bars.rows.iter().any(|row| row.is_ours),
            });
            assert!(!is_ours, "{kind:?}");
            assert!(
                drawn.finding.contains("2019"),
                "{kind:?}: {}",
                drawn.finding
            );
        }
        for kind in [Kind::Stages, Kind::Recovery, Kind::Handler] {
            let drawn = draw(kind, None, None, Percentile::P50);
            assert!(drawn.pictures.is_empty(), "{kind:?}");
            assert!(drawn.finding.starts_with("This run did not"), "{kind:?}");
        }
    }

    #[test]
    fn every_chart_of_a_run_says_what_it_found() {
        let bank = bank();
        for (kind, finding) in [
            (
                Kind::Throughput,
                "Kept up with 4.757/s through the gateway, 9,1 times where the best of 2019 went above a second.",
            ),
            (
                Kind::Idle,
                "With next to no load half of all changes are seen within 4,1 ms; the quickest of 2019 needed 315 ms.",
            ),
            (
                Kind::Stages,
                "Of 4,1 ms from the client's socket to the pushed change, most goes into this: committed, 0,8 ms.",
            ),
            (
                Kind::Recovery,
                "Killed at 1.000/s, the handler answers again after 1,8 s; commands lost: 0.",
            ),
        ] {
            let drawn = draw(kind, Some(&bank), Some(&published()), Percentile::P50);
            assert_eq!(drawn.finding.replace('\u{a0}', " "), finding, "{kind:?}");
        }
    }

    #[test]
    fn a_run_of_the_handler_alone_is_drawn_from_its_own_document() {
        let handler = run(include_str!(
            "../../../perf/results/2026-11-21-handler-full.json"
        ));
        let drawn = draw(Kind::Handler, Some(&handler), None, Percentile::P99);
        assert_eq!(drawn.pictures.len(), 2);
        assert!(drawn.finding.contains("/s"), "{}", drawn.finding);
        let cpu = draw(
            Kind::Cpu,
            Some(&handler),
            Some(&published()),
            Percentile::P50,
        );
        assert_eq!(lines_of(&cpu).series.len(), 5);
    }
}
