//! Large text and small windows: every route at 200 % text and at 200 and 400 % zoom, without scrolling sideways.

use anyhow::{Result, ensure};
use serde_json::json;

use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer};

/// A window, the size of its text, and what it stands for.
const LOOKS: [((u32, u32), &str, &str); 3] = [
    ((1280, 800), "200%", "200 % text"),
    ((640, 400), "100%", "200 % zoom"),
    ((320, 200), "100%", "400 % zoom"),
];

const SIGNED_OUT: [&str; 16] = [
    "/",
    "/client",
    "/employee",
    "/live",
    "/live/topics/money_transfer_feedback",
    "/trail",
    "/results",
    "/results/throughput",
    "/results/stages",
    "/results/handler",
    "/results/targets",
    "/results/machine",
    "/how-it-works",
    "/how-it-works/5",
    "/how-it-works/7",
    "/there-is-nothing-here",
];

pub(crate) async fn given_large_text_when_any_route_is_read_then_nothing_is_cut_off_sideways(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 123_456_789).await?;
    customer.pay(COMPANY_IBAN, 2_500, "Book").await?;
    let mut findings = Vec::new();
    for route in SIGNED_OUT {
        findings.extend(check(stage, route).await?);
    }
    customer.enter(browser, &stage.page).await?;
    let trail = browser
        .run(
            "return document.querySelector('#statement .serial a').getAttribute('href')",
            vec![],
        )
        .await?;
    let trail = trail.as_str().unwrap_or("/trail").to_owned();
    for route in ["/client", &trail, "/live"] {
        findings.extend(check(stage, route).await?);
    }
    browser.go(&format!("{}/client", stage.page)).await?;
    browser.click("#sign-out").await?;
    browser.go(&format!("{}/employee", stage.page)).await?;
    browser.click("#demo-employee").await?;
    browser.find("#account-list").await?;
    let two = format!("/employee/{},{COMPANY_IBAN}", customer.iban);
    for route in ["/employee", &two] {
        findings.extend(check(stage, route).await?);
    }
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

/// What sticks out of a route, in each look.
async fn check(stage: &Stage, route: &str) -> Result<Vec<String>> {
    let browser = &stage.browser;
    let mut findings = Vec::new();
    browser.go(&format!("{}{route}", stage.page)).await?;
    for (window, text, name) in LOOKS {
        browser.window(window).await?;
        browser
            .run(
                "document.documentElement.style.fontSize = arguments[0]",
                vec![json!(text)],
            )
            .await?;
        browser
            .holds(
                "it is loaded",
                "return !!document.querySelector('h1') && !document.querySelector('[aria-busy=true], .loading-lines')",
            )
            .await?;
        // What scrolls in a box of its own is not cut off.
        let wide = browser
            .run(
                "const root = document.documentElement, width = root.clientWidth; \
                 const scrolls = it => { for (let up = it.parentElement; up && up !== document.body; up = up.parentElement) \
                 if (getComputedStyle(up).overflowX !== 'visible') return true; return false; }; \
                 const out = [...document.querySelectorAll('body *')].filter(it => it.checkVisibility({ visibilityProperty: true }) && it.getBoundingClientRect().right > width + 1 && !scrolls(it)); \
                 return root.scrollWidth <= width && out.length === 0 ? [] : [root.scrollWidth + ' in ' + width, ...out.slice(0, 5).map(it => it.tagName + ' ' + (it.id || it.getAttribute('class')))]",
                vec![],
            )
            .await?;
        let wide: Vec<String> = serde_json::from_value(wide)?;
        if !wide.is_empty() {
            findings.push(format!("{route}, {name}: {}", wide.join("; ")));
        }
    }
    browser
        .run("document.documentElement.style.fontSize = ''", vec![])
        .await?;
    browser
        .tell("Emulation.clearDeviceMetricsOverride", json!({}))
        .await?;
    Ok(findings)
}
