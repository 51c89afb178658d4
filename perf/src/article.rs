//! The article's way: a baseline, and no way to keep a bank's books.
//!
//! It does what the handlers of 2019 did, with today's libraries: reads one command at a
//! time, decides it with separate statements that each commit by themselves (was it
//! decided before, what has the payer, take, give, note the decision), hands the events to
//! the producer without looking back, with a linger of 100 ms, and lets Kafka commit the
//! offsets by itself every five seconds. Between any two of these steps a crash loses
//! money, makes money, or loses events; the benchmark shows how often.
//!
//! It lives in the benchmark only. It is kinder to itself than the original was: its
//! statements are prepared once, and no pool asks `select 1` before each command.

use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::Message;
use rdkafka::producer::{BaseRecord, DefaultProducerContext, ThreadedProducer};
use tokio_postgres::{Client, NoTls, Statement};
use topology::config::{CommonConfig, parse_database_url};
use topology::records::{
    BalanceChanged, ConfirmMoneyTransfer, MoneyTransferConfirmed, MoneyTransferFailed,
};
use topology::{Cents, Codec, CommandId, Record, Topic, Topics};

/// Of the program, its client and its consumer group.
pub const NAME: &str = "articles-way";
/// Its tables, named as in the original: `cmt` is "confirm money transfer".
pub const SCHEMA: &str = "
    create table balance (
        iban text primary key,
        token text not null,
        amount bigint not null,
        lmt bigint not null
    );
    create table cmt (
        uuid uuid primary key,
        reason text
    );";
const LINGER_MS: &str = "100";
const POLL_WAIT: Duration = Duration::from_millis(100);

/// What it is told; the variables are those of the services.
#[derive(Clone, Debug, clap::Parser)]
#[command(
    version,
    about = "A baseline for the benchmark: loses and doubles money"
)]
pub struct Config {
    /// Kafka, registry, logs.
    #[command(flatten)]
    pub common: CommonConfig,

    /// Its tables.
    #[arg(long, env = "BANK_DATABASE_URL", value_parser = parse_database_url, hide_env_values = true)]
    pub database_url: String,
}

