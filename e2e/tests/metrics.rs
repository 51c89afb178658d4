//! What every service of a running bank counts, and that the dashboards show nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use e2e::{Bank, PATIENCE, eventually};
use serde_json::{Value, json};

/// The services with an operations address.
const SERVICES: [&str; 5] = [
    "command-handler",
    "graphql-endpoint",
    "command-generator",
    "heartbeat",
    "auditor",
];
/// What tells of PostgreSQL is not ours.
const FOREIGN: &str = "pg_";

/// One page of metrics, read as Prometheus reads it.
#[derive(Default)]
struct Page {
    /// Values by series, as in `bank_ready` and `bank_commands_total{outcome="failed"}`.
    values: BTreeMap<String, f64>,
    /// Name to kind.
    kinds: BTreeMap<String, String>,
}

impl Page {
    fn parse(text: &str) -> Result<Page> {
        let mut page = Page::default();
        for line in text.lines() {
            if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').context("a name and its kind")?;
                let before = page.kinds.insert(name.to_owned(), kind.to_owned());
                ensure!(before.is_none(), "{name} is told of twice");
                continue;
            }
            if line.starts_with("# HELP ") {
                continue;
            }
            let (series, value) = line.rsplit_once(' ').context("a series and its value")?;
            let name = series.split('{').next().unwrap_or_default();
            let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
            ensure!(name.chars().all(legal), "{line}");
            ensure!(
                name.len() == series.len() || series.ends_with("\"}"),
                "{line}"
            );
            let family = ["_bucket", "_sum", "_count"]
                .iter()
                .filter_map(|part| name.strip_suffix(part))
                .find(|name| {
                    page.kinds
                        .get(*name)
                        .is_some_and(|kind| kind == "histogram")
                })
                .unwrap_or(name);
            let kind = page
                .kinds
                .get(family)
                .with_context(|| format!("no kind of {name}"))?;
            let grows = kind == "counter";
            ensure!(grows == family.ends_with("_total"), "{family} is a {kind}");
            let before = page.values.insert(series.to_owned(), value.parse()?);
            ensure!(before.is_none(), "{series} stands there twice");
        }
        Ok(page)
    }

    fn sum(&self, name: &str, label: &str) -> f64 {
        let named = |series: &str| {
            let (found, labels) = series.split_once('{').unwrap_or((series, ""));
            found == name && labels.contains(label)
        };
        let values = self.values.iter().filter(|(series, _)| named(series));
        values.map(|(_, value)| value).sum()
    }
}

async fn page(bank: &Bank, service: &str) -> Result<Page> {
    let state = std::fs::read_to_string(bank.directory().join("state.json"))?;
    let state: Value = serde_json::from_str(&state)?;
    let port = &state["ports"][service];
    let answer = reqwest::get(format!("http://127.0.0.1:{port}/metrics")).await?;
    let content = answer.headers()["content-type"].to_str()?.to_owned();
    ensure!(
        content.starts_with("text/plain; version=0.0.4"),
        "{content}"
    );
    Page::parse(&answer.error_for_status()?.text().await?).with_context(|| service.to_owned())
}

/// The names in an expression of a dashboard.
fn names(expression: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut rest = expression.to_owned();
    // What stands in braces is labels and their values.
    while let (Some(from), Some(to)) = (rest.find('{'), rest.find('}')) {
        rest.replace_range(from..=to, " ");
    }
    for word in rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_') {
        if ["bank_", "kafka_", "process_", "graphql_", "http_", FOREIGN]
            .iter()
            .any(|prefix| word.starts_with(prefix))
        {
            let bare = ["_bucket", "_sum", "_count"]
                .iter()
                .find_map(|part| word.strip_suffix(part));
            names.insert(bare.unwrap_or(word).to_owned());
        }
    }
    names
}

fn named_by_dashboards() -> Result<BTreeSet<String>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docker/observability/dashboards");
    let mut found = BTreeSet::new();
    for file in std::fs::read_dir(folder)? {
        let dashboard: Value = serde_json::from_str(&std::fs::read_to_string(file?.path())?)?;
        for panel in dashboard["panels"].as_array().context("no panels")? {
            for target in panel["targets"].as_array().context("no targets")? {
                found.extend(names(target["expr"].as_str().context("no expression")?));
            }
        }
    }
    Ok(found)
}

#[tokio::test]
async fn given_a_bank_that_works_then_every_service_tells_what_dashboards_show() -> Result<()> {
    let bank = Bank::start("metrics")?;
    bank.open_account("metrics-customer").await?;
    bank.data(
        "mutation($input: DepositInput!) { deposit(input: $input) { __typename } }",
        json!({ "input": { "commandId": uuid::Uuid::new_v4(), "amount": "1000" } }),
    )
    .await?;
    bank.succeed(&["load", "20"])?;
    let mut missing = named_by_dashboards()?;
    missing.retain(|name| !name.starts_with(FOREIGN));
    ensure!(missing.len() > 10, "{missing:?}");
    // Some are told of from their first value on.
    eventually("everything is told of", PATIENCE, async || {
        let mut untold = missing.clone();
        for service in SERVICES {
            let page = page(&bank, service).await?;
            for name in ["process_cpu_seconds_total", "process_resident_memory_bytes"] {
                ensure!(page.sum(name, "") > 0.0, "{service} has no {name}");
            }
            ensure!(page.sum("bank_ready", "") > 0.0, "{service} is not ready");
            let label = format!("service=\"{service}\"");
            ensure!(
                page.sum("bank_build_info", &label) > 0.0,
                "{service} has no name"
            );
            untold.retain(|name| !page.kinds.contains_key(name));
        }
        ensure!(untold.is_empty(), "{untold:?}");
        Ok(())
    })
    .await?;
    let handler = page(&bank, "command-handler").await?;
    let confirmed = "command=\"account_creation\",outcome=\"confirmed\"";
    ensure!(handler.sum("bank_commands_total", confirmed) >= 1.0);
    let decided = handler.sum("bank_commands_total", "");
    ensure!(handler.sum("bank_batch_size_sum", "") >= decided);
    Ok(())
}
