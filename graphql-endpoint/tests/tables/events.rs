//! Subscriptions as server-sent events.

use std::time::Duration;

use serde_json::{Value, json};
use topology::COMPANY_IBAN;

use crate::support::{Settings, World, change};

async fn ask(world: &World, query: &str) -> reqwest::Response {
    reqwest::Client::new()
        .post(format!("http://{}/graphql", world.address))
        .header("accept", "text/event-stream")
        .json(&json!({ "query": query }))
        .send()
        .await
        .unwrap()
}

/// The next event: its name and its data.
async fn next(answer: &mut reqwest::Response, unread: &mut String) -> Option<(String, String)> {
    loop {
        if let Some((event, rest)) = unread.split_once("\n\n") {
            let field = |name: &str| {
                let lines = event.lines().filter_map(|line| line.strip_prefix(name));
                lines
                    .map(|line| line.trim_start_matches([':', ' ']))
                    .collect::<String>()
            };
            let found = (field("event"), field("data"));
            *unread = rest.to_owned();
            // A sign of life has no name.
            if !found.0.is_empty() {
                return Some(found);
            }
            continue;
        }
        let chunk = tokio::time::timeout(Duration::from_secs(20), answer.chunk()).await;
        unread.push_str(std::str::from_utf8(&chunk.unwrap().unwrap()?).unwrap());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_and_what_comes_is_told_until_the_gateway_stops() {
    let mut world = World::start_with("events", Settings::default()).await;
    for version in 1..=3 {
        world.send_change(change(version)).await;
    }
    let query = format!(
        "subscription {{ transactions(iban: \"{COMPANY_IBAN}\", after: \"1\") {{ version }} }}"
    );
    let mut answer = ask(&world, &query).await;
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    let mut unread = String::new();
    for version in 2..=4 {
        if version == 4 {
            world.send_change(change(4)).await;
        }
        let (event, data) = next(&mut answer, &mut unread).await.unwrap();
        assert_eq!(event, "next");
        let data: Value = serde_json::from_str(&data).unwrap();
        assert_eq!(data["data"]["transactions"]["version"], version);
    }
    world.stop_gateway().await;
    let end = next(&mut answer, &mut unread).await;
    assert!(end.is_none_or(|(event, _)| event == "complete"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_and_is_the_end() {
    let world = World::start("no-events").await;
    let query = "subscription { transactions(iban: \"NL39OPEN0000000001\") { version } }";
    let mut answer = ask(&world, query).await;
    let mut unread = String::new();
    let (event, data) = next(&mut answer, &mut unread).await.unwrap();
    assert_eq!(event, "next");
    let data: Value = serde_json::from_str(&data).unwrap();
    assert_eq!(crate::code(&data), "UNAUTHENTICATED");
    let (event, _) = next(&mut answer, &mut unread).await.unwrap();
    assert_eq!(event, "complete");
    assert_eq!(next(&mut answer, &mut unread).await, None);
}
