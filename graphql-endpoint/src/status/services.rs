//! What services say of themselves, at `/readyz` and `/metrics` of their operations.

use std::collections::BTreeMap;
use std::time::Instant;

use chrono::{DateTime, Utc};
use futures_util::future::join_all;
use serde::Deserialize;

use super::snapshot::{ServiceKind, ServiceState, ServiceStatus};
use super::web;
use crate::config::ServiceAddress;

/// Instances asked; what is listed beyond is not shown.
const INSTANCES_MAX: usize = 32;
/// Things a service may wait for.
const WAITING_MAX: usize = 10;
/// Characters of the name of one.
const WAITING_CHARACTERS_MAX: usize = 60;
/// Commands whose events are owed, as the handler tells.
const OWED: [&str; 2] = ["bank_owed_commands", "bank_outbox_pending"];

/// What `/readyz` says.
#[derive(Deserialize)]
struct Ready {
    #[serde(default)]
    waiting_for: Vec<String>,
}

/// What one instance said.
#[derive(Clone, Debug, Default, PartialEq)]
struct Told {
    answers: bool,
    waiting_for: Vec<String>,
    metrics: Metrics,
}

/// What of `/metrics` is of use here.
#[derive(Clone, Debug, Default, PartialEq)]
struct Metrics {
    cpu_seconds: Option<f64>,
    resident_bytes: Option<f64>,
    started_at_seconds: Option<f64>,
    owed: Option<f64>,
}

/// All services, and what was known of each the last time.
pub(super) struct Services {
    addresses: Vec<ServiceAddress>,
    cpu: BTreeMap<String, (Instant, f64, f64)>,
    states: BTreeMap<String, (ServiceState, Option<DateTime<Utc>>)>,
}

/// The services and what the handler owes.
pub(super) struct Found {
    pub(super) services: Vec<ServiceStatus>,
    pub(super) owed: Option<i64>,
}

impl Services {
    pub(super) fn at(addresses: &[ServiceAddress]) -> Services {
        Services {
            addresses: addresses.iter().take(INSTANCES_MAX).cloned().collect(),
            cpu: BTreeMap::new(),
            states: BTreeMap::new(),
        }
    }

    /// Asks every instance at once.
    pub(super) async fn ask(&mut self, client: &reqwest::Client) -> Found {
        let asked = self.addresses.iter().map(|it| ask(client, &it.address));
        let told = join_all(asked).await;
        let mut names: Vec<String> = Vec::new();
        let mut by_name: BTreeMap<String, Vec<(String, Told)>> = BTreeMap::new();
        for (it, told) in self.addresses.iter().zip(told) {
            if !by_name.contains_key(&it.name) {
                names.push(it.name.clone());
            }
            let instances = by_name.entry(it.name.clone()).or_default();
            instances.push((it.address.clone(), told));
        }
        let mut owed: Option<f64> = None;
        let mut services = Vec::with_capacity(names.len());
        for name in names {
            let instances = by_name.remove(&name).unwrap_or_default();
            let all = instances.iter().filter_map(|(_, it)| it.metrics.owed);
            // The instances of a handler have one debt, and each tells all of it.
            owed = all.fold(owed, |most, it| {
                Some(most.map_or(it, |most: f64| most.max(it)))
            });
            services.push(self.together(name, &instances));
        }
        Found {
            services,
            owed: owed.and_then(whole),
        }
    }

    fn together(&mut self, name: String, instances: &[(String, Told)]) -> ServiceStatus {
        let answering = instances.iter().filter(|(_, told)| told.answers);
        let state = match instances {
            all if all.iter().any(|(_, told)| !told.answers) => ServiceState::Gone,
            all if all.iter().any(|(_, told)| !told.waiting_for.is_empty()) => {
                ServiceState::NotReady
            }
            _ => ServiceState::Up,
        };
        let mut waiting_for: Vec<String> = instances
            .iter()
            .flat_map(|(_, told)| told.waiting_for.iter().cloned())
            .collect();
        waiting_for.sort();
        waiting_for.dedup();
        let started_at = instances
            .iter()
            .filter_map(|(_, told)| told.metrics.started_at_seconds)
            .fold(None, |newest: Option<f64>, it| {
                Some(newest.map_or(it, |newest| newest.max(it)))
            });
        let cpu = instances
            .iter()
            .filter_map(|(address, told)| self.cpu_percent(address, &told.metrics));
        let cpu_percent = sum(cpu);
        ServiceStatus {
            kind: ServiceKind::Service,
            state,
            waiting_for,
            since: self.since(&name, state, started_at.and_then(time)),
            instances: i32::try_from(answering.count()).unwrap_or(i32::MAX),
            resident_bytes: sum(instances
                .iter()
                .filter_map(|(_, it)| it.metrics.resident_bytes)),
            cpu_percent,
            lag: None,
            name,
        }
    }

