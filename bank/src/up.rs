//! A start from beginning to end: check, build, infrastructure, synchronizer, services, page; then stay until told
//! to stop. `--detach` leaves the same in a process of its own.

use std::{
    fs::{self, File},
    io::{Read, Seek, SeekFrom, Write},
    path::PathBuf,
    process::{ExitCode, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use local_cluster::{Cluster, Event, Layout, ProcessIdentity, Report, State, is_free};
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    build,
    failure::Failure,
    preflight, progress,
    services::{self, GATEWAY, NAMES},
    workspace::Workspace,
};

/// From the start of the services until each says it is ready.
const SERVICE_DEADLINE: Duration = Duration::from_secs(60);

/// How often a detached start is looked at.
const DETACHED_POLL: Duration = Duration::from_millis(50);

/// The port purpose of the page in `state.json`.
pub(crate) const PAGE: &str = "page";

/// The supervisor's own log.
const LOG_NAME: &str = "bank";

/// The gateway's answer to a question about its demo users.
const DEMO_USERS_QUERY: &str = r#"{"query":"{ bank { demoUsers { userName password role } } }"}"#;

/// What to start and where.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) directory: PathBuf,
    pub(crate) only_cluster: bool,
    pub(crate) port: u16,
}

/// The command `up`.
pub(crate) async fn up(
    workspace: &Workspace,
    request: &Request,
    detach: bool,
) -> anyhow::Result<ExitCode> {
    let started = Instant::now();
    let layout = Layout::new(&request.directory);
    if let Some(state) = State::load(&layout)?.filter(State::is_supervised) {
        let page = state
            .ports
            .get(PAGE)
            .map(|port| format!(" at http://127.0.0.1:{port}"))
            .unwrap_or_default();
        println!("It runs already{page}; stop it with: cargo bank down");
        return Ok(ExitCode::SUCCESS);
    }
    if request.only_cluster {
        preflight::check(preflight::For::Cluster, workspace)?;
    } else {
        preflight::check(preflight::For::Up, workspace)?;
        build::build(workspace)?;
    }
    layout.create()?;
    if detach {
        start_detached(request, &layout, started).await
    } else {
        let log = local_log(&layout)?;
        serve(
            workspace,
            request,
            &progress::report(Some(log)),
            started,
            "Ctrl-C here, or cargo bank down",
        )
        .await
    }
}

/// What a detached start runs: no terminal, its output is its log.
pub(crate) async fn supervise(
    workspace: &Workspace,
    request: &Request,
) -> anyhow::Result<ExitCode> {
    // It outlives the terminal it was started from. It fails only when this process leads a group already.
    let _ = rustix::process::setsid();
    serve(
        workspace,
        request,
        &progress::report(None),
        Instant::now(),
        "cargo bank down",
    )
    .await
}

/// Starts everything, stays until a signal, stops everything.
async fn serve(
    workspace: &Workspace,
    request: &Request,
    report: &Report,
    started: Instant,
    how_to_stop: &str,
) -> anyhow::Result<ExitCode> {
    let mut signals = Signals::new()?;
    let services: &[&str] = if request.only_cluster { &[] } else { &NAMES };
    let cluster = Cluster::open(&request.directory, services, report.clone()).await?;
    let ready = tokio::select! {
        ready = start(workspace, request, &cluster, report) => ready,
        () = signals.any() => {
            cluster.stop().await;
            return Ok(ExitCode::SUCCESS);
        }
    };
    if let Err(error) = ready {
        cluster.stop().await;
        return Err(error);
    }
    report(&Event::Note(
        welcome(request, &cluster, started.elapsed(), how_to_stop).await,
    ));
    // Only now: whoever waits for it has then seen all of the above.
    cluster.declare_ready()?;
    signals.any().await;
    report(&Event::Note("stopping".to_owned()));
    cluster.stop().await;
    Ok(ExitCode::SUCCESS)
}

