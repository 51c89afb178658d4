//! What came of the cases: read from topics and databases from outside.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::eventually;
use e2e::log::{LogRecord, read_all};
use uuid::Uuid;

use crate::table::Answer;
use crate::world::{
    ACCOUNT_ANSWERS, Bad, CHANGES, OPENINGS, Place, TRANSFER_ANSWERS, TRANSFERS, World,
};
use crate::{Good, SERVICES, SentCase};

/// Magic byte and schema id.
const FRAME_BYTES: usize = 5;
/// Most readers of one topic: outcomes of account creations are read by two.
const READERS_MAX: usize = 2;

/// What the handler's books have of a command.
struct Outcome {
    rejection: Option<String>,
    source: Place,
}

/// Everything that can be seen from outside.
pub(crate) struct Found {
    dead: HashMap<Place, Vec<LogRecord>>,
    outcomes: HashMap<Uuid, Outcome>,
    /// Values of all answers by command id, and their topic.
    answers: HashMap<Uuid, Vec<(String, Vec<u8>)>>,
    /// Places of the changes in the read model.
    changes: HashSet<(i32, i64)>,
    /// Version and balance in the read model.
    accounts: HashMap<String, (i64, i64)>,
}

impl Found {
    pub(crate) async fn read(world: &World) -> Result<Found> {
        let kafka = &world.bank.kafka;
        let mut dead: HashMap<Place, Vec<LogRecord>> = HashMap::new();
        for letter in read_all(kafka, "dead_letters")? {
            let header = |name| letter.header(name).with_context(|| format!("no {name}"));
            let place = (
                header("source_topic")?.to_owned(),
                header("source_partition")?.parse()?,
                header("source_offset")?.parse()?,
            );
            dead.entry(place).or_default().push(letter);
        }
        let mut answers: HashMap<Uuid, Vec<(String, Vec<u8>)>> = HashMap::new();
        for topic in [ACCOUNT_ANSWERS, TRANSFER_ANSWERS] {
            for record in read_all(kafka, topic)? {
                let value = record.value.unwrap_or_default();
                let id = value.get(FRAME_BYTES..FRAME_BYTES + 16);
                if let Some(id) = id.and_then(|id| Uuid::from_slice(id).ok()) {
                    answers
                        .entry(id)
                        .or_default()
                        .push((topic.to_owned(), value));
                }
            }
        }
        let books = world.bank.database("command_handler").await?;
        let outcomes = books
            .query(
                "select command_id, rejection, source_topic, source_partition, source_offset
                 from outcome",
                &[],
            )
            .await?;
        let views = world.bank.database("graphql_endpoint").await?;
        let changes = views
            .query(
                "select source_partition, source_offset from account_transaction",
                &[],
            )
            .await?;
        let accounts = views
            .query("select iban, version, balance_cents from account", &[])
            .await?;
        Ok(Found {
            dead,
            outcomes: outcomes
                .iter()
                .map(|row| {
                    let outcome = Outcome {
                        rejection: row.get(1),
                        source: (row.get(2), row.get(3), row.get(4)),
                    };
                    (row.get(0), outcome)
                })
                .collect(),
            answers,
            changes: changes.iter().map(|row| (row.get(0), row.get(1))).collect(),
            accounts: accounts
                .iter()
                .map(|row| (row.get(0), (row.get(1), row.get(2))))
                .collect(),
        })
    }

    pub(crate) fn is_dead(&self, place: &Place) -> bool {
        self.dead.contains_key(place)
    }

    /// The dead letters of a record: as it came, with this reason.
    fn dead_letter(&self, place: &Place, record: &Bad, reason: &str) -> Result<()> {
        let letters = self.dead.get(place).context("no dead letter")?;
        ensure!(
            letters.len() <= READERS_MAX,
            "{} dead letters",
            letters.len()
        );
        for letter in letters {
            let told = letter.header("reason");
            ensure!(
                told == Some(reason),
                "the reason {told:?} instead of {reason}"
            );
            ensure!(letter.value == record.value, "another value");
            let key = letter.key.as_deref().unwrap_or_default();
            ensure!(
                key == record.key.as_deref().unwrap_or_default(),
                "another key"
            );
        }
        Ok(())
    }

    /// How fast the records of a case became dead letters.
    pub(crate) fn put_aside_per_second(&self, sent: &SentCase) -> Result<u128> {
        let letters = sent
            .places
            .iter()
            .flatten()
            .filter_map(|place| self.dead.get(place));
        let times: Vec<i64> = letters
            .flatten()
            .map(|letter| letter.timestamp_ms)
            .collect();
        let (first, last) = times.iter().min().zip(times.iter().max()).context("none")?;
        let took = u128::try_from(last - first)?.max(1);
        Ok(u128::try_from(times.len())? * 1_000 / took)
    }

