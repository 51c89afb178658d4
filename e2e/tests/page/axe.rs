//! Every route, light and dark, wide and narrow: axe finds nothing, nothing is cut, nothing is fetched from elsewhere.
//! The pictures are kept for people to judge.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use e2e::{PATIENCE, eventually};
use serde_json::{Value, json};

use crate::people::{COMPANY_IBAN, Customer};
use crate::{Stage, pictures};

const WINDOWS: [(u32, u32); 2] = [(1280, 800), (320, 640)];
const THEMES: [&str; 2] = ["light", "dark"];
/// Tells where `cargo bank test` has installed the packages of others.
const NODE_VARIABLE: &str = "BANK_TEST_NODE";

fn axe() -> Result<String> {
    let packages = std::env::var_os(NODE_VARIABLE)
        .with_context(|| format!("no {NODE_VARIABLE}: run the tests with `cargo bank test`"))?;
    let path = PathBuf::from(packages).join("node_modules/axe-core/axe.min.js");
    std::fs::read_to_string(&path).with_context(|| format!("no axe-core at {}", path.display()))
}

pub(crate) async fn given_every_route_when_checked_then_axe_finds_nothing_and_pictures_are_kept(
    stage: &Stage,
) -> Result<()> {
    let axe = axe()?;
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 100_000).await?;
    let mut findings = Vec::new();
    for (name, path) in [
        ("home", "/"),
        ("client-signed-out", "/client"),
        ("employee-signed-out", "/employee"),
        ("live-signed-out", "/live"),
        ("trail-signed-out", "/trail"),
        ("results", "/results"),
        ("how-it-works", "/how-it-works"),
        ("how-it-works-3", "/how-it-works/3"),
        ("nowhere", "/there-is-nothing-here"),
    ] {
        findings.extend(check(stage, &axe, name, path).await?);
    }
    // A customer with every kind of row.
    for (to, cents, description) in [
        (COMPANY_IBAN, 2_500, "Book"),
        ("Energy supplier", 6_120, "November"),
        ("J. de Vries", 120_000, "More than there was"),
    ] {
        customer.pay(to, cents, description).await?;
    }
    customer.enter(browser, &stage.page).await?;
    browser.pay(COMPANY_IBAN, "900.000", "Too much").await?;
    browser.find("#statement [data-state=rejected]").await?;
    browser.click("#deposit-5000").await?;
    browser.click("#pay-submit").await?;
    let command = browser
        .run("return document.querySelector('#statement .serial a')?.getAttribute('href') ?? '/trail'", vec![])
        .await?;
    let command = command.as_str().context("no trail")?.to_owned();
    findings.extend(check(stage, &axe, "client", "").await?);
    findings.extend(check(stage, &axe, "trail", &command).await?);
    browser.go(&format!("{}/client", stage.page)).await?;
    browser.click("#sign-out").await?;
    browser.go(&format!("{}/employee", stage.page)).await?;
    browser.click("#demo-employee").await?;
    browser.find("#account-list").await?;
    for (name, path) in [
        ("employee", "/employee".to_owned()),
        ("employee-account", format!("/employee/{}", customer.iban)),
        (
            "employee-two",
            format!("/employee/{},{COMPANY_IBAN}", customer.iban),
        ),
        ("live", "/live".to_owned()),
        ("live-topic", "/live/topics/balance_changed".to_owned()),
    ] {
        findings.extend(check(stage, &axe, name, &path).await?);
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// What is wrong with a route. An empty path is where the browser is.
async fn check(stage: &Stage, axe: &str, name: &str, path: &str) -> Result<Vec<String>> {
    let browser = &stage.browser;
    let mut findings = Vec::new();
    for window in WINDOWS {
        for theme in THEMES {
            browser.look(window, theme).await?;
            if !path.is_empty() {
                browser.go(&format!("{}{path}", stage.page)).await?;
            }
            browser
                .holds(
                    "it is loaded",
                    "return !!document.querySelector('h1') && !document.querySelector('[aria-busy=true], .loading-lines') \
                     && document.getAnimations().every(it => it.playState === 'finished')",
                )
                .await?;
            let (width, height) = window;
            let what = format!("{name}-{width}x{height}-{theme}");
            let picture = pictures()?.join(format!("{what}.png"));
            eventually("a picture", PATIENCE, async || {
                Ok(browser.driver.screenshot(&picture).await?)
            })
            .await?;
            findings.extend(
                violations(stage, axe)
                    .await?
                    .into_iter()
                    .map(|found| format!("{what}: {found}")),
            );
            let layout = browser
                .run(
                    "const root = document.documentElement; const foreign = performance.getEntriesByType('resource')\
                     .map(e => e.name).filter(n => !n.startsWith(location.origin));\
                     return [root.scrollWidth > root.clientWidth ? 'scrolls sideways: ' + root.scrollWidth : '', \
                     document.querySelectorAll('h1').length === 1 ? '' : 'not one h1', \
                     document.title.includes('the Bank') ? '' : 'no title', \
                     foreign.length ? 'fetched ' + foreign : ''].filter(t => t)",
                    vec![],
                )
                .await?;
            let layout: Vec<String> = serde_json::from_value(layout)?;
            findings.extend(layout.into_iter().map(|found| format!("{what}: {found}")));
        }
    }
    browser
        .tell("Emulation.clearDeviceMetricsOverride", json!({}))
        .await?;
    Ok(findings)
}

async fn violations(stage: &Stage, axe: &str) -> Result<Vec<String>> {
    let browser = &stage.browser;
    // A page that was not left has it already.
    if browser.run("return typeof axe", vec![]).await? != json!("object") {
        browser.run(axe, vec![]).await?;
    }
    let found: Value = browser
        .run(
            "return axe.run(document, { resultTypes: ['violations'] }).then(results => results.violations.map(v => \
             v.id + ': ' + v.nodes.slice(0, 3).map(n => n.target.join(' ') + ' ' + (n.any[0]?.message ?? n.all[0]?.message ?? n.none[0]?.message ?? '')).join('; ')))",
            vec![],
        )
        .await?;
    Ok(serde_json::from_value(found)?)
}
