//! The bank as it runs: the drawing, the load, the records of a topic, the auditor.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::Stage;
use crate::people::Customer;

/// The state of the bank, as the gateway tells anyone in demo mode.
async fn status(stage: &Stage) -> Result<Value> {
    let answer = ask(
        stage,
        "{ status { services { name state instances } topics { name partitions } auditor { verdict invariants holding } } }",
    )
    .await?;
    Ok(answer["status"].clone())
}

async fn ask(stage: &Stage, query: &str) -> Result<Value> {
    let answer: Value = reqwest::Client::new()
        .post(format!("{}/graphql", stage.page))
        .json(&json!({ "query": query }))
        .send()
        .await?
        .json()
        .await?;
    ensure!(!answer["errors"].is_array(), "{answer}");
    Ok(answer["data"].clone())
}

fn names(list: &Value) -> BTreeSet<String> {
    let entries = list.as_array().into_iter().flatten();
    entries
        .filter_map(|entry| entry["name"].as_str().map(str::to_owned))
        .collect()
}

pub(crate) async fn given_a_running_bank_when_looked_at_then_the_drawing_has_its_services_topics_and_partitions(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/live", stage.page)).await?;
    browser.find(".drawing-wide").await?;
    let status = status(stage).await?;
    let drawn = browser
        .run(
            "return [...document.querySelectorAll('.drawing-wide [data-node]')].map(n => [n.dataset.node, \
             n.querySelectorAll('line.frame').length, n.getAttribute('aria-label')])",
            vec![],
        )
        .await?;
    let drawn: Vec<(String, u64, String)> = serde_json::from_value(drawn)?;
    browser
        .holds(
            "each part is drawn, and its link is one of SVG",
            "return [...document.querySelectorAll('.drawing-wide [data-node]')].every(n => n.getBBox?.().width > 0)",
        )
        .await?;
    let find = |id: &str| {
        let found = drawn.iter().find(|(known, ..)| known == id);
        found.with_context(|| format!("{id} is not drawn: {drawn:?}"))
    };
    for name in names(&status["services"]) {
        find(&name)?;
    }
    for topic in status["topics"].as_array().context("no topics")? {
        let name = topic["name"].as_str().context("no name")?;
        let (_, cuts, _) = find(&format!("topic:{name}"))?;
        ensure!(
            Some(cuts + 1) == topic["partitions"].as_u64(),
            "{name}: {cuts} cuts"
        );
    }
    let (.., said) = find("command-handler")?;
    ensure!(said.contains("ready"), "{said}");
    // The same as a table, and a way from each part to its panel.
    browser.click(".drawing details summary").await?;
    let rows = browser
        .run(
            "return document.querySelectorAll('.drawing table:first-of-type tbody tr').length",
            vec![],
        )
        .await?;
    ensure!(
        rows.as_u64() == Some(drawn.len() as u64),
        "{rows} rows for {} parts",
        drawn.len()
    );
    browser.find("#part-command-handler").await.map(drop)
}

pub(crate) async fn given_the_auditor_when_it_has_judged_then_lamp_and_list_say_what_it_says(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&stage.page).await?;
    browser.find("#auditor-lamp").await?;
    eventually("the lamp shows the verdict", PATIENCE, async || {
        let said = status(stage).await?["auditor"]["verdict"].clone();
        let expected = match said.as_str() {
            Some("HOLDS") => "holds",
            Some("VIOLATED") => "violated",
            _ => "cannot-check",
        };
        let shown = browser
            .run(
                "return document.querySelector('#auditor-lamp').dataset.state",
                vec![],
            )
            .await?;
        ensure!(shown == json!(expected), "{shown} for {said}");
        Ok(())
    })
    .await?;
    browser.click("#auditor-lamp").await?;
    browser
        .holds(
            "on the list",
            "return location.pathname === '/live' && location.hash === '#auditor'",
        )
        .await?;
    let auditor = status(stage).await?["auditor"].clone();
    if auditor["verdict"] == "HOLDS" {
        let words = format!("{} of {}", auditor["holding"], auditor["invariants"]);
        browser.says("#auditor .verdict", &words).await?;
    }
    Ok(())
}

