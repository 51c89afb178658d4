//! A statement as a table for other programs: comma separated, quoted, one line a transaction. Money is written with a
//! point and without groups, whatever the formats of the page, since programs read it.

use crate::{api::types::Transaction, money::Cents};

const HEADER: &str =
    "account,version,time,credit or debit,other account,description,amount,balance,record,command";
/// What a spreadsheet would take for the start of a formula.
const FORMULA_STARTS: [char; 6] = ['=', '+', '-', '@', '\t', '\r'];

/// The file, in the order given.
#[must_use]
pub fn write<'a>(transactions: impl IntoIterator<Item = &'a Transaction>) -> String {
    let mut text = format!("{HEADER}\r\n");
    for transaction in transactions {
        let direction = if transaction.changed_by.0 < 0 {
            "debit"
        } else {
            "credit"
        };
        let command = transaction
            .command_id
            .map(|id| id.0.to_string())
            .unwrap_or_default();
        let fields = [
            quoted(&transaction.iban),
            transaction.version.to_string(),
            quoted(&transaction.occurred_at),
            direction.to_owned(),
            quoted(&transaction.counterparty),
            quoted(&transaction.description),
            euros(transaction.changed_by),
            euros(transaction.new_balance),
            quoted(&transaction.serial),
            quoted(&command),
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
    text
}

/// `-1234.56`.
fn euros(cents: Cents) -> String {
    let size = cents.0.unsigned_abs();
    let sign = if cents.0 < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", size / 100, size % 100)
}

/// What someone else wrote stays text also where a spreadsheet opens it.
fn quoted(text: &str) -> String {
    let guard = if text.starts_with(FORMULA_STARTS) {
        "'"
    } else {
        ""
    };
    format!("\"{guard}{}\"", text.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_texts_that_are_markup_or_formulas_when_written_then_they_stay_text() {
        for (typed, written) in [
            ("Book", "\"Book\""),
            ("<script>alert(1)</script>", "\"<script>alert(1)</script>\""),
            ("say \"hi\", twice", "\"say \"\"hi\"\", twice\""),
            ("=1+1", "\"'=1+1\""),
            ("@sum", "\"'@sum\""),
            ("-5", "\"'-5\""),
            ("two\nlines", "\"two\nlines\""),
        ] {
            assert_eq!(quoted(typed), written);
        }
    }

    #[test]
    fn given_a_transaction_when_written_then_every_cent_and_its_command_are_in_the_line() {
        let transaction = Transaction {
            iban: "NL66OPEN0000000000".to_owned(),
            version: 7,
            new_balance: Cents(99_999_999_876_543_210),
            changed_by: Cents(-5),
            counterparty: "Energy supplier".to_owned(),
            description: "November".to_owned(),
            command_id: None,
            occurred_at: "2026-11-21T12:00:00Z".to_owned(),
            serial: "3:14".to_owned(),
            cursor: String::new(),
        };
        let file = write([&transaction]);
        let lines: Vec<_> = file.lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!(
            lines[1],
            "\"NL66OPEN0000000000\",7,\"2026-11-21T12:00:00Z\",debit,\"Energy supplier\",\"November\",\
             -0.05,999999998765432.10,\"3:14\",\"\""
        );
    }
}
