//! The search for the capacity: up a ladder until a rate is not kept up, then between the
//! last good and the first bad one.

/// How it is searched for.
#[derive(Clone, Debug)]
pub struct Search {
    /// Rates to try, upwards, commands per second.
    pub ladder: Vec<f64>,
    /// A rate that fails is tried so often before it is believed.
    pub tries: usize,
    /// Rates tried between the last good and the first bad one.
    pub bisections: usize,
}

/// What is known of one rate that was tried.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tried {
    /// Commands per second.
    pub per_second: f64,
    /// Whether it was kept up.
    pub is_kept_up: bool,
}

impl Search {
    /// The next rate to try, and whether it is part of the bisection; `None` when the search
    /// is over.
    #[must_use]
    pub fn next(&self, tried: &[Tried]) -> Option<(f64, bool)> {
        let bad = self.bad(tried);
        let Some(bad) = bad else {
            // Everything so far was kept up, or may still be.
            let again = tried.last().filter(|last| !last.is_kept_up);
            let next = again.map(|last| last.per_second).or_else(|| {
                let good = good(tried).unwrap_or(0.0);
                self.ladder.iter().copied().find(|rate| *rate > good)
            });
            return next.map(|rate| (rate, false));
        };
        let good = good_below(tried, bad);
        let between = tried
            .iter()
            .filter(|it| !self.ladder.contains(&it.per_second))
            .count();
        if between >= self.bisections {
            return None;
        }
        // By ratio, not by difference: rates are far apart. Below the lowest rung there is no
        // good rate yet.
        let low = good.unwrap_or(bad / 4.0);
        Some(((low * bad).sqrt().round(), true))
    }

    /// The lowest rate that is known not to be kept up: a rung that failed as often as it
    /// is tried, or a rate between rungs that failed once.
    #[must_use]
    pub fn bad(&self, tried: &[Tried]) -> Option<f64> {
        tried
            .iter()
            .filter(|it| !it.is_kept_up)
            .filter(|it| {
                let failures = tried
                    .iter()
                    .filter(|other| other.per_second == it.per_second && !other.is_kept_up);
                !self.ladder.contains(&it.per_second) || failures.count() >= self.tries
            })
            .map(|it| it.per_second)
            .min_by(f64::total_cmp)
    }

    /// The highest rate that was kept up, below any that is known not to be.
    #[must_use]
    pub fn capacity(&self, tried: &[Tried]) -> Option<f64> {
        match self.bad(tried) {
            Some(bad) => good_below(tried, bad),
            None => good(tried),
        }
    }
}

fn good(tried: &[Tried]) -> Option<f64> {
    good_below(tried, f64::INFINITY)
}

fn good_below(tried: &[Tried], bad: f64) -> Option<f64> {
    tried
        .iter()
        .filter(|it| it.is_kept_up && it.per_second < bad)
        .map(|it| it.per_second)
        .max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn search() -> Search {
        Search {
            ladder: vec![500.0, 1_000.0, 2_000.0, 4_000.0, 8_000.0],
            tries: 2,
            bisections: 4,
        }
    }

    /// Runs the search against a bank that keeps up with `capacity`, except for the tries in
    /// `unlucky`, by their number.
    fn run(capacity: f64, unlucky: &[usize]) -> (Vec<f64>, Option<f64>) {
        let (search, mut tried) = (search(), Vec::new());
        while let Some((per_second, _)) = search.next(&tried) {
            let is_kept_up = per_second <= capacity && !unlucky.contains(&tried.len());
            tried.push(Tried {
                per_second,
                is_kept_up,
            });
            assert!(tried.len() < 20, "{tried:?}");
        }
        let rates = tried.iter().map(|it| it.per_second).collect();
        (rates, search.capacity(&tried))
    }

    #[test]
    fn given_a_bank_when_searched_then_the_capacity_is_found_within_a_tenth() {
        for capacity in [700.0, 1_500.0, 3_100.0, 4_800.0, 7_900.0] {
            let (rates, found) = run(capacity, &[]);
            let found = found.unwrap();
            assert!(
                found <= capacity && found > capacity * 0.9,
                "{capacity}: {found}, {rates:?}"
            );
        }
    }

    #[test]
    fn given_one_unlucky_rung_when_searched_then_it_is_tried_again_and_nothing_is_lost() {
        let (rates, found) = run(4_800.0, &[1]);
        assert_eq!(rates[..4], [500.0, 1_000.0, 1_000.0, 2_000.0]);
        assert!(found.unwrap() > 4_300.0);
    }

    #[test]
    fn given_a_bank_that_keeps_up_with_all_then_the_last_rung_is_its_capacity() {
        let (rates, found) = run(1e9, &[]);
        assert_eq!(rates, search().ladder);
        assert_eq!(found, Some(8_000.0));
    }

    #[test]
    fn given_a_bank_that_keeps_up_with_nothing_then_there_is_no_capacity() {
        let (rates, found) = run(1.0, &[]);
        assert_eq!(found, None);
        assert_eq!(rates.len(), 2 + 4);
    }
}
