//! Ways into a topic that are not plain sending.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use e2e::log::client;
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ConfigSource, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::table::{Case, How};
use crate::world::{Bad, Place, World};
use crate::{SentCase, good, partitions};

const ANSWER_WAIT: Duration = Duration::from_secs(15);

/// Sends a case that is not plainly sent, and a good record behind it.
pub(crate) async fn send(world: &World, number: usize, case: Case) -> Result<SentCase> {
    let (record, places) = match &case.how {
        How::Zstd(record) => {
            let record = placed(record, number);
            let place = send_zstd(world, &record)?;
            (record, vec![place])
        }
        How::Aborted(record) | How::Committed(record) => {
            let record = placed(record, number);
            let keeps = matches!(case.how, How::Committed(_));
            send_in_transaction(world, &record, keeps)?;
            // Where it stands nobody tells; its command id finds it.
            (record, Vec::new())
        }
        How::Sent(_) | How::Unwritable(_) => bail!("plainly sent"),
    };
    let (follower, good) = good(world, record.topic, record.partition.unwrap_or(0));
    let follower = world.send(vec![follower]).await?;
    ensure!(follower.iter().all(Result::is_ok), "{follower:?}");
    Ok(SentCase {
        case,
        records: vec![record],
        places,
        good,
    })
}

fn placed(record: &Bad, number: usize) -> Bad {
    let partition = i32::try_from(number % partitions(record.topic)).unwrap_or(0);
    record.clone().in_partition(partition)
}

fn send_zstd(world: &World, record: &Bad) -> Result<Result<Place, String>> {
    let python = std::env::var("BANK_TEST_PYTHON")
        .context("BANK_TEST_PYTHON is not set; run the tests with `cargo bank test`")?;
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/send_zstd.py");
    let partition = record.partition.unwrap_or(0);
    let mut sending = Command::new(python)
        .args([
            script,
            &world.bank.kafka,
            record.topic,
            &partition.to_string(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let value = record.value.as_deref().unwrap_or_default();
    sending.stdin.take().context("no input")?.write_all(value)?;
    let output = sending.wait_with_output()?;
    let answer: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    Ok(match answer["offset"].as_i64() {
        Some(offset) => Ok((record.topic.to_owned(), partition, offset)),
        None => Err(answer.to_string()),
    })
}

fn send_in_transaction(world: &World, record: &Bad, keeps: bool) -> Result<()> {
    let producer: BaseProducer = client(&world.bank.kafka)
        .set("transactional.id", format!("a-stranger-who-keeps-{keeps}"))
        .create()?;
    producer.init_transactions(ANSWER_WAIT)?;
    producer.begin_transaction()?;
    let sent = BaseRecord::to(record.topic)
        .partition(record.partition.unwrap_or(0))
        .key(record.key.as_deref().unwrap_or_default())
        .payload(record.value.as_deref().unwrap_or_default());
    producer.send(sent).map_err(|(error, _)| error)?;
    producer.flush(ANSWER_WAIT)?;
    if keeps {
        producer.commit_transaction(ANSWER_WAIT)?;
    } else {
        producer.abort_transaction(ANSWER_WAIT)?;
    }
    Ok(())
}

const DEAD_LETTERS: &str = "dead_letters";
/// A batch alone has 61 bytes around it.
const SMALLEST: (&str, &str) = ("max.message.bytes", "1");

/// A topic of dead letters that takes nothing, and the settings it had.
pub(crate) struct Forbidden {
    admin: AdminClient<DefaultClientContext>,
    settings: Vec<(String, String)>,
}

/// Allows one byte a batch, so that the broker refuses whatever is written.
pub(crate) async fn forbid_dead_letters(world: &World) -> Result<Forbidden> {
    let admin: AdminClient<DefaultClientContext> = client(&world.bank.kafka).create()?;
    let topic = ResourceSpecifier::Topic(DEAD_LETTERS);
    let found = admin
        .describe_configs([&topic], &AdminOptions::new())
        .await?;
    let found = found.into_iter().next().context("no answer")?;
    let found = found.map_err(|code| anyhow::anyhow!("{code}"))?;
    let own = found
        .entries
        .into_iter()
        .filter(|it| it.source == ConfigSource::DynamicTopic);
    let settings = own.filter_map(|it| Some((it.name, it.value?))).collect();
    let forbidden = Forbidden { admin, settings };
    forbidden.set(Some(SMALLEST)).await?;
    let taken_in = "the broker takes nothing for dead letters any more";
    e2e::eventually(taken_in, ANSWER_WAIT, async || {
        let found = forbidden
            .admin
            .describe_configs([&topic], &AdminOptions::new())
            .await?;
        let found = found.into_iter().next().context("no answer")?;
        let found = found.map_err(|code| anyhow::anyhow!("{code}"))?;
        let (name, value) = SMALLEST;
        let now = found.get(name).and_then(|it| it.value.clone());
        ensure!(now.as_deref() == Some(value), "{name} is {now:?}");
        Ok(())
    })
    .await?;
    Ok(forbidden)
}

impl Forbidden {
    async fn set(&self, more: Option<(&str, &str)>) -> Result<()> {
        let mut config = AlterConfig::new(ResourceSpecifier::Topic(DEAD_LETTERS));
        for (name, value) in &self.settings {
            config = config.set(name, value);
        }
        if let Some((name, value)) = more {
            config = config.set(name, value);
        }
        let altered = self
            .admin
            .alter_configs([&config], &AdminOptions::new())
            .await?;
        ensure!(altered.iter().all(Result::is_ok), "{altered:?}");
        Ok(())
    }

    /// Lets the topic take records again.
    pub(crate) async fn allow(self) -> Result<()> {
        self.set(None).await
    }
}
