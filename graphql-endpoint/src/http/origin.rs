//! Requests that a foreign page makes a browser send are refused.

use axum::http::{HeaderMap, header};

/// Whether the request comes from our own page, or from a program that is no browser.
pub(super) fn is_ours(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let (Ok(origin), Some(host)) = (origin.to_str(), host) else {
        return false;
    };
    origin
        .strip_prefix("http://")
        .or_else(|| origin.strip_prefix("https://"))
        .is_some_and(|origin| origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn only_our_own_origin_or_none_is_let_in() {
        for (origin, ours) in [
            (None, true),
            (Some("http://127.0.0.1:8181"), true),
            (Some("https://127.0.0.1:8181"), true),
            (Some("null"), false),
            (Some(""), false),
            (Some("127.0.0.1:8181"), false),
            (Some("http://127.0.0.1"), false),
            (Some("http://127.0.0.1:8182"), false),
            (Some("http://evil.example"), false),
            (Some("http://127.0.0.1:8181.evil.example"), false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static("127.0.0.1:8181"));
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_ours(&headers), ours, "{origin:?}");
        }
    }
}
