//! Charts as SVG text: no script, readable in print, light and dark by the page's colours.

use std::fmt::Write as _;

use crate::numbers::{float_len, whole};
use crate::verdict::show;

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 48.0;
/// Between two entries of the legend.
const LEGEND_LINE: f64 = 18.0;

/// How numbers are laid out along an axis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scale {
    /// Alike.
    Linear,
    /// By their size; zero has no place.
    Logarithmic,
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub struct Line {
    /// In the legend.
    pub name: String,
    /// From left to right.
    pub points: Vec<(f64, f64)>,
    /// Number of its colour.
    pub colour: usize,
    /// Others' data is dashed.
    pub is_dashed: bool,
}

/// A chart of lines.
#[derive(Clone, Debug)]
pub struct Chart {
    /// Said to who cannot see it, and above it.
    pub title: String,
    /// Under the horizontal axis.
    pub x_label: String,
    /// Beside the vertical axis.
    pub y_label: String,
    /// Of the horizontal axis.
    pub x_scale: Scale,
    /// Of the vertical axis.
    pub y_scale: Scale,
    /// What is drawn.
    pub lines: Vec<Line>,
}

struct Axis {
    scale: Scale,
    least: f64,
    greatest: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn of(scale: Scale, values: impl Iterator<Item = f64>, from: f64, to: f64) -> Axis {
        let (mut least, mut greatest) = (f64::INFINITY, 0.0_f64);
        for value in values {
            least = least.min(value);
            greatest = greatest.max(value);
        }
        if !least.is_finite() {
            (least, greatest) = (1.0, 10.0);
        }
        match scale {
            Scale::Linear => least = 0.0,
            Scale::Logarithmic => {
                least = 10_f64.powf(least.log10().floor());
                greatest = 10_f64.powf(greatest.log10().ceil());
            }
        }
        Axis {
            scale,
            least,
            greatest: if greatest > least {
                greatest
            } else {
                least + 1.0
            },
            from,
            to,
        }
    }

    fn place(&self, value: f64) -> f64 {
        let share = match self.scale {
            Scale::Linear => (value - self.least) / (self.greatest - self.least),
            Scale::Logarithmic => {
                (value / self.least).log10() / (self.greatest / self.least).log10()
            }
        };
        self.from + share * (self.to - self.from)
    }

    fn ticks(&self) -> Vec<f64> {
        match self.scale {
            Scale::Logarithmic => {
                let decades = whole((self.greatest / self.least).log10().round());
                (0..=decades)
                    .map(|it| self.least * 10_f64.powf(crate::numbers::float(it)))
                    .collect()
            }
            Scale::Linear => {
                // One, two or five of a power of ten, about five times.
                let rough = self.greatest / 5.0;
                let power = 10_f64.powf(rough.log10().floor());
                let step = [1.0, 2.0, 5.0, 10.0]
                    .into_iter()
                    .map(|it| it * power)
                    .find(|it| *it >= rough)
                    .unwrap_or(rough);
                let count = whole(self.greatest / step);
                (0..=count)
                    .map(|it| step * crate::numbers::float(it))
                    .collect()
            }
        }
    }
}

/// Text that may stand in markup.
#[must_use]
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

impl Chart {
    /// As SVG; empty without a point.
    #[must_use]
    pub fn svg(&self) -> String {
        let is_drawn = |(x, y): &(f64, f64)| {
            (self.x_scale == Scale::Linear || *x > 0.0)
                && (self.y_scale == Scale::Linear || *y > 0.0)
        };
        let lines: Vec<(&Line, Vec<(f64, f64)>)> = self
            .lines
            .iter()
            .map(|line| {
                (
                    line,
                    line.points
                        .iter()
                        .copied()
                        .filter(is_drawn)
                        .collect::<Vec<_>>(),
                )
            })
            .filter(|(_, points)| !points.is_empty())
            .collect();
        if lines.is_empty() {
            return String::new();
        }
        let points = || lines.iter().flat_map(|(_, points)| points.iter());
        let x = Axis::of(self.x_scale, points().map(|it| it.0), LEFT, WIDTH - RIGHT);
        let y = Axis::of(self.y_scale, points().map(|it| it.1), HEIGHT - BOTTOM, TOP);
        let legend = LEGEND_LINE * float_len(lines.len().div_ceil(2)) + 8.0;
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
            HEIGHT + legend,
            escape(&self.title)
        );
        for tick in y.ticks() {
            let at = y.place(tick);
            let _ = write!(
                text,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 6.0,
                at + 4.0,
                show(tick)
            );
        }
        for tick in x.ticks() {
            let at = x.place(tick);
            let _ = write!(
                text,
                "<line class=\"grid\" y1=\"{TOP}\" y2=\"{}\" x1=\"{at:.1}\" x2=\"{at:.1}\"/>\
                 <text x=\"{at:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                HEIGHT - BOTTOM,
                HEIGHT - BOTTOM + 16.0,
                show(tick)
            );
        }
        let _ = write!(
            text,
            "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\
             <text transform=\"translate(14 {:.1}) rotate(-90)\" text-anchor=\"middle\">{}</text>",
            (LEFT + WIDTH - RIGHT) / 2.0,
            HEIGHT - 12.0,
            escape(&self.x_label),
            (TOP + HEIGHT - BOTTOM) / 2.0,
            escape(&self.y_label)
        );
        for (index, (line, points)) in lines.iter().enumerate() {
            let class = if line.is_dashed {
                "line dashed"
            } else {
                "line"
            };
            let colour = format!("style=\"--c:var(--c{})\"", line.colour);
            let path: Vec<String> = points
                .iter()
                .map(|(at_x, at_y)| format!("{:.1},{:.1}", x.place(*at_x), y.place(*at_y)))
                .collect();
            let _ = write!(
                text,
                "<polyline class=\"{class}\" {colour} points=\"{}\"/>",
                path.join(" ")
            );
            if !line.is_dashed {
                for place in &path {
                    let (at_x, at_y) = place.split_once(',').unwrap_or(("0", "0"));
                    let _ = write!(
                        text,
                        "<circle class=\"dot\" {colour} cx=\"{at_x}\" cy=\"{at_y}\" r=\"3\"/>"
                    );
                }
            }
            let column = if index % 2 == 0 { LEFT } else { WIDTH / 2.0 };
            let at = HEIGHT + LEGEND_LINE * float_len(index / 2) + 6.0;
            let _ = write!(
                text,
                "<line class=\"{class}\" {colour} x1=\"{column}\" x2=\"{}\" y1=\"{at}\" y2=\"{at}\"/>\
                 <text x=\"{}\" y=\"{}\">{}</text>",
                column + 24.0,
                column + 30.0,
                at + 4.0,
                escape(&line.name)
            );
        }
        text.push_str("</svg>");
        text
    }
}

