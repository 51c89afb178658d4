//! What is written in either way, and what is learned from Intl.

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

#[test]
fn figures_in_a_text_get_the_marks_of_the_reader_and_nothing_else_does() {
    let [dutch, english] = [Locale::Dutch, Locale::English].map(Formats::of);
    for (text, in_dutch, in_english) in [
        (">= 4,000/s", "≥ 4.000/s", "≥ 4,000/s"),
        ("<= 0.01", "≤ 0,01", "≤ 0.01"),
        ("86.9 us", "86,9 µs", "86.9 µs"),
        (
            "see docs/performance.md, at 2,000/s.",
            "see docs/performance.md, at 2.000/s.",
            "see docs/performance.md, at 2,000/s.",
        ),
        ("", "", ""),
    ] {
        let plain = |formats: &Formats| formats.rewritten(text).replace(NO_BREAK_SPACE, " ");
        assert_eq!(plain(&dutch), in_dutch);
        assert_eq!(plain(&english), in_english);
    }
}
