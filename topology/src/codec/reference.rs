//! Avro by the book, through the `apache-avro` library: for records written with any
//! other schema than the newest, and as the judge of [`super::Codec`]'s direct way, which
//! is to accept the same bytes and write the same ones.

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;

use super::{DecodeError, trailing_bytes, undecodable};
use crate::identity::{CommandId, Token};
use crate::money::Cents;
use crate::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, Record, RecordKind,
};
use crate::schemas;

/// Writes a record's datum with the newest schema of its kind.
///
/// # Errors
/// The library's, when the record does not fit the schema: a fault of this program.
pub fn write(record: &Record) -> Result<Vec<u8>, apache_avro::Error> {
    let mut datum = Vec::new();
    GenericDatumWriter::builder(schemas::newest(record.kind()))
        .build()?
        .write_value_ref(&mut datum, &to_value(record))?;
    Ok(datum)
}

/// Reads a datum of this kind that was written with `schema`.
///
/// # Errors
/// [`DecodeError::Undecodable`].
pub fn read(kind: RecordKind, schema: &Schema, mut datum: &[u8]) -> Result<Record, DecodeError> {
    // Resolving is needed, and possible, only where the schemas differ.
    let newest = schemas::newest(kind);
    let reader = (!std::ptr::eq(schema, newest)).then_some(newest);
    let value = GenericDatumReader::builder(schema)
        .maybe_reader_schema(reader)
        .build()
        .and_then(|reader| reader.read_value(&mut datum))
        // The library's words may hold the record's, and those may be secret.
        .map_err(|_| undecodable("MALFORMED", "it does not fit its schema, or that not ours"))?;
    if !datum.is_empty() {
        return Err(trailing_bytes(datum.len()));
    }
    Fields::of(value)
        .and_then(|fields| from_fields(kind, fields))
        .ok_or_else(|| undecodable("MALFORMED", "a field is missing or of another type"))
}

fn id_value(id: CommandId) -> Value {
    Value::Fixed(16, id.to_bytes().to_vec())
}

fn type_value(account_type: AccountType) -> Value {
    match account_type {
        AccountType::Auto => Value::Enum(0, "AUTO".to_owned()),
        AccountType::Manual => Value::Enum(1, "MANUAL".to_owned()),
    }
}

fn to_value(record: &Record) -> Value {
    let text = |text: &str| Value::String(text.to_owned());
    let fields: Vec<(&str, Value)> = match record {
        Record::Heartbeat(it) => vec![("beat", Value::Long(it.beat))],
        Record::ConfirmAccountCreation(it) => {
            vec![
                ("id", id_value(it.id)),
                ("a_type", type_value(it.account_type)),
            ]
        }
        Record::AccountCreationConfirmed(it) => vec![
            ("id", id_value(it.id)),
            ("iban", text(&it.iban)),
            ("token", text(it.token.expose())),
            ("a_type", type_value(it.account_type)),
        ],
        Record::AccountCreationFailed(it) => {
            vec![("id", id_value(it.id)), ("reason", text(&it.reason))]
        }
        Record::ConfirmMoneyTransfer(it) => vec![
            ("id", id_value(it.id)),
            ("token", text(it.token.expose())),
            ("amount", Value::Long(it.amount.0)),
            ("from", text(&it.from)),
            ("to", text(&it.to)),
            ("description", text(&it.description)),
        ],
        Record::MoneyTransferConfirmed(it) => vec![("id", id_value(it.id))],
        Record::MoneyTransferFailed(it) => {
            vec![("id", id_value(it.id)), ("reason", text(&it.reason))]
        }
        Record::BalanceChanged(it) => {
            let (version, command_id, occurred_at_us) = match it.change {
                Some(change) => (
                    change.version,
                    Value::Union(1, Box::new(id_value(change.command_id))),
                    change.occurred_at_us,
                ),
                None => (0, Value::Union(0, Box::new(Value::Null)), 0),
            };
            vec![
                ("iban", text(&it.iban)),
                ("new_balance", Value::Long(it.new_balance.0)),
                ("changed_by", Value::Long(it.changed_by.0)),
                ("from_to", text(&it.from_to)),
                ("description", text(&it.description)),
                ("version", Value::Long(version)),
                ("command_id", command_id),
                ("occurred_at", Value::TimestampMicros(occurred_at_us)),
            ]
        }
    };
    Value::Record(
        fields
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
    )
}

