//! The heartbeat against real brokers and a real registry.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::process::Command;
use std::time::Duration;

use clap::Parser;
use heartbeat::{Config, HeartbeatError};
use local_cluster::Endpoints;
use local_cluster::testing::{
    client_arguments, create_database, drop_database, free_address, shared_cluster,
    synchronizer_arguments, unique_prefix,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BATCH_RECORDS_MAX, BatchConsumer, Consumed, Source, first_positions};
use topology::{Codec, Record, Topic};

/// Longest wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);
const NOWHERE: &str = "127.0.0.1:9";

/// Makes topics and schemas under a prefix.
async fn synchronize(cluster: &Endpoints, prefix: &str) {
    let handler = create_database(cluster, "beat_handler").await.unwrap();
    let endpoint = create_database(cluster, "beat_endpoint").await.unwrap();
    let arguments = synchronizer_arguments(cluster, prefix, &handler, &endpoint);
    let config = synchronizer::Config::try_parse_from(arguments);
    synchronizer::apply(&config.unwrap()).await.unwrap();
    for database in [handler, endpoint] {
        drop_database(cluster, &database).await.unwrap();
    }
}

async fn get(base: &str, path: &str) -> Option<(u16, Value)> {
    let answer = reqwest::get(format!("{base}{path}")).await.ok()?;
    Some((answer.status().as_u16(), answer.json().await.ok()?))
}

