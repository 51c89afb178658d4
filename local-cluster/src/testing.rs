//! One cluster for all tests of a run.
//!
//! `cargo bank test` starts it and passes its addresses in [`TEST_CLUSTER_VARIABLE`]. A test that is run alone
//! (`cargo test -p ...`) starts one for its own process, in a temporary directory, and a watchdog ends it when
//! that process is gone. Tests keep apart by topic prefix and by database.

use std::{
    io::Write,
    net::TcpListener,
    path::Path,
    process::{ChildStdin, Command, Stdio},
    sync::{Arc, OnceLock, mpsc},
};

use crate::{Cluster, ClusterError, Endpoints, postgres, program::withhold, secrets::hex};

/// Holds [`Endpoints`] as JSON for the tests that `cargo bank test` runs.
pub const TEST_CLUSTER_VARIABLE: &str = "BANK_TEST_CLUSTER";

/// Reads lines of pids until its input ends with the test process, then ends the pids of the last line and
/// removes the directory. SIGINT is PostgreSQL's fast shutdown and a clean end to all others.
const WATCHDOG: &str = r#"
trap '' INT TERM HUP
pids=
while read -r line; do pids=$line; done
[ -n "$pids" ] && kill -INT $pids 2>/dev/null
tries=0
while [ $tries -lt 100 ]; do
    alive=
    for pid in $pids; do kill -0 "$pid" 2>/dev/null && alive=1; done
    [ -z "$alive" ] && break
    tries=$((tries + 1))
    sleep 0.1
done
[ -n "$alive" ] && kill -KILL $pids 2>/dev/null
rm -rf -- "$1"
"#;

pub mod watched;

static SHARED: OnceLock<Endpoints> = OnceLock::new();

/// A database of one test.
#[derive(Debug, Clone)]
pub struct TestDatabase {
    /// The database, and the role that owns it.
    pub name: String,
    /// `postgres://...` for the owner.
    pub url: String,
}

/// The cluster of this test run; the first call may start it and then blocks for some seconds.
///
/// # Panics
/// When the cluster cannot be started: a test without it must fail, not be skipped.
#[must_use]
pub fn shared_cluster() -> &'static Endpoints {
    SHARED.get_or_init(|| match std::env::var(TEST_CLUSTER_VARIABLE) {
        Ok(text) => serde_json::from_str(&text)
            .expect("BANK_TEST_CLUSTER holds what `cargo bank test` put there"),
        Err(_) => start_own(),
    })
}

/// A prefix for the topics, subjects and groups of one test, different at every call.
#[must_use]
pub fn unique_prefix(test: &str) -> String {
    format!("{}-{}-", safe(test, '-'), random_suffix())
}

/// What tells a service where Kafka and the registry are, and what its topics begin with.
#[must_use]
pub fn client_arguments(cluster: &Endpoints, prefix: &str) -> [String; 6] {
    [
        "--kafka-brokers",
        &cluster.kafka_brokers,
        "--schema-registry-url",
        &cluster.schema_registry_url,
        "--topic-prefix",
        prefix,
    ]
    .map(str::to_owned)
}

/// The command line of a synchronizer for topics with this prefix and these databases.
#[must_use]
pub fn synchronizer_arguments(
    cluster: &Endpoints,
    prefix: &str,
    command_handler: &TestDatabase,
    graphql_endpoint: &TestDatabase,
) -> Vec<String> {
    let databases = [
        "--command-handler-database-url",
        &command_handler.url,
        "--graphql-endpoint-database-url",
        &graphql_endpoint.url,
    ];
    std::iter::once("synchronizer".to_owned())
        .chain(client_arguments(cluster, prefix))
        .chain(databases.map(str::to_owned))
        .collect()
}

/// An address of this machine nobody listens on yet.
///
/// # Panics
/// When the system has none.
#[must_use]
pub fn free_address() -> String {
    TcpListener::bind("127.0.0.1:0")
        .and_then(|listener| listener.local_addr())
        .expect("a port is free")
        .to_string()
}

