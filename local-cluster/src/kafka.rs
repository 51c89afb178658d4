//! Apache Kafka: one process that is broker and controller, all its data under the cluster's directory.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
};
use rustix::process::Signal;

use crate::{
    ClusterError, Layout,
    java::Java,
    program::{Preparation, Program, RunAs, Stage},
    readiness::wait_until_ready,
    state::write_atomically,
    supervision::Supervisor,
};

/// The process name, log name and port purpose.
pub(crate) const NAME: &str = "kafka";

/// The port purpose of the controller's listener.
pub(crate) const CONTROLLER: &str = "kafka-controller";

/// From the start of the process to its first answer, log recovery included.
const READY_DEADLINE: Duration = Duration::from_secs(90);

/// A clean stop writes a snapshot and, once, the class archive.
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// One attempt to get an answer.
const METADATA_TIMEOUT: Duration = Duration::from_secs(2);

/// A heap that holds the idle budget and still took 155,000 records/s; the page cache does the rest.
///
/// Both compiler tiers: with the first alone Kafka is the bank's dearest part, 201 us of CPU
/// per command at 5,000/s in place of 129, for 40 MiB less.
const JVM_OPTIONS: [&str; 6] = [
    "-Xmx256m",
    "-Xss512k",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    // No file in /tmp for every process.
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
];

