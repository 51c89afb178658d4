//! Measuring the whole bank: on a cluster of its own, or one that runs already; comparing two
//! runs; and the article's experiment.

use std::{
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, bail};
use local_cluster::{Cluster, Layout, State};
use perf::bank::{
    compare,
    containers::Watched,
    engine::Engine,
    experiment, judgement, report,
    resources::Parts,
    results::Results,
    run::{self, Own, Request},
    sizes::Sizes,
};
use tokio::runtime::Handle;

use crate::{
    build,
    failure::Failure,
    perf::site,
    preflight, progress,
    services::{self, GATEWAY, HEARTBEAT, NAMES},
    up::Signals,
    workspace::Workspace,
};

/// Of the handler that is drained alone, and of the gateway it does without.
const ALONE_DATABASES: [&str; 2] = ["perf_alone", "perf_alone_gateway"];
/// From the start of the services until each says it is ready.
const SERVICE_DEADLINE: Duration = Duration::from_secs(60);
/// What a process of the cluster is called in results.
const INFRASTRUCTURE: [(&str, &str); 2] = [("kafka", "kafka"), ("registry", "schema-registry")];
/// Judges in the end and is left out meanwhile.
const AUDITOR: &str = "auditor";
const HANDLER: Option<&str> = Some("command-handler");
const SEED_DEFAULT: u64 = 1;
/// Of Compose: which project it works on.
const PROJECT_VARIABLE: &str = "COMPOSE_PROJECT_NAME";

/// What is measured and where the results go.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wish {
    pub(crate) full: bool,
    pub(crate) smoke: bool,
    pub(crate) target: Option<String>,
    pub(crate) project: Option<String>,
    pub(crate) seed: Option<u64>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
}

/// What of the article's experiment is done.
#[derive(Debug, Clone)]
pub(crate) struct ArticleWish {
    pub(crate) faster: f64,
    pub(crate) up_to: u32,
    pub(crate) json: Option<PathBuf>,
    pub(crate) html: Option<PathBuf>,
}

/// The command `perf`.
pub(crate) async fn bank(workspace: &Workspace, wish: &Wish) -> anyhow::Result<ExitCode> {
    let stop = Arc::new(AtomicBool::new(false));
    let results = match &wish.target {
        Some(page) => measure_target(workspace, wish, page, &stop).await?,
        None => {
            preflight::check(preflight::For::Perf, workspace)?;
            build::build(workspace)?;
            measure_own(workspace, wish, &stop).await?
        }
    };
    finish(&results, wish.json.as_deref(), wish.html.as_deref())
}

/// Prints and saves; the exit code says whether the bank was right.
pub(crate) fn finish(
    results: &Results,
    json: Option<&Path>,
    html: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    println!("\n{}", report::text(results));
    if let Some(path) = json {
        save(
            path,
            &(serde_json::to_string(results)? + "\n"),
            "results are",
        )?;
    }
    if let Some(path) = html {
        save(path, &report::html(results), "report is")?;
    }
    if results.verdict.holds {
        return Ok(ExitCode::SUCCESS);
    }
    bail!(
        "the bank was not right: {}",
        results.verdict.findings.join("; ")
    )
}

fn save(path: &Path, text: &str, what: &str) -> anyhow::Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    println!("The {what} in {}.", path.display());
    Ok(())
}

pub(crate) fn say() -> Box<dyn Fn(&str) + Send> {
    Box::new(|what| {
        use std::io::Write;
        println!("  {what}");
        // Nobody may be listening any more; then there is nobody to tell.
        let _ = std::io::stdout().flush();
    })
}

fn sizes(wish: &Wish) -> Sizes {
    if wish.smoke {
        Sizes::smoke()
    } else if wish.full {
        Sizes::full()
    } else {
        Sizes::quick()
    }
}

