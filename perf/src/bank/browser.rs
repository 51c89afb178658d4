//! From the click to the paint, in a headless Chromium: the article's ten actions, one a
//! second.
//!
//! The clock is the page's own: it starts just before the click and stops in the frame after
//! the confirmed row stood in the document, which a `MutationObserver` sees at once. Nothing
//! is polled. Filling the form is not timed, as in the article.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::Client;
use serde_json::{Value, json};

use crate::error::Error;
use crate::latency::{LIMIT_US, Latencies};
use crate::numbers::whole;

use super::customers::{Customer, PASSWORD};
use super::results::Painted;
use super::step::latency;

/// An action that shows nothing for so long has timed out; the article's limit.
const ACTION_LIMIT_MS: u64 = 5_000;
const START_PATIENCE: Duration = Duration::from_secs(20);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(100);

/// The article's cycle: five deposits, then five transfers of as much in all.
const DEPOSITS: [i64; 5] = [1_000, 2_000, 5_000, 10_000, 20_000];
const TRANSFERS: [(i64, &str); 5] = [
    (1_111, "foo"),
    (2_323, "bar"),
    (3_489, "baz"),
    (9_999, "present"),
    (21_078, "fine"),
];

/// Sets a field as a person would: the page hears of it.
const SET: &str = r"
const set = (selector, text) => {
  const field = document.querySelector(selector);
  Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value').set.call(field, text);
  field.dispatchEvent(new Event('input', { bubbles: true }));
  field.dispatchEvent(new Event('change', { bubbles: true }));
};
const until = async (what, limit) => {
  const end = performance.now() + limit;
  for (;;) {
    const found = what();
    if (found) return found;
    if (performance.now() > end) return null;
    await new Promise(resume => setTimeout(resume, 20));
  }
};
";

const SIGN_IN: &str = r"
const [userName, password, done] = arguments;
(async () => {
  if (!await until(() => document.querySelector('#sign-in-user-name'), 15000)) return done('no form to sign in');
  set('#sign-in-user-name', userName);
  set('#sign-in-password', password);
  const button = await until(() => { const it = document.querySelector('#sign-in-submit'); return it && !it.disabled ? it : null; }, 5000);
  if (!button) return done('cannot sign in');
  button.click();
  const shown = await until(() => document.querySelector('#statement [data-state=confirmed][data-version]'), 15000);
  done(shown ? null : 'signed in, but no statement');
})();
";

const ACT: &str = r"
const [kind, cents, payee, text, limit, done] = arguments;
(async () => {
  const rows = () => document.querySelectorAll('#statement [data-state=confirmed][data-version]');
  const newest = () => Math.max(0, ...Array.from(rows()).map(row => Number(row.dataset.version)));
  const before = newest();
  const expected = String(kind === 'deposit' ? cents : -cents);
  const shown = () => Array.from(rows()).some(row =>
    Number(row.dataset.version) > before && row.dataset.changedBy === expected);
  let selector = '#deposit-' + cents;
  if (kind === 'transfer') {
    set('#pay-to', payee);
    set('#pay-amount', (cents / 100).toFixed(2).replace('.', document.documentElement.lang === 'nl' ? ',' : '.'));
    set('#pay-description', text);
    selector = '#pay-submit';
  }
  const button = await until(() => { const it = document.querySelector(selector); return it && !it.disabled ? it : null; }, 2000);
  if (!button) return done('no button ' + selector);
  let over = false;
  const end = result => { if (!over) { over = true; observer.disconnect(); done(result); } };
  const observer = new MutationObserver(() => {
    if (!over && shown()) {
      observer.disconnect();
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => end(performance.now() - start);
        channel.port2.postMessage(0);
      });
    }
  });
  observer.observe(document.body, { subtree: true, childList: true, attributes: true });
  setTimeout(() => end('timed out'), limit);
  const start = performance.now();
  button.click();
})();
";

/// A Chromium that is signed in.
pub struct Browser {
    chromedriver: Child,
    /// Names Chromium's processes: no other has it on its command line.
    profile: PathBuf,
    http: Client,
    session: String,
    /// As it names itself.
    pub name: String,
    company: String,
    done: usize,
}

