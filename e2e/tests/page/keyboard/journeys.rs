//! Whole journeys by keys alone.

use anyhow::{Result, ensure};
use serde_json::json;
use thirtyfour::Key;

use super::Sees::{Address, Focus, Shown, Statement, True, Words};
use super::{at, enter_as_employee, fields, focus_is, tab_to};
use crate::Stage;
use crate::employee::two_accounts;
use crate::people::{COMPANY_IBAN, Customer, PASSWORD};

/// The same account with two digits exchanged.
const MISTYPED_IBAN: &str = "NL66 OPEN 0000 0000 01";

pub(crate) async fn given_keys_alone_when_a_customer_opens_pays_errs_mends_and_leaves_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let name = format!("k-{}", &uuid::Uuid::new_v4().simple().to_string()[..23]);
    let credentials = fields(&[&name, PASSWORD]);
    browser.go(&stage.page).await?;
    // To the page, and to Client by the menu; its heading is read first.
    at(browser, "#nav-client", Key::Enter, Focus("h1")).await?;
    // Too short: what is wrong takes the focus, its links lead to the fields.
    let too_short = fields(&["short"]);
    at(
        browser,
        "#open-user-name",
        too_short,
        Focus("#error-summary"),
    )
    .await?;
    let mistake = "#error-summary a[href='#open-user-name']";
    at(browser, mistake, Key::Enter, Focus("#open-user-name")).await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(credentials.as_str()).await?;
    browser.find("#own-iban").await?;
    focus_is(browser, "h1").await?;
    // Out, and in again.
    at(browser, "#sign-out", Key::Enter, Shown("#sign-in-submit")).await?;
    focus_is(browser, "h1").await?;
    at(
        browser,
        "#sign-in-user-name",
        credentials,
        Shown("#own-iban"),
    )
    .await?;
    focus_is(browser, "h1").await?;
    // Cash by the space bar: the button keeps the focus.
    at(browser, "#deposit-5000", " ", Statement(&[5_000])).await?;
    focus_is(browser, "#deposit-5000").await?;
    // A payment with a mistake in it.
    let payment = fields(&[MISTYPED_IBAN, "12,30", "by keys"]);
    at(browser, "#pay-to", payment, Focus("#error-summary")).await?;
    at(browser, "#error-summary a", Key::Enter, Focus("#pay-to")).await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(fields(&[COMPANY_IBAN])).await?;
    browser.statement_is(&[-1_230, 5_000]).await?;
    browser
        .says("#status", "Payment of € 12,30 confirmed.")
        .await?;
    // One the bank refuses; it stays until it is dismissed.
    let dismiss = "#statement [data-state=rejected] button";
    let too_much = fields(&[COMPANY_IBAN, "900.000", "too much"]);
    at(browser, "#pay-to", too_much, Shown(dismiss)).await?;
    let is_gone = "return !document.querySelector('#statement [data-state=rejected]')";
    at(browser, dismiss, Key::Enter, True(is_gone)).await?;
    // A filter: opened, used, folded by Escape.
    let unfolds = ".filter > summary";
    at(browser, unfolds, Key::Enter, Shown(".filter form")).await?;
    let text = "#statement-filter-text";
    at(browser, text, fields(&["keys"]), Statement(&[-1_230])).await?;
    browser.press(Key::Escape).await?;
    focus_is(browser, unfolds).await?;
    browser
        .holds(
            "it is folded",
            "return !document.querySelector('details.filter').open",
        )
        .await?;
    // The record, hop by hop.
    let standing = Words("#trail-standing", "Confirmed");
    at(browser, "#statement .serial a", Key::Enter, standing).await?;
    focus_is(browser, "h1").await?;
    let fields_of_record = Words(".trail-records details[open]", "Fields");
    at(
        browser,
        ".trail-records summary",
        Key::Enter,
        fields_of_record,
    )
    .await?;
    let same = Words("#again-outcome", "the same answer again");
    at(browser, "#send-again", " ", same).await?;
    at(browser, "#nav-client", Key::Enter, Shown("#own-iban")).await?;
    at(browser, "#sign-out", Key::Enter, Shown("#sign-in-submit")).await?;
    focus_is(browser, "h1").await
}

pub(crate) async fn given_keys_alone_when_an_employee_searches_sorts_follows_and_sets_the_load_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = two_accounts(stage).await?;
    enter_as_employee(stage).await?;
    focus_is(browser, "h1").await?;
    // Sorted by an arrow key, and the choice keeps the focus.
    at(browser, "#account-order", Key::Down, Address("?sort=iban")).await?;
    focus_is(browser, "#account-order").await?;
    browser.press(Key::Up).await?;
    let found = Words(".list-head", "1 account");
    at(browser, "#account-search", fields(&[&one.iban[8..]]), found).await?;
    at(browser, "#account-list a", Key::Enter, Statement(&[1_000])).await?;
    focus_is(browser, "[data-heading]").await?;
    // Another beside it.
    tab_to(browser, "#account-search").await?;
    browser.press_with(Key::Control, "a").await?;
    browser.press(fields(&[&other.iban[8..]])).await?;
    browser
        .find(&format!("#account-list a[data-iban='{}']", other.iban))
        .await?;
    let together = Words("#together", "€ 15,00");
    at(browser, "#account-list input", " ", together).await?;
    let the_other = format!("return location.pathname === '/employee/{}'", other.iban);
    at(browser, ".stop-following", Key::Enter, True(&the_other)).await?;
    // The load, by arrows.
    tab_to(browser, "#load-range").await?;
    browser.press(Key::Home).await?;
    browser.press(Key::Right).await?;
    browser.press(Key::Right).await?;
    let is_set = Words("#status", "Load set to 10 per second.");
    at(browser, "#load-set", Key::Enter, is_set).await?;
    let is_stopped = Words("#status", "Load set to 0 per second.");
    at(browser, "#load-stop", Key::Enter, is_stopped).await
}

