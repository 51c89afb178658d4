//! The page by the keyboard alone: no click, no focus from a script, keys as a person presses them.

use anyhow::{Context, Result, bail, ensure};
use e2e::browser::Browser;
use serde_json::{Value, json};
use thirtyfour::{Key, TypingData};

use crate::people::{COMPANY_IBAN, Customer};
use crate::{Stage, employee};

pub(crate) mod journeys;

/// More stops than any route has.
const STOPS_MAX: usize = 200;
const WINDOWS: [(u32, u32); 2] = [(1280, 800), (320, 640)];

/// Where the focus is, whether that is what is looked for, and what is wrong with how it is seen.
const STOP: &str = "\
    const it = document.activeElement, wanted = arguments[0]; \
    if (!it || it === document.body) return ['', false, '']; \
    const name = (it.id ? '#' + it.id : it.tagName.toLowerCase()) + ' ' + (it.getAttribute('aria-label') ?? it.textContent).trim().slice(0, 40); \
    const style = getComputedStyle(it), boxes = [...it.getClientRects()], box = boxes[0]; \
    const problems = []; \
    if (style.outlineStyle !== 'solid' || parseFloat(style.outlineWidth) < 2) problems.push('no ring'); \
    if (!box || box.width < 1 || box.height < 1) problems.push('no size'); \
    else { \
        const x = (Math.max(box.left, 0) + Math.min(box.right, innerWidth)) / 2, y = (Math.max(box.top, 0) + Math.min(box.bottom, innerHeight)) / 2; \
        const top = document.elementFromPoint(x, y); \
        if (!top) problems.push('out of view'); \
        else if (!it.contains(top) && !top.contains(it) && !(it.labels && [...it.labels].some(label => label.contains(top)))) \
            problems.push('under ' + top.tagName + '.' + top.getAttribute('class')); \
    } \
    (window.stops ??= []).push(it); \
    return [name, !!wanted && it.matches(wanted), problems.join(', ')]";

/// What can be reached, and was not.
const MISSED: &str = "\
    const all = 'a[href], button, input, select, textarea, summary, [tabindex=\"0\"]'; \
    const name = it => it.tagName + (it.id || it.getAttribute('href') || it.textContent.trim()); \
    const seen = new Set(window.stops.map(name)); \
    const can = it => !it.disabled && it.tabIndex >= 0 && it.checkVisibility({ visibilityProperty: true }) && it.getClientRects().length > 0 \
        && !(it.type === 'radio' && !it.checked); \
    return [...document.querySelectorAll(all)].filter(can).filter(it => !window.stops.includes(it) && !seen.has(name(it))).map(name)";

/// One stop of the focus.
struct Stop {
    name: String,
    is_wanted: bool,
    problem: String,
}

async fn stop(browser: &Browser, wanted: &str) -> Result<Stop> {
    let stop = browser.run(STOP, vec![json!(wanted)]).await?;
    let (name, is_wanted, problem) = serde_json::from_value(stop)?;
    Ok(Stop {
        name,
        is_wanted,
        problem,
    })
}

/// Goes from stop to stop until the focus is on that; each stop on the way is seen.
async fn tab_to(browser: &Browser, wanted: &str) -> Result<()> {
    // It may still be on its way into the page.
    browser.find(wanted).await?;
    let mut way = Vec::new();
    for _ in 0..STOPS_MAX {
        browser.press(Key::Tab).await?;
        let stop = stop(browser, wanted).await?;
        ensure!(stop.problem.is_empty(), "{}: {}", stop.name, stop.problem);
        if stop.is_wanted {
            return Ok(());
        }
        way.push(stop.name);
    }
    bail!("{wanted} is not reached: {way:?}")
}

