//! The operator's door: is it alive, is it ready, and if not, what is it waiting for?

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

type Check = Box<dyn Fn() -> bool + Send + Sync>;

/// What must hold before a service can do its work.
#[derive(Clone, Default)]
pub struct Readiness {
    conditions: Arc<Mutex<BTreeMap<&'static str, Check>>>,
}

impl Readiness {
    /// Names a condition that does not hold until [`Readiness::holds`] is called.
    #[must_use]
    pub fn waiting_for(conditions: &[&'static str]) -> Readiness {
        let readiness = Readiness::default();
        for condition in conditions {
            readiness.check(condition, || false);
        }
        readiness
    }

    /// Says that a condition holds from now on.
    pub fn holds(&self, condition: &'static str) {
        self.check(condition, || true);
    }

    /// Replaces a condition by a question asked whenever somebody asks us.
    pub fn check(&self, condition: &'static str, check: impl Fn() -> bool + Send + Sync + 'static) {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(condition, Box::new(check));
    }

    /// What is being waited for; empty when ready.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .filter(|(_, check)| !check())
            .map(|(condition, _)| *condition)
            .collect()
    }
}

async fn readyz(State(readiness): State<Readiness>) -> (StatusCode, Json<serde_json::Value>) {
    let missing = readiness.missing();
    if missing.is_empty() {
        (StatusCode::OK, Json(serde_json::json!({ "ready": true })))
    } else {
        let answer = serde_json::json!({ "ready": false, "waiting_for": missing });
        (StatusCode::SERVICE_UNAVAILABLE, Json(answer))
    }
}

/// Serves `/livez`, `/readyz` and the service's own routes until told to stop.
///
/// # Errors
/// When the address cannot be taken, or serving fails.
pub async fn serve(
    address: SocketAddr,
    readiness: Readiness,
    own: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let listener = TcpListener::bind(address).await?;
    info!(address = %listener.local_addr()?, "operations");
    let router = Router::new()
        .route("/livez", get(|| async { "alive" }))
        .route("/readyz", get(readyz))
        .with_state(readiness)
        .merge(own);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
