//! What the gateway counts of itself, for `/metrics` on the port for operations.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use topology::Topic;
use topology::consumer::Consumed;
use topology::metrics::{self, Gauge, Histogram, SECONDS};

use crate::live::hub::Hub;
use crate::status::Meter;

/// Operations, subscriptions and the read model.
#[derive(Clone)]
pub struct Figures {
    queries: Histogram,
    mutations: Histogram,
    subscriptions: Gauge,
    projected: Projected,
}

/// How far the read model has come, by partition of `balance_changed`.
pub type Projected = Arc<Mutex<BTreeMap<i32, i64>>>;

/// One subscription, for as long as it is kept.
pub struct ActiveSubscription(Gauge);

impl Drop for ActiveSubscription {
    fn drop(&mut self) {
        self.0.add(-1);
    }
}

impl Figures {
    /// Told with what these know.
    #[must_use]
    pub fn of(hub: &Arc<Hub>, meter: &Arc<Meter>) -> Figures {
        let projected = Projected::default();
        tell_the_rest(hub, meter, &projected);
        let duration = |operation| {
            metrics::histogram(
                "graphql_request_duration_seconds",
                "From the parsed request to its answer; a payment waits for its outcome.",
                &[("operation", operation)],
                SECONDS,
            )
        };
        Figures {
            queries: duration("query"),
            mutations: duration("mutation"),
            subscriptions: metrics::gauge(
                "graphql_subscriptions_active",
                "Subscriptions on WebSockets.",
                &[],
            ),
            projected,
        }
    }

    /// An operation has its answer.
    pub fn answered(&self, is_mutation: bool, took: Duration) {
        let of_kind = if is_mutation {
            &self.mutations
        } else {
            &self.queries
        };
        of_kind.observe_duration(took);
    }

    /// A subscription begins.
    #[must_use]
    pub fn subscription(&self) -> ActiveSubscription {
        self.subscriptions.add(1);
        ActiveSubscription(self.subscriptions.clone())
    }

    /// Where the projection notes how far it is.
    #[must_use]
    pub fn projected(&self) -> Projected {
        Arc::clone(&self.projected)
    }
}

/// A batch is in the read model.
pub fn note_projected(projected: &Projected, batch: &[Consumed]) {
    let mut projected = projected.lock().unwrap_or_else(PoisonError::into_inner);
    for consumed in batch {
        if consumed.topic == Topic::BalanceChanged {
            projected.insert(consumed.partition, consumed.offset + 1);
        }
    }
}

/// Known elsewhere, and looked up whenever somebody asks.
fn tell_the_rest(hub: &Arc<Hub>, meter: &Arc<Meter>, projected: &Projected) {
    let (hub, meter, projected) = (
        Arc::downgrade(hub),
        Arc::downgrade(meter),
        projected.clone(),
    );
    metrics::written_by("graphql-endpoint", move |text| {
        let (Some(hub), Some(meter)) = (hub.upgrade(), meter.upgrade()) else {
            return;
        };
        let one = |value: u64| [(String::new(), value)];
        let help = "WebSockets and event streams.";
        let sockets = one(meter.sockets());
        metrics::write_family(text, "bank_sockets_open", "gauge", help, &sockets);
        let help = "Changes handed to subscribers.";
        let pushed = one(meter.pushed_count());
        metrics::write_family(text, "bank_changes_pushed_total", "counter", help, &pushed);
        let help = "Followers of accounts.";
        let followers = one(hub.count());
        metrics::write_family(text, "bank_followers_active", "gauge", help, &followers);
        let help = "Changes that are live but not yet in the read model, of the partitions this instance projects.";
        let lag = one(lag(&hub, &projected));
        metrics::write_family(text, "bank_projection_lag_events", "gauge", help, &lag);
    });
}

fn lag(hub: &Hub, projected: &Projected) -> u64 {
    let tail = hub.tail().unwrap_or_default();
    let projected = projected.lock().unwrap_or_else(PoisonError::into_inner);
    let behind = projected.iter().map(|(partition, next)| {
        let live = tail.get(partition).copied().unwrap_or(0);
        u64::try_from(live - next).unwrap_or(0)
    });
    behind.sum()
}
