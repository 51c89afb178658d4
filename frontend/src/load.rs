//! The pace of the simulated public over the last seconds: on its way, steady, or short of what is wanted, and why.

#![expect(clippy::float_arithmetic, reason = "rates, not money")]

use crate::{
    api::status::{ServiceState, Status},
    figures,
    scale::LOAD_STEPS,
};

/// The most that can be wanted.
pub const RATE_MAX: u32 = LOAD_STEPS[LOAD_STEPS.len() - 1];
/// So near to the target counts as there.
const NEAR: f64 = 0.05;
/// So long it must be there, or not, before anything is said.
const SETTLED_AFTER_SECONDS: u32 = 3;
/// A program that uses so much of a core has none left.
const BUSY_PERCENT: f64 = 90.0;

/// Where the pace stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Nothing is wanted and nothing comes.
    Silent,
    /// It changes.
    Settling,
    /// What is wanted is achieved.
    Steady,
    /// It is not, and why, as far as can be seen.
    Short(String),
}

/// The last seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    target: u32,
    near_seconds: u32,
    short_seconds: u32,
}

impl Watch {
    /// Takes the next second in.
    pub fn take(&mut self, status: &Status) -> Pace {
        let target = status.load.heartbeats_per_second;
        if target != self.target {
            *self = Self {
                target,
                ..Self::default()
            };
        }
        let wanted = f64::from(target);
        let achieved = status.achieved_per_second;
        let is_short = achieved < wanted * (1.0 - NEAR) - 0.5;
        let is_near = (achieved - wanted).abs() <= wanted * NEAR + 0.5;
        self.short_seconds = if is_short { self.short_seconds + 1 } else { 0 };
        self.near_seconds = if is_near { self.near_seconds + 1 } else { 0 };
        if self.short_seconds > SETTLED_AFTER_SECONDS {
            Pace::Short(why_short(status))
        } else if self.near_seconds >= SETTLED_AFTER_SECONDS {
            if target == 0 {
                Pace::Silent
            } else {
                Pace::Steady
            }
        } else {
            Pace::Settling
        }
    }
}

fn why_short(status: &Status) -> String {
    let found = |name: &str| status.services.iter().find(|service| service.name == name);
    for name in ["heartbeat", "command-generator"] {
        match found(name) {
            Some(service) if service.state != ServiceState::Up => {
                return format!("{name} is not ready");
            }
            Some(service)
                if service
                    .cpu_percent
                    .is_some_and(|percent| percent >= BUSY_PERCENT) =>
            {
                return format!("{name} is at its CPU limit");
            }
            _ => {}
        }
    }
    let behind = found("command-generator").and_then(|service| service.lag);
    match behind {
        Some(lag) if lag > 0 => format!(
            "command-generator is {} behind",
            figures::counted(lag, "heartbeat", "heartbeats")
        ),
        _ => "fewer commands come than are wanted".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::sample;

    fn after(seconds: u32, watch: &mut Watch, status: &Status) -> Pace {
        (1..seconds).for_each(|_| _ = watch.take(status));
        watch.take(status)
    }

    #[test]
    fn a_pace_is_steady_when_it_was_near_its_target_for_three_seconds() {
        let (mut watch, status) = (Watch::default(), sample());
        assert_eq!(watch.take(&status), Pace::Settling);
        assert_eq!(after(2, &mut watch, &status), Pace::Steady);
        let mut other = status.clone();
        other.load.heartbeats_per_second = 1_000;
        assert_eq!(watch.take(&other), Pace::Settling);
    }

    #[test]
    fn a_pace_is_short_after_three_seconds_with_the_reason_that_can_be_seen() {
        let mut status = sample();
        status.achieved_per_second = 300.0;
        let reason = |status: &Status| match after(5, &mut Watch::default(), status) {
            Pace::Short(reason) => reason,
            other => panic!("{other:?}"),
        };
        assert_eq!(reason(&status), "fewer commands come than are wanted");
        status.services[2].cpu_percent = Some(99.0);
        assert_eq!(reason(&status), "command-generator is at its CPU limit");
        status.services[3].state = ServiceState::Gone;
        assert_eq!(reason(&status), "heartbeat is not ready");
    }

    #[test]
    fn nothing_wanted_and_nothing_come_is_silence() {
        let mut status = sample();
        status.load.heartbeats_per_second = 0;
        status.achieved_per_second = 0.0;
        assert_eq!(after(3, &mut Watch::default(), &status), Pace::Silent);
    }
}