/// One bar of several parts, each with its name and size; several bars are to the same scale.
#[must_use]
pub fn bars(title: &str, unit: &str, bars: &[(String, Vec<(String, f64)>)]) -> String {
    const BAR: f64 = 34.0;
    const LABEL: f64 = 20.0;
    let sum = |parts: &[(String, f64)]| parts.iter().map(|(_, size)| size).sum::<f64>();
    let greatest = bars.iter().map(|(_, parts)| sum(parts)).fold(0.0, f64::max);
    let names: Vec<&String> = bars
        .iter()
        .flat_map(|(_, parts)| parts.iter().map(|(name, _)| name))
        .fold(Vec::new(), |mut names, name| {
            if !names.contains(&name) {
                names.push(name);
            }
            names
        });
    if greatest <= 0.0 {
        return String::new();
    }
    let body = (BAR + LABEL + 8.0) * float_len(bars.len());
    let height = body + LEGEND_LINE * float_len(names.len().div_ceil(2)) + 16.0;
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{}\">",
        escape(title)
    );
    for (row, (label, parts)) in bars.iter().enumerate() {
        let top = (BAR + LABEL + 8.0) * float_len(row);
        let _ = write!(
            text,
            "<text x=\"0\" y=\"{:.1}\">{}: {} {unit}</text>",
            top + 14.0,
            escape(label),
            show(sum(parts))
        );
        let mut left = 0.0;
        for (name, size) in parts {
            let width = size / greatest * WIDTH;
            let colour = names.iter().position(|it| *it == name).unwrap_or(0);
            let _ = write!(
                text,
                "<rect class=\"part\" style=\"--c:var(--c{colour})\" x=\"{left:.1}\" y=\"{:.1}\" width=\"{width:.1}\" \
                 height=\"{BAR}\"><title>{}: {} {unit}</title></rect>",
                top + LABEL,
                escape(name),
                show(*size)
            );
            if width > 40.0 {
                let _ = write!(
                    text,
                    "<text class=\"on\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
                    left + width / 2.0,
                    top + LABEL + BAR / 2.0 + 4.0,
                    show(*size)
                );
            }
            left += width;
        }
    }
    for (index, name) in names.iter().enumerate() {
        let column = if index % 2 == 0 { 0.0 } else { WIDTH / 2.0 };
        let at = body + LEGEND_LINE * float_len(index / 2);
        let _ = write!(
            text,
            "<rect class=\"part\" style=\"--c:var(--c{index})\" x=\"{column}\" y=\"{at:.1}\" width=\"12\" height=\"12\"/>\
             <text x=\"{}\" y=\"{:.1}\">{}</text>",
            column + 18.0,
            at + 11.0,
            escape(name)
        );
    }
    text.push_str("</svg>");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chart(points: Vec<(f64, f64)>) -> Chart {
        Chart {
            title: "a < b".to_owned(),
            x_label: "x".to_owned(),
            y_label: "y".to_owned(),
            x_scale: Scale::Logarithmic,
            y_scale: Scale::Linear,
            lines: vec![Line {
                name: "ours & theirs".to_owned(),
                points,
                colour: 0,
                is_dashed: false,
            }],
        }
    }

    #[test]
    fn a_chart_keeps_its_points_within_its_frame_and_its_text_harmless() {
        let svg = chart(vec![(0.0, 1.0), (10.0, 5.0), (999.0, 20.0)]).svg();
        assert!(svg.contains("ours &amp; theirs") && svg.contains("a &lt; b"));
        assert_eq!(
            svg.matches("<circle").count(),
            2,
            "zero has no place: {svg}"
        );
        assert!(!svg.contains("NaN") && !svg.contains("inf"));
        for outside in ["cx=\"-", "cy=\"-", "x1=\"-", "y1=\"-"] {
            assert!(!svg.contains(outside), "{outside}: {svg}");
        }
        assert_eq!(chart(Vec::new()).svg(), "");
    }

    #[test]
    fn bars_are_to_one_scale() {
        let part = |size| vec![("one".to_owned(), size), ("two".to_owned(), size)];
        let svg = bars(
            "t",
            "ms",
            &[("a".to_owned(), part(1.0)), ("b".to_owned(), part(2.0))],
        );
        assert!(
            svg.contains("width=\"190.0\"") && svg.contains("width=\"380.0\""),
            "{svg}"
        );
        assert_eq!(bars("t", "ms", &[]), "");
    }
}
