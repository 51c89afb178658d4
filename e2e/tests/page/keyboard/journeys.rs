//! Whole journeys by keys alone.

use anyhow::{Result, ensure};
use serde_json::json;
use thirtyfour::Key;

use super::{focus_is, tab_to};
use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer, PASSWORD};

/// The same account with two digits exchanged.
const MISTYPED_IBAN: &str = "NL66 OPEN 0000 0000 01";

pub(crate) async fn given_keys_alone_when_a_customer_opens_pays_errs_mends_and_leaves_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let name = format!("k{}", &uuid::Uuid::new_v4().simple().to_string()[..24]);
    browser.go(&stage.page).await?;
    // To the page, and to Client by the menu; its heading is read first.
    tab_to(browser, "#nav-client").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "h1").await?;
    // Too short: what is wrong takes the focus, its links lead to the fields.
    tab_to(browser, "#open-user-name").await?;
    browser.press("short").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#error-summary").await?;
    tab_to(browser, "#error-summary a[href='#open-user-name']").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#open-user-name").await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(name.as_str()).await?;
    browser.press(Key::Tab).await?;
    browser.press(PASSWORD).await?;
    browser.press(Key::Enter).await?;
    browser.find("#own-iban").await?;
    focus_is(browser, "h1").await?;
    // Out, and in again.
    tab_to(browser, "#sign-out").await?;
    browser.press(Key::Enter).await?;
    browser.find("#sign-in-submit").await?;
    focus_is(browser, "h1").await?;
    tab_to(browser, "#sign-in-user-name").await?;
    browser.press(name.as_str()).await?;
    browser.press(Key::Tab).await?;
    browser.press(PASSWORD).await?;
    browser.press(Key::Enter).await?;
    browser.find("#own-iban").await?;
    focus_is(browser, "h1").await?;
    // Cash by the space bar: the button keeps the focus.
    tab_to(browser, "#deposit-5000").await?;
    browser.press(" ").await?;
    browser.statement_is(&[5_000]).await?;
    focus_is(browser, "#deposit-5000").await?;
    // A payment with a mistake in it.
    tab_to(browser, "#pay-to").await?;
    browser.press(MISTYPED_IBAN).await?;
    browser.press(Key::Tab).await?;
    browser.press("12,30").await?;
    browser.press(Key::Tab).await?;
    browser.press("by keys").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#error-summary").await?;
    tab_to(browser, "#error-summary a").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#pay-to").await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(COMPANY_IBAN).await?;
    browser.press(Key::Enter).await?;
    browser.statement_is(&[-1_230, 5_000]).await?;
    browser
        .says("#status", "Payment of € 12,30 confirmed.")
        .await?;
    // One the bank refuses; it stays until it is dismissed.
    tab_to(browser, "#pay-to").await?;
    browser.press(COMPANY_IBAN).await?;
    browser.press(Key::Tab).await?;
    browser.press("900.000").await?;
    browser.press(Key::Tab).await?;
    browser.press("too much").await?;
    tab_to(browser, "#pay-submit").await?;
    browser.press(" ").await?;
    browser
        .find("#statement [data-state=rejected] button")
        .await?;
    tab_to(browser, "#statement [data-state=rejected] button").await?;
    browser.press(Key::Enter).await?;
    browser
        .holds(
            "it is gone",
            "return !document.querySelector('#statement [data-state=rejected]')",
        )
        .await?;
    // A filter: opened, used, folded by Escape.
    tab_to(browser, ".filter > summary").await?;
    browser.press(Key::Enter).await?;
    tab_to(browser, "#statement-filter-text").await?;
    browser.press("keys").await?;
    browser.press(Key::Enter).await?;
    browser.statement_is(&[-1_230]).await?;
    browser.press(Key::Escape).await?;
    focus_is(browser, ".filter > summary").await?;
    browser
        .holds(
            "it is folded",
            "return !document.querySelector('details.filter').open",
        )
        .await?;
    // The record, hop by hop.
    tab_to(browser, "#statement .serial a").await?;
    browser.press(Key::Enter).await?;
    browser.says("#trail-standing", "Confirmed").await?;
    focus_is(browser, "h1").await?;
    tab_to(browser, ".trail-records summary").await?;
    browser.press(Key::Enter).await?;
    browser
        .says(".trail-records details[open]", "Fields")
        .await?;
    tab_to(browser, "#send-again").await?;
    browser.press(" ").await?;
    browser
        .says("#again-outcome", "the same answer again")
        .await?;
    tab_to(browser, "#nav-client").await?;
    browser.press(Key::Enter).await?;
    tab_to(browser, "#sign-out").await?;
    browser.press(Key::Enter).await?;
    browser.find("#sign-in-submit").await?;
    focus_is(browser, "h1").await
}

