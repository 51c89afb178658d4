//! The targets P1 to P27, each with the figure of this run, or why there is none.

use crate::numbers::{Spread, float, ratio};
use crate::verdict::show;

use super::figures::floors_sum_ms;
use super::results::{Results, Target, TargetState};
use super::run::{GATEWAY, HANDLER};
use super::soak;

/// Whose memory is judged.
const SERVICES: [&str; 4] = [HANDLER, GATEWAY, "command-generator", "heartbeat"];
/// A soak that was shorter is not judged.
const SOAK_LEAST_MINUTES: f64 = 29.0;
/// CPU per command is judged at this rate and above.
const CPU_JUDGED_FROM: f64 = 2_000.0;

enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

struct Targets(Vec<Target>);

impl Targets {
    fn add(&mut self, id: &str, what: &str, bound: &Bound, unit: &str, found: Option<f64>) {
        let (sign, limit) = match bound {
            Bound::AtLeast(limit) => (">=", *limit),
            Bound::AtMost(limit) => ("<=", *limit),
        };
        let is_reached = |found: f64| match bound {
            Bound::AtLeast(limit) => found >= *limit,
            Bound::AtMost(limit) => found <= *limit,
        };
        self.0.push(Target {
            id: id.to_owned(),
            what: what.to_owned(),
            wanted: format!("{sign} {}{unit}", show(limit)),
            found: found.map_or_else(
                || "not in this run".to_owned(),
                |found| format!("{}{unit}", show(found)),
            ),
            state: match found {
                None => TargetState::NotMeasured,
                Some(found) if is_reached(found) => TargetState::Reached,
                Some(_) => TargetState::NotReached,
            },
        });
    }

    /// Measured by something else.
    fn elsewhere(&mut self, id: &str, what: &str, wanted: &str, place: &str) {
        self.0.push(Target {
            id: id.to_owned(),
            what: what.to_owned(),
            wanted: wanted.to_owned(),
            found: place.to_owned(),
            state: TargetState::NotMeasured,
        });
    }
}

/// Judges a run.
#[must_use]
pub fn judge(results: &Results) -> Vec<Target> {
    let mut targets = Targets(Vec::new());
    counts(results, &mut targets);
    latencies(results, &mut targets);
    costs(results, &mut targets);
    let verdict = &results.verdict;
    targets.add(
        "P26",
        "invariants that hold in the end",
        &Bound::AtLeast(100.0),
        " %",
        (verdict.by == "auditor").then(|| {
            100.0 * ratio(float(verdict.holding), float(verdict.invariants)).unwrap_or(0.0)
        }),
    );
    let recovery = results.recovery.as_ref();
    targets.add(
        "P27",
        "handler killed under 1,000/s until answers flow again",
        &Bound::AtMost(3_000.0),
        " ms",
        recovery.map(|it| it.flows_again_ms),
    );
    targets.0
}

