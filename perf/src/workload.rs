//! Who pays whom: the workloads, the same for the same seed.

use serde::Serialize;

use crate::numbers::{float_len, whole};

/// Cents; small enough that no account runs dry in any run.
const AMOUNT_MAX: u64 = 100;

/// How payments spread over accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Workload {
    /// Every account is as likely as any other.
    Uniform,
    /// The second account is half as likely as the first, the third a third, ...
    Zipf,
    /// Half of the payments go to or come from the company.
    Hot50,
    /// Nine in ten payments go to or come from the company.
    Hot90,
}

impl Workload {
    /// All of them.
    pub const ALL: [Workload; 4] = [
        Workload::Uniform,
        Workload::Zipf,
        Workload::Hot50,
        Workload::Hot90,
    ];

    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Workload::Uniform => "uniform",
            Workload::Zipf => "Zipf 1.0",
            Workload::Hot50 => "50 % hot",
            Workload::Hot90 => "90 % hot",
        }
    }
}

/// One payment between two accounts, named by their place in the list of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// Who pays.
    pub payer: usize,
    /// Who is paid; another account.
    pub payee: usize,
    /// Cents.
    pub amount: i64,
}

/// `count` payments among `accounts` accounts, of which the last is the company.
///
/// # Panics
/// With fewer than three accounts.
#[must_use]
pub fn payments(workload: Workload, accounts: usize, count: usize, seed: u64) -> Vec<Payment> {
    assert!(accounts > 2, "two accounts beside the company");
    let company = accounts - 1;
    let mut random = Random(seed);
    let zipf = (workload == Workload::Zipf).then(|| Zipf::new(company));
    let draw = |random: &mut Random| match &zipf {
        Some(zipf) => zipf.draw(random),
        None => random.below(company),
    };
    (0..count)
        .map(|_| {
            let hot_percent = match workload {
                Workload::Uniform | Workload::Zipf => 0,
                Workload::Hot50 => 50,
                Workload::Hot90 => 90,
            };
            let one = draw(&mut random);
            let other = if random.below(100) < hot_percent {
                company
            } else {
                // Another one, and each other one as likely as before.
                loop {
                    let other = draw(&mut random);
                    if other != one {
                        break other;
                    }
                }
            };
            let swapped = random.below(2) == 0;
            let (payer, payee) = if swapped { (other, one) } else { (one, other) };
            let amount = 1 + random.next_bits() % AMOUNT_MAX;
            Payment {
                payer,
                payee,
                amount: i64::try_from(amount).unwrap_or(1),
            }
        })
        .collect()
}

/// SplitMix64: small, and the same on every machine.
#[derive(Clone, Debug)]
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn next_bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 up to, but not, 1.
    pub fn fraction(&mut self) -> f64 {
        // 53 bits are all that a float keeps.
        crate::numbers::float(self.next_bits() >> 11) / crate::numbers::float(1 << 53)
    }

    /// From 0 up to, but not, `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        let number = whole(self.fraction() * float_len(bound));
        usize::try_from(number).unwrap_or(0).min(bound - 1)
    }
}

/// Zipf's law with exponent 1 over a number of places.
#[derive(Clone, Debug)]
pub struct Zipf {
    /// Of each place and all before it together; the last is 1.
    cumulated: Vec<f64>,
}

impl Zipf {
    /// Over this many places.
    #[must_use]
    pub fn new(places: usize) -> Zipf {
        let mut sum = 0.0;
        let mut cumulated: Vec<f64> = (1..=places)
            .map(|place| {
                sum += 1.0 / float_len(place);
                sum
            })
            .collect();
        for share in &mut cumulated {
            *share /= sum;
        }
        Zipf { cumulated }
    }

    /// A place, counted from 0.
    pub fn draw(&self, random: &mut Random) -> usize {
        let fraction = random.fraction();
        let place = self.cumulated.partition_point(|share| *share <= fraction);
        place.min(self.cumulated.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ACCOUNTS: usize = 1_001;
    const COUNT: usize = 100_000;

    fn share_of(workload: Workload, account: usize) -> f64 {
        let payments = payments(workload, ACCOUNTS, COUNT, 42);
        let touching = payments
            .iter()
            .filter(|payment| payment.payer == account || payment.payee == account);
        float_len(touching.count()) / float_len(COUNT)
    }

    #[test]
    fn the_company_has_the_share_that_the_workload_is_named_for() {
        for (workload, share) in [
            (Workload::Uniform, 0.0),
            (Workload::Zipf, 0.0),
            (Workload::Hot50, 0.5),
            (Workload::Hot90, 0.9),
        ] {
            let found = share_of(workload, ACCOUNTS - 1);
            assert!((found - share).abs() < 0.01, "{workload:?}: {found}");
        }
    }

    #[test]
    fn under_zipf_the_first_account_is_drawn_ten_times_as_often_as_the_tenth() {
        let (zipf, mut random) = (Zipf::new(1_000), Random(7));
        let mut drawn = [0_u32; 1_000];
        for _ in 0..1_000_000 {
            drawn[zipf.draw(&mut random)] += 1;
        }
        let times = f64::from(drawn[0]) / f64::from(drawn[9]);
        assert!((9.0..11.0).contains(&times), "{times}");
        // The harmonic number of 1,000 is 7.485.
        assert!((f64::from(drawn[0]) / 1e6 - 1.0 / 7.485).abs() < 0.005);
    }

    #[test]
    fn uniform_payments_touch_all_alike_and_nobody_pays_himself() {
        let payments = payments(Workload::Uniform, ACCOUNTS, COUNT, 42);
        assert!(payments.iter().all(|it| it.payer != it.payee));
        assert!(payments.iter().all(|it| (1..=100).contains(&it.amount)));
        let share = share_of(Workload::Uniform, 0);
        assert!((0.0015..0.0025).contains(&share), "{share}");
    }

    #[test]
    fn the_same_seed_gives_the_same_payments_and_another_gives_others() {
        let of = |seed| payments(Workload::Zipf, ACCOUNTS, 100, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }
}
