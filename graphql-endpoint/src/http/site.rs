//! The page: files of one folder, and `index.html` for the page's own addresses.

use std::path::Path;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderValue, Uri, header};
use axum::middleware::{self, Next};
use axum::response::{Html, Response};
use axum::routing::get;
use tower_http::services::ServeDir;

/// Checked again each time: names do not change with the content.
const CHECKED: HeaderValue = HeaderValue::from_static("no-cache");
/// Asked for with `?v=...`, a file never changes.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
const NO_PAGE: &str = "<!doctype html><html lang=\"en\"><title>The Bank</title>\
    <p>The page is not built. The API answers at <code>/graphql</code>.";

/// Serves a folder, or a word that there is none.
pub(super) fn router(site: Option<&Path>) -> Router {
    match site {
        Some(directory) => Router::new()
            // What was compressed when the page was made is sent as it is, and not compressed again on the way.
            .fallback_service(ServeDir::new(directory).precompressed_br())
            .layer(middleware::from_fn(cache))
            .layer(middleware::from_fn(lead_to_page)),
        None => Router::new().route("/", get(|| async { Html(NO_PAGE) })),
    }
}

/// The page finds its own way from an address without a dot.
async fn lead_to_page(mut request: Request, next: Next) -> Response {
    let path = request.uri().path();
    if !path.rsplit('/').next().unwrap_or_default().contains('.') {
        *request.uri_mut() = Uri::from_static("/index.html");
    }
    next.run(request).await
}

async fn cache(request: Request, next: Next) -> Response {
    let versioned = request
        .uri()
        .query()
        .is_some_and(|query| query.starts_with("v="));
    let mut response = next.run(request).await;
    if response.status().is_success() {
        let value = if versioned { FOR_EVER } else { CHECKED };
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, value);
        headers.insert(header::VARY, header::ACCEPT_ENCODING.into());
    }
    response
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::http::StatusCode;
    use tower::ServiceExt;
    use tower_http::compression::CompressionLayer;

    use super::*;

    async fn ask(folder: &Path, path: &str, encodings: &str) -> Response {
        let request = Request::builder()
            .uri(path)
            .header(header::ACCEPT_ENCODING, encodings)
            .body(Body::empty())
            .unwrap();
        let page = router(Some(folder)).layer(CompressionLayer::new());
        page.oneshot(request).await.unwrap()
    }

    #[tokio::test]
    async fn given_a_file_with_a_compressed_form_when_asked_for_then_who_takes_it_gets_that_once() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("app.wasm"), "plain").unwrap();
        std::fs::write(folder.path().join("app.wasm.br"), "small").unwrap();
        for (encodings, encoding, body) in [
            ("gzip, br", Some("br"), "small"),
            ("identity", None, "plain"),
        ] {
            let answer = ask(folder.path(), "/app.wasm", encodings).await;
            let header = |name| {
                let value = answer.headers().get(name);
                value.map(|value: &HeaderValue| value.to_str().unwrap())
            };
            assert_eq!(answer.status(), StatusCode::OK);
            assert_eq!(header(header::CONTENT_ENCODING), encoding);
            assert_eq!(header(header::CONTENT_TYPE), Some("application/wasm"));
            assert_eq!(header(header::VARY), Some("accept-encoding"));
            assert_eq!(header(header::CACHE_CONTROL), Some("no-cache"));
            assert_eq!(to_bytes(answer.into_body(), 100).await.unwrap(), body);
        }
    }

    #[tokio::test]
    async fn given_a_file_without_one_when_asked_for_then_it_is_compressed_on_the_way() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("index.html"), "the page ".repeat(100)).unwrap();
        let answer = ask(folder.path(), "/employee", "br").await;
        assert_eq!(answer.headers()[header::CONTENT_ENCODING], "br");
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/html");
        assert!(to_bytes(answer.into_body(), 900).await.unwrap().len() < 100);
    }
}
