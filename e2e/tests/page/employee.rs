//! The employee's desk, and those who may not sit there.

use anyhow::{Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::json;

use crate::Stage;
use crate::people::Customer;

/// Signs in as the demo employee by a press on that button.
pub(crate) async fn enter_by(
    stage: &Stage,
    path: &str,
    press: impl AsyncFn(&str) -> Result<()>,
) -> Result<()> {
    stage.browser.go(&format!("{}{path}", stage.page)).await?;
    press("#demo-employee").await?;
    stage.browser.find("#account-list").await.map(drop)
}

async fn enter(stage: &Stage, path: &str) -> Result<()> {
    enter_by(stage, path, async |button| {
        stage.browser.click(button).await
    })
    .await
}

/// Two accounts, with € 10,00 and € 5,00 on them.
pub(crate) async fn two_accounts(stage: &Stage) -> Result<(Customer, Customer)> {
    Ok((
        Customer::with(&stage.page, 1_000).await?,
        Customer::with(&stage.page, 500).await?,
    ))
}

async fn listed(stage: &Stage) -> Result<Vec<String>> {
    let script =
        "return [...document.querySelectorAll('#account-list a')].map(a => a.dataset.iban)";
    Ok(serde_json::from_value(
        stage.browser.run(script, vec![]).await?,
    )?)
}

pub(crate) async fn given_accounts_when_searched_sorted_and_paged_then_the_address_keeps_it(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let mut ibans = Vec::new();
    for cents in 1..=22 {
        ibans.push(Customer::with(&stage.page, cents).await?.iban);
    }
    enter(stage, "/employee").await?;
    browser.click("#account-order option[value='1']").await?;
    browser
        .holds(
            "the address says so",
            "return location.search === '?sort=iban'",
        )
        .await?;
    let first = eventually("by IBAN", PATIENCE, async || {
        let listed = listed(stage).await?;
        ensure!(listed.len() == 20 && listed.is_sorted(), "{listed:?}");
        Ok(listed)
    })
    .await?;
    browser.click("#accounts-next").await?;
    browser.says(".pager", "21–").await?;
    let second = listed(stage).await?;
    ensure!(second.is_sorted() && second[0] > first[19], "{second:?}");
    browser.driver.refresh().await?;
    browser.says(".pager", "21–").await?;
    ensure!(
        listed(stage).await? == second,
        "a reload shows another page"
    );
    browser.driver.back().await?;
    browser.says(".pager", "1–20").await?;
    let wanted = &ibans[7];
    browser.fill("#account-search", &wanted[8..]).await?;
    browser.click(".find button").await?;
    eventually("found", PATIENCE, async || {
        let listed = listed(stage).await?;
        ensure!(listed == [wanted.clone()], "{listed:?}");
        Ok(())
    })
    .await?;
    browser.says(".list-head", "1 account").await?;
    browser.fill("#account-search", "NO SUCH IBAN").await?;
    browser.click(".find button").await?;
    browser
        .says(".accounts .empty", "No account matches.")
        .await?;
    browser.click(".accounts .empty button").await?;
    browser.find("#account-list").await.map(drop)
}

pub(crate) async fn given_several_accounts_when_followed_then_each_is_live_and_they_add_up(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = two_accounts(stage).await?;
    enter(stage, &format!("/employee/{}", one.iban)).await?;
    browser.statement_is(&[1_000]).await?;
    browser
        .click(&format!(
            "#account-list input[aria-label*='{}']",
            grouped(&other.iban)
        ))
        .await?;
    let second = format!("balance-{}", other.iban);
    browser.says(&format!("#{second}"), "€ 5,00").await?;
    browser.says("#together", "€ 15,00").await?;
    one.pay(&other.iban, 300, "between the two").await?;
    browser.says("#balance", "€ 7,00").await?;
    browser.says(&format!("#{second}"), "€ 8,00").await?;
    browser.says("#together", "€ 15,00").await?;
    // The same screen after a reload; one less after a stop.
    browser.driver.refresh().await?;
    browser.says("#together", "€ 15,00").await?;
    browser
        .click(".chosen-account:first-of-type .stop-following")
        .await?;
    browser
        .holds(
            "the other is left",
            &format!("return location.pathname === '/employee/{}'", other.iban),
        )
        .await?;
    // An employee follows any record from its row.
    browser.driver.refresh().await?;
    browser.statement_is(&[300, 500]).await?;
    browser
        .click("#statement [data-state=confirmed] .serial a")
        .await?;
    browser
        .holds(
            "at the trail",
            "return location.pathname.startsWith('/trail/')",
        )
        .await
}

fn grouped(iban: &str) -> String {
    let letters: Vec<char> = iban.chars().collect();
    letters
        .chunks(4)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join(" ")
}

pub(crate) async fn given_a_customer_when_they_open_anothers_account_then_they_see_nothing_of_it(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let (one, other) = (
        Customer::with(&stage.page, 1_000).await?,
        Customer::with(&stage.page, 77_777).await?,
    );
    one.enter(browser, &stage.page).await?;
    browser
        .go(&format!("{}/employee/{}", stage.page, other.iban))
        .await?;
    browser.says("main", "For bank employees.").await?;
    browser
        .says("main", "You may not see this as who you are.")
        .await?;
    let text = browser.text("main").await?;
    ensure!(!text.contains("777,77"), "{text}");
    browser
        .holds(
            "it is named",
            "return document.title.endsWith('Bank employee - the Bank')",
        )
        .await
}

pub(crate) async fn given_an_unknown_account_when_opened_then_it_is_said(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    enter(stage, "/employee/NL13OPEN0999999999").await?;
    browser
        .says(
            "#statement",
            "There is no such account, or you may not see it.",
        )
        .await?;
    // And from there on to one that is.
    browser.click("#account-list a").await?;
    browser.find("#balance").await?;
    browser
        .holds(
            "the focus is on its heading",
            "return 'heading' in document.activeElement.dataset",
        )
        .await?;
    ensure!(
        browser.run("return history.length > 1", vec![]).await? == json!(true),
        "no way back"
    );
    Ok(())
}