/// A new database with an owner of the same name; the name starts with `purpose`.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn create_database(
    cluster: &Endpoints,
    purpose: &str,
) -> Result<TestDatabase, ClusterError> {
    let name = format!("{}_{}", safe(purpose, '_'), random_suffix());
    create_named_database(cluster, &name).await
}

/// The database `name` with an owner of the same name, made when it is not there.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn create_named_database(
    cluster: &Endpoints,
    name: &str,
) -> Result<TestDatabase, ClusterError> {
    // Known to every test on purpose: such a database holds nothing.
    let password = "test";
    postgres::create_database(&cluster.postgres, name, password).await?;
    Ok(TestDatabase {
        name: name.to_owned(),
        url: cluster.postgres.url(name, password, name),
    })
}

/// Removes a test's database, also when somebody is still connected to it.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn drop_database(
    cluster: &Endpoints,
    database: &TestDatabase,
) -> Result<(), ClusterError> {
    let name = &database.name;
    let refused = |source| ClusterError::Postgres {
        action: format!("drop the database {name}"),
        source,
    };
    let client = postgres::connect(&cluster.postgres, "postgres")
        .await
        .map_err(refused)?;
    client
        .batch_execute(&format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"))
        .await
        .map_err(refused)?;
    client
        .batch_execute(&format!("DROP ROLE IF EXISTS \"{name}\""))
        .await
        .map_err(refused)
}

/// Starts a cluster for this process on a thread of its own, since a test's runtime ends with the test.
fn start_own() -> Endpoints {
    let (sender, receiver) = mpsc::channel();
    std::thread::Builder::new()
        .name("test-cluster".to_owned())
        .spawn(move || {
            let runtime = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build();
            let runtime = runtime.expect("a runtime for the test cluster");
            runtime.block_on(run_own(&sender));
        })
        .expect("a thread for the test cluster");
    receiver
        .recv()
        .expect("the test cluster's thread lives")
        .expect("the test cluster starts")
}

async fn run_own(sender: &mpsc::Sender<Result<Endpoints, String>>) {
    let directory = std::env::temp_dir().join(format!("the-bank-test-{}", random_suffix()));
    let started = async {
        let cluster = Cluster::open(&directory, &[], Arc::new(|_| {})).await?;
        let mut watchdog = watchdog(&directory)?;
        let started = cluster.start().await;
        // Also after a failure: what did start must end.
        let pids: Vec<String> = cluster
            .processes()
            .iter()
            .map(|process| process.pid.to_string())
            .collect();
        writeln!(watchdog, "{}", pids.join(" "))
            .map_err(ClusterError::io("write to", "the watchdog"))?;
        started.map(|()| (cluster, watchdog))
    };
    match started.await {
        Ok((cluster, _watchdog)) => {
            // The receiver waits for exactly this.
            let _ = sender.send(Ok(cluster.endpoints().clone()));
            std::future::pending::<()>().await;
        }
        Err(error) => {
            let _ = sender.send(Err(error.to_string()));
        }
    }
}

/// Its input ends when this process does, however it ends.
fn watchdog(directory: &Path) -> Result<ChildStdin, ClusterError> {
    use std::os::unix::process::CommandExt;
    let mut command = Command::new("sh");
    withhold(&mut command);
    command
        .args(["-c", WATCHDOG, "watchdog"])
        .arg(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0);
    let mut child = command.spawn().map_err(ClusterError::io("start", "sh"))?;
    child.stdin.take().ok_or_else(|| ClusterError::Io {
        action: "write to",
        path: "the watchdog".into(),
        source: std::io::ErrorKind::BrokenPipe.into(),
    })
}

/// Lower-case letters, digits and `separator`, at most 28 characters, so that a prefix of
/// them stays within the 40 the services accept.
fn safe(text: &str, separator: char) -> String {
    text.chars()
        .take(28)
        .map(|character| {
            if character.is_ascii_alphanumeric() {
                character.to_ascii_lowercase()
            } else {
                separator
            }
        })
        .collect()
}

fn random_suffix() -> String {
    let mut bytes = [0_u8; 5];
    getrandom::fill(&mut bytes).expect("random bytes for a name");
    hex(&bytes)
}
