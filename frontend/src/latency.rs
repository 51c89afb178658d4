//! The last minutes of latency as a chart: percentiles of each window, gaps where nothing was measured.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "time on a screen, not money"
)]

use crate::{
    api::status::{LatencyWindow, Status},
    chart::{Chart, Point, Series, extent},
    figures,
    scale::Range,
};

/// How far the chart looks back.
const SECONDS_BACK: f64 = 300.0;
const MICROS_PER_SECOND: f64 = 1_000_000.0;

/// Lines of p50, p95 and p99 over the seconds before now; None when nothing was measured.
#[must_use]
pub fn chart(status: &Status) -> Option<Chart> {
    let now = figures::micros_of(&status.at)?;
    let line = |name: &str, stroke, read: fn(&LatencyWindow) -> Option<f64>| Series {
        name: name.to_owned(),
        stroke,
        points: status
            .latency
            .iter()
            .filter_map(|window| {
                let from = figures::micros_of(&window.from)?;
                let end = (from - now) as f64 / MICROS_PER_SECOND + f64::from(window.seconds);
                (end >= -SECONDS_BACK && end <= f64::from(window.seconds)).then(|| Point {
                    x: end.min(0.0),
                    y: read(window),
                    also: Vec::new(),
                })
            })
            .collect(),
        is_cut: false,
    };
    let series = vec![
        line("p50", 1, |window| window.p50_ms),
        line("p95", 2, |window| window.p95_ms),
        line("p99", 3, |window| window.p99_ms),
    ];
    let values = || {
        series
            .iter()
            .flat_map(|series| series.points.iter().filter_map(|point| point.y))
    };
    extent(values())?;
    Some(Chart {
        y_title: "from request to push, milliseconds (log)".to_owned(),
        x_title: "seconds before now".to_owned(),
        x_unit: " s".to_owned(),
        unit: "ms".to_owned(),
        y: Range::log(values()),
        x: Range::linear(-SECONDS_BACK, 0.0),
        also: Vec::new(),
        series,
    })
}

/// The newest window in words, for the caption.
#[must_use]
pub fn finding(status: &Status) -> String {
    let newest = status
        .latency
        .iter()
        .rev()
        .find_map(|window| Some((window, window.p50_ms?, window.p99_ms?)));
    match newest {
        None => "Nothing was measured in the last minutes.".to_owned(),
        Some((window, p50, p99)) => format!(
            "From a request to the push of its change: p50 {}, p99 {} in the newest {}\u{a0}s with payments ({}).",
            figures::milliseconds(p50),
            figures::milliseconds(p99),
            window.seconds,
            figures::counted(window.count, "measured", "measured"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::sample;

    #[test]
    fn windows_stand_at_their_end_and_an_empty_one_is_a_gap() {
        let chart = chart(&sample()).unwrap();
        let points: Vec<(f64, Option<f64>)> = chart.series[0]
            .points
            .iter()
            .map(|point| (point.x, point.y))
            .collect();
        assert_eq!(
            points,
            [(-12.0, Some(5.2)), (-7.0, None), (-2.0, Some(5.4))]
        );
        assert_eq!(chart.x.share(0.0), 1.0);
        let mut silent = sample();
        silent.latency.clear();
        assert_eq!(super::chart(&silent), None);
        assert!(finding(&silent).starts_with("Nothing"));
        assert!(finding(&sample()).contains("p50 5,4"));
    }
}
