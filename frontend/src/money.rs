//! Money: whole euro cents, from what a person types to what a person reads, without a float on the way.

use std::fmt::{self, Display};

use serde_json::Value;
use thiserror::Error;

use crate::{
    formats,
    readable::{Readable, Reader},
};

const CENTS_PER_EURO: u64 = 100;
const GROUP_DIGITS: usize = 3;
const CENT_DIGITS_MAX: usize = 2;

/// An amount in euro cents. On the wire a string of digits with an optional minus, since it may pass 2^53.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cents(pub i64);

/// Why what was typed is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Letters, a lone mark, groups of the wrong length, nothing at all.
    #[error("not an amount")]
    Malformed,
    /// Zero, or with a minus.
    #[error("not more than zero")]
    NotPositive,
    /// More cents than the bank can count.
    #[error("too large")]
    TooLarge,
}

impl Cents {
    /// Reads what a person typed as an amount to pay, in euros: `1.234,56`, `1234.56`, `12,5`, `€ 12`.
    ///
    /// One or two digits after the last mark are cents, three are thousands.
    ///
    /// # Errors
    /// When it cannot be read in one way only, is not more than zero, or does not fit.
    pub fn parse_typed(typed: &str) -> Result<Self, AmountError> {
        let text = typed.trim();
        let text = text.strip_prefix('€').unwrap_or(text);
        let text = text.strip_suffix('€').unwrap_or(text).trim();
        if let Some(rest) = text.strip_prefix(['-', '\u{2212}']) {
            // A minus before something readable is a wrong amount, not an unreadable one.
            let rest = rest.trim_start();
            let rest = rest.strip_prefix('€').unwrap_or(rest);
            return Err(match read_positive(rest.trim()) {
                Ok(_) | Err(AmountError::NotPositive | AmountError::TooLarge) => {
                    AmountError::NotPositive
                }
                Err(AmountError::Malformed) => AmountError::Malformed,
            });
        }
        read_positive(text)
    }

    /// As a balance: `€ 1.234,56`, `€ -12,30`, the way the reader has chosen.
    #[must_use]
    pub fn as_balance(self) -> String {
        formats::balance(self.0)
    }

    /// As money that moved, with its sign: `€ +12,30`, `€ -12,30`; zero has none.
    #[must_use]
    pub fn as_change(self) -> String {
        formats::change(self.0)
    }

    /// As a person might type it, the way the reader has chosen: `1.234,56`.
    #[must_use]
    pub fn as_typed(self) -> String {
        self.as_balance()
            .replace(['€', formats::NO_BREAK_SPACE], "")
    }

    /// As it stands in an address, whatever the reader has chosen: `1234.56`.
    #[must_use]
    pub fn in_address(self) -> String {
        let (sign, size) = (if self.0 < 0 { "-" } else { "" }, self.0.unsigned_abs());
        format!(
            "{sign}{}.{:02}",
            size / CENTS_PER_EURO,
            size % CENTS_PER_EURO
        )
    }

    /// The same amount on the other side.
    #[must_use]
    pub fn negated(self) -> Self {
        Self(self.0.saturating_neg())
    }
}

/// The bare count of cents, as on the wire.
impl Display for Cents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Readable for Cents {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let cents = value.as_str().and_then(|text| text.parse().ok());
        Self(reader.take(cents))
    }
}

fn read_positive(text: &str) -> Result<Cents, AmountError> {
    let (groups, marks) = split_at_marks(text)?;
    let (cents, thousands) = match (groups.last(), marks.last()) {
        (Some(last), Some('.' | ',')) if (1..=CENT_DIGITS_MAX).contains(&last.len()) => {
            // One digit after the mark is tenths: 12,5 is 12,50.
            let cents = if last.len() == 1 {
                format!("{last}0")
            } else {
                (*last).to_owned()
            };
            (cents, groups.len() - 1)
        }
        _ => ("00".to_owned(), groups.len()),
    };
    let whole = &groups[..thousands];
    let group_marks = &marks[..thousands.saturating_sub(1)];
    let decimal_mark = (thousands < groups.len()).then(|| marks.last()).flatten();
    if !group_marks.is_empty() && !well_grouped(whole, group_marks, decimal_mark.copied()) {
        return Err(AmountError::Malformed);
    }
    let digits = format!("{}{cents}", whole.concat());
    match digits.parse::<i64>() {
        Ok(0) => Err(AmountError::NotPositive),
        Ok(cents) => Ok(Cents(cents)),
        // Only digits are left, so the one thing that can be wrong is that there are too many.
        Err(_) => Err(AmountError::TooLarge),
    }
}