pub(crate) async fn given_keys_alone_when_an_employee_searches_sorts_follows_and_sets_the_load_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = (
        Customer::with(&stage.page, 1_000).await?,
        Customer::with(&stage.page, 500).await?,
    );
    browser.go(&format!("{}/employee", stage.page)).await?;
    tab_to(browser, "#demo-employee").await?;
    browser.press(Key::Enter).await?;
    browser.find("#account-list").await?;
    focus_is(browser, "h1").await?;
    // Sorted by an arrow key, and the choice keeps the focus.
    tab_to(browser, "#account-order").await?;
    browser.press(Key::Down).await?;
    browser
        .holds(
            "the address says so",
            "return location.search === '?sort=iban'",
        )
        .await?;
    focus_is(browser, "#account-order").await?;
    browser.press(Key::Up).await?;
    tab_to(browser, "#account-search").await?;
    browser.press(&one.iban[8..]).await?;
    browser.press(Key::Enter).await?;
    browser.says(".list-head", "1 account").await?;
    tab_to(browser, "#account-list a").await?;
    browser.press(Key::Enter).await?;
    browser.statement_is(&[1_000]).await?;
    focus_is(browser, "[data-heading]").await?;
    // Another beside it.
    tab_to(browser, "#account-search").await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(&other.iban[8..]).await?;
    browser.press(Key::Enter).await?;
    browser
        .find(&format!("#account-list a[data-iban='{}']", other.iban))
        .await?;
    tab_to(browser, "#account-list input").await?;
    browser.press(" ").await?;
    browser.says("#together", "€ 15,00").await?;
    tab_to(browser, ".stop-following").await?;
    browser.press(Key::Enter).await?;
    browser
        .holds(
            "the other is left",
            &format!("return location.pathname === '/employee/{}'", other.iban),
        )
        .await?;
    // The load, by arrows.
    tab_to(browser, "#load-range").await?;
    browser.press(Key::Home).await?;
    browser.press(Key::Right).await?;
    browser.press(Key::Right).await?;
    tab_to(browser, "#load-set").await?;
    browser.press(Key::Enter).await?;
    browser
        .says("#status", "Load set to 10 per second.")
        .await?;
    tab_to(browser, "#load-stop").await?;
    browser.press(Key::Enter).await?;
    browser.says("#status", "Load set to 0 per second.").await
}

pub(crate) async fn given_keys_alone_when_one_looks_at_the_live_bank_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 1_234).await?;
    browser.go(&stage.page).await?;
    // The lamp leads to the list of invariants.
    tab_to(browser, "#auditor-lamp").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#auditor").await?;
    tab_to(browser, "#live-pause").await?;
    browser.press(Key::Enter).await?;
    browser.says("#live-pause", "Resume updates").await?;
    browser.press(Key::Enter).await?;
    browser.says("#live-pause", "Pause updates").await?;
    // From a part of the drawing to its panel, or its records.
    tab_to(browser, "[data-node='command-handler']").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#part-command-handler").await?;
    tab_to(browser, "[data-node='topic:balance_changed']").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#topic-heading").await?;
    tab_to(browser, "#topic-filter").await?;
    browser.press(customer.iban.as_str()).await?;
    browser.press(Key::Enter).await?;
    browser
        .holds(
            "only that account's",
            "return document.querySelectorAll('#topic-records tbody.record').length === 1",
        )
        .await?;
    tab_to(browser, "#topic-records .opener").await?;
    browser.press(Key::Enter).await?;
    browser
        .says("#topic-records .record-fields", "1234 (€ 12,34)")
        .await?;
    tab_to(browser, "#topic-pause").await?;
    browser.press(" ").await?;
    browser.says("#topic-pause", "Resume updates").await?;
    // Another topic by an arrow key; the choice keeps the focus.
    tab_to(browser, "#topic-choice").await?;
    let before = browser.text("#topic-heading").await?;
    browser.press(Key::Up).await?;
    browser
        .holds(
            "another topic",
            &format!(
                "return document.getElementById('topic-heading').textContent !== {}",
                json!(before)
            ),
        )
        .await?;
    focus_is(browser, "#topic-choice").await?;
    tab_to(browser, ".breaking summary").await?;
    browser.press(Key::Enter).await?;
    browser.says(".breaking[open] pre", "kill").await
}

