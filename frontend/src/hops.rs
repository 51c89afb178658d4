//! The way of one command on one scale: where each hop stood in time and how long it took.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "time on a screen, not money"
)]

use crate::{
    api::status::{Field, Hop, TopicRecord, Trail},
    figures::{self, micros_of},
    money::Cents,
    scale::Range,
};

/// A hop as it stands on the scale.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// In words for people.
    pub title: String,
    /// Such as the size of the batch.
    pub detail: Option<String>,
    /// Where it stands; None without a stamp.
    pub span: Option<Span>,
    /// Of all, this one took longest.
    pub is_slowest: bool,
}

/// A stretch of time, milliseconds since the first stamp.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    /// Begin.
    pub from_ms: f64,
    /// End.
    pub to_ms: f64,
}

impl Span {
    /// How long it is.
    #[must_use]
    pub fn long_ms(&self) -> f64 {
        self.to_ms - self.from_ms
    }
}

/// All hops of a command.
#[derive(Clone, Debug, PartialEq)]
pub struct TimeLine {
    /// In the order of the way.
    pub stages: Vec<Stage>,
    /// Of the scale they stand on, in milliseconds.
    pub range: Range,
    /// From the first stamp to the last.
    pub total_ms: Option<f64>,
}

/// What a hop is called, by its name on the wire.
fn title(name: &str) -> &str {
    match name {
        "received" => "the gateway received and checked it",
        "accepted" => "Kafka has the command",
        "polled" => "the handler read it",
        "decided" => "decided",
        "committed" => "PostgreSQL commit",
        "emitted" => "result and changes handed to Kafka",
        "projected" => "in the read model",
        "pushed" => "pushed to the page",
        other => other,
    }
}

/// Puts the hops on one scale.
#[must_use]
pub fn time_line(hops: &[Hop]) -> TimeLine {
    let micros = |text: &Option<String>| text.as_deref().and_then(micros_of);
    let stamps: Vec<(Option<i64>, Option<i64>)> = hops
        .iter()
        .map(|hop| (micros(&hop.started_at), micros(&hop.ended_at)))
        .collect();
    let all = stamps.iter().flat_map(|(from, to)| [*from, *to]).flatten();
    let first = all.clone().min();
    let last = all.max();
    let since = |micros: i64| (micros - first.unwrap_or(micros)) as f64 / 1_000.0;
    let spans: Vec<Option<Span>> = stamps
        .iter()
        .map(|(from, to)| {
            // A hop with one stamp is a moment.
            let from_ms = since(from.or(*to)?);
            let to_ms = since(to.or(*from)?).max(from_ms);
            Some(Span { from_ms, to_ms })
        })
        .collect();
    let slowest = spans
        .iter()
        .enumerate()
        .filter_map(|(place, span)| Some((place, span.as_ref()?.long_ms())))
        .filter(|(_, long)| *long > 0.0)
        .max_by(|one, other| one.1.total_cmp(&other.1))
        .map(|(place, _)| place);
    let total_ms = first
        .zip(last)
        .map(|(first, last)| (last - first) as f64 / 1_000.0);
    let stages = hops
        .iter()
        .zip(spans)
        .enumerate()
        .map(|(place, (hop, span))| Stage {
            title: title(&hop.name).to_owned(),
            detail: hop.detail.clone(),
            span,
            is_slowest: slowest == Some(place),
        })
        .collect();
    TimeLine {
        stages,
        range: Range::from_zero(total_ms),
        total_ms,
    }
}

impl Stage {
    /// For who cannot see the bar: `6 of 8, PostgreSQL commit, from 2,3 to 3,8 milliseconds`.
    #[must_use]
    pub fn said(&self, place: usize, of: usize) -> String {
        let title = &self.title;
        match self.span {
            None => format!("{} of {of}, {title}, no stamp", place + 1),
            Some(Span { from_ms, to_ms }) => format!(
                "{} of {of}, {title}, from {} to {}",
                place + 1,
                figures::milliseconds(from_ms),
                figures::milliseconds(to_ms)
            ),
        }
    }
}

