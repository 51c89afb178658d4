//! Wrong things in what clients were told.

use auditor::history::{Event, Operation, Phase};

use crate::case::Case;

fn answer(history: &mut [Event], phase: Phase) -> &mut Event {
    let mut found = history.iter_mut();
    found
        .find(|it| it.phase == phase && matches!(it.operation, Operation::Transfer { .. }))
        .unwrap()
}

fn receives(history: &[Event]) -> Vec<usize> {
    let events = history.iter().enumerate();
    events
        .filter(|(_, it)| matches!(it.operation, Operation::Receive { .. }))
        .map(|(index, _)| index)
        .collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let it = Case::in_history;
    vec![
        it("B6", "told yes, and it was refused", |history| {
            let event = answer(history, Phase::Fail);
            event.phase = Phase::Ok;
            event.reason = None;
        }),
        it("B6", "told no, and it was booked", |history| {
            answer(history, Phase::Ok).phase = Phase::Fail;
        }),
        it("B6", "told no for another reason", |history| {
            answer(history, Phase::Fail).reason = Some("another".to_owned());
        }),
        it("B6", "told yes to another amount", |history| {
            let event = answer(history, Phase::Ok);
            if let Operation::Transfer { amount_cents, .. } = &mut event.operation {
                *amount_cents += 1;
            }
        }),
        it("B6", "told yes to what nobody knows", |history| {
            let mut event = answer(history, Phase::Ok).clone();
            if let Operation::Transfer { command_id, .. } = &mut event.operation {
                *command_id = uuid::Uuid::from_u128(7);
            }
            history.push(event);
        }),
        it(
            "B7",
            "answered before the one that was booked first was sent",
            |history| {
                // The first payment of the company stands first; now it says it was sent last.
                let end = history.last().unwrap().monotonic_ns + 1_000;
                history[0].monotonic_ns = end;
            },
        ),
        it("D5", "a change was not seen", |history| {
            let at = receives(history)[2];
            history.remove(at);
        }),
        it("D5", "a change was seen twice", |history| {
            let at = receives(history)[2];
            let again = history[at].clone();
            history.insert(at, again);
        }),
        it("D5", "the last change was not seen", |history| {
            let at = *receives(history).last().unwrap();
            history.remove(at);
        }),
        it("D5", "a follower goes on behind a hole", |history| {
            let at = receives(history)[2];
            let mut again = history[at].clone();
            again.phase = Phase::Invoke;
            if let Operation::Receive { iban, .. } = &again.operation {
                again.operation = Operation::Subscribe {
                    iban: iban.clone(),
                    subscription: 1,
                    after_version: 100,
                    is_permitted: true,
                };
            }
            history.insert(at, again);
        }),
        it("D6", "a balance that was read went back", |history| {
            let events = history.iter_mut();
            let mut reads = events.filter_map(|it| match &mut it.operation {
                Operation::Read { version, .. } => version.as_mut(),
                _ => None,
            });
            *reads.nth(1).unwrap() = 50;
        }),
        it("D7", "somebody saw what he must not", |history| {
            let at = receives(history)[0];
            let mut event = history[at].clone();
            if let Operation::Receive { subscription, .. } = &mut event.operation {
                *subscription = 2;
            }
            history.push(event);
        }),
    ]
}
