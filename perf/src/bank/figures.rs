//! The figures that runs are compared by. Where the machine is the same but its mood is not,
//! times are compared as ratios to the floors of their own run.

use crate::numbers::{Spread, ratio};

use super::results::{Better, Figure, Latency, Results, Service};
use super::run::{GATEWAY, HANDLER};

struct Figures(Vec<Figure>);

impl Figures {
    fn add(&mut self, name: &str, what: &str, unit: &str, better: Better, value: (f64, f64, f64)) {
        let (value, least, greatest) = value;
        if value.is_finite() && value > 0.0 {
            self.0.push(Figure {
                name: name.to_owned(),
                what: what.to_owned(),
                unit: unit.to_owned(),
                value,
                least,
                greatest,
                better,
            });
        }
    }

    fn one(&mut self, name: &str, what: &str, unit: &str, better: Better, value: f64) {
        self.add(name, what, unit, better, (value, value, value));
    }
}

fn p50(latency: &Latency) -> (f64, f64, f64) {
    (
        latency.p50_ms,
        latency.p50_spread_ms.0,
        latency.p50_spread_ms.1,
    )
}

fn p99(latency: &Latency) -> (f64, f64, f64) {
    (
        latency.p99_ms,
        latency.p99_spread_ms.0,
        latency.p99_spread_ms.1,
    )
}

/// Sum of the floors that a command cannot do without: a hop, an apply, a hop.
#[must_use]
pub fn floors_sum_ms(results: &Results) -> Option<f64> {
    Some(2.0 * results.floor("hop")?.p50_ms() + results.floor("apply")?.p50_ms())
}

/// The figures of a run.
#[must_use]
pub fn figures(results: &Results) -> Vec<Figure> {
    use Better::{Higher, Lower};
    let mut all = Figures(Vec::new());
    if let Some(capacity) = &results.capacity {
        let per_second = capacity.per_second;
        all.one(
            "capacity",
            "capacity through the gateway",
            "/s",
            Higher,
            per_second,
        );
    }
    if let Some(idle) = results.step("idle") {
        all.add(
            "idle_outcome_p50",
            "idle, to the outcome, p50",
            "ms",
            Lower,
            p50(&idle.outcome),
        );
        all.add(
            "idle_visible_p50",
            "idle, to the changed balance, p50",
            "ms",
            Lower,
            p50(&idle.visible),
        );
        if let Some(sum) = floors_sum_ms(results) {
            let by = |ms: f64| ratio(ms, sum).unwrap_or(0.0);
            let (value, least, greatest) = p50(&idle.visible);
            all.add(
                "idle_visible_by_floors",
                "idle, to the changed balance, p50 / (hop + apply + hop)",
                "x",
                Lower,
                (by(value), by(least), by(greatest)),
            );
        }
    }
    for (step, name) in [
        ("25 %", "25"),
        ("50 %", "50"),
        ("75 %", "75"),
        ("100 %", "100"),
    ] {
        let Some(step) = results.step(step) else {
            continue;
        };
        let what = |of: &str| {
            format!(
                "{} of the capacity, to the changed balance, {of}",
                step.name
            )
        };
        all.add(
            &format!("visible_p50_at_{name}"),
            &what("p50"),
            "ms",
            Lower,
            p50(&step.visible),
        );
        all.add(
            &format!("visible_p99_at_{name}"),
            &what("p99"),
            "ms",
            Lower,
            p99(&step.visible),
        );
        for program in [HANDLER, GATEWAY, "postgres", "kafka"] {
            let cpu = step
                .service(program)
                .map_or(0.0, |it| it.cpu_us_per_command);
            all.one(
                &format!("cpu_{program}_at_{name}"),
                &format!(
                    "{} of the capacity, CPU of {program} per command",
                    step.name
                ),
                "us",
                Lower,
                cpu,
            );
        }
    }
    if let Some(drain) = &results.drain
        && let Some(rates) = Spread::of(drain.per_second.clone())
    {
        let value = (rates.median, rates.least, rates.greatest);
        all.add(
            "drain",
            "drain of the handler, topic to topic",
            "/s",
            Higher,
            value,
        );
        let by = |rate: f64| ratio(rate, drain.one_at_a_time_per_second).unwrap_or(0.0);
        all.add(
            "drain_by_one_at_a_time",
            "drain / --batch-max 1",
            "x",
            Higher,
            (by(rates.median), by(rates.least), by(rates.greatest)),
        );
    }
    if let Some(painted) = &results.painted {
        all.add(
            "painted_p50",
            "click to paint, p50",
            "ms",
            Lower,
            p50(&painted.latency),
        );
    }
    if let Some(recovery) = &results.recovery {
        all.one(
            "recovery",
            "handler killed until answers flow again",
            "ms",
            Lower,
            recovery.flows_again_ms,
        );
    }
    if let Some(followers) = &results.followers {
        all.one(
            "gateway_idle_mib",
            "RssAnon of the gateway, idle",
            "MiB",
            Lower,
            followers.idle_mib,
        );
        all.one(
            "gateway_loaded_mib",
            "RssAnon of the gateway with followers under load",
            "MiB",
            Lower,
            followers.loaded_mib,
        );
    }
    all.0
}

/// A process of a step by name, for tables.
#[must_use]
pub fn cpu_us(service: Option<&Service>) -> f64 {
    service.map_or(0.0, |it| it.cpu_us_per_command)
}
