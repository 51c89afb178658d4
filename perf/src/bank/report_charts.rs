//! The charts of the report: ours over load, and what was published in 2019 beside it.

use super::figures::cpu_us;
use super::published::Published;
use super::results::{Results, Step};
use super::run::{GATEWAY, HANDLER};
use super::svg::{Chart, Line, Scale};

/// The parts whose costs are drawn.
const PARTS: [&str; 4] = [HANDLER, GATEWAY, "postgres", "kafka"];

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

pub(super) fn latency_over_load(results: &Results, published: &Published) -> Chart {
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

pub(super) fn cpu_over_load(results: &Results) -> Chart {
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

pub(super) fn memory_over_load(results: &Results, published: &Published) -> Chart {
    let steps = by_load(results);
    let line = |colour: usize, part: &str| Line {
        name: format!("{part}, RssAnon"),
        points: steps
            .iter()
            .filter_map(|it| Some((it.offered_per_second, it.own_mib(part)?)))
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

pub(super) fn handler_cpu_per_command(results: &Results, published: &Published) -> Chart {
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
