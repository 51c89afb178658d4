//! A pasted link gives the same screen as a click: what it names is in view and has the focus.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::Stage;
use crate::client::enter_with_rents;
use crate::people::{COMPANY_IBAN, Customer};

pub(crate) async fn given_a_link_to_a_topic_when_opened_then_its_records_are_in_view(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 4_321).await?;
    for window in [(1280, 800), (320, 640)] {
        browser.window(window).await?;
        browser
            .go(&format!(
                "{}/live/topics/balance_changed?contains={}",
                stage.page, customer.iban
            ))
            .await?;
        browser
            .holds(
                "its heading has the focus at the top of the window",
                "const heading = document.getElementById('topic-heading'); if (heading !== document.activeElement) return false; \
                 const { top, bottom } = heading.getBoundingClientRect(); return top >= 0 && bottom < innerHeight / 2",
            )
            .await?;
        // The filter is in the address too.
        browser
            .holds(
                "only that account's",
                "return document.querySelectorAll('#topic-records tbody.record').length === 1 \
                 && document.getElementById('topic-filter').value.length === 18",
            )
            .await?;
    }
    browser
        .tell("Emulation.clearDeviceMetricsOverride", json!({}))
        .await?;
    // From part to part it is the same, and back leads back.
    browser.go(&format!("{}/live", stage.page)).await?;
    browser
        .click("[data-node='topic:money_transfer_feedback']")
        .await?;
    browser
        .holds(
            "at the topic",
            "const heading = document.getElementById('topic-heading'); return heading === document.activeElement \
             && heading.textContent.includes('money_transfer_feedback') && heading.getBoundingClientRect().top < innerHeight / 2",
        )
        .await?;
    browser.driver.back().await?;
    browser.find("#topics-heading").await.map(drop)
}

/// What stands after the question mark, and in the fields of the filter.
const FILTER: &str = "const field = name => document.getElementById('statement-filter-' + name).value; \
    return [location.search, ...['direction', 'least', 'most', 'text'].map(field)]";

async fn filter_is(stage: &Stage, expected: [&str; 5], changes: &[i64]) -> Result<()> {
    let browser = &stage.browser;
    browser.statement_is(changes).await?;
    let shown = browser.run(FILTER, vec![]).await?;
    ensure!(shown == json!(expected), "{shown} is not {expected:?}");
    Ok(())
}

pub(crate) async fn given_a_filter_when_its_link_is_opened_or_left_then_the_statement_follows(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = enter_with_rents(stage).await?;
    let all = [-300, -2_500, -1_000, 50_000];
    browser.statement_is(&all).await?;
    // Each filter is one step, however much is typed for it, and the same again is none.
    browser.click(".filter > summary").await?;
    browser.fill("#statement-filter-text", "rent").await?;
    browser.click(".filter .apply").await?;
    let rent = ["?text=rent", "", "", "", "rent"];
    filter_is(stage, rent, &[-300, -1_000]).await?;
    browser
        .click("#statement-filter-direction option[value=DEBIT]")
        .await?;
    browser.fill("#statement-filter-text", "").await?;
    browser.fill("#statement-filter-least", "10").await?;
    browser.click(".filter .apply").await?;
    let debit = ["?direction=debit&from=10.00", "DEBIT", "10,00", "", ""];
    filter_is(stage, debit, &[-2_500, -1_000]).await?;
    browser.click(".filter .apply").await?;
    browser.driver.refresh().await?;
    filter_is(stage, debit, &[-2_500, -1_000]).await?;
    browser.driver.back().await?;
    filter_is(stage, rent, &[-300, -1_000]).await?;
    browser.driver.back().await?;
    filter_is(stage, [""; 5], &all).await?;
    browser.driver.forward().await?;
    filter_is(stage, rent, &[-300, -1_000]).await?;
    // By hand: what makes no sense is left out.
    browser
        .go(&format!(
            "{}/client?direction=up&from=ten&to=25&text=%20&colour=red",
            stage.page
        ))
        .await?;
    browser.statement_is(&[-300, -2_500, -1_000]).await?;
    browser.says(".filter > summary", "in use").await?;
    // An employee has one filter for every account that is followed.
    browser.click("#sign-out").await?;
    browser.find("#sign-in-submit").await?;
    let other = Customer::with(&stage.page, 700).await?;
    let accounts = format!("/employee/{},{}", customer.iban, other.iban);
    browser
        .go(&format!("{}{accounts}?direction=credit", stage.page))
        .await?;
    browser.click("#demo-employee").await?;
    filter_is(
        stage,
        ["?direction=credit", "CREDIT", "", "", ""],
        &[50_000],
    )
    .await?;
    other.pay(&customer.iban, 50, "live").await?;
    browser.statement_is(&[50, 50_000]).await?;
    let second = format!("statement-{}", other.iban);
    let rows = format!(
        "return document.querySelectorAll('#{second} [data-state=confirmed]').length === 1"
    );
    browser.holds("the other is filtered too", &rows).await?;
    browser.click("#account-order option[value='1']").await?;
    browser
        .holds(
            "the list keeps the filter",
            "return location.search === '?sort=iban&direction=credit'",
        )
        .await
}

