//! A run of a real bank, decided again by the reference model: what stands in the topics is
//! what the rules say, byte for byte.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, bail, ensure};
use e2e::log::{self, LogRecord, client, read_all};
use e2e::{Bank, PATIENCE, eventually};
use rdkafka::producer::{FutureProducer, FutureRecord};
use reference_model::{
    AccountKind, Assigned, Command, CommandId, Facts, Opening, Record, Recorded, RecordedOutcome,
    Replay, Request, Token, rules,
};
use topology::records::{AccountType, ConfirmMoneyTransfer};
use topology::{Cents, Codec, Iban, Topic, Topics};
use uuid::Uuid;

const HEARTBEATS_PER_SECOND: &str = "200";
/// Commands of the public before the books are compared.
const COMMANDS_LEAST: u64 = 2_000;
/// Rounds of payments nobody's public would make.
const STRANGE_ROUNDS: u64 = 20;
/// Magic byte and schema id.
const FRAMING_BYTES: usize = 5;

/// Payments that meet every rule, from an account with 100 euros and from others.
fn strange_payments(iban: &str, token: &str, company: &str) -> Vec<ConfirmMoneyTransfer> {
    let unknown = Iban::of_our_bank(999_999_999);
    let small = iban.to_ascii_lowercase();
    let spaced = format!(" {} {}", &iban[..4], &iban[4..]);
    let company_iban = Iban::company();
    let company_iban = company_iban.as_str();
    let shop = "\u{2003}Shop \u{e9} ";
    [
        (token, 1, iban, "Shop", "plain"),
        (token, 1, small.as_str(), shop, "a name between spaces"),
        (token, 1, spaced.as_str(), company_iban, "\u{20ac}"),
        (token, 1, iban, "de89 3704 0044 0532 0130 00", ""),
        (token, 1, iban, "cash", "withdrawn"),
        ("", 300, "cash", iban, "deposited"),
        ("", 300, "cash", spaced.as_str(), "deposited"),
        (company, 1, company_iban, small.as_str(), "paid"),
        (token, 60_000_000, iban, "Shop", "too much"),
        ("wrong", 1, iban, "Shop", "not the token"),
        (token, 1, unknown.as_str(), "Shop", "no such payer"),
        (token, 1, iban, unknown.as_str(), "no such payee"),
        ("", 1, "cash", unknown.as_str(), "no such payee"),
        ("", 1, "cash", "Shop", "neither is ours"),
        (token, 0, iban, "Shop", "nothing"),
        (token, -1, iban, "Shop", "less than nothing"),
        (token, 1, iban, small.as_str(), "to oneself"),
        (token, 1, iban, "NL67OPEN0000000000", "mistyped"),
        (token, 1, iban, "Shop", "line\nbreak"),
        (token, 1, "Shop", iban, "not a payer"),
    ]
    .into_iter()
    .map(
        |(token, cents, from, to, description)| ConfirmMoneyTransfer {
            id: topology::CommandId(Uuid::new_v4()),
            token: topology::Token::new(token.to_owned()),
            amount: Cents(cents),
            from: from.to_owned(),
            to: to.to_owned(),
            description: description.to_owned(),
        },
    )
    .collect()
}

/// What the topics hold and the books tell.
struct Run {
    commands: Vec<Recorded<Vec<Record>>>,
    opening: (Opening, Vec<Record>),
    balances: BTreeMap<String, (i64, i64)>,
}

fn record_of(record: &LogRecord, name: &'static str) -> Result<Record> {
    let value = record.value.as_deref().context("no value")?;
    let topic = [
        reference_model::record::ACCOUNT_FEEDBACK,
        reference_model::record::TRANSFER_FEEDBACK,
        reference_model::record::BALANCE_CHANGED,
    ]
    .into_iter()
    .find(|topic| *topic == record.topic)
    .context("no topic of answers")?;
    Ok(Record {
        topic,
        key: record.key_text()?.to_owned(),
        name,
        body: value[FRAMING_BYTES..].to_vec(),
    })
}

