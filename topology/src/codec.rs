//! Records to bytes and back: Avro in the Confluent wire format.
//!
//! A value is one zero byte, the schema's id in four bytes (big end first), and the
//! Avro datum. Ids come from the registry: those we write are looked up once at the
//! start and never registered here (that is the synchronizer's), those we read are
//! looked up when first seen and kept for ever, since an id never changes its meaning.
//!
//! What the newest schemas write is read and written directly, in `datum`; everything
//! else goes through [`reference`], with which the direct way is compared.

mod datum;
pub mod reference;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};
use std::time::{Duration, Instant};

use apache_avro::Schema;
use schema_registry_converter::async_impl::schema_registry::{
    SrSettings, get_all_versions, get_schema_by_id, get_schema_by_subject_and_version,
};
use schema_registry_converter::error::SRCError;

use crate::backoff::Backoff;
use crate::records::borrowed::RecordRef;
use crate::records::{Record, RecordKind};
use crate::schemas;
use crate::tls;
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
/// How long a registry is taken at its word after that: it has not just restarted, and a
/// flood of such records is not to be read at the pace of these pauses.
const UNKNOWN_ID_TRUST: Duration = Duration::from_secs(1);

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
}

fn undecodable(reason: &'static str, detail: impl ToString) -> DecodeError {
    DecodeError::Undecodable {
        reason,
        detail: detail.to_string(),
    }
}

fn trailing_bytes(count: usize) -> DecodeError {
    undecodable("TRAILING_BYTES", format!("{count} bytes after the record"))
}

/// With what a record was written.
#[derive(Clone)]
enum Writer {
    /// The schema this build writes, or one that lays out its bytes alike.
    Newest(RecordKind),
    /// Another one of the same record.
    Other(RecordKind, Arc<Schema>),
}

impl Writer {
    fn of(kind: RecordKind, schema: Schema) -> Writer {
        if schema.canonical_form() == schemas::newest(kind).canonical_form() {
            Writer::Newest(kind)
        } else {
            Writer::Other(kind, Arc::new(schema))
        }
    }

    fn kind(&self) -> RecordKind {
        match self {
            Writer::Newest(kind) | Writer::Other(kind, _) => *kind,
        }
    }
}

/// Reads and writes the records of one installation.
pub struct Codec {
    registry: SrSettings,
    /// A handful: found faster by looking than by hashing.
    written: Vec<(Topic, RecordKind, u32)>,
    known: RwLock<BTreeMap<u32, Writer>>,
    unknown: Mutex<Option<Unknown>>,
}

/// Ids the registry has just said it does not know.
struct Unknown {
    since: Instant,
    ids: BTreeSet<u32>,
}