fn counts(results: &Results, targets: &mut Targets) {
    use Bound::{AtLeast, AtMost};
    let drain = results.drain.as_ref();
    let rate = drain.and_then(|it| Spread::of(it.per_second.clone()).map(|it| it.median));
    let by = |other: Option<f64>| ratio(rate?, other?);
    targets.add(
        "P1",
        "round trips of the handler per batch, at the socket",
        &AtMost(2.0),
        "",
        drain.map(|it| it.round_trips_per_batch),
    );
    targets.add(
        "P2",
        "transactions per command in the drain",
        &AtMost(0.01),
        "",
        drain.and_then(|it| ratio(1.0, it.commands_per_commit)),
    );
    targets.add(
        "P3",
        "forced writes of the log per command in the drain",
        &AtMost(0.02),
        "",
        drain.map(|it| it.syncs_per_command),
    );
    targets.add(
        "P4",
        "statements per batch",
        &AtMost(9.0),
        "",
        drain.map(|it| it.statements_per_batch),
    );
    targets.add(
        "P4",
        "statements prepared again per 10,000 commands",
        &AtMost(10.0),
        "",
        drain.map(|it| it.prepares_per_10_000),
    );
    targets.add(
        "P5",
        "WAL per transfer in the drain",
        &AtMost(2_000.0),
        " B",
        drain.map(|it| it.wal_bytes_per_command),
    );
    targets.add(
        "P6",
        "drain / --batch-max 1",
        &AtLeast(10.0),
        " x",
        by(drain.map(|it| it.one_at_a_time_per_second)),
    );
    let hot = drain.and_then(|it| ratio(it.hot_per_second, rate?));
    targets.add(
        "P7",
        "drain with 90 % of one account / uniform",
        &AtLeast(0.9),
        "",
        hot,
    );
    targets.elsewhere(
        "P8",
        "records per confirmed transfer",
        "exactly 3",
        "asserted by `cargo bank test`",
    );
    targets.add(
        "P9",
        "produce requests per command in the drain",
        &AtMost(0.1),
        "",
        drain
            .map(|it| it.produce_requests_per_command)
            .filter(|it| *it > 0.0),
    );
    targets.elsewhere(
        "P10",
        "bytes of a transfer's four records",
        "<= 450",
        "asserted by `cargo bank test`",
    );
    targets.elsewhere(
        "P11",
        "instructions per command of the core",
        "<= 10,000",
        "counted by `cargo bank test`, in docs/performance.md",
    );
    targets.elsewhere(
        "P12",
        "instructions per transfer document, cached",
        "<= 130,000",
        "counted by `cargo bank test` of the gateway",
    );
    targets.elsewhere(
        "P13",
        "allocations per command of the core",
        "<= 4",
        "counted by `cargo bank test`, in docs/performance.md",
    );
}

fn latencies(results: &Results, targets: &mut Targets) {
    use Bound::{AtLeast, AtMost};
    let idle = results.step("idle");
    let visible = idle.map(|it| it.visible.p50_ms);
    let hop = results.floor("hop").map(super::results::Floor::p50_ms);
    let sum = floors_sum_ms(results);
    targets.add(
        "P14",
        "idle, balance visible / (hop + apply + hop), p50",
        &AtMost(1.3),
        " x",
        visible.and_then(|it| ratio(it, sum?)),
    );
    let sum_p99 = results
        .floor("hop")
        .zip(results.floor("apply"))
        .map(|(hop, apply)| 2.0 * hop.p99_ms() + apply.p99_ms());
    targets.add(
        "P14",
        "the same, p99",
        &AtMost(2.0),
        " x",
        idle.and_then(|it| ratio(it.visible.p99_ms, sum_p99?)),
    );
    let read_model = results
        .floor("read_model")
        .map(super::results::Floor::p50_ms);
    targets.add(
        "P14",
        "idle, balance visible / (hop + apply + hop + read model), p50",
        &AtMost(1.3),
        " x",
        visible.and_then(|it| ratio(it, sum? + read_model?)),
    );
    targets.add(
        "P15",
        "idle, balance visible / hop, p50",
        &AtMost(4.0),
        " x",
        visible.and_then(|it| ratio(it, hop?)),
    );
    targets.add(
        "P16",
        "idle, balance visible, p50",
        &AtMost(6.0),
        " ms",
        visible,
    );
    targets.add(
        "P16",
        "idle, outcome, p50",
        &AtMost(5.0),
        " ms",
        idle.map(|it| it.outcome.p50_ms),
    );
    let half = results.step("50 %");
    targets.add(
        "P17",
        "p99 / p50 at half of the capacity",
        &AtMost(4.0),
        " x",
        half.and_then(|it| ratio(it.visible.p99_ms, it.visible.p50_ms)),
    );
    let capacity = results.capacity.as_ref().map(|it| it.per_second);
    targets.add(
        "P18",
        "capacity through the gateway",
        &AtLeast(4_000.0),
        "/s",
        capacity,
    );
    let drain = results.drain.as_ref();
    let rate = drain.and_then(|it| Spread::of(it.per_second.clone()).map(|it| it.median));
    targets.add(
        "P19",
        "topic to topic, drain",
        &AtLeast(15_000.0),
        "/s",
        rate,
    );
}

