//! A person's way through the page, in a real browser.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use e2e::Bank;
use e2e::browser::Browser;

const PASSWORD: &str = "correct horse battery";
const COMPANY_IBAN: &str = "NL66OPEN0000000000";

async fn walk(bank: &Bank, browser: &Browser) -> Result<()> {
    let user_name = "journey-customer";
    browser.go(&bank.page).await?;
    browser.find("h1").await?;
    browser.find("#statement").await?;

    // Open an account.
    browser.click("#nav-client").await?;
    browser.fill("#open-user-name", user_name).await?;
    browser.fill("#open-password", PASSWORD).await?;
    browser.click("#open-submit").await?;
    let iban = browser.find("#own-iban").await?;
    let iban = iban.attr("data-iban").await?.context("no IBAN")?;
    ensure!(iban.starts_with("NL") && iban.contains("OPEN"), "{iban}");
    browser.balance_is(0).await?;

    // Deposit and pay.
    browser.click("#deposit-10000").await?;
    browser.balance_is(10_000).await?;
    browser.fill("#pay-to", "NL66 OPEN 0000 0000 00").await?;
    browser.fill("#pay-amount", "12,34").await?;
    browser.fill("#pay-description", "A book").await?;
    browser.click("#pay-submit").await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;

    // What cannot be paid is told under its field, and what was typed stays.
    browser.fill("#pay-to", "NL67 OPEN 0000 0000 00").await?;
    browser.fill("#pay-amount", "twelve").await?;
    browser.click("#pay-submit").await?;
    browser.find("#error-summary").await?;
    browser.find("#pay-amount-error").await?;
    browser.find("#pay-to-error").await?;
    let typed = browser.find("#pay-amount").await?.prop("value").await?;
    ensure!(typed.as_deref() == Some("twelve"), "{typed:?}");

    // Reload: still signed in, the same statement.
    browser.driver.refresh().await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;

    // Sign out, sign in again.
    browser.click("#sign-out").await?;
    browser.sign_in(user_name, PASSWORD).await?;
    browser.balance_is(8_766).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;
    browser.click("#sign-out").await?;

    // The employee sees the same account.
    browser.click("#nav-employee").await?;
    browser.click("#demo-employee").await?;
    browser
        .click(&format!("#account-list [data-iban='{iban}']"))
        .await?;
    browser.statement_is(&[-1_234, 10_000]).await?;
    browser.balance_is(8_766).await?;

    // A payment from elsewhere arrives without anyone touching the page.
    bank.data(
        "mutation($input: LogInInput!) { logIn(input: $input) { user { userName } } }",
        serde_json::json!({ "input": { "userName": user_name, "password": PASSWORD } }),
    )
    .await?;
    bank.data(
        "mutation($input: TransferInput!) { transfer(input: $input) { __typename } }",
        serde_json::json!({ "input": {
            "commandId": uuid::Uuid::new_v4(), "to": COMPANY_IBAN,
            "amount": "66", "description": "live",
        } }),
    )
    .await?;
    browser.statement_is(&[-66, -1_234, 10_000]).await?;
    browser.balance_is(8_700).await
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_person_when_they_use_the_page_then_they_see_their_money_move() -> Result<()> {
    let bank = Bank::start("journey")?;
    let browser = Browser::start(bank.directory()).await?;
    let walked = walk(&bank, &browser).await;
    if walked.is_err() {
        let picture = bank.directory().join("logs").join("journey.png");
        let _ = browser.driver.screenshot(&picture).await;
    }
    browser.stop().await?;
    walked?;
    bank.wait_until_quiet(Duration::from_secs(20)).await?;
    bank.check_invariants().await.map(|_| ())
}
