//! The article's experiment again: one user in a browser, one action a second, and ten
//! heartbeats a second more after every sixty actions, until five actions have timed out.
//!
//! A flag makes it shorter by having fewer actions in a step; nothing else changes.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Handle;
use topology::COMPANY_IBAN;

use crate::error::Error;
use crate::installation::Stop;
use crate::numbers::whole;

use super::browser::{Actions, Browser};
use super::customers::Api;
use super::resources::{POSTGRES, Parts, services};
use super::results::{ArticleRun, ArticleStep};
use super::run::{GATEWAY, HANDLER};

/// Actions of a step in the article.
const ACTIONS: f64 = 60.0;
/// Heartbeats a second that each step adds.
const STEP: u32 = 10;
/// The article stopped after so many.
const TIME_OUTS_MAX: u64 = 5;
const ACTION_INTERVAL: Duration = Duration::from_secs(1);

/// One way of running the handler.
pub struct Way {
    /// As results name it.
    pub name: String,
    /// The page.
    pub page: String,
    /// Where the pace-maker takes another rate: `http://host:port/rate`.
    pub rate_url: String,
    /// How much shorter each step is.
    pub faster: f64,
    /// The last step, heartbeats a second.
    pub up_to: u32,
    /// The processes.
    pub parts: Parts,
    /// Scratch.
    pub folder: PathBuf,
    /// Told when somebody wants it to end.
    pub stop: Stop,
}

/// Does the experiment with one way of running the handler.
///
/// # Errors
/// When the page or the pace-maker does not do what it is told.
pub fn run(way: &Way, runtime: &Handle, say: &dyn Fn(&str)) -> Result<ArticleRun, Error> {
    let api = Api::new(&way.page)?;
    let customers = runtime.block_on(api.open("article-user", 1))?;
    let start = Browser::start(&way.page, &way.folder, &customers[0], COMPANY_IBAN);
    let mut browser = runtime.block_on(start)?;
    let actions_each = whole((ACTIONS / way.faster).round()).max(1);
    let mut found = ArticleRun {
        name: way.name.clone(),
        faster: way.faster,
        steps: Vec::new(),
        ended: format!("at {} heartbeats a second, as told", way.up_to),
    };
    let mut timed_out = 0;
    for rate in (0..=way.up_to).step_by(STEP as usize) {
        runtime.block_on(set_rate(&way.rate_url, rate))?;
        let before = way.parts.sample();
        let began = Instant::now();
        let mut actions = Actions::default();
        for _ in 0..actions_each {
            if way.stop.load(Ordering::Relaxed) {
                return Err(Error::Interrupted);
            }
            let started = Instant::now();
            let (kind, ms) = runtime.block_on(browser.act())?;
            actions.note(kind, ms);
            std::thread::sleep(ACTION_INTERVAL.saturating_sub(started.elapsed()));
        }
        let samples = [before, way.parts.sample()];
        let used = services(&way.parts, &samples, began.elapsed().as_secs_f64(), 0);
        let service = |name: &str| used.iter().find(|it| it.name == name);
        let cpu = |name: &str| service(name).map_or(0.0, |it| it.cpu_percent);
        let mut painted = actions.painted(&browser.name);
        painted.latency.histogram_us.clear();
        timed_out += painted.timed_out;
        let step = ArticleStep {
            per_second: f64::from(rate),
            timed_out: painted.timed_out,
            painted: painted.latency,
            handler_cpu_percent: cpu(HANDLER),
            handler_mib: service(HANDLER)
                .and_then(|it| it.rss_anon_mib)
                .unwrap_or(0.0),
            postgres_cpu_percent: cpu(POSTGRES),
            gateway_cpu_percent: cpu(GATEWAY),
            kafka_cpu_percent: cpu("kafka"),
        };
        say(&format!(
            "{}, {rate} heartbeats/s: painted mean {:.1} ms, handler {:.1} % of a core and {:.1} MiB",
            way.name, step.painted.mean_ms, step.handler_cpu_percent, step.handler_mib
        ));
        found.steps.push(step);
        if timed_out >= TIME_OUTS_MAX {
            found.ended = format!("after {timed_out} actions had timed out, as in the article");
            break;
        }
    }
    runtime.block_on(set_rate(&way.rate_url, 0))?;
    Ok(found)
}

/// How long the experiment takes, about.
#[must_use]
pub fn takes(faster: f64, up_to: u32) -> Duration {
    let steps = u64::from(up_to / STEP) + 1;
    Duration::from_secs(steps * whole((ACTIONS / faster).round()).max(1))
}

async fn set_rate(url: &str, rate: u32) -> Result<(), Error> {
    let client = reqwest::Client::builder().no_proxy().build();
    let client = client.map_err(Error::http("prepare to set the pace"))?;
    let body = json!({ "heartbeats_per_second": rate });
    let answer = client.put(url).json(&body).send().await;
    let answer = answer.map_err(Error::http("set the pace"))?;
    answer
        .error_for_status()
        .map(|_| ())
        .map_err(Error::http("set the pace"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_article_took_a_minute_for_each_step() {
        assert_eq!(takes(1.0, 400), Duration::from_secs(41 * 60));
        assert_eq!(takes(20.0, 600), Duration::from_secs(61 * 3));
    }
}
