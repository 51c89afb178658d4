//! What clients have seen of a step's commands: written by the thread that sends and the one
//! that receives, read by the one that measures.

use std::ops::Range;
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering::Relaxed};

use uuid::Uuid;

use crate::commands::{RunNumber, command_id};
use crate::latency::Latencies;

/// Who is paid.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Payee {
    /// A customer of the benchmark, by number; the next one when that is the payer.
    Customer(u32),
    /// The company.
    Company,
}

/// What a command is to be.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who is paid.
    pub payee: Payee,
    /// In cents.
    pub amount: i64,
    /// More than anybody has: must be refused.
    pub is_refusal: bool,
    /// Sent a second time at once, with the same id.
    pub is_repeated: bool,
}

/// What a client was told of its command.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u8)]
pub enum Answer {
    /// Nothing yet.
    None = 0,
    /// Yes.
    Confirmed = 1,
    /// No.
    Rejected = 2,
    /// An error, or *pending*.
    Failed = 3,
}

/// Of nobody.
const NOBODY: u32 = u32::MAX;

/// What was seen of one command. Times are 0 for "not yet".
struct Seen {
    /// When it was handed to the socket.
    sent_ns: AtomicU64,
    outcome_ns: AtomicU64,
    repeat_ns: AtomicU64,
    payer_ns: AtomicU64,
    payee_ns: AtomicU64,
    payer: AtomicU32,
    payee: AtomicU32,
    answer: AtomicU8,
}

/// All commands of a step.
pub struct Wall {
    /// Part of each command's id.
    pub run: RunNumber,
    /// When the first is meant to be sent.
    pub first_ns: u64,
    /// When each is meant to be sent, after the first.
    pub times_ns: Vec<u64>,
    /// What each is to be.
    pub plans: Vec<Plan>,
    unix_ms: u64,
    seen: Vec<Seen>,
    answered: AtomicU64,
}

impl Wall {
    /// For commands that are not sent yet.
    #[must_use]
    pub fn new(
        run: RunNumber,
        first_ns: u64,
        times_ns: Vec<u64>,
        plans: Vec<Plan>,
        unix_ms: u64,
    ) -> Wall {
        let seen = times_ns.iter().map(|_| Seen {
            sent_ns: AtomicU64::new(0),
            outcome_ns: AtomicU64::new(0),
            repeat_ns: AtomicU64::new(0),
            payer_ns: AtomicU64::new(0),
            payee_ns: AtomicU64::new(0),
            payer: AtomicU32::new(NOBODY),
            payee: AtomicU32::new(NOBODY),
            answer: AtomicU8::new(Answer::None as u8),
        });
        let seen = seen.collect();
        Wall {
            run,
            first_ns,
            times_ns,
            plans,
            unix_ms,
            seen,
            answered: AtomicU64::new(0),
        }
    }

