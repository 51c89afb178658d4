//! Moments as a statement shows them: 24 hours, local zone, days in the way the reader has chosen.

use crate::formats;

/// A calendar day in the reader's zone. Orders by age.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day {
    /// Four digits.
    pub year: u32,
    /// 1 to 12.
    pub month: u32,
    /// 1 to 31.
    pub day: u32,
}

/// A moment in the reader's zone, to the second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalTime {
    /// Which day.
    pub day: Day,
    /// 0 to 23.
    pub hour: u32,
    /// 0 to 59.
    pub minute: u32,
    /// 0 to 60.
    pub second: u32,
}

impl Day {
    /// `21 november 2026`, for headings.
    #[must_use]
    pub fn in_words(self) -> String {
        formats::long_date(self)
    }

    /// `2026-11-21`, for machines.
    #[must_use]
    pub fn iso(self) -> String {
        format!("{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}

impl LocalTime {
    /// `13:05:07`.
    #[must_use]
    pub fn clock(self) -> String {
        format!("{:02}:{:02}:{:02}", self.hour, self.minute, self.second)
    }

    /// `21-11-2026, 13:05:07`.
    #[must_use]
    pub fn in_full(self) -> String {
        format!("{}, {}", formats::short_date(self.day), self.clock())
    }
}

/// A duration for people: `5,2 ms`, `1,3 s`.
#[must_use]
pub fn duration_in_words(microseconds: u64) -> String {
    const MILLISECOND: u64 = 1_000;
    const SECOND: u64 = 1_000_000;
    let (unit, name) = if microseconds < SECOND {
        (MILLISECOND, "ms")
    } else {
        (SECOND, "s")
    };
    let tenths = (microseconds * 10 + unit / 2) / unit;
    let mark = formats::with_current(|formats| formats.decimal.clone());
    format!("{}{mark}{}\u{a0}{name}", tenths / 10, tenths % 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_the_dutch_way() {
        let day = Day {
            year: 2026,
            month: 3,
            day: 1,
        };
        let moment = LocalTime {
            day,
            hour: 9,
            minute: 0,
            second: 2,
        };
        assert_eq!(day.in_words(), "1 maart 2026");
        assert_eq!(day.iso(), "2026-03-01");
        assert_eq!(moment.clock(), "09:00:02");
        assert_eq!(moment.in_full(), "01-03-2026, 09:00:02");
    }

    #[test]
    fn a_duration_has_one_decimal_and_its_unit() {
        for (microseconds, words) in [
            (5_240, "5,2 ms"),
            (0, "0,0 ms"),
            (999_000, "999,0 ms"),
            (1_250_000, "1,3 s"),
        ] {
            assert_eq!(
                duration_in_words(microseconds),
                words.replace(' ', "\u{a0}")
            );
        }
    }
}
