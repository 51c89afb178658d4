//! The run decided again: commands in an order in which they can have been decided, through
//! the reference model, and what it says compared with what was answered and told.
//!
//! The model keeps every command that waits for another in memory, with its texts, so a
//! run is only replayed up to [`Options::replay_max`](crate::Options::replay_max) commands.

use std::collections::HashMap;
use std::sync::Arc;

use rdkafka::Message;
use rdkafka::message::BorrowedMessage;
use reference_model::{
    AccountKind, Assigned, Command, Facts, Opening, Recorded, RecordedOutcome, Replay, Request,
    Token,
};

use crate::cut::Cut;
use crate::facts::{Id, Place, topic_number};
use crate::invariants::Name;
use crate::kafka::{Kafka, Offsets};
use crate::reading::View;
use crate::records::{Record, read_record, split};
use crate::registry::Registry;
use crate::report::CannotCheck;
use crate::rows::OPENING_ID;
use crate::tally::Tally;

/// Magic byte and schema id, which the model knows nothing of.
const FRAMING_BYTES: usize = 5;
/// Bytes of a digest that stand for a record.
type Mark = u64;

const OUTCOMES: &str = "select command_id, kind, rejection, observed_version, source_topic, \
     source_partition, source_offset from outcome where kind <> 'opening'";
const VERSIONS: &str =
    "select command_id, delta_cents, version from ledger_entry where version is not null";
const COMPANY: &str = "select token_digest from account where iban = 'NL66OPEN0000000000'";
const BALANCES: &str = "select iban, balance_cents, version from account";

/// One row of `outcome`, as far as it tells the order.
struct Outcome {
    id: u128,
    is_creation: bool,
    rejection: Option<String>,
    observed: Option<i64>,
    source: Place,
}

/// What the books say.
pub(crate) struct Decisions {
    outcomes: Vec<Outcome>,
    versions: HashMap<u128, Vec<(i64, i64)>>,
    company: Option<[u8; 32]>,
    balances: Vec<(String, i64, i64)>,
    owed: std::collections::HashSet<u128>,
}

/// Asks the books for the decisions.
pub(crate) async fn decisions(cut: &Cut) -> Result<Decisions, CannotCheck> {
    let handler = &cut.handler;
    let id = |row: &tokio_postgres::Row| row.get::<_, uuid::Uuid>(0).as_u128();
    let outcomes = handler.query(OUTCOMES, &[]).await?;
    let outcomes = outcomes.iter().map(|row| Outcome {
        id: id(row),
        is_creation: row.get::<_, &str>(1) == "account_creation",
        rejection: row.get(2),
        observed: row.get(3),
        source: Place {
            topic: topic_number(row.get(4)).unwrap_or(u8::MAX),
            partition: row.get(5),
            offset: row.get(6),
        },
    });
    let mut versions: HashMap<u128, Vec<(i64, i64)>> = HashMap::new();
    for row in handler.query(VERSIONS, &[]).await? {
        let entry = (row.get(1), row.get(2));
        versions.entry(id(&row)).or_default().push(entry);
    }
    let company = handler.query(COMPANY, &[]).await?;
    let company = company.first().map(|row| row.get::<_, Vec<u8>>(0));
    let balances = handler.query(BALANCES, &[]).await?;
    let balances = balances
        .iter()
        .map(|row| (row.get(0), row.get(1), row.get(2)));
    Ok(Decisions {
        outcomes: outcomes.collect(),
        versions,
        company: company.and_then(|digest| digest.try_into().ok()),
        balances: balances.collect(),
        owed: cut.owed.clone(),
    })
}

/// What a record of a command is about: an account and its version, or nothing of it for
/// the answer.
type About = (String, i64);

/// What the topics say.
#[derive(Default)]
struct Log {
    commands: HashMap<Place, (Command, i64)>,
    /// First copies, by command and by what they are about.
    answers: HashMap<u128, Vec<(About, Mark)>>,
    assigned: HashMap<u128, Assigned>,
    opened_at_us: i64,
}

fn mark(topic: &str, key: &[u8], body: &[u8]) -> Mark {
    let lengths = [topic.len() as u64, key.len() as u64].map(u64::to_be_bytes);
    crate::facts::digest(&[topic.as_bytes(), key, body, lengths.as_flattened()].concat())
}

impl Log {
    fn take(&mut self, at: Place, message: &BorrowedMessage<'_>, record: &Record<'_>) {
        let body = message.payload().and_then(|it| it.get(FRAMING_BYTES..));
        let topic = at.name();
        let mark = mark(
            topic,
            message.key().unwrap_or_default(),
            body.unwrap_or_default(),
        );
        let timestamp_ms = message.timestamp().to_millis().unwrap_or(-1);
        let answer = || (String::new(), 0);
        match record {
            Record::Create { id, kind } => {
                let kind = if *kind == "AUTO" {
                    AccountKind::Auto
                } else {
                    AccountKind::Manual
                };
                self.command(at, *id, Request::OpenAccount { kind }, timestamp_ms);
            }
            Record::Move(it) => {
                let request = Request::Transfer {
                    token: it.token.to_owned(),
                    amount_cents: it.amount,
                    from: it.from.to_owned(),
                    to: it.to.to_owned(),
                    description: it.description.to_owned(),
                };
                self.command(at, it.id, request, timestamp_ms);
            }
            Record::Created { id, iban, token } => {
                let assigned = Assigned {
                    iban: (*iban).to_owned(),
                    token: (*token).to_owned(),
                };
                self.assigned.entry(*id).or_insert(assigned);
                self.answer(*id, answer(), mark);
            }
            Record::NotCreated { id, .. } | Record::Moved { id } | Record::NotMoved { id, .. } => {
                self.answer(*id, answer(), mark);
            }
            Record::Changed(it) => {
                if Id(it.id) == OPENING_ID {
                    self.opened_at_us = it.occurred_at_us;
                }
                self.answer(it.id, (it.iban.to_owned(), it.version), mark);
            }
        }
    }

