//! The records of the topics, as far as the auditor judges them.

use crate::avro::{Schema, Unreadable, Value};
use crate::facts::{
    ACCOUNT_ANSWERS, ACCOUNT_COMMANDS, CHANGES, Party, TRANSFER_ANSWERS, TRANSFER_COMMANDS, digest,
};
use crate::iban::{Reading, ledger_name, read};

/// Most bytes the contract lets a value have.
const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Most cents one transfer moves: ten million euros.
pub(crate) const AMOUNT_MAX: i64 = 1_000_000_000;
/// Most characters of a description, and of a name.
const CHARACTERS_MAX: usize = 140;

/// A record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Record<'a> {
    Create {
        id: u128,
        kind: &'a str,
    },
    Move(Move<'a>),
    Created {
        id: u128,
        iban: &'a str,
        token: &'a str,
    },
    NotCreated {
        id: u128,
        reason: &'a str,
    },
    Moved {
        id: u128,
    },
    NotMoved {
        id: u128,
        reason: &'a str,
    },
    Changed(Changed<'a>),
}

/// A command to move money.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Move<'a> {
    pub(crate) id: u128,
    pub(crate) token: &'a str,
    pub(crate) amount: i64,
    pub(crate) from: &'a str,
    pub(crate) to: &'a str,
    pub(crate) description: &'a str,
}

/// A change of a balance; version 0 and no id in the form of 2019.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Changed<'a> {
    pub(crate) iban: &'a str,
    pub(crate) balance: i64,
    pub(crate) changed_by: i64,
    pub(crate) from_to: &'a str,
    pub(crate) description: &'a str,
    pub(crate) version: i64,
    pub(crate) id: u128,
    pub(crate) occurred_at_us: i64,
}

/// The id of the schema and the data behind it.
pub(crate) fn split(value: Option<&[u8]>) -> Result<(u32, &[u8]), Unreadable> {
    let value = value.ok_or(Unreadable("no value"))?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(Unreadable("too long"));
    }
    match value.split_first_chunk() {
        Some(([0, one, two, three, four], datum)) => {
            Ok((u32::from_be_bytes([*one, *two, *three, *four]), datum))
        }
        _ => Err(Unreadable("not in the wire format")),
    }
}

/// Names of the records that may stand in a topic.
fn records_of(topic: u8) -> &'static [&'static str] {
    match topic {
        ACCOUNT_COMMANDS => &["ConfirmAccountCreation"],
        TRANSFER_COMMANDS => &["ConfirmMoneyTransfer"],
        ACCOUNT_ANSWERS => &["AccountCreationConfirmed", "AccountCreationFailed"],
        TRANSFER_ANSWERS => &["MoneyTransferConfirmed", "MoneyTransferFailed"],
        CHANGES => &["BalanceChanged"],
        _ => &[],
    }
}

/// Whether records of this name may stand in this topic.
pub(crate) fn belongs(topic: u8, name: &str) -> bool {
    name.strip_prefix("nl.openweb.data.")
        .is_some_and(|name| records_of(topic).contains(&name))
}

/// Everything a field of ours can be.
#[derive(Default)]
struct Fields<'a> {
    id: Option<u128>,
    command_id: Option<u128>,
    kind: Option<&'a str>,
    token: Option<&'a str>,
    iban: Option<&'a str>,
    reason: Option<&'a str>,
    amount: Option<i64>,
    from: Option<&'a str>,
    to: Option<&'a str>,
    description: Option<&'a str>,
    balance: Option<i64>,
    changed_by: Option<i64>,
    from_to: Option<&'a str>,
    version: Option<i64>,
    occurred_at: Option<i64>,
}

fn id_of(value: Value<'_>) -> Option<u128> {
    match value {
        Value::Fixed(bytes) => Some(u128::from_be_bytes(bytes.try_into().ok()?)),
        _ => None,
    }
}

