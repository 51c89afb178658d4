//! Two runs side by side: ratios with their spread, and a verdict by threshold.

use std::fmt::Write as _;

use crate::numbers::ratio;
use crate::verdict::show;

use super::results::{Better, Figure, Results, SUBJECT, VERSION};

/// A change of more than this share counts, unless somebody says otherwise.
pub const THRESHOLD: f64 = 0.15;

/// How a figure moved.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Moved {
    /// Not by more than the threshold, or within its own spread.
    Same,
    /// By more than both, to the good.
    Better,
    /// By more than both, to the bad.
    Worse,
}

/// One figure of two runs.
#[derive(Clone, Debug)]
pub struct Line {
    /// For people.
    pub what: String,
    /// Of the first and of the second run, with the unit.
    pub values: (String, String),
    /// Second by first.
    pub ratio: f64,
    /// The least and the greatest ratio that the repeats allow.
    pub spread: (f64, f64),
    /// How it moved.
    pub moved: Moved,
}

/// Everything that two runs have in common.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Figure by figure.
    pub lines: Vec<Line>,
    /// Figures that only one of them has.
    pub only_in_one: Vec<String>,
    /// Why it may mean nothing.
    pub warnings: Vec<String>,
    /// The share that counts.
    pub threshold: f64,
}

/// What to tell the shell.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Nothing became worse.
    Holds,
    /// Something did.
    Worse,
    /// Something did, and the machine may be why; or there is nothing to compare.
    Unclear,
}

impl Verdict {
    /// 0 holds, 1 worse, 2 unclear.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Verdict::Holds => 0,
            Verdict::Worse => 1,
            Verdict::Unclear => 2,
        }
    }
}

/// Compares the second run with the first.
///
/// # Errors
/// Words for why these files cannot be compared.
pub fn compare(first: &Results, second: &Results, threshold: f64) -> Result<Comparison, String> {
    for run in [first, second] {
        if run.version != VERSION || run.subject != SUBJECT {
            return Err(format!(
                "only results of subject {SUBJECT}, version {VERSION}, can be compared; this is {} {}",
                run.subject, run.version
            ));
        }
    }
    let mut lines = Vec::new();
    let mut only_in_one = Vec::new();
    for figure in &first.figures {
        match second.figures.iter().find(|it| it.name == figure.name) {
            Some(other) => lines.extend(line(figure, other, threshold)),
            None => only_in_one.push(figure.what.clone()),
        }
    }
    let is_new = |it: &&Figure| !first.figures.iter().any(|other| other.name == it.name);
    only_in_one.extend(
        second
            .figures
            .iter()
            .filter(is_new)
            .map(|it| it.what.clone()),
    );
    let mut warnings = Vec::new();
    for (which, run) in [("first", first), ("second", second)] {
        if !run.verdict.holds {
            warnings.push(format!("the {which} run was not right and has no figures"));
        }
        for reason in &run.noisy {
            warnings.push(format!("the {which} run is noisy: {reason}"));
        }
    }
    if first.machine.processor != second.machine.processor
        || first.machine.cores != second.machine.cores
    {
        warnings.push("the machines differ".to_owned());
    }
    if first.kind != second.kind {
        warnings.push(format!("a {} run and a {} run", first.kind, second.kind));
    }
    Ok(Comparison {
        lines,
        only_in_one,
        warnings,
        threshold,
    })
}

fn line(first: &Figure, second: &Figure, threshold: f64) -> Option<Line> {
    let by = ratio(second.value, first.value)?;
    let spread = (
        ratio(second.least, first.greatest).unwrap_or(by),
        ratio(second.greatest, first.least).unwrap_or(by),
    );
    // It counts when even the most favourable repeats moved, and by enough.
    let is_more = spread.0 > 1.0 && by > 1.0 + threshold;
    let is_less = spread.1 < 1.0 && by < 1.0 / (1.0 + threshold);
    let moved = match (is_more, is_less, first.better) {
        (false, false, _) => Moved::Same,
        (true, _, Better::Higher) | (_, true, Better::Lower) => Moved::Better,
        _ => Moved::Worse,
    };
    let text = |figure: &Figure| format!("{} {}", show(figure.value), figure.unit);
    Some(Line {
        what: first.what.clone(),
        values: (text(first), text(second)),
        ratio: by,
        spread,
        moved,
    })
}

