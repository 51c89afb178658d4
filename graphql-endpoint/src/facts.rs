//! What the gateway understands from a record: the one reading shared by the projection
//! and the live tail.

use chrono::{DateTime, Utc};
use topology::consumer::Consumed;
use topology::records::AccountType;
use topology::stamps::Stamp;
use topology::traces::Span;
use topology::{Cents, CommandId, Iban, Record, Token};

/// 9999-12-31T23:59:59Z in microseconds: what every client and the database can show.
const TIME_MAX_US: i64 = 253_402_300_799_000_000;

/// One change of one account's balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The account.
    pub iban: String,
    /// 1, 2, 3 … per account; 0 while it is not numbered yet (2019 form).
    pub version: i64,
    /// The balance after it.
    pub new_balance: Cents,
    /// The change; negative when the account paid.
    pub changed_by: Cents,
    /// The other side.
    pub from_to: String,
    /// What for.
    pub description: String,
    /// The command that caused it; none in the 2019 form.
    pub command_id: Option<CommandId>,
    /// When.
    pub occurred_at: DateTime<Utc>,
    /// Place of the record in `balance_changed`.
    pub partition: i32,
    /// Place of the record in `balance_changed`.
    pub offset: i64,
    /// When a gateway accepted its command, in microseconds since 1970; only live, and only
    /// when the record says so.
    pub accepted_us: Option<i64>,
    /// The step of its trace that ends when it is pushed; only live, and only when it is told.
    pub heard: Option<Box<Span>>,
}

impl Change {
    /// Whether two records say the same of the same change, wherever they stand.
    #[must_use]
    pub fn says_the_same(&self, other: &Change) -> bool {
        let at_home = |change: &Change| Change {
            partition: 0,
            offset: 0,
            accepted_us: None,
            heard: None,
            ..change.clone()
        };
        at_home(self) == at_home(other)
    }
}

/// A record, read and checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A balance changed; `version` is 0 for the 2019 form.
    Changed(Change),
    /// The bank opened an account.
    AccountOpened {
        /// For this command.
        command_id: CommandId,
        /// The account.
        iban: String,
        /// Its secret.
        token: Token,
        /// Whether a person asked.
        is_manual: bool,
        /// When the bank said so.
        at: DateTime<Utc>,
    },
    /// The bank opened no account.
    AccountRefused {
        /// For this command.
        command_id: CommandId,
        /// Why.
        reason: String,
    },
    /// Money moved.
    TransferConfirmed {
        /// For this command.
        command_id: CommandId,
    },
    /// Money did not move.
    TransferRefused {
        /// For this command.
        command_id: CommandId,
        /// Why.
        reason: String,
    },
}

/// Why a record that could be decoded is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// Word for the dead letter's header.
    pub reason: &'static str,
    /// What exactly.
    pub detail: String,
}

fn unusable(reason: &'static str, detail: impl ToString) -> Unusable {
    Unusable {
        reason,
        detail: detail.to_string(),
    }
}

/// Checks a record of one of the topics the gateway reads.
///
/// # Errors
/// [`Unusable`]: dead letter.
pub fn understand(consumed: &Consumed, record: Record) -> Result<Fact, Unusable> {
    match record {
        Record::BalanceChanged(changed) => {
            let iban = own_iban(&changed.iban)?;
            if consumed.key.as_deref() != Some(iban.as_bytes()) {
                return Err(unusable(
                    "KEY_MISMATCH",
                    "the key is not the account's IBAN",
                ));
            }
            let (version, command_id, occurred_at) = match changed.change {
                Some(change) if change.version < 1 => {
                    return Err(unusable("INVALID_VERSION", change.version));
                }
                Some(change) => (
                    change.version,
                    Some(change.command_id),
                    time_from_us(change.occurred_at_us)?,
                ),
                None => (0, None, sent_at(consumed)),
            };
            Ok(Fact::Changed(Change {
                iban,
                version,
                new_balance: changed.new_balance,
                changed_by: changed.changed_by,
                from_to: storable(changed.from_to)?,
                description: storable(changed.description)?,
                command_id,
                occurred_at,
                partition: consumed.partition,
                offset: consumed.offset,
                accepted_us: consumed
                    .trace
                    .as_ref()
                    .and_then(|trace| trace.stamps.get(Stamp::Accepted)),
                heard: None,
            }))
        }
        Record::AccountCreationConfirmed(confirmed) => Ok(Fact::AccountOpened {
            command_id: confirmed.id,
            iban: own_iban(&confirmed.iban)?,
            token: confirmed.token,
            is_manual: confirmed.account_type == AccountType::Manual,
            at: sent_at(consumed),
        }),
        Record::AccountCreationFailed(failed) => Ok(Fact::AccountRefused {
            command_id: failed.id,
            reason: storable(failed.reason)?,
        }),
        Record::MoneyTransferConfirmed(confirmed) => Ok(Fact::TransferConfirmed {
            command_id: confirmed.id,
        }),
        Record::MoneyTransferFailed(failed) => Ok(Fact::TransferRefused {
            command_id: failed.id,
            reason: storable(failed.reason)?,
        }),
        other => Err(unusable("WRONG_TYPE", other.kind().full_name())),
    }
}

/// On the wire an IBAN is canonical: as [`Iban`] writes it, not as people do.
fn own_iban(text: &str) -> Result<String, Unusable> {
    match Iban::parse(text) {
        Ok(iban) if iban.is_ours() && iban.as_str() == text => Ok(text.to_owned()),
        Ok(_) => Err(unusable(
            "INVALID_IBAN",
            "not an IBAN of our bank as we write it",
        )),
        Err(error) => Err(unusable("INVALID_IBAN", error)),
    }
}

