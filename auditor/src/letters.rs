//! Dead letters against the records they were made of.

use crate::facts::{Letter, Packed, Place};
use crate::invariants::Name;
use crate::report::CannotCheck;
use crate::tally::Tally;

/// Judges what stands at one place of the log after another.
pub(crate) struct Letters {
    pub(crate) tally: Tally,
    /// Whether the books note dead letters that are still to be sent.
    are_owed: bool,
    at: Option<Place>,
    source: Option<Letter>,
    letters: Vec<Letter>,
}

/// Copies of a letter that are compared; more of them say nothing new.
const COPIES_MAX: usize = 64;

impl Letters {
    pub(crate) fn new(are_owed: bool) -> Letters {
        Letters {
            tally: Tally::default(),
            are_owed,
            at: None,
            source: None,
            letters: Vec::new(),
        }
    }

    /// Takes the next fact, in order.
    pub(crate) fn take(&mut self, packed: &Packed) -> Result<(), CannotCheck> {
        let letter = Letter::unpacked(packed);
        if self.at != Some(letter.source) {
            self.judge();
            self.at = Some(letter.source);
        }
        if !letter.is_letter {
            self.source = Some(letter);
        } else if self.letters.len() < COPIES_MAX {
            self.letters.push(letter);
        }
        Ok(())
    }

    /// Judges the place at hand; to be called once more at the end.
    pub(crate) fn judge(&mut self) {
        let letters = std::mem::take(&mut self.letters);
        let (Some(at), source) = (self.at.take(), self.source.take()) else {
            return;
        };
        let Some(source) = source else {
            for letter in &letters {
                self.tally.check(Name::F4, false, || {
                    format!(
                        "{}: is said to have stood at {at}, where no such record is",
                        letter.at
                    )
                });
            }
            return;
        };
        if source.must_be_dead && letters.is_empty() && !self.are_owed {
            // Found when it was read already; here it is only the other half.
            return;
        }
        let first = letters.first().map(|it| it.reason);
        for letter in &letters {
            let is_alike = letter.value == source.value && letter.key == source.key;
            self.tally.check(Name::F4, is_alike, || {
                format!("{}: not the bytes of {at}", letter.at)
            });
            self.tally
                .check(Name::F4, Some(letter.reason) == first, || {
                    format!(
                        "{}: another reason than an earlier letter of {at}",
                        letter.at
                    )
                });
        }
    }
}