    fn told(&self, id: Uuid) -> Result<&str> {
        let outcome = self.outcomes.get(&id).context("no outcome")?;
        Ok(outcome.rejection.as_deref().unwrap_or("confirmed"))
    }

    fn stands(&self, iban: &str, version: i64, cents: i64) -> Result<()> {
        let stands = self.accounts.get(iban);
        ensure!(
            stands == Some(&(version, cents)),
            "{iban} stands at {stands:?}"
        );
        Ok(())
    }

    /// At least two answers, all the same bytes in one topic.
    fn answered_again(&self, id: Uuid) -> Result<()> {
        let answers = self.answers.get(&id).context("no answer")?;
        ensure!(answers.len() >= 2, "answered once");
        ensure!(
            answers.iter().all(|it| *it == answers[0]),
            "different answers"
        );
        Ok(())
    }
}

/// Whether a case has its answer.
pub(crate) fn case(found: &Found, sent: &SentCase) -> Result<()> {
    let mut places = Vec::with_capacity(sent.places.len());
    for place in &sent.places {
        match (&sent.case.answer, place) {
            (Answer::Refused, Err(_)) => return Ok(()),
            (Answer::Refused, Ok(place)) => bail!("taken at {place:?}: {}", fate(found, place)),
            (_, Err(error)) => bail!("not taken: {error}"),
            (_, Ok(place)) => places.push(place),
        }
    }
    match &sent.case.answer {
        Answer::Dead(reason) => {
            ensure!(places.len() == sent.records.len());
            for (number, (place, record)) in places.iter().zip(&sent.records).enumerate() {
                let dead = found.dead_letter(place, record, reason);
                dead.with_context(|| format!("record {number} at {place:?}"))?;
            }
        }
        Answer::Told(id, words) => {
            let told = found.told(*id);
            let told =
                told.with_context(|| places.iter().map(|it| fate(found, it)).collect::<String>())?;
            ensure!(told == *words, "told {told}");
            ensure!(found.answers.contains_key(id), "no record tells it");
            ensure!(
                places.iter().all(|place| !found.is_dead(place)),
                "a dead letter"
            );
        }
        Answer::Again(id) => {
            ensure!(
                places.iter().all(|place| !found.is_dead(place)),
                "a dead letter"
            );
            found.answered_again(*id)?;
        }
        Answer::Conflict(id) => {
            let source = &found.outcomes.get(id).context("no outcome")?.source;
            for (place, record) in places.iter().zip(&sent.records) {
                if *place == source {
                    ensure!(!found.is_dead(place), "the first is a dead letter");
                } else {
                    found.dead_letter(place, record, "IDEMPOTENCY_CONFLICT")?;
                }
            }
            found.answered_again(*id)?;
        }
        Answer::Each => {
            for place in &places {
                ensure!(
                    found.is_dead(place) || is_understood(found, place),
                    "nothing came of {place:?}"
                );
            }
            let dead = places.iter().filter(|place| found.is_dead(place)).count();
            ensure!(
                dead > 0 && dead < places.len(),
                "{dead} of {} dead",
                places.len()
            );
        }
        Answer::Passed => {
            ensure!(
                places.iter().all(|place| !found.is_dead(place)),
                "a dead letter"
            );
        }
        Answer::Unheard(id) => {
            ensure!(!found.outcomes.contains_key(id), "it was decided");
            ensure!(!found.answers.contains_key(id), "it was answered");
        }
        Answer::Stands(iban, version, cents) => {
            for place in &places {
                ensure!(!found.is_dead(place), "{}", fate(found, place));
            }
            found.stands(iban, *version, *cents)?;
        }
        Answer::Corrupt(iban, version, cents) => {
            let (place, record) = places.last().zip(sent.records.last()).context("nothing")?;
            found.dead_letter(place, record, "CORRUPTION")?;
            found.stands(iban, *version, *cents)?;
        }
        Answer::Refused => bail!("never sent"),
    }
    Ok(())
}

/// What became of a record, for the reader of a failure.
fn fate(found: &Found, place: &Place) -> String {
    match found.dead.get(place).and_then(|letters| letters.first()) {
        Some(letter) => format!("a dead letter, {:?}", letter.header("reason")),
        None if is_understood(found, place) => "understood".to_owned(),
        None => "nothing came of it".to_owned(),
    }
}

