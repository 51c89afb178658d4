//! Which transactions somebody wants to see: one rule for pages and for live updates.

use topology::Cents;

use crate::facts::Change;

/// Which way the money moved, seen from the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// The account received.
    Credit,
    /// The account paid.
    Debit,
}

/// What a transaction must be like; nothing set lets all pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only this way.
    pub direction: Option<Direction>,
    /// At least this large, whatever the sign.
    pub amount_min: Option<Cents>,
    /// At most this large, whatever the sign.
    pub amount_max: Option<Cents>,
    /// In the description, whatever the case.
    pub text: Option<String>,
}

/// Which way a change went.
#[must_use]
pub fn direction_of(changed_by: Cents) -> Direction {
    if changed_by < Cents::ZERO {
        Direction::Debit
    } else {
        Direction::Credit
    }
}

impl Filter {
    /// Whether a change passes.
    #[must_use]
    pub fn lets_pass(&self, change: &Change) -> bool {
        let size = change.changed_by.0.unsigned_abs();
        let bound = |amount: Cents| u64::try_from(amount.0).unwrap_or(0);
        self.direction
            .is_none_or(|direction| direction == direction_of(change.changed_by))
            && self.amount_min.is_none_or(|least| size >= bound(least))
            && self.amount_max.is_none_or(|most| size <= bound(most))
            && self.text.as_ref().is_none_or(|text| {
                change
                    .description
                    .to_lowercase()
                    .contains(&text.to_lowercase())
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facts::tests::change;

    #[test]
    fn a_change_passes_only_when_every_part_of_the_filter_fits() {
        let paid = Change {
            changed_by: Cents(-1_250),
            description: "Lunch 100%_ ÉÉN".to_owned(),
            ..change(1)
        };
        let with = |direction, least: Option<i64>, most: Option<i64>, text: Option<&str>| Filter {
            direction,
            amount_min: least.map(Cents),
            amount_max: most.map(Cents),
            text: text.map(str::to_owned),
        };
        for (filter, passes) in [
            (Filter::default(), true),
            (with(Some(Direction::Debit), None, None, None), true),
            (with(Some(Direction::Credit), None, None, None), false),
            (with(None, Some(1_250), Some(1_250), None), true),
            (with(None, Some(1_251), None, None), false),
            (with(None, None, Some(1_249), None), false),
            (with(None, None, None, Some("lunch")), true),
            (with(None, None, None, Some("één")), true),
            (with(None, None, None, Some("100%_")), true),
            (with(None, None, None, Some("1_0")), false),
            (with(None, None, None, Some(".*")), false),
            (
                with(Some(Direction::Debit), Some(1), None, Some("dinner")),
                false,
            ),
        ] {
            assert_eq!(filter.lets_pass(&paid), passes, "{filter:?}");
        }
    }
}
