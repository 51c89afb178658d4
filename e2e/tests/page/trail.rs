//! The way of one command.

use anyhow::{Context, Result, ensure};
use e2e::PATIENCE;
use serde_json::json;

use crate::Stage;
use crate::people::Customer;

pub(crate) async fn given_a_payment_when_followed_then_its_hops_records_and_entries_are_shown(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = (
        Customer::with(&stage.page, 10_000).await?,
        Customer::with(&stage.page, 0).await?,
    );
    one.enter(browser, &stage.page).await?;
    browser.pay(&other.iban, "25,00", "Book").await?;
    browser.statement_is(&[-2_500, 10_000]).await?;
    browser
        .click("#statement tr[data-changed-by='-2500'] .serial a")
        .await?;
    browser.says("#trail-standing", "Confirmed").await?;
    browser.says(".trail-summary .transfer", "€ 25,00").await?;
    // The two entries sum to zero.
    let changes = browser
        .run("return [...document.querySelectorAll('.entries tbody tr')].map(r => Number(r.dataset.changedBy))", vec![])
        .await?;
    ensure!(changes == json!([-2_500, 2_500]), "{changes}");
    browser
        .holds(
            "they sum to zero",
            "return document.querySelector('#entries-sum').dataset.sum === '0'",
        )
        .await?;
    // Eight hops in their order; those with a stamp stand on the scale, the others say that they have none.
    let hops = browser
        .run(
            "return [...document.querySelectorAll('.hop')].map(h => [!!h.querySelector('.hop-bar'), h.querySelector('.hop-figure').textContent])",
            vec![],
        )
        .await?;
    let hops: Vec<(bool, String)> = serde_json::from_value(hops)?;
    ensure!(hops.len() == 8, "{hops:?}");
    for (is_drawn, figure) in &hops {
        ensure!(*is_drawn != (figure == "no stamp"), "{hops:?}");
    }
    // Its records, decoded; a secret stays one.
    browser.says("#records-heading", "3 records").await?;
    browser
        .click(".trail-records li:first-child summary")
        .await?;
    browser
        .says(".trail-records li:first-child", "(not shown)")
        .await?;
    // Sent again it moves nothing.
    browser.click("#send-again").await?;
    browser
        .says("#again-outcome", "the same answer again: confirmed")
        .await?;
    one.has_booked(&[-2_500, 10_000]).await?;
    // A reload gives the same screen.
    browser.driver.refresh().await?;
    browser.says("#trail-standing", "Confirmed").await
}

pub(crate) async fn given_a_rejected_payment_when_followed_then_it_says_that_no_money_moved(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 100).await?;
    customer.enter(browser, &stage.page).await?;
    browser
        .pay("Energy supplier", "900.000", "Too much")
        .await?;
    let row = browser.find("#statement [data-state=rejected]").await?;
    let id = row.attr("data-command-id").await?.context("no id")?;
    browser.go(&format!("{}/trail/{id}", stage.page)).await?;
    browser.says("#trail-standing", "Rejected").await?;
    browser.says("#trail-standing", "No money moved").await?;
    browser
        .says(
            ".entries .empty",
            "None: a rejected command moves no money.",
        )
        .await
}

pub(crate) async fn given_no_command_or_a_foreign_one_when_opened_then_it_is_said(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 100).await?;
    customer.enter(browser, &stage.page).await?;
    browser.click("#nav-trail").await?;
    browser.fill("#trail-id", "not an id").await?;
    browser.click(".trail-choice button").await?;
    browser
        .says("#trail-id-error", "This is no command id")
        .await?;
    browser
        .fill("#trail-id", "8c1f60aa-6b1e-4d0c-9d53-0b64a7f3c1e2")
        .await?;
    browser.click(".trail-choice button").await?;
    eventually_unknown(stage).await?;
    browser.driver.back().await?;
    browser.find("#trail-id").await.map(drop)
}

async fn eventually_unknown(stage: &Stage) -> Result<()> {
    e2e::eventually("it is said", PATIENCE, async || {
        let text = stage.browser.text("main").await?;
        ensure!(text.contains("never seen this command"), "{text}");
        Ok(())
    })
    .await
}
