//! What moves: nothing, for those who prefer that; and for them what came in is marked all the same.

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::Stage;
use crate::people::{COMPANY_IBAN, Customer};

const ROUTES: [&str; 7] = [
    "/",
    "/client",
    "/live",
    "/live/topics/balance_changed",
    "/trail",
    "/results",
    "/how-it-works/3",
];
const WINDOWS: [(u32, u32); 2] = [(1280, 800), (320, 640)];

/// Counts, frame by frame, whatever is animated.
const WATCH: &str = "window.animated = []; const look = () => { \
    for (const it of document.getAnimations()) window.animated.push((it.animationName ?? it.transitionProperty) + ' of ' + \
    (it.effect?.target?.getAttribute('class') ?? it.effect?.target?.tagName)); \
    window.frames_seen = (window.frames_seen ?? 0) + 1; requestAnimationFrame(look); }; look();";

pub(crate) async fn given_someone_who_prefers_no_motion_when_updates_come_in_then_nothing_is_animated(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let customer = Customer::with(&stage.page, 100_000).await?;
    customer.enter(browser, &stage.page).await?;
    // Whoever prefers nothing sees a row arrive: the watch sees what there is to see.
    let seen = watch(stage, &customer, "/client").await?;
    ensure!(
        seen.iter().any(|it| it.starts_with("arrive")),
        "no row was seen to arrive: {seen:?}"
    );
    browser.prefers("prefers-reduced-motion", "reduce").await?;
    for window in WINDOWS {
        browser.window(window).await?;
        for route in ROUTES {
            let seen = watch(stage, &customer, route).await?;
            ensure!(seen.is_empty(), "{route} at {window:?}: {seen:?}");
        }
        browser.go(&format!("{}/client", stage.page)).await?;
        browser.find("#statement tr.transaction").await?;
        customer.pay(COMPANY_IBAN, 1, "marked").await?;
        browser
            .holds(
                "the row that came in is marked",
                "const row = document.querySelector('#statement tr.arrived'); \
                 return !!row && [row, row.cells[0]].some(it => getComputedStyle(it).boxShadow !== 'none')",
            )
            .await?;
    }
    Ok(())
}

/// What was animated on a route while money moved, and while a button was pointed at.
async fn watch(stage: &Stage, customer: &Customer, route: &str) -> Result<Vec<String>> {
    let browser = &stage.browser;
    browser.go(&format!("{}{route}", stage.page)).await?;
    browser
        .holds(
            "it is loaded",
            "return !!document.querySelector('h1') && !document.querySelector('[aria-busy=true], .loading-lines')",
        )
        .await?;
    browser.run(WATCH, vec![]).await?;
    let before = frames(stage).await?;
    customer.pay(COMPANY_IBAN, 1, "seen to arrive").await?;
    let button = browser.find("main button, footer a").await?;
    browser
        .driver
        .action_chain()
        .move_to_element_center(&button)
        .perform()
        .await?;
    // The drawing and the figures follow each second: so many frames are more than two of them.
    const FRAMES: u64 = 150;
    browser
        .holds(
            "time passes",
            &format!("return window.frames_seen > {}", before + FRAMES),
        )
        .await?;
    let seen = browser
        .run("return [...new Set(window.animated)]", vec![])
        .await?;
    Ok(serde_json::from_value(seen)?)
}

async fn frames(stage: &Stage) -> Result<u64> {
    let frames = stage
        .browser
        .run("return window.frames_seen", vec![])
        .await?;
    ensure!(frames != json!(null), "nobody watches");
    frames.as_u64().context("no count of frames")
}