impl<'a> Fields<'a> {
    fn put(&mut self, name: &str, value: Value<'a>) {
        let text = match value {
            Value::Text(text) | Value::Symbol(text) => Some(text),
            _ => None,
        };
        let number = match value {
            Value::Number(number) => Some(number),
            _ => None,
        };
        match name {
            "id" => self.id = id_of(value),
            "command_id" => self.command_id = id_of(value),
            "a_type" => self.kind = text,
            "token" => self.token = text,
            "iban" => self.iban = text,
            "reason" => self.reason = text,
            "amount" => self.amount = number,
            "from" => self.from = text,
            "to" => self.to = text,
            "description" => self.description = text,
            "new_balance" => self.balance = number,
            "changed_by" => self.changed_by = number,
            "from_to" => self.from_to = text,
            "version" => self.version = number,
            "occurred_at" => self.occurred_at = number,
            _ => {}
        }
    }

    fn record(&self, name: &str) -> Option<Record<'a>> {
        Some(match name.rsplit('.').next()? {
            "ConfirmAccountCreation" => Record::Create {
                id: self.id?,
                kind: self
                    .kind
                    .filter(|kind| matches!(*kind, "AUTO" | "MANUAL"))?,
            },
            "ConfirmMoneyTransfer" => Record::Move(Move {
                id: self.id?,
                token: self.token?,
                amount: self.amount?,
                from: self.from?,
                to: self.to?,
                description: self.description?,
            }),
            "AccountCreationConfirmed" => Record::Created {
                id: self.id?,
                iban: self.iban?,
                token: self.token?,
            },
            "AccountCreationFailed" => Record::NotCreated {
                id: self.id?,
                reason: self.reason?,
            },
            "MoneyTransferConfirmed" => Record::Moved { id: self.id? },
            "MoneyTransferFailed" => Record::NotMoved {
                id: self.id?,
                reason: self.reason?,
            },
            "BalanceChanged" => Record::Changed(Changed {
                iban: self.iban?,
                balance: self.balance?,
                changed_by: self.changed_by?,
                from_to: self.from_to?,
                description: self.description?,
                version: self.version.unwrap_or_default(),
                id: self.command_id.unwrap_or_default(),
                occurred_at_us: self.occurred_at.unwrap_or_default(),
            }),
            _ => return None,
        })
    }
}

/// Reads a record.
pub(crate) fn read_record<'a>(
    schema: &'a Schema,
    datum: &'a [u8],
) -> Result<Record<'a>, Unreadable> {
    let mut fields = Fields::default();
    schema.read(datum, |name, value| fields.put(name, value))?;
    fields
        .record(&schema.name)
        .ok_or(Unreadable("a field is missing"))
}

/// Stands for what a command asks for, its id left out, as the books keep it: BLAKE3 of
/// type, amount, lengths and texts, the first half.
pub(crate) fn content(record: &Record<'_>) -> u128 {
    let (kind, amount, texts) = match record {
        Record::Create { kind, .. } => (1_u64, 0, [*kind, "", "", ""]),
        Record::Move(it) => (2, it.amount, [it.token, it.from, it.to, it.description]),
        _ => return 0,
    };
    let mut hasher = blake3::Hasher::new();
    hasher.update(&kind.to_be_bytes());
    hasher.update(&amount.to_be_bytes());
    for text in texts {
        hasher.update(&(text.len() as u64).to_be_bytes());
    }
    for text in texts {
        hasher.update(text.as_bytes());
    }
    let hash = hasher.finalize();
    let (half, _) = hash
        .as_bytes()
        .split_first_chunk()
        .expect("32 bytes hold 16");
    u128::from_be_bytes(*half)
}

