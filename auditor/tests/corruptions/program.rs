//! The program itself: its exit codes, its JSON, and its doors while it follows.

use std::process::Stdio;
use std::time::Duration;

use auditor::{Sources, follow};
use local_cluster::testing;
use tokio::process::Command;
use tokio_util::sync::CancellationToken;

use crate::bank::Healthy;

/// The first round of a small bank is over by then.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(50);

struct Ended {
    code: Option<i32>,
    output: String,
    errors: String,
}

async fn run(sources: &Sources, more: &[&str], variable: Option<(&str, &str)>) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_auditor"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("BANK_")) {
        command.env_remove(name);
    }
    command
        .args(["--kafka-brokers", &sources.kafka_brokers])
        .args(["--topic-prefix", &sources.topic_prefix])
        .args(["--schema-registry-url", &sources.schema_registry_url])
        .args([
            "--command-handler-database-url",
            &sources.handler_database_url,
        ])
        .args([
            "--graphql-endpoint-database-url",
            &sources.gateway_database_url,
        ])
        .args(["--wait-seconds", "0", "--strict-order"])
        .args(more)
        .envs(variable)
        .stdin(Stdio::null());
    let ended = command.output().await.unwrap();
    Ended {
        code: ended.status.code(),
        output: String::from_utf8(ended.stdout).unwrap(),
        errors: String::from_utf8(ended.stderr).unwrap(),
    }
}

pub(crate) async fn given_the_program_when_it_ends_then_its_code_is_the_verdict(bank: &Healthy) {
    let sources = bank.sources();
    let ended = run(&sources, &["--json"], None).await;
    assert_eq!(ended.code, Some(0), "{}", ended.errors);
    let json: serde_json::Value = serde_json::from_str(&ended.output).unwrap();
    assert_eq!(json["verdict"], "holds");
    assert_eq!(json["report"]["findings"][0]["invariant"], "A1");
    assert_eq!(json["report"]["findings"][0]["state"], "holds");

    let copy = bank
        .copy_database(&bank.books_template, "wrong_books")
        .await;
    let statement = "insert into emission_debt (owner, command_ids) values (1, '{}')";
    bank.administrate(&copy, statement).await;
    let wrong = Sources {
        handler_database_url: bank.administrator_url(&copy),
        ..sources.clone()
    };
    let ended = run(&wrong, &[], None).await;
    assert_eq!(ended.code, Some(1), "{}", ended.errors);
    assert!(ended.output.contains("VIOLATED: F3"), "{}", ended.output);
    bank.drop_database(&copy).await;

    let nowhere = Sources {
        handler_database_url: "postgres://a:b@127.0.0.1:1/c".to_owned(),
        ..sources.clone()
    };
    let ended = run(&nowhere, &[], None).await;
    assert_eq!(ended.code, Some(2));
    assert!(ended.output.is_empty(), "{}", ended.output);
    assert!(
        ended.errors.contains("could not be checked"),
        "{}",
        ended.errors
    );

    let ended = run(&sources, &[], Some(("BANK_WAIT_SECOND", "1"))).await;
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.errors.contains("BANK_WAIT_SECOND"),
        "{}",
        ended.errors
    );
}

pub(crate) async fn given_a_healthy_bank_when_followed_then_status_and_metrics_tell(
    bank: &Healthy,
) {
    let address = testing::free_address();
    let stop = CancellationToken::new();
    let books = bank
        .copy_database(&bank.books_template, "followed_books")
        .await;
    let wish = follow::Wish {
        sources: Sources {
            handler_database_url: bank.administrator_url(&books),
            ..bank.sources()
        },
        options: bank.options("followed"),
        every: Duration::from_secs(1),
        address: address.parse().unwrap(),
    };
    let following = tokio::spawn({
        let stop = stop.clone();
        async move { follow::follow(wish, stop, &|_| ()).await }
    });
    let ask = async |path: &str| {
        let answer = reqwest::get(format!("http://{address}/{path}")).await?;
        answer.text().await
    };
    let until = async |wanted: &dyn Fn(&serde_json::Value) -> bool| {
        let waiting = async {
            loop {
                if let Ok(text) = ask("status").await {
                    let status: serde_json::Value = serde_json::from_str(&text).unwrap();
                    if wanted(&status) {
                        return status;
                    }
                    // Before the first audit nobody knows.
                    let is_known = status["rounds"].as_u64().unwrap() > 0;
                    assert!(is_known || status["verdict"] == "unchecked", "{status}");
                }
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap()
    };
    let status = until(&|status| status["rounds"].as_u64().unwrap() > 0).await;
    assert_eq!(status["verdict"], "holds", "{status:#}");

    // Nothing happens, once the database has counted what happened before: it still holds, without an audit.
    let status = until(&|status| {
        let seconds = |name: &str| status[name].as_u64().unwrap();
        seconds("audit_age_seconds") >= 4 && seconds("age_seconds") <= 1
    })
    .await;
    assert_eq!(status["verdict"], "holds", "{status:#}");
    let metrics = ask("metrics").await.unwrap();
    for line in [
        "bank_audit_verdict 0\n",
        "bank_audit_violations{invariant=\"A1\"} 0\n",
        "bank_audit_rounds_total{verdict=\"violated\"} 0\n",
    ] {
        assert!(metrics.contains(line), "{line} in {metrics}");
    }

    let statement = "insert into emission_debt (owner, command_ids) values (1, '{}')";
    bank.administrate(&books, statement).await;
    let status = until(&|status| status["verdict"] == "violated").await;
    assert!(status["rounds"].as_u64().unwrap() > 1, "{status:#}");
    stop.cancel();
    following.await.unwrap().unwrap();
    bank.drop_database(&books).await;
}
