//! Kafka client settings: every one that matters, once, with its reason.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use tracing::{info, warn};

use crate::tls;
use crate::topics::{DEAD_LETTER_BATCH_BYTES_MAX, Topics};

mod figures;
mod recording;

/// Records the client library's producer holds; ours lets senders wait before that.
pub const PRODUCER_RECORDS_MAX: u32 = 20_000;
/// KiB the client library's producer holds; ours lets senders wait at half of it.
pub const PRODUCER_KIB_MAX: u32 = 32 * 1024;
/// KiB fetched ahead by a consumer, so that a long backlog does not fill memory.
pub const CONSUMER_KIB_MAX: u32 = 4 * 1024;
/// Bytes fetched of one partition at a time: a backlog comes in on all of them at once, and each
/// record takes some 600 bytes more than it has. A larger record comes alone.
const PARTITION_FETCH_BYTES: &str = "262144";
/// Longest wait for a broker's answer. Longer than a broker needs to notice that another is
/// away, which is five seconds in our clusters, and than a pause of its Java machine.
const ANSWER_WAIT_MS: &str = "10000";
/// Longest wait of a broker for its copies.
const ACKNOWLEDGEMENT_WAIT_MS: &str = "8000";
/// Longest wait for a connection, handshake included.
const CONNECTION_WAIT_MS: &str = "5000";

/// How a consumer group shares its partitions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GroupProtocol {
    /// KIP-848: joins in well under a second, needs a broker from 4.0.
    Consumer,
    /// The protocol of older brokers.
    Classic,
}

/// Where Kafka is and what our topics are called there.
#[derive(Clone, Debug, clap::Args)]
pub struct KafkaConfig {
    /// Kafka brokers, `host:port`, separated by commas.
    #[arg(
        long = "kafka-brokers",
        env = "BANK_KAFKA_BROKERS",
        default_value = "127.0.0.1:9092",
        value_parser = parse_brokers
    )]
    pub brokers: String,

    /// How consumer groups share partitions.
    #[arg(
        long = "kafka-group-protocol",
        env = "BANK_KAFKA_GROUP_PROTOCOL",
        value_enum,
        default_value = "consumer"
    )]
    pub group_protocol: GroupProtocol,

    /// Put in front of every topic and group name; for tests that share a broker.
    #[arg(
        long,
        env = "BANK_TOPIC_PREFIX",
        default_value = "",
        value_parser = parse_prefix
    )]
    pub topic_prefix: String,

    /// A folder for everything the Kafka clients say of themselves each second, for benchmarks.
    #[arg(long, env = "BANK_KAFKA_STATISTICS_DIRECTORY", hide = true)]
    pub kafka_statistics_directory: Option<PathBuf>,
}

fn parse_brokers(text: &str) -> Result<String, String> {
    for broker in text.split(',') {
        let valid = broker.trim().rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty() && port.parse::<u16>().is_ok_and(|port| port > 0)
        });
        if !valid {
            return Err(format!("`{broker}` is not host:port"));
        }
    }
    Ok(text.to_owned())
}

fn parse_prefix(text: &str) -> Result<String, String> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if text.len() <= 40 && text.chars().all(legal) {
        Ok(text.to_owned())
    } else {
        Err("at most 40 letters, digits, dots, underscores and hyphens".to_owned())
    }
}

impl KafkaConfig {
    /// The names of our topics on these brokers.
    #[must_use]
    pub fn topics(&self) -> Topics {
        Topics::with_prefix(&self.topic_prefix)
    }

    /// Settings every client shares.
    #[must_use]
    pub fn client(&self, client_id: &str) -> ClientConfig {
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", &self.brokers)
            .set("client.id", client_id)
            // `localhost` may resolve to ::1 first, where nobody listens.
            .set("broker.address.family", "v4")
            // A broker that comes back is found within a second, not within ten.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "1000")
            .set("socket.keepalive.enable", "true")
            // One that went silent, since its machine or the way to it is gone, is given up after
            // this. Until then everything asked of it waits, and nobody else is asked who leads its
            // partitions now. The library's own minute, and its half for the next, make a payment
            // wait for a minute and a half.
            .set("socket.timeout.ms", ANSWER_WAIT_MS)
            .set("socket.connection.setup.timeout.ms", CONNECTION_WAIT_MS)
            // Asked for also while no request fails, as those that are not answered do not.
            .set("topic.metadata.refresh.interval.ms", "10000")
            // Feeds the `kafka` condition of /readyz, and /metrics; see `Connection`.
            .set(
                "statistics.interval.ms",
                recording::interval_ms(self.kafka_statistics_directory.as_deref()),
            )
            // Connection state is reported once, by `Connection`.
            .set("log.connection.close", "false");
        tls::secure(&mut config);
        config
    }

