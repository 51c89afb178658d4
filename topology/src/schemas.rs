//! The Avro schemas: the `.avsc` files, parsed once.

use std::sync::LazyLock;

use apache_avro::Schema;

use crate::records::RecordKind;

/// The schema texts of a record type, oldest first; the last one is written.
#[must_use]
pub fn texts(kind: RecordKind) -> &'static [&'static str] {
    match kind {
        RecordKind::Heartbeat => &[include_str!("../schemas/heartbeat.avsc")],
        RecordKind::ConfirmAccountCreation => {
            &[include_str!("../schemas/confirm_account_creation.avsc")]
        }
        RecordKind::AccountCreationConfirmed => {
            &[include_str!("../schemas/account_creation_confirmed.avsc")]
        }
        RecordKind::AccountCreationFailed => {
            &[include_str!("../schemas/account_creation_failed.avsc")]
        }
        RecordKind::ConfirmMoneyTransfer => {
            &[include_str!("../schemas/confirm_money_transfer.avsc")]
        }
        RecordKind::MoneyTransferConfirmed => {
            &[include_str!("../schemas/money_transfer_confirmed.avsc")]
        }
        RecordKind::MoneyTransferFailed => &[include_str!("../schemas/money_transfer_failed.avsc")],
        RecordKind::BalanceChanged => &[
            include_str!("../schemas/balance_changed_v1.avsc"),
            include_str!("../schemas/balance_changed_v2.avsc"),
        ],
    }
}

/// The schema this build writes and reads a record type with: the newest.
#[must_use]
pub fn newest(kind: RecordKind) -> &'static Schema {
    static NEWEST: LazyLock<Vec<Schema>> = LazyLock::new(|| {
        RecordKind::ALL
            .iter()
            .map(|kind| {
                let text = texts(*kind)
                    .last()
                    .expect("each kind has at least one schema");
                Schema::parse_str(text).expect("the schemas are checked by the tests")
            })
            .collect()
    });
    &NEWEST[kind as usize]
}

/// Whether two schema texts say the same, however they are laid out.
///
/// Compares every attribute, so that a lost default counts as a difference.
#[must_use]
pub fn same_schema(one: &str, other: &str) -> bool {
    match (Schema::parse_str(one), Schema::parse_str(other)) {
        (Ok(one), Ok(other)) => {
            serde_json::to_value(&one).ok() == serde_json::to_value(&other).ok()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schema_parses_and_is_named_as_its_record() {
        for kind in RecordKind::ALL {
            for text in texts(kind) {
                let schema = Schema::parse_str(text).unwrap();
                let name = schema.name().unwrap().fullname(None);
                assert_eq!(name, kind.full_name());
            }
        }
    }

    #[test]
    fn layout_does_not_matter_but_defaults_do() {
        let [first, second] = texts(RecordKind::BalanceChanged) else {
            panic!("two versions");
        };
        let compact: serde_json::Value = serde_json::from_str(second).unwrap();
        assert!(same_schema(second, &compact.to_string()));
        assert!(!same_schema(first, second));
        assert!(!same_schema(
            second,
            &second.replace(r#""type": "long", "default": 0"#, r#""type": "long""#)
        ));
    }
}
