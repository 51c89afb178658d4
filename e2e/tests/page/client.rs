//! A customer's own account: the statement and what one does with it.

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::json;
use thirtyfour::prelude::*;

use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer, PASSWORD};
use crate::proxy::{Line, Proxy};

/// Signs somebody in who has a deposit of € 500,00 and paid rent, a book, and rent again.
pub(crate) async fn enter_with_rents(stage: &Stage) -> Result<Customer> {
    let customer = Customer::with(&stage.page, 50_000).await?;
    for (cents, description) in [
        (1_000, "Rent of May"),
        (2_500, "Book"),
        (300, "RENT of June"),
    ] {
        customer.pay(COMPANY_IBAN, cents, description).await?;
    }
    customer.enter(&stage.browser, &stage.page).await?;
    Ok(customer)
}

pub(crate) async fn given_a_statement_when_filtered_then_only_what_matches_is_shown_also_live(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = enter_with_rents(stage).await?;
    browser
        .statement_is(&[-300, -2_500, -1_000, 50_000])
        .await?;
    browser.click(".filter > summary").await?;
    browser.fill("#statement-filter-text", "rent").await?;
    browser.click(".filter .apply").await?;
    browser.statement_is(&[-300, -1_000]).await?;
    // What comes in meanwhile is judged too; the balance counts all of it.
    customer.pay(COMPANY_IBAN, 50, "a rental").await?;
    customer
        .pay(COMPANY_IBAN, 60, "nothing of the kind")
        .await?;
    browser.statement_is(&[-50, -300, -1_000]).await?;
    browser.balance_is(50_000 - 3_910).await?;
    browser.fill("#statement-filter-text", "").await?;
    browser.fill("#statement-filter-least", "10").await?;
    browser.fill("#statement-filter-most", "25,00").await?;
    browser.click(".filter .apply").await?;
    browser.statement_is(&[-2_500, -1_000]).await?;
    browser.fill("#statement-filter-least", "ten").await?;
    browser.click(".filter .apply").await?;
    browser
        .says(".filter .field-error", "Enter an amount, such as 12,30.")
        .await?;
    browser.fill("#statement-filter-least", "").await?;
    browser.fill("#statement-filter-most", "").await?;
    browser
        .fill("#statement-filter-text", "no such words")
        .await?;
    browser.click(".filter .apply").await?;
    browser
        .says("#statement .empty", "Nothing matches these filters.")
        .await?;
    browser.click("#statement .empty button").await?;
    browser
        .statement_is(&[-60, -50, -300, -2_500, -1_000, 50_000])
        .await
}

pub(crate) async fn given_many_transactions_when_asked_for_older_then_all_come_once(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 0).await?;
    let cents: Vec<i64> = (1..=60).collect();
    for cents in &cents {
        customer.deposit(*cents).await?;
    }
    customer.enter(browser, &stage.page).await?;
    let newest_first: Vec<i64> = cents.iter().rev().copied().collect();
    browser.statement_is(&newest_first[..25]).await?;
    browser.click(".show-older").await?;
    browser.statement_is(&newest_first[..50]).await?;
    browser.click(".show-older").await?;
    browser.statement_is(&newest_first).await?;
    let left = browser
        .run(
            "return document.querySelectorAll('.show-older').length",
            vec![],
        )
        .await?;
    ensure!(left == json!(0), "there is nothing older");
    adds_up(stage).await
}

/// Each balance is the one below it plus the amount.
async fn adds_up(stage: &Stage) -> Result<()> {
    let wrong = stage
        .browser
        .run(
            "const rows = [...document.querySelectorAll('#statement [data-state=confirmed]')];\
             const cents = (row, s) => BigInt(row.querySelector(s).value);\
             return rows.filter((row, i) => i + 1 < rows.length && \
             cents(row, '.after data') !== cents(rows[i + 1], '.after data') + cents(row, 'data')).length",
            vec![],
        )
        .await?;
    ensure!(wrong == json!(0), "{wrong} rows do not add up");
    Ok(())
}

