//! One origin for everything: the API, its WebSocket, the page.

mod events;

pub mod explorer;

mod headers;

mod origin;

mod post;

mod protocol;

mod server;

mod site;

mod websocket;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderMap, HeaderName, header};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use topology::operations::Readiness;
use topology::stamps::TRACE_PARENT_HEADER;
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::{NotForContentType, Predicate, SizeAbove};
use tracing::info;

use crate::error::Error;
use crate::gateway::{Caller, Gateway};
use crate::graphql::{self, Schema};
use crate::identity::SessionToken;
use crate::limits::Places;

/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a WebSocket message.
pub const MESSAGE_BYTES_MAX: usize = 64 * 1024;
/// WebSockets of one instance.
pub const SOCKETS_MAX: usize = 10_000;
/// How long requests under way may take once the gateway is told to stop.
const GRACE: std::time::Duration = std::time::Duration::from_secs(5);
/// How long open WebSockets may take to say goodbye.
const GOODBYE: std::time::Duration = std::time::Duration::from_secs(2);

/// What the handlers share.
#[derive(Clone)]
pub(crate) struct Shared {
    schema: Arc<Schema>,
    gateway: Arc<Gateway>,
    sockets: Arc<Semaphore>,
    sockets_by_address: Arc<Places<IpAddr>>,
    sockets_by_user: Arc<Places<String>>,
    open: TaskTracker,
    stop: CancellationToken,
}

/// Serves until told to stop; open WebSockets are told to come back.
///
/// # Errors
/// When the address cannot be taken.
pub async fn serve(
    address: SocketAddr,
    site: Option<&Path>,
    gateway: Arc<Gateway>,
    readiness: Readiness,
    stop: CancellationToken,
) -> Result<(), Error> {
    server::raise_descriptors();
    let listener = TcpListener::bind(address)
        .await
        .map_err(|source| Error::Listen { address, source })?;
    info!(address = %listener.local_addr().map_err(Error::Serve)?, "answering");
    let open = TaskTracker::new();
    let limits = gateway.limits;
    let shared = Shared {
        schema: Arc::new(graphql::schema(Arc::clone(&gateway))),
        gateway,
        sockets: Arc::new(Semaphore::new(SOCKETS_MAX)),
        sockets_by_address: Arc::new(Places::new(limits.sockets_per_address)),
        sockets_by_user: Arc::new(Places::new(limits.sockets_per_user)),
        open: open.clone(),
        stop: stop.clone(),
    };
    let router = router(shared, site, readiness);
    let serving = server::serve(listener, router, limits, stop.clone());
    let too_late = async {
        stop.cancelled().await;
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        () = serving => {}
        () = too_late => {}
    }
    open.close();
    // Who does not say goodbye in time is cut off.
    let _ = tokio::time::timeout(GOODBYE, open.wait()).await;
    Ok(())
}

fn router(shared: Shared, site: Option<&Path>, readiness: Readiness) -> Router {
    let api = Router::new()
        .route(
            "/graphql",
            post(post::answer).layer(DefaultBodyLimit::max(BODY_BYTES_MAX)),
        )
        .route("/graphql-ws", get(websocket::upgrade))
        .with_state(shared);
    let page = site::router(site).layer(
        CompressionLayer::new()
            .quality(tower_http::CompressionLevel::Precise(5))
            .compress_when(
                SizeAbove::new(512)
                    .and(NotForContentType::IMAGES)
                    .and(NotForContentType::const_new("font/woff2")),
            ),
    );
    Router::new()
        .merge(api)
        .merge(topology_routes(readiness))
        .merge(explorer::router())
        .fallback_service(page)
        .layer(axum::middleware::map_response(headers::secure))
}

fn topology_routes(readiness: Readiness) -> Router {
    use axum::http::StatusCode;
    let ready = move || async move {
        let missing = readiness.missing();
        if missing.is_empty() {
            (
                StatusCode::OK,
                axum::Json(serde_json::json!({ "ready": true })),
            )
        } else {
            let answer = serde_json::json!({ "ready": false, "waiting_for": missing });
            (StatusCode::SERVICE_UNAVAILABLE, axum::Json(answer))
        }
    };
    Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(ready))
}

/// Who sends this request.
fn caller(headers: &HeaderMap, address: IpAddr) -> Caller {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let session = match text(header::AUTHORIZATION) {
        // A program that shows a session means that one.
        Some(value) => SessionToken::from_authorization(value),
        None => text(header::COOKIE).and_then(SessionToken::from_cookies),
    };
    Caller::new(session, address).within(text(HeaderName::from_static(TRACE_PARENT_HEADER)))
}
