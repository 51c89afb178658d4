//! Requests that a foreign page makes a browser send are refused.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, header};

/// Whether the request comes from our own page, or from a program that is no browser.
///
/// A page that is its own origin is not enough: a foreign name may be made to lead to this
/// machine. So the host must be an address, or a name that we are known by.
pub(super) fn is_ours(headers: &HeaderMap, host_names: &[String]) -> bool {
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
        && is_known(host, host_names)
}

fn is_known(host: &str, host_names: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else {
        return false;
    };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']');
    address.parse::<IpAddr>().is_ok()
        || host_names
            .iter()
            .any(|known| known.eq_ignore_ascii_case(name))
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
            assert_eq!(is_ours(&headers, &[]), ours, "{origin:?}");
        }
    }

    #[test]
    fn a_host_is_an_address_or_a_name_we_are_known_by() {
        let names = ["localhost".to_owned(), "bank.example".to_owned()];
        for (host, ours) in [
            ("127.0.0.1:8181", true),
            ("[::1]:8181", true),
            ("192.168.7.7", true),
            ("localhost:8181", true),
            ("LOCALHOST:8181", true),
            ("bank.example", true),
            ("evil.example:8181", false),
            ("bank.example.evil.example", false),
            ("user@bank.example", true),
            ("", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, HeaderValue::from_static(host));
            let origin = HeaderValue::from_str(&format!("http://{host}")).unwrap();
            headers.insert(header::ORIGIN, origin);
            assert_eq!(is_ours(&headers, &names), ours, "{host}");
        }
    }
}