/// Each first copy of what a command led to, by command; further copies must be the same.
type Answers = HashMap<CommandId, BTreeMap<(String, i64), Record>>;

async fn answers(
    bank: &Bank,
    codec: &Codec,
) -> Result<(Answers, HashMap<CommandId, Assigned>, i64)> {
    let mut answers = Answers::new();
    let mut assigned = HashMap::new();
    let mut opened_at_us = 0;
    for topic in [
        Topic::AccountCreationFeedback,
        Topic::MoneyTransferFeedback,
        Topic::BalanceChanged,
    ] {
        for record in read_all(&bank.kafka, topic.definition().name)? {
            let (id, identity, name) = match codec.decode(topic, record.value.as_deref()).await? {
                topology::Record::AccountCreationConfirmed(it) => {
                    let given = Assigned {
                        iban: it.iban,
                        token: it.token.expose().to_owned(),
                    };
                    assigned.insert(it.id.to_bytes(), given);
                    (it.id, answer(), "AccountCreationConfirmed")
                }
                topology::Record::AccountCreationFailed(it) => {
                    (it.id, answer(), "AccountCreationFailed")
                }
                topology::Record::MoneyTransferConfirmed(it) => {
                    (it.id, answer(), "MoneyTransferConfirmed")
                }
                topology::Record::MoneyTransferFailed(it) => {
                    (it.id, answer(), "MoneyTransferFailed")
                }
                topology::Record::BalanceChanged(it) => {
                    let change = it.change.context("a change of 2019")?;
                    if change.command_id.to_bytes() == rules::OPENING_COMMAND_ID {
                        opened_at_us = change.occurred_at_us;
                    }
                    (
                        change.command_id,
                        (it.iban, change.version),
                        "BalanceChanged",
                    )
                }
                other => bail!("{other:?} in {topic:?}"),
            };
            let record = record_of(&record, name)?;
            let of_command = answers.entry(id.to_bytes()).or_default();
            if let Some(before) = of_command.insert(identity, record.clone()) {
                ensure!(before == record, "two different answers of {id}");
            }
        }
    }
    Ok((answers, assigned, opened_at_us))
}

/// Identity of a command's answer among what it led to; changes have their account's.
fn answer() -> (String, i64) {
    (String::new(), 0)
}

async fn commands(
    bank: &Bank,
    codec: &Codec,
) -> Result<HashMap<(String, i32, i64), (Command, i64)>> {
    let mut commands = HashMap::new();
    for topic in [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer] {
        for record in read_all(&bank.kafka, topic.definition().name)? {
            let command = match codec.decode(topic, record.value.as_deref()).await? {
                topology::Record::ConfirmAccountCreation(it) => Command {
                    id: it.id.to_bytes(),
                    request: Request::OpenAccount {
                        kind: match it.account_type {
                            AccountType::Auto => AccountKind::Auto,
                            AccountType::Manual => AccountKind::Manual,
                        },
                    },
                },
                topology::Record::ConfirmMoneyTransfer(it) => Command {
                    id: it.id.to_bytes(),
                    request: Request::Transfer {
                        token: it.token.expose().to_owned(),
                        amount_cents: it.amount.0,
                        from: it.from,
                        to: it.to,
                        description: it.description,
                    },
                },
                other => bail!("{other:?} in {topic:?}"),
            };
            let place = (record.topic, record.partition, record.offset);
            commands.insert(place, (command, record.timestamp_ms));
        }
    }
    Ok(commands)
}

