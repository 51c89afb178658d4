//! Every report of the Kafka clients, whole, in files: for a benchmark that wants to know, and
//! off for everybody else.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use rdkafka::statistics::Statistics;
use tracing::warn;

/// Between two reports that feed `/readyz` and `/metrics`.
const INTERVAL_MS: &str = "5000";
/// Between two that are kept: percentiles in them are of this time.
const KEPT_INTERVAL_MS: &str = "1000";
/// Bytes of all reports that a process keeps; the rest is let go.
const BYTES_MAX: u64 = 256 * 1024 * 1024;

static FOLDER: OnceLock<PathBuf> = OnceLock::new();
static BYTES: AtomicU64 = AtomicU64::new(0);

/// Keeps the reports of all clients of this process in a folder, where one is given. Returns how
/// often a client is to report, in milliseconds.
pub(super) fn interval_ms(folder: Option<&Path>) -> &'static str {
    let Some(folder) = folder else {
        return INTERVAL_MS;
    };
    // The first stays: a process has one configuration.
    FOLDER.get_or_init(|| folder.to_owned());
    KEPT_INTERVAL_MS
}

/// Keeps one report: a line of JSON in the file of its client.
pub(super) fn keep(client: &str, statistics: &Statistics) {
    let Some(folder) = FOLDER.get() else {
        return;
    };
    if let Err(error) = append(folder, client, statistics) {
        warn!(client, %error, folder = %folder.display(), "a report of the Kafka client is lost");
    }
}

fn append(folder: &Path, client: &str, statistics: &Statistics) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(statistics)?;
    line.push(b'\n');
    if BYTES.fetch_add(line.len() as u64, Ordering::Relaxed) > BYTES_MAX {
        return Ok(());
    }
    let path = folder.join(format!("{client}-{}.jsonl", statistics.client_type));
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    // At once: whoever reads meanwhile finds whole lines.
    file.write_all(&line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_reports_when_kept_then_each_client_has_a_line_for_each() {
        let folder = tempfile::tempdir().unwrap();
        let report = |ts| Statistics {
            client_type: "producer".to_owned(),
            ts,
            ..Statistics::default()
        };
        for ts in [1, 2] {
            append(folder.path(), "a-service", &report(ts)).unwrap();
        }
        let text = std::fs::read_to_string(folder.path().join("a-service-producer.jsonl")).unwrap();
        let times: Vec<i64> = text
            .lines()
            .map(|line| serde_json::from_str::<Statistics>(line).unwrap().ts)
            .collect();
        assert_eq!(times, [1, 2]);
    }
}