/// What is to be seen after keys were pressed.
enum Sees<'a> {
    /// The focus is there by itself.
    Focus(&'a str),
    /// The element is shown.
    Shown(&'a str),
    /// The element says the words.
    Words(&'a str, &'a str),
    /// The statement has these changes.
    Statement(&'a [i64]),
    /// The address ends so.
    Address(&'a str),
    /// A script says true.
    True(&'a str),
}

/// Goes to a stop by Tab, presses keys there, and waits for what is to be seen.
async fn at(
    browser: &Browser,
    stop: &str,
    keys: impl Into<TypingData>,
    sees: Sees<'_>,
) -> Result<()> {
    tab_to(browser, stop).await?;
    browser.press(keys).await?;
    match sees {
        Sees::Focus(wanted) => focus_is(browser, wanted).await,
        Sees::Shown(wanted) => browser.find(wanted).await.map(drop),
        Sees::Words(wanted, words) => browser.says(wanted, words).await,
        Sees::Statement(changes) => browser.statement_is(changes).await,
        Sees::Address(end) => {
            let script = format!("return location.href.endsWith({})", json!(end));
            browser
                .holds(&format!("the address ends with {end}"), &script)
                .await
        }
        Sees::True(script) => browser.holds(script, script).await,
    }
}

/// Keys that type into fields that follow each other, and send the form.
fn fields(texts: &[&str]) -> String {
    let texts = texts.join(&Key::Tab.value().to_string());
    format!("{texts}{}", Key::Enter.value())
}

/// Signs in as the demo employee.
async fn enter_as_employee(stage: &Stage) -> Result<()> {
    let press = async |stop: &str| {
        tab_to(&stage.browser, stop).await?;
        stage.browser.press(Key::Enter).await
    };
    employee::enter_by(stage, "/employee", press).await
}

/// Waits until the focus is there by itself.
async fn focus_is(browser: &Browser, wanted: &str) -> Result<()> {
    let what = format!("the focus is on {wanted}");
    let script = format!("return document.activeElement.matches({})", json!(wanted));
    browser.holds(&what, &script).await
}

/// Goes through all stops of a route, forth and then a few back.
async fn walk(stage: &Stage, path: &str) -> Result<Vec<String>> {
    let browser = &stage.browser;
    browser.go(&format!("{}{path}", stage.page)).await?;
    browser
        .holds(
            "it is loaded",
            "return !!document.querySelector('h1') && !document.querySelector('[aria-busy=true], .loading-lines')",
        )
        .await?;
    // A link into a route gives the focus to what it names: the walk begins there, and goes round.
    if path.starts_with("/live/topics/") {
        focus_is(browser, "#topic-heading").await?;
    }
    browser.run("window.stops = []", vec![]).await?;
    let mut findings = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut is_round = false;
    for _ in 0..STOPS_MAX {
        browser.press(Key::Tab).await?;
        let stop = stop(browser, "").await?;
        // After the last comes the browser itself, then the first.
        if stop.name.is_empty() {
            continue;
        }
        let again = "return window.stops.indexOf(document.activeElement) < window.stops.length - 1";
        is_round = browser.run(again, vec![]).await? == json!(true);
        if is_round {
            break;
        }
        if !stop.problem.is_empty() {
            findings.push(format!("{}: {}", stop.name, stop.problem));
        }
        names.push(stop.name);
    }
    if !is_round {
        findings.push(format!("no end: {:?}", names.last()));
    }
    if !names.iter().any(|name| name.starts_with("a Skip")) {
        findings.push("no way past the menu".to_owned());
    }
    let missed: Vec<String> = serde_json::from_value(browser.run(MISSED, vec![]).await?)?;
    findings.extend(missed.iter().map(|name| format!("not reached: {name}")));
    // Backwards it is no trap either.
    browser.press_with(Key::Shift, Key::Tab).await?;
    let last = stop(browser, "").await?.name;
    browser.press_with(Key::Shift, Key::Tab).await?;
    let before = stop(browser, "").await?.name;
    if last == before {
        findings.push(format!("no way back from {last}"));
    }
    Ok(findings)
}

pub(crate) async fn given_any_route_when_gone_through_by_tab_then_every_stop_is_seen_and_none_is_a_trap(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 10_000).await?;
    customer.pay(COMPANY_IBAN, 2_500, "Book").await?;
    let mut findings = Vec::new();
    let mut all = async |paths: &[&str]| -> Result<()> {
        for window in WINDOWS {
            browser.window(window).await?;
            for path in paths {
                let found = walk(stage, path).await?;
                findings.extend(
                    found
                        .into_iter()
                        .map(|it| format!("{path} {window:?}: {it}")),
                );
            }
        }
        browser
            .tell("Emulation.clearDeviceMetricsOverride", json!({}))
            .await
            .map(drop)
    };
    all(&[
        "/",
        "/client",
        "/employee",
        "/live",
        "/live/topics/balance_changed",
        "/trail",
        "/results",
        "/results/machine",
        "/how-it-works",
        "/how-it-works/7",
        "/there-is-nothing-here",
    ])
    .await?;
    customer.enter(browser, &stage.page).await?;
    let trail = address_of(browser, "#statement .serial a").await?;
    all(&["/client", &trail]).await?;
    browser.go(&format!("{}/client", stage.page)).await?;
    at(
        browser,
        "#sign-out",
        Key::Enter,
        Sees::Shown("#sign-in-submit"),
    )
    .await?;
    enter_as_employee(stage).await?;
    let one = format!("/employee/{}", customer.iban);
    all(&["/employee", &one]).await?;
    ensure!(findings.is_empty(), "{}", findings.join("\n"));
    Ok(())
}

async fn address_of(browser: &Browser, selector: &str) -> Result<String> {
    browser.find(selector).await?;
    let script = "return document.querySelector(arguments[0]).getAttribute('href')";
    let address: Value = browser.run(script, vec![json!(selector)]).await?;
    Ok(address.as_str().context("no address")?.to_owned())
}