/// Groups of digits and the marks between them; every group has a digit, so there is one mark fewer than groups.
fn split_at_marks(text: &str) -> Result<(Vec<&str>, Vec<char>), AmountError> {
    let is_mark = |letter: char| letter == '.' || letter == ',' || letter.is_whitespace();
    let groups: Vec<&str> = text.split(is_mark).collect();
    let readable =
        |group: &&str| !group.is_empty() && group.bytes().all(|byte| byte.is_ascii_digit());
    if !groups.iter().all(readable) {
        return Err(AmountError::Malformed);
    }
    let as_mark = |letter: char| if letter.is_whitespace() { ' ' } else { letter };
    Ok((
        groups,
        text.chars()
            .filter(|letter| is_mark(*letter))
            .map(as_mark)
            .collect(),
    ))
}

fn well_grouped(whole: &[&str], marks: &[char], decimal_mark: Option<char>) -> bool {
    let Some((first, rest)) = whole.split_first() else {
        return false;
    };
    let one_kind = marks.iter().all(|mark| Some(mark) == marks.first());
    one_kind
        && marks.first().copied() != decimal_mark
        && first.len() <= GROUP_DIGITS
        && !first.starts_with('0')
        && rest.iter().all(|group| group.len() == GROUP_DIGITS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::readable;

    #[test]
    fn what_people_type_is_read_as_cents() {
        for (typed, cents) in [
            ("12", 1_200),
            ("12,30", 1_230),
            ("12.30", 1_230),
            ("12,5", 1_250),
            ("0,01", 1),
            ("0.29", 29),
            ("1.15", 115),
            ("4,35", 435),
            ("19.99", 1_999),
            ("1.234,56", 123_456),
            ("1,234.56", 123_456),
            ("1234,56", 123_456),
            ("1.234", 123_400),
            ("1,234", 123_400),
            ("1.234.567", 123_456_700),
            ("1 500", 150_000),
            ("1 500,00", 150_000),
            ("1\u{a0}500,5", 150_050),
            ("€ 12", 1_200),
            ("€12,30", 1_230),
            ("12 €", 1_200),
            ("  25,00 ", 2_500),
            ("007", 700),
        ] {
            assert_eq!(Cents::parse_typed(typed), Ok(Cents(cents)), "{typed}");
        }
    }

    #[test]
    fn what_is_no_amount_says_why() {
        use AmountError::{Malformed, NotPositive, TooLarge};
        for (typed, why) in [
            ("", Malformed),
            ("€", Malformed),
            ("twelve", Malformed),
            ("1e3", Malformed),
            ("+5", Malformed),
            ("12,", Malformed),
            (",50", Malformed),
            ("1,2345", Malformed),
            ("1234,567", Malformed),
            ("0,123", Malformed),
            ("1.23.45", Malformed),
            ("1.234.56", Malformed),
            ("1.234,567", Malformed),
            ("12 5", Malformed),
            ("1  500", Malformed),
            ("١٢", Malformed),
            ("-five", Malformed),
            ("0", NotPositive),
            ("0,00", NotPositive),
            ("-5", NotPositive),
            ("€ -12,30", NotPositive),
            ("-€ 12,30", NotPositive),
            ("99999999999999999999", TooLarge),
        ] {
            assert_eq!(Cents::parse_typed(typed), Err(why), "{typed}");
        }
    }

    #[test]
    fn what_is_written_for_a_field_or_an_address_is_read_as_the_same() {
        for cents in [1, 29, 1_230, 123_456, 99_999_999_876_543_211] {
            let cents = Cents(cents);
            for written in [cents.as_typed(), cents.in_address()] {
                assert_eq!(Cents::parse_typed(&written), Ok(cents), "{written}");
            }
        }
        assert_eq!(Cents(-1_205).in_address(), "-12.05");
    }

    #[test]
    fn on_the_wire_an_amount_is_a_string_and_keeps_every_cent() {
        let beyond_doubles = Cents(99_999_999_876_543_211);
        let wire = Value::from(beyond_doubles.to_string());
        assert_eq!(wire, "99999999876543211");
        assert_eq!(readable::answer(&wire), Ok(beyond_doubles));
        for wrong in [json!("12,30"), json!(12), Value::Null] {
            assert!(readable::answer::<Cents>(&wrong).is_err(), "{wrong}");
        }
    }
}