fn is_understood(found: &Found, place: &Place) -> bool {
    if place.0 == CHANGES {
        return found.changes.contains(&(place.1, place.2));
    }
    found
        .outcomes
        .values()
        .any(|outcome| outcome.source == *place)
}

/// Whether the good record behind a case was handled.
pub(crate) fn good(found: &Found, good: &Good) -> Result<()> {
    match good {
        Good::Command(id) => {
            let told = found.told(*id)?;
            ensure!(told == "confirmed", "{told}");
        }
        Good::Change(iban) => found.stands(iban, 1, 100)?,
        Good::Other => {}
    }
    Ok(())
}

/// Waits for the good record's outcome in the books.
pub(crate) async fn wait_for_good(world: &World, good: &Good, patience: Duration) -> Result<()> {
    let Good::Command(id) = good else {
        bail!("not a command");
    };
    let books = world.bank.database("command_handler").await?;
    eventually("the good one is decided", patience, async || {
        let found = books
            .query_opt("select rejection from outcome where command_id = $1", &[id])
            .await?;
        let found = found.context("no outcome")?;
        let rejection: Option<String> = found.get(0);
        ensure!(rejection.is_none(), "{rejection:?}");
        Ok(())
    })
    .await
}

/// Every record of a command topic is a decision's source, a repeat of one, or a dead letter;
/// every change is in the read model, is there already, or is a dead letter.
pub(crate) fn nothing_dropped(world: &World, found: &Found) -> Vec<String> {
    let mut wrong = Vec::new();
    let sources: HashSet<&Place> = found.outcomes.values().map(|it| &it.source).collect();
    for topic in [OPENINGS, TRANSFERS] {
        let records = match read_all(&world.bank.kafka, topic) {
            Ok(records) => records,
            Err(error) => {
                wrong.push(format!("{topic} cannot be read: {error:#}"));
                continue;
            }
        };
        for record in records {
            let place = (record.topic, record.partition, record.offset);
            let id = record
                .value
                .as_deref()
                .and_then(|it| it.get(FRAME_BYTES..FRAME_BYTES + 16));
            let id = id.and_then(|id| Uuid::from_slice(id).ok());
            let is_repeat = id.is_some_and(|id| found.outcomes.contains_key(&id));
            if !sources.contains(&place) && !found.is_dead(&place) && !is_repeat {
                wrong.push(format!("nothing came of {place:?}"));
            }
        }
    }
    wrong
}

/// No service was started again, none panicked, and no log has a secret in it.
pub(crate) fn services_untouched(world: &World) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for service in SERVICES {
        let row = world.bank.service(service)?;
        if row["restarts"] != 0 {
            wrong.push(format!("{service} was started again: {row}"));
        }
    }
    let secrets = world.secrets()?;
    for file in std::fs::read_dir(world.bank.directory().join("logs"))? {
        let path = file?.path();
        let log = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let name = path.display();
        if log.contains("panicked") {
            wrong.push(format!("{name} tells of a panic"));
        }
        for (number, secret) in secrets.iter().enumerate() {
            if let Some(at) = log.lines().position(|line| line.contains(secret)) {
                wrong.push(format!("{name}, line {}: secret {number}", at + 1));
            }
        }
    }
    Ok(wrong)
}

/// The ledger sums to zero, and the read model has every booking of an own account.
pub(crate) async fn books(world: &World) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    let books = world.bank.database("command_handler").await?;
    let sum = books
        .query_one("select sum(delta_cents)::bigint from ledger_entry", &[])
        .await?;
    if sum.get::<_, Option<i64>>(0) != Some(0) {
        wrong.push(format!(
            "the ledger sums to {:?}",
            sum.get::<_, Option<i64>>(0)
        ));
    }
    let booked = books
        .query(
            "select account, version, balance_after_cents from ledger_entry
             where version is not null",
            &[],
        )
        .await?;
    let views = world.bank.database("graphql_endpoint").await?;
    let shown = views
        .query(
            "select iban, version, new_balance_cents from account_transaction",
            &[],
        )
        .await?;
    let change =
        |row: &tokio_postgres::Row| -> (String, i64, i64) { (row.get(0), row.get(1), row.get(2)) };
    let shown: HashSet<_> = shown.iter().map(change).collect();
    for booked in booked.iter().map(change) {
        if !shown.contains(&booked) {
            wrong.push(format!("not in the read model: {booked:?}"));
        }
    }
    Ok(wrong)
}
