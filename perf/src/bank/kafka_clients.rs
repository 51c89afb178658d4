//! What the Kafka clients of the services say of themselves under a steady load: requests,
//! bytes, batches, waiting. In a run of its own, since telling costs; what it costs is measured.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::statistics::{Statistics, Window};
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;

use crate::error::Error;
use crate::numbers::{float, float_len, ratio};

use super::results::{Results, Step};
use super::run::{Request, Run};

/// Steps whose clients do not tell.
pub const WITHOUT: &str = "without statistics";
/// Steps whose clients tell.
pub const WITH: &str = "with statistics";
const STEPS: usize = 3;
const HELD: Duration = Duration::from_secs(15);
const MICROSECONDS_PER_SECOND: f64 = 1e6;
/// An hour in microseconds, and more bytes or records than a batch can have.
const VALUE_MAX: i64 = 3_600_000_000;

/// What is held.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Commands per second.
    pub per_second: f64,
    /// Where the clients keep their reports, when they are to.
    pub folder: Option<PathBuf>,
}

/// Everything the clients told.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct KafkaClients {
    /// Commands per second.
    pub per_second: f64,
    /// Client by client.
    pub clients: Vec<Client>,
    /// CPU of every process without and with the reports.
    pub cost: Vec<Cost>,
}

/// One client, per command of the load or over all its requests.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Client {
    /// As the service names it.
    pub name: String,
    /// `producer` or `consumer`.
    pub kind: String,
    /// How long it was listened to.
    pub seconds: f64,
    /// Records sent, or read.
    pub records_per_command: f64,
    /// Requests of every kind.
    pub requests_per_command: f64,
    /// By kind, those that there were, the most frequent first.
    pub requests: Vec<(String, f64)>,
    /// To the brokers.
    pub tx_bytes_per_command: f64,
    /// From the brokers.
    pub rx_bytes_per_command: f64,
    /// Times its threads were woken.
    pub wakeups_per_command: f64,
    /// Records of a batch it sent.
    pub batch_records: Option<Spread>,
    /// Bytes of a batch it sent.
    pub batch_bytes: Option<Spread>,
    /// A record in its queue, before it is put into a request.
    pub queued_ms: Option<Spread>,
    /// A request in its queue, before it is written to the socket.
    pub unsent_ms: Option<Spread>,
    /// From a request written to its answer. Of a consumer that is the wait for records.
    pub round_trip_ms: Option<Spread>,
    /// Records of the producer that were not acknowledged, the most seen at a report.
    pub unacknowledged_max: u64,
    /// Records of the consumer that were fetched and not asked for, the most seen at a report.
    pub fetched_max: u64,
}

/// Many values: the client keeps a histogram of each second.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Spread {
    /// Of all values.
    pub mean: f64,
    /// The highest p99 of a second: histograms that are gone cannot be merged.
    pub p99_of_a_second_max: f64,
    /// The greatest value.
    pub max: f64,
}

/// CPU of a process per command, each step.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Cost {
    /// Of the process.
    pub name: String,
    /// In steps whose clients do not tell.
    pub without_us: Vec<f64>,
    /// In steps whose clients tell.
    pub with_us: Vec<f64>,
}

/// Holds a steady load. Blocks its thread; must be called beside a tokio runtime that somebody
/// else drives.
///
/// # Errors
/// When something could not be measured. A bank that is found wrong is no error: the results
/// say so, and hold no figures.
pub fn run(request: Request, runtime: Handle, wish: &Wish) -> Result<Results, Error> {
    let mut run = Run::prepare(request, runtime)?;
    run.quiet_and_floors()?;
    let name = if wish.folder.is_some() { WITH } else { WITHOUT };
    let from = seconds_now();
    for _ in 0..STEPS {
        run.hold(name, wish.per_second, HELD)?;
    }
    let until = seconds_now();
    if let Some(folder) = &wish.folder {
        let steps = run.results.steps.iter().filter(|it| it.name == name);
        let answered: Vec<f64> = steps.map(|it| it.answered_per_second).collect();
        let per_second = answered.iter().sum::<f64>() / float_len(answered.len().max(1));
        run.results.kafka_clients = Some(KafkaClients {
            per_second: wish.per_second,
            clients: read(folder, from..until, per_second)?,
            cost: Vec::new(),
        });
    }
    run.floors_again()?;
    run.finish()
}

/// The run with reports, with what the one without them found.
#[must_use]
pub fn join(without: Results, mut with: Results) -> Results {
    let verdicts = [&without.verdict, &with.verdict];
    let findings: Vec<String> = verdicts.iter().flat_map(|it| it.findings.clone()).collect();
    let records = without.verdict.records + with.verdict.records;
    for reason in without.noisy {
        if !with.noisy.contains(&reason) {
            with.noisy.push(reason);
        }
    }
    with.took_seconds += without.took_seconds;
    with.measured_at = without.measured_at;
    with.verdict.holds = findings.is_empty();
    with.verdict.findings = findings;
    with.verdict.records = records;
    let cost = cost(&without.steps, &with.steps);
    // What is not right is not fast.
    with.kafka_clients = with.kafka_clients.take().filter(|_| with.verdict.holds);
    if let Some(found) = &mut with.kafka_clients {
        found.cost = cost;
    }
    let of_this = without.steps.into_iter().filter(|it| it.name == WITHOUT);
    with.steps.extend(of_this);
    with
}

