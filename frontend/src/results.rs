//! What was measured: documents of runs and what the article published in 2019, as charts and tables. A document is
//! read for what is drawn and no more; one of another form is shown by its name alone.

use std::sync::Arc;

use crate::{
    api::status::MeasuredResult,
    chart::{Bars, Chart},
};

mod choice;
mod compare;
mod documents;
mod draw;
mod published;

pub use choice::Choice;
pub use compare::{Against, FigureRow, PublishedRow, against_published, against_run};
pub use documents::{
    BankDocument, Document, Figure, Floor, HandlerDocument, Machine, Step, Target,
};
pub use draw::draw;
pub use published::{Handler, Published, published};

/// One run, read.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// What the gateway says of it.
    pub about: MeasuredResult,
    /// What is in it.
    pub document: Document,
}

impl Run {
    /// Reads a run.
    #[must_use]
    pub fn read(about: MeasuredResult) -> Self {
        let document = Document::read(&about.document);
        Self { about, document }
    }

    /// On what it was measured; as the gateway has it where the document is of another form.
    #[must_use]
    pub fn machine(&self) -> String {
        match &self.document {
            Document::Bank(bank) => bank.machine.in_words(),
            Document::Handler(handler) => handler.machine.in_words(),
            Document::Unknown => self.about.machine.clone(),
        }
    }

    /// How many targets it was measured against.
    #[must_use]
    pub fn target_count(&self) -> usize {
        match &self.document {
            Document::Bank(bank) => bank.targets.len(),
            Document::Handler(handler) => handler.verdict.len(),
            Document::Unknown => 0,
        }
    }

    /// The whole bank's figures.
    #[must_use]
    pub fn bank(&self) -> Option<&BankDocument> {
        match &self.document {
            Document::Bank(bank) => Some(bank),
            _ => None,
        }
    }

    /// The handler's alone.
    #[must_use]
    pub fn handler(&self) -> Option<&HandlerDocument> {
        match &self.document {
            Document::Handler(handler) => Some(handler),
            _ => None,
        }
    }
}

/// The run that is shown until somebody chooses: the newest of the whole bank over its loads.
/// A soak and the like are at one load, and of no use to these charts by themselves.
#[must_use]
pub fn first_shown(runs: &[Arc<Run>]) -> Option<Arc<Run>> {
    const OVER_LOADS: [&str; 2] = ["quick", "full"];
    let of_the_bank = |wanted: &dyn Fn(&BankDocument) -> bool| {
        let found = runs.iter().find(|run| run.bank().is_some_and(wanted));
        found.cloned()
    };
    of_the_bank(&|bank| OVER_LOADS.contains(&bank.kind.as_str()))
        .or_else(|| of_the_bank(&|_| true))
        .or_else(|| runs.first().cloned())
}

/// Which percentile is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Percentile {
    /// Half were quicker.
    #[default]
    P50,
    /// 95 % were quicker.
    P95,
    /// 99 % were quicker.
    P99,
}

impl Percentile {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::P50, Self::P95, Self::P99];

    /// Its short name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }
}

/// One chart of the route, in the order of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// From the click, or what stands for it, to the changed balance.
    Latency,
    /// Highest load that was kept up.
    Throughput,
    /// Of the handler, for each command.
    Cpu,
    /// Of the handler.
    Memory,
    /// With next to no load.
    Idle,
    /// Where the time of a command goes.
    Stages,
    /// After the handler was killed.
    Recovery,
    /// The handler without the gateway, from topic to topic.
    Handler,
    /// What was wanted and what was found.
    Targets,
    /// On what, with which settings, how quiet.
    Machine,
}

impl Kind {
    /// In the order of the list.
    pub const ALL: [Self; 10] = [
        Self::Latency,
        Self::Throughput,
        Self::Cpu,
        Self::Memory,
        Self::Idle,
        Self::Stages,
        Self::Recovery,
        Self::Handler,
        Self::Targets,
        Self::Machine,
    ];

    /// In the address.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Throughput => "throughput",
            Self::Cpu => "handler-cpu",
            Self::Memory => "memory",
            Self::Idle => "idle",
            Self::Stages => "stages",
            Self::Recovery => "recovery",
            Self::Handler => "handler",
            Self::Targets => "targets",
            Self::Machine => "machine",
        }
    }

    /// From the address; the first where that has none.
    #[must_use]
    pub fn from_id(id: Option<&str>) -> Option<Self> {
        match id {
            None | Some("") => Some(Self::Latency),
            Some(id) => Self::ALL.into_iter().find(|kind| kind.id() == id),
        }
    }

    /// In the list.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Latency => "Latency by load",
            Self::Throughput => "Throughput",
            Self::Cpu => "Handler CPU per command",
            Self::Memory => "Handler memory",
            Self::Idle => "Idle latency",
            Self::Stages => "Where the time goes",
            Self::Recovery => "Recovery after a kill",
            Self::Handler => "The handler alone",
            Self::Targets => "Targets",
            Self::Machine => "Machine, noise",
        }
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub enum Picture {
    /// Lines over a load.
    Lines(Chart),
    /// Bars from zero.
    Bars(Bars),
}

/// What a route shows of one chart.
#[derive(Clone, Debug, PartialEq)]
pub struct Drawn {
    /// One sentence with the finding.
    pub finding: String,
    /// One after the other.
    pub pictures: Vec<Picture>,
    /// What makes the comparison unfair, in both directions; empty where nothing is compared.
    pub differs: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(name: &str, subject: &str, kind: &str) -> Arc<Run> {
        let document = serde_json::json!({ "version": 2, "format": 2, "subject": subject, "kind": kind, "steps": [] });
        Arc::new(Run::read(MeasuredResult {
            name: name.to_owned(),
            measured_at: "2026-11-22T06:00:00Z".to_owned(),
            commit: String::new(),
            machine: String::new(),
            noisy: false,
            verdict: String::new(),
            document: document.to_string(),
        }))
    }

    #[test]
    fn the_newest_run_over_loads_is_shown_first_and_another_only_where_there_is_none() {
        let (statistics, soak) = (run("c", "bank", "statistics"), run("b", "bank", "soak"));
        let (quick, full, other) = (
            run("a", "bank", "quick"),
            run("f", "bank", "full"),
            run("o", "else", ""),
        );
        for (runs, shown) in [
            (vec![&statistics, &soak, &quick, &full], Some("a")),
            (vec![&other, &full, &quick], Some("f")),
            (vec![&other, &soak], Some("b")),
            (vec![&other], Some("o")),
            (vec![], None),
        ] {
            let runs: Vec<_> = runs.into_iter().cloned().collect();
            let found = first_shown(&runs).map(|run| run.about.name.clone());
            assert_eq!(found.as_deref(), shown);
        }
    }
}
