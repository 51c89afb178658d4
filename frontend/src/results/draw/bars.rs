//! Bars from zero: what has one figure, or a few beside each other.

#![expect(clippy::float_arithmetic, reason = "measured, not money")]

use super::{
    OURS, differs, none_of_ours,
    over_load::{line, lines, point},
};
use crate::{
    chart::{Bar, Bars, Series, extent, mean},
    figures,
    results::{BankDocument, Drawn, HandlerDocument, Percentile, Picture, Published},
};

fn bar(name: &str, value: f64, figure: String, note: &str, is_ours: bool) -> Bar {
    Bar {
        name: name.to_owned(),
        value,
        figure,
        note: note.to_owned(),
        is_ours,
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

pub(super) fn throughput(bank: Option<&BankDocument>, published: Option<&Published>) -> Drawn {
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
            "In 2019 p95 went above a second at {} to {}. {}",
            figures::whole_or_short(low),
            per_second(high),
            none_of_ours(bank.is_some())
        ),
        (None, None) if bank.is_some() => none_of_ours(true).to_owned(),
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

pub(super) fn idle(bank: Option<&BankDocument>, published: Option<&Published>) -> Drawn {
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
        let visible = idle.and_then(|step| step.visible);
        if let Some(latency) = visible.filter(|it| it.p50_ms > 0.0) {
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
    // In the page beside in the page, where ours was measured there.
    let ours = rows.first().filter(|row| row.is_ours).map(|row| {
        let is_painted = bank.is_some_and(|bank| bank.painted.is_some());
        let how = if is_painted {
            "painted"
        } else {
            "at the client's socket"
        };
        format!(
            "With next to no load half of all changes are {how} within {}",
            row.figure
        )
    });
    let theirs = rows.iter().filter(|row| !row.is_ours);
    let theirs = extent(theirs.map(|row| row.value)).map(|(low, _)| figures::milliseconds(low));
    let finding = match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            format!("{ours}; the quickest of 2019 needed {theirs} to the page.")
        }
        (Some(ours), None) => format!("{ours}."),
        (None, Some(theirs)) => format!(
            "The quickest of 2019 needed {theirs} with no other load. {}",
            none_of_ours(bank.is_some())
        ),
        (None, None) if bank.is_some() => none_of_ours(true).to_owned(),
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

pub(super) fn stages(bank: Option<&BankDocument>) -> Drawn {
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

pub(super) fn recovery(bank: Option<&BankDocument>, handler: Option<&HandlerDocument>) -> Drawn {
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

pub(super) fn handler_alone(
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
            .filter_map(|step| point(step.rate, &step.outcome, percentile))
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