fn cost(without: &[Step], with: &[Step]) -> Vec<Cost> {
    let mut all: BTreeMap<&str, Cost> = BTreeMap::new();
    for step in without.iter().chain(with) {
        for service in &step.services {
            let cost = all.entry(&service.name).or_default();
            cost.name.clone_from(&service.name);
            match step.name.as_str() {
                WITHOUT => cost.without_us.push(service.cpu_us_per_command),
                WITH => cost.with_us.push(service.cpu_us_per_command),
                _ => {}
            }
        }
    }
    let both = |it: &Cost| !it.without_us.is_empty() && !it.with_us.is_empty();
    all.into_values().filter(both).collect()
}

fn seconds_now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_secs()).unwrap_or(0)
}

/// Reads what clients have kept in a folder between two times, in seconds since 1970.
///
/// # Errors
/// When a file cannot be read, or holds something else.
pub fn read(
    folder: &Path,
    times: std::ops::Range<i64>,
    commands_per_second: f64,
) -> Result<Vec<Client>, Error> {
    let mut clients = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(Error::io("read", folder))? {
        let path = entry.map_err(Error::io("read", folder))?.path();
        let text = std::fs::read_to_string(&path).map_err(Error::io("read", &path))?;
        let mut reports = Vec::new();
        // The last line may be half written.
        for line in text.lines().filter(|line| line.ends_with('}')) {
            let report: Statistics = serde_json::from_str(line)
                .map_err(|error| Error::Wrong(format!("{}: {error}", path.display())))?;
            // Each second, and the first and last are not whole.
            if report.time > times.start && report.time < times.end {
                reports.push(report);
            }
        }
        clients.extend(fold(&reports, commands_per_second));
    }
    clients.sort_by(|one, other| (&one.name, &one.kind).cmp(&(&other.name, &other.kind)));
    Ok(clients)
}

