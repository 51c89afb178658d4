//! PostgreSQL: found on the machine, never run as root, one role and database per owner.

use std::{
    env, fs,
    os::unix::fs::{MetadataExt, PermissionsExt, lchown},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tokio_postgres::{Client, Config, NoTls};

use crate::{
    ClusterError, Layout, PostgresEndpoint,
    java::find_program,
    process,
    program::{Preparation, Program, RunAs, Stage},
    readiness::wait_until_ready,
    secrets::secret,
    supervision::Supervisor,
};

/// The process name, log name and port purpose.
pub(crate) const NAME: &str = "postgres";

/// The role that owns the server.
pub(crate) const ADMINISTRATOR: &str = "bank_admin";

/// Every database of the bank has an owner of the same name.
pub const DATABASES: [&str; 3] = ["command_handler", "graphql_endpoint", "registry"];

/// From the start of the process to its first answer, crash recovery included.
const READY_DEADLINE: Duration = Duration::from_secs(60);

/// Fast shutdown writes a checkpoint first.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// One attempt to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Orphans of a killed server must be gone before a new one may touch their shared memory.
const ORPHAN_DEADLINE: Duration = Duration::from_secs(10);

/// The users PostgreSQL runs as when we are root, best first.
const UNPRIVILEGED_USERS: [&str; 2] = ["postgres", "nobody"];

/// Settings that differ from PostgreSQL's own, each with its reason.
const SETTINGS: &[(&str, &str)] = &[
    ("listen_addresses", "127.0.0.1"),
    // The path of a socket may be too long under a deep directory; everybody uses TCP.
    ("unix_socket_directories", ""),
    // A commit that was answered is on disk: the bank's promises rest on these three.
    ("fsync", "on"),
    ("synchronous_commit", "on"),
    ("full_page_writes", "on"),
    // Small enough for the idle budget, large enough that the bank's hot rows stay in memory.
    ("shared_buffers", "64MB"),
    // With the default of 2 MB (1/32 of the buffers) a batch of the handler waits for WAL to be written.
    ("wal_buffers", "16MB"),
    // A killed server replays at most this much before it answers, and the bank must be back within 30 s: a
    // quarter of an hour of 200 transfers/s took 16 s.
    ("max_wal_size", "1GB"),
    ("checkpoint_timeout", "2min"),
    // After a kill: one sync of the file system, not one of each of a thousand files (2 s).
    ("recovery_init_sync_method", "syncfs"),
    // Parallel test suites use many databases at once.
    ("max_connections", "200"),
    // Short transactions on few rows: compiling or spreading a query costs more than it gives.
    ("jit", "off"),
    ("max_parallel_workers_per_gather", "0"),
    // Nobody replicates this server: no launcher process.
    ("max_logical_replication_workers", "0"),
    ("max_wal_senders", "0"),
    ("log_checkpoints", "off"),
    ("log_line_prefix", "%m [%p] %d "),
    ("timezone", "UTC"),
    ("log_timezone", "UTC"),
];

/// The folder of the server programs: `$PG_BIN`, Debian's versions newest first, `pg_config`, the `PATH`.
#[must_use]
pub fn find_postgres() -> Option<PathBuf> {
    let complete =
        |folder: &PathBuf| folder.join("postgres").is_file() && folder.join("initdb").is_file();
    let chosen = env::var_os("PG_BIN").map(PathBuf::from);
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            Some((
                entry.file_name().to_str()?.parse().ok()?,
                entry.path().join("bin"),
            ))
        })
        .collect();
    versions.sort();
    let configured = || {
        let output = Command::new("pg_config")
            .arg("--bindir")
            .stderr(Stdio::null())
            .output()
            .ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let on_path = || find_program("postgres")?.parent().map(Path::to_owned);
    chosen
        .filter(complete)
        .or_else(|| {
            versions
                .into_iter()
                .rev()
                .map(|(_, folder)| folder)
                .find(complete)
        })
        .or_else(|| configured().filter(complete))
        .or_else(|| on_path().filter(complete))
}

/// Makes the data directory when there is none, and says how the server is run.
pub(crate) async fn prepare(layout: &Layout, port: u16) -> Result<Program, ClusterError> {
    let programs = find_postgres().ok_or_else(|| ClusterError::Missing {
        what: "PostgreSQL (the server programs `postgres` and `initdb`)",
        hint: "install PostgreSQL 15 or newer, or set PG_BIN to the folder of its programs"
            .to_owned(),
    })?;
    let folder = layout.postgres();
    let data = folder.join("data");
    let run_as = choose_user(&folder)?;
    let password = secret(layout, ADMINISTRATOR)?;
    if data.is_dir() {
        give_to(&data, run_as)?;
    } else {
        initialise(layout, &programs, run_as, &password).await?;
    }
    let mut program = Program::service(NAME, programs.join("postgres"), folder)
        .argument("-D")
        .argument(&data)
        .argument("-p")
        .argument(port.to_string());
    for (name, value) in SETTINGS {
        program = program.argument("-c").argument(format!("{name}={value}"));
    }
    program.stage = Stage::Database;
    program.run_as = run_as;
    // Fast shutdown: open transactions are rolled back, clients are not waited for.
    program.stop_signal = Signal::INT;
    program.stop_deadline = STOP_DEADLINE;
    program.preparation = Preparation::ClearDatabase(data);
    Ok(program)
}