/// What a transfer asked, from its record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Paying account, or `cash`.
    pub from: String,
    /// Receiving account or name.
    pub to: String,
    /// More than zero, if the payer was honest.
    pub amount: Cents,
    /// What the payer wrote.
    pub description: String,
}

/// One entry in the ledger, of the two a transfer makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Account, `cash`, or another bank's.
    pub account: String,
    /// Negative for who paid.
    pub change: Cents,
    /// From the account's own record, when it has one that may be seen.
    pub record: Option<EntryRecord>,
}

/// What a record of a change says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRecord {
    /// Of the account.
    pub version: String,
    /// From then on.
    pub new_balance: Cents,
    /// `partition:offset`.
    pub serial: String,
}

/// A field's value.
#[must_use]
pub fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a str> {
    fields
        .iter()
        .find(|field| field.name == name)
        .map(|field| field.value.as_str())
}

/// `partition:offset`.
#[must_use]
pub fn serial(record: &TopicRecord) -> String {
    format!("{}:{}", record.partition, record.offset)
}

/// The command a record belongs to.
#[must_use]
pub fn command_of(record: &TopicRecord) -> Option<&str> {
    value(&record.fields, "command_id").or_else(|| value(&record.fields, "id"))
}

/// The last part of a schema's full name: `BalanceChanged`.
#[must_use]
pub fn short_name(record: &TopicRecord) -> &str {
    record
        .schema_name
        .rsplit('.')
        .next()
        .unwrap_or(&record.schema_name)
}

/// What a transfer asked; None for another command.
#[must_use]
pub fn asked(command: &TopicRecord) -> Option<Asked> {
    let text = |name| value(&command.fields, name).map(str::to_owned);
    Some(Asked {
        from: text("from")?,
        to: text("to")?,
        amount: Cents(value(&command.fields, "amount")?.parse().ok()?),
        description: text("description")?,
    })
}

/// How the bank answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not yet.
    None,
    /// Done.
    Confirmed,
    /// No, with the reason on the wire.
    Rejected(String),
}

/// How the bank answered.
#[must_use]
pub fn answer(trail: &Trail) -> Answer {
    match &trail.outcome {
        None => Answer::None,
        Some(outcome) => match value(&outcome.fields, "reason") {
            Some(reason) => Answer::Rejected(reason.to_owned()),
            None => Answer::Confirmed,
        },
    }
}

