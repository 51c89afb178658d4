//! The formats the reader has chosen, kept on this device, with their marks asked of the platform's Intl.

use std::sync::OnceLock;

use js_sys::{Array, Intl, Object, Reflect};
use leptos::prelude::*;
use wasm_bindgen::JsValue;

use crate::{
    browser::storage,
    formats::{DatePart, Formats, Locale},
};

const KEPT_AS: &str = "bank.formats";
/// Below zero, with a group and a decimal mark.
const SAMPLE_EUROS: f64 = -1234.5;
const MONTHS: u32 = 12;

/// Lives as long as the page.
static CHOSEN: OnceLock<RwSignal<Formats>> = OnceLock::new();

/// Reads the choice; to be called once, when the page begins.
pub(crate) fn begin() {
    let kept = storage::get(KEPT_AS).and_then(|tag| Locale::from_tag(&tag));
    let formats = RwSignal::new(asked_of_intl(kept.unwrap_or_default()));
    // A second page in one document does not exist; the first choice would stand.
    _ = CHOSEN.set(formats);
}

/// Chooses, and keeps the choice.
pub(crate) fn choose(locale: Locale) {
    storage::put(KEPT_AS, locale.tag());
    if let Some(chosen) = CHOSEN.get() {
        chosen.set(asked_of_intl(locale));
    }
}

/// Whose formats are chosen; a view that reads it is written again when that changes.
pub(crate) fn locale() -> Locale {
    with_current(|formats| formats.locale)
}

pub(crate) fn with_current<Answer>(write: impl FnOnce(&Formats) -> Answer) -> Answer {
    match CHOSEN.get() {
        Some(chosen) => chosen.with(write),
        None => write(&Formats::default()),
    }
}

fn asked_of_intl(locale: Locale) -> Formats {
    let mut formats = Formats::of(locale);
    let tags = Array::of1(&locale.tag().into());
    let euros = options(&[("style", "currency"), ("currency", "EUR")]);
    let pieces = pieces(&Intl::NumberFormat::new(&tags, &euros).format_to_parts(SAMPLE_EUROS));
    formats.learn_money(
        pieces
            .iter()
            .map(|(kind, text)| (kind.as_str(), text.as_str())),
    );
    let digits = options(&[
        ("day", "2-digit"),
        ("month", "2-digit"),
        ("year", "numeric"),
    ]);
    let words = options(&[("day", "numeric"), ("month", "long"), ("year", "numeric")]);
    let today = js_sys::Date::new_0();
    let short_date = Intl::DateTimeFormat::new(&tags, &digits).format_to_parts(&today);
    if let Some(parts) = date_parts(&short_date) {
        formats.short_date = parts;
    }
    let in_words = Intl::DateTimeFormat::new(&tags, &words);
    if let Some(parts) = date_parts(&in_words.format_to_parts(&today)) {
        formats.long_date = parts;
    }
    for (place, month) in (0..MONTHS).zip(&mut formats.months) {
        let first = js_sys::Date::new_with_year_month_day(2026, place.cast_signed(), 1);
        let parts = self::pieces(&in_words.format_to_parts(&first));
        if let Some((_, name)) = parts.into_iter().find(|(kind, _)| kind == "month") {
            *month = name;
        }
    }
    formats
}

fn options(entries: &[(&str, &str)]) -> Object {
    let object = Object::new();
    for (key, value) in entries {
        // Setting a property of an object just made cannot fail.
        _ = Reflect::set(&object, &JsValue::from_str(key), &JsValue::from_str(value));
    }
    object
}

fn date_parts(parts: &Array) -> Option<Vec<DatePart>> {
    let parts: Vec<_> = pieces(parts)
        .into_iter()
        .map(|(kind, text)| match kind.as_str() {
            "day" => DatePart::Day,
            "month" => DatePart::Month,
            "year" => DatePart::Year,
            _ => DatePart::Text(text),
        })
        .collect();
    let is_whole = [DatePart::Day, DatePart::Month, DatePart::Year]
        .iter()
        .all(|part| parts.contains(part));
    is_whole.then_some(parts)
}

/// Kind and text of each.
fn pieces(parts: &Array) -> Vec<(String, String)> {
    let text = |part: &JsValue, name: &str| {
        Reflect::get(part, &JsValue::from_str(name))
            .ok()
            .and_then(|value| value.as_string())
            .unwrap_or_default()
    };
    parts
        .iter()
        .map(|part| (text(&part, "type"), text(&part, "value")))
        .collect()
}
