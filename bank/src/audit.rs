//! Judging the invariants of the bank that runs.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::bail;
use auditor::{Options, Sources, Verdict, follow, program};
use local_cluster::{Layout, PostgresEndpoint, State, secret};

use crate::{services::schema_memory, up::Signals};

/// The databases, and the roles that own them.
const HANDLER: &str = "command_handler";
const GATEWAY: &str = "graphql_endpoint";

/// What is asked for.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    /// The report as JSON.
    pub(crate) json: bool,
    /// Again and again.
    pub(crate) follow: bool,
    /// At least this long between two rounds.
    pub(crate) every_seconds: u64,
    /// How long the bank may take to deal with what there is.
    pub(crate) wait_seconds: u64,
    /// What clients recorded.
    pub(crate) history: Option<PathBuf>,
    /// First copies of changes must be in order.
    pub(crate) strict_order: bool,
}

/// The command `audit`.
pub(crate) fn audit(directory: &Path, wish: &Wish) -> anyhow::Result<ExitCode> {
    let sources = match sources(directory, wish.history.clone()) {
        Ok(sources) => sources,
        Err(error) => {
            eprintln!("error: {error:#}");
            return Ok(ExitCode::from(Verdict::Unchecked.exit_code()));
        }
    };
    let options = Options {
        wait: Duration::from_secs(wish.wait_seconds),
        schema_memory: Some(schema_memory(directory)),
        is_order_strict: wish.strict_order,
        ..Options::default()
    };
    // Topics and databases are read side by side.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let code = if wish.follow {
        let every = Duration::from_secs(wish.every_seconds);
        runtime.block_on(go_on(sources, options, every))?
    } else {
        runtime.block_on(once(&sources, &options, wish.json))
    };
    // Threads of librdkafka may still be closing; nobody waits for them.
    runtime.shutdown_background();
    Ok(code)
}

async fn once(sources: &Sources, options: &Options, json: bool) -> ExitCode {
    let teller = program::Teller::default();
    let outcome = auditor::audit(sources, options, &|progress| teller.tell(progress)).await;
    teller.end();
    match outcome {
        Ok(report) => {
            program::print(&report, json);
            ExitCode::from(report.verdict().exit_code())
        }
        Err(error) => {
            eprintln!("could not be checked: {:#}", anyhow::Error::from(error));
            ExitCode::from(Verdict::Unchecked.exit_code())
        }
    }
}

/// Until Ctrl-C.
async fn go_on(sources: Sources, options: Options, every: Duration) -> anyhow::Result<ExitCode> {
    let address = "127.0.0.1:0".parse()?;
    let listener = std::net::TcpListener::bind::<std::net::SocketAddr>(address)?;
    let address = listener.local_addr()?;
    drop(listener);
    println!("Auditing until Ctrl-C: http://{address}/status and http://{address}/metrics");
    let stop = tokio_util::sync::CancellationToken::new();
    let wish = follow::Wish {
        sources,
        options,
        every,
        address,
    };
    let mut signals = Signals::new()?;
    let following = follow::follow(wish, stop.clone(), &|report| program::print(report, false));
    tokio::select! {
        ended = following => ended?,
        () = signals.any() => stop.cancel(),
    }
    Ok(ExitCode::SUCCESS)
}

fn sources(directory: &Path, history: Option<PathBuf>) -> anyhow::Result<Sources> {
    let layout = Layout::new(directory);
    let state = State::load(&layout)?.filter(State::is_supervised);
    let Some(state) = state else {
        bail!(
            "the bank is not running, so nothing can be checked; start it with: cargo bank up --detach"
        )
    };
    let port = |purpose: &str| state.ports.get(purpose).copied().unwrap_or_default();
    let url = |name: &str| -> anyhow::Result<String> {
        let password = secret(&layout, &format!("{name}.password"))?;
        let server = PostgresEndpoint {
            host: "127.0.0.1".to_owned(),
            port: port("postgres"),
            administrator: String::new(),
            password: String::new(),
        };
        Ok(server.url(name, &password, name))
    };
    Ok(Sources {
        kafka_brokers: format!("127.0.0.1:{}", port("kafka")),
        topic_prefix: String::new(),
        schema_registry_url: format!("http://127.0.0.1:{}/apis/ccompat/v7", port("registry")),
        handler_database_url: url(HANDLER)?,
        gateway_database_url: url(GATEWAY)?,
        history,
    })
}
