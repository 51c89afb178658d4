//! The gateway's steps of a trace: sending a command, taking a change into the read model,
//! pushing it to a subscriber. Nothing here costs more than a look while traces are not told.

use std::collections::BTreeSet;

use topology::consumer::Consumed;
use topology::stamps::now_us;
use topology::traces::{self, About, Place, Span, Work};
use topology::{CommandId, Topic, partition};

use crate::facts::Fact;
use crate::store::projection::{Assignment, Item};
use crate::{live, projection};

/// Of a command on its way to its topic: from its request to its acknowledgement.
#[must_use]
pub fn sent(
    (place, parent): (Place, Option<u64>),
    (topic, key): (Topic, &str),
    command_id: CommandId,
    received_us: i64,
) -> Option<Span> {
    if !traces::is_on() {
        return None;
    }
    let about = About {
        topic,
        partition: partition::of_key(topic, key.as_bytes()),
        offset: None,
        group: None,
        command_id: Some(command_id),
    };
    Span::new(Work::Send, place, parent, about, received_us)
}

/// Of records that are in the read model now, but for those of assignments that are over.
pub fn projected(
    batch: &[Consumed],
    items: &[Item],
    fenced: &BTreeSet<Assignment>,
    polled_us: i64,
    now_us: i64,
) {
    if !traces::is_on() {
        return;
    }
    for (consumed, item) in batch.iter().zip(items) {
        if fenced.contains(&(consumed.topic, consumed.partition, consumed.epoch)) {
            continue;
        }
        let about = about(
            consumed,
            projection::GROUP,
            item.fact.as_ref().and_then(command),
        );
        let trace = consumed.trace.as_deref();
        if let Some(span) = Span::after(trace, Work::Process, about, || polled_us) {
            span.end(now_us);
        }
    }
}

/// Of a change that was read for subscribers.
#[must_use]
pub fn heard(consumed: &Consumed, command_id: Option<CommandId>) -> Option<Box<Span>> {
    let about = about(consumed, live::GROUP, command_id);
    Span::after(consumed.trace.as_deref(), Work::Push, about, now_us).map(Box::new)
}

fn about(consumed: &Consumed, group: &'static str, command_id: Option<CommandId>) -> About {
    About {
        topic: consumed.topic,
        partition: consumed.partition,
        offset: Some(consumed.offset),
        group: Some(group),
        command_id,
    }
}

fn command(fact: &Fact) -> Option<CommandId> {
    match fact {
        Fact::Changed(change) => change.command_id,
        Fact::AccountOpened { command_id, .. }
        | Fact::AccountRefused { command_id, .. }
        | Fact::TransferConfirmed { command_id }
        | Fact::TransferRefused { command_id, .. } => Some(*command_id),
    }
}