/// Waits for the server, then makes the roles and databases that are not there.
pub(crate) async fn complete(
    supervisor: &Supervisor,
    endpoint: &PostgresEndpoint,
) -> Result<(), ClusterError> {
    wait_until_ready(supervisor, NAME, READY_DEADLINE, || async {
        let client = connect(endpoint, "postgres")
            .await
            .map_err(|error| describe(&error))?;
        client
            .simple_query("SELECT 1")
            .await
            .map(drop)
            .map_err(|error| describe(&error))
    })
    .await?;
    for name in DATABASES {
        let password = secret(supervisor.layout(), &format!("{name}.password"))?;
        create_database(endpoint, name, &password).await?;
    }
    Ok(())
}

/// Makes the database `name` and its owner of the same name, or sets the owner's password.
pub(crate) async fn create_database(
    endpoint: &PostgresEndpoint,
    name: &str,
    password: &str,
) -> Result<(), ClusterError> {
    let refused = |action: String| move |source| ClusterError::Postgres { action, source };
    let client = connect(endpoint, "postgres")
        .await
        .map_err(refused("let the administrator in".to_owned()))?;
    let role = client
        .query_opt("SELECT 1 FROM pg_roles WHERE rolname = $1", &[&name])
        .await
        .map_err(refused("list the roles".to_owned()))?;
    let verb = if role.is_some() { "ALTER" } else { "CREATE" };
    // Names and passwords are our own: letters, digits and underscores.
    client
        .batch_execute(&format!(
            "{verb} ROLE \"{name}\" LOGIN PASSWORD '{password}'"
        ))
        .await
        .map_err(refused(format!("make the role {name}")))?;
    let database = client
        .query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name])
        .await
        .map_err(refused("list the databases".to_owned()))?;
    if database.is_none() {
        client
            .batch_execute(&format!("CREATE DATABASE \"{name}\" OWNER \"{name}\""))
            .await
            .map_err(refused(format!("make the database {name}")))?;
        client
            .batch_execute(&format!("REVOKE ALL ON DATABASE \"{name}\" FROM PUBLIC"))
            .await
            .map_err(refused(format!("protect the database {name}")))?;
    }
    Ok(())
}

/// Connects as the administrator.
pub(crate) async fn connect(
    endpoint: &PostgresEndpoint,
    database: &str,
) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = Config::new()
        .host(&endpoint.host)
        .port(endpoint.port)
        .user(&endpoint.administrator)
        .password(&endpoint.password)
        .dbname(database)
        .connect_timeout(CONNECT_TIMEOUT)
        .connect(NoTls)
        .await?;
    // Ends with the client; what goes wrong on the connection comes back from the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// Removes what a server that was killed left behind, as far as it would keep the next one from starting.