/// A cluster of its own that is stopped and removed in the end, with a bank in it.
async fn measure_own(
    workspace: &Workspace,
    wish: &Wish,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Results> {
    with_cluster(workspace, stop, async |cluster| {
        let port = start_services(workspace, cluster, None).await?;
        let seed = wish.seed.unwrap_or(SEED_DEFAULT);
        let request = request(workspace, cluster, port, sizes(wish), stop).await?;
        measure(Request { seed, ..request }).await
    })
    .await
}

/// To measure the bank in a cluster of our own.
pub(crate) async fn request(
    workspace: &Workspace,
    cluster: &Cluster,
    port: u16,
    sizes: Sizes,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Request> {
    Ok(Request {
        page: format!("http://127.0.0.1:{port}"),
        gateway: SocketAddr::from(([127, 0, 0, 1], port)),
        sizes,
        own: Some(own(workspace, cluster).await?),
        containers: None,
        folder: cluster.layout().directory().to_owned(),
        root: workspace.root.clone(),
        seed: SEED_DEFAULT,
        stop: Arc::clone(stop),
        progress: say(),
    })
}

async fn measure(request: Request) -> anyhow::Result<Results> {
    let runtime = Handle::current();
    // It blocks; this thread goes on driving the cluster and the connections.
    let measured = tokio::task::spawn_blocking(move || run::run(request, runtime));
    Ok(measured.await.context("the benchmark died")??)
}

/// Opens a cluster, does something with it, and stops it; Ctrl-C ends it in order.
pub(crate) async fn with_cluster<T>(
    workspace: &Workspace,
    stop: &Arc<AtomicBool>,
    work: impl AsyncFnOnce(&Cluster) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut signals = Signals::new()?;
    let directory = workspace
        .target
        .join(format!("perf-bank-{}", std::process::id()));
    let cluster = Cluster::open(&directory, &NAMES, progress::report(None)).await?;
    let outcome = {
        let working = work(&cluster);
        tokio::pin!(working);
        tokio::select! {
            outcome = &mut working => outcome,
            () = signals.any() => {
                // It looks at this often, and ends what it has started first.
                stop.store(true, Ordering::Relaxed);
                working.await
            }
        }
    };
    cluster.stop().await;
    match &outcome {
        Ok(_) => std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?,
        Err(_) => println!("The logs are in {}.", cluster.layout().logs().display()),
    }
    outcome
}

/// A service or all of them, a variable and its value.
pub(crate) type Setting<'a> = (Option<&'static str>, &'static str, &'a str);

/// Starts everything but the auditor, who judges in the end and not meanwhile.
pub(crate) async fn start_services(
    workspace: &Workspace,
    cluster: &Cluster,
    setting: Option<Setting<'_>>,
) -> anyhow::Result<u16> {
    cluster.start().await?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    services::synchronizer(workspace, cluster)?
        .run_once(cluster.layout())
        .await?;
    for program in services::services(workspace, cluster, port)? {
        let name = program.name().to_owned();
        match setting {
            _ if name == AUDITOR => {}
            Some((only_for, variable, value)) if only_for.is_none_or(|it| it == name) => {
                cluster.start_program(program.variable(variable, value));
            }
            _ => cluster.start_program(program),
        }
    }
    for name in NAMES.into_iter().filter(|name| *name != AUDITOR) {
        let address = services::operations_address(cluster, name);
        let url = format!("http://{address}/readyz");
        cluster
            .wait_until_answers(name, &url, SERVICE_DEADLINE)
            .await?;
    }
    let page = format!("http://127.0.0.1:{port}");
    cluster
        .wait_until_answers(GATEWAY, &page, SERVICE_DEADLINE)
        .await?;
    Ok(port)
}

async fn own(workspace: &Workspace, cluster: &Cluster) -> anyhow::Result<Own> {
    let mut alone = Vec::new();
    for name in ALONE_DATABASES {
        let made = local_cluster::testing::create_named_database(cluster.endpoints(), name).await?;
        alone.push((made.name, made.url));
    }
    let [handler, gateway] =
        <[_; 2]>::try_from(alone).map_err(|_| anyhow::anyhow!("two databases were to be made"))?;
    let endpoints = cluster.endpoints();
    let layout = cluster.layout().clone();
    Ok(Own {
        site: site(workspace, cluster)?,
        alone: [handler, gateway],
        sources: auditor::Sources {
            kafka_brokers: endpoints.kafka_brokers.clone(),
            topic_prefix: String::new(),
            schema_registry_url: endpoints.schema_registry_url.clone(),
            handler_database_url: cluster.database_url("command_handler")?,
            gateway_database_url: cluster.database_url("graphql_endpoint")?,
            history: None,
        },
        parts: Box::new(move || parts(&layout)),
    })
}

/// The processes of a cluster as they are now.
fn parts(layout: &Layout) -> Parts {
    // A state that cannot be read now is read at the next step.
    let Ok(Some(state)) = State::load(layout) else {
        return Parts::default();
    };
    let pid = |name: &str| Some(state.programs.get(name)?.process?.pid);
    let services = NAMES.iter().map(|name| (*name, *name));
    let programs = services
        .chain(INFRASTRUCTURE)
        .filter_map(|(name, shown)| Some((shown.to_owned(), pid(name)?)));
    Parts {
        programs: programs.collect(),
        postgres: pid("postgres"),
    }
}

/// The containers of the bank, or why there are no figures of them.
async fn containers(wish: &Wish) -> Result<Watched, String> {
    let project = wish.project.clone();
    let project = project.or_else(|| {
        std::env::var(PROJECT_VARIABLE)
            .ok()
            .filter(|it| !it.is_empty())
    });
    Watched::find(Engine::usual()?, project.as_deref()).await
}

/// A bank that runs already, known by its page only.
async fn measure_target(
    workspace: &Workspace,
    wish: &Wish,
    page: &str,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<Results> {
    let page = page.trim_end_matches('/').to_owned();
    let address = page
        .strip_prefix("http://")
        .and_then(|host| host.to_socket_addrs().ok()?.next());
    let Some(gateway) = address else {
        let text = format!("{page} is no address like http://127.0.0.1:8181");
        return Err(Failure::Usage(text).into());
    };
    let folder = std::env::temp_dir().join(format!("bank-perf-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let mut sizes = if wish.smoke {
        Sizes::smoke()
    } else {
        Sizes::target()
    };
    sizes.has_own_cluster = false;
    let request = Request {
        page,
        gateway,
        sizes,
        own: None,
        containers: Some(containers(wish).await),
        folder: folder.clone(),
        root: workspace.root.clone(),
        seed: wish.seed.unwrap_or(SEED_DEFAULT),
        stop: Arc::clone(stop),
        progress: say(),
    };
    let mut signals = Signals::new()?;
    let measured = {
        let measuring = measure(request);
        tokio::pin!(measuring);
        tokio::select! {
            measured = &mut measuring => measured,
            () = signals.any() => {
                stop.store(true, Ordering::Relaxed);
                measuring.await
            }
        }
    };
    // Empty but for a browser's leftovers.
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

/// The command `perf compare`.
pub(crate) fn compare(first: &Path, second: &Path, threshold: f64) -> anyhow::Result<ExitCode> {
    let read = |path: &Path| -> anyhow::Result<Results> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{} holds no results of the whole bank", path.display()))
    };
    let compared = compare::compare(&read(first)?, &read(second)?, threshold);
    match compared {
        Ok(compared) => {
            print!("{}", compared.text());
            Ok(ExitCode::from(compared.verdict().exit_code()))
        }
        Err(why) => Err(Failure::Usage(why).into()),
    }
}

/// The command `perf article`.
pub(crate) async fn article(workspace: &Workspace, wish: &ArticleWish) -> anyhow::Result<ExitCode> {
    preflight::check(preflight::For::Perf, workspace)?;
    build::build(workspace)?;
    let stop = Arc::new(AtomicBool::new(false));
    let began = std::time::Instant::now();
    let mut results = Results::begin("article", &workspace.root);
    let minutes = experiment::takes(wish.faster, wish.up_to).as_secs() / 60;
    println!("  each way of running the handler takes about {minutes} minutes");
    let ways = [
        ("the handler as it is", None),
        (
            "one command at a time",
            Some((HANDLER, "BANK_BATCH_MAX", "1")),
        ),
        ("linger 100 ms", Some((HANDLER, "BANK_LINGER_MS", "100"))),
    ];
    let mut findings = Vec::new();
    for (name, setting) in ways {
        let (run, verdict) = with_cluster(workspace, &stop, async |cluster| {
            experiment_once(workspace, cluster, wish, name, setting, &stop).await
        })
        .await?;
        results.article.push(run);
        results.verdict.invariants = verdict.invariants;
        results.verdict.holding = verdict.holding;
        results.verdict.records += verdict.records;
        results.verdict.by = verdict.by;
        findings.extend(verdict.findings);
    }
    results.verdict.holds = findings.is_empty();
    results.verdict.findings = findings;
    results.took_seconds = began.elapsed().as_secs();
    if !results.verdict.holds {
        results.article.clear();
    }
    finish(&results, wish.json.as_deref(), wish.html.as_deref())
}

async fn experiment_once(
    workspace: &Workspace,
    cluster: &Cluster,
    wish: &ArticleWish,
    name: &str,
    setting: Option<Setting<'_>>,
    stop: &Arc<AtomicBool>,
) -> anyhow::Result<(
    perf::bank::results::ArticleRun,
    perf::bank::results::Verdict,
)> {
    let port = start_services(workspace, cluster, setting).await?;
    let sources = own(workspace, cluster).await?.sources;
    let way = experiment::Way {
        name: name.to_owned(),
        page: format!("http://127.0.0.1:{port}"),
        rate_url: format!(
            "http://{}/rate",
            services::operations_address(cluster, HEARTBEAT)
        ),
        faster: wish.faster,
        up_to: wish.up_to,
        parts: parts(cluster.layout()),
        folder: cluster.layout().directory().to_owned(),
        stop: Arc::clone(stop),
    };
    let runtime = Handle::current();
    let done = tokio::task::spawn_blocking(move || {
        let run = experiment::run(&way, &runtime, &*say())?;
        let verdict = judgement::audit(&runtime, &sources)?;
        Ok::<_, perf::Error>((run, verdict))
    });
    Ok(done.await.context("the experiment died")??)
}
