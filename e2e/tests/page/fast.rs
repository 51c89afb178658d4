//! How large the page is, how soon it is there, and whether it keeps up.

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::Stage;
use crate::people::COMPANY_IBAN;

/// Of the program, its glue and its styles, as they are sent.
const COMPRESSED_BYTES_MAX: usize = 450 * 1024;
const FIRST_PAINT_MS_MAX: f64 = 1_000.0;
const INTERACTIVE_MS_MAX: f64 = 1_500.0;
/// The best of so many is the page's own time; the others are the machine's.
const TRIES: usize = 5;

const ROWS_PER_SECOND: u32 = 1_000;
/// How long rows come in; for a minute with `BANK_TEST_FULL=1`.
const SECONDS: u32 = 10;
const SECONDS_FULL: u32 = 60;
const FULL_VARIABLE: &str = "BANK_TEST_FULL";
const MEMORY_BYTES_MAX: f64 = 150.0 * 1024.0 * 1024.0;
/// Rows behind the last one sent, when the page is looked at in the midst of it: what comes in half a second.
const ROWS_BEHIND_MAX: f64 = 500.0;

#[expect(clippy::print_stdout, reason = "a measurement is to be read")]
pub(crate) async fn given_a_warm_server_when_the_page_is_opened_then_it_is_small_and_there_within_a_second(
    stage: &Stage,
) -> Result<()> {
    let http = reqwest::Client::new();
    let mut bytes = 0;
    for file in ["app_bg.wasm", "app.js", "style.css"] {
        let answer = http
            .get(format!("{}/{file}", stage.page))
            .header("accept-encoding", "br")
            .send()
            .await?
            .error_for_status()?;
        let size = answer.bytes().await?.len();
        println!("    {file}: {size} bytes");
        bytes += size;
    }
    println!("    {bytes} bytes in all");
    ensure!(bytes <= COMPRESSED_BYTES_MAX, "{bytes} bytes");
    let browser = &stage.browser;
    browser
        .tell(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": "new MutationObserver((_, observer) => { if (document.querySelector('h1')) { \
                window.thereAt = performance.now(); observer.disconnect(); } })\
                .observe(document, { childList: true, subtree: true });" }),
        )
        .await?;
    let mut best = [f64::MAX; 2];
    for _ in 0..TRIES {
        browser.go(&stage.page).await?;
        browser.find("#statement").await?;
        browser
            .holds(
                "it was painted",
                "return performance.getEntriesByName('first-contentful-paint').length === 1",
            )
            .await?;
        let times = browser
            .run("return [performance.getEntriesByName('first-contentful-paint')[0].startTime, window.thereAt]", vec![])
            .await?;
        let times: [f64; 2] = serde_json::from_value(times)?;
        for (best, time) in best.iter_mut().zip(times) {
            *best = best.min(time);
        }
    }
    let [painted, interactive] = best;
    println!("    first paint after {painted:.0} ms, interactive after {interactive:.0} ms");
    ensure!(
        painted <= FIRST_PAINT_MS_MAX && interactive <= INTERACTIVE_MS_MAX,
        "too late"
    );
    Ok(())
}