pub(crate) async fn given_a_page_that_opens_when_no_verdict_has_come_then_the_lamp_claims_nothing(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    eventually("the auditor has judged", PATIENCE, async || {
        let verdict = status(stage).await?["auditor"]["verdict"].clone();
        ensure!(verdict == "HOLDS", "{verdict}");
        Ok(())
    })
    .await?;
    // Notes every state of the lamp, however short.
    browser
        .tell(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": "window.shown = []; new MutationObserver(() => { \
                const state = document.getElementById('auditor-lamp')?.dataset.state; \
                if (state && shown.at(-1) !== state) shown.push(state); \
                }).observe(document, { childList: true, subtree: true, attributes: true });" }),
        )
        .await?;
    for path in ["/", "/client", "/results"] {
        browser.go(&format!("{}{path}", stage.page)).await?;
        browser.says("#auditor-lamp", "Holds").await?;
        let shown = browser.run("return window.shown", vec![]).await?;
        ensure!(
            shown == json!(["not-known", "holds"]),
            "{path}: the lamp went through {shown}"
        );
    }
    // Where nothing comes at all, that is said after a while.
    browser.tell("Network.enable", json!({})).await?;
    browser
        .tell("Network.setBlockedURLs", json!({ "urls": ["*/graphql*"] }))
        .await?;
    browser.go(&stage.page).await?;
    browser.says("#auditor-lamp", "Not known yet").await?;
    browser
        .says("#auditor-lamp", "Cannot check: the bank is not heard")
        .await
}

pub(crate) async fn given_a_load_when_set_by_keyboard_then_it_is_achieved_and_stopped(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/live", stage.page)).await?;
    let range = browser.find("#load-range").await?;
    browser
        .holds(
            "it may be set",
            "return !document.querySelector('#load-range').disabled",
        )
        .await?;
    range.send_keys(thirtyfour::Key::Home + "").await?;
    for _ in 0..3 {
        range.send_keys(thirtyfour::Key::Right + "").await?;
    }
    browser
        .holds(
            "the slider says its value",
            "return document.querySelector('#load-range').getAttribute('aria-valuetext') === 'target 50 per second'",
        )
        .await?;
    browser.click("#load-set").await?;
    browser.says("#status", "Load steady at").await?;
    browser.says("#load-achieved", "steady").await?;
    browser
        .holds(
            "the drawing shows what flows",
            "return /\\d\\/s/.test(document.querySelector('[data-edge=transfers-read] text').textContent)",
        )
        .await?;
    browser.click("#load-stop").await?;
    eventually("it is silent", PATIENCE, async || {
        let load = ask(stage, "{ load { heartbeatsPerSecond } }").await?;
        ensure!(load["load"]["heartbeatsPerSecond"] == 0, "{load}");
        Ok(())
    })
    .await
}

pub(crate) async fn given_a_topic_when_chosen_then_its_records_are_decoded_filtered_and_paused(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = (
        Customer::with(&stage.page, 1_234).await?,
        Customer::with(&stage.page, 500).await?,
    );
    browser
        .go(&format!("{}/live/topics/balance_changed", stage.page))
        .await?;
    browser.fill("#topic-filter", &one.iban).await?;
    browser.click("#topic-find").await?;
    browser
        .holds(
            "only that account's",
            "return document.querySelectorAll('#topic-records tbody.record').length === 1",
        )
        .await?;
    browser.click("#topic-records .opener").await?;
    browser
        .says("#topic-records .record-fields", "1234 (€ 12,34)")
        .await?;
    browser
        .says("#topic-records .record-fields", &one.iban)
        .await?;
    // What comes in is shown, unless one pauses: both sides of a payment name the account.
    one.pay(&other.iban, 34, "to be seen").await?;
    browser
        .holds(
            "the new ones too",
            "return document.querySelectorAll('#topic-records tbody.record').length === 3",
        )
        .await?;
    browser.click("#topic-pause").await?;
    one.pay(&other.iban, 35, "to wait").await?;
    browser.says("#topic-pause", "2 new").await?;
    browser.click("#topic-pause").await?;
    browser
        .holds(
            "all five",
            "return document.querySelectorAll('#topic-records tbody.record').length === 5",
        )
        .await?;
    // From a record to its command.
    browser
        .click("#topic-records tbody.record:nth-of-type(1) .opener")
        .await?;
    browser
        .click("#topic-records tbody.record:nth-of-type(1) .opened a")
        .await?;
    browser
        .holds(
            "at the trail",
            "return location.pathname.startsWith('/trail/')",
        )
        .await?;
    browser.driver.back().await?;
    browser
        .holds(
            "back at the topic",
            "return location.pathname === '/live/topics/balance_changed'",
        )
        .await?;
    browser.says("#topic-heading", "balance_changed").await
}

pub(crate) async fn given_a_command_when_sent_twice_then_it_is_booked_once(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 0).await?;
    customer.enter(browser, &stage.page).await?;
    browser.go(&format!("{}/live", stage.page)).await?;
    browser.click("#send-twice").await?;
    browser
        .says("#twice-outcome", "Both answers are the same: confirmed.")
        .await?;
    customer.has_booked(&[1_000]).await?;
    browser.says("#twice-outcome", "booked once").await
}
