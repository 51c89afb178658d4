//! The few things asked of the browser itself.

use std::time::Duration;

use gloo_timers::future::TimeoutFuture;
use leptos::prelude::*;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;
use web_sys::{HtmlElement, Storage};

use crate::time::{Day, LocalTime};

/// A moment of the gateway in the reader's zone.
pub(crate) fn local_time(rfc3339: &str) -> LocalTime {
    as_local(&js_sys::Date::new(&JsValue::from_str(rfc3339)))
}

/// Now, in the reader's zone.
pub(crate) fn local_now() -> LocalTime {
    as_local(&js_sys::Date::new_0())
}

/// A moment of the browser's clock, in the reader's zone.
pub(crate) fn local_time_of(milliseconds: f64) -> LocalTime {
    as_local(&js_sys::Date::new(&JsValue::from_f64(milliseconds)))
}

/// Now, for machines.
pub(crate) fn rfc3339_now() -> String {
    js_sys::Date::new_0().to_iso_string().into()
}

/// Now, for comparing moments.
pub(crate) fn milliseconds() -> f64 {
    js_sys::Date::now()
}

/// A moment of the gateway, for comparing moments.
pub(crate) fn milliseconds_of(rfc3339: &str) -> f64 {
    js_sys::Date::parse(rfc3339)
}

fn as_local(date: &js_sys::Date) -> LocalTime {
    let day = Day {
        year: date.get_full_year(),
        month: date.get_month() + 1,
        day: date.get_date(),
    };
    LocalTime {
        day,
        hour: date.get_hours(),
        minute: date.get_minutes(),
        second: date.get_seconds(),
    }
}

/// Microseconds since the page was opened.
#[expect(
    clippy::float_arithmetic,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the browser's clock is a float of milliseconds, never below zero; it is time, not money"
)]
pub(crate) fn microseconds() -> u64 {
    window()
        .performance()
        .map_or(0, |clock| (clock.now() * 1_000.0) as u64)
}

pub(crate) async fn sleep(duration: Duration) {
    TimeoutFuture::new(u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)).await;
}

/// A number nobody can guess, for spreading retries.
pub(crate) fn dice() -> u8 {
    uuid::Uuid::new_v4().as_bytes()[0]
}

/// Gives the focus to the element. False when there is none that takes it.
pub(crate) fn focus(selector: &str) -> bool {
    let found = document().query_selector(selector).ok().flatten();
    let element = found.and_then(|found| found.dyn_into::<HtmlElement>().ok());
    element.is_some_and(|element| element.focus().is_ok())
}

/// Whether the focus is in a control of a form.
pub(crate) fn is_in_control() -> bool {
    let focused = document().active_element();
    focused.is_some_and(|element| matches!(element.tag_name().as_str(), "INPUT" | "SELECT"))
}

/// Brings what a link names to the top of the window and gives it the focus.
pub(crate) fn show(selector: &str) {
    scroll_to(selector);
    let found = document().query_selector(selector).ok().flatten();
    if let Some(element) = found.and_then(|found| found.dyn_into::<HtmlElement>().ok()) {
        let options = web_sys::FocusOptions::new();
        options.set_prevent_scroll(true);
        // What takes no focus is in view all the same.
        let _ = element.focus_with_options(&options);
    }
}

/// As [`show`], once all that comes with it stands, and after a new route has given the focus to its heading.
pub(crate) fn show_soon(selector: String) {
    request_animation_frame(move || request_animation_frame(move || show(&selector)));
}

/// Closes the unfolded part the focus is in and goes back to what unfolds it. False when there is none.
pub(crate) fn fold() -> bool {
    const UNFOLDED: &str = "details.disclosure[open]";
    let inside = document().active_element();
    let Some(unfolded) = inside.and_then(|inside| inside.closest(UNFOLDED).ok().flatten()) else {
        return false;
    };
    let _ = unfolded.remove_attribute("open");
    let summary = unfolded.query_selector("summary").ok().flatten();
    let summary = summary.and_then(|found| found.dyn_into::<HtmlElement>().ok());
    summary.is_some_and(|summary| summary.focus().is_ok())
}

/// As [`focus`], after what was just changed is in the document.
pub(crate) fn focus_next_frame(selector: &'static str) {
    request_animation_frame(move || _ = focus(selector));
}

/// Whether there is such an element.
pub(crate) fn is_there(selector: &str) -> bool {
    matches!(document().query_selector(selector), Ok(Some(_)))
}

/// Brings the element into view.
pub(crate) fn scroll_to(selector: &str) {
    if let Ok(Some(found)) = document().query_selector(selector) {
        found.scroll_into_view();
    }
}

/// Hands a file to the reader.
pub(crate) fn download(name: &str, media_type: &str, text: &str) {
    let options = web_sys::BlobPropertyBag::new();
    options.set_type(media_type);
    let parts = js_sys::Array::of1(&JsValue::from_str(text));
    let address = web_sys::Blob::new_with_str_sequence_and_options(&parts, &options)
        .and_then(|blob| web_sys::Url::create_object_url_with_blob(&blob));
    let link = document().create_element("a");
    let (Ok(address), Ok(link)) = (address, link) else {
        return;
    };
    if let Ok(link) = link.dyn_into::<web_sys::HtmlAnchorElement>() {
        link.set_href(&address);
        link.set_download(name);
        link.click();
    }
    // The browser has taken hold of the file by now.
    let _ = web_sys::Url::revoke_object_url(&address);
}

/// Puts a text on the clipboard. False when the browser does not allow it.
pub(crate) async fn copy(text: &str) -> bool {
    let clipboard = js_sys::Reflect::get(&window().navigator(), &JsValue::from_str("clipboard"));
    if !clipboard.is_ok_and(|clipboard| clipboard.is_object()) {
        // Without https, other than on this machine, there is no clipboard at all.
        return false;
    }
    JsFuture::from(window().navigator().clipboard().write_text(text))
        .await
        .is_ok()
}

/// Selects the text of an element.
pub(crate) fn select(element: &web_sys::Node) {
    if let Ok(Some(selection)) = window().get_selection() {
        // Selecting is a courtesy; without it the text can still be selected by hand.
        let _ = selection.select_all_children(element);
    }
}

/// What the browser keeps for this page over reloads. Everything works without it, for as long as the page is open.
pub(crate) mod storage {
    use super::*;

    pub(crate) fn put(key: &str, value: &str) {
        if let Some(storage) = storage() {
            // A full or forbidden storage costs the memory over reloads, nothing else.
            let _ = storage.set_item(key, value);
        }
    }

    pub(crate) fn get(key: &str) -> Option<String> {
        storage().and_then(|storage| storage.get_item(key).ok().flatten())
    }

    pub(crate) fn remove(key: &str) {
        if let Some(storage) = storage() {
            let _ = storage.remove_item(key);
        }
    }

    /// All values whose key starts so.
    pub(crate) fn values(prefix: &str) -> Vec<String> {
        let Some(storage) = storage() else {
            return Vec::new();
        };
        let keys = (0..storage.length().unwrap_or(0))
            .filter_map(|place| storage.key(place).ok().flatten());
        keys.filter(|key| key.starts_with(prefix))
            .filter_map(|key| storage.get_item(&key).ok().flatten())
            .collect()
    }

    fn storage() -> Option<Storage> {
        window().local_storage().ok().flatten()
    }
}
