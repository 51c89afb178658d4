//! The judge's lamp: what it shows of the last verdict, and of one that has become too old. What is not known is never
//! shown as holding.

use crate::{
    api::status::{AuditorStatus, AuditorVerdict, Status},
    figures, formats,
};

/// A verdict older than this says nothing of now.
pub const VERDICT_HOLDS_SECONDS: i64 = 30;
/// The first state of the bank is waited for so long before its absence says something.
const FIRST_STATE_SECONDS: i64 = 5;
/// The state of an invariant that was not asked about.
const NOT_ASKED: &str = "NOT_ASKED";

/// What the lamp shows; at first nothing, since nobody was heard.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lamp {
    /// Its shape; None while the first state of the bank is still on its way.
    pub verdict: Option<AuditorVerdict>,
    /// How old the verdict is; None when there is none.
    pub age_seconds: Option<i64>,
    /// What is wrong, or why nobody can say.
    pub cause: Option<String>,
    holding: u32,
    invariants: u32,
    not_asked: u32,
}

impl Lamp {
    /// While the first state has been on its way for so long.
    #[must_use]
    pub fn waiting(seconds: i64) -> Self {
        if seconds <= FIRST_STATE_SECONDS {
            Self::default()
        } else {
            Self::unknown("the bank is not heard")
        }
    }

    /// When no state comes, and why.
    #[must_use]
    pub fn unknown(cause: &str) -> Self {
        Self {
            verdict: Some(AuditorVerdict::CannotCheck),
            cause: Some(cause.to_owned()),
            ..Self::default()
        }
    }

    /// From the last state that came, so many seconds ago.
    #[must_use]
    pub fn of(status: &Status, silent_seconds: i64) -> Self {
        let AuditorStatus {
            verdict,
            cause,
            checked_at,
            invariants,
            holding,
            findings,
            ..
        } = status.auditor.clone();
        let not_asked = findings.iter().filter(|found| found.state == NOT_ASKED);
        let not_asked = u32::try_from(not_asked.count()).unwrap_or(u32::MAX);
        let age = checked_at
            .and_then(|checked_at| figures::seconds_between(&checked_at, &status.at))
            .map(|age| age.max(0) + silent_seconds);
        let is_old = age.is_none_or(|age| age > VERDICT_HOLDS_SECONDS);
        let (verdict, cause) = match (verdict, is_old) {
            // What was wrong stays wrong until the judge has seen it right.
            (AuditorVerdict::Violated, _) | (AuditorVerdict::CannotCheck, _) => (verdict, cause),
            (AuditorVerdict::Holds, false) => (verdict, None),
            (AuditorVerdict::Holds, true) => (
                AuditorVerdict::CannotCheck,
                Some(age.map_or_else(
                    || "no verdict yet".to_owned(),
                    |age| format!("no verdict for {age}\u{a0}s"),
                )),
            ),
        };
        Self {
            verdict: Some(verdict),
            age_seconds: age,
            cause,
            holding,
            invariants,
            not_asked,
        }
    }

    /// The word beside the shape.
    #[must_use]
    pub fn word(&self) -> &'static str {
        word(self.verdict)
    }

    /// For machines and style sheets.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.verdict {
            None => "not-known",
            Some(AuditorVerdict::Holds) => "holds",
            Some(AuditorVerdict::Violated) => "violated",
            Some(AuditorVerdict::CannotCheck) => "cannot-check",
        }
    }

    /// What makes the difference between those that hold and all, when it is no violation: some are asked of a bank at
    /// rest alone.
    #[must_use]
    pub fn not_asked(&self) -> Option<String> {
        let count = formats::count(self.not_asked.into());
        (self.not_asked > 0).then(|| format!("{count} not asked"))
    }

    /// `31 of 31`, while there is something to count.
    #[must_use]
    pub fn share(&self) -> Option<String> {
        (self.invariants > 0).then(|| {
            format!(
                "{} of {}",
                formats::count(self.holding.into()),
                formats::count(self.invariants.into())
            )
        })
    }

    /// All of it in a sentence, for the panel and for who cannot see the shape.
    #[must_use]
    pub fn in_words(&self) -> String {
        let share = self.share().map(|share| format!(", {share}"));
        let not_asked = self.not_asked().map(|words| format!(", {words}"));
        let age = self
            .age_seconds
            .map(|age| format!(", checked {}", figures::ago(age)));
        match (self.verdict, &self.cause) {
            (Some(AuditorVerdict::Holds), _) => format!(
                "Holds{}{}{}",
                share.unwrap_or_default(),
                not_asked.unwrap_or_default(),
                age.unwrap_or_default()
            ),
            (_, Some(cause)) => format!("{}: {}", self.word(), cause.trim_end_matches('.')),
            (None, None) => format!("{} yet", self.word()),
            (_, None) => self.word().to_owned(),
        }
    }

    /// To be said when the shape changes from one to another; the age is not.
    #[must_use]
    pub fn announcement(&self) -> String {
        match (self.verdict, &self.cause) {
            (Some(AuditorVerdict::Holds), _) => "Auditor: holds again.".to_owned(),
            (_, Some(cause)) => format!(
                "Auditor: {}: {}.",
                self.word().to_lowercase(),
                cause.trim_end_matches('.')
            ),
            (_, None) => format!("Auditor: {}.", self.word().to_lowercase()),
        }
    }
}

