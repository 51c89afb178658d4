//! Where the time of a command goes: the stamps it collected on its way, folded into stages.
//!
//! Gateway and handler write the times into a header of the records, `name=<microseconds since
//! the epoch>;…`; what lies before and after is the client's. All clocks are one clock.

use std::collections::HashMap;

use crate::latency::Latencies;
use crate::numbers::{float, float_len};

use super::results::{Stage, Stages};

/// A time a command passed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Stamp {
    /// Meant to be sent.
    Intended,
    /// Handed to the client's socket.
    Sent,
    /// Read by the gateway.
    Accepted,
    /// Handed to Kafka by the gateway.
    Produced,
    /// Polled by the handler.
    Polled,
    /// Decided.
    Decided,
    /// Committed in the books.
    Committed,
    /// Its events handed to Kafka.
    Emitted,
    /// The changed balance at the client.
    Received,
}

/// In the order a command passes them.
pub const WAY: [Stamp; 9] = [
    Stamp::Intended,
    Stamp::Sent,
    Stamp::Accepted,
    Stamp::Produced,
    Stamp::Polled,
    Stamp::Decided,
    Stamp::Committed,
    Stamp::Emitted,
    Stamp::Received,
];

/// What happens before each stamp but the first.
const NAMES: [&str; 8] = [
    "waits to be sent",
    "reaches the gateway",
    "checked and claimed",
    "hops to the handler",
    "decided",
    "committed",
    "handed to Kafka",
    "hops back and is pushed",
];

impl Stamp {
    /// As results name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Stamp::Intended => "intended",
            Stamp::Sent => "sent",
            Stamp::Accepted => "accepted",
            Stamp::Produced => "produced",
            Stamp::Polled => "polled",
            Stamp::Decided => "decided",
            Stamp::Committed => "committed",
            Stamp::Emitted => "emitted",
            Stamp::Received => "received",
        }
    }

    /// As the header names it. The gateway's `sent` is our `produced`.
    fn of_header(name: &str) -> Option<Stamp> {
        Some(match name {
            "accepted" => Stamp::Accepted,
            "sent" | "produced" => Stamp::Produced,
            "polled" => Stamp::Polled,
            "decided" => Stamp::Decided,
            "committed" => Stamp::Committed,
            "emitted" => Stamp::Emitted,
            _ => return None,
        })
    }
}

/// The stamps of one command, in microseconds since the epoch.
#[derive(Clone, Debug, Default)]
pub struct Stamps {
    times_us: HashMap<Stamp, u64>,
    /// Commands that were decided together with it.
    pub batch: u64,
}

impl Stamps {
    /// Reads the header; what it does not know it leaves out.
    #[must_use]
    pub fn read(header: &str) -> Stamps {
        let mut stamps = Stamps::default();
        for pair in header.split(';') {
            let Some((name, value)) = pair.split_once('=') else {
                continue;
            };
            let Ok(value) = value.trim().parse::<u64>() else {
                continue;
            };
            match name.trim() {
                "batch" => stamps.batch = value,
                name => {
                    if let Some(stamp) = Stamp::of_header(name) {
                        stamps.times_us.insert(stamp, value);
                    }
                }
            }
        }
        stamps
    }

    /// Adds a time of the client's own.
    pub fn note(&mut self, stamp: Stamp, at_us: u64) {
        self.times_us.insert(stamp, at_us);
    }

    /// Microseconds of each stage; `None` when a stamp is missing. Clocks of two processors
    /// may be a microsecond apart: nothing takes less than no time.
    fn durations_us(&self) -> Option<[u64; NAMES.len()]> {
        let mut durations = [0; NAMES.len()];
        for (duration, pair) in durations.iter_mut().zip(WAY.windows(2)) {
            let (from, to) = (self.times_us.get(&pair[0])?, self.times_us.get(&pair[1])?);
            *duration = to.saturating_sub(*from);
        }
        Some(durations)
    }
}