pub(crate) async fn given_columns_and_rows_when_chosen_then_they_are_remembered(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 0).await?;
    for cents in 1..=8 {
        customer.deposit(cents).await?;
    }
    customer.enter(browser, &stage.page).await?;
    browser.statement_is(&[8, 7, 6, 5, 4, 3, 2, 1]).await?;
    browser.click(".rows option[value='5']").await?;
    browser.statement_is(&[8, 7, 6, 5, 4]).await?;
    browser.click(".columns > summary").await?;
    browser.click("[data-column=new-balance]").await?;
    browser.click("[data-column=own-iban]").await?;
    let is_so = "const shown = s => document.querySelector('#statement ' + s).checkVisibility(); \
         return !shown('.after') && shown('.own') && shown('.amounts > data')";
    browser.holds("the columns are chosen", is_so).await?;
    browser.driver.refresh().await?;
    browser.statement_is(&[8, 7, 6, 5, 4]).await?;
    browser.holds("the columns are remembered", is_so).await
}

pub(crate) async fn given_a_statement_when_downloaded_then_it_has_every_transaction(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 10_000).await?;
    customer.pay("Shop", 1_234, "=1+1, \"quoted\"").await?;
    customer.enter(browser, &stage.page).await?;
    browser.statement_is(&[-1_234, 10_000]).await?;
    // What the browser would write to a file is read where it is made.
    browser
        .run(
            "const make = URL.createObjectURL; URL.createObjectURL = blob => { \
             blob.text().then(text => { window.downloaded = text }); return make(blob); }",
            vec![],
        )
        .await?;
    browser.click(".download").await?;
    let file = eventually("the file is made", PATIENCE, async || {
        let text = browser.run("return window.downloaded", vec![]).await?;
        text.as_str().map(str::to_owned).context("no file yet")
    })
    .await?;
    let lines: Vec<_> = file.lines().collect();
    ensure!(lines.len() == 3, "{file}");
    ensure!(
        lines[1].contains("\"'=1+1, \"\"quoted\"\"\",-12.34,87.66,"),
        "{file}"
    );
    ensure!(lines[2].contains(",100.00,100.00,"), "{file}");
    Ok(())
}

pub(crate) async fn given_a_cut_line_when_it_is_back_then_nothing_is_missing_and_nothing_twice(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let proxy = Proxy::before(&stage.page).await?;
    let customer = Customer::with(&stage.page, 1_000).await?;
    customer.enter(browser, &proxy.page).await?;
    browser.statement_is(&[1_000]).await?;
    let mut expected = vec![1_000];
    for round in 1..=3 {
        proxy.set(Line::Cut);
        browser
            .says("#connection-banner", "Connection lost.")
            .await?;
        browser
            .says("#connection-banner", "What you see is as of ")
            .await?;
        for cents in [round * 10 + 1, round * 10 + 2] {
            customer.deposit(cents).await?;
            expected.insert(0, cents);
        }
        proxy.set(Line::Open);
        browser.statement_is(&expected).await?;
        browser
            .says("#connection-banner", "Back. 2 changes came in meanwhile.")
            .await?;
        browser
            .holds(
                "they are marked",
                "return document.querySelectorAll('#statement .missed').length >= 2",
            )
            .await?;
        browser.balance_is(expected.iter().sum()).await?;
    }
    proxy.set(Line::Cut);
    browser
        .says("#connection-banner", "Connection lost.")
        .await?;
    proxy.set(Line::Open);
    browser
        .says("#connection-banner", "Back. Nothing was missed.")
        .await?;
    browser.click("#connection-banner button").await?;
    browser
        .holds(
            "closed",
            "return document.getElementById('connection-banner').dataset.state === 'live'",
        )
        .await?;
    // Still live.
    customer.deposit(7).await?;
    expected.insert(0, 7);
    browser.statement_is(&expected).await?;
    adds_up(stage).await
}

