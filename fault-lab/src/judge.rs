//! Waiting until a bank is quiet, and judging what is left: the lab's own board first, then the auditor.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use auditor::{Options, Sources};
use serde_json::Value;

use crate::{
    bank::{Bank, Subject},
    database,
    error::LabError,
    observer::{Observer, Place},
    wire::topics,
};

/// From the end of the load until nothing moves.
const QUIET_PATIENCE: Duration = Duration::from_secs(60);
/// When nothing new came for so long, what is missing is lost.
const SILENCE: Duration = Duration::from_secs(6);
/// How often is looked; twice the same is quiet.
const LOOK: Duration = Duration::from_millis(250);

/// What the auditor says.
#[derive(Clone, Debug)]
pub struct Audited {
    /// Everything holds.
    pub holds: bool,
    /// Something is violated; false when it could not be checked.
    pub is_violated: bool,
    /// In a line each: what does not hold or could not be checked.
    pub complaints: Vec<String>,
    /// All of it.
    pub report: Value,
}

/// Waits until everything sent is dealt with by everybody; says what is not, when the time is over.
///
/// # Errors
/// What still moves.
pub async fn until_quiet(bank: &Bank, observer: &Observer) -> Result<(), String> {
    if bank.subject == Subject::ArticlesWay {
        until_silent(observer).await;
        return Ok(());
    }
    let deadline = Instant::now() + QUIET_PATIENCE;
    let mut before: Option<BTreeMap<Place, i64>> = None;
    loop {
        let reason = match quiet_at(bank, observer).await {
            Ok(ends) if before.as_ref() == Some(&ends) => return Ok(()),
            Ok(ends) => {
                before = Some(ends);
                "the topics grow".to_owned()
            }
            Err(reason) => {
                before = None;
                reason
            }
        };
        if Instant::now() > deadline {
            return Err(reason);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The ends of the topics when everybody has come there.
async fn quiet_at(bank: &Bank, observer: &Observer) -> Result<BTreeMap<Place, i64>, String> {
    if !observer.board().is_complete() {
        let unanswered = observer.board().unanswered(u64::MAX);
        return Err(format!(
            "{unanswered} commands are not answered, or changes are missing"
        ));
    }
    let asked = async {
        let ends = observer.ends().await?;
        let gateway = bank.cluster.database_url("graphql_endpoint")?;
        let decided = database::positions(&bank.books_url, "consumer_offset").await?;
        let shown = database::positions(&gateway, "projection_offset").await?;
        let debts = database::debts(&bank.books_url).await?;
        Ok::<_, LabError>((ends, decided, shown, debts))
    };
    let (ends, decided, shown, debts) = asked.await.map_err(|error| error.in_a_line())?;
    if debts > 0 {
        return Err(format!("{debts} batches are not emitted"));
    }
    for (place, end) in &ends {
        let (who, positions) = match place.0.as_str() {
            topics::CREATIONS | topics::TRANSFERS => ("the handler", &decided),
            topics::OPENED | topics::MOVED | topics::CHANGES => ("the gateway", &shown),
            _ => continue,
        };
        let position = positions.get(place).copied().unwrap_or_default();
        if position != *end {
            let (topic, partition) = place;
            return Err(format!(
                "{who} is at {position} of {end} in {topic}/{partition}"
            ));
        }
    }
    Ok(ends)
}

async fn until_silent(observer: &Observer) {
    let seen = || {
        let board = observer.board();
        (board.samples(0).len(), board.repeats, board.is_complete())
    };
    let mut last = seen();
    let mut since = Instant::now();
    while !last.2 && since.elapsed() < SILENCE {
        tokio::time::sleep(LOOK).await;
        let now = seen();
        if now != last {
            last = now;
            since = Instant::now();
        }
    }
}

/// Asks the auditor; none for the article's way, whose books it does not know.
pub async fn audit(bank: &Bank, history: PathBuf) -> Option<Audited> {
    if bank.subject == Subject::ArticlesWay {
        return None;
    }
    let urls = || {
        let handler = bank.cluster.database_url("command_handler")?;
        let gateway = bank.cluster.database_url("graphql_endpoint")?;
        Ok::<_, LabError>((handler, gateway))
    };
    let unknown = |why: String| Audited {
        holds: false,
        is_violated: false,
        complaints: vec![format!("could not be audited: {why}")],
        report: Value::Null,
    };
    let (handler_database_url, gateway_database_url) = match urls() {
        Ok(urls) => urls,
        Err(error) => return Some(unknown(error.in_a_line())),
    };
    let endpoints = bank.cluster.endpoints();
    let sources = Sources {
        kafka_brokers: endpoints.kafka_brokers.clone(),
        topic_prefix: bank.topic_prefix.to_owned(),
        schema_registry_url: endpoints.schema_registry_url.clone(),
        handler_database_url,
        gateway_database_url,
        history: Some(history),
    };
    let directory = bank.cluster.layout().directory();
    let options = Options {
        scratch: Some(directory.to_owned()),
        schema_memory: Some(directory.join("schemas.json")),
        ..Options::default()
    };
    let report = match auditor::audit(&sources, &options, &|_| {}).await {
        Ok(report) => report,
        Err(error) => {
            let mut text = error.to_string();
            let mut cause = std::error::Error::source(&error);
            while let Some(error) = cause {
                text = format!("{text}: {error}");
                cause = error.source();
            }
            return Some(unknown(text));
        }
    };
    let complaints = report.findings.iter().filter_map(|finding| {
        let first = finding.first_offender.as_deref().unwrap_or("no place");
        match &finding.state {
            auditor::State::Violated => Some(format!(
                "{} violated {} times ({}): {first}",
                finding.invariant, finding.violations, finding.what
            )),
            auditor::State::NotChecked { why } => {
                Some(format!("{} not checked: {why}", finding.invariant))
            }
            auditor::State::Holds | auditor::State::NotAsked { .. } => None,
        }
    });
    let verdict = report.verdict();
    Some(Audited {
        holds: verdict == auditor::Verdict::Holds,
        is_violated: verdict == auditor::Verdict::Violated,
        complaints: complaints.collect(),
        report: serde_json::to_value(&report).unwrap_or_default(),
    })
}