/// Why it ended.
#[derive(Debug, thiserror::Error)]
pub enum ArticleError {
    /// A Kafka client could not be made, or reading failed.
    #[error("kafka failed")]
    Kafka(#[from] KafkaError),
    /// The database failed. The original panics here, too.
    #[error("the database failed")]
    Database(#[from] tokio_postgres::Error),
    /// A record could not be read.
    #[error("could not decode a command")]
    Decode(#[from] topology::DecodeError),
    /// A record could not be written.
    #[error("could not encode a record")]
    Encode(#[from] topology::EncodeError),
    /// No runtime.
    #[error("could not start")]
    Start(#[from] std::io::Error),
}

/// Runs until it is killed or fails.
///
/// # Errors
/// [`ArticleError`]; what was under way is lost or half done.
pub fn run(config: &Config) -> Result<(), ArticleError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let kafka = &config.common.kafka;
    let topics = kafka.topics();
    let registry = &config.common.schema_registry_url;
    let written = [Topic::MoneyTransferFeedback, Topic::BalanceChanged];
    let codec = runtime.block_on(Codec::connect(registry, &topics, &written));
    let tables = runtime.block_on(Tables::open(&config.database_url))?;
    let mut settings = kafka.client(NAME);
    settings.set("linger.ms", LINGER_MS);
    let producer: ThreadedProducer<DefaultProducerContext> = settings.create()?;
    let mut settings = kafka.consumer(NAME, NAME);
    settings
        .set("enable.auto.commit", "true")
        .set("enable.auto.offset.store", "true")
        .set("auto.offset.reset", "earliest");
    let consumer: BaseConsumer = settings.create()?;
    consumer.subscribe(&[&topics.name(Topic::ConfirmMoneyTransfer)])?;
    let way = Way {
        codec,
        tables,
        producer,
        topics,
    };
    loop {
        let Some(message) = consumer.poll(POLL_WAIT) else {
            continue;
        };
        let message = message?;
        runtime.block_on(way.handle(message.payload()))?;
    }
}

struct Tables {
    client: Client,
    find: Statement,
    payer: Statement,
    take: Statement,
    give: Statement,
    note: Statement,
}

impl Tables {
    async fn open(url: &str) -> Result<Tables, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        tokio::spawn(connection);
        Ok(Tables {
            find: client
                .prepare("select reason from cmt where uuid = $1")
                .await?,
            payer: client
                .prepare("select token, amount, lmt from balance where iban = $1")
                .await?,
            take: client
                .prepare("update balance set amount = amount - $2 where iban = $1 returning amount")
                .await?,
            give: client
                .prepare("update balance set amount = amount + $2 where iban = $1 returning amount")
                .await?,
            note: client
                .prepare("insert into cmt (uuid, reason) values ($1, $2)")
                .await?,
            client,
        })
    }
}

struct Way {
    codec: Codec,
    tables: Tables,
    producer: ThreadedProducer<DefaultProducerContext>,
    topics: Topics,
}

impl Way {
    async fn handle(&self, value: Option<&[u8]>) -> Result<(), ArticleError> {
        let topic = Topic::ConfirmMoneyTransfer;
        let Record::ConfirmMoneyTransfer(command) = self.codec.decode(topic, value).await? else {
            return Ok(());
        };
        let Tables {
            client,
            find,
            payer,
            take,
            give,
            note,
        } = &self.tables;
        if let Some(row) = client.query_opt(find, &[&command.id.0]).await? {
            // Decided before: the answer again, and whatever events there were are not.
            return self.answer(command.id, row.get(0));
        }
        let reason = match client.query_opt(payer, &[&command.from]).await? {
            None => Some("invalid from"),
            Some(row) if row.get::<_, &str>(0) != command.token.expose() => Some("invalid token"),
            Some(row) => {
                let left = row.get::<_, i64>(1) - command.amount.0;
                (left < row.get::<_, i64>(2)).then_some("insufficient funds")
            }
        };
        let mut changes = Vec::new();
        if reason.is_none() {
            let amount = command.amount.0;
            let sides = [
                (take, &command.from, &command.to, -amount),
                (give, &command.to, &command.from, amount),
            ];
            for (statement, iban, other, delta) in sides {
                if let Some(row) = client.query_opt(statement, &[iban, &amount]).await? {
                    changes.push(change(&command, iban, other, delta, row.get(0)));
                }
            }
        }
        client.execute(note, &[&command.id.0, &reason]).await?;
        self.answer(command.id, reason)?;
        for (iban, change) in changes {
            self.send(Topic::BalanceChanged, &iban, &change)?;
        }
        Ok(())
    }

    fn answer(&self, id: CommandId, reason: Option<&str>) -> Result<(), ArticleError> {
        let answer = match reason {
            None => Record::MoneyTransferConfirmed(MoneyTransferConfirmed { id }),
            Some(reason) => Record::MoneyTransferFailed(MoneyTransferFailed {
                id,
                reason: reason.to_owned(),
            }),
        };
        self.send(Topic::MoneyTransferFeedback, &id.to_string(), &answer)
    }

    fn send(&self, topic: Topic, key: &str, record: &Record) -> Result<(), ArticleError> {
        let value = self.codec.encode(topic, record)?;
        let name = self.topics.name(topic);
        // A full queue loses the record; nobody looks.
        let _ = self
            .producer
            .send(BaseRecord::to(&name).key(key).payload(&value));
        Ok(())
    }
}

fn change(
    command: &ConfirmMoneyTransfer,
    iban: &str,
    other: &str,
    delta: i64,
    balance: i64,
) -> (String, Record) {
    let change = BalanceChanged {
        iban: iban.to_owned(),
        new_balance: Cents(balance),
        changed_by: Cents(delta),
        from_to: other.to_owned(),
        description: command.description.clone(),
        // The form of 2019.
        change: None,
    };
    (iban.to_owned(), Record::BalanceChanged(change))
}