pub(crate) async fn given_keys_alone_when_one_looks_at_the_live_bank_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 1_234).await?;
    browser.go(&stage.page).await?;
    // The lamp leads to the list of invariants.
    at(browser, "#auditor-lamp", Key::Enter, Focus("#auditor")).await?;
    let is_paused = Words("#live-pause", "Resume updates");
    at(browser, "#live-pause", Key::Enter, is_paused).await?;
    browser.press(Key::Enter).await?;
    browser.says("#live-pause", "Pause updates").await?;
    // From a part of the drawing to its panel, or its records.
    let (handler, panel) = ("[data-node='command-handler']", "#part-command-handler");
    at(browser, handler, Key::Enter, Focus(panel)).await?;
    let topic = "[data-node='topic:balance_changed']";
    at(browser, topic, Key::Enter, Focus("#topic-heading")).await?;
    let one_record =
        True("return document.querySelectorAll('#topic-records tbody.record').length === 1");
    at(
        browser,
        "#topic-filter",
        fields(&[&customer.iban]),
        one_record,
    )
    .await?;
    let amount = Words("#topic-records .record-fields", "1234 (€ 12,34)");
    at(browser, "#topic-records .opener", Key::Enter, amount).await?;
    let is_paused = Words("#topic-pause", "Resume updates");
    at(browser, "#topic-pause", " ", is_paused).await?;
    // Another topic by an arrow key; the choice keeps the focus.
    let before = browser.text("#topic-heading").await?;
    let another = format!(
        "return document.getElementById('topic-heading').textContent !== {}",
        json!(before)
    );
    at(browser, "#topic-choice", Key::Up, True(&another)).await?;
    focus_is(browser, "#topic-choice").await?;
    let kill = Words(".breaking[open] pre", "kill");
    at(browser, ".breaking summary", Key::Enter, kill).await
}

pub(crate) async fn given_keys_alone_when_runs_are_compared_then_all_of_it_works(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/results", stage.page)).await?;
    let another = True("return location.search.startsWith('?against=')");
    at(browser, "#results-against", Key::Down, another).await?;
    focus_is(browser, "#results-against").await?;
    browser.press(Key::Home).await?;
    let p95 = Address("percentile=p95");
    at(browser, ".percentiles input", Key::Right, p95).await?;
    focus_is(browser, ".percentiles input:checked").await?;
    tab_to(browser, "#latency-read").await?;
    let before = browser.text(".read-at output").await?;
    browser.press(Key::Left).await?;
    let after = browser.text(".read-at output").await?;
    ensure!(before != after, "the cross-hair stays at {before}");
    let table = Shown("figure.chart details table");
    at(browser, "figure.chart details summary", Key::Enter, table).await?;
    let chart = ".wide-list a[href^='/results/recovery']";
    at(
        browser,
        chart,
        Key::Enter,
        Words("#chart-heading", "Recovery"),
    )
    .await?;
    focus_is(browser, "#chart-heading").await
}

pub(crate) async fn given_keys_alone_when_the_tour_is_taken_then_it_leads_to_its_end(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/how-it-works", stage.page)).await?;
    at(browser, "#demo-customer", Key::Enter, Shown("#tour-pay")).await?;
    let confirmed = Words("#tour-outcome", "Confirmed");
    at(browser, "#tour-pay", Key::Enter, confirmed).await?;
    for place in 2..=8 {
        let heading = format!("{place} ");
        let step = Words(".tour-step h2", &heading);
        at(browser, ".steps-around .next", Key::Enter, step).await?;
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
    at(browser, "#menu", Key::Enter, Shown("#nav-live")).await?;
    at(browser, "#nav-live", Key::Escape, Focus("#menu")).await?;
    browser
        .holds(
            "it is closed",
            "return !document.getElementById('nav-live').checkVisibility()",
        )
        .await?;
    // The form stands behind its button, and opens with the focus in it.
    at(
        browser,
        "[aria-controls=act-pay]",
        Key::Enter,
        Focus("#pay-to"),
    )
    .await?;
    browser
        .press(fields(&[COMPANY_IBAN, "1", "narrow"]))
        .await?;
    browser.statement_is(&[-100, 5_000]).await?;
    at(browser, "#menu", Key::Enter, Shown("#nav-live")).await?;
    at(browser, "#nav-live", Key::Enter, Focus("h1")).await?;
    let part = True("return document.activeElement.id.startsWith('part-')");
    at(browser, ".flow-step a", Key::Enter, part).await
}
