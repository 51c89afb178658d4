//! The way of one command on one scale: where each hop stood in time and how long it took.

#![expect(
    clippy::float_arithmetic,
    clippy::cast_precision_loss,
    reason = "time on a screen, not money"
)]

use crate::{
    api::records::{Field, Hop, TopicRecord, Trail},
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
    /// From the first stamp to the push to the page.
    pub pushed_ms: Option<f64>,
}

/// What a hop is called, by its name on the wire.
fn title(name: &str) -> &str {
    match name {
        "received" => "the gateway checked it",
        "accepted" => "Kafka acknowledged it",
        "polled" => "on its way to the handler",
        "decided" => "decided",
        "committed" => "PostgreSQL commit",
        "emitted" => "answer and changes handed to Kafka",
        "projected" => "into the read model",
        "pushed" => "back through Kafka, pushed to the page",
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
            // A hop that began and has no end is not known to be over; one with an end alone is a moment.
            let to = (*to)?;
            let from_ms = since(from.unwrap_or(to));
            let to_ms = since(to).max(from_ms);
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
    let stages: Vec<Stage> = hops
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
    let pushed = hops.iter().position(|hop| hop.name == "pushed");
    let pushed_ms = pushed.and_then(|place| stages[place].span.map(|span| span.to_ms));
    TimeLine {
        pushed_ms,
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
mod tests;