/// PostgreSQL's text holds no NUL; such a record would stop the projection for ever.
fn storable(text: String) -> Result<String, Unusable> {
    if text.contains('\0') {
        return Err(unusable("INVALID_TEXT", "a text contains NUL"));
    }
    Ok(text)
}

fn time_from_us(microseconds: i64) -> Result<DateTime<Utc>, Unusable> {
    (0..=TIME_MAX_US)
        .contains(&microseconds)
        .then(|| DateTime::from_timestamp_micros(microseconds))
        .flatten()
        .ok_or_else(|| unusable("INVALID_TIME", microseconds))
}

fn sent_at(consumed: &Consumed) -> DateTime<Utc> {
    let milliseconds = consumed.timestamp_ms.clamp(0, TIME_MAX_US / 1_000);
    DateTime::from_timestamp_millis(milliseconds).unwrap_or_default()
}

#[cfg(test)]
pub(crate) mod tests {
    use topology::COMPANY_IBAN;
    use topology::Topic;
    use topology::records::{BalanceChanged, ChangeIdentity};

    use super::*;

    /// A numbered change of the company's account.
    pub(crate) fn change(version: i64) -> Change {
        Change {
            iban: COMPANY_IBAN.to_owned(),
            version,
            new_balance: Cents(100 * version),
            changed_by: Cents(100),
            from_to: "cash".to_owned(),
            description: "deposit".to_owned(),
            command_id: Some(CommandId::from_bytes([1; 16])),
            occurred_at: DateTime::from_timestamp_micros(1_700_000_000_000_000).unwrap(),
            partition: 3,
            offset: 40 + version,
            accepted_us: None,
            heard: None,
        }
    }

    fn consumed(key: Option<&str>) -> Consumed {
        Consumed {
            topic: Topic::BalanceChanged,
            partition: 3,
            offset: 47,
            epoch: 1,
            timestamp_ms: 1_700_000_000_000,
            key: key.map(|key| key.as_bytes().to_vec()),
            value: None,
            trace: None,
        }
    }

    fn record(iban: &str) -> BalanceChanged {
        BalanceChanged {
            iban: iban.to_owned(),
            new_balance: Cents(700),
            changed_by: Cents(100),
            from_to: "cash".to_owned(),
            description: "deposit".to_owned(),
            change: Some(ChangeIdentity {
                version: 7,
                command_id: CommandId::from_bytes([1; 16]),
                occurred_at_us: 1_700_000_000_000_000,
            }),
        }
    }

    #[test]
    fn a_numbered_change_is_read_as_it_is() {
        let read = understand(
            &consumed(Some(COMPANY_IBAN)),
            Record::BalanceChanged(record(COMPANY_IBAN)),
        );
        assert_eq!(read, Ok(Fact::Changed(change(7))));
    }

    #[test]
    fn a_change_in_the_2019_form_has_no_number_yet_and_the_time_of_its_record() {
        let old = BalanceChanged {
            change: None,
            ..record(COMPANY_IBAN)
        };
        let read = understand(&consumed(Some(COMPANY_IBAN)), Record::BalanceChanged(old));
        let expected = Change {
            version: 0,
            command_id: None,
            ..change(7)
        };
        assert_eq!(read, Ok(Fact::Changed(expected)));
    }

    #[test]
    fn a_record_that_cannot_be_true_has_a_reason() {
        let good = || record(COMPANY_IBAN);
        let with = |change: ChangeIdentity| BalanceChanged {
            change: Some(change),
            ..good()
        };
        let identity = good().change.unwrap();
        let foreign = "DE89370400440532013000";
        for (key, record, reason) in [
            (None, good(), "KEY_MISMATCH"),
            (Some("NL39OPEN0000000001"), good(), "KEY_MISMATCH"),
            (Some(foreign), record(foreign), "INVALID_IBAN"),
            (
                Some("NL67OPEN0000000000"),
                record("NL67OPEN0000000000"),
                "INVALID_IBAN",
            ),
            (
                Some("nl66open0000000000"),
                record("nl66open0000000000"),
                "INVALID_IBAN",
            ),
            (Some(""), record(""), "INVALID_IBAN"),
            (
                Some(COMPANY_IBAN),
                with(ChangeIdentity {
                    version: 0,
                    ..identity
                }),
                "INVALID_VERSION",
            ),
            (
                Some(COMPANY_IBAN),
                with(ChangeIdentity {
                    occurred_at_us: i64::MAX,
                    ..identity
                }),
                "INVALID_TIME",
            ),
            (
                Some(COMPANY_IBAN),
                BalanceChanged {
                    description: "a\0b".to_owned(),
                    ..good()
                },
                "INVALID_TEXT",
            ),
        ] {
            let read = understand(&consumed(key), Record::BalanceChanged(record));
            assert_eq!(read.map_err(|unusable| unusable.reason), Err(reason));
        }
    }

    #[test]
    fn the_same_change_sent_again_says_the_same() {
        let again = Change {
            partition: 8,
            offset: 1,
            accepted_us: Some(5),
            ..change(7)
        };
        assert!(change(7).says_the_same(&again));
        let other = Change {
            description: "other".to_owned(),
            ..change(7)
        };
        assert!(!change(7).says_the_same(&other));
    }
}
