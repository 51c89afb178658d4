//! Records to bytes and back: Avro in the Confluent wire format.
//!
//! A value is one zero byte, the schema's id in four bytes (big end first), and the
//! Avro datum. Ids come from the registry: those we write are looked up once at the
//! start and never registered here (that is the synchronizer's), those we read are
//! looked up when first seen and kept for ever, since an id never changes its meaning.

use std::collections::HashMap;
use std::sync::{Arc, Once, RwLock};
use std::time::Duration;

use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::types::Value;
use apache_avro::writer::datum::GenericDatumWriter;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_versions, get_schema_by_id, get_schema_by_subject_and_version,
};
use schema_registry_converter::error::SRCError;

use crate::backoff::Backoff;
use crate::identity::{CommandId, Token};
use crate::money::Cents;
use crate::records::{
    AccountCreationConfirmed, AccountCreationFailed, AccountType, BalanceChanged, ChangeIdentity,
    ConfirmAccountCreation, ConfirmMoneyTransfer, Heartbeat, MoneyTransferConfirmed,
    MoneyTransferFailed, Record, RecordKind,
};
use crate::schemas;
use crate::topics::{Topic, Topics};

const MAGIC: u8 = 0;
const HEADER_BYTES: usize = 5;
/// Most bytes one value may hold; ours are below 1 KiB, and a hostile length prefix
/// must not be able to claim more.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;
/// Foreign schema ids remembered; beyond it, new ones are looked up each time.
const KNOWN_IDS_MAX: usize = 1_024;
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause before an id the registry does not know is asked for again.
const UNKNOWN_ID_PAUSE: Duration = Duration::from_millis(100);
/// Times an id the registry does not know is asked for before its record counts as
/// undecodable: a registry that has just restarted may not know it yet.
const UNKNOWN_ID_ATTEMPTS: u32 = 3;

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The bytes are not a record we can use; they never will be. Dead letter.
    #[error("{reason}: {detail}")]
    Undecodable {
        /// Word for the dead letter's header and for counters.
        reason: &'static str,
        /// What exactly.
        detail: String,
    },
    /// The registry did not answer: not an answer about the record. Retry.
    #[error("schema registry did not answer for schema id {id}")]
    Registry {
        /// The schema asked for.
        id: u32,
        /// The client's error.
        #[source]
        source: SRCError,
    },
}

/// Why a record could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// This codec was not started for that topic and record.
    #[error("no schema id known for {record:?} in {topic:?}")]
    UnknownSchema {
        /// The topic.
        topic: Topic,
        /// The record type.
        record: RecordKind,
    },
    /// The Avro library refused the value.
    #[error("could not encode {record:?}")]
    Avro {
        /// The record type.
        record: RecordKind,
        /// The library's error.
        #[source]
        source: Box<apache_avro::Error>,
    },
}

fn undecodable(reason: &'static str, detail: impl ToString) -> DecodeError {
    DecodeError::Undecodable {
        reason,
        detail: detail.to_string(),
    }
}

struct WriterSchema {
    kind: RecordKind,
    schema: Schema,
    is_newest: bool,
}

/// Reads and writes the records of one installation.
pub struct Codec {
    registry: SrSettings,
    written: HashMap<(Topic, RecordKind), u32>,
    known: RwLock<HashMap<u32, Arc<WriterSchema>>>,
}

impl Codec {
    /// Looks up the ids of everything in `written`, waiting for the registry and for the
    /// synchronizer as long as it takes.
    pub async fn connect(registry_url: &str, topics: &Topics, written: &[Topic]) -> Codec {
        limit_allocations();
        let registry = registry_settings(registry_url);
        let mut codec = Codec {
            registry,
            written: HashMap::new(),
            known: RwLock::new(HashMap::new()),
        };
        for topic in written {
            for kind in topic.definition().records {
                let subject = topics.subject(*topic, *kind);
                let id = codec.wait_for_id(&subject, *kind).await;
                codec.written.insert((*topic, *kind), id);
            }
        }
        codec
    }

