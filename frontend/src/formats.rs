//! How money, numbers and dates are written: the Dutch or the English way. The marks and their order come from the
//! platform's Intl; what is done with them is plain Rust, since amounts have more digits than a float can count.

use std::fmt::Write as _;

use crate::time::Day;

/// Stands between `€` and its figure, so that they never part at a line end.
pub const NO_BREAK_SPACE: char = '\u{a0}';

const CENTS_PER_EURO: u64 = 100;
const GROUP_DIGITS: usize = 3;

/// Whose formats. The text of the page is English in both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Locale {
    /// `€ 1.234,56` and `21-11-2026`.
    #[default]
    Dutch,
    /// `€1,234.56` and `21/11/2026`.
    English,
}

impl Locale {
    /// As Intl and `lang` know it.
    #[must_use]
    pub fn tag(self) -> &'static str {
        match self {
            Self::Dutch => "nl-NL",
            Self::English => "en-GB",
        }
    }

    /// From [`Locale::tag`].
    #[must_use]
    pub fn from_tag(tag: &str) -> Option<Self> {
        [Self::Dutch, Self::English]
            .into_iter()
            .find(|locale| locale.tag() == tag)
    }
}

/// A piece of an amount of money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyPart {
    /// Plus or minus, where there is one.
    Sign,
    /// Digits with their marks.
    Figure,
    /// Stands as it is.
    Text(String),
}

/// A piece of a date.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DatePart {
    /// Of the month.
    Day,
    /// Number or name.
    Month,
    /// Four digits.
    Year,
    /// Stands as it is.
    Text(String),
}

/// Marks and orders of one locale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Formats {
    /// Whose they are.
    pub locale: Locale,
    /// Between whole and parts.
    pub decimal: String,
    /// Between thousands.
    pub group: String,
    /// Of an amount below zero.
    pub money: Vec<MoneyPart>,
    /// Of a date in digits.
    pub short_date: Vec<DatePart>,
    /// Of a date in words.
    pub long_date: Vec<DatePart>,
    /// The first for January.
    pub months: [String; 12],
}

impl Default for Formats {
    fn default() -> Self {
        Self::of(Locale::default())
    }
}

impl Formats {
    /// What Intl says of the two locales, for where there is none.
    #[must_use]
    pub fn of(locale: Locale) -> Self {
        use DatePart::{Day, Month, Year};
        let text = |text: &str| DatePart::Text(text.to_owned());
        let long_date = vec![Day, text(" "), Month, text(" "), Year];
        let short = |mark| vec![Day, text(mark), Month, text(mark), Year];
        let months = |names: &str| {
            let mut names = names.split(' ').map(str::to_owned);
            std::array::from_fn(|_| names.next().unwrap_or_default())
        };
        match locale {
            Locale::Dutch => Self {
                locale,
                decimal: ",".to_owned(),
                group: ".".to_owned(),
                money: vec![
                    MoneyPart::Text(format!("€{NO_BREAK_SPACE}")),
                    MoneyPart::Sign,
                    MoneyPart::Figure,
                ],
                short_date: short("-"),
                long_date,
                months: months(
                    "januari februari maart april mei juni juli augustus september oktober november december",
                ),
            },
            Locale::English => Self {
                locale,
                decimal: ".".to_owned(),
                group: ",".to_owned(),
                money: vec![
                    MoneyPart::Sign,
                    MoneyPart::Text("€".to_owned()),
                    MoneyPart::Figure,
                ],
                short_date: short("/"),
                long_date,
                months: months(
                    "January February March April May June July August September October November December",
                ),
            },
        }
    }

