//! Charts as geometry: lines over an axis, bars from zero. Where each thing stands is counted here and tested; the
//! components only draw it, once wide and once narrow.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "places on a screen, not money"
)]

use std::fmt::Write as _;

use crate::{
    figures,
    scale::{Range, Spacing},
};

/// One measured place of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct Point {
    /// Along the axis.
    pub x: f64,
    /// Height; None is a gap in the line.
    pub y: Option<f64>,
    /// What else was measured there, in the order of [`Chart::also`].
    pub also: Vec<f64>,
}

/// One line of a chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Stands at its end.
    pub name: String,
    /// Which of the six strokes, 1 to 6; 1 is always ours.
    pub stroke: u8,
    /// From left to right.
    pub points: Vec<Point>,
    /// Beyond its last point it could not go on: a cross stands there.
    pub is_cut: bool,
}

/// Lines over one axis.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What is drawn upward, with its unit.
    pub y_title: String,
    /// What is drawn to the right, with its unit.
    pub x_title: String,
    /// Unit of the axis at the bottom, beside a figure.
    pub x_unit: String,
    /// Scale upward.
    pub y: Range,
    /// Scale to the right.
    pub x: Range,
    /// Unit of the heights.
    pub unit: String,
    /// Names of what [`Point::also`] holds.
    pub also: Vec<String>,
    /// Ours first.
    pub series: Vec<Series>,
}

/// The rectangle the lines are in, within the picture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Plot {
    /// Width of the picture.
    pub width: f64,
    /// Height of the picture.
    pub height: f64,
    /// Room for figures.
    pub left: f64,
    /// Room for names.
    pub right: f64,
    /// Room above.
    pub top: f64,
    /// Room for figures.
    pub bottom: f64,
}

impl Plot {
    /// For a large screen: names stand at the ends of the lines.
    pub const WIDE: Self = Self {
        width: 800.0,
        height: 380.0,
        left: 56.0,
        right: 184.0,
        top: 12.0,
        bottom: 32.0,
    };
    /// For a part of a large screen.
    pub const MIDDLE: Self = Self {
        width: 620.0,
        height: 300.0,
        left: 48.0,
        right: 56.0,
        top: 12.0,
        bottom: 32.0,
    };
    /// For a telephone: names stand below.
    pub const NARROW: Self = Self {
        width: 288.0,
        height: 240.0,
        left: 40.0,
        right: 8.0,
        top: 8.0,
        bottom: 28.0,
    };

    /// Where a value stands from the left.
    #[must_use]
    pub fn x(&self, range: &Range, value: f64) -> f64 {
        self.left + range.share(value) * (self.width - self.left - self.right)
    }

    /// Where a value stands from above.
    #[must_use]
    pub fn y(&self, range: &Range, value: f64) -> f64 {
        let inner = self.height - self.top - self.bottom;
        self.top + (1.0 - range.share(value)) * inner
    }

    /// Right end of the lines.
    #[must_use]
    pub fn x_end(&self) -> f64 {
        self.width - self.right
    }

    /// Lower end of the lines.
    #[must_use]
    pub fn y_end(&self) -> f64 {
        self.height - self.bottom
    }
}

/// A name at the end of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct EndName {
    /// Which line.
    pub series: usize,
    /// Where its line ends.
    pub line: (f64, f64),
    /// Where its name stands from above, away from the other names.
    pub y: f64,
}

impl Chart {
    /// A line through the points, broken at the gaps.
    #[must_use]
    pub fn path(&self, series: &Series, plot: &Plot) -> String {
        let mut path = String::new();
        let mut pen_is_up = true;
        for point in &series.points {
            let Some(y) = point.y else {
                pen_is_up = true;
                continue;
            };
            let command = if pen_is_up { 'M' } else { 'L' };
            let (x, y) = (plot.x(&self.x, point.x), plot.y(&self.y, y));
            write!(path, "{command}{x:.1} {y:.1}").expect("a String takes what is written");
            pen_is_up = false;
        }
        path
    }

    /// Where the marks of a line stand.
    #[must_use]
    pub fn places(&self, series: &Series, plot: &Plot) -> Vec<(f64, f64)> {
        let place = |point: &Point| {
            let y = point.y?;
            Some((plot.x(&self.x, point.x), plot.y(&self.y, y)))
        };
        series.points.iter().filter_map(place).collect()
    }

    /// Names at the ends, so far apart that each can be read.
    #[must_use]
    pub fn end_names(&self, plot: &Plot) -> Vec<EndName> {
        const APART: f64 = 20.0;
        let mut names: Vec<EndName> = self
            .series
            .iter()
            .enumerate()
            .filter_map(|(series, line)| {
                let end = self.places(line, plot).pop()?;
                Some(EndName {
                    series,
                    line: end,
                    y: end.1,
                })
            })
            .collect();
        let wanted: Vec<f64> = names.iter().map(|name| name.y).collect();
        let found = spread(&wanted, APART, plot.top + APART / 2.0, plot.y_end());
        for (name, y) in names.iter_mut().zip(found) {
            name.y = y;
        }
        names
    }

    /// Every value of the lower axis at which something was measured, rising.
    #[must_use]
    pub fn readable_at(&self) -> Vec<f64> {
        let points = self.series.iter().flat_map(|series| &series.points);
        let mut values: Vec<f64> = points
            .filter(|point| point.y.is_some())
            .map(|point| point.x)
            .collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        values
    }

