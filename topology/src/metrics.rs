//! Numbers a service counts while it works, told as Prometheus text by `GET /metrics`.
//!
//! One page for the process, as there is one log: whoever counts asks for its counter once
//! and keeps it; counting is then one addition without a lock. Names and units follow the
//! conventions of Prometheus: `bank_` in front, base units, `_total` behind what only grows.
//! A name that ends with `_seconds` or `_seconds_total` holds microseconds and is told in
//! seconds. Labels have few values: never an account, a user or a command.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

mod per_topic;
mod process;

pub use per_topic::PerTopic;

/// Of the page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";
/// Most series of one name: labels that take more values than this are not for metrics.
pub const SERIES_MAX: usize = 256;
/// Upper bounds of a histogram of seconds, in microseconds: from a hop on one machine to
/// what nobody waits for.
pub const SECONDS: &[u64] = &[
    1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 250_000, 500_000, 750_000,
    1_000_000, 2_500_000, 5_000_000, 7_500_000, 10_000_000,
];
/// Upper bounds of a histogram of how many at once.
pub const SIZES: &[u64] = &[1, 2, 4, 8, 16, 32, 64, 128, 256];
/// Set by the build of an image: which commit the programs in it are of.
const COMMIT_VARIABLE: &str = "SOURCE_COMMIT";

static PAGE: Mutex<Page> = Mutex::new(Page {
    families: BTreeMap::new(),
    writers: BTreeMap::new(),
});

/// Only grows.
#[derive(Clone, Debug, Default)]
pub struct Counter(Arc<AtomicU64>);

impl Counter {
    /// One more.
    pub fn increment(&self) {
        self.add(1);
    }

    /// So many more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes over a count that somebody else keeps.
    pub fn set(&self, total: u64) {
        self.0.store(total, Ordering::Relaxed);
    }

    /// How many so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Goes up and down.
#[derive(Clone, Debug, Default)]
pub struct Gauge(Arc<AtomicI64>);

impl Gauge {
    /// What it is now.
    pub fn set(&self, value: i64) {
        self.0.store(value, Ordering::Relaxed);
    }

    /// What it is now, of a name that ends with `_seconds`.
    pub fn set_duration(&self, value: Duration) {
        self.set(i64::try_from(value.as_micros()).unwrap_or(i64::MAX));
    }

    /// So many more, or fewer.
    pub fn add(&self, change: i64) {
        self.0.fetch_add(change, Ordering::Relaxed);
    }