/// The two entries of a confirmed transfer, who paid first: what the command moved, with what the records say of it.
#[must_use]
pub fn entries(trail: &Trail) -> Vec<Entry> {
    let asked = trail.command.as_ref().and_then(asked);
    let (Some(asked), Answer::Confirmed) = (asked, answer(trail)) else {
        return Vec::new();
    };
    let entry = |account: &str, change: Cents| {
        let cents = |record: &TopicRecord, name| value(&record.fields, name)?.parse().ok();
        let record = trail.changes.iter().find(|record| {
            value(&record.fields, "iban") == Some(account)
                && cents(record, "changed_by") == Some(change.0)
        });
        let record = record.and_then(|record| {
            Some(EntryRecord {
                version: value(&record.fields, "version")?.to_owned(),
                new_balance: Cents(cents(record, "new_balance")?),
                serial: serial(record),
            })
        });
        Entry {
            account: account.to_owned(),
            change,
            record,
        }
    };
    vec![
        entry(&asked.from, asked.amount.negated()),
        entry(&asked.to, asked.amount),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(name: &str, from: Option<&str>, to: Option<&str>) -> Hop {
        let at = |micros: &str| format!("2026-11-21T12:00:00.{micros}Z");
        Hop {
            name: name.to_owned(),
            started_at: from.map(at),
            ended_at: to.map(at),
            detail: None,
        }
    }

    #[test]
    fn hops_stand_on_one_scale_from_the_first_stamp_to_the_last() {
        let line = time_line(&[
            hop("received", Some("000100"), Some("000300")),
            hop("accepted", Some("000300"), Some("001700")),
            hop("polled", None, None),
            hop("committed", Some("001700"), Some("003800")),
            hop("pushed", None, Some("005300")),
        ]);
        assert_eq!(line.total_ms, Some(5.2));
        let spans: Vec<Option<(f64, f64)>> = line
            .stages
            .iter()
            .map(|stage| stage.span.map(|span| (span.from_ms, span.to_ms)))
            .collect();
        assert_eq!(
            spans,
            [
                Some((0.0, 0.2)),
                Some((0.2, 1.6)),
                None,
                Some((1.6, 3.7)),
                Some((5.2, 5.2))
            ]
        );
        let slowest: Vec<bool> = line.stages.iter().map(|stage| stage.is_slowest).collect();
        assert_eq!(slowest, [false, false, false, true, false]);
        assert_eq!(
            line.stages[3].said(3, 5).replace('\u{a0}', " "),
            "4 of 5, PostgreSQL commit, from 1,6 ms to 3,7 ms"
        );
        assert_eq!(
            line.stages[2].said(2, 5),
            "3 of 5, the handler read it, no stamp"
        );
    }

    #[test]
    fn a_command_without_stamps_has_no_scale_to_stand_on() {
        let line = time_line(&[hop("polled", None, None)]);
        assert_eq!(line.total_ms, None);
        assert_eq!(line.stages[0].span, None);
        assert!(!line.stages[0].is_slowest);
    }

    fn record(topic: &str, fields: &[(&str, &str)]) -> TopicRecord {
        TopicRecord {
            topic: topic.to_owned(),
            partition: 6,
            offset: 184_201,
            sent_at: String::new(),
            key: String::new(),
            schema_id: 7,
            schema_version: Some(2),
            schema_name: format!("nl.openweb.data.{topic}"),
            bytes: 96,
            headers: vec![],
            fields: fields
                .iter()
                .map(|(name, value)| Field {
                    name: (*name).to_owned(),
                    value: (*value).to_owned(),
                })
                .collect(),
        }
    }

    fn trail(reason: Option<&str>) -> Trail {
        Trail {
            command: Some(record(
                "ConfirmMoneyTransfer",
                &[
                    ("id", "c1"),
                    ("from", "NL10OPEN0412883157"),
                    ("to", "NL17OPEN0739204611"),
                    ("amount", "2500"),
                    ("description", "Book"),
                ],
            )),
            outcome: Some(match reason {
                None => record("MoneyTransferConfirmed", &[("id", "c1")]),
                Some(reason) => record("MoneyTransferFailed", &[("id", "c1"), ("reason", reason)]),
            }),
            changes: vec![record(
                "BalanceChanged",
                &[
                    ("iban", "NL10OPEN0412883157"),
                    ("new_balance", "84726"),
                    ("changed_by", "-2500"),
                    ("version", "5"),
                    ("command_id", "c1"),
                ],
            )],
            transactions: vec![],
            hops: vec![],
        }
    }

    #[test]
    fn a_confirmed_transfer_is_two_entries_that_sum_to_zero() {
        let entries = entries(&trail(None));
        assert_eq!(entries.iter().map(|entry| entry.change.0).sum::<i64>(), 0);
        let paid = entries[0].record.clone().unwrap();
        assert_eq!(
            (paid.version.as_str(), paid.serial.as_str()),
            ("5", "6:184201")
        );
        assert_eq!(paid.new_balance, Cents(84_726));
        // The other side's record is not to be seen; its entry is known from the command.
        assert_eq!(entries[1].account, "NL17OPEN0739204611");
        assert_eq!(entries[1].record, None);
    }

    #[test]
    fn a_rejected_transfer_has_no_entries() {
        let trail = trail(Some("insufficient funds"));
        assert_eq!(entries(&trail), []);
        assert_eq!(
            answer(&trail),
            Answer::Rejected("insufficient funds".to_owned())
        );
    }

    #[test]
    fn a_record_knows_its_command_by_either_name() {
        let trail = trail(None);
        assert_eq!(command_of(&trail.changes[0]), Some("c1"));
        assert_eq!(command_of(trail.command.as_ref().unwrap()), Some("c1"));
        assert_eq!(short_name(&trail.changes[0]), "BalanceChanged");
    }
}