/// Settings that are the same for every cluster, each with its reason.
const SETTINGS: &[(&str, &str)] = &[
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("inter.broker.listener.name", "BROKER"),
    ("controller.listener.names", "CONTROLLER"),
    // The synchronizer makes topics; a misspelt name must be an error.
    ("auto.create.topics.enable", "false"),
    // One broker: everything internal has one copy, and few partitions since each costs files and memory.
    ("offsets.topic.replication.factor", "1"),
    ("offsets.topic.num.partitions", "4"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("transaction.state.log.num.partitions", "4"),
    ("share.coordinator.state.topic.replication.factor", "1"),
    ("share.coordinator.state.topic.min.isr", "1"),
    ("share.coordinator.state.topic.num.partitions", "1"),
    // The topics are the bank's memory: a topic that forgets says so itself.
    ("log.retention.ms", "-1"),
    // A member that was killed is replaced within three seconds (the defaults are 45 s and 5 s).
    ("group.consumer.session.timeout.ms", "2000"),
    ("group.consumer.min.session.timeout.ms", "1000"),
    ("group.consumer.heartbeat.interval.ms", "500"),
    ("group.consumer.min.heartbeat.interval.ms", "500"),
    // A broker that was killed is let in again only when its old session has ended (9 s by default).
    ("broker.session.timeout.ms", "5000"),
    ("broker.heartbeat.interval.ms", "2000"),
    // Classic groups: the first member does not wait for others.
    ("group.initial.rebalance.delay.ms", "0"),
    // Idle costs: a heart-beat record twice a second by default, and 128 MiB for compaction.
    ("metadata.max.idle.interval.ms", "10000"),
    ("log.cleaner.dedupe.buffer.size", "4194304"),
    ("log.cleaner.io.buffer.size", "262144"),
    ("num.network.threads", "2"),
    ("num.io.threads", "4"),
];

/// The broker's log: what is wrong, and that it has started.
const LOGGING: &str = "\
status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd'T'HH:mm:ss.SSSXXX} %-5p %c{1} %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.started.name = kafka.server.KafkaRaftServer
logger.started.level = info
";

/// The characters of a cluster id: base64 without the two that differ between its alphabets.
const ID_CHARACTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuv0123456789abcdef";
/// Characters before the last one; the last holds four bits that must be zero.
const ID_LENGTH: usize = 21;

/// A listener beside the broker's own, which tells its clients another port than the one it has: that of
/// somebody in between.
#[derive(Debug, Clone)]
pub(crate) struct Listener {
    /// In the broker's configuration: capital letters.
    pub(crate) name: String,
    /// Where the broker listens.
    pub(crate) port: u16,
    /// Where its clients are told that it does.
    pub(crate) advertised_port: u16,
}

/// Writes the configuration, formats the storage once, and says how the broker is run.
pub(crate) async fn prepare(
    layout: &Layout,
    java: &Java,
    port: u16,
    controller_port: u16,
    listeners: &[Listener],
) -> Result<Program, ClusterError> {
    let folder = layout.kafka();
    let properties = folder.join("server.properties");
    write_atomically(
        &properties,
        configuration(&folder, port, controller_port, listeners).as_bytes(),
    )?;
    let logging = folder.join("log4j2.properties");
    write_atomically(&logging, LOGGING.as_bytes())?;
    let temporary = folder.join("tmp");
    fs::create_dir_all(&temporary).map_err(ClusterError::io("create", &temporary))?;

    let formatted = folder.join("formatted");
    if !formatted.exists() {
        let id = cluster_id()?;
        let mut tool = java_program("kafka-setup", &folder, java)?;
        tool = tool
            .argument("kafka.tools.StorageTool")
            .argument("format")
            .argument("--cluster-id")
            .argument(&id)
            // A format that was interrupted is finished.
            .argument("--ignore-formatted")
            .argument("--config")
            .argument(&properties);
        tool.run_once(layout).await?;
        write_atomically(&formatted, id.as_bytes())?;
    }

    let mut program = java_program(NAME, &folder, java)?
        .argument("kafka.Kafka")
        .argument(&properties);
    program.stage = Stage::Broker;
    program.run_as = RunAs::Caller;
    program.stop_signal = Signal::TERM;
    program.stop_deadline = STOP_DEADLINE;
    program.preparation = Preparation::None;
    program.class_archive = Some(java.class_archive(NAME));
    Ok(program)
}

/// Waits until the broker answers a request for metadata.
pub(crate) async fn ready(supervisor: &Supervisor, brokers: &str) -> Result<(), ClusterError> {
    wait_until_ready(supervisor, NAME, READY_DEADLINE, || async {
        // A refused connection is cheap to see; a client that has seen one waits before it tries again.
        tokio::net::TcpStream::connect(brokers)
            .await
            .map_err(|error| error.to_string())?;
        let brokers = brokers.to_owned();
        tokio::task::spawn_blocking(move || ask_metadata(&brokers))
            .await
            .map_err(|error| error.to_string())?
    })
    .await
}

/// Blocks the thread, as all metadata calls of the client do.
fn ask_metadata(brokers: &str) -> Result<(), String> {
    let client: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("broker.address.family", "v4")
        .set("log_level", "0")
        .create()
        .map_err(|error| error.to_string())?;
    let metadata = client
        .fetch_metadata(None, METADATA_TIMEOUT)
        .map_err(|error| error.to_string())?;
    if metadata.brokers().is_empty() {
        Err("it knows no broker yet".to_owned())
    } else {
        Ok(())
    }
}

fn java_program(name: &str, folder: &Path, java: &Java) -> Result<Program, ClusterError> {
    let mut program = Program::service(name, java.executable.clone(), folder.to_owned());
    for option in JVM_OPTIONS {
        program = program.argument(option);
    }
    Ok(program
        .argument(join("-Djava.io.tmpdir=", &folder.join("tmp")))
        .argument(join(
            "-Dlog4j2.configurationFile=",
            &folder.join("log4j2.properties"),
        ))
        .argument("-cp")
        .argument(java.kafka_class_path()?)
        .variable("MALLOC_ARENA_MAX", "2"))
}

fn join(option: &str, path: &Path) -> OsString {
    let mut text = OsString::from(option);
    text.push(path);
    text
}

fn configuration(folder: &Path, port: u16, controller_port: u16, listeners: &[Listener]) -> String {
    let data = folder.join("data");
    let more = |describe: &dyn Fn(&Listener) -> String| -> String {
        listeners.iter().map(describe).collect()
    };
    let protocols = more(&|it| format!(",{}:PLAINTEXT", it.name));
    let addresses = more(&|it| format!(",{}://127.0.0.1:{}", it.name, it.port));
    let advertised = more(&|it| format!(",{}://127.0.0.1:{}", it.name, it.advertised_port));
    let mut lines = vec![
        "# Written at every start by local-cluster.".to_owned(),
        format!("log.dirs={}", data.display()),
        format!("listener.security.protocol.map=BROKER:PLAINTEXT,CONTROLLER:PLAINTEXT{protocols}"),
        format!(
            "listeners=BROKER://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}{addresses}"
        ),
        format!("advertised.listeners=BROKER://127.0.0.1:{port}{advertised}"),
        // Not a dynamic quorum: that would remember the port, which may have to change.
        format!("controller.quorum.voters=1@127.0.0.1:{controller_port}"),
    ];
    lines.extend(
        SETTINGS
            .iter()
            .map(|(name, value)| format!("{name}={value}")),
    );
    lines.join("\n") + "\n"
}

fn cluster_id() -> Result<String, ClusterError> {
    let mut bytes = [0_u8; ID_LENGTH];
    getrandom::fill(&mut bytes).map_err(ClusterError::Random)?;
    let mut id: String = bytes
        .iter()
        .map(|byte| char::from(ID_CHARACTERS[usize::from(byte % 64)]))
        .collect();
    id.push('A');
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_cluster_id_when_made_then_it_is_sixteen_bytes_in_base64() {
        let id = cluster_id().unwrap();
        assert_eq!(id.len(), 22);
        assert!(id.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        assert_ne!(id, cluster_id().unwrap());
    }

    #[test]
    fn given_ports_when_configured_then_everything_is_on_loopback_and_under_the_folder() {
        let text = configuration(Path::new("/bank/kafka"), 20_001, 20_002, &[]);
        assert!(text.contains("log.dirs=/bank/kafka/data\n"));
        assert!(text.contains("listeners=BROKER://127.0.0.1:20001,CONTROLLER://127.0.0.1:20002\n"));
        assert!(text.contains("\nauto.create.topics.enable=false\n"));
    }

    #[test]
    fn given_a_listener_for_a_proxy_when_configured_then_clients_are_told_the_proxys_port() {
        let listener = Listener {
            name: "HANDLER".to_owned(),
            port: 20_003,
            advertised_port: 20_004,
        };
        let text = configuration(Path::new("/bank/kafka"), 20_001, 20_002, &[listener]);
        assert!(text.contains(",CONTROLLER:PLAINTEXT,HANDLER:PLAINTEXT\n"));
        assert!(text.contains("//127.0.0.1:20002,HANDLER://127.0.0.1:20003\n"));
        assert!(
            text.contains(
                "advertised.listeners=BROKER://127.0.0.1:20001,HANDLER://127.0.0.1:20004\n"
            )
        );
    }
}
