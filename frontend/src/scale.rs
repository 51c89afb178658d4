//! Scales with ticks, wherever something is measured: the steps of the load, axes of charts, the time line.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "places on a screen, not money"
)]

/// What the load can be set to on the scale, commands per second; the pace-maker makes no more than the last.
pub const LOAD_STEPS: [u32; 10] = [0, 1, 10, 50, 100, 200, 400, 700, 1_000, 2_000];

/// The step nearest to a rate.
#[must_use]
pub fn load_step(rate: u32) -> usize {
    let place = load_share(f64::from(rate)) * (LOAD_STEPS.len() - 1) as f64;
    let nearest = (0..LOAD_STEPS.len()).min_by(|one, other| {
        let away = |step: &usize| (*step as f64 - place).abs();
        away(one).total_cmp(&away(other))
    });
    nearest.unwrap_or(0)
}

/// Where a rate stands on the scale of the load, 0 to 1; between two steps in proportion.
#[must_use]
pub fn load_share(rate: f64) -> f64 {
    let last = LOAD_STEPS.len() - 1;
    let above = LOAD_STEPS
        .iter()
        .position(|step| f64::from(*step) >= rate)
        .unwrap_or(last);
    if above == 0 {
        return 0.0;
    }
    let (low, high) = (
        f64::from(LOAD_STEPS[above - 1]),
        f64::from(LOAD_STEPS[above]),
    );
    let within = ((rate - low) / (high - low)).clamp(0.0, 1.0);
    ((above - 1) as f64 + within) / last as f64
}

/// How an axis counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spacing {
    /// Equal steps.
    Linear,
    /// Equal factors.
    Log,
}

/// A mark on an axis.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tick {
    /// Value.
    pub value: f64,
    /// Whether it is long and has its figure beside it.
    pub is_major: bool,
}

/// Part of the numbers, as an axis shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Range {
    /// How it counts.
    pub spacing: Spacing,
    /// Where it begins.
    pub from: f64,
    /// Where it ends, more than `from`.
    pub to: f64,
    /// Its marks, rising.
    pub ticks: Vec<Tick>,
}

impl Range {
    /// From zero, in round steps, to at least the largest value.
    #[must_use]
    pub fn from_zero(values: impl IntoIterator<Item = f64>) -> Self {
        Self::linear(0.0, largest(values))
    }

    /// From one value to another, in round steps, ending on a step.
    #[must_use]
    pub fn linear(from: f64, to: f64) -> Self {
        const STEPS_ABOUT: f64 = 5.0;
        const MINOR_PER_MAJOR: i32 = 5;
        let span = if to > from { to - from } else { 1.0 };
        let rough = span / STEPS_ABOUT;
        let decade = 10_f64.powf(rough.log10().floor());
        let factor = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .find(|factor| factor * decade >= rough * 0.999)
            .unwrap_or(10.0);
        let step = factor * decade;
        let majors = (span / step - 1e-9).ceil().max(1.0) as i32;
        let ticks = (0..=majors * MINOR_PER_MAJOR)
            .map(|place| Tick {
                value: from + step * f64::from(place) / f64::from(MINOR_PER_MAJOR),
                is_major: place % MINOR_PER_MAJOR == 0,
            })
            .collect();
        Self {
            spacing: Spacing::Linear,
            from,
            to: from + step * f64::from(majors),
            ticks,
        }
    }