    /// Takes the marks of money from the pieces Intl gives for an amount below zero of four digits before the mark.
    /// Pieces that make no sense change nothing.
    pub fn learn_money<'a>(&mut self, pieces: impl IntoIterator<Item = (&'a str, &'a str)>) {
        let mut money = Vec::new();
        let (mut decimal, mut group) = (None, String::new());
        for (kind, text) in pieces {
            match kind {
                "minusSign" => money.push(MoneyPart::Sign),
                "integer" | "fraction" | "decimal" | "group" => {
                    match kind {
                        "decimal" => decimal = Some(text.to_owned()),
                        "group" => text.clone_into(&mut group),
                        _ => {}
                    }
                    if money.last() != Some(&MoneyPart::Figure) {
                        money.push(MoneyPart::Figure);
                    }
                }
                _ => money.push(MoneyPart::Text(text.replace(' ', "\u{a0}"))),
            }
        }
        if let (Some(decimal), true) = (decimal, money.contains(&MoneyPart::Sign)) {
            (self.decimal, self.group, self.money) = (decimal, group, money);
        }
    }

    /// An amount as a balance: `€ 1.234,56`, `€ -12,30`.
    #[must_use]
    pub fn balance(&self, cents: i64) -> String {
        self.money(cents, false)
    }

    /// An amount that moved, with its sign: `€ +12,30`, `€ -12,30`; zero has none.
    #[must_use]
    pub fn change(&self, cents: i64) -> String {
        self.money(cents, true)
    }

    /// A count: `551.870`.
    #[must_use]
    pub fn count(&self, count: u64) -> String {
        let digits = count.to_string();
        let mut text = String::new();
        for (place, digit) in digits.chars().enumerate() {
            if place > 0 && (digits.len() - place).is_multiple_of(GROUP_DIGITS) {
                text.push_str(&self.group);
            }
            text.push(digit);
        }
        text
    }

    /// A measured figure with so many decimals: `5,2`, `1.234,56`.
    #[must_use]
    pub fn decimal(&self, value: f64, decimals: usize) -> String {
        let plain = format!("{:.decimals$}", value.abs());
        let (whole, parts) = plain.split_once('.').unwrap_or((&plain, ""));
        let whole = whole
            .parse()
            .map_or_else(|_| whole.to_owned(), |whole| self.count(whole));
        let is_zero = plain.bytes().all(|byte| matches!(byte, b'0' | b'.'));
        let sign = if value < 0.0 && !is_zero { "-" } else { "" };
        match parts {
            "" => format!("{sign}{whole}"),
            _ => format!("{sign}{whole}{}{parts}", self.decimal),
        }
    }

    /// A day in digits: `21-11-2026`.
    #[must_use]
    pub fn short_date(&self, day: Day) -> String {
        let two = |number: u32| format!("{number:02}");
        write_date(&self.short_date, &two(day.day), &two(day.month), day.year)
    }

    /// A day in words, for headings: `21 november 2026`.
    #[must_use]
    pub fn long_date(&self, day: Day) -> String {
        let month = usize::try_from(day.month)
            .ok()
            .and_then(|month| self.months.get(month.wrapping_sub(1)));
        write_date(
            &self.long_date,
            &day.day.to_string(),
            month.map_or("?", String::as_str),
            day.year,
        )
    }

    fn money(&self, cents: i64, plus: bool) -> String {
        let size = cents.unsigned_abs();
        let sign = match cents.signum() {
            -1 => "-",
            1 if plus => "+",
            _ => "",
        };
        let mut text = String::new();
        for part in &self.money {
            match part {
                MoneyPart::Sign => text.push_str(sign),
                MoneyPart::Text(literal) => text.push_str(literal),
                MoneyPart::Figure => {
                    let whole = self.count(size / CENTS_PER_EURO);
                    let parts = size % CENTS_PER_EURO;
                    write!(text, "{whole}{}{parts:02}", self.decimal)
                        .expect("a String takes what is written");
                }
            }
        }
        text
    }
}

fn write_date(parts: &[DatePart], day: &str, month: &str, year: u32) -> String {
    let mut text = String::new();
    for part in parts {
        match part {
            DatePart::Day => text.push_str(day),
            DatePart::Month => text.push_str(month),
            DatePart::Year => {
                write!(text, "{year:04}").expect("a String takes what is written");
            }
            DatePart::Text(literal) => text.push_str(literal),
        }
    }
    text
}

/// An amount as a balance, the way the reader has chosen. In the browser, what reads it in a view is written again when
/// the choice changes.
#[must_use]
pub fn balance(cents: i64) -> String {
    with_current(|formats| formats.balance(cents))
}

/// An amount that moved, the way the reader has chosen.
#[must_use]
pub fn change(cents: i64) -> String {
    with_current(|formats| formats.change(cents))
}

/// A count, the way the reader has chosen.
#[must_use]
pub fn count(count: u64) -> String {
    with_current(|formats| formats.count(count))
}

/// A measured figure, the way the reader has chosen.
#[must_use]
pub fn decimal(value: f64, decimals: usize) -> String {
    with_current(|formats| formats.decimal(value, decimals))
}

/// A day in digits, the way the reader has chosen.
#[must_use]
pub fn short_date(day: Day) -> String {
    with_current(|formats| formats.short_date(day))
}

/// A day in words, the way the reader has chosen.
#[must_use]
pub fn long_date(day: Day) -> String {
    with_current(|formats| formats.long_date(day))
}

#[cfg(target_arch = "wasm32")]
pub(crate) use crate::chosen_formats::with_current;