    fn command(&mut self, at: Place, id: u128, request: Request, timestamp_ms: i64) {
        let command = Command {
            id: id.to_be_bytes(),
            request,
        };
        self.commands.insert(at, (command, timestamp_ms));
    }

    fn answer(&mut self, id: u128, about: About, mark: Mark) {
        let of_command = self.answers.entry(id).or_default();
        if !of_command.iter().any(|(it, _)| *it == about) {
            of_command.push((about, mark));
        }
    }

    fn marks(&mut self, id: u128) -> Vec<Mark> {
        let answers = self.answers.remove(&id).unwrap_or_default();
        sorted(answers.into_iter().map(|(_, mark)| mark))
    }
}

fn sorted(marks: impl Iterator<Item = Mark>) -> Vec<Mark> {
    let mut marks: Vec<Mark> = marks.collect();
    marks.sort_unstable();
    marks
}

fn marks_of(records: &[reference_model::Record]) -> Vec<Mark> {
    sorted(
        records
            .iter()
            .map(|it| mark(it.topic, it.key.as_bytes(), &it.body)),
    )
}

fn read_log(kafka: &Kafka, registry: &Registry, view: &View) -> Result<Log, CannotCheck> {
    let uncounted = std::sync::atomic::AtomicU64::new(0);
    let mut log = Log::default();
    for topic in 0..5 {
        kafka.read(
            topic,
            &Offsets::new(),
            &view.ends,
            &uncounted,
            &mut |at, message| {
                let Ok((schema, datum)) = split(message.payload()) else {
                    return Ok(());
                };
                let Some(meaning) = registry.meaning(schema)? else {
                    return Ok(());
                };
                if let Ok(record) = read_record(&meaning.schema, datum) {
                    log.take(at, message, &record);
                }
                Ok(())
            },
        )?;
    }
    Ok(log)
}

/// What travels with a command.
struct Answered {
    id: Id,
    source: Place,
    marks: Vec<Mark>,
    is_owed: bool,
}

/// Decides everything again; for threads outside the runtime.
pub(crate) fn replay(
    decisions: Decisions,
    kafka: &Kafka,
    registry: &Arc<Registry>,
    view: &View,
) -> Result<Tally, CannotCheck> {
    let mut tally = Tally::default();
    let mut log = read_log(kafka, registry, view)?;
    let Some(company) = decisions.company else {
        tally.check(Name::E3, false, || "the company has no account".to_owned());
        return Ok(tally);
    };
    let (mut replay, opening) = Replay::begin(Opening {
        company_token: Token::Digest(company),
        occurred_at_us: log.opened_at_us,
    });
    let is_opened = marks_of(&opening) == log.marks(OPENING_ID.0);
    let is_opening_owed = decisions.owed.contains(&OPENING_ID.0);
    tally.check(Name::E3, is_opened || is_opening_owed, || {
        "the opening was told otherwise than the model says".to_owned()
    });
    let recorded: Vec<Recorded<Answered>> = decisions
        .outcomes
        .iter()
        .filter_map(|outcome| recorded(outcome, &decisions, &mut log))
        .collect();
    for it in &recorded {
        if let RecordedOutcome::Rejected {
            reason,
            observed_version,
        } = &it.outcome
        {
            replay.expect(&it.command.request, reason, *observed_version);
        }
    }
    for it in recorded {
        replay.push(it, |decided| {
            let answered = decided.recorded.attached;
            let agrees = decided
                .decision
                .is_ok_and(|it| marks_of(&it.records) == answered.marks);
            tally.check(Name::E3, agrees || answered.is_owed, || {
                format!(
                    "{}: the model answers {} otherwise",
                    answered.source, answered.id
                )
            });
        });
    }
    let (bank, left) = replay.finish();
    for (it, stuck) in left {
        tally.check(Name::E3, false, || {
            format!(
                "{}: {} cannot have been decided so: {stuck:?}",
                it.attached.source, it.attached.id
            )
        });
    }
    for (iban, balance, version) in decisions.balances {
        let said = bank.account(&iban);
        tally.check(Name::E3, said == Some((balance, version)), || {
            format!(
                "account {iban}: version {version} with {balance} cents, the model says {said:?}"
            )
        });
    }
    Ok(tally)
}

/// A decision with its command; `None` when there is no such command, which B1 says.
fn recorded(outcome: &Outcome, of: &Decisions, log: &mut Log) -> Option<Recorded<Answered>> {
    let (command, recorded_at_ms) = log.commands.remove(&outcome.source)?;
    let version = |is_payer: bool| {
        let entries = of.versions.get(&outcome.id)?;
        let entry = entries.iter().find(|(cents, _)| (*cents < 0) == is_payer);
        entry.map(|(_, version)| *version)
    };
    let told = match &outcome.rejection {
        Some(reason) => RecordedOutcome::Rejected {
            reason: reason.clone(),
            observed_version: outcome.observed,
        },
        None if outcome.is_creation => RecordedOutcome::Opened,
        None => RecordedOutcome::Moved {
            payer_version: version(true),
            payee_version: version(false),
        },
    };
    Some(Recorded {
        command,
        facts: Facts {
            recorded_at_ms,
            assigned: log.assigned.remove(&outcome.id),
        },
        outcome: told,
        attached: Answered {
            id: Id(outcome.id),
            source: outcome.source,
            marks: log.marks(outcome.id),
            is_owed: of.owed.contains(&outcome.id),
        },
    })
}
