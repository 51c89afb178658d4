//! The last records of a topic as the browser of topics shows them: newest first, each once, no more than so many; new
//! ones wait behind a pause.

use std::collections::BTreeSet;

use crate::{
    api::records::{Field, TopicRecord},
    money::Cents,
};

/// Shown, and asked for at first.
pub const SHOWN_MAX: usize = 25;
/// Kept behind a pause; then only counted.
const WAITING_MAX: usize = 200;

/// Last records of one topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Records {
    shown: Vec<TopicRecord>,
    waiting: Vec<TopicRecord>,
    waiting_count: usize,
    is_paused: bool,
}

impl Records {
    /// What is shown, newest first.
    #[must_use]
    pub fn shown(&self) -> &[TopicRecord] {
        &self.shown
    }

    /// How many came since the pause.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting_count
    }

    /// Whether new ones wait.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Takes records in, in any order.
    pub fn take(&mut self, records: Vec<TopicRecord>) {
        if self.is_paused {
            self.waiting_count += records.len();
            self.waiting.extend(records);
            let too_many = self.waiting.len().saturating_sub(WAITING_MAX);
            self.waiting.drain(..too_many);
        } else {
            self.show(records);
        }
    }

    /// Stops or goes on; what waited is shown then.
    pub fn pause(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
        if !is_paused {
            let waiting = std::mem::take(&mut self.waiting);
            self.waiting_count = 0;
            self.show(waiting);
        }
    }

    fn show(&mut self, records: Vec<TopicRecord>) {
        self.shown.extend(records);
        self.shown.sort_by(|one, other| {
            let age =
                |record: &TopicRecord| (record.sent_at.clone(), record.offset, record.partition);
            age(other).cmp(&age(one))
        });
        let mut seen = BTreeSet::new();
        self.shown
            .retain(|record| seen.insert((record.partition, record.offset)));
        self.shown.truncate(SHOWN_MAX);
    }
}

/// A field's value for people: cents with the amount they are.
#[must_use]
pub fn in_words(field: &Field) -> String {
    let cents = match field.name.as_str() {
        "new_balance" => field
            .value
            .parse()
            .ok()
            .map(|cents| Cents(cents).as_balance()),
        "changed_by" => field
            .value
            .parse()
            .ok()
            .map(|cents| Cents(cents).as_change()),
        "amount" => field
            .value
            .parse()
            .ok()
            .map(|cents| Cents(cents).as_balance()),
        _ => None,
    };
    match cents {
        Some(amount) => format!("{} ({amount})", field.value),
        None => field.value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(second: u32, offset: u64) -> TopicRecord {
        TopicRecord {
            topic: "balance_changed".to_owned(),
            partition: 6,
            offset,
            sent_at: format!("2026-11-21T12:00:{second:02}Z"),
            key: String::new(),
            schema_id: 7,
            schema_version: Some(2),
            schema_name: "nl.openweb.data.BalanceChanged".to_owned(),
            bytes: 96,
            headers: vec![],
            fields: vec![],
        }
    }

    fn offsets(records: &Records) -> Vec<u64> {
        records.shown().iter().map(|record| record.offset).collect()
    }

    #[test]
    fn records_stand_newest_first_each_once_and_not_too_many() {
        let mut records = Records::default();
        records.take(vec![record(3, 3), record(2, 2)]);
        records.take(vec![record(3, 3), record(4, 4)]);
        assert_eq!(offsets(&records), [4, 3, 2]);
        records.take(
            (10..60)
                .map(|second| record(second, u64::from(second)))
                .collect(),
        );
        assert_eq!(records.shown().len(), SHOWN_MAX);
        assert_eq!(offsets(&records)[0], 59);
    }

    #[test]
    fn behind_a_pause_they_are_counted_and_come_after_it() {
        let mut records = Records::default();
        records.take(vec![record(1, 1)]);
        records.pause(true);
        records.take(vec![record(2, 2), record(3, 3)]);
        assert_eq!((offsets(&records), records.waiting()), (vec![1], 2));
        records.pause(false);
        assert_eq!((offsets(&records), records.waiting()), (vec![3, 2, 1], 0));
    }

    #[test]
    fn cents_are_shown_with_the_amount_they_are() {
        let field = |name: &str, value: &str| Field {
            name: name.to_owned(),
            value: value.to_owned(),
        };
        let plain = |field| in_words(&field).replace('\u{a0}', " ");
        assert_eq!(plain(field("new_balance", "84726")), "84726 (€ 847,26)");
        assert_eq!(plain(field("changed_by", "-2500")), "-2500 (€ -25,00)");
        assert_eq!(plain(field("iban", "NL10")), "NL10");
    }
}