    /// Settings of a producer.
    #[must_use]
    pub fn producer(&self, client_id: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        config
            // A waiting record is latency; under load batches form by themselves.
            .set("linger.ms", "0")
            .set("acks", "all")
            // The broker's wait for its copies: it must answer before we stop to listen.
            .set("request.timeout.ms", ACKNOWLEDGEMENT_WAIT_MS)
            // No duplicates and no reordering by the client's own retries.
            .set("enable.idempotence", "true")
            // 0 is for ever: a broker that is away is waited for, never an answer.
            .set("message.timeout.ms", "0")
            // A dead letter is as large as what it was made of.
            .set("message.max.bytes", DEAD_LETTER_BATCH_BYTES_MAX.to_string())
            // What Java clients use, and what `partition` decides beforehand.
            .set("partitioner", "murmur2_random")
            .set(
                "queue.buffering.max.messages",
                PRODUCER_RECORDS_MAX.to_string(),
            )
            .set("queue.buffering.max.kbytes", PRODUCER_KIB_MAX.to_string());
        config
    }

    /// Settings of a consumer, in a group or with partitions given by hand.
    #[must_use]
    pub fn consumer(&self, client_id: &str, group: &str) -> ClientConfig {
        let mut config = self.client(client_id);
        config
            .set("group.id", self.topics().group(group))
            // Offsets live with their effects in the database; Kafka's are for lag tools.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // A position that is gone is a loss to be told, not to be skipped.
            .set("auto.offset.reset", "error")
            // Kafka answers a waiting fetch as soon as a record comes: no latency.
            .set("fetch.wait.max.ms", "500")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "50")
            .set("queued.min.messages", "4000")
            .set("queued.max.messages.kbytes", CONSUMER_KIB_MAX.to_string())
            .set("fetch.message.max.bytes", PARTITION_FETCH_BYTES)
            .set("isolation.level", "read_committed")
            .set("check.crcs", "true")
            .set("max.poll.interval.ms", "300000");
        match self.group_protocol {
            GroupProtocol::Consumer => {
                config.set("group.protocol", "consumer");
            }
            GroupProtocol::Classic => {
                config
                    .set("partition.assignment.strategy", "cooperative-sticky")
                    .set("session.timeout.ms", "10000");
            }
        }
        config
    }
}

/// Whether a client reaches its brokers; said once per change, in the log and to
/// whoever asks.
#[derive(Clone, Debug)]
pub struct Connection {
    name: Arc<str>,
    up: Arc<AtomicBool>,
    /// Whether somebody has been told since then that a broker, or we, refuse the other.
    refused: Arc<AtomicBool>,
}

impl Connection {
    /// Of the client with this name; assumed up until told otherwise.
    #[must_use]
    pub fn new(name: &str) -> Connection {
        Connection {
            name: name.into(),
            up: Arc::new(AtomicBool::new(true)),
            refused: Arc::default(),
        }
    }

    /// Whether some broker is reached.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    fn set(&self, up: bool) {
        if up {
            self.refused.store(false, Ordering::Relaxed);
        }
        if self.up.swap(up, Ordering::Relaxed) != up {
            if up {
                info!(client = %self.name, "kafka is back");
            } else {
                warn!(client = %self.name, "kafka is away, waiting");
            }
        }
    }
}

/// Of a handshake, or of what we may do.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::SSL
            | RDKafkaErrorCode::Authentication
            | RDKafkaErrorCode::TopicAuthorizationFailed
            | RDKafkaErrorCode::GroupAuthorizationFailed
            | RDKafkaErrorCode::ClusterAuthorizationFailed
    )
}

impl ClientContext for Connection {
    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(RDKafkaErrorCode::AllBrokersDown) {
            self.set(false);
        } else if code.is_some_and(is_refusal) && !self.refused.swap(true, Ordering::Relaxed) {
            // Waiting does not help: certificates, names or permissions are not what they must be.
            warn!(client = %self.name, %error, reason, "kafka refuses us, or we refuse it");
        } else {
            tracing::debug!(client = %self.name, %error, reason, "kafka client");
        }
    }

    fn stats(&self, statistics: Statistics) {
        let reached = statistics
            .brokers
            .values()
            .any(|broker| broker.nodeid >= 0 && broker.state == "UP");
        self.set(reached);
        figures::tell(&self.name, &statistics);
        recording::keep(&self.name, &statistics);
    }
}

impl rdkafka::consumer::ConsumerContext for Connection {}
