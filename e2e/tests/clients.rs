//! Clients that others wrote, unmodified, as their documentation has them: each signs in,
//! subscribes, pays, sees the change, goes away, and misses nothing when it comes back with
//! its cursor.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, ensure};
use e2e::Bank;
use serde_json::{Value, json};

/// A folder with the packages that `e2e/node/package.json` names.
const NODE_VARIABLE: &str = "BANK_TEST_NODE";
/// A Python with the packages that `cargo bank test` installs.
const PYTHON_VARIABLE: &str = "BANK_TEST_PYTHON";

fn folder(variable: &str) -> Result<PathBuf> {
    let folder = std::env::var_os(variable);
    let hint = || format!("{variable} is not set; `cargo bank test` prepares what it names");
    Ok(PathBuf::from(folder.with_context(hint)?))
}

fn source(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// What the client saw.
fn seen(output: &Output) -> Result<Value> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{}: {said}", output.status);
    serde_json::from_slice(&output.stdout).with_context(|| format!("no JSON; {said}"))
}

/// A change of one's own account, by its version.
fn change(version: i64, amount: &str) -> Value {
    json!({ "version": version, "changedBy": amount, "cursor": version.to_string() })
}

fn judge(seen: &Value) -> Result<()> {
    let expected = json!({
        "first": [change(1, "1000")],
        "resumed": [change(2, "2000"), change(3, "3000")],
    });
    ensure!(*seen == expected, "it saw {seen}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn given_clients_of_others_when_they_come_back_with_their_cursor_then_each_has_seen_everything_once()
-> Result<()> {
    let bank = Bank::start("clients")?;
    // From its input, so that Node looks for packages where it runs.
    let script = std::fs::File::open(source("node/graphql_ws.mjs"))?;
    let node = Command::new("node")
        .args(["--input-type=module", "-"])
        .current_dir(folder(NODE_VARIABLE)?)
        .env("BANK_PAGE", &bank.page)
        .stdin(Stdio::from(script))
        .output()
        .context("cannot run node")?;
    judge(&seen(&node)?).context("graphql-ws")?;
    let python = Command::new(folder(PYTHON_VARIABLE)?)
        .arg(source("python/gql_client.py"))
        .env("BANK_PAGE", &bank.page)
        .output()
        .context("cannot run Python")?;
    judge(&seen(&python)?).context("gql")?;
    Ok(())
}