async fn read_run(bank: &Bank, codec: &Codec) -> Result<Run> {
    let (mut answers, mut assigned, opened_at_us) = answers(bank, codec).await?;
    let commands = commands(bank, codec).await?;
    let books = bank.database("command_handler").await?;
    let mut versions: HashMap<Uuid, Vec<(i64, i64)>> = HashMap::new();
    let entries = books
        .query(
            "select command_id, delta_cents, version from ledger_entry where version is not null",
            &[],
        )
        .await?;
    for row in entries {
        let entry = (row.get(1), row.get(2));
        versions.entry(row.get(0)).or_default().push(entry);
    }
    let outcomes = books
        .query(
            "select command_id, rejection, observed_version, source_topic, source_partition,
                    source_offset, kind from outcome where kind <> 'opening' order by command_id",
            &[],
        )
        .await?;
    let mut recorded = Vec::new();
    for row in outcomes {
        let id: Uuid = row.get(0);
        let place = (row.get(3), row.get(4), row.get(5));
        let (command, recorded_at_ms) = commands.get(&place).context("no command")?.clone();
        ensure!(command.id == id.into_bytes(), "{place:?} is not {id}");
        let rejection: Option<String> = row.get(1);
        let kind: String = row.get(6);
        let version_of = |is_payer: bool| {
            let entries = versions.get(&id).map_or(&[][..], Vec::as_slice);
            let entry = entries.iter().find(|(cents, _)| (*cents < 0) == is_payer);
            entry.map(|(_, version)| *version)
        };
        let outcome = match rejection {
            Some(reason) => RecordedOutcome::Rejected {
                reason,
                observed_version: row.get(2),
            },
            None if kind == "account_creation" => RecordedOutcome::Opened,
            None => RecordedOutcome::Moved {
                payer_version: version_of(true),
                payee_version: version_of(false),
            },
        };
        recorded.push(Recorded {
            facts: Facts {
                recorded_at_ms,
                assigned: assigned.remove(&command.id),
            },
            attached: answers
                .remove(&command.id)
                .unwrap_or_default()
                .into_values()
                .collect(),
            command,
            outcome,
        });
    }
    ensure!(assigned.is_empty(), "accounts that no command opened");
    let opening = answers
        .remove(&rules::OPENING_COMMAND_ID)
        .context("no opening")?;
    ensure!(
        answers.is_empty(),
        "answers to no command: {}",
        answers.len()
    );
    let rows = books
        .query(
            "select iban, balance_cents, version, token_digest from account",
            &[],
        )
        .await?;
    let company = rows
        .iter()
        .find(|row| row.get::<_, &str>(0) == topology::COMPANY_IBAN)
        .context("no company")?;
    let digest: [u8; 32] = company.get::<_, &[u8]>(3).try_into()?;
    let balances = rows
        .iter()
        .map(|row| (row.get(0), (row.get(1), row.get(2))));
    Ok(Run {
        commands: recorded,
        opening: (
            Opening {
                company_token: Token::Digest(digest),
                occurred_at_us: opened_at_us,
            },
            opening.into_values().collect(),
        ),
        balances: balances.collect(),
    })
}

/// In the order in which records of one command are compared.
fn sorted(mut records: Vec<Record>) -> Vec<Record> {
    records.sort_by(|one, other| (one.topic, &one.key).cmp(&(other.topic, &other.key)));
    records
}

/// How often each outcome came up.
type Counts = BTreeMap<String, usize>;