pub(crate) async fn given_keys_alone_when_runs_are_compared_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/results", stage.page)).await?;
    tab_to(browser, "#results-against").await?;
    browser.press(Key::Down).await?;
    browser
        .holds(
            "the address says so",
            "return location.search.startsWith('?against=')",
        )
        .await?;
    focus_is(browser, "#results-against").await?;
    browser.press(Key::Home).await?;
    tab_to(browser, ".percentiles input").await?;
    browser.press(Key::Right).await?;
    browser
        .holds("p95", "return location.search.endsWith('percentile=p95')")
        .await?;
    focus_is(browser, ".percentiles input:checked").await?;
    tab_to(browser, "#latency-read").await?;
    let before = browser.text(".read-at output").await?;
    browser.press(Key::Left).await?;
    let after = browser.text(".read-at output").await?;
    ensure!(before != after, "the cross-hair stays at {before}");
    tab_to(browser, "figure.chart details summary").await?;
    browser.press(Key::Enter).await?;
    browser.find("figure.chart details table").await?;
    tab_to(browser, ".wide-list a[href^='/results/recovery']").await?;
    browser.press(Key::Enter).await?;
    browser.says("#chart-heading", "Recovery").await?;
    focus_is(browser, "#chart-heading").await
}

pub(crate) async fn given_keys_alone_when_the_tour_is_taken_then_it_leads_to_its_end(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/how-it-works", stage.page)).await?;
    tab_to(browser, "#demo-customer").await?;
    browser.press(Key::Enter).await?;
    tab_to(browser, "#tour-pay").await?;
    browser.press(Key::Enter).await?;
    browser.says("#tour-outcome", "Confirmed").await?;
    for place in 2..=8 {
        tab_to(browser, ".steps-around .next").await?;
        browser.press(Key::Enter).await?;
        browser.says(".tour-step h2", &format!("{place} ")).await?;
        focus_is(browser, ".tour-step h2").await?;
    }
    Ok(())
}

pub(crate) async fn given_keys_alone_in_a_narrow_window_when_menus_are_opened_then_escape_closes_them(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.window((320, 640)).await?;
    let customer = Customer::with(&stage.page, 5_000).await?;
    customer.enter(browser, &stage.page).await?;
    tab_to(browser, "#menu").await?;
    browser.press(Key::Enter).await?;
    tab_to(browser, "#nav-live").await?;
    browser.press(Key::Escape).await?;
    focus_is(browser, "#menu").await?;
    browser
        .holds(
            "it is closed",
            "return !document.getElementById('nav-live').checkVisibility()",
        )
        .await?;
    // The form stands behind its button, and opens with the focus in it.
    tab_to(browser, "[aria-controls=act-pay]").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "#pay-to").await?;
    browser.press(COMPANY_IBAN).await?;
    browser.press(Key::Tab).await?;
    browser.press("1").await?;
    browser.press(Key::Tab).await?;
    browser.press("narrow").await?;
    browser.press(Key::Enter).await?;
    browser.statement_is(&[-100, 5_000]).await?;
    tab_to(browser, "#menu").await?;
    browser.press(Key::Enter).await?;
    tab_to(browser, "#nav-live").await?;
    browser.press(Key::Enter).await?;
    focus_is(browser, "h1").await?;
    tab_to(browser, ".flow-step a").await?;
    browser.press(Key::Enter).await?;
    browser
        .holds(
            "a part of the bank has the focus",
            "return document.activeElement.id.startsWith('part-')",
        )
        .await
}
