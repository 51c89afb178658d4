//! The documents of runs, as `perf/results/README.md` describes them: what the page draws of them.

use serde_json::Value;

use crate::{
    formats,
    readable::{self, readable},
};

/// What is in a document.
#[derive(Clone, Debug, PartialEq)]
pub enum Document {
    /// The whole bank, version 2.
    Bank(Box<BankDocument>),
    /// The handler alone, format 1.
    Handler(Box<HandlerDocument>),
    /// Of another form, or none at all.
    Unknown,
}

impl Document {
    /// Reads a document by what it says it is.
    #[must_use]
    pub fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let number = |name: &str| value[name].as_u64().unwrap_or(0);
        match (
            value["subject"].as_str().unwrap_or_default(),
            number("version"),
            number("format"),
        ) {
            ("bank", 2, _) => Self::Bank(Box::new(readable::document(&value))),
            ("command-handler", _, 1) => Self::Handler(Box::new(readable::document(&value))),
            _ => Self::Unknown,
        }
    }
}

impl Machine {
    /// All of it in a line.
    #[must_use]
    pub fn in_words(&self) -> String {
        format!(
            "{}, {} cores, {} MiB, {}",
            self.processor,
            self.cores,
            formats::count(self.memory_mib),
            self.kernel
        )
    }
}

impl Step {
    /// What the handler used.
    #[must_use]
    pub fn handler(&self) -> Option<&Used> {
        self.services
            .iter()
            .find(|used| used.name == "command-handler")
    }
}