async fn start(
    workspace: &Workspace,
    request: &Request,
    cluster: &Cluster,
    report: &Report,
) -> anyhow::Result<()> {
    if !request.only_cluster && !is_free(request.port) {
        let text = format!(
            "port {} of 127.0.0.1 is taken by another program; choose another one with --port",
            request.port
        );
        return Err(Failure::Usage(text).into());
    }
    cluster.start().await?;
    if request.only_cluster {
        return cluster.forget_port(PAGE).map_err(Into::into);
    }
    cluster.remember_port(PAGE, request.port)?;

    let synchronizing = Instant::now();
    services::synchronizer(workspace, cluster)?
        .run_once(cluster.layout())
        .await?;
    report(&Event::Step {
        what: "synchronized topics, schemas and tables".to_owned(),
        took: synchronizing.elapsed(),
    });

    let starting = Instant::now();
    // A new start is calm, whatever the load was before.
    match fs::remove_file(services::rate_file(&request.directory)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let audits = services::audit_directory(cluster.layout());
    if audits.exists() {
        fs::remove_dir_all(&audits)?;
    }
    fs::create_dir_all(&audits)?;
    for program in services::services(workspace, cluster, request.port)? {
        cluster.start_program(program);
    }
    let mut urls: Vec<(&str, String)> = NAMES
        .iter()
        .map(|name| {
            (
                *name,
                format!(
                    "http://{}/readyz",
                    services::operations_address(cluster, name)
                ),
            )
        })
        .collect();
    urls.push((GATEWAY, page_url(request.port)));
    // They start side by side, so waiting for one after the other takes no longer.
    for (name, url) in urls {
        let left = SERVICE_DEADLINE.saturating_sub(starting.elapsed());
        cluster.wait_until_answers(name, &url, left).await?;
    }
    report(&Event::Step {
        what: "the services and the page answer".to_owned(),
        took: starting.elapsed(),
    });
    Ok(())
}

/// The last lines of a start: where to go, as whom, and how to end it.
async fn welcome(
    request: &Request,
    cluster: &Cluster,
    took: Duration,
    how_to_stop: &str,
) -> String {
    let endpoints = cluster.endpoints();
    let mut lines = vec![String::new()];
    if request.only_cluster {
        lines.push(format!(
            "The cluster is ready after {:.1} s.",
            took.as_secs_f64()
        ));
    } else {
        lines.push(format!(
            "The Bank is ready after {:.1} s: {}",
            took.as_secs_f64(),
            page_url(request.port)
        ));
        lines.extend(demo_users(request.port).await);
    }
    lines.push(format!("  Kafka            {}", endpoints.kafka_brokers));
    lines.push(format!(
        "  schema registry  {}",
        endpoints.schema_registry_url
    ));
    lines.push(format!(
        "  PostgreSQL       {}:{} (passwords in {})",
        endpoints.postgres.host,
        endpoints.postgres.port,
        cluster.layout().secrets().display()
    ));
    if !request.only_cluster {
        lines.push("Let a simulated public use it:  cargo bank load 200".to_owned());
    }
    lines.push(format!("Stop it:  {how_to_stop}"));
    lines.join("\n")
}

/// One line per demo user; none when the gateway does not say.
async fn demo_users(port: u16) -> Vec<String> {
    let ask = async {
        let client = reqwest::Client::builder()
            .no_proxy()
            .timeout(Duration::from_secs(2))
            .build()?;
        let request = client
            .post(format!("{}/graphql", page_url(port)))
            .header("content-type", "application/json")
            .body(DEMO_USERS_QUERY);
        request.send().await?.json::<serde_json::Value>().await
    };
    let answer = ask.await.unwrap_or_default();
    let users = answer
        .pointer("/data/bank/demoUsers")
        .and_then(serde_json::Value::as_array);
    let text = |user: &serde_json::Value, field: &str| {
        user.get(field)
            .and_then(serde_json::Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    users
        .into_iter()
        .flatten()
        .map(|user| {
            let role = text(user, "role").to_lowercase();
            format!(
                "  log in as        {} / {} ({role})",
                text(user, "userName"),
                text(user, "password")
            )
        })
        .collect()
}

fn page_url(port: u16) -> String {
    format!("http://127.0.0.1:{port}")
}

/// Starts the supervisor in a session of its own and shows its progress until it is ready or has failed.
async fn start_detached(
    request: &Request,
    layout: &Layout,
    started: Instant,
) -> anyhow::Result<ExitCode> {
    let log_file = layout.log_file(LOG_NAME);
    let log = local_log(layout)?;
    let mut shown = Shown {
        file: File::open(&log_file)?,
        position: log.metadata()?.len(),
    };
    let mut command = std::process::Command::new(std::env::current_exe()?);
    command
        .arg("--directory")
        .arg(&request.directory)
        .arg("supervise")
        .arg("--port")
        .arg(request.port.to_string());
    if request.only_cluster {
        command.arg("--cluster");
    }
    // Its current directory must not be one that somebody wants to unmount or remove.
    command
        .current_dir(&request.directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    let mut child = command.spawn().context("cannot start the supervisor")?;
    let supervisor = ProcessIdentity::of(child.id()).context("the supervisor is gone")?;
    let mut signals = Signals::new()?;
    loop {
        shown.show_more()?;
        if let Some(status) = child.try_wait()? {
            shown.show_more()?;
            eprintln!(
                "error: the bank did not start; its log is {}",
                log_file.display()
            );
            let code = status
                .code()
                .and_then(|code| u8::try_from(code).ok())
                .filter(|code| *code != 0);
            return Ok(ExitCode::from(code.unwrap_or(1)));
        }
        let state = State::load(layout)?;
        if state.is_some_and(|state| state.ready && state.supervisor == Some(supervisor)) {
            shown.show_more()?;
            println!(
                "It goes on in the background ({:.1} s in all).",
                started.elapsed().as_secs_f64()
            );
            return Ok(ExitCode::SUCCESS);
        }
        tokio::select! {
            () = tokio::time::sleep(DETACHED_POLL) => {}
            () = signals.any() => {
                supervisor.signal(rustix::process::Signal::TERM);
                child.wait()?;
                shown.show_more()?;
                bail!("interrupted; everything that was started has been stopped");
            }
        }
    }
}

/// The supervisor's log, for appending.
fn local_log(layout: &Layout) -> anyhow::Result<File> {
    Ok(local_cluster::open_log(&layout.log_file(LOG_NAME))?)
}

/// The part of a growing file that has been shown.
struct Shown {
    file: File,
    position: u64,
}

impl Shown {
    fn show_more(&mut self) -> anyhow::Result<()> {
        self.file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes)?;
        self.position += u64::try_from(bytes.len())?;
        let mut terminal = std::io::stdout().lock();
        terminal.write_all(&bytes)?;
        terminal.flush()?;
        Ok(())
    }
}

/// The signals that mean: stop.
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
}

impl Signals {
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for any of them.
    pub(crate) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hang_up.recv() => {}
        }
    }
}