/// The word for a verdict.
#[must_use]
pub fn word(verdict: Option<AuditorVerdict>) -> &'static str {
    match verdict {
        None => "Not known",
        Some(AuditorVerdict::Holds) => "Holds",
        Some(AuditorVerdict::Violated) => "Violated",
        Some(AuditorVerdict::CannotCheck) => "Cannot check",
    }
}

/// A state as it is on the wire, for people: `NOT_CHECKED` is `not checked`.
#[must_use]
pub fn in_small_words(state: &str) -> String {
    state.to_lowercase().replace('_', " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::status::tests::sample;

    #[test]
    fn a_fresh_verdict_is_shown_with_its_age() {
        let lamp = Lamp::of(&sample(), 0);
        assert_eq!(lamp.verdict, Some(AuditorVerdict::Holds));
        assert_eq!(
            lamp.in_words().replace('\u{a0}', " "),
            "Holds, 2 of 2, checked 4 s ago"
        );
    }

    #[test]
    fn what_was_not_asked_is_told_beside_what_holds() {
        let mut status = sample();
        status.auditor.holding = 1;
        status.auditor.findings[1].state = NOT_ASKED.to_owned();
        let lamp = Lamp::of(&status, 0);
        assert_eq!(
            lamp.in_words().replace('\u{a0}', " "),
            "Holds, 1 of 2, 1 not asked, checked 4 s ago"
        );
    }

    #[test]
    fn before_the_first_state_nothing_is_known_and_after_a_while_that_is_said() {
        for soon in [Lamp::default(), Lamp::waiting(0), Lamp::waiting(5)] {
            assert_eq!((soon.state(), soon.word()), ("not-known", "Not known"));
            assert_eq!(soon.in_words(), "Not known yet");
        }
        let late = Lamp::waiting(6);
        assert_eq!(late.state(), "cannot-check");
        assert_eq!(late.in_words(), "Cannot check: the bank is not heard");
    }

    #[test]
    fn a_verdict_older_than_thirty_seconds_is_none_whoever_went_silent() {
        let mut old = sample();
        old.auditor.checked_at = Some("2026-11-21T11:59:25Z".to_owned());
        let silent_auditor = Lamp::of(&old, 0);
        let silent_gateway = Lamp::of(&sample(), 38);
        for lamp in [silent_auditor, silent_gateway] {
            assert_eq!(lamp.verdict, Some(AuditorVerdict::CannotCheck));
            assert_eq!(
                lamp.in_words().replace('\u{a0}', " "),
                "Cannot check: no verdict for 42 s"
            );
        }
    }

    #[test]
    fn a_state_is_in_small_words() {
        assert_eq!(in_small_words("NOT_CHECKED"), "not checked");
    }

    #[test]
    fn what_is_not_known_is_never_shown_as_holding() {
        let none = Lamp::unknown("the bank cannot be reached");
        let mut never = sample();
        never.auditor.checked_at = None;
        for lamp in [none, Lamp::of(&never, 0)] {
            assert_eq!(lamp.verdict, Some(AuditorVerdict::CannotCheck));
            assert!(lamp.cause.is_some());
        }
    }

    #[test]
    fn what_is_violated_stays_so_when_the_judge_goes_silent() {
        let mut violated = sample();
        violated.auditor.verdict = AuditorVerdict::Violated;
        violated.auditor.cause = Some("A2, the ledger sums to € 0,01.".to_owned());
        let lamp = Lamp::of(&violated, 60);
        assert_eq!(lamp.in_words(), "Violated: A2, the ledger sums to € 0,01");
        assert_eq!(
            lamp.announcement(),
            "Auditor: violated: A2, the ledger sums to € 0,01."
        );
    }
}