    /// A codec with ids given by hand, for golden bytes; it asks no registry.
    #[must_use]
    pub fn with_ids(ids: &[(Topic, RecordKind, u32)]) -> Codec {
        limit_allocations();
        let codec = Codec {
            registry: registry_settings("http://127.0.0.1:9"),
            written: ids
                .iter()
                .map(|(topic, kind, id)| ((*topic, *kind), *id))
                .collect(),
            known: RwLock::new(HashMap::new()),
        };
        for (_, kind, id) in ids {
            codec.remember(
                *id,
                WriterSchema {
                    kind: *kind,
                    schema: schemas::newest(*kind).clone(),
                    is_newest: true,
                },
            );
        }
        codec
    }

    /// Also reads records written with this schema, without asking a registry: for golden
    /// bytes of older versions.
    #[must_use]
    pub fn knowing(self, id: u32, kind: RecordKind, schema: Schema) -> Codec {
        let is_newest = schema.canonical_form() == schemas::newest(kind).canonical_form();
        self.remember(
            id,
            WriterSchema {
                kind,
                schema,
                is_newest,
            },
        );
        self
    }

    async fn wait_for_id(&self, subject: &str, kind: RecordKind) -> u32 {
        let mut backoff = Backoff::new("looking up a schema id");
        loop {
            match self.find_id(subject, kind).await {
                Ok(Some(id)) => {
                    backoff.succeeded();
                    return id;
                }
                Ok(None) => {
                    let reason = format!("{subject} is not registered yet");
                    backoff.wait_because(&reason).await;
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
    }

    /// The id of exactly the schema this build writes, whatever is newest in the registry.
    async fn find_id(&self, subject: &str, kind: RecordKind) -> Result<Option<u32>, SRCError> {
        let text = schemas::texts(kind)
            .last()
            .expect("each kind has at least one schema");
        let mut versions = get_all_versions(&self.registry, subject.to_owned()).await?;
        versions.sort_unstable();
        for version in versions.into_iter().rev() {
            let registered =
                get_schema_by_subject_and_version(&self.registry, subject, Some(version)).await?;
            if schemas::same_schema(&registered.schema, text) {
                // The registry's answer by version may name another id than its answer by
                // id gives for this text; ids are what travels, so remember this one.
                self.remember(
                    registered.id,
                    WriterSchema {
                        kind,
                        schema: schemas::newest(kind).clone(),
                        is_newest: true,
                    },
                );
                return Ok(Some(registered.id));
            }
        }
        Ok(None)
    }

    fn remember(&self, id: u32, schema: WriterSchema) -> Arc<WriterSchema> {
        let schema = Arc::new(schema);
        let mut known = self
            .known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() < KNOWN_IDS_MAX {
            known.insert(id, Arc::clone(&schema));
        }
        schema
    }

    /// Writes a record for a topic.
    ///
    /// # Errors
    /// [`EncodeError`]: a fault of this program, never of the record's content.
    pub fn encode(&self, topic: Topic, record: &Record) -> Result<Vec<u8>, EncodeError> {
        let kind = record.kind();
        let id = self
            .written
            .get(&(topic, kind))
            .ok_or(EncodeError::UnknownSchema {
                topic,
                record: kind,
            })?;
        let mut bytes = Vec::with_capacity(128);
        bytes.push(MAGIC);
        bytes.extend_from_slice(&id.to_be_bytes());
        write_datum(&mut bytes, record).map_err(|source| EncodeError::Avro {
            record: kind,
            source: Box::new(source),
        })?;
        Ok(bytes)
    }

    /// Reads a record found in a topic, with whatever schema it was written.
    ///
    /// # Errors
    /// [`DecodeError::Undecodable`] for bytes that are no record of this topic,
    /// [`DecodeError::Registry`] when the registry could not be asked.
    pub async fn decode(&self, topic: Topic, value: Option<&[u8]>) -> Result<Record, DecodeError> {
        let (id, datum) = split_frame(value)?;
        let writer = match self.known_schema(id) {
            Some(writer) => writer,
            None => self.look_up(id).await?,
        };
        if !topic.definition().records.contains(&writer.kind) {
            return Err(undecodable(
                "WRONG_TYPE",
                format!("{} does not belong here", writer.kind.full_name()),
            ));
        }
        read_datum(&writer, datum)
    }

    fn known_schema(&self, id: u32) -> Option<Arc<WriterSchema>> {
        self.known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    async fn look_up(&self, id: u32) -> Result<Arc<WriterSchema>, DecodeError> {
        let mut attempt = 1;
        let registered = loop {
            match get_schema_by_id(id, &self.registry).await {
                Ok(registered) => break registered,
                Err(source) if source.retriable || !says_unknown(&source) => {
                    return Err(DecodeError::Registry { id, source });
                }
                Err(_) if attempt < UNKNOWN_ID_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(UNKNOWN_ID_PAUSE).await;
                }
                Err(_) => {
                    return Err(undecodable(
                        "UNKNOWN_SCHEMA",
                        format!("no schema has id {id}"),
                    ));
                }
            }
        };
        let schema = Schema::parse_str(&registered.schema)
            .map_err(|error| undecodable("UNKNOWN_SCHEMA", error))?;
        let name = schema
            .name()
            .map(|name| name.fullname(None))
            .unwrap_or_default();
        let kind = RecordKind::from_full_name(&name)
            .ok_or_else(|| undecodable("WRONG_TYPE", format!("`{name}` is no record of ours")))?;
        let is_newest = schema.canonical_form() == schemas::newest(kind).canonical_form();
        Ok(self.remember(
            id,
            WriterSchema {
                kind,
                schema,
                is_newest,
            },
        ))
    }
}

/// The registry says of an id it does not have: 404, in words of its client library.
fn says_unknown(error: &SRCError) -> bool {
    let text = error.to_string();
    text.contains("404") || text.contains("40403") || text.contains("could not be found")
}

fn registry_settings(url: &str) -> SrSettings {
    SrSettings::new_builder(url.trim_end_matches('/').to_owned())
        .set_timeout(REGISTRY_TIMEOUT)
        .build()
        .expect("a client with a timeout and no TLS can be built")
}

fn limit_allocations() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        apache_avro::util::max_allocation_bytes(VALUE_BYTES_MAX);
    });
}