/// Folds the stamps of many commands.
#[must_use]
pub fn fold<'a>(step: &str, per_second: f64, all: impl Iterator<Item = &'a Stamps>) -> Stages {
    let mut latencies: [Latencies; NAMES.len()] = std::array::from_fn(|_| Latencies::default());
    let mut sums_us = [0_u64; NAMES.len()];
    let mut batches = Vec::new();
    for stamps in all {
        let Some(durations) = stamps.durations_us() else {
            continue;
        };
        batches.push(stamps.batch);
        for (index, duration) in durations.into_iter().enumerate() {
            latencies[index].record(0, duration * 1_000);
            sums_us[index] += duration;
        }
    }
    batches.sort_unstable();
    let samples = batches.len();
    let mean_ms = |sum_us: u64| float(sum_us) / float_len(samples.max(1)) / 1_000.0;
    let stages: Vec<Stage> = if samples == 0 {
        Vec::new()
    } else {
        (0..NAMES.len())
            .map(|index| Stage {
                name: NAMES[index].to_owned(),
                from: WAY[index].name().to_owned(),
                to: WAY[index + 1].name().to_owned(),
                mean_ms: mean_ms(sums_us[index]),
                p50_ms: latencies[index].percentile_ms(50.0),
                p99_ms: latencies[index].percentile_ms(99.0),
            })
            .collect()
    };
    Stages {
        step: step.to_owned(),
        per_second,
        samples: samples as u64,
        total_mean_ms: stages.iter().map(|stage| stage.mean_ms).sum(),
        stages,
        batch_p50: batches.get(samples / 2).copied().map_or(0.0, float),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "accepted=1000200;sent=1000900;polled=1001700;decided=1002000;committed=1002800;emitted=1002830;batch=3";

    fn stamps(header: &str) -> Stamps {
        let mut stamps = Stamps::read(header);
        stamps.note(Stamp::Intended, 1_000_000);
        stamps.note(Stamp::Sent, 1_000_050);
        stamps.note(Stamp::Received, 1_004_000);
        stamps
    }

    #[test]
    fn given_all_stamps_when_folded_then_the_stages_add_up_to_the_whole_way() {
        let all = [stamps(HEADER), stamps(HEADER)];
        let folded = fold("idle", 5.0, all.iter());
        assert_eq!((folded.samples, folded.batch_p50), (2, 3.0));
        let means: Vec<f64> = folded.stages.iter().map(|it| it.mean_ms).collect();
        assert_eq!(means, [0.05, 0.15, 0.7, 0.8, 0.3, 0.8, 0.03, 1.17]);
        assert!((folded.total_mean_ms - 4.0).abs() < 1e-9, "{folded:?}");
    }

    #[test]
    fn given_a_handler_slowed_by_a_millisecond_when_folded_then_that_stage_alone_shows_it() {
        let slowed = HEADER
            .replace("decided=1002000", "decided=1003000")
            .replace("committed=1002800", "committed=1003800")
            .replace("emitted=1002830", "emitted=1003830");
        let mut slow = stamps(&slowed);
        slow.note(Stamp::Received, 1_005_000);
        let (before, after) = ([stamps(HEADER)], [slow]);
        let before = fold("idle", 5.0, before.iter());
        let after = fold("idle", 5.0, after.iter());
        for (was, is) in before.stages.iter().zip(&after.stages) {
            let slower = is.mean_ms - was.mean_ms;
            let expected = if is.name == "decided" { 1.0 } else { 0.0 };
            assert!((slower - expected).abs() < 1e-9, "{}: {slower}", is.name);
        }
    }

    #[test]
    fn given_a_command_without_a_stamp_when_folded_then_it_is_left_out() {
        let all = [stamps(HEADER), stamps("accepted=1000200;nonsense;polled=x")];
        assert_eq!(fold("idle", 5.0, all.iter()).samples, 1);
        let none = fold("idle", 5.0, std::iter::empty());
        assert_eq!((none.samples, none.stages.len()), (0, 0));
    }
}