///
/// Its orphans hold the shared memory until they notice; and its `postmaster.pid` may name a process that is
/// now something else. The directory is ours alone, so every PostgreSQL process working in it is ours too.
pub(crate) async fn clear_after_kill(data: &Path) {
    let started = Instant::now();
    let mut orphans = process::working_in(data, "postgres");
    while !orphans.is_empty() && started.elapsed() < ORPHAN_DEADLINE {
        for orphan in &orphans {
            orphan.signal(Signal::KILL);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        orphans = process::working_in(data, "postgres");
    }
    let pid_file = data.join("postmaster.pid");
    let named = fs::read_to_string(&pid_file)
        .ok()
        .and_then(|text| text.lines().next()?.trim().parse::<u32>().ok());
    if orphans.is_empty() && named.is_some_and(|pid| Path::new(&format!("/proc/{pid}")).exists()) {
        // Somebody else has the pid now. If the file cannot be removed, the server says so itself.
        let _ = fs::remove_file(pid_file);
    }
}

async fn initialise(
    layout: &Layout,
    programs: &Path,
    run_as: RunAs,
    password: &str,
) -> Result<(), ClusterError> {
    let folder = layout.postgres();
    let fresh = folder.join("data.new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).map_err(ClusterError::io("remove", &fresh))?;
    }
    fs::create_dir(&fresh).map_err(ClusterError::io("create", &fresh))?;
    let password_file = folder.join("password.new");
    fs::write(&password_file, password).map_err(ClusterError::io("write", &password_file))?;
    fs::set_permissions(&password_file, fs::Permissions::from_mode(0o600))
        .map_err(ClusterError::io("protect", &password_file))?;
    give_to(&fresh, run_as)?;
    give_to(&password_file, run_as)?;
    let mut program = Program::service("postgres-setup", programs.join("initdb"), folder.clone())
        .argument("--pgdata")
        .argument(&fresh)
        .argument("--pwfile")
        .argument(&password_file)
        .argument(format!("--username={ADMINISTRATOR}"))
        .argument("--auth=scram-sha-256")
        .argument("--encoding=UTF8")
        // The same order of text on every machine.
        .argument("--locale=C");
    program.run_as = run_as;
    let done = program.run_once(layout).await;
    fs::remove_file(&password_file).map_err(ClusterError::io("remove", &password_file))?;
    done?;
    let data = folder.join("data");
    fs::rename(&fresh, &data).map_err(ClusterError::io("rename", data))
}

/// As whom PostgreSQL runs: as the caller, unless the caller is root.
fn choose_user(folder: &Path) -> Result<RunAs, ClusterError> {
    if !rustix::process::geteuid().is_root() {
        return Ok(RunAs::Caller);
    }
    let users =
        fs::read_to_string("/etc/passwd").map_err(ClusterError::io("read", "/etc/passwd"))?;
    let (user, uid, gid) = UNPRIVILEGED_USERS
        .iter()
        .find_map(|user| Some((*user, user_id(&users, user, 2)?, user_id(&users, user, 3)?)))
        .ok_or_else(|| ClusterError::Missing {
            what: "the user `postgres`",
            hint: "PostgreSQL does not run as root; make the user with `useradd --system postgres`"
                .to_owned(),
        })?;
    let closed = folder
        .ancestors()
        .find(|ancestor| !may_enter(ancestor, uid, gid));
    match closed {
        None => Ok(RunAs::User { uid, gid }),
        Some(_) if namespaces_work(uid, gid) => Ok(RunAs::Namespace { uid, gid }),
        Some(directory) => Err(ClusterError::NoUnprivilegedUser {
            user: user.to_owned(),
            directory: directory.to_owned(),
        }),
    }
}

/// Field `field` of the user's line in /etc/passwd.
fn user_id(users: &str, user: &str, field: usize) -> Option<u32> {
    let line = users
        .lines()
        .find(|line| line.split(':').next() == Some(user))?;
    line.split(':').nth(field)?.parse().ok()
}

fn may_enter(folder: &Path, uid: u32, gid: u32) -> bool {
    let Ok(metadata) = fs::metadata(folder) else {
        return false;
    };
    let needed = if metadata.uid() == uid {
        0o100
    } else if metadata.gid() == gid {
        0o010
    } else {
        0o001
    };
    metadata.mode() & needed != 0
}

fn namespaces_work(uid: u32, gid: u32) -> bool {
    Command::new("unshare")
        .arg("--user")
        .arg(format!("--map-user={uid}"))
        .arg(format!("--map-group={gid}"))
        .args(["--", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Makes the server's user own `path` and all below, if it does not yet.
fn give_to(path: &Path, run_as: RunAs) -> Result<(), ClusterError> {
    let (uid, gid) = match run_as {
        RunAs::Caller => return Ok(()),
        RunAs::User { uid, gid } => (uid, gid),
        // Seen from inside the namespace root is that user.
        RunAs::Namespace { .. } => (0, 0),
    };
    let metadata = fs::symlink_metadata(path).map_err(ClusterError::io("read", path))?;
    if metadata.uid() != uid {
        give_all(path, uid, gid)?;
    }
    Ok(())
}

fn give_all(path: &Path, uid: u32, gid: u32) -> Result<(), ClusterError> {
    if fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir()) {
        for entry in fs::read_dir(path)
            .map_err(ClusterError::io("read", path))?
            .flatten()
        {
            give_all(&entry.path(), uid, gid)?;
        }
    }
    // The folder itself last: its owner says that all below has been given.
    lchown(path, Some(uid), Some(gid)).map_err(ClusterError::io("change the owner of", path))
}

/// The error with its cause, for the reason of a wait.
fn describe(error: &tokio_postgres::Error) -> String {
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}"));
    format!("{error}{}", cause.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_password_file_when_a_user_is_looked_up_then_only_the_whole_name_matches() {
        let users = "postgres-old:x:7:8::/:/bin/sh\npostgres:x:101:104:PostgreSQL:/:/bin/bash\n";
        assert_eq!(user_id(users, "postgres", 2), Some(101));
        assert_eq!(user_id(users, "postgres", 3), Some(104));
        assert_eq!(user_id(users, "nobody", 2), None);
    }
}