pub(crate) async fn given_another_tab_when_one_signs_out_then_this_one_does_too(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = (
        Customer::with(&stage.page, 1_000).await?,
        Customer::with(&stage.page, 2_000).await?,
    );
    one.enter(browser, &stage.page).await?;
    browser.balance_is(1_000).await?;
    let first = browser.driver.window().await?;
    let second = browser.driver.new_tab().await?;
    browser.driver.switch_to_window(second).await?;
    browser.go(&format!("{}/client", stage.page)).await?;
    browser.click("#sign-out").await?;
    browser.sign_in(&other.user_name, PASSWORD).await?;
    browser.balance_is(2_000).await?;
    browser.driver.switch_to_window(first).await?;
    browser.balance_is(2_000).await?;
    // And it is live for the one who is signed in now.
    other.deposit(5).await?;
    browser.balance_is(2_005).await
}

pub(crate) async fn given_sessions_elsewhere_when_one_signs_out_on_all_devices_then_they_end(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 1_000).await?;
    customer.enter(browser, &stage.page).await?;
    browser.click("#sign-out-everywhere").await?;
    browser.find("#sign-in-submit").await?;
    let me = customer.data("{ me { userName } }", json!({})).await?;
    ensure!(me["me"].is_null(), "still signed in elsewhere: {me}");
    Ok(())
}

pub(crate) async fn given_a_theme_and_formats_when_chosen_then_they_stay(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 123_456).await?;
    customer.enter(browser, &stage.page).await?;
    browser.says("#balance", "€ 1.234,56").await?;
    browser.fill("#pay-description", "typed before").await?;
    browser
        .click("#footer-formats option[value='en-GB']")
        .await?;
    browser.says("#balance", "€1,234.56").await?;
    browser.says("#statement .amounts", "+€1,234.56").await?;
    let typed = browser
        .find("#pay-description")
        .await?
        .prop("value")
        .await?;
    ensure!(
        typed.as_deref() == Some("typed before"),
        "what was typed is lost"
    );
    browser.click("#footer-theme option[value=dark]").await?;
    let paper = "return getComputedStyle(document.body).backgroundColor === 'rgb(17, 22, 21)'";
    browser.holds("it is dark", paper).await?;
    browser.driver.refresh().await?;
    browser.says("#balance", "€1,234.56").await?;
    browser.holds("it is still dark", paper).await?;
    let day = browser.text("#statement tr.day").await?;
    // The language of the month follows: days are written as Intl of the browser writes them.
    let intl = browser
        .run("return new Intl.DateTimeFormat('en-GB', { day: 'numeric', month: 'long', year: 'numeric' }).format(new Date())", vec![])
        .await?;
    ensure!(intl == json!(day), "{day} is not {intl}");
    browser
        .click("#footer-formats option[value='nl-NL']")
        .await?;
    browser.says("#balance", "€ 1.234,56").await
}

pub(crate) async fn given_the_keyboard_alone_when_one_pays_then_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 5_000).await?;
    customer.enter(browser, &stage.page).await?;
    browser.driver.refresh().await?;
    browser.balance_is(5_000).await?;
    let [tab, enter] = [Key::Tab, Key::Enter].map(|key| key.value().to_string());
    let press = async |keys: &str| -> Result<()> {
        Ok(browser
            .driver
            .action_chain()
            .send_keys(keys)
            .perform()
            .await?)
    };
    press(&tab).await?;
    browser
        .holds(
            "the first stop skips to the page",
            "return document.activeElement.className === 'skip'",
        )
        .await?;
    press(&enter).await?;
    browser
        .holds(
            "the focus is in the page",
            "return document.activeElement.id === 'main'",
        )
        .await?;
    let mut stops = 0;
    while browser
        .run("return document.activeElement.id", vec![])
        .await?
        != json!("pay-to")
    {
        press(&tab).await?;
        stops += 1;
        ensure!(stops < 10, "the form is too far away");
        let has_ring = "const style = getComputedStyle(document.activeElement); return style.outlineStyle === 'solid' && parseFloat(style.outlineWidth) >= 2";
        browser.holds("the ring is seen", has_ring).await?;
    }
    press(&format!("{COMPANY_IBAN}{tab}12,30{tab}by keys{enter}")).await?;
    browser.statement_is(&[-1_230, 5_000]).await?;
    browser
        .says("#status", "Payment of € 12,30 confirmed.")
        .await
}