/// Stands for the gateway's WebSocket: answers like it, and sends changes of the company's account at the rate asked
/// for, noting when each came in and when it was painted.
const FEED: &str = r#"
window.feed = { sent: 0, painted: 0, lags: [], at: new Map(), stop: false };
window.WebSocket = class extends EventTarget {
  static CONNECTING = 0; static OPEN = 1; static CLOSING = 2; static CLOSED = 3;
  constructor() { super(); this.readyState = 0; this.protocol = 'graphql-transport-ws'; this.extensions = ''; this.bufferedAmount = 0;
    setTimeout(() => { this.readyState = 1; this.tell(new Event('open')); }); }
  tell(event) { this['on' + event.type]?.(event); this.dispatchEvent(event); }
  say(message) { this.tell(new MessageEvent('message', { data: JSON.stringify(message) })); }
  close() { this.readyState = 3; }
  send(text) {
    const message = JSON.parse(text);
    if (message.type === 'connection_init') setTimeout(() => this.say({ type: 'connection_ack' }));
    if (message.type === 'ping') setTimeout(() => this.say({ type: 'pong' }));
    if (message.type === 'subscribe' && message.payload.operationName === 'Follow') this.begin(message.id, message.payload.variables.iban);
  }
  begin(id, iban) {
    const began = performance.now(); const feed = window.feed; const base = feed.base;
    const timer = setInterval(() => {
      if (feed.stop) return clearInterval(timer);
      const due = Math.floor((performance.now() - began) / 1000 * feed.rate);
      for (; feed.sent < due; ) {
        feed.sent += 1; const version = base + feed.sent;
        feed.at.set(version, performance.now());
        this.say({ type: 'next', id, payload: { data: { transactions: { iban, version, newBalance: String(100000 + version), changedBy: '1',
          counterparty: 'NL10OPEN0412883157', description: 'row ' + version, commandId: null, occurredAt: new Date().toISOString(),
          serial: '0:' + version, cursor: 'c' + version } } } });
      }
    }, 4);
    const look = () => {
      const row = document.querySelector('#statement [data-state=confirmed]');
      const version = row ? Number(row.dataset.version) : 0;
      // What stands in the document now is painted at the end of this frame.
      const channel = new MessageChannel();
      channel.port1.onmessage = () => {
        const now = performance.now();
        for (const [known, at] of feed.at) { if (known > version) break; feed.lags.push(now - at); feed.at.delete(known); }
        feed.painted = Math.max(feed.painted, version - base);
      };
      channel.port2.postMessage(0);
      if (!feed.stop) requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }
};
"#;

#[expect(clippy::print_stdout, reason = "a measurement is to be read")]
#[expect(clippy::float_arithmetic, reason = "times and sizes are no money")]
pub(crate) async fn given_a_thousand_rows_a_second_when_shown_then_the_page_keeps_up(
    stage: &Stage,
) -> Result<()> {
    let browser = &stage.browser;
    let is_full = std::env::var_os(FULL_VARIABLE).is_some();
    let seconds = if is_full { SECONDS_FULL } else { SECONDS };
    // Far above what the account has, so that each row is new.
    let feed = format!("{FEED} window.feed.base = 10000000; window.feed.rate = {ROWS_PER_SECOND};");
    browser
        .tell(
            "Page.addScriptToEvaluateOnNewDocument",
            json!({ "source": feed }),
        )
        .await?;
    browser.go(&stage.page).await?;
    browser
        .says("#statement", "row 1")
        .await
        .context(COMPANY_IBAN)?;
    let state = "const m = performance.memory; return import('/app.js').then(app => app.default()).then(wasm => \
         [feed.sent, feed.painted, m.usedJSHeapSize + wasm.memory.buffer.byteLength, \
         document.querySelectorAll('#statement [data-state=confirmed]').length])";
    let mut most_memory = 0.0_f64;
    for second in 1..=seconds {
        browser
            .holds(
                "the next second",
                &format!(
                    "return window.feed.sent >= {}",
                    u64::from(second) * u64::from(ROWS_PER_SECOND)
                ),
            )
            .await?;
        let [sent, painted, memory, rows]: [f64; 4] =
            serde_json::from_value(browser.run(state, vec![]).await?)?;
        ensure!(
            sent - painted <= ROWS_BEHIND_MAX,
            "second {second}: {painted} of {sent} are painted"
        );
        ensure!(rows <= 25.0, "{rows} rows in the document");
        most_memory = most_memory.max(memory);
    }
    let lags: Value = browser
        .run(
            "window.feed.stop = true; const lags = feed.lags.sort((a, b) => a - b); const at = share => lags[Math.floor(share * (lags.length - 1))];\
             return [lags.length, at(0.5), at(0.99), lags.at(-1)]",
            vec![],
        )
        .await?;
    let [count, p50, p99, most]: [f64; 4] = serde_json::from_value(lags)?;
    println!(
        "    {count} rows in {seconds} s: painted after {p50:.1} ms at p50, {p99:.1} ms at p99, {most:.1} ms at most; \
         {:.1} MiB at most",
        most_memory / 1024.0 / 1024.0
    );
    ensure!(most_memory <= MEMORY_BYTES_MAX, "{most_memory} bytes");
    Ok(())
}