    /// What each line says near a value of the lower axis; None where it was not measured near it.
    #[must_use]
    pub fn read(&self, at: f64) -> Vec<(&Series, Option<&Point>)> {
        /// Of the width of the axis.
        const NEAR: f64 = 0.08;
        let share = self.x.share(at);
        let away = |point: &Point| (self.x.share(point.x) - share).abs();
        self.series
            .iter()
            .map(|series| {
                let measured = series.points.iter().filter(|point| point.y.is_some());
                let nearest = measured.min_by(|one, other| away(one).total_cmp(&away(other)));
                (series, nearest.filter(|point| away(point) <= NEAR))
            })
            .collect()
    }

    /// What a line says at a place: its figures, and where exactly they were measured when that is not just there.
    #[must_use]
    pub fn value_in_words(&self, point: Option<&Point>, at: Option<f64>) -> String {
        let Some((point, y)) = point.and_then(|point| Some((point, point.y?))) else {
            return "not measured here".to_owned();
        };
        let figures = if point.also.is_empty() {
            figures::precise(y)
        } else {
            let named = self.also.iter().zip(&point.also);
            let named = named.map(|(name, value)| format!("{name} {}", figures::precise(*value)));
            named.collect::<Vec<_>>().join(", ")
        };
        let unit = &self.unit;
        let away = at.map_or(0.0, |at| (self.x.share(at) - self.x.share(point.x)).abs());
        if away > 0.01 {
            let place = figures::whole_or_short(point.x);
            format!("{figures} {unit} at {place}{}", self.x_unit)
        } else {
            format!("{figures} {unit}")
        }
    }

    /// The figures as comma-separated values, with a point as decimal mark.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = format!("series,{},{}", field(&self.x_title), field(&self.y_title));
        for name in &self.also {
            write!(text, ",{}", field(name)).expect("a String takes what is written");
        }
        text.push_str("\r\n");
        for series in &self.series {
            for point in &series.points {
                let y = point.y.map(|y| y.to_string()).unwrap_or_default();
                write!(text, "{},{},{y}", field(&series.name), point.x)
                    .expect("a String takes what is written");
                for value in &point.also {
                    write!(text, ",{value}").expect("a String takes what is written");
                }
                text.push_str("\r\n");
            }
        }
        text
    }
}

/// Quotes a text where a comma or quote would part it.
fn field(text: &str) -> String {
    if text.contains([',', '"', '\n']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

/// A figure beside a tick; only major ticks have one, and on a narrow picture of a long scale only powers of ten.
#[must_use]
pub fn tick_figure(range: &Range, value: f64, is_narrow: bool) -> Option<String> {
    let tick = range.ticks.iter().find(|tick| tick.value == value)?;
    let is_long = range.spacing == Spacing::Log && range.to / range.from > 300.0;
    let digit = value / 10_f64.powf(value.log10().floor());
    let is_power_of_ten = (digit - 1.0).abs() < 0.01;
    if !tick.is_major || (is_narrow && is_long && !is_power_of_ten) {
        return None;
    }
    Some(if value == 0.0 {
        "0".to_owned()
    } else if value.abs() < 1.0 {
        figures::precise(value)
            .trim_end_matches('0')
            .trim_end_matches([',', '.'])
            .to_owned()
    } else {
        figures::whole_or_short(value)
    })
}

/// Moves values apart, each as little as it must, within bounds where there is room.
fn spread(wanted: &[f64], apart: f64, low: f64, high: f64) -> Vec<f64> {
    let mut order: Vec<usize> = (0..wanted.len()).collect();
    order.sort_by(|one, other| wanted[*one].total_cmp(&wanted[*other]));
    let mut found = wanted.to_vec();
    let mut least = low;
    for place in &order {
        found[*place] = found[*place].max(least);
        least = found[*place] + apart;
    }
    let mut most = high;
    for place in order.iter().rev() {
        found[*place] = found[*place].min(most);
        most = found[*place] - apart;
    }
    found
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// Stands before it.
    pub name: String,
    /// How long it is.
    pub value: f64,
    /// The figure with its unit.
    pub figure: String,
    /// What must be known beside it.
    pub note: String,
    /// Drawn in the colour of ours.
    pub is_ours: bool,
}

/// Bars from zero, under each other.
#[derive(Clone, Debug, PartialEq)]
pub struct Bars {
    /// What is measured, with its unit.
    pub title: String,
    /// Ours first.
    pub rows: Vec<Bar>,
}

impl Bars {
    /// From zero to at least the longest.
    #[must_use]
    pub fn range(&self) -> Range {
        Range::from_zero(self.rows.iter().map(|row| row.value))
    }

    /// The figures as comma-separated values.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut text = format!("name,{},note\r\n", field(&self.title));
        for row in &self.rows {
            write!(
                text,
                "{},{},{}\r\n",
                field(&row.name),
                row.value,
                field(&row.note)
            )
            .expect("a String takes what is written");
        }
        text
    }

    /// Share of the width, in percent.
    #[must_use]
    pub fn share_percent(&self, value: f64) -> f64 {
        self.range().share(value) * 100.0
    }
}

/// Least of many and most of many.
#[must_use]
pub fn extent(values: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let mut extent: Option<(f64, f64)> = None;
    for value in values {
        let (low, high) = extent.unwrap_or((value, value));
        extent = Some((low.min(value), high.max(value)));
    }
    extent
}

/// Mean of many; None of none.
#[must_use]
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

#[cfg(test)]
mod tests;
