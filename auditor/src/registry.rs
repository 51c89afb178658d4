//! Schemas by id, asked for once, and remembered from one audit to the next.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::StatusCode;
use serde_json::Value;
use tokio::runtime::Handle;

use crate::avro::Schema;
use crate::invariants::Name;
use crate::records::belongs;
use crate::report::CannotCheck;
use crate::tally::Tally;

/// One question to the registry.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A registry that has just started may not know an id yet, or not answer.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_millis(200);
/// Ids remembered of those that nobody knows; hostile records may name any.
const UNKNOWN_MAX: usize = 4_096;

/// What an id means.
#[derive(Clone, Debug)]
pub(crate) struct Meaning {
    pub(crate) schema: Schema,
    fingerprint: String,
}

/// The registry, as the audit knows it.
pub(crate) struct Registry {
    url: String,
    client: reqwest::Client,
    runtime: Handle,
    known: Mutex<BTreeMap<u32, Option<Arc<Meaning>>>>,
    /// Ids in records that are no dead letters, with the topics and where first.
    used: Mutex<BTreeMap<(u32, u8), String>>,
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    pub(crate) fn new(url: &str) -> Registry {
        Registry {
            url: url.trim_end_matches('/').to_owned(),
            client: topology::tls::trusting(reqwest::Client::builder())
                .build()
                .expect("a client with certificates that were read can be built"),
            runtime: Handle::current(),
            known: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// What an id means; `None` when the registry does not know it, or what it says is no
    /// record. For threads outside the runtime.
    pub(crate) fn meaning(&self, id: u32) -> Result<Option<Arc<Meaning>>, CannotCheck> {
        if let Some(known) = lock(&self.known).get(&id) {
            return Ok(known.clone());
        }
        let meaning = self.runtime.block_on(self.ask(id))?.map(Arc::new);
        let mut known = lock(&self.known);
        if meaning.is_some() || known.len() < UNKNOWN_MAX {
            known.insert(id, meaning.clone());
        }
        Ok(meaning)
    }

    async fn ask(&self, id: u32) -> Result<Option<Meaning>, CannotCheck> {
        let url = format!("{}/schemas/ids/{id}", self.url);
        let mut attempt = 1;
        loop {
            match self.ask_once(&url).await {
                Ok(Some(text)) => return Ok(read(&text)),
                Ok(None) if attempt >= 2 => return Ok(None),
                Err(source) if attempt == ATTEMPTS => {
                    return Err(CannotCheck::Registry { id, source });
                }
                Ok(None) | Err(_) => {}
            }
            attempt += 1;
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn ask_once(&self, url: &str) -> reqwest::Result<Option<String>> {
        let answer = self.client.get(url).timeout(TIMEOUT).send().await?;
        if answer.status() == StatusCode::NOT_FOUND || answer.status() == StatusCode::BAD_REQUEST {
            return Ok(None);
        }
        answer.error_for_status()?.text().await.map(Some)
    }

    /// A record that is no dead letter was written with this id.
    pub(crate) fn uses(&self, id: u32, topic: u8, place: impl FnOnce() -> String) {
        lock(&self.used).entry((id, topic)).or_insert_with(place);
    }

    /// Judges the ids that were used, by what they mean and what they meant before.
    pub(crate) fn judge(
        &self,
        memory: Option<&Path>,
        tally: &mut Tally,
    ) -> Result<(), CannotCheck> {
        let mut remembered: BTreeMap<u32, String> = match memory {
            Some(path) if path.exists() => {
                let text = std::fs::read(path).map_err(|source| file("read", path, source))?;
                serde_json::from_slice(&text).map_err(|source| file("read", path, source.into()))?
            }
            _ => BTreeMap::new(),
        };
        let known = lock(&self.known);
        for ((id, topic), place) in &*lock(&self.used) {
            let meaning = known.get(id).and_then(Option::as_ref);
            let fits = meaning.is_some_and(|it| belongs(*topic, &it.schema.name));
            tally.check(Name::F10, fits, || {
                let name = meaning.map_or("nothing", |it| &it.schema.name);
                format!("schema id {id} means {name}, used in {place}")
            });
            let Some(meaning) = meaning else { continue };
            let before = remembered
                .entry(*id)
                .or_insert_with(|| meaning.fingerprint.clone());
            tally.check(Name::F10, *before == meaning.fingerprint, || {
                format!(
                    "schema id {id} means {} now, with fingerprint {}, and had {before}",
                    meaning.schema.name, meaning.fingerprint
                )
            });
        }
        if let Some(path) = memory {
            let text = serde_json::to_vec_pretty(&remembered)
                .map_err(|source| file("write", path, source.into()))?;
            // All of it or nothing: another audit may read it meanwhile.
            let beside = path.with_extension(format!("new-{}", std::process::id()));
            std::fs::write(&beside, text)
                .and_then(|()| std::fs::rename(&beside, path))
                .map_err(|source| file("write", path, source))?;
        }
        Ok(())
    }
}

fn file(action: &'static str, path: &Path, source: std::io::Error) -> CannotCheck {
    CannotCheck::File {
        action,
        path: path.display().to_string(),
        source,
    }
}

fn read(answer: &str) -> Option<Meaning> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let text = answer["schema"].as_str()?;
    let schema = Schema::parse(text).ok()?;
    // As a value: white space means nothing.
    let value: Value = serde_json::from_str(text).ok()?;
    let fingerprint = fingerprint(value);
    Some(Meaning {
        schema,
        fingerprint,
    })
}

/// The same for the same schema, whatever order its fields are written or kept in: whether a
/// map of the JSON library keeps the order is a switch that any crate of a build may turn,
/// and two builds of the auditor share what they remember.
fn fingerprint(schema: Value) -> String {
    blake3::hash(sorted(schema).to_string().as_bytes()).to_hex()[..32].to_owned()
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<(String, Value)> = fields.into_iter().collect();
            fields.sort_by(|one, other| one.0.cmp(&other.0));
            let fields = fields.into_iter();
            Value::Object(fields.map(|(name, value)| (name, sorted(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        single => single,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_fields_in_another_order_when_remembered_then_the_schema_is_the_same() {
        let one = r#"{"type":"record","fields":[{"name":"a","type":"long"}]}"#;
        let other = r#"{"fields":[{"type":"long","name":"a"}],"type":"record"}"#;
        let third = r#"{"type":"record","fields":[{"name":"b","type":"long"}]}"#;
        let of = |text| fingerprint(serde_json::from_str(text).unwrap());
        assert_eq!(of(one), of(other));
        assert_ne!(of(one), of(third));
    }
}