/// Decides the run again; `Err` tells the first difference.
fn replay(run: Run) -> Result<Counts> {
    let (mut replay, opening) = Replay::begin(run.opening.0);
    ensure!(opening == run.opening.1, "the opening: {:?}", run.opening.1);
    for recorded in &run.commands {
        if let RecordedOutcome::Rejected {
            reason,
            observed_version,
        } = &recorded.outcome
        {
            replay.expect(&recorded.command.request, reason, *observed_version);
        }
    }
    let mut counts = Counts::new();
    let mut difference = None;
    for recorded in run.commands {
        replay.push(recorded, |decided| {
            let decision = match decided.decision {
                Ok(decision) => decision,
                Err(impossible) => {
                    difference.get_or_insert(impossible.to_string());
                    return;
                }
            };
            let outcome = decision
                .rejection
                .map_or("confirmed", |reason| reason.text());
            *counts.entry(outcome.to_owned()).or_default() += 1;
            let (model, topics) = (sorted(decision.records), sorted(decided.recorded.attached));
            if model != topics {
                let id = reference_model::command::id_text(&decided.recorded.command.id);
                difference.get_or_insert(format!("{id}: {model:?}, and in the topics {topics:?}"));
            }
        });
    }
    let (model, left) = replay.finish();
    ensure!(difference.is_none(), "{difference:?}");
    ensure!(left.is_empty(), "cannot have happened: {:?}", left.first());
    let balances: BTreeMap<String, (i64, i64)> = model
        .accounts()
        .map(|(iban, balance, version)| (iban.to_owned(), (balance, version)))
        .collect();
    ensure!(balances == run.balances, "other balances");
    Ok(counts)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_run_of_a_real_bank_when_the_model_decides_it_again_then_every_byte_is_the_same()
-> Result<()> {
    let bank = Bank::start("replay")?;
    let written = [Topic::ConfirmMoneyTransfer];
    let codec = Codec::connect(&bank.schema_registry, &Topics::default(), &written).await;
    let iban = bank.open_account("replayed").await?;
    bank.succeed(&["load", HEARTBEATS_PER_SECOND])?;
    let producer: FutureProducer = client(&bank.kafka).create()?;
    let opened = log::read_all(&bank.kafka, "account_creation_feedback")?;
    let mut token = None;
    for record in opened {
        let read = codec.decode(Topic::AccountCreationFeedback, record.value.as_deref());
        if let topology::Record::AccountCreationConfirmed(it) = read.await?
            && it.iban == iban
        {
            token = Some(it.token);
        }
    }
    let token = token.context("the account was not confirmed")?;
    let company = std::fs::read_to_string(bank.directory().join("secrets").join("company.token"))?;
    for round in 0..STRANGE_ROUNDS {
        let mut under_way = Vec::new();
        for payment in strange_payments(&iban, token.expose(), company.trim()) {
            let record = topology::Record::ConfirmMoneyTransfer(payment);
            let value = codec.encode(Topic::ConfirmMoneyTransfer, &record)?;
            // A key is for order only: one account's commands in several partitions.
            let key = (round % 7).to_string();
            let producer = producer.clone();
            under_way.push(async move {
                let record = FutureRecord::to("confirm_money_transfer")
                    .key(&key)
                    .payload(&value);
                producer
                    .send(record, PATIENCE)
                    .await
                    .map_err(|(error, _)| error)
            });
        }
        for sent in under_way {
            sent.await?;
        }
    }
    eventually("the public has paid", PATIENCE, async || {
        let answered = bank.answers()?;
        ensure!(answered > COMMANDS_LEAST, "{answered} answers");
        Ok(())
    })
    .await?;
    bank.succeed(&["load", "0"])?;
    bank.wait_until_quiet(PATIENCE).await?;

    let run = read_run(&bank, &codec).await?;
    let least = usize::try_from(COMMANDS_LEAST)?;
    ensure!(run.commands.len() > least, "{}", run.commands.len());
    let counts = replay(run)?;
    for (outcome, count) in [
        ("confirmed", least / 2),
        ("insufficient funds", 20),
        ("invalid token", 40),
        ("to is not known at this bank", 40),
        ("both to and from not known at this bank", 20),
        ("amount is invalid", 40),
        ("from and to can't be same for transfer", 20),
        ("to is invalid", 20),
        ("from is invalid", 20),
        ("description is invalid", 20),
    ] {
        let met = counts.get(outcome).copied().unwrap_or_default();
        ensure!(met >= count, "{outcome}: {met} of {count}");
    }

    // The comparison can fail: one byte of one answer, and one version.
    let mut altered = read_run(&bank, &codec).await?;
    let last = altered.commands.last_mut().context("no command")?;
    let record = last.attached.last_mut().context("no record")?;
    let byte = record.body.last_mut().context("no body")?;
    *byte ^= 1;
    ensure!(replay(altered).is_err(), "an altered byte went unseen");
    let mut altered = read_run(&bank, &codec).await?;
    let moved = altered
        .commands
        .iter_mut()
        .find_map(|it| match &mut it.outcome {
            RecordedOutcome::Moved {
                payer_version: Some(version),
                ..
            } => Some(version),
            _ => None,
        });
    *moved.context("nobody paid")? += 1;
    ensure!(replay(altered).is_err(), "an altered version went unseen");
    Ok(())
}