async fn until_answer(base: &str, path: &str, wanted: impl Fn(u16, &Value) -> bool) {
    let waiting = async {
        loop {
            if let Some((status, body)) = get(base, path).await
                && wanted(status, &body)
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = timeout(PATIENCE, waiting).await;
    assert!(found.is_ok(), "{path} never said so");
}

/// A heartbeat in this process.
struct Service {
    config: Config,
    base: String,
    stop: CancellationToken,
    task: JoinHandle<Result<(), HeartbeatError>>,
}

impl Service {
    fn start(cluster: &Endpoints, prefix: &str) -> Service {
        let address = free_address();
        let mut arguments = vec!["heartbeat".to_owned()];
        arguments.extend(client_arguments(cluster, prefix));
        arguments.extend(["--operations-address".to_owned(), address.clone()]);
        let config = Config::try_parse_from(arguments).unwrap();
        let stop = CancellationToken::new();
        Service {
            config: config.clone(),
            base: format!("http://{address}"),
            task: tokio::spawn(heartbeat::run(config, stop.clone())),
            stop,
        }
    }

    async fn put_rate(&self, rate: u32) {
        let answer = reqwest::Client::new()
            .put(format!("{}/rate", self.base))
            .json(&json!({ "heartbeats_per_second": rate }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
    }

    async fn stop(self) {
        self.stop.cancel();
        let ended = timeout(Duration::from_secs(10), self.task).await;
        ended.expect("it stops in time").unwrap().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_rate_when_set_then_beats_come_at_it_numbered_and_timed() {
    let cluster = shared_cluster();
    let prefix = unique_prefix("beats");
    synchronize(cluster, &prefix).await;
    let service = Service::start(cluster, &prefix);
    until_answer(&service.base, "/readyz", |status, _| status == 200).await;

    let kafka = &service.config.common.kafka;
    let topics = [Topic::Heartbeat];
    let codec = Codec::connect(&cluster.schema_registry_url, &kafka.topics(), &topics).await;
    let mut consumer = BatchConsumer::start(
        kafka,
        "beats-test",
        Source::Fixed {
            group: "beats-test".to_owned(),
            positions: first_positions(kafka, "beats-test", &topics).await.unwrap(),
        },
        BATCH_RECORDS_MAX,
    )
    .unwrap();

    let mut next_beat = 0;
    for (rate, seconds) in [(200_u32, 5), (2_000, 5)] {
        service.put_rate(rate).await;
        let wanted = usize::try_from(rate * seconds).unwrap();
        let mut beats: Vec<Consumed> = Vec::new();
        while beats.len() < wanted {
            let batch = timeout(PATIENCE, consumer.next()).await.unwrap();
            beats.extend(batch.unwrap());
        }
        for beat in &beats {
            let record = codec.decode(Topic::Heartbeat, beat.value.as_deref()).await;
            let Record::Heartbeat(heartbeat) = record.unwrap() else {
                panic!("only heartbeats here");
            };
            assert_eq!(heartbeat.beat, next_beat, "numbered from 0 without a hole");
            next_beat += 1;
        }
        let key = String::from_utf8(beats[0].key.clone().unwrap()).unwrap();
        assert!(key.ends_with('Z') && key.contains('T'), "{key}");

        // By the producer's time stamps; the first and the last second are not counted,
        // as the rate changes there.
        let ordered: Vec<i64> = beats.iter().map(|it| it.timestamp_ms).collect();
        let from = ordered[0] + 1_000;
        let until = from + i64::from(seconds - 2) * 1_000;
        let counted = ordered
            .iter()
            .filter(|it| (from..until).contains(it))
            .count();
        let expected = usize::try_from(rate * (seconds - 2)).unwrap();
        // 2 % is what it holds on a quiet machine; this one may be a busy one.
        let tolerance = expected / 10;
        assert!(
            counted.abs_diff(expected) <= tolerance,
            "{counted} beats instead of {expected} at {rate}/s"
        );

        // Silence, and nothing left over from this rate in the next one.
        service.put_rate(0).await;
        let mut delivered = 0;
        let quiet = |_, body: &Value| body["achieved_per_second"] == 0;
        until_answer(&service.base, "/rate", quiet).await;
        if let Some((_, body)) = get(&service.base, "/rate").await {
            delivered = body["delivered"].as_i64().unwrap();
        }
        while next_beat < delivered {
            let batch = timeout(PATIENCE, consumer.next()).await.unwrap();
            next_beat += i64::try_from(batch.unwrap().len()).unwrap();
        }
        assert_eq!(next_beat, delivered);
    }
    consumer.close().await;
    service.stop().await;
}

/// As a program: what waits for an answer that never comes ends only with its process.
#[tokio::test]
async fn given_nothing_to_talk_to_when_started_then_it_says_what_it_waits_for_and_stops_cleanly() {
    let address = free_address();
    let base = format!("http://{address}");
    let mut program = Command::new(env!("CARGO_BIN_EXE_heartbeat"))
        .env_clear()
        .env("BANK_KAFKA_BROKERS", NOWHERE)
        .env("BANK_SCHEMA_REGISTRY_URL", format!("http://{NOWHERE}"))
        .env("BANK_OPERATIONS_ADDRESS", &address)
        .spawn()
        .unwrap();
    until_answer(&base, "/readyz", |status, body| {
        status == 503 && body["waiting_for"] == json!(["kafka", "schema_registry"])
    })
    .await;
    let client = reqwest::Client::new();
    for (body, status) in [
        (r#"{"heartbeats_per_second": 2001}"#, 422),
        ("", 400),
        (&"x".repeat(5_000), 413),
    ] {
        let request = client.put(format!("{base}/rate")).body(body.to_owned());
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status);
    }
    let told = Command::new("kill").arg(program.id().to_string()).status();
    assert!(told.unwrap().success());
    let ended = tokio::task::spawn_blocking(move || program.wait());
    let ended = timeout(PATIENCE, ended).await.expect("it stops in time");
    assert_eq!(ended.unwrap().unwrap().code(), Some(0));
}

#[tokio::test]
async fn given_a_rate_that_was_set_when_killed_and_started_again_then_it_goes_on_at_it() {
    let folder = std::env::temp_dir().join(format!("heartbeat-rate-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let address = free_address();
    let base = format!("http://{address}");
    for (rate_at_start, rate_set) in [(0, 200), (200, 35), (35, 0), (0, 0)] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_heartbeat"))
            .env_clear()
            .env("BANK_KAFKA_BROKERS", NOWHERE)
            .env("BANK_SCHEMA_REGISTRY_URL", format!("http://{NOWHERE}"))
            .env("BANK_OPERATIONS_ADDRESS", &address)
            .env("BANK_RATE_FILE", folder.join("rate"))
            .spawn()
            .unwrap();
        until_answer(&base, "/rate", |_, body| {
            body["heartbeats_per_second"] == rate_at_start
        })
        .await;
        let answer = reqwest::Client::new()
            .put(format!("{base}/rate"))
            .json(&json!({ "heartbeats_per_second": rate_set }))
            .send()
            .await
            .unwrap();
        assert_eq!(answer.status(), 200);
        program.kill().unwrap();
        program.wait().unwrap();
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn given_a_rate_that_cannot_be_when_started_then_it_exits_with_2_and_names_it() {
    for rate in ["-1", "2001", "many", ""] {
        let output = Command::new(env!("CARGO_BIN_EXE_heartbeat"))
            .env_clear()
            .env("BANK_HEARTBEATS_PER_SECOND", rate)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{rate}");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.contains("heartbeats-per-second"), "{said}");
    }
}
