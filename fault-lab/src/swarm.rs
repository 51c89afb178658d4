//! The swarm: for each seed another mixture of faults, at random times, until the time is over.
//!
//! A subset of the faults finds more than all of them at once: what one of them hides, another mixture shows.

use crate::{
    fault::{Fault, Step},
    part::{Link, Part},
    seed::Seed,
};

/// Mean time from the start of a fault to the start of the next one.
const MEAN_GAP_MS: u64 = 5_000;
/// Each kind of fault is in the mixture in so many of a hundred cases.
const IN_MIXTURE_PERCENT: u64 = 40;
/// After a fault the same part is left alone for so long, so that it may come back.
const REST_MS: u64 = 3_000;

/// A kind of fault with the time it lasts.
type Kind = (Fault, (u64, u64));

/// The schedule of this seed for this time.
#[must_use]
pub fn schedule(seed: &Seed, duration_ms: u64) -> Vec<Step> {
    let mut seed = seed.fork("swarm");
    let mixture = mixture(&mut seed);
    let mut steps: Vec<Step> = Vec::new();
    let mut now_ms = 0;
    loop {
        // From nothing to twice the mean, all alike.
        now_ms += seed.between(0, 2 * MEAN_GAP_MS);
        if now_ms >= duration_ms {
            return steps;
        }
        let (fault, (least, most)) = mixture[seed.index(mixture.len())];
        let lasts_ms = seed.between(least, most);
        let is_busy =
            |step: &Step| step.fault.target() == fault.target() && step.end_ms() + REST_MS > now_ms;
        if !steps.iter().any(is_busy) {
            steps.push(Step {
                at_ms: now_ms,
                lasts_ms: lasts_ms.min(duration_ms - now_ms),
                fault,
            });
        }
    }
}

/// Some of the kinds, each with intensities of its own; never none.
fn mixture(seed: &mut Seed) -> Vec<Kind> {
    let kinds = kinds(seed);
    let mut chosen: Vec<Kind> = kinds
        .iter()
        .copied()
        .filter(|_| seed.percent(IN_MIXTURE_PERCENT))
        .collect();
    if chosen.is_empty() {
        chosen.push(kinds[seed.index(kinds.len())]);
    }
    chosen
}

fn kinds(seed: &mut Seed) -> Vec<Kind> {
    let mut kinds = Vec::new();
    let longest_ms = seed.between(2_000, 8_000);
    let some = (200, longest_ms);
    for part in Part::ALL {
        kinds.push((Fault::Kill { part }, (0, 0)));
        kinds.push((Fault::Stop { part }, some));
        kinds.push((Fault::Pause { part }, some));
    }
    for link in Link::ALL {
        let delay_ms = seed.between(10, 150);
        kinds.push((Fault::Cut { link }, some));
        kinds.push((Fault::BlackHole { link }, some));
        kinds.push((Fault::Slow { link, delay_ms }, some));
        kinds.push((Fault::Slice { link }, some));
    }
    let mut records = |most| u32::try_from(seed.between(1, most)).unwrap_or(u32::MAX);
    kinds.push((
        Fault::RepeatCommands {
            records: records(200),
        },
        (0, 0),
    ));
    kinds.push((
        Fault::Poison {
            records: records(500),
        },
        (0, 0),
    ));
    kinds.push((
        Fault::StrangeTimes {
            records: records(100),
        },
        (0, 0),
    ));
    kinds.push((Fault::RebalanceStorm, (4_000, 8_000)));
    kinds.push((Fault::ScaleHandlers, some));
    kinds.push((Fault::ScaleGateways, (3_000, 8_000)));
    kinds.push((Fault::KillSessions, (200, 2_000)));
    kinds.push((Fault::ImmediateStop, (0, 0)));
    kinds.push((Fault::LockTables, some));
    kinds.push((Fault::ReadOnly, some));
    kinds.push((Fault::UseUpConnections, (1_000, 4_000)));
    kinds
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn given_any_seed_when_scheduled_twice_then_the_schedules_are_the_same(
            number: u64, seconds in 1_u64..2_000,
        ) {
            let duration_ms = seconds * 1_000;
            let first = schedule(&Seed::new(number), duration_ms);
            prop_assert_eq!(&first, &schedule(&Seed::new(number), duration_ms));
            for step in &first {
                prop_assert!(step.end_ms() <= duration_ms);
            }
        }

        #[test]
        fn given_any_seed_when_scheduled_then_no_target_is_broken_twice_at_once(number: u64) {
            let steps = schedule(&Seed::new(number), 300_000);
            for (index, step) in steps.iter().enumerate() {
                for later in &steps[index + 1..] {
                    let apart = later.at_ms >= step.end_ms();
                    prop_assert!(apart || later.fault.target() != step.fault.target());
                }
            }
        }
    }

    #[test]
    fn given_another_seed_when_scheduled_then_it_is_another_schedule() {
        let schedules: Vec<_> = (0..50)
            .map(|number| schedule(&Seed::new(number), 60_000))
            .collect();
        for (index, one) in schedules.iter().enumerate() {
            assert!(schedules[index + 1..].iter().all(|other| other != one));
        }
    }

    #[test]
    fn given_many_seeds_when_scheduled_then_every_kind_of_fault_comes() {
        let mut seen = std::collections::BTreeSet::new();
        for number in 0..200 {
            for step in schedule(&Seed::new(number), 120_000) {
                seen.insert(name(&step.fault));
            }
        }
        let all = kinds(&mut Seed::new(0));
        let names: std::collections::BTreeSet<String> =
            all.iter().map(|(fault, _)| name(fault)).collect();
        assert_eq!(seen, names);
    }

    fn name(fault: &Fault) -> String {
        serde_json::to_value(fault).unwrap()["fault"]
            .as_str()
            .unwrap()
            .to_owned()
    }
}