    /// How many commands.
    #[must_use]
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }

    /// When it is meant to be sent.
    #[must_use]
    pub fn intended_ns(&self, index: usize) -> u64 {
        self.first_ns + self.times_ns[index]
    }

    /// A command's id.
    #[must_use]
    pub fn id(&self, index: usize) -> Uuid {
        let number = u32::try_from(index).unwrap_or(u32::MAX);
        Uuid::from_bytes(command_id(self.run, number, self.unix_ms))
    }

    /// It is handed to a socket now.
    pub fn sent(&self, index: usize, payer: u32, payee: Option<u32>, now_ns: u64) {
        let seen = &self.seen[index];
        seen.payer.store(payer, Relaxed);
        seen.payee.store(payee.unwrap_or(NOBODY), Relaxed);
        seen.sent_ns.store(now_ns.max(1), Relaxed);
    }

    /// It could not be handed over after all.
    pub fn not_sent(&self, index: usize) {
        self.seen[index].sent_ns.store(0, Relaxed);
    }

    /// A client was answered.
    pub fn answer(&self, index: usize, is_repeat: bool, answer: Answer, now_ns: u64) {
        let Some(seen) = self.seen.get(index) else {
            return;
        };
        if is_repeat {
            seen.repeat_ns.store(now_ns.max(1), Relaxed);
            return;
        }
        seen.answer.store(answer as u8, Relaxed);
        if seen.outcome_ns.swap(now_ns.max(1), Relaxed) == 0 {
            self.answered.fetch_add(1, Relaxed);
        }
    }

    /// A client saw a changed balance; false when it had seen this change before.
    pub fn change(&self, index: usize, is_payer: bool, now_ns: u64) -> bool {
        let Some(seen) = self.seen.get(index) else {
            return true;
        };
        let side = if is_payer {
            &seen.payer_ns
        } else {
            &seen.payee_ns
        };
        side.swap(now_ns.max(1), Relaxed) == 0
    }

    /// How many were answered, in whatever way.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Relaxed)
    }

    /// Sent and not answered yet.
    #[must_use]
    pub fn under_way(&self) -> u64 {
        let open = |seen: &&Seen| is_set(&seen.sent_ns) && !is_set(&seen.outcome_ns);
        self.seen.iter().filter(open).count() as u64
    }

    /// Whether everything that was sent was answered, and every change of it was seen.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_seen() && !(0..self.len()).any(|index| self.is_open(index))
    }

    /// Whether every change of what was confirmed was seen.
    #[must_use]
    pub fn is_seen(&self) -> bool {
        (0..self.len()).all(|index| self.missing(index) == 0)
    }

    fn is_open(&self, index: usize) -> bool {
        let seen = &self.seen[index];
        let repeat = self.plans[index].is_repeated && !is_set(&seen.repeat_ns);
        is_set(&seen.sent_ns) && (!is_set(&seen.outcome_ns) || repeat)
    }

    /// Changes of a confirmed command that no client has seen.
    #[must_use]
    pub fn missing(&self, index: usize) -> u64 {
        let seen = &self.seen[index];
        if self.answer_of(index) != Answer::Confirmed {
            return 0;
        }
        let payee = seen.payee.load(Relaxed) != NOBODY && !is_set(&seen.payee_ns);
        u64::from(!is_set(&seen.payer_ns)) + u64::from(payee)
    }

    /// What its client was told.
    #[must_use]
    pub fn answer_of(&self, index: usize) -> Answer {
        match self.seen[index].answer.load(Relaxed) {
            1 => Answer::Confirmed,
            2 => Answer::Rejected,
            3 => Answer::Failed,
            _ => Answer::None,
        }
    }

    /// Payer, payee (none is the company) and amount of a command that was sent.
    #[must_use]
    pub fn payment(&self, index: usize) -> (u32, Option<u32>, i64) {
        let seen = &self.seen[index];
        let payee = seen.payee.load(Relaxed);
        let payee = (payee != NOBODY).then_some(payee);
        (seen.payer.load(Relaxed), payee, self.plans[index].amount)
    }

    /// Times of one command: sent, and seen by the payer; 0 for never.
    #[must_use]
    pub fn sent_and_seen_ns(&self, index: usize) -> (u64, u64) {
        let seen = &self.seen[index];
        (seen.sent_ns.load(Relaxed), seen.payer_ns.load(Relaxed))
    }

    /// What the commands of a range came to.
    #[must_use]
    pub fn count(&self, commands: Range<usize>) -> Counts {
        let mut counts = Counts::default();
        for index in commands {
            let seen = &self.seen[index];
            let intended = self.intended_ns(index);
            let sent = seen.sent_ns.load(Relaxed);
            if sent == 0 {
                counts.dropped += 1;
                counts.outcome.record_missing();
                counts.visible.record_missing();
                continue;
            }
            counts.send_delay.record(intended, sent);
            let answer = self.answer_of(index);
            let outcome = seen.outcome_ns.load(Relaxed);
            match answer {
                Answer::Confirmed | Answer::Rejected => counts.outcome.record(intended, outcome),
                Answer::None | Answer::Failed => counts.outcome.record_missing(),
            }
            let payer = seen.payer_ns.load(Relaxed);
            match answer {
                Answer::None => counts.timed_out += 1,
                Answer::Failed => counts.failed += 1,
                Answer::Rejected if self.plans[index].is_refusal => counts.rejected += 1,
                Answer::Rejected => counts.failed += 1,
                Answer::Confirmed if self.missing(index) > 0 => counts.timed_out += 1,
                Answer::Confirmed => {}
            }
            if answer != Answer::Rejected {
                if payer == 0 {
                    counts.visible.record_missing();
                } else {
                    counts.visible.record(intended, payer);
                }
            }
            if answer == Answer::Confirmed || answer == Answer::Rejected {
                counts.answered += 1;
                counts.last_answer_ns = counts.last_answer_ns.max(outcome);
            }
        }
        counts
    }

    /// When answers flowed again after the longest silence that ended after `from_ns`.
    #[must_use]
    pub fn flows_again_ns(&self, from_ns: u64) -> Option<u64> {
        let times = self.seen.iter().map(|seen| seen.outcome_ns.load(Relaxed));
        let mut times: Vec<u64> = times.filter(|at| *at > 0).collect();
        times.sort_unstable();
        let silences = times.windows(2).filter(|pair| pair[1] >= from_ns);
        silences
            .max_by_key(|pair| pair[1] - pair[0])
            .map(|pair| pair[1])
    }

    /// The last time after `from_ns` at which somebody was answered who had waited longer than
    /// `limit_ns`.
    #[must_use]
    pub fn caught_up_ns(&self, from_ns: u64, limit_ns: u64) -> Option<u64> {
        (0..self.len())
            .filter_map(|index| {
                let at = self.seen[index].outcome_ns.load(Relaxed);
                let waited = at.saturating_sub(self.intended_ns(index));
                (at >= from_ns && waited > limit_ns).then_some(at)
            })
            .max()
    }
}

