//! One run beside another, or beside what was published.

#![expect(clippy::float_arithmetic, reason = "measured, not money")]

use super::{BankDocument, Figure, Published};
use crate::{chart::extent, figures};

/// The loads at which the handlers of 2019 are compared.
const PUBLISHED_LOAD: f64 = 300.0;
const PERCENT_OF_A_CORE_TO_MS: f64 = 10.0;

/// What a run is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// The article's figures.
    Published,
    /// Another run, by its name.
    Run(String),
    /// Nothing.
    Nothing,
}

/// One line of a comparison with 2019.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublishedRow {
    /// With its unit.
    pub what: &'static str,
    /// None when this run did not measure it.
    pub ours: Option<String>,
    /// The best of 2019, and whose it was.
    pub best: String,
    /// From least to most.
    pub range: String,
    /// How many times ours is better than their best.
    pub factor: Option<String>,
}

/// A run beside 2019.
#[must_use]
pub fn against_published(bank: Option<&BankDocument>, published: &Published) -> Vec<PublishedRow> {
    let ours_at = |load: f64| {
        let steps = bank.map(|bank| bank.steps.as_slice()).unwrap_or_default();
        let kept_up = steps
            .iter()
            .filter(|step| step.is_kept_up && step.offered_per_second > 0.0);
        kept_up.min_by(|one, other| {
            let away = |step: &super::Step| (step.offered_per_second / load).ln().abs();
            away(one).total_cmp(&away(other))
        })
    };
    let near = ours_at(PUBLISHED_LOAD);
    let painted = bank.and_then(|bank| Some(bank.painted.as_ref()?.latency.p50_ms));
    let row = |what, ours: Option<f64>, theirs: Vec<(f64, &str)>, is_lower_better: bool| {
        // Nothing comes for nothing: a zero was not measured.
        let ours = ours.filter(|ours| *ours > 0.0);
        let (low, high) = extent(theirs.iter().map(|(value, _)| *value))?;
        let best = if is_lower_better { low } else { high };
        let (_, whose) = theirs
            .iter()
            .find(|(value, _)| (value - best).abs() < f64::EPSILON)?;
        let factor = ours.filter(|_| best > 0.0).map(|ours| {
            let factor = if is_lower_better {
                best / ours
            } else {
                ours / best
            };
            format!("{} ×", figures::precise(factor))
        });
        Some(PublishedRow {
            what,
            ours: ours.map(figures::precise),
            best: format!("{} ({whose})", figures::precise(best)),
            range: format!("{} to {}", figures::precise(low), figures::precise(high)),
            factor,
        })
    };
    let at = |column: &str, load: f64, factor: f64| {
        let handlers = published.handlers.iter();
        handlers
            .filter_map(|handler| Some((handler.at(column, load)? * factor, handler.name.as_str())))
            .collect::<Vec<_>>()
    };
    let saturation = published
        .handlers
        .iter()
        .map(|handler| (handler.p95_above_1_s_from_per_second, handler.name.as_str()))
        .collect();
    let capacity = bank
        .and_then(|bank| bank.capacity.as_ref())
        .map(|capacity| capacity.per_second);
    let handler = near.and_then(super::Step::handler);
    [
        row(
            "Idle, p50, in the page, ms",
            painted,
            at("p50_ms", 0.0, 1.0),
            true,
        ),
        row(
            "Load kept up with; 2019: p95 above 1 s from, /s",
            capacity,
            saturation,
            false,
        ),
        row(
            "Handler CPU per command near 300/s, ms",
            handler
                .and_then(|used| used.cpu_us_per_command)
                .map(|us| us / 1_000.0),
            at(
                "handler_cpu_percent_of_a_core",
                PUBLISHED_LOAD,
                PERCENT_OF_A_CORE_TO_MS / PUBLISHED_LOAD,
            ),
            true,
        ),
        row(
            "Handler memory near 300/s, MiB",
            handler.and_then(|used| used.rss_anon_mib),
            at("handler_memory_mib", PUBLISHED_LOAD, 1.0),
            true,
        ),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// One line of a comparison of two runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureRow {
    /// With its unit.
    pub what: String,
    /// Of this run, with the spread of its repeats.
    pub this: String,
    /// Of the other; None when it did not measure it.
    pub other: Option<String>,
    /// This divided by the other.
    pub factor: Option<String>,
    /// Whether this is the better one by more than both spreads; None when it cannot be told.
    pub is_better: Option<bool>,
}

/// A run beside another, by the names of their figures.
#[must_use]
pub fn against_run(this: &BankDocument, other: Option<&BankDocument>) -> Vec<FigureRow> {
    let rows = this.figures.iter().map(|figure| {
        let found =
            other.and_then(|other| other.figures.iter().find(|known| known.name == figure.name));
        let factor = found
            .filter(|found| found.value > 0.0)
            .map(|found| format!("{} ×", figures::precise(figure.value / found.value)));
        FigureRow {
            what: if figure.unit.is_empty() {
                figure.what.clone()
            } else {
                format!("{}, {}", figure.what, figure.unit)
            },
            this: with_spread(figure),
            other: found.map(with_spread),
            factor,
            is_better: found.and_then(|found| is_better(figure, found)),
        }
    });
    rows.collect()
}

fn spread(figure: &Figure) -> (f64, f64) {
    (
        figure.least.unwrap_or(figure.value),
        figure.greatest.unwrap_or(figure.value),
    )
}

fn with_spread(figure: &Figure) -> String {
    let (least, greatest) = spread(figure);
    let value = figures::precise(figure.value);
    if greatest > least {
        format!(
            "{value} ({} to {})",
            figures::precise(least),
            figures::precise(greatest)
        )
    } else {
        value
    }
}

fn is_better(this: &Figure, other: &Figure) -> Option<bool> {
    let ((low, high), (other_low, other_high)) = (spread(this), spread(other));
    let is_lower_better = this.better == "lower";
    if high < other_low {
        Some(is_lower_better)
    } else if low > other_high {
        Some(!is_lower_better)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::{Document, published};

    fn figure(value: f64, least: f64, greatest: f64) -> Figure {
        Figure {
            name: "idle".to_owned(),
            what: "idle".to_owned(),
            unit: "ms".to_owned(),
            value,
            least: Some(least),
            greatest: Some(greatest),
            better: "lower".to_owned(),
        }
    }

    #[test]
    fn beside_2019_every_figure_has_the_best_its_owner_and_the_range() {
        let rows = against_published(None, &published());
        assert_eq!(rows.len(), 4);
        assert_eq!(rows[1].best, "520 (Clojure)");
        assert_eq!(rows[1].range, "390 to 520");
        assert!(
            rows.iter()
                .all(|row| row.ours.is_none() && row.factor.is_none())
        );
    }

    #[test]
    fn what_a_run_could_not_measure_is_not_made_up_beside_2019() {
        let text = r#"{"version":2,"subject":"bank","steps":[{"is_kept_up":true,"offered_per_second":300,
            "name":"idle","visible":{"p50_ms":4},"services":[{"name":"command-handler","cpu_us_per_command":0,"rss_anon_mib":null}]}]}"#;
        let Document::Bank(bank) = Document::read(text) else {
            panic!("not read")
        };
        for row in against_published(Some(&bank), &published()) {
            assert_eq!((row.ours, row.factor), (None, None), "{}", row.what);
        }
    }

    #[test]
    fn of_two_runs_one_is_better_only_beyond_both_spreads() {
        let run = |figure| BankDocument {
            figures: vec![figure],
            ..BankDocument::default()
        };
        let this = run(figure(4.0, 3.9, 4.2));
        for (other, is_better) in [
            (figure(5.0, 4.5, 5.5), Some(true)),
            (figure(3.0, 2.8, 3.2), Some(false)),
            (figure(4.1, 4.0, 4.4), None),
        ] {
            let rows = against_run(&this, Some(&run(other)));
            assert_eq!(rows[0].is_better, is_better);
        }
        let alone = against_run(&this, None);
        assert_eq!(alone[0].this, "4,00 (3,90 to 4,20)");
        assert_eq!(alone[0].other, None);
    }
}