/// A record's fields, taken out by name.
struct Fields(Vec<(String, Value)>);

impl Fields {
    fn of(value: Value) -> Option<Fields> {
        match value {
            Value::Record(fields) => Some(Fields(fields)),
            _ => None,
        }
    }

    fn take(&mut self, name: &str) -> Option<Value> {
        let position = self.0.iter().position(|(field, _)| field == name)?;
        Some(self.0.swap_remove(position).1)
    }

    fn long(&mut self, name: &str) -> Option<i64> {
        match self.take(name)? {
            Value::Long(number) | Value::TimestampMicros(number) => Some(number),
            Value::Int(number) => Some(number.into()),
            _ => None,
        }
    }

    fn text(&mut self, name: &str) -> Option<String> {
        match self.take(name)? {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    fn id(&mut self) -> Option<CommandId> {
        command_id(&self.take("id")?)
    }

    fn account_type(&mut self) -> Option<AccountType> {
        match self.take("a_type")? {
            Value::Enum(_, symbol) if symbol == "AUTO" => Some(AccountType::Auto),
            Value::Enum(_, symbol) if symbol == "MANUAL" => Some(AccountType::Manual),
            _ => None,
        }
    }
}

fn command_id(value: &Value) -> Option<CommandId> {
    match value {
        Value::Fixed(_, bytes) => Some(CommandId::from_bytes(bytes.as_slice().try_into().ok()?)),
        _ => None,
    }
}

fn from_fields(kind: RecordKind, mut fields: Fields) -> Option<Record> {
    Some(match kind {
        RecordKind::Heartbeat => Record::Heartbeat(Heartbeat {
            beat: fields.long("beat")?,
        }),
        RecordKind::ConfirmAccountCreation => {
            Record::ConfirmAccountCreation(ConfirmAccountCreation {
                id: fields.id()?,
                account_type: fields.account_type()?,
            })
        }
        RecordKind::AccountCreationConfirmed => {
            Record::AccountCreationConfirmed(AccountCreationConfirmed {
                id: fields.id()?,
                iban: fields.text("iban")?,
                token: Token::new(fields.text("token")?),
                account_type: fields.account_type()?,
            })
        }
        RecordKind::AccountCreationFailed => Record::AccountCreationFailed(AccountCreationFailed {
            id: fields.id()?,
            reason: fields.text("reason")?,
        }),
        RecordKind::ConfirmMoneyTransfer => Record::ConfirmMoneyTransfer(ConfirmMoneyTransfer {
            id: fields.id()?,
            token: Token::new(fields.text("token")?),
            amount: Cents(fields.long("amount")?),
            from: fields.text("from")?,
            to: fields.text("to")?,
            description: fields.text("description")?,
        }),
        RecordKind::MoneyTransferConfirmed => {
            Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id: fields.id()? })
        }
        RecordKind::MoneyTransferFailed => Record::MoneyTransferFailed(MoneyTransferFailed {
            id: fields.id()?,
            reason: fields.text("reason")?,
        }),
        RecordKind::BalanceChanged => Record::BalanceChanged(BalanceChanged {
            iban: fields.text("iban")?,
            new_balance: Cents(fields.long("new_balance")?),
            changed_by: Cents(fields.long("changed_by")?),
            from_to: fields.text("from_to")?,
            description: fields.text("description")?,
            change: {
                let version = fields.long("version")?;
                let occurred_at_us = fields.long("occurred_at")?;
                match fields.take("command_id")? {
                    Value::Union(_, inner) => match *inner {
                        Value::Null => None,
                        value => Some(ChangeIdentity {
                            version,
                            command_id: command_id(&value)?,
                            occurred_at_us,
                        }),
                    },
                    _ => return None,
                }
            },
        }),
    })
}