fn is_set(time: &AtomicU64) -> bool {
    time.load(Relaxed) != 0
}

/// What commands came to.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// To the answer.
    pub outcome: Latencies,
    /// To the changed balance at the payer.
    pub visible: Latencies,
    /// From the intended time to the sending.
    pub send_delay: Latencies,
    /// Answered with yes or no.
    pub answered: u64,
    /// Never sent.
    pub dropped: u64,
    /// An error, or an answer that was not planned.
    pub failed: u64,
    /// No answer, or no changed balance.
    pub timed_out: u64,
    /// Refused as planned.
    pub rejected: u64,
    /// When the last was answered.
    pub last_answer_ns: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: u64 = 1_000_000;

    fn wall(commands: u64) -> Wall {
        let plan = Plan {
            payee: Payee::Customer(1),
            amount: 5,
            is_refusal: false,
            is_repeated: false,
        };
        let times = (0..commands).map(|it| it * MS).collect();
        Wall::new(
            1,
            0,
            times,
            vec![plan; usize::try_from(commands).unwrap()],
            0,
        )
    }

    #[test]
    fn given_a_confirmed_command_when_a_change_never_comes_then_it_is_missing_and_counts() {
        let wall = wall(2);
        for index in 0..2 {
            wall.sent(index, 0, Some(1), MS);
            wall.answer(index, false, Answer::Confirmed, 2 * MS);
            assert!(wall.change(index, true, 3 * MS));
        }
        assert!(wall.change(0, false, 3 * MS));
        assert!(!wall.is_complete());
        assert_eq!((wall.missing(0), wall.missing(1)), (0, 1));
        let counts = wall.count(0..2);
        assert_eq!(
            (counts.timed_out, counts.answered, counts.failed),
            (1, 2, 0)
        );
        assert!(wall.change(1, false, 4 * MS) && wall.is_complete());
        assert!(!wall.change(1, false, 5 * MS), "seen before");
    }

    #[test]
    fn what_was_dropped_failed_or_never_came_is_a_sample_at_the_limit() {
        let wall = wall(3);
        wall.sent(0, 0, Some(1), MS);
        wall.sent(1, 0, Some(1), MS);
        wall.answer(1, false, Answer::Failed, 2 * MS);
        let counts = wall.count(0..3);
        assert_eq!((counts.timed_out, counts.failed, counts.dropped), (1, 1, 1));
        assert_eq!(counts.outcome.summary().samples, 3);
        assert!(counts.visible.summary().p50_ms > 50_000.0);
    }

    #[test]
    fn a_refusal_that_was_planned_is_no_failure_and_one_that_was_not_is() {
        let mut wall = wall(2);
        wall.plans[0].is_refusal = true;
        for index in 0..2 {
            wall.sent(index, 0, Some(1), MS);
            wall.answer(index, false, Answer::Rejected, 2 * MS);
        }
        let counts = wall.count(0..2);
        assert_eq!((counts.rejected, counts.failed), (1, 1));
        assert_eq!(counts.visible.summary().samples, 0, "nothing changes");
    }
}