fn costs(results: &Results, targets: &mut Targets) {
    use Bound::AtMost;
    // The lowest rate from which on it is judged: costs per command fall with the rate.
    let judged = results
        .steps
        .iter()
        .filter(|it| it.offered_per_second >= CPU_JUDGED_FROM && it.is_kept_up)
        .filter(|it| !it.services.is_empty())
        .min_by(|one, other| one.offered_per_second.total_cmp(&other.offered_per_second));
    let at = judged.map_or_else(String::new, |it| {
        format!(" at {}/s", show(it.offered_per_second))
    });
    let cpu = |name: &str| judged.and_then(|it| Some(it.service(name)?.cpu_us_per_command));
    targets.add(
        "P20",
        &format!("CPU of the handler per command{at}"),
        &AtMost(20.0),
        " us",
        cpu(HANDLER),
    );
    targets.add(
        "P20",
        &format!("CPU of the handler's PostgreSQL per command{at}"),
        &AtMost(60.0),
        " us",
        cpu("postgres: command_handler"),
    );
    targets.add(
        "P20",
        &format!("CPU of the gateway per command{at}"),
        &AtMost(80.0),
        " us",
        cpu(GATEWAY),
    );
    let drain = results.drain.as_ref();
    targets.add(
        "P21",
        "RssAnon of the handler, idle",
        &AtMost(8.0),
        " MiB",
        drain.map(|it| it.idle_mib),
    );
    targets.add(
        "P21",
        "RssAnon of the handler, loaded",
        &AtMost(24.0),
        " MiB",
        drain.map(|it| it.loaded_mib),
    );
    let followers = results.followers.as_ref();
    targets.add(
        "P21",
        "RssAnon of the gateway, idle",
        &AtMost(16.0),
        " MiB",
        followers.map(|it| it.idle_mib).filter(|it| *it > 0.0),
    );
    let with = followers.map_or(0, |it| it.followers);
    targets.add(
        "P21",
        &format!("RssAnon of the gateway with {with} followers under load"),
        &AtMost(64.0),
        " MiB",
        followers.map(|it| it.loaded_mib).filter(|it| *it > 0.0),
    );
    let waiting = drain.map_or(0, |it| it.waiting_commands);
    targets.add(
        "P22",
        &format!("growth of the handler's RssAnon with {waiting} waiting"),
        &AtMost(16.0),
        " MiB",
        drain.map(|it| it.waiting_growth_mib),
    );
    growth(results, targets);
    let nothing = results.step("nothing").filter(|it| !it.services.is_empty());
    let idle_cpu = nothing.map(|it| {
        let cpu = |name| it.service(name).map_or(0.0, |it| it.cpu_percent);
        cpu(HANDLER) + cpu(GATEWAY)
    });
    targets.add(
        "P24",
        "CPU of handler and gateway with nothing to do",
        &AtMost(1.0),
        " % of a core",
        idle_cpu,
    );
    targets.elsewhere(
        "P25",
        "wake-ups of the gateway per change, 1,000 subscribers of others",
        "<= 2",
        "asserted by `cargo bank test` of the gateway",
    );
}

/// Of the services themselves: what a broker or a database keeps in memory is theirs to say.
fn growth(results: &Results, targets: &mut Targets) {
    let (what, limit) = ("growth of memory over 30 minutes", 1.0);
    let Some(soak) = &results.soak else {
        targets.elsewhere("P23", what, "<= 1 MiB/h", "by `cargo bank perf soak`");
        return;
    };
    let ours = soak
        .processes
        .iter()
        .filter(|it| SERVICES.contains(&it.name.as_str()));
    let slopes = ours.filter_map(|it| Some((it.mib_per_hour?, it.name.as_str())));
    let Some((slope, name)) = slopes.max_by(|one, other| one.0.total_cmp(&other.0)) else {
        targets.elsewhere(
            "P23",
            what,
            "<= 1 MiB/h",
            "no service was watched long enough",
        );
        return;
    };
    let at = format!(
        "{} minutes at {}/s, {name}",
        soak::minutes(soak),
        show(soak.per_second)
    );
    if soak.minutes < SOAK_LEAST_MINUTES {
        let found = format!("{} MiB/h over {at}: too short to tell", show(slope));
        targets.elsewhere("P23", what, "<= 1 MiB/h", &found);
        return;
    }
    targets.add(
        "P23",
        &format!("growth of memory over {at}, which grew most"),
        &Bound::AtMost(limit),
        " MiB/h",
        Some(slope),
    );
}
