//! Money: whole euro cents, checked.

use std::fmt;

/// The largest amount one transfer may move: ten million euros.
///
/// A bound keeps typing errors small and leaves balances far from overflow.
pub const TRANSFER_MAX: Cents = Cents(1_000_000_000);

/// The largest balance, in either direction, an account may reach.
///
/// A quarter of the range of `i64`, so that sums of a few balances still fit.
pub const BALANCE_MAX: Cents = Cents(1 << 62);

/// An amount of euro cents; negative when money left an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub i64);

impl Cents {
    /// Nothing.
    pub const ZERO: Cents = Cents(0);

    /// Adds, or says `None` where the sum would leave `i64`.
    #[must_use]
    pub fn checked_add(self, other: Cents) -> Option<Cents> {
        self.0.checked_add(other.0).map(Cents)
    }

    /// Subtracts, or says `None` where the difference would leave `i64`.
    #[must_use]
    pub fn checked_sub(self, other: Cents) -> Option<Cents> {
        self.0.checked_sub(other.0).map(Cents)
    }

    /// The same amount in the other direction; `None` only for `i64::MIN`.
    #[must_use]
    pub fn checked_neg(self) -> Option<Cents> {
        self.0.checked_neg().map(Cents)
    }
}

impl fmt::Display for Cents {
    /// `-12.30`: for logs; people see money formatted by the page.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sign = if self.0 < 0 { "-" } else { "" };
        let magnitude = self.0.unsigned_abs();
        write!(f, "{sign}{}.{:02}", magnitude / 100, magnitude % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cents_are_shown_with_two_decimals_and_their_sign() {
        for (cents, shown) in [
            (0, "0.00"),
            (5, "0.05"),
            (-5, "-0.05"),
            (123_456, "1234.56"),
            (i64::MIN, "-92233720368547758.08"),
        ] {
            assert_eq!(Cents(cents).to_string(), shown);
        }
    }

    #[test]
    fn arithmetic_at_the_edge_says_none_instead_of_wrapping() {
        assert_eq!(Cents(i64::MAX).checked_add(Cents(1)), None);
        assert_eq!(Cents(i64::MIN).checked_sub(Cents(1)), None);
        assert_eq!(Cents(i64::MIN).checked_neg(), None);
        assert_eq!(Cents(1).checked_sub(Cents(3)), Some(Cents(-2)));
    }
}