pub(crate) async fn given_runs_that_are_compared_when_their_link_is_opened_then_the_same_is_shown(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let chosen = "const value = id => document.getElementById(id)?.value; \
        return [value('results-run'), value('results-against'), \
        [...document.querySelectorAll('.percentiles input')].findIndex(it => it.checked), location.pathname + location.search]";
    browser
        .go(&format!("{}/results/latency", stage.page))
        .await?;
    browser.find("#results-run").await?;
    browser
        .click("#results-against option:not([value='2019']):not([value=nothing])")
        .await?;
    browser.click(".percentiles label:last-child input").await?;
    browser.says(".compared thead", "Other run").await?;
    let before = browser.run(chosen, vec![]).await?;
    ensure!(before[2] == json!(2), "p99 is not chosen: {before}");
    let address = before[3].as_str().context("no address")?.to_owned();
    browser.go(&format!("{}{address}", stage.page)).await?;
    browser.says(".compared thead", "Other run").await?;
    let after = browser.run(chosen, vec![]).await?;
    ensure!(after == before, "{after} is not {before}");
    // Another chart of the same two; then back, choice by choice.
    browser
        .click(".wide-list a[href^='/results/throughput']")
        .await?;
    browser.says("#chart-heading", "Throughput").await?;
    browser.says(".compared thead", "Other run").await?;
    browser.driver.back().await?;
    browser.says("#chart-heading", "Latency by load").await?;
    browser
        .go(&format!("{}/results/latency?against=nothing", stage.page))
        .await?;
    browser
        .holds(
            "against nothing",
            "return document.getElementById('results-against').value === 'nothing'",
        )
        .await
}

pub(crate) async fn given_links_into_every_route_when_opened_then_they_show_what_they_name(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 10_000).await?;
    customer.pay(COMPANY_IBAN, 2_500, "Book").await?;
    customer.enter(browser, &stage.page).await?;
    let trail = browser
        .run(
            "return document.querySelector(\"#statement [data-changed-by='-2500'] .serial a\").getAttribute('href')",
            vec![],
        )
        .await?;
    let trail = trail.as_str().context("no trail")?.to_owned();
    for (path, selector, words) in [
        (trail.as_str(), "#trail-standing", "Confirmed"),
        ("/results/recovery", "#chart-heading", "Recovery"),
        ("/how-it-works/5", ".tour-step h2", "The events go out"),
        (
            "/live/topics/no_such_topic",
            "#topic-heading",
            "no_such_topic",
        ),
    ] {
        browser.go(&format!("{}{path}", stage.page)).await?;
        browser.says(selector, words).await?;
        browser
            .holds(
                "it is in view",
                &format!(
                    "const {{ top, bottom }} = document.querySelector('{selector}').getBoundingClientRect(); return top >= 0 && bottom <= innerHeight"
                ),
            )
            .await?;
    }
    // The list of invariants and the row of a part are named after a `#`.
    for part in ["auditor", "part-command-handler"] {
        browser.go(&format!("{}/live#{part}", stage.page)).await?;
        browser
            .holds(
                "it has the focus and is in view",
                &format!(
                    "const it = document.getElementById('{part}'); return it === document.activeElement && it.getBoundingClientRect().top < innerHeight"
                ),
            )
            .await?;
    }
    Ok(())
}