/// `None` without two reports; several processes of the same client name are not told apart.
fn fold(reports: &[Statistics], commands_per_second: f64) -> Option<Client> {
    let (first, rest) = reports.split_first()?;
    let last = rest.last()?;
    let seconds = float(count(last.ts - first.ts)) / MICROSECONDS_PER_SECOND;
    let commands = seconds * commands_per_second;
    let each = |now: i64, then: i64| ratio(float(count(now - then)), commands).unwrap_or(0.0);
    let is_producer = last.client_type == "producer";
    let (then, now) = (requests(first), requests(last));
    let mut by_kind: Vec<(String, f64)> = now
        .iter()
        .map(|(kind, now)| {
            (
                kind.clone(),
                each(*now, then.get(kind).copied().unwrap_or(0)),
            )
        })
        .filter(|(_, each)| *each > 0.0)
        .collect();
    by_kind.sort_by(|one, other| other.1.total_cmp(&one.1));
    let of_topics = |of: fn(&rdkafka::statistics::Topic) -> &Window| {
        let windows = rest.iter().flat_map(|it| it.topics.values().map(of));
        spread(windows, 1.0).filter(|_| is_producer)
    };
    let of_brokers = |of: fn(&rdkafka::statistics::Broker) -> Option<&Window>| {
        let windows = rest
            .iter()
            .flat_map(|it| it.brokers.values().filter_map(of));
        spread(windows, 1e3)
    };
    let fetched = |report: &Statistics| {
        let partitions = report.topics.values().flat_map(|it| it.partitions.values());
        count(partitions.map(|it| it.fetchq_cnt).sum())
    };
    Some(Client {
        name: last.client_id.clone(),
        kind: last.client_type.clone(),
        seconds,
        records_per_command: if is_producer {
            each(last.txmsgs, first.txmsgs)
        } else {
            each(last.rxmsgs, first.rxmsgs)
        },
        requests_per_command: each(last.tx, first.tx),
        requests: by_kind,
        tx_bytes_per_command: each(last.tx_bytes, first.tx_bytes),
        rx_bytes_per_command: each(last.rx_bytes, first.rx_bytes),
        wakeups_per_command: each(wakeups(last), wakeups(first)),
        batch_records: of_topics(|it| &it.batchcnt),
        batch_bytes: of_topics(|it| &it.batchsize),
        queued_ms: of_brokers(|it| it.int_latency.as_ref()).filter(|_| is_producer),
        unsent_ms: of_brokers(|it| it.outbuf_latency.as_ref()),
        round_trip_ms: of_brokers(|it| it.rtt.as_ref()),
        unacknowledged_max: reports.iter().map(|it| it.msg_cnt).max().unwrap_or(0),
        fetched_max: reports.iter().map(fetched).max().unwrap_or(0),
    })
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Requests by their kind, to all brokers.
fn requests(report: &Statistics) -> BTreeMap<String, i64> {
    let mut all = BTreeMap::new();
    for broker in report.brokers.values() {
        for (kind, sent) in &broker.req {
            *all.entry(kind.clone()).or_insert(0) += sent;
        }
    }
    all
}

fn wakeups(report: &Statistics) -> i64 {
    let all = report.brokers.values().filter_map(|it| it.wakeups);
    i64::try_from(all.sum::<u64>()).unwrap_or(i64::MAX)
}

/// Of the values in all windows, in units of so many of the client's. A window with a value that
/// cannot be, such as one of a request that was answered before it was stamped, is left out.
fn spread<'a>(windows: impl Iterator<Item = &'a Window>, unit: f64) -> Option<Spread> {
    let (mut values, mut sum, mut p99, mut max) = (0, 0, 0, 0);
    for window in windows.filter(|it| it.cnt > 0 && it.min >= 0 && it.max <= VALUE_MAX) {
        let of_window = window.sum.clamp(0, window.cnt.saturating_mul(VALUE_MAX));
        values += count(window.cnt);
        sum = count(of_window).saturating_add(sum);
        p99 = p99.max(window.p99);
        max = max.max(window.max);
    }
    Some(Spread {
        mean: ratio(float(sum) / unit, float(values))?,
        p99_of_a_second_max: float(count(p99)) / unit,
        max: float(count(max)) / unit,
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::statistics::{Broker, Topic};

    use super::*;

    fn report(second: i64, produced: i64, batch: i64) -> Statistics {
        let broker = Broker {
            req: [
                ("Produce".to_owned(), 10 * second),
                ("Metadata".to_owned(), 1),
            ]
            .into(),
            rtt: Some(Window {
                cnt: 10,
                sum: 10 * 500 * second,
                p99: 700 * second,
                max: 900,
                ..Window::default()
            }),
            wakeups: Some(20 * u64::try_from(second).unwrap()),
            ..Broker::default()
        };
        let topic = Topic {
            batchcnt: Window {
                cnt: 10,
                sum: 10 * batch,
                p99: batch,
                max: batch,
                ..Window::default()
            },
            ..Topic::default()
        };
        Statistics {
            client_id: "a-service".to_owned(),
            client_type: "producer".to_owned(),
            ts: second * 1_000_000,
            time: 1_000 + second,
            txmsgs: produced,
            tx: 10 * second,
            tx_bytes: 5_000 * second,
            msg_cnt: 7,
            brokers: [("one".to_owned(), broker)].into(),
            topics: [("topic".to_owned(), topic)].into(),
            ..Statistics::default()
        }
    }

    #[test]
    fn given_reports_in_files_when_read_then_only_what_came_between_two_of_them_counts() {
        let folder = tempfile::tempdir().unwrap();
        let reports = [
            report(1, 999, 99),
            report(2, 1_000, 50),
            report(3, 1_300, 2),
            report(4, 1_600, 4),
        ];
        let lines: Vec<String> = reports
            .iter()
            .map(|it| serde_json::to_string(it).unwrap())
            .collect();
        let text = format!("{}\n{{\"half", lines.join("\n"));
        std::fs::write(folder.path().join("a-service-producer.jsonl"), text).unwrap();
        // The first is of before; a hundred commands a second for two seconds.
        let clients = read(folder.path(), 1_001..1_005, 100.0).unwrap();
        let [client] = &clients[..] else {
            panic!("{clients:?}")
        };
        assert!(
            (client.records_per_command - 3.0).abs() < 1e-9,
            "{client:?}"
        );
        assert_eq!(client.requests, [("Produce".to_owned(), 0.1)]);
        assert!((client.tx_bytes_per_command - 50.0).abs() < 1e-9);
        assert!((client.wakeups_per_command - 0.2).abs() < 1e-9);
        let batch = client.batch_records.unwrap();
        assert!(
            (batch.mean - 3.0).abs() < 1e-9 && batch.max < 4.1,
            "{batch:?}"
        );
        let round_trip = client.round_trip_ms.unwrap();
        assert!((round_trip.mean - 1.75).abs() < 1e-9, "{round_trip:?}");
        assert!((round_trip.p99_of_a_second_max - 2.8).abs() < 1e-9);
        assert_eq!((client.unsent_ms, client.unacknowledged_max), (None, 7));
    }

    #[test]
    fn given_windows_with_values_that_cannot_be_when_spread_then_they_are_left_out() {
        let window = |sum, min, max| Window {
            cnt: 2,
            sum,
            min,
            max,
            p99: max,
            ..Window::default()
        };
        let good = window(6_000, 1_000, 5_000);
        let windows = [
            good.clone(),
            window(i64::MAX, 0, i64::MAX),
            window(-4, -9, 5),
            good,
        ];
        let found = spread(windows.iter(), 1e3).unwrap();
        assert!((found.mean - 3.0).abs() < 1e-9, "{found:?}");
        assert!((found.max - 5.0).abs() < 1e-9, "{found:?}");
        assert_eq!(spread([Window::default()].iter(), 1e3), None);
    }

    #[test]
    fn given_one_report_or_none_when_folded_then_there_is_no_client() {
        assert!(fold(&[], 100.0).is_none());
        assert!(fold(&[report(1, 1, 1)], 100.0).is_none());
    }
}