fn split_frame(value: Option<&[u8]>) -> Result<(u32, &[u8]), DecodeError> {
    let bytes = value.ok_or_else(|| undecodable("FRAMING", "the record has no value"))?;
    if bytes.len() > VALUE_BYTES_MAX {
        return Err(undecodable(
            "TOO_LARGE",
            format!("{} bytes, at most {VALUE_BYTES_MAX}", bytes.len()),
        ));
    }
    let Some((header, datum)) = bytes.split_first_chunk::<HEADER_BYTES>() else {
        return Err(undecodable(
            "FRAMING",
            format!("{} bytes are too few", bytes.len()),
        ));
    };
    let [magic, id @ ..] = header;
    if *magic != MAGIC {
        return Err(undecodable("FRAMING", format!("first byte is {magic}")));
    }
    Ok((u32::from_be_bytes(*id), datum))
}

fn write_datum(bytes: &mut Vec<u8>, record: &Record) -> Result<(), apache_avro::Error> {
    GenericDatumWriter::builder(schemas::newest(record.kind()))
        .build()?
        .write_value_ref(bytes, &to_value(record))?;
    Ok(())
}

fn read_datum(writer: &WriterSchema, mut datum: &[u8]) -> Result<Record, DecodeError> {
    // Resolving is needed, and possible, only where the schemas differ.
    let reader = (!writer.is_newest).then(|| schemas::newest(writer.kind));
    let value = GenericDatumReader::builder(&writer.schema)
        .maybe_reader_schema(reader)
        .build()
        .and_then(|reader| reader.read_value(&mut datum))
        .map_err(|error| undecodable("MALFORMED", error))?;
    if !datum.is_empty() {
        return Err(undecodable(
            "TRAILING_BYTES",
            format!("{} bytes after the record", datum.len()),
        ));
    }
    Fields::of(value)
        .and_then(|fields| from_fields(writer.kind, fields))
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