impl Drop for Browser {
    fn drop(&mut self) {
        // They may have ended already; then there is nothing to do.
        let _ = self.chromedriver.kill();
        let _ = self.chromedriver.wait();
        let profile = self.profile.to_string_lossy();
        for pid in crate::procfs::numbers_in("/proc") {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&line).contains(&*profile) {
                let pid = i32::try_from(pid)
                    .ok()
                    .and_then(rustix::process::Pid::from_raw);
                if let Some(pid) = pid {
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        }
        let _ = std::fs::remove_dir_all(&self.profile);
    }
}

impl Browser {
    /// Starts one and signs a customer in.
    ///
    /// # Errors
    /// When Chromium or its driver is missing, or the page is not as expected.
    pub async fn start(
        page: &str,
        folder: &Path,
        customer: &Customer,
        company: &str,
    ) -> Result<Browser, Error> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .map_err(Error::io("find a port for", "chromedriver"))?
            .port();
        let chromedriver = Command::new("chromedriver")
            .arg(format!("--port={port}"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .map_err(Error::io("start", "chromedriver"))?;
        let http = Client::builder()
            .no_proxy()
            .timeout(REQUEST_TIMEOUT)
            .build()
            .map_err(Error::http("prepare to drive a browser"))?;
        let mut browser = Browser {
            chromedriver,
            profile: folder.join(format!("browser-{port}")),
            http,
            session: format!("http://127.0.0.1:{port}"),
            name: String::new(),
            company: company.to_owned(),
            done: 0,
        };
        browser.open().await?;
        browser
            .call("url", &json!({ "url": format!("{page}/client") }))
            .await?;
        let signed_in = browser
            .execute(SIGN_IN, &json!([customer.user_name, PASSWORD]))
            .await?;
        match signed_in {
            Value::Null => Ok(browser),
            why => Err(Error::Wrong(format!("the page: {why}"))),
        }
    }

    async fn open(&mut self) -> Result<(), Error> {
        let profile = format!("--user-data-dir={}", self.profile.display());
        let arguments = json!([
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--window-size=1920,1080",
            profile,
        ]);
        let chrome =
            json!({ "browserName": "chrome", "goog:chromeOptions": { "args": arguments } });
        let wanted = json!({ "capabilities": { "alwaysMatch": chrome } });
        let deadline = Instant::now() + START_PATIENCE;
        let opened = loop {
            // The driver needs a moment until it listens.
            match self.call("session", &wanted).await {
                Ok(opened) => break opened,
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => tokio::time::sleep(LOOK).await,
            }
        };
        let id = opened["sessionId"].as_str().unwrap_or_default();
        self.session = format!("{}/session/{id}", self.session);
        let version = opened["capabilities"]["browserVersion"].as_str();
        self.name = format!("Chromium {}", version.unwrap_or("?"));
        let timeouts = json!({ "script": REQUEST_TIMEOUT.as_millis() - 1_000 });
        self.call("timeouts", &timeouts).await?;
        Ok(())
    }

    async fn call(&self, path: &str, body: &Value) -> Result<Value, Error> {
        let url = format!("{}/{path}", self.session);
        let answer = self.http.post(url).json(body).send().await;
        let answer = answer.map_err(Error::http("drive the browser"))?;
        let answer: Value = answer
            .json()
            .await
            .map_err(Error::http("understand the browser's driver"))?;
        match &answer["value"]["error"] {
            Value::Null => Ok(answer["value"].clone()),
            _ => Err(Error::Wrong(format!(
                "the browser: {}",
                answer["value"]["message"]
            ))),
        }
    }

    async fn execute(&self, script: &str, arguments: &Value) -> Result<Value, Error> {
        let body = json!({ "script": format!("{SET}{script}"), "args": arguments });
        self.call("execute/async", &body).await
    }

    /// The next action of the cycle: its kind, and milliseconds to the paint; `None` when
    /// nothing showed in time.
    ///
    /// # Errors
    /// When the page is not as expected.
    pub async fn act(&mut self) -> Result<(&'static str, Option<f64>), Error> {
        let number = self.done % (DEPOSITS.len() + TRANSFERS.len());
        self.done += 1;
        let (kind, cents, text) = match number.checked_sub(DEPOSITS.len()) {
            None => ("deposit", DEPOSITS[number], ""),
            Some(number) => ("transfer", TRANSFERS[number].0, TRANSFERS[number].1),
        };
        let arguments = json!([kind, cents, self.company, text, ACTION_LIMIT_MS]);
        let found = self.execute(ACT, &arguments).await?;
        match (found.as_f64(), found.as_str()) {
            (Some(ms), _) => Ok((kind, Some(ms))),
            (None, Some("timed out")) => Ok((kind, None)),
            _ => Err(Error::Wrong(format!("the page: {found}"))),
        }
    }
}

/// Actions that were done, with what they came to.
#[derive(Debug, Default)]
pub struct Actions {
    /// Kind and milliseconds, in their order; what timed out has the limit.
    pub done: Vec<(String, f64)>,
    /// How many timed out.
    pub timed_out: u64,
}

impl Actions {
    /// Takes an action in.
    pub fn note(&mut self, kind: &str, ms: Option<f64>) {
        self.timed_out += u64::from(ms.is_none());
        let limit = crate::numbers::float(LIMIT_US) / 1_000.0;
        self.done.push((kind.to_owned(), ms.unwrap_or(limit)));
    }

    /// As results have it.
    #[must_use]
    pub fn painted(self, browser: &str) -> Painted {
        let quarter = self.done.len().div_ceil(4).max(1);
        let of = |actions: &[(String, f64)]| {
            let mut latencies = Latencies::default();
            for (_, ms) in actions {
                latencies.record(0, whole(ms * 1e6));
            }
            latencies
        };
        let quarters: Vec<Latencies> = self.done.chunks(quarter).map(of).collect();
        Painted {
            latency: latency(&of(&self.done), quarters.iter()),
            timed_out: self.timed_out,
            actions: self.done,
            browser: browser.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cycle_of_ten_actions_is_neutral() {
        let transfers: i64 = TRANSFERS.iter().map(|(cents, _)| cents).sum();
        assert_eq!(DEPOSITS.iter().sum::<i64>(), transfers);
    }

    #[test]
    fn an_action_that_timed_out_is_a_sample() {
        let mut actions = Actions::default();
        actions.note("deposit", Some(20.0));
        actions.note("transfer", None);
        let painted = actions.painted("x");
        assert_eq!((painted.timed_out, painted.latency.samples), (1, 2));
        assert!(painted.latency.max_ms > 50_000.0);
    }
}
