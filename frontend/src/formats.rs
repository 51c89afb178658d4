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

    /// A text with figures written the English way, such as `>= 4,000.5 us`: the same with these marks.
    #[must_use]
    pub fn rewritten(&self, english: &str) -> String {
        let letters: Vec<char> = english.chars().collect();
        let is_digit = |place: usize| letters.get(place).is_some_and(char::is_ascii_digit);
        let mut text = String::new();
        for (place, letter) in letters.iter().enumerate() {
            let is_within = place > 0 && is_digit(place - 1) && is_digit(place + 1);
            match letter {
                '.' if is_within => text.push_str(&self.decimal),
                ',' if is_within => text.push_str(&self.group),
                letter => text.push(*letter),
            }
        }
        text.replace("<= ", "≤\u{a0}")
            .replace(">= ", "≥\u{a0}")
            .replace(" us", "\u{a0}µs")
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

/// A text with figures written the English way, the way the reader has chosen.
#[must_use]
pub fn rewritten(english: &str) -> String {
    with_current(|formats| formats.rewritten(english))
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
mod tests;
