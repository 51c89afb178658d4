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
            .fallback_service(ServeDir::new(directory))
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
        response.headers_mut().insert(header::CACHE_CONTROL, value);
    }
    response
}