impl Codec {
    /// Looks up the ids of everything in `written`, waiting for the registry and for the
    /// synchronizer as long as it takes.
    pub async fn connect(registry_url: &str, topics: &Topics, written: &[Topic]) -> Codec {
        limit_allocations();
        let registry = registry_settings(registry_url);
        let mut codec = Codec {
            registry,
            written: Vec::new(),
            known: RwLock::default(),
            unknown: Mutex::default(),
        };
        for topic in written {
            for kind in topic.definition().records {
                let subject = topics.subject(*topic, *kind);
                let id = codec.wait_for_id(&subject, *kind).await;
                codec.written.push((*topic, *kind, id));
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
            written: ids.to_vec(),
            known: RwLock::default(),
            unknown: Mutex::default(),
        };
        for (_, kind, id) in ids {
            codec.remember(*id, Writer::Newest(*kind));
        }
        codec
    }

    /// Also reads records written with this schema, without asking a registry: for golden
    /// bytes of older versions.
    #[must_use]
    pub fn knowing(self, id: u32, kind: RecordKind, schema: Schema) -> Codec {
        self.remember(id, Writer::of(kind, schema));
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
                self.remember(registered.id, Writer::Newest(kind));
                return Ok(Some(registered.id));
            }
        }
        Ok(None)
    }

    fn remember(&self, id: u32, writer: Writer) {
        let mut known = self
            .known
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        if known.len() < KNOWN_IDS_MAX {
            known.insert(id, writer);
        }
    }

    /// Writes a record for a topic.
    ///
    /// # Errors
    /// [`EncodeError`]: a fault of this program, never of the record's content.
    pub fn encode(&self, topic: Topic, record: &Record) -> Result<Vec<u8>, EncodeError> {
        let mut bytes = Vec::with_capacity(128);
        self.encode_into(&mut bytes, topic, &record.into())?;
        Ok(bytes)
    }

    /// Writes a record for a topic behind what `bytes` holds.
    ///
    /// # Errors
    /// [`EncodeError`], and `bytes` as it was.
    pub fn encode_into(
        &self,
        bytes: &mut Vec<u8>,
        topic: Topic,
        record: &RecordRef<'_>,
    ) -> Result<(), EncodeError> {
        let kind = record.kind();
        let id = self
            .written
            .iter()
            .find(|(of, record, _)| (*of, *record) == (topic, kind))
            .map(|(_, _, id)| id)
            .ok_or(EncodeError::UnknownSchema {
                topic,
                record: kind,
            })?;
        bytes.push(MAGIC);
        bytes.extend_from_slice(&id.to_be_bytes());
        datum::write(bytes, record);
        Ok(())
    }

    /// Reads a record found in a topic, with whatever schema it was written.
    ///
    /// # Errors
    /// [`DecodeError::Undecodable`] for bytes that are no record of this topic,
    /// [`DecodeError::Registry`] when the registry could not be asked.
    pub async fn decode(&self, topic: Topic, value: Option<&[u8]>) -> Result<Record, DecodeError> {
        let (id, datum) = split_frame(value)?;
        let writer = match self.writer(id) {
            Some(writer) => writer,
            None => self.look_up(id).await?,
        };
        belongs(topic, writer.kind())?;
        match writer {
            Writer::Newest(kind) => read_datum(kind, datum).map(Record::from),
            Writer::Other(kind, schema) => reference::read(kind, &schema, datum),
        }
    }

    /// Reads a record and leaves its texts where they stand.
    ///
    /// `None` when another schema than the newest wrote it or its id is not known yet:
    /// [`Codec::decode`] reads it then, and knows the id from there on.
    ///
    /// # Errors
    /// [`DecodeError::Undecodable`], as [`Codec::decode`] says it.
    pub fn decode_borrowed<'a>(
        &self,
        topic: Topic,
        value: Option<&'a [u8]>,
    ) -> Option<Result<RecordRef<'a>, DecodeError>> {
        let (id, datum) = match split_frame(value) {
            Ok(split) => split,
            Err(error) => return Some(Err(error)),
        };
        match self.writer(id)? {
            Writer::Newest(kind) => {
                Some(belongs(topic, kind).and_then(|()| read_datum(kind, datum)))
            }
            Writer::Other(..) => None,
        }
    }

    fn writer(&self, id: u32) -> Option<Writer> {
        self.known
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .get(&id)
            .cloned()
    }

    async fn look_up(&self, id: u32) -> Result<Writer, DecodeError> {
        let no_schema = || undecodable("UNKNOWN_SCHEMA", format!("no schema has id {id}"));
        // Ids are positive numbers of 32 bits with a sign; a registry asked for another may
        // say anything.
        if id == 0 || i32::try_from(id).is_err() {
            return Err(no_schema());
        }
        let (is_trusted, said_unknown) = self.said_unknown(id);
        if said_unknown {
            return Err(no_schema());
        }
        let mut attempt = if is_trusted { UNKNOWN_ID_ATTEMPTS } else { 1 };
        let registered = loop {
            match get_schema_by_id(id, &self.registry).await {
                Ok(registered) => break registered,
                Err(source) if source.retriable || !says_unknown(&source) => {
                    *self.unknown() = None;
                    return Err(DecodeError::Registry { id, source });
                }
                Err(_) if attempt < UNKNOWN_ID_ATTEMPTS => {
                    attempt += 1;
                    tokio::time::sleep(UNKNOWN_ID_PAUSE).await;
                }
                Err(_) => {
                    self.remember_unknown(id);
                    return Err(no_schema());
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
        let writer = Writer::of(kind, schema);
        self.remember(id, writer.clone());
        Ok(writer)
    }

    fn unknown(&self) -> std::sync::MutexGuard<'_, Option<Unknown>> {
        self.unknown.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the registry is taken at its word now, and whether it was about this id.
    fn said_unknown(&self, id: u32) -> (bool, bool) {
        let mut unknown = self.unknown();
        if unknown
            .as_ref()
            .is_some_and(|it| it.since.elapsed() >= UNKNOWN_ID_TRUST)
        {
            *unknown = None;
        }
        let said = unknown.as_ref().map(|it| it.ids.contains(&id));
        (said.is_some(), said.unwrap_or(false))
    }

    fn remember_unknown(&self, id: u32) {
        let mut unknown = self.unknown();
        let unknown = unknown.get_or_insert_with(|| Unknown {
            since: Instant::now(),
            ids: BTreeSet::new(),
        });
        if unknown.ids.len() < KNOWN_IDS_MAX {
            unknown.ids.insert(id);
        }
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
        .build_with(tls::trusting(reqwest::Client::builder()))
        .expect("a client with a timeout and certificates that were read can be built")
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

fn belongs(topic: Topic, kind: RecordKind) -> Result<(), DecodeError> {
    if topic.definition().records.contains(&kind) {
        return Ok(());
    }
    Err(undecodable(
        "WRONG_TYPE",
        format!("{} does not belong here", kind.full_name()),
    ))
}

fn read_datum(kind: RecordKind, datum: &[u8]) -> Result<RecordRef<'_>, DecodeError> {
    match datum::read(kind, datum) {
        Ok((record, [])) => Ok(record),
        Ok((_, rest)) => Err(trailing_bytes(rest.len())),
        Err(error) => Err(undecodable("MALFORMED", error)),
    }
}
