//! What was measured, as charts and tables.

use anyhow::{Result, ensure};
use serde_json::{Value, json};
use thirtyfour::Key;

use crate::Stage;

fn published() -> Result<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../perf/published/2019.json");
    Ok(serde_json::from_str(&std::fs::read_to_string(path)?)?)
}

pub(crate) async fn given_every_chart_when_opened_then_it_says_what_was_found_and_can_be_read_as_a_table(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser.go(&format!("{}/results", stage.page)).await?;
    browser.find(".wide-list a").await?;
    let links = browser
        .run("return [...document.querySelectorAll('.wide-list a')].map(a => a.getAttribute('href'))", vec![])
        .await?;
    let links: Vec<String> = serde_json::from_value(links)?;
    ensure!(links.len() == 10, "{links:?}");
    for link in links {
        browser.go(&format!("{}{link}", stage.page)).await?;
        browser
            .find(&format!(".wide-list a[href='{link}'][aria-current=page]"))
            .await?;
        browser.find("#chart-heading").await?;
        let is_whole = "const of = s => [...document.querySelectorAll('.chart-of ' + s)]; \
            const captions = of('figcaption, .finding').every(f => f.textContent.trim().length > 10); \
            const tables = of('figure.chart svg').length === 0 || of('figure.chart details table tbody tr').length > 0; \
            const spoken = of('figure.chart svg').filter(s => s.getAttribute('aria-hidden') !== 'true'); \
            const named = spoken.every(s => s.getAttribute('role') === 'img' && document.getElementById(s.getAttribute('aria-labelledby'))); \
            return captions && tables && named";
        browser.holds(&format!("{link} is whole"), is_whole).await?;
    }
    Ok(())
}

pub(crate) async fn given_the_published_figures_when_drawn_then_they_are_those_of_the_file(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let published = published()?;
    browser
        .go(&format!("{}/results/latency", stage.page))
        .await?;
    browser.find("figure.chart").await?;
    for handler in published["handlers"].as_array().into_iter().flatten() {
        let name = format!("{}, 2019", handler["name"].as_str().unwrap_or_default());
        let steps = handler["steps"].as_array().map_or(0, Vec::len);
        // A log axis has no zero: load 0 is in the chart about idling.
        let rows = browser
            .run(
                "return [...document.querySelectorAll('figure.chart details tbody th')].filter(h => h.textContent === arguments[0]).length",
                vec![json!(name)],
            )
            .await?;
        ensure!(
            rows.as_u64() == Some(steps as u64 - 1),
            "{name}: {rows} of {steps}"
        );
    }
    // The cross-hair is a range: arrows read the chart.
    let range = browser.find("#latency-read").await?;
    let text = |selector: &'static str| browser.text(selector);
    let before = text(".read-at output").await?;
    range.send_keys(Key::Left + "").await?;
    let after = text(".read-at output").await?;
    ensure!(before != after && after.ends_with("/s"), "{before} {after}");
    let download = browser
        .run(
            "return document.querySelector('.chart a[download]').href",
            vec![],
        )
        .await?;
    ensure!(
        download
            .as_str()
            .is_some_and(|href| href.starts_with("data:text/csv")),
        "{download}"
    );
    browser.says(".differs", "2019").await?;
    browser.says(".comparison", "520 (Clojure)").await
}

pub(crate) async fn given_a_run_when_another_is_chosen_then_the_page_shows_that_one(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    browser
        .go(&format!("{}/results/handler", stage.page))
        .await?;
    browser.find("#chart-heading").await?;
    browser
        .holds(
            "the runs are read",
            "return !document.querySelector('main').textContent.includes('Loading our runs')",
        )
        .await?;
    let runs = browser
        .run(
            "return document.querySelectorAll('#results-run option').length",
            vec![],
        )
        .await?;
    if runs.as_u64().unwrap_or(0) == 0 {
        return browser.says("main", "No run yet.").await;
    }
    let last = "#results-run option:last-child";
    browser.click(last).await?;
    browser
        .holds(
            "it is chosen",
            "return document.querySelector('#results-run option:last-child').selected",
        )
        .await?;
    browser
        .click("#results-against option[value=nothing]")
        .await?;
    let text = browser.text(".chart-of").await?;
    ensure!(!text.contains("2019"), "{text}");
    Ok(())
}
