//! The operator's door: is it alive, is it ready, and if not, what is it waiting for? And
//! what has it counted?

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::metrics;

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

    /// The same as metrics.
    fn write(&self, text: &mut String) {
        let conditions: Vec<(String, u64)> = self
            .conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
            .map(|(condition, check)| {
                (format!("{{condition=\"{condition}\"}}"), u64::from(check()))
            })
            .collect();
        let is_ready = conditions.iter().all(|(_, holds)| *holds == 1);
        let help = "Whether it can do its work: 1 or 0.";
        let ready = [(String::new(), u64::from(is_ready))];
        metrics::write_family(text, "bank_ready", "gauge", help, &ready);
        let help = "What must hold for that: 1 or 0.";
        metrics::write_family(text, "bank_condition_holds", "gauge", help, &conditions);
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

async fn tell_metrics(State(readiness): State<Readiness>) -> impl IntoResponse {
    let mut text = metrics::text();
    readiness.write(&mut text);
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text)
}

/// Serves `/livez`, `/readyz`, `/metrics` and the service's own routes until told to stop.
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
        .route("/metrics", get(tell_metrics))
        .with_state(readiness)
        .merge(own);
    axum::serve(listener, router)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