    /// Of one core, since the last time it was asked.
    #[expect(clippy::float_arithmetic, reason = "a share of time, not money")]
    fn cpu_percent(&mut self, address: &str, metrics: &Metrics) -> Option<f64> {
        let now = Instant::now();
        let (used, started) = (
            metrics.cpu_seconds?,
            metrics.started_at_seconds.unwrap_or(0.0),
        );
        let before = self.cpu.insert(address.to_owned(), (now, used, started));
        let (at, used_then, started_then) = before?;
        let seconds = now.duration_since(at).as_secs_f64();
        // A new process counts from nothing again.
        let is_the_same = (started - started_then).abs() < 1.0 && used >= used_then;
        (is_the_same && seconds > 0.0).then(|| (used - used_then) / seconds * 100.0)
    }

    /// Since when it is in this state.
    pub(super) fn since(
        &mut self,
        name: &str,
        state: ServiceState,
        started_at: Option<DateTime<Utc>>,
    ) -> Option<DateTime<Utc>> {
        let since = match self.states.get(name) {
            Some((before, since)) if *before == state && state != ServiceState::Up => *since,
            // A process that started anew between two looks has been up since then only.
            Some((before, since)) if *before == state => started_at.max(*since),
            Some(_) => Some(Utc::now()),
            None if state == ServiceState::Up => started_at.or_else(|| Some(Utc::now())),
            None => Some(Utc::now()),
        };
        self.states.insert(name.to_owned(), (state, since));
        since
    }
}

async fn ask(client: &reqwest::Client, address: &str) -> Told {
    let ready = format!("http://{address}/readyz");
    let metrics = format!("http://{address}/metrics");
    let (ready, metrics) = tokio::join!(web::get(client, &ready), web::get(client, &metrics));
    let Some(ready) = ready else {
        return Told::default();
    };
    let waiting_for = if ready.is_success {
        Vec::new()
    } else {
        let said = ready.json::<Ready>().map(|it| it.waiting_for);
        let said = said.filter(|it| !it.is_empty());
        let mut names = said.unwrap_or_else(|| vec!["it does not say".to_owned()]);
        names.truncate(WAITING_MAX);
        let short = |name: String| name.chars().take(WAITING_CHARACTERS_MAX).collect();
        names.into_iter().map(short).collect()
    };
    let metrics = metrics.filter(|answer| answer.is_success);
    Told {
        answers: true,
        waiting_for,
        metrics: metrics
            .and_then(|answer| String::from_utf8(answer.body).ok())
            .map(|text| read_metrics(&text))
            .unwrap_or_default(),
    }
}

/// Picks what is of use from Prometheus' text.
fn read_metrics(text: &str) -> Metrics {
    let value = |wanted: &str| {
        let mut lines = text.lines().filter_map(|line| {
            let (series, value) = line.rsplit_once(' ')?;
            let name = series.split('{').next()?;
            (name == wanted).then(|| value.parse::<f64>().ok())?
        });
        lines.next().filter(|value| value.is_finite())
    };
    Metrics {
        cpu_seconds: value("process_cpu_seconds_total"),
        resident_bytes: value("process_resident_memory_bytes"),
        started_at_seconds: value("process_start_time_seconds"),
        owed: OWED.into_iter().find_map(value),
    }
}

#[expect(clippy::float_arithmetic, reason = "bytes and shares, not money")]
fn sum(values: impl Iterator<Item = f64>) -> Option<f64> {
    values.fold(None, |sum, it| Some(sum.unwrap_or(0.0) + it))
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "saturates, and counts are small"
)]
fn whole(value: f64) -> Option<i64> {
    (value >= 0.0).then_some(value as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::float_arithmetic,
    reason = "saturates, and a time is no money"
)]
fn time(seconds: f64) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis((seconds * 1000.0) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_metrics_then_what_is_of_use_is_read_and_the_rest_is_not() {
        let text = "# HELP process_cpu_seconds_total Time.\n# TYPE process_cpu_seconds_total counter\n\
                    process_cpu_seconds_total 1.25\n\
                    process_resident_memory_bytes{a=\"b c\"} 12345678\n\
                    process_start_time_seconds NaN\nbank_outbox_pending 3\nother 7\nbroken\n";
        let metrics = read_metrics(text);
        assert_eq!(metrics.cpu_seconds, Some(1.25));
        assert_eq!(metrics.resident_bytes, Some(12_345_678.0));
        assert_eq!(metrics.started_at_seconds, None);
        assert_eq!(metrics.owed, Some(3.0));
        assert_eq!(read_metrics(""), Metrics::default());
    }

    #[test]
    fn given_several_instances_then_the_worst_one_is_the_state() {
        let up = Told {
            answers: true,
            ..Told::default()
        };
        let waiting = Told {
            answers: true,
            waiting_for: vec!["kafka".to_owned()],
            ..Told::default()
        };
        let gone = Told::default();
        for (told, state, instances) in [
            (vec![&up, &up], ServiceState::Up, 2),
            (vec![&up, &waiting], ServiceState::NotReady, 2),
            (vec![&waiting, &gone], ServiceState::Gone, 1),
        ] {
            let told = told.into_iter().enumerate();
            let told: Vec<_> = told.map(|(at, it)| (at.to_string(), it.clone())).collect();
            let mut services = Services::at(&[]);
            let shown = services.together("handler".to_owned(), &told);
            assert_eq!((shown.state, shown.instances), (state, instances));
            assert_eq!(shown.cpu_percent, None);
        }
    }
}
