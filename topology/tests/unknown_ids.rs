//! What a registry says of ids it does not have: waited for once, then believed for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use topology::{Codec, DecodeError, Topic, Topics};

const UNKNOWN: (&str, &str) = (
    "404 Not Found",
    r#"{"error_code":40403,"message":"Schema not found"}"#,
);
const AWAY: (&str, &str) = ("503 Service Unavailable", "{}");
const BEAT: (&str, &str) = (
    "200 OK",
    r#"{"schema":"{\"type\":\"record\",\"name\":\"Heartbeat\",\"namespace\":\"nl.openweb.data\",\"fields\":[{\"name\":\"beat\",\"type\":\"long\"}]}"}"#,
);
/// Records of a flood; at two tenths of a second each they would take a minute.
const FLOOD: u32 = 300;
const FLOOD_TAKES_AT_MOST: Duration = Duration::from_secs(20);

/// A registry that gives the answers of `script` one after another, the last one for ever,
/// and counts the questions.
async fn registry(script: &'static [(&str, &str)]) -> (Codec, Arc<AtomicU32>) {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let url = format!("http://{}", listener.local_addr().expect("it is bound"));
    let questions = Arc::new(AtomicU32::new(0));
    let count = Arc::clone(&questions);
    tokio::spawn(async move {
        while let Ok((mut connection, _)) = listener.accept().await {
            let count = Arc::clone(&count);
            tokio::spawn(async move {
                let mut question = Vec::new();
                let mut bytes = [0; 1_024];
                while !question.ends_with(b"\r\n\r\n") {
                    match connection.read(&mut bytes).await {
                        Ok(length) if length > 0 => question.extend_from_slice(&bytes[..length]),
                        _ => return,
                    }
                }
                let number = count.fetch_add(1, Ordering::SeqCst) as usize;
                let (status, body) = script[number.min(script.len() - 1)];
                let answer = format!(
                    "HTTP/1.1 {status}\r\ncontent-type: application/json\r\n\
                     content-length: {}\r\nconnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = connection.write_all(answer.as_bytes()).await;
            });
        }
    });
    let codec = Codec::connect(&url, &Topics::default(), &[]).await;
    (codec, questions)
}

fn beat(id: u32) -> Vec<u8> {
    [&[0], &id.to_be_bytes()[..], &[2]].concat()
}

async fn reason(codec: &Codec, id: u32) -> Result<(), &'static str> {
    match codec.decode(Topic::Heartbeat, Some(&beat(id))).await {
        Ok(_) => Ok(()),
        Err(DecodeError::Undecodable { reason, .. }) => Err(reason),
        Err(DecodeError::Registry { .. }) => Err("away"),
    }
}

#[tokio::test]
async fn given_a_flood_of_ids_nobody_has_when_read_then_it_does_not_wait_for_each() {
    let (codec, questions) = registry(&[UNKNOWN]).await;
    let started = Instant::now();
    for id in 1..=FLOOD {
        assert_eq!(reason(&codec, id).await, Err("UNKNOWN_SCHEMA"), "{id}");
    }
    assert!(
        started.elapsed() < FLOOD_TAKES_AT_MOST,
        "{:?}",
        started.elapsed()
    );
    assert!(questions.load(Ordering::SeqCst) < 2 * FLOOD);

    let before = questions.load(Ordering::SeqCst);
    for _ in 0..FLOOD {
        assert_eq!(reason(&codec, 1).await, Err("UNKNOWN_SCHEMA"));
    }
    let asked = questions.load(Ordering::SeqCst) - before;
    assert!(asked < FLOOD / 10, "{asked} questions about one id");
}

#[tokio::test]
async fn given_a_registry_that_has_just_started_when_it_does_not_know_an_id_yet_then_it_is_asked_again()
 {
    let (codec, _) = registry(&[UNKNOWN, UNKNOWN, BEAT]).await;
    assert_eq!(reason(&codec, 1).await, Ok(()));
    // Also when it was away after it had said that it knows something else not.
    let (codec, _) = registry(&[UNKNOWN, UNKNOWN, UNKNOWN, AWAY, UNKNOWN, BEAT]).await;
    assert_eq!(reason(&codec, 1).await, Err("UNKNOWN_SCHEMA"));
    assert_eq!(reason(&codec, 2).await, Err("away"));
    assert_eq!(reason(&codec, 2).await, Ok(()));
}

#[tokio::test]
async fn given_an_id_that_no_registry_gives_out_when_read_then_nobody_is_asked() {
    let (codec, questions) = registry(&[AWAY]).await;
    for id in [0, u32::MAX, i32::MAX.unsigned_abs() + 1] {
        assert_eq!(reason(&codec, id).await, Err("UNKNOWN_SCHEMA"), "{id}");
    }
    assert_eq!(questions.load(Ordering::SeqCst), 0);
}
