//! Hops on their scale, and the entries of a transfer.

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
        hop("polled", Some("001700"), None),
        hop("committed", Some("001700"), Some("003800")),
        hop("pushed", None, Some("005300")),
    ]);
    assert_eq!((line.total_ms, line.pushed_ms), (Some(5.2), Some(5.2)));
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
        "3 of 5, on its way to the handler, no stamp"
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