readable! {
    /// On what it was measured.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Machine {
        /// As the kernel names it.
        pub processor: String,
        /// How many.
        pub cores: u32,
        /// Of the machine.
        pub memory_mib: u64,
        /// Name and version.
        pub kernel: String,
    }

    /// A run of the whole bank.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct BankDocument {
        /// `quick`, `full`, `target` or `article`.
        pub kind: String,
        /// How long it took.
        pub took_seconds: f64,
        /// On what.
        pub machine: Machine,
        /// Part and version.
        pub versions: Vec<(String, String)>,
        /// Part, name and value.
        pub settings: Vec<(String, String, String)>,
        /// The judge's.
        pub verdict: Verdict,
        /// Reasons why the figures are noisy.
        pub noisy: Vec<String>,
        /// Costs below which nothing can come.
        pub floors: Vec<Floor>,
        /// Every load that was held.
        pub steps: Vec<Step>,
        /// The highest load that was.
        pub capacity: Option<Capacity>,
        /// In a browser.
        pub painted: Option<Painted>,
        /// Where the time went.
        pub stages: Vec<StagesOfStep>,
        /// The handler alone.
        pub drain: Option<Drain>,
        /// After a kill.
        pub recovery: Option<Recovery>,
        /// The experiment of 2019 again.
        pub article: Vec<ArticleRun>,
        /// What was wanted.
        pub targets: Vec<Target>,
        /// What runs are compared by.
        pub figures: Vec<Figure>,
    }

    /// The judge's word on a run.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Verdict {
        /// Without it there are no figures.
        pub holds: bool,
        /// Who judged.
        pub by: String,
        /// How many.
        pub invariants: u32,
        /// How many hold.
        pub holding: u32,
    }

    /// A cost measured bare, before and after.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Floor {
        /// Short.
        pub name: String,
        /// In words.
        pub what: String,
        /// Half were quicker.
        pub before_p50_ms: f64,
        /// Half were quicker.
        pub after_p50_ms: f64,
    }

    /// Latency of many.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct Latency {
        /// How many.
        pub samples: u64,
        /// Of all.
        pub mean_ms: f64,
        /// Half were quicker.
        pub p50_ms: f64,
        /// 95 % were quicker; 0 where only the handler was measured.
        pub p95_ms: f64,
        /// 99 % were quicker.
        pub p99_ms: f64,
    }

    /// One program, or the containers of one service, during a step. Not everything can be asked of containers.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Used {
        /// As on the command line.
        pub name: String,
        /// Of one core.
        pub cpu_us_per_command: Option<f64>,
        /// Its own.
        pub rss_anon_mib: Option<f64>,
    }

    /// One load that was held.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Step {
        /// Why it was measured.
        pub name: String,
        /// What was meant.
        pub offered_per_second: f64,
        /// What came.
        pub answered_per_second: f64,
        /// To the changed balance, at the paying client.
        pub visible: Option<Latency>,
        /// Whether the generator was in time.
        pub is_valid: bool,
        /// Whether the bank was.
        pub is_kept_up: bool,
        /// Each program.
        pub services: Vec<Used>,
    }

    /// The highest load that was kept up.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Capacity {
        /// Kept up.
        pub per_second: f64,
        /// The lowest that was not; 0 where all were.
        pub failed_per_second: Option<f64>,
        /// Why.
        pub limited_by: Vec<String>,
    }

    /// From just before the click to the frame after the confirmed row stood in the page.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Painted {
        /// Of all.
        pub latency: Latency,
        /// Not shown in time.
        pub timed_out: u64,
        /// Which.
        pub browser: String,
    }

    /// The stages at one load.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct StagesOfStep {
        /// Its name.
        pub step: String,
        /// Its load.
        pub per_second: f64,
        /// How many commands.
        pub samples: u64,
        /// In the order of the way.
        pub stages: Vec<Stage>,
        /// Sum of the means.
        pub total_mean_ms: f64,
    }

    /// One stage of the way.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Stage {
        /// In words.
        pub name: String,
        /// Of all.
        pub mean_ms: f64,
        /// 99 % were quicker.
        pub p99_ms: f64,
    }

    /// The handler alone, from topic to topic.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Drain {
        /// That waited.
        pub commands: u64,
        /// Each repeat.
        pub per_second: Vec<f64>,
        /// One command a transaction.
        pub one_at_a_time_per_second: Option<f64>,
    }

    /// After `kill -9` of the handler.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Recovery {
        /// The load meanwhile.
        pub per_second: f64,
        /// Until the first answer.
        pub flows_again_ms: f64,
        /// Until nothing waits.
        pub caught_up_ms: f64,
        /// Commands without an answer.
        pub lost: u64,
    }

    /// The experiment of 2019 again, with one way of running the handler.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ArticleRun {
        /// Which way.
        pub name: String,
        /// By load.
        pub steps: Vec<ArticleStep>,
    }

    /// One load of it.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct ArticleStep {
        /// The load.
        pub per_second: f64,
        /// In the browser.
        pub painted: Option<Latency>,
        /// Of one core.
        pub handler_cpu_percent: Option<f64>,
        /// Its own.
        pub handler_mib: Option<f64>,
    }

    /// What was wanted of a run, and found.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Target {
        /// `P1` to `P27`.
        pub id: String,
        /// In words.
        pub what: String,
        /// With its unit.
        pub wanted: String,
        /// With its unit.
        pub found: String,
        /// `reached`, `not_reached` or `not_measured`.
        pub state: String,
    }

    /// What runs are compared by.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct Figure {
        /// The same in every run.
        pub name: String,
        /// In words.
        pub what: String,
        /// Of the value.
        pub unit: String,
        /// Of all repeats.
        pub value: f64,
        /// Of its repeats.
        pub least: Option<f64>,
        /// Of its repeats.
        pub greatest: Option<f64>,
        /// `lower` or `higher`.
        pub better: String,
    }

    /// A run of the handler alone.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct HandlerDocument {
        /// On what.
        pub machine: Machine,
        /// Reasons why the figures are noisy.
        pub noisy: Vec<String>,
        /// A backlog, drained.
        pub drains: Vec<DrainOnce>,
        /// By load.
        pub steps: Vec<HandlerStep>,
        /// With next to no load.
        pub idle: Option<HandlerStep>,
        /// After a kill.
        pub recoveries: Vec<Recovery>,
        /// What was wanted, and found.
        pub verdict: Vec<HandlerTarget>,
    }

    /// A backlog, drained once.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct DrainOnce {
        /// `batches`, `one_at_a_time` or `articles_way`.
        pub mode: String,
        /// Who pays whom.
        pub workload: String,
        /// That waited.
        pub commands: u64,
        /// How fast.
        pub commands_per_second: f64,
    }

    /// One load on the handler.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct HandlerStep {
        /// What was meant.
        pub rate: f64,
        /// What came.
        pub answered_per_second: f64,
        /// From the command to its outcome.
        pub outcome: Latency,
        /// Whether the generator was in time.
        pub is_valid: bool,
        /// For each command.
        pub cpu: HandlerCpu,
        /// The handler's own memory.
        pub rss_anon_kib: Option<f64>,
    }

    /// For each command.
    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    pub struct HandlerCpu {
        /// Microseconds.
        pub handler_us: Option<f64>,
    }

    /// What was wanted of the handler, and found.
    #[derive(Clone, Debug, Default, PartialEq)]
    pub struct HandlerTarget {
        /// In words.
        pub what: String,
        /// With its unit.
        pub target: String,
        /// With its unit.
        pub figure: String,
        /// Whether it was.
        pub reached: bool,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_read_by_what_it_says_it_is() {
        let bank = r#"{"version":2,"subject":"bank","kind":"quick","steps":[{"name":"idle","offered_per_second":5,
            "visible":{"samples":10,"p50_ms":4.1,"histogram_us":[[1,2]]},"services":[{"name":"command-handler",
            "cpu_us_per_command":1.5}]}],"something_new":true}"#;
        let Document::Bank(read) = Document::read(bank) else {
            panic!("not read")
        };
        assert_eq!(
            read.steps[0].visible.map(|latency| latency.samples),
            Some(10)
        );
        assert!(read.steps[0].handler().is_some());
        for foreign in [
            "",
            "[]",
            "{}",
            r#"{"version":3,"subject":"bank"}"#,
            r#"{"format":2,"subject":"command-handler"}"#,
        ] {
            assert_eq!(Document::read(foreign), Document::Unknown, "{foreign}");
        }
    }

    #[test]
    fn the_kept_run_of_the_handler_is_read() {
        let text = include_str!("../../../perf/results/2026-11-21-handler-full.json");
        let Document::Handler(read) = Document::read(text) else {
            panic!("not read")
        };
        assert!(!read.steps.is_empty() && !read.drains.is_empty() && !read.recoveries.is_empty());
        assert!(read.steps[0].outcome.p50_ms > 0.0);
    }
}