/// The reasons for a no that an order alone shows, in the order in which they win.
pub(crate) fn refused_by_form(order: &Move<'_>) -> Option<&'static str> {
    if order.amount <= 0 || order.amount > AMOUNT_MAX {
        return Some("amount is invalid");
    }
    if order.from != "cash" && read(order.from) != Reading::Ours {
        return Some("from is invalid");
    }
    let is_payee_possible = order.to == "cash"
        || match read(order.to) {
            Reading::Ours | Reading::Foreign => true,
            Reading::Wrong => false,
            Reading::NoNumber => is_possible_name(order.to),
        };
    if !is_payee_possible {
        return Some("to is invalid");
    }
    if ledger_name(order.from) == ledger_name(order.to) {
        return Some("from and to can't be same for transfer");
    }
    let text = order.description;
    if text.chars().count() > CHARACTERS_MAX || text.chars().any(char::is_control) {
        return Some("description is invalid");
    }
    None
}

fn is_possible_name(text: &str) -> bool {
    let name = text.trim();
    !(name.is_empty()
        || name.chars().count() > CHARACTERS_MAX
        || name.chars().any(char::is_control)
        || name.eq_ignore_ascii_case("cash"))
}

/// Stands for a reason; 0 is a yes.
pub(crate) fn refusal(reason: &str) -> u64 {
    digest(reason.as_bytes()) | 1
}

/// What stands for the value of an answer: its bytes, the secret in them blanked, since
/// the books do not keep it.
pub(crate) fn answer_digest(value: &[u8], record: &Record<'_>) -> u64 {
    let Record::Created { token, .. } = record else {
        return digest(value);
    };
    let found = value
        .windows(token.len().max(1))
        .position(|it| it == token.as_bytes());
    let mut blanked = value.to_vec();
    if let Some(at) = found {
        blanked[at..at + token.len()].fill(b'.');
    }
    digest(&blanked)
}

/// The party a text names.
pub(crate) fn party(written: &str) -> Party {
    Party::of(&ledger_name(written))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_orders_when_judged_by_form_then_the_first_reason_of_the_rule_book_wins() {
        let good = Move {
            id: 1,
            token: "t",
            amount: 1,
            from: "NL66OPEN0000000000",
            to: "Shop",
            description: "book",
        };
        let long = "x".repeat(141);
        for (order, reason) in [
            (good, None),
            (
                Move {
                    amount: 0,
                    from: "x",
                    ..good
                },
                Some("amount is invalid"),
            ),
            (
                Move {
                    amount: AMOUNT_MAX + 1,
                    ..good
                },
                Some("amount is invalid"),
            ),
            (
                Move {
                    from: "Shop",
                    to: "",
                    ..good
                },
                Some("from is invalid"),
            ),
            (
                Move {
                    from: "DE89370400440532013000",
                    ..good
                },
                Some("from is invalid"),
            ),
            (
                Move {
                    to: "NL67OPEN0000000000",
                    ..good
                },
                Some("to is invalid"),
            ),
            (Move { to: " ", ..good }, Some("to is invalid")),
            (Move { to: "Cash", ..good }, Some("to is invalid")),
            (Move { to: &long, ..good }, Some("to is invalid")),
            (
                Move {
                    to: "nl66 open 0000 0000 00",
                    ..good
                },
                Some("from and to can't be same for transfer"),
            ),
            (
                Move {
                    description: "a\nb",
                    ..good
                },
                Some("description is invalid"),
            ),
            (
                Move {
                    description: &long,
                    ..good
                },
                Some("description is invalid"),
            ),
            (
                Move {
                    from: "cash",
                    to: "DE89370400440532013000",
                    ..good
                },
                None,
            ),
        ] {
            assert_eq!(refused_by_form(&order), reason, "{order:?}");
        }
    }

    #[test]
    fn given_values_when_split_then_only_the_wire_format_is_taken() {
        assert_eq!(split(Some(&[0, 0, 0, 1, 2, 9])), Ok((258, &[9][..])));
        for wrong in [
            None,
            Some(&[][..]),
            Some(&[0, 0, 0, 1]),
            Some(&[1, 0, 0, 0, 1]),
        ] {
            assert!(split(wrong).is_err());
        }
    }
}