impl Comparison {
    /// In a word.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let is_worse = self.lines.iter().any(|it| it.moved == Moved::Worse);
        if self.lines.is_empty() || (is_worse && !self.warnings.is_empty()) {
            Verdict::Unclear
        } else if is_worse {
            Verdict::Worse
        } else {
            Verdict::Holds
        }
    }

    /// For people.
    #[must_use]
    pub fn text(&self) -> String {
        let width = self.lines.iter().map(|it| it.what.len()).max().unwrap_or(0);
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<width$}  {:>14}  {:>14}  {:>6}  (least - greatest)",
            "", "first", "second", "ratio"
        );
        for it in &self.lines {
            let _ = writeln!(
                text,
                "{:<width$}  {:>14}  {:>14}  {:>6.2}  ({:.2} - {:.2}){}",
                it.what,
                it.values.0,
                it.values.1,
                it.ratio,
                it.spread.0,
                it.spread.1,
                match it.moved {
                    Moved::Same => "",
                    Moved::Better => "  better",
                    Moved::Worse => "  WORSE",
                }
            );
        }
        for what in &self.only_in_one {
            let _ = writeln!(text, "only in one of them: {what}");
        }
        for warning in &self.warnings {
            let _ = writeln!(text, "note: {warning}");
        }
        let percent = self.threshold * 100.0;
        let _ = match self.verdict() {
            Verdict::Holds => writeln!(text, "nothing became worse by more than {percent:.0} %"),
            Verdict::Worse => writeln!(text, "WORSE by more than {percent:.0} %: see above"),
            Verdict::Unclear => writeln!(text, "UNCLEAR: see the notes above"),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bank::results::sample;

    fn with(value: f64, least: f64, greatest: f64, better: Better) -> Results {
        let mut results = sample();
        results.figures = vec![Figure {
            name: "x".to_owned(),
            what: "x".to_owned(),
            unit: "ms".to_owned(),
            value,
            least,
            greatest,
            better,
        }];
        results
    }

    #[test]
    fn given_two_runs_when_compared_then_a_change_counts_beyond_threshold_and_spread() {
        use Better::{Higher, Lower};
        let first = |better| with(10.0, 9.5, 10.5, better);
        for (better, value, least, greatest, expected) in [
            (Lower, 10.9, 10.6, 11.2, Moved::Same),
            (Lower, 12.0, 11.5, 12.5, Moved::Worse),
            (Higher, 12.0, 11.5, 12.5, Moved::Better),
            (Lower, 12.0, 10.0, 14.0, Moved::Same),
            (Lower, 8.0, 7.9, 8.1, Moved::Better),
            (Higher, 8.0, 7.9, 8.1, Moved::Worse),
        ] {
            let second = with(value, least, greatest, better);
            let compared = compare(&first(better), &second, THRESHOLD).unwrap();
            assert_eq!(compared.lines[0].moved, expected, "{better:?} {value}");
            let code = u8::from(expected == Moved::Worse);
            assert_eq!(compared.verdict().exit_code(), code);
        }
    }

    #[test]
    fn given_a_noisy_run_when_it_is_worse_then_the_verdict_is_unclear() {
        let (first, mut second) = (
            with(10.0, 10.0, 10.0, Better::Lower),
            with(20.0, 20.0, 20.0, Better::Lower),
        );
        second.noisy.push("others took the CPU".to_owned());
        let compared = compare(&first, &second, THRESHOLD).unwrap();
        assert_eq!(compared.verdict().exit_code(), 2);
        assert!(compared.text().contains("WORSE") && compared.text().contains("noisy"));
    }

    #[test]
    fn given_another_form_of_file_when_compared_then_it_is_refused() {
        let mut other = sample();
        other.version = 3;
        assert!(compare(&sample(), &other, THRESHOLD).is_err());
    }

    #[test]
    fn a_figure_that_only_one_run_has_is_named() {
        let compared = compare(&with(1.0, 1.0, 1.0, Better::Lower), &sample(), THRESHOLD).unwrap();
        assert!(compared.only_in_one.contains(&"x".to_owned()));
    }
}