/// Where there is no reader: the Dutch way.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) fn with_current<Answer>(write: impl FnOnce(&Formats) -> Answer) -> Answer {
    write(&Formats::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: Day = Day {
        year: 2026,
        month: 3,
        day: 1,
    };

    fn both() -> [Formats; 2] {
        [Locale::Dutch, Locale::English].map(Formats::of)
    }

    #[test]
    fn given_the_largest_amounts_when_written_then_no_cent_is_lost_in_either_way() {
        let [dutch, english] = both();
        for (cents, in_dutch, in_english) in [
            (0, "€ 0,00", "€0.00"),
            (1, "€ 0,01", "€0.01"),
            (-1_230, "€ -12,30", "-€12.30"),
            (123_456, "€ 1.234,56", "€1,234.56"),
            (
                99_999_999_876_543_210,
                "€ 999.999.998.765.432,10",
                "€999,999,998,765,432.10",
            ),
            (
                i64::MIN,
                "€ -92.233.720.368.547.758,08",
                "-€92,233,720,368,547,758.08",
            ),
        ] {
            assert_eq!(dutch.balance(cents), in_dutch.replace(' ', "\u{a0}"));
            assert_eq!(english.balance(cents), in_english);
        }
    }

    #[test]
    fn given_money_that_moved_when_written_then_it_has_a_sign() {
        let [dutch, english] = both();
        for (cents, in_dutch, in_english) in [
            (0, "€ 0,00", "€0.00"),
            (1_230, "€ +12,30", "+€12.30"),
            (-1_230, "€ -12,30", "-€12.30"),
        ] {
            assert_eq!(dutch.change(cents), in_dutch.replace(' ', "\u{a0}"));
            assert_eq!(english.change(cents), in_english);
        }
    }

    #[test]
    fn given_counts_and_figures_when_written_then_their_marks_are_the_locales() {
        let [dutch, english] = both();
        for (value, decimals, in_dutch, in_english) in [
            (5.24, 1, "5,2", "5.2"),
            (1_234.5, 2, "1.234,50", "1,234.50"),
            (-0.04, 1, "0,0", "0.0"),
            (-3.0, 0, "-3", "-3"),
            (551_870.0, 0, "551.870", "551,870"),
        ] {
            assert_eq!(dutch.decimal(value, decimals), in_dutch);
            assert_eq!(english.decimal(value, decimals), in_english);
        }
        assert_eq!(dutch.count(1_000), "1.000");
        assert_eq!(english.count(999), "999");
    }

    #[test]
    fn given_a_day_when_written_then_day_month_and_year_stand_in_the_locales_order() {
        let [dutch, english] = both();
        assert_eq!(dutch.short_date(DAY), "01-03-2026");
        assert_eq!(english.short_date(DAY), "01/03/2026");
        assert_eq!(dutch.long_date(DAY), "1 maart 2026");
        assert_eq!(english.long_date(DAY), "1 March 2026");
    }

    #[test]
    fn given_the_pieces_of_intl_when_learned_then_they_are_what_is_written_without_it() {
        let dutch = [
            ("currency", "€"),
            ("literal", "\u{a0}"),
            ("minusSign", "-"),
            ("integer", "1"),
            ("group", "."),
            ("integer", "234"),
            ("decimal", ","),
            ("fraction", "50"),
        ];
        let english = [
            ("minusSign", "-"),
            ("currency", "€"),
            ("integer", "1"),
            ("group", ","),
            ("integer", "234"),
            ("decimal", "."),
            ("fraction", "50"),
        ];
        let mut learned = Formats::of(Locale::English);
        learned.learn_money(dutch);
        for cents in [0, 1, -123_456_789, i64::MAX] {
            let expected = Formats::of(Locale::Dutch);
            assert_eq!(learned.balance(cents), expected.balance(cents));
            assert_eq!(learned.change(cents), expected.change(cents));
        }
        learned.learn_money(english);
        assert_eq!(learned, Formats::of(Locale::English));
    }

    #[test]
    fn given_pieces_without_a_sign_or_a_mark_when_learned_then_nothing_changes() {
        let mut formats = Formats::default();
        formats.learn_money([("currency", "€"), ("integer", "5")]);
        assert_eq!(formats, Formats::default());
    }

    #[test]
    fn given_a_tag_when_read_then_it_is_one_of_the_two_or_none() {
        for locale in [Locale::Dutch, Locale::English] {
            assert_eq!(Locale::from_tag(locale.tag()), Some(locale));
        }
        assert_eq!(Locale::from_tag("fr-FR"), None);
    }
}
