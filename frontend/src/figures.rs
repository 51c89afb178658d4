//! Measured figures as people read them: few digits, a unit, the marks the reader has chosen.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "measured, not money"
)]

use crate::formats::{self, NO_BREAK_SPACE};

const BYTES_PER_MEBIBYTE: f64 = 1_048_576.0;
/// From here on decimals say nothing more.
const WHOLE_FROM: f64 = 9.95;

/// A number with one decimal while it is small: `0`, `0,2`, `5,2`, `398`, `4.012`.
#[must_use]
pub fn short(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let decimals = if value.abs() < WHOLE_FROM { 1 } else { 0 };
    formats::decimal(value, decimals)
}

/// A number with about three digits, however small it is: `0,024`, `5,24`, `24,2`, `24.193`.
#[must_use]
pub fn precise(value: f64) -> String {
    let decimals = match value.abs() {
        0.0 => 0,
        ..0.0995 => 3,
        ..9.995 => 2,
        ..99.95 => 1,
        _ => 0,
    };
    formats::decimal(value, decimals)
}

/// Per second, for the edge of a drawing: `398/s`.
#[must_use]
pub fn rate(per_second: f64) -> String {
    format!("{}/s", whole_or_short(per_second))
}

/// As [`short`], without a decimal that says nothing: `3`, `0,2`.
#[must_use]
pub fn whole_or_short(value: f64) -> String {
    if (value - value.round()).abs() < 0.05 {
        formats::decimal(value.round(), 0)
    } else {
        short(value)
    }
}

/// `5,2 ms`, `1,3 s`.
#[must_use]
pub fn milliseconds(milliseconds: f64) -> String {
    if milliseconds < 1_000.0 {
        format!("{}{NO_BREAK_SPACE}ms", precise_or_short(milliseconds))
    } else {
        format!("{}{NO_BREAK_SPACE}s", short(milliseconds / 1_000.0))
    }
}

/// `11 MiB`.
#[must_use]
pub fn mebibytes(bytes: f64) -> String {
    format!("{}{NO_BREAK_SPACE}MiB", short(bytes / BYTES_PER_MEBIBYTE))
}

/// `1,4 %`, `3 %`.
#[must_use]
pub fn percent(percent: f64) -> String {
    format!("{}{NO_BREAK_SPACE}%", whole_or_short(percent))
}

/// A count that came as a float, since it may pass 2^31: `551.870`.
#[must_use]
pub fn count(count: f64) -> String {
    formats::count(count.max(0.0) as u64)
}

/// `1 batch`, `3 batches`.
#[must_use]
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!(
        "{}{NO_BREAK_SPACE}{}",
        formats::count(count),
        if count == 1 { one } else { many }
    )
}

/// How long ago: `now`, `4 s ago`, `3 min ago`.
#[must_use]
pub fn ago(seconds: i64) -> String {
    match seconds {
        ..=0 => "now".to_owned(),
        1..=119 => format!("{seconds}{NO_BREAK_SPACE}s ago"),
        120..=7_199 => format!("{}{NO_BREAK_SPACE}min ago", seconds / 60),
        _ => format!("{}{NO_BREAK_SPACE}h ago", seconds / 3_600),
    }
}

fn precise_or_short(value: f64) -> String {
    if value < 0.095 && value > 0.0 {
        formats::decimal(value, 2)
    } else {
        formats::decimal(value, usize::from(value < 99.95))
    }
}

/// Microseconds since the epoch of a moment in RFC 3339, as the gateway writes it. None when it is none.
#[must_use]
pub fn micros_of(rfc3339: &str) -> Option<i64> {
    const MICROS: i64 = 1_000_000;
    let (date, rest) = rfc3339.split_once(['T', 't', ' '])?;
    let mut parts = date.splitn(3, '-');
    let mut number = || parts.next()?.parse::<i64>().ok();
    let (year, month, day) = (number()?, number()?, number()?);
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (clock, zone) = rest.split_at(zone_at);
    let (whole, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = whole.splitn(3, ':');
    let mut number = || parts.next()?.parse::<i64>().ok();
    let (hour, minute, second) = (number()?, number()?, number()?);
    let digits: String = fraction.chars().chain("000000".chars()).take(6).collect();
    let micros: i64 = digits.parse().ok()?;
    let offset_minutes = match zone.get(1..) {
        Some(offset) if offset.len() >= 5 => {
            let size = offset.get(..2)?.parse::<i64>().ok()? * 60
                + offset.get(3..5)?.parse::<i64>().ok()?;
            if zone.starts_with('-') { -size } else { size }
        }
        _ => 0,
    };
    let days = days_since_epoch(year, month, day);
    let seconds = days * 86_400 + hour * 3_600 + (minute - offset_minutes) * 60 + second;
    Some(seconds * MICROS + micros)
}

/// Whole seconds from one moment to a later one; None when one of them cannot be read.
#[must_use]
pub fn seconds_between(earlier: &str, later: &str) -> Option<i64> {
    Some((micros_of(later)? - micros_of(earlier)?).div_euclid(1_000_000))
}

/// Proleptic Gregorian calendar, after Howard Hinnant's `days_from_civil`.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * (month + if month > 2 { -3 } else { 9 }) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_few_digits_and_a_unit() {
        let plain = |text: String| text.replace(NO_BREAK_SPACE, " ");
        assert_eq!(plain(rate(0.0)), "0/s");
        assert_eq!(plain(rate(0.24)), "0,2/s");
        assert_eq!(plain(rate(3.0)), "3/s");
        assert_eq!(plain(rate(398.2)), "398/s");
        assert_eq!(plain(rate(4_012.0)), "4.012/s");
        assert_eq!(plain(milliseconds(0.021)), "0,02 ms");
        assert_eq!(plain(milliseconds(5.24)), "5,2 ms");
        assert_eq!(plain(milliseconds(507.0)), "507 ms");
        assert_eq!(plain(milliseconds(1_260.0)), "1,3 s");
        assert_eq!(plain(mebibytes(11_534_336.0)), "11 MiB");
        assert_eq!(plain(percent(1.4)), "1,4 %");
        assert_eq!(plain(percent(3.0)), "3 %");
        assert_eq!(precise(0.0241), "0,024");
        assert_eq!(precise(24_193.3), "24.193");
        assert_eq!(plain(counted(1, "batch", "batches")), "1 batch");
        assert_eq!(plain(ago(4)), "4 s ago");
        assert_eq!(plain(ago(300)), "5 min ago");
    }

    #[test]
    fn moments_are_read_to_the_microsecond() {
        for (text, micros) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.5+00:00", 1_500_000),
            ("2026-11-21T12:00:07.123456789Z", 1_795_262_407_123_456),
            ("2026-11-21T13:00:07.123456+01:00", 1_795_262_407_123_456),
            ("2000-03-01T00:00:00Z", 951_868_800_000_000),
        ] {
            assert_eq!(micros_of(text), Some(micros), "{text}");
        }
        for text in ["", "yesterday", "2026-11-21", "2026-11-21T12:00Z"] {
            assert_eq!(micros_of(text), None, "{text}");
        }
        assert_eq!(
            seconds_between("2026-11-21T12:00:03Z", "2026-11-21T12:00:07Z"),
            Some(4)
        );
    }
}