    /// Around all values above zero, from and to 1, 3, 10, 30 ...
    #[must_use]
    pub fn log(values: impl IntoIterator<Item = f64>) -> Self {
        let positive: Vec<f64> = values.into_iter().filter(|value| *value > 0.0).collect();
        let smallest = positive.iter().copied().fold(f64::INFINITY, f64::min);
        let (smallest, largest) = if smallest.is_finite() {
            (smallest, largest(positive))
        } else {
            (1.0, 10.0)
        };
        let from = round_half_decade(smallest, f64::floor);
        let mut to = round_half_decade(largest, f64::ceil);
        if to <= from {
            to = from * 10.0;
        }
        let mut ticks = Vec::new();
        let first_decade = from.log10().floor() as i32;
        let last_decade = to.log10().ceil() as i32;
        for decade in first_decade..=last_decade {
            for digit in 1..=9 {
                let value = f64::from(digit) * 10_f64.powi(decade);
                if value >= from * 0.999 && value <= to * 1.001 {
                    ticks.push(Tick {
                        value,
                        is_major: digit == 1 || digit == 3,
                    });
                }
            }
        }
        Self {
            spacing: Spacing::Log,
            from,
            to,
            ticks,
        }
    }

    /// Where a value stands, 0 to 1; held at the ends.
    #[must_use]
    pub fn share(&self, value: f64) -> f64 {
        let share = match self.spacing {
            Spacing::Linear => (value - self.from) / (self.to - self.from),
            Spacing::Log => (value.max(self.from) / self.from).ln() / (self.to / self.from).ln(),
        };
        share.clamp(0.0, 1.0)
    }
}

fn largest(values: impl IntoIterator<Item = f64>) -> f64 {
    values.into_iter().fold(0.0, f64::max)
}

/// To 1 or 3 times a power of ten, downward or upward.
fn round_half_decade(value: f64, round: fn(f64) -> f64) -> f64 {
    let nearly = |one: f64, other: f64| (one / other - 1.0).abs() < 1e-9;
    let decade = 10_f64.powf(value.log10().floor());
    let marks = [decade, 3.0 * decade, 10.0 * decade];
    let is_up = round(0.5) > 0.0;
    let found = if is_up {
        marks
            .into_iter()
            .find(|mark| *mark >= value || nearly(*mark, value))
    } else {
        marks
            .into_iter()
            .rev()
            .find(|mark| *mark <= value || nearly(*mark, value))
    };
    found.unwrap_or(decade)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_stands_between_its_steps_in_proportion() {
        for (rate, share) in [
            (0.0, 0.0),
            (0.5, 0.5 / 9.0),
            (1.0, 1.0 / 9.0),
            (150.0, 4.5 / 9.0),
            (400.0, 6.0 / 9.0),
            (2_000.0, 1.0),
            (9_000.0, 1.0),
        ] {
            assert!((load_share(rate) - share).abs() < 1e-9, "{rate}");
        }
        for (rate, step) in [
            (0, 0),
            (1, 1),
            (398, 6),
            (399, 6),
            (2_000, 9),
            (4_000_000, 9),
        ] {
            assert_eq!(load_step(rate), step, "{rate}");
        }
    }

    #[test]
    fn a_linear_axis_counts_in_round_steps_from_its_begin() {
        let range = Range::from_zero([3.0, 5.2]);
        let majors: Vec<f64> = range
            .ticks
            .iter()
            .filter(|tick| tick.is_major)
            .map(|tick| tick.value)
            .collect();
        assert_eq!(majors, [0.0, 2.0, 4.0, 6.0]);
        assert!((range.share(3.0) - 0.5).abs() < 1e-9);
        assert_eq!(Range::from_zero([]).to, 1.0);
    }

    #[test]
    fn a_log_axis_goes_from_and_to_a_third_of_a_decade() {
        let range = Range::log([4.0, 1_900.0]);
        assert_eq!((range.from, range.to), (3.0, 3_000.0));
        let majors: Vec<f64> = range
            .ticks
            .iter()
            .filter(|tick| tick.is_major)
            .map(|tick| tick.value)
            .collect();
        assert_eq!(majors, [3.0, 10.0, 30.0, 100.0, 300.0, 1_000.0, 3_000.0]);
        assert!((range.share(3.0)).abs() < 1e-9);
        assert!((range.share(3_000.0) - 1.0).abs() < 1e-9);
        assert_eq!(Range::log([]).from, 1.0);
    }
}
