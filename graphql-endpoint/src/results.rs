//! Results of benchmarks, as files in a folder: what each is in a few words, and the file
//! itself to whoever asks for it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use tokio::sync::Mutex;

/// Results shown: the newest.
const RESULTS_MAX: usize = 100;
/// Files looked at.
const FILES_MAX: usize = 1_000;
/// Bytes of one result.
const RESULT_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes of all documents of one answer.
pub const DOCUMENTS_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// Characters of any text of a summary.
const TEXT_CHARACTERS_MAX: usize = 200;

/// One result, without its document.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The file's name without its ending.
    pub name: String,
    /// When the measurement began.
    pub measured_at: DateTime<Utc>,
    /// Of which version.
    pub commit: String,
    /// On what.
    pub machine: String,
    /// Whether the machine had other work.
    pub noisy: bool,
    /// The benchmark's own word.
    pub verdict: String,
    /// Size of the document.
    pub bytes: u64,
    path: PathBuf,
}

/// The folder.
#[derive(Default)]
pub struct Results {
    directory: Option<PathBuf>,
    known: Mutex<HashMap<PathBuf, Seen>>,
}

/// When a file was changed, its size, and what it is, if it is a result.
type Seen = (SystemTime, u64, Option<Arc<Summary>>);

/// The part of a result's file that is common to all.
#[derive(Deserialize)]
struct Head {
    #[serde(alias = "began_at")]
    measured_at: DateTime<Utc>,
    #[serde(default)]
    commit: String,
    #[serde(default)]
    machine: serde_json::Value,
    #[serde(default)]
    noisy: serde_json::Value,
    #[serde(default)]
    verdict: serde_json::Value,
}

impl Results {
    /// In this folder; without one there are none.
    #[must_use]
    pub fn within(directory: Option<PathBuf>) -> Results {
        Results {
            directory,
            known: Mutex::default(),
        }
    }

    /// All of them, newest first. A file that is no result is left out.
    pub async fn list(&self) -> Vec<Arc<Summary>> {
        let Some(directory) = &self.directory else {
            return Vec::new();
        };
        let mut known = self.known.lock().await;
        let mut found = HashMap::new();
        let Ok(mut entries) = tokio::fs::read_dir(directory).await else {
            return Vec::new();
        };
        while let Ok(Some(entry)) = entries.next_entry().await {
            let path = entry.path();
            if found.len() >= FILES_MAX || path.extension().is_none_or(|it| it != "json") {
                continue;
            }
            let Ok(metadata) = tokio::fs::metadata(&path).await else {
                continue;
            };
            let Ok(changed_at) = metadata.modified() else {
                continue;
            };
            let bytes = metadata.len();
            let read = match known.remove(&path) {
                Some((at, size, summary)) if (at, size) == (changed_at, bytes) => summary,
                _ if !metadata.is_file() || bytes > RESULT_BYTES_MAX => None,
                _ => read(&path)
                    .await
                    .and_then(|text| summary(&path, &text))
                    .map(Arc::new),
            };
            found.insert(path, (changed_at, bytes, read));
        }
        let mut results: Vec<_> = found.values().filter_map(|(_, _, it)| it.clone()).collect();
        *known = found;
        results.sort_by(|one, other| {
            (other.measured_at, &other.name).cmp(&(one.measured_at, &one.name))
        });
        results.truncate(RESULTS_MAX);
        results
    }
}

impl Summary {
    /// The file as it is now; `None` when it is gone.
    pub async fn document(&self) -> Option<String> {
        read(&self.path).await
    }
}

async fn read(path: &Path) -> Option<String> {
    use tokio::io::AsyncReadExt;
    let file = tokio::fs::File::open(path).await.ok()?;
    let mut text = String::new();
    let mut whole = file.take(RESULT_BYTES_MAX + 1);
    let bytes = whole.read_to_string(&mut text).await.ok()?;
    (bytes as u64 <= RESULT_BYTES_MAX).then_some(text)
}

fn summary(path: &Path, text: &str) -> Option<Summary> {
    let head: Head = serde_json::from_str(text).ok()?;
    Some(Summary {
        name: short(path.file_stem()?.to_str()?),
        measured_at: head.measured_at,
        commit: short(&head.commit),
        machine: short(&machine(&head.machine)),
        noisy: is_noisy(&head.noisy),
        verdict: short(&words(&head.verdict)),
        bytes: text.len() as u64,
        path: path.to_owned(),
    })
}

/// A machine in a line.
fn machine(machine: &serde_json::Value) -> String {
    if let Some(text) = machine.as_str() {
        return text.to_owned();
    }
    let text = |name: &str| machine[name].as_str().map(str::to_owned);
    let number = |name: &str, unit: &str| machine[name].as_u64().map(|it| format!("{it} {unit}"));
    let parts = [
        text("processor"),
        number("cores", "cores"),
        number("memory_mib", "MiB"),
        text("kernel"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// Reasons, or a plain yes.
fn is_noisy(noisy: &serde_json::Value) -> bool {
    let reasons = noisy.as_array().map(|reasons| !reasons.is_empty());
    reasons.or_else(|| noisy.as_bool()).unwrap_or(false)
}

fn words(verdict: &serde_json::Value) -> String {
    let word = match verdict["holds"].as_bool() {
        Some(true) => "holds",
        Some(false) => "does not hold",
        None => verdict.as_str().unwrap_or("not judged"),
    };
    word.to_owned()
}

fn short(text: &str) -> String {
    text.chars().take(TEXT_CHARACTERS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn given_a_folder_then_its_results_are_listed_newest_first_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            std::fs::write(folder.path().join(name), text).unwrap();
        };
        let result = |day: u32| {
            format!(
                r#"{{ "measured_at": "2026-11-{day:02}T20:32:20Z", "commit": "abc",
                      "noisy": ["a build ran"], "verdict": {{ "holds": true }},
                      "machine": {{ "processor": "P", "cores": 2 }} }}"#
            )
        };
        write("old.json", &result(1));
        write("new.json", &result(2));
        write(
            "older.json",
            r#"{ "format": 1, "began_at": "2026-10-01T00:00:00Z" }"#,
        );
        write("broken.json", "{");
        write("notes.md", "no result");
        write("large.json", &" ".repeat(2 * 1024 * 1024));
        let results = Results::within(Some(folder.path().to_owned()));
        let listed = results.list().await;
        let names: Vec<_> = listed.iter().map(|it| it.name.as_str()).collect();
        assert_eq!(names, ["new", "old", "older"]);
        assert_eq!(listed[0].machine, "P, 2 cores");
        assert!(listed[0].noisy);
        assert_eq!(listed[0].verdict, "holds");
        assert_eq!(listed[0].document().await, Some(result(2)));
        // Seen again, it is the same; changed, it is read again; gone, it is gone.
        assert!(Arc::ptr_eq(&results.list().await[0], &listed[0]));
        write("new.json", &result(12));
        std::fs::remove_file(folder.path().join("old.json")).unwrap();
        let listed = results.list().await;
        assert_eq!(listed.len(), 2);
        assert_eq!(Results::default().list().await, []);
    }
}
