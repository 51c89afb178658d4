//! However one presses, reloads, opens tabs or loses the line: a payment is made once.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::json;

use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer};
use crate::proxy::{Line, Proxy};
use e2e::browser::Browser;

const FUNDS: i64 = 100_000;

async fn fill(browser: &Browser) -> Result<()> {
    browser.fill("#pay-to", COMPANY_IBAN).await?;
    browser.fill("#pay-amount", "12,34").await?;
    browser.fill("#pay-description", "once").await
}

/// After everything has settled: in the books and on the page once, and nothing is waiting.
async fn is_paid_once(browser: &Browser, customer: &Customer) -> Result<()> {
    customer.has_booked(&[-1_234, FUNDS]).await?;
    browser.statement_is(&[-1_234, FUNDS]).await?;
    browser.balance_is(FUNDS - 1_234).await?;
    nothing_waits(browser).await?;
    customer.has_booked(&[-1_234, FUNDS]).await
}

async fn nothing_waits(browser: &Browser) -> Result<()> {
    browser
        .holds(
            "nothing waits",
            "return !document.querySelector('#statement [data-state=pending]') \
             && !Object.keys(localStorage).some(key => key.startsWith('bank.payment.'))",
        )
        .await
}

/// The payment has left the page, and its answer is not here.
async fn is_pending(browser: &Browser) -> Result<()> {
    browser
        .find("#statement [data-state=pending]")
        .await
        .map(drop)
}

pub(crate) async fn given_a_double_click_when_paying_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer) = ready(stage).await?;
    let button = browser.find("#pay-submit").await?;
    browser
        .driver
        .action_chain()
        .double_click_element(&button)
        .perform()
        .await?;
    is_paid_once(browser, &customer).await?;
    ensure!(
        browser.text("#error-summary").await?.is_empty(),
        "the second press complains"
    );
    Ok(())
}

pub(crate) async fn given_enter_held_down_when_paying_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer) = ready(stage).await?;
    let enter = json!({ "type": "rawKeyDown", "key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13, "text": "\r" });
    for is_repeat in [false, true, true, true] {
        let mut press = enter.clone();
        press["type"] = json!("keyDown");
        press["autoRepeat"] = json!(is_repeat);
        browser.tell("Input.dispatchKeyEvent", press).await?;
    }
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_a_double_click_when_depositing_then_it_is_booked_once(
    stage: &Stage,
) -> Result<()> {
    let customer = Customer::with(&stage.page, 0).await?;
    let browser = &stage.browser;
    customer.enter(browser, &stage.page).await?;
    let button = browser.find("#deposit-5000").await?;
    browser
        .driver
        .action_chain()
        .double_click_element(&button)
        .perform()
        .await?;
    browser.balance_is(5_000).await?;
    nothing_waits(browser).await?;
    customer.has_booked(&[5_000]).await
}

pub(crate) async fn given_no_answer_when_reloaded_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Deaf);
    browser.click("#pay-submit").await?;
    is_pending(browser).await?;
    customer.has_booked(&[-1_234, FUNDS]).await?;
    reopen(&proxy);
    browser.driver.refresh().await?;
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_no_answer_when_a_second_tab_opens_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Cut);
    browser.click("#pay-submit").await?;
    is_pending(browser).await?;
    proxy.set(Line::Open);
    let first = browser.driver.window().await?;
    let second = browser.driver.new_tab().await?;
    browser.driver.switch_to_window(second).await?;
    browser.go(&format!("{}/client", proxy.page)).await?;
    is_paid_once(browser, &customer).await?;
    browser.driver.switch_to_window(first).await?;
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_a_cut_line_when_paying_then_it_is_paid_once_when_it_is_back(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Cut);
    browser.click("#pay-submit").await?;
    browser
        .says(
            "#statement [data-state=pending]",
            "Not known yet whether the bank has your payment.",
        )
        .await?;
    browser
        .says("#connection-banner", "Connection lost.")
        .await?;
    ensure!(
        customer.changes().await? == [FUNDS],
        "nothing can have been paid yet"
    );
    proxy.set(Line::Open);
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_an_answer_that_was_lost_when_the_line_is_back_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Deaf);
    browser.click("#pay-submit").await?;
    customer.has_booked(&[-1_234, FUNDS]).await?;
    is_pending(browser).await?;
    reopen(&proxy);
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_no_answer_when_storage_is_cleared_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Cut);
    browser.click("#pay-submit").await?;
    is_pending(browser).await?;
    browser
        .run("localStorage.clear(); sessionStorage.clear()", vec![])
        .await?;
    proxy.set(Line::Open);
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_no_answer_when_one_goes_back_and_forth_then_it_is_paid_once(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer, proxy) = ready_behind_a_proxy(stage).await?;
    proxy.set(Line::Cut);
    browser.click("#pay-submit").await?;
    is_pending(browser).await?;
    browser.click("#nav-results").await?;
    browser
        .holds("elsewhere", "return location.pathname == '/results'")
        .await?;
    browser.driver.back().await?;
    browser
        .holds("back", "return location.pathname == '/client'")
        .await?;
    browser.driver.forward().await?;
    proxy.set(Line::Open);
    browser.driver.back().await?;
    is_paid_once(browser, &customer).await
}

pub(crate) async fn given_a_payment_that_was_made_when_pay_is_pressed_again_then_it_asks_for_input(
    stage: &Stage,
) -> Result<()> {
    let (browser, customer) = ready(stage).await?;
    browser.click("#pay-submit").await?;
    is_paid_once(browser, &customer).await?;
    eventually("the fields are empty", PATIENCE, async || {
        let typed = browser.find("#pay-amount").await?.prop("value").await?;
        ensure!(typed.as_deref() == Some(""), "{typed:?}");
        Ok(())
    })
    .await?;
    browser.click("#pay-submit").await?;
    browser
        .says("#error-summary", "3 things to correct")
        .await?;
    customer.has_booked(&[-1_234, FUNDS]).await
}

/// A customer whose form is filled in.
async fn ready(stage: &Stage) -> Result<(&Browser, Customer)> {
    let customer = Customer::with(&stage.page, FUNDS).await?;
    customer.enter(&stage.browser, &stage.page).await?;
    fill(&stage.browser).await?;
    Ok((&stage.browser, customer))
}

/// A customer whose form is filled in, behind a line that can be cut.
async fn ready_behind_a_proxy(stage: &Stage) -> Result<(&Browser, Customer, Proxy)> {
    let proxy = Proxy::before(&stage.page).await?;
    let customer = Customer::with(&stage.page, FUNDS).await?;
    customer.enter(&stage.browser, &proxy.page).await?;
    stage.browser.statement_is(&[FUNDS]).await?;
    fill(&stage.browser).await?;
    Ok((&stage.browser, customer, proxy))
}

/// What did not come through never will; from now on everything does.
fn reopen(proxy: &Proxy) {
    proxy.set(Line::Cut);
    proxy.set(Line::Open);
}
