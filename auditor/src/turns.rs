//! When the next audit is due. Pure: it is told the time and what was seen.
//!
//! An audit reads everything there is, so it grows with the bank. While somebody writes it
//! comes again as soon as its share of the processor allows; while nobody does, what held
//! goes on to hold, and is only looked through again now and then, in case somebody has
//! written to what a look does not see.

use std::time::{Duration, Instant};

use crate::Verdict;

/// While the bank works, audits take at most this much of one core.
const BUSY_SHARE_PERCENT: u32 = 5;
/// While nothing happens.
const IDLE_SHARE_PERCENT: u32 = 1;
/// Between two audits of a bank in which nothing happens, at least.
const IDLE_PAUSE_MIN: Duration = Duration::from_secs(600);

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Audit.
    Audit,
    /// Nothing has changed since what held was seen to hold.
    StillHolds,
    /// Something has changed, and its time has not come.
    Wait,
}

/// The last audit.
#[derive(Clone, Debug)]
struct Last<L> {
    /// What was seen right before it.
    look: Option<L>,
    verdict: Verdict,
    ended: Instant,
    /// Processor time it took.
    cost: Duration,
}

/// Decides; see the module.
#[derive(Clone, Debug)]
pub(crate) struct Turns<L> {
    last: Option<Last<L>>,
}

impl<L> Default for Turns<L> {
    fn default() -> Turns<L> {
        Turns { last: None }
    }
}

impl<L: PartialEq> Turns<L> {
    /// What to do, by what was seen now; `None` when nothing could be seen, which an audit
    /// finds the reason of.
    pub(crate) fn next(&self, look: Option<&L>, now: Instant) -> Turn {
        let Some(last) = &self.last else {
            return Turn::Audit;
        };
        let since = now.saturating_duration_since(last.ended);
        let is_same = look.is_some() && last.look.as_ref() == look;
        if is_same && last.verdict == Verdict::Holds {
            let pause = pause(last.cost, IDLE_SHARE_PERCENT).max(IDLE_PAUSE_MIN);
            return if since >= pause {
                Turn::Audit
            } else {
                Turn::StillHolds
            };
        }
        if since >= pause(last.cost, BUSY_SHARE_PERCENT) {
            Turn::Audit
        } else {
            Turn::Wait
        }
    }

    /// An audit has ended.
    pub(crate) fn audited(
        &mut self,
        look: Option<L>,
        verdict: Verdict,
        cost: Duration,
        now: Instant,
    ) {
        self.last = Some(Last {
            look,
            verdict,
            ended: now,
            cost,
        });
    }
}

/// How long nothing may be done so that what was done is this share of the time.
fn pause(cost: Duration, share_percent: u32) -> Duration {
    cost.saturating_mul(100 / share_percent - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn after(cost: Duration, verdict: Verdict) -> (Turns<u8>, Instant) {
        let ended = Instant::now();
        let mut turns = Turns::default();
        assert_eq!(turns.next(Some(&1), ended), Turn::Audit, "the first one");
        turns.audited(Some(1), verdict, cost, ended);
        (turns, ended)
    }

    #[test]
    fn given_a_bank_in_which_nothing_happens_when_it_held_then_it_still_holds() {
        let (turns, ended) = after(SECOND, Verdict::Holds);
        for (seconds, turn) in [
            (0, Turn::StillHolds),
            (599, Turn::StillHolds),
            (600, Turn::Audit),
        ] {
            assert_eq!(turns.next(Some(&1), ended + SECOND * seconds), turn);
        }
        // A large bank: one per cent.
        let (turns, ended) = after(SECOND * 30, Verdict::Holds);
        let turn = turns.next(Some(&1), ended + SECOND * 2_969);
        assert_eq!(turn, Turn::StillHolds);
        let turn = turns.next(Some(&1), ended + SECOND * 2_970);
        assert_eq!(turn, Turn::Audit);
    }

    #[test]
    fn given_a_bank_that_works_when_seen_then_audits_take_a_twentieth_of_the_time() {
        let (turns, ended) = after(SECOND, Verdict::Holds);
        for look in [Some(&2), None] {
            let turn = turns.next(look, ended + SECOND * 18);
            assert_eq!(turn, Turn::Wait);
            let turn = turns.next(look, ended + SECOND * 19);
            assert_eq!(turn, Turn::Audit);
        }
    }

    #[test]
    fn given_a_bank_that_did_not_hold_when_nothing_happens_then_it_is_not_taken_to_hold() {
        for verdict in [Verdict::Violated, Verdict::Unchecked] {
            let (turns, ended) = after(SECOND, verdict);
            assert_eq!(turns.next(Some(&1), ended), Turn::Wait);
            let turn = turns.next(Some(&1), ended + SECOND * 19);
            assert_eq!(turn, Turn::Audit);
        }
    }

    #[test]
    fn given_an_audit_before_which_nothing_was_seen_when_seen_then_it_is_done_again() {
        let ended = Instant::now();
        let mut turns: Turns<u8> = Turns::default();
        turns.audited(None, Verdict::Holds, SECOND, ended);
        let turn = turns.next(None, ended + SECOND * 19);
        assert_eq!(turn, Turn::Audit);
    }
}
