//! The handler's step of a trace: from reading a command to sending what it gave.

use topology::stamps::Stamp;
use topology::traces::{About, Span, Work};

use crate::batch::Journey;
use crate::domain::Rejection;
use crate::handler::NAME;

/// Of a command whose records go out now; `None` unless its trace is to be told.
#[must_use]
pub(crate) fn of(journey: &Journey) -> Option<Span> {
    let stamps = &journey.trace.stamps;
    let about = About {
        topic: journey.source.topic,
        partition: journey.source.partition,
        offset: Some(journey.source.offset),
        group: Some(NAME),
        command_id: Some(journey.id),
    };
    let began = || stamps.get(Stamp::Polled).unwrap_or_default();
    let mut span = Span::after(Some(&journey.trace), Work::Process, about, began)?;
    span.moments = [Stamp::Decided, Stamp::Committed]
        .into_iter()
        .filter_map(|stamp| Some((stamp.name(), stamps.get(stamp)?)))
        .collect();
    span.batch = stamps.get(Stamp::Batch);
    span.outcome = Some(journey.rejection.map_or("confirmed", Rejection::reason));
    Some(span)
}
