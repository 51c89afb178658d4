//! Medians, spreads and ratios of repeated measurements.

use serde::Serialize;

/// The repeats of one figure, with their middle and their ends.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// The middle one; the mean of the two middle ones when their number is even.
    pub median: f64,
    /// The least.
    pub least: f64,
    /// The greatest.
    pub greatest: f64,
    /// All, in the order they were measured.
    pub repeats: Vec<f64>,
}

impl Spread {
    /// Of these repeats; `None` without any.
    #[must_use]
    pub fn of(repeats: Vec<f64>) -> Option<Spread> {
        let mut sorted = repeats.clone();
        sorted.sort_by(f64::total_cmp);
        let (least, greatest) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median = if sorted.len() % 2 == 1 {
            sorted[middle]
        } else {
            f64::midpoint(sorted[middle - 1], sorted[middle])
        };
        Some(Spread {
            median,
            least,
            greatest,
            repeats,
        })
    }

    /// Repeat by repeat, this one divided by the other: repeats that stood beside each
    /// other in time are compared with each other.
    #[must_use]
    pub fn ratio_to(&self, other: &Spread) -> Option<Spread> {
        let ratios = self.repeats.iter().zip(&other.repeats);
        Spread::of(ratios.filter_map(|(one, two)| ratio(*one, *two)).collect())
    }
}

/// One number divided by another; `None` when there is nothing to divide by.
#[must_use]
pub fn ratio(numerator: f64, denominator: f64) -> Option<f64> {
    (denominator > 0.0).then(|| numerator / denominator)
}

/// A count as a number that can be divided; exact up to 2^53.
#[must_use]
pub fn float(count: u64) -> f64 {
    count as f64
}

/// A length as a number that can be divided.
#[must_use]
pub fn float_len(length: usize) -> f64 {
    length as f64
}

/// A count per something else; 0 when there is nothing to divide by.
#[must_use]
pub fn per(count: u64, of: usize) -> f64 {
    ratio(float(count), float_len(of)).unwrap_or(0.0)
}

/// Rounded down; negative numbers and what is no number become 0.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast from float saturates, and a NaN is 0"
)]
pub fn whole(number: f64) -> u64 {
    number as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_and_of_an_even_number_the_mean_of_two() {
        let odd = Spread::of(vec![3.0, 1.0, 2.0]).unwrap();
        assert_eq!((odd.median, odd.least, odd.greatest), (2.0, 1.0, 3.0));
        assert_eq!(odd.repeats, [3.0, 1.0, 2.0]);
        assert_eq!(Spread::of(vec![4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Spread::of(vec![]), None);
    }

    #[test]
    fn a_ratio_compares_what_stood_beside_each_other() {
        let ours = Spread::of(vec![10.0, 30.0, 20.0]).unwrap();
        let theirs = Spread::of(vec![1.0, 2.0, 0.0]).unwrap();
        assert_eq!(ours.ratio_to(&theirs).unwrap().repeats, [10.0, 15.0]);
        assert_eq!(ratio(1.0, 0.0), None);
        assert_eq!(per(10, 0), 0.0);
    }

    #[test]
    fn what_is_no_count_becomes_none() {
        assert_eq!(whole(2.9), 2);
        assert_eq!(whole(-1.0), 0);
        assert_eq!(whole(f64::NAN), 0);
    }
}