    /// What it is.
    #[must_use]
    pub fn get(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// How values are spread.
#[derive(Clone, Debug)]
pub struct Histogram(Arc<Cells>);

#[derive(Debug)]
struct Cells {
    bounds: &'static [u64],
    /// One for each bound and one for what is above them all.
    counts: Vec<AtomicU64>,
    sum: AtomicU64,
}

impl Histogram {
    fn new(bounds: &'static [u64]) -> Histogram {
        Histogram(Arc::new(Cells {
            bounds,
            counts: (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect(),
            sum: AtomicU64::new(0),
        }))
    }

    /// One more, of this value.
    pub fn observe(&self, value: u64) {
        let Cells {
            bounds,
            counts,
            sum,
        } = &*self.0;
        let bucket = bounds.partition_point(|bound| *bound < value);
        counts[bucket].fetch_add(1, Ordering::Relaxed);
        sum.fetch_add(value, Ordering::Relaxed);
    }

    /// One more, of a name that ends with `_seconds`.
    pub fn observe_duration(&self, value: Duration) {
        self.observe(u64::try_from(value.as_micros()).unwrap_or(u64::MAX));
    }
}

/// Names and their values, as in `&[("topic", "heartbeat")]`.
pub type Labels<'a> = &'a [(&'static str, &'a str)];

/// The counter of this name and these labels; the same one whoever asks.
#[must_use]
pub fn counter(name: &'static str, help: &'static str, labels: Labels<'_>) -> Counter {
    let cell = series(name, help, Kind::Counter, labels, || {
        Cell::Counter(Counter::default())
    });
    match cell {
        Some(Cell::Counter(counter)) => counter,
        _ => Counter::default(),
    }
}

/// The gauge of this name and these labels; the same one whoever asks.
#[must_use]
pub fn gauge(name: &'static str, help: &'static str, labels: Labels<'_>) -> Gauge {
    let cell = series(name, help, Kind::Gauge, labels, || {
        Cell::Gauge(Gauge::default())
    });
    match cell {
        Some(Cell::Gauge(gauge)) => gauge,
        _ => Gauge::default(),
    }
}

/// The histogram of this name and these labels; the same one whoever asks. [`SECONDS`] are
/// the bounds of a name that ends with `_seconds`.
#[must_use]
pub fn histogram(
    name: &'static str,
    help: &'static str,
    labels: Labels<'_>,
    bounds: &'static [u64],
) -> Histogram {
    let cell = series(name, help, Kind::Histogram, labels, || {
        Cell::Histogram(Histogram::new(bounds))
    });
    match cell {
        Some(Cell::Histogram(histogram)) => histogram,
        _ => Histogram::new(bounds),
    }
}

/// Lets `write` add lines of its own to the page, in the same format, whenever it is asked
/// for: for what is known elsewhere. Replaces what `who` said before.
pub fn written_by(who: &'static str, write: impl Fn(&mut String) + Send + 'static) {
    page().writers.insert(who, Box::new(write));
}

/// Says which program this is.
pub fn introduce(service: &str, version: &str) {
    let commit = std::env::var(COMMIT_VARIABLE).unwrap_or_else(|_| "unknown".to_owned());
    let labels = [
        ("service", service),
        ("version", version),
        ("commit", &commit),
    ];
    gauge(
        "bank_build_info",
        "Which program this is; always 1.",
        &labels,
    )
    .set(1);
}

/// The page: everything counted so far, and what the system says of the process.
#[must_use]
pub fn text() -> String {
    let mut text = String::with_capacity(8 * 1024);
    let page = page();
    for (name, family) in &page.families {
        family.write(&mut text, name);
    }
    for write in page.writers.values() {
        write(&mut text);
    }
    drop(page);
    process::write(&mut text);
    text
}

/// Writes one name with its series, for [`written_by`]: labels as in `{topic="heartbeat"}`,
/// or nothing.
pub fn write_family(
    text: &mut String,
    name: &str,
    kind: &str,
    help: &str,
    series: &[(String, u64)],
) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    for (labels, value) in series {
        let _ = writeln!(text, "{name}{labels} {value}");
    }
}

struct Page {
    families: BTreeMap<&'static str, Family>,
    writers: BTreeMap<&'static str, Writer>,
}

type Writer = Box<dyn Fn(&mut String) + Send>;

struct Family {
    kind: Kind,
    help: &'static str,
    series: BTreeMap<String, Cell>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

#[derive(Clone)]
enum Cell {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

fn page() -> MutexGuard<'static, Page> {
    PAGE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// `None` when the name is of another kind, or has all the series it may have: its number is
/// counted all the same, but told to nobody.
fn series(
    name: &'static str,
    help: &'static str,
    kind: Kind,
    labels: Labels<'_>,
    new: impl FnOnce() -> Cell,
) -> Option<Cell> {
    let mut page = page();
    let family = page.families.entry(name).or_insert_with(|| Family {
        kind,
        help,
        series: BTreeMap::new(),
    });
    debug_assert_eq!(family.kind, kind, "{name} is two kinds of metric");
    if family.kind != kind {
        return None;
    }
    let labels = written(labels);
    if !family.series.contains_key(&labels) && family.series.len() >= SERIES_MAX {
        return None;
    }
    Some(family.series.entry(labels).or_insert_with(new).clone())
}

/// `topic="heartbeat",partition="0"`.
fn written(labels: Labels<'_>) -> String {
    let mut text = String::new();
    for (name, value) in labels {
        let comma = if text.is_empty() { "" } else { "," };
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

impl Family {
    fn write(&self, text: &mut String, name: &str) {
        let kind = match self.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(text, "# HELP {name} {}\n# TYPE {name} {kind}", self.help);
        let is_time = name.ends_with("_seconds") || name.ends_with("_seconds_total");
        let told = |value: i128| {
            if is_time {
                seconds(value)
            } else {
                value.to_string()
            }
        };
        for (labels, cell) in &self.series {
            let braced = if labels.is_empty() {
                String::new()
            } else {
                format!("{{{labels}}}")
            };
            let _ = match cell {
                Cell::Counter(it) => writeln!(text, "{name}{braced} {}", told(it.get().into())),
                Cell::Gauge(it) => writeln!(text, "{name}{braced} {}", told(it.get().into())),
                Cell::Histogram(it) => {
                    it.write(text, name, labels, &told);
                    Ok(())
                }
            };
        }
    }
}

impl Histogram {
    fn write(&self, text: &mut String, name: &str, labels: &str, told: &dyn Fn(i128) -> String) {
        let comma = if labels.is_empty() { "" } else { "," };
        let bounds = self.0.bounds.iter().map(|bound| told((*bound).into()));
        let mut sum = 0;
        for (bound, count) in bounds.chain(["+Inf".to_owned()]).zip(&self.0.counts) {
            sum += count.load(Ordering::Relaxed);
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {sum}");
        }
        let braced = if labels.is_empty() {
            String::new()
        } else {
            format!("{{{labels}}}")
        };
        let total = told(self.0.sum.load(Ordering::Relaxed).into());
        let _ = writeln!(
            text,
            "{name}_sum{braced} {total}\n{name}_count{braced} {sum}"
        );
    }
}

/// Microseconds as seconds, exactly.
fn seconds(microseconds: i128) -> String {
    let sign = if microseconds < 0 { "-" } else { "" };
    let (whole, rest) = (
        microseconds.unsigned_abs() / 1_000_000,
        microseconds.unsigned_abs() % 1_000_000,
    );
    if rest == 0 {
        return format!("{sign}{whole}");
    }
    let text = format!("{sign}{whole}.{rest:06}");
    text.trim_end_matches('0').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_microseconds_then_they_are_told_as_seconds_without_rounding() {
        for (microseconds, expected) in [
            (0, "0"),
            (1, "0.000001"),
            (2_500, "0.0025"),
            (1_000_000, "1"),
            (-1_500_000, "-1.5"),
            (10_000_001, "10.000001"),
        ] {
            assert_eq!(seconds(microseconds), expected);
        }
    }

    #[test]
    fn given_the_same_name_and_labels_then_everybody_counts_on_the_same_counter() {
        let labels = [("what", "one \"two\"\\\n")];
        counter("test_same_total", "Of this test.", &labels).add(2);
        counter("test_same_total", "Of this test.", &labels).increment();
        let text = text();
        let line = "test_same_total{what=\"one \\\"two\\\"\\\\\\n\"} 3\n";
        assert!(text.contains(line), "{text}");
        assert!(text.contains("# TYPE test_same_total counter\n"));
    }

    #[test]
    fn given_values_at_and_beyond_the_bounds_then_each_bucket_holds_all_below_it() {
        let spread = histogram("test_spread_seconds", "Of this test.", &[], SECONDS);
        spread.observe_duration(Duration::from_millis(1));
        spread.observe_duration(Duration::from_micros(1_001));
        spread.observe_duration(Duration::from_secs(60));
        let text = text();
        for line in [
            "test_spread_seconds_bucket{le=\"0.001\"} 1\n",
            "test_spread_seconds_bucket{le=\"0.0025\"} 2\n",
            "test_spread_seconds_bucket{le=\"10\"} 2\n",
            "test_spread_seconds_bucket{le=\"+Inf\"} 3\n",
            "test_spread_seconds_sum 60.002001\n",
            "test_spread_seconds_count 3\n",
        ] {
            assert!(text.contains(line), "{line}{text}");
        }
    }

    #[test]
    fn given_labels_with_too_many_values_then_the_page_does_not_grow() {
        for number in 0..SERIES_MAX + 50 {
            let labels = [("number", &*number.to_string())];
            counter("test_many_total", "Of this test.", &labels).increment();
        }
        let lines = text();
        let lines = lines
            .lines()
            .filter(|it| it.starts_with("test_many_total{"));
        assert_eq!(lines.count(), SERIES_MAX);
    }
}
