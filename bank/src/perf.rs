//! Measuring the command handler on a cluster of its own.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::{Context, bail};
use local_cluster::{Cluster, State};
use perf::{
    handler::{self, Request, Results, Sizes},
    installation::{Names, Site},
    tables,
};
use tokio::runtime::Handle;

use crate::{build, preflight, progress, services, up::Signals, workspace::Workspace};

/// In front of the topics of the baseline, which has a bank of its own.
const ARTICLE_PREFIX: &str = "article-";
/// The baseline's database; it holds nothing that anybody must not see.
const ARTICLE_DATABASE: &str = "articles_way";

/// What is measured and where the results go.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) quick: bool,
    pub(crate) json: Option<PathBuf>,
}

/// The command `perf handler`.
pub(crate) async fn handler(workspace: &Workspace, wish: &Wish) -> anyhow::Result<ExitCode> {
    preflight::check(preflight::For::Perf, workspace)?;
    build::build_for_perf(workspace)?;
    let mut signals = Signals::new()?;
    let directory = workspace
        .target
        .join(format!("perf-cluster-{}", std::process::id()));
    let cluster = Cluster::open(&directory, &[], progress::report(None)).await?;
    let stop = Arc::new(AtomicBool::new(false));
    let outcome = {
        let measuring = measure(workspace, &cluster, wish, Arc::clone(&stop));
        tokio::pin!(measuring);
        tokio::select! {
            outcome = &mut measuring => outcome,
            () = signals.any() => {
                // It looks at this often, and ends what it has started first.
                stop.store(true, Ordering::Relaxed);
                measuring.await
            }
        }
    };
    cluster.stop().await;
    match &outcome {
        Ok(_) => std::fs::remove_dir_all(&directory)
            .with_context(|| format!("cannot remove {}", directory.display()))?,
        Err(_) => println!("The logs are in {}.", cluster.layout().logs().display()),
    }
    let results = outcome?;
    println!("\n{}", tables::text(&results));
    if let Some(path) = &wish.json {
        save(&results, path)?;
    }
    if results.gates_hold() {
        return Ok(ExitCode::SUCCESS);
    }
    let failed = results
        .verdict
        .iter()
        .filter(|line| line.is_gate && !line.reached)
        .map(|line| format!("{}: {}, wanted {}", line.what, line.figure, line.target));
    bail!(
        "counts that must hold do not: {}",
        failed.collect::<Vec<_>>().join("; ")
    )
}

async fn measure(
    workspace: &Workspace,
    cluster: &Cluster,
    wish: &Wish,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<Results> {
    cluster.start().await?;
    let article =
        local_cluster::testing::create_named_database(cluster.endpoints(), ARTICLE_DATABASE)
            .await?;
    let gateway_database_url = cluster.database_url("graphql_endpoint")?;
    let request = Request {
        site: site(workspace, cluster)?,
        names: Names {
            topic_prefix: String::new(),
            database: "command_handler".to_owned(),
            database_url: cluster.database_url("command_handler")?,
            gateway_database: "graphql_endpoint".to_owned(),
            gateway_database_url: gateway_database_url.clone(),
        },
        article: Names {
            topic_prefix: ARTICLE_PREFIX.to_owned(),
            database: article.name,
            database_url: article.url,
            gateway_database: "graphql_endpoint".to_owned(),
            gateway_database_url,
        },
        sizes: if wish.quick {
            Sizes::quick()
        } else {
            Sizes::full()
        },
        root: workspace.root.clone(),
        stop,
        progress: Box::new(|what| println!("  {what}")),
    };
    let runtime = Handle::current();
    // It blocks; this thread goes on driving the cluster and the connections.
    let measured = tokio::task::spawn_blocking(move || handler::run(request, runtime));
    Ok(measured.await.context("the benchmark died")??)
}

pub(crate) fn site(workspace: &Workspace, cluster: &Cluster) -> anyhow::Result<Site> {
    let layout = cluster.layout().clone();
    let state = State::load(&layout)?.context("the cluster has no state")?;
    let pid = |name: &str| Some(state.programs.get(name)?.process?.pid);
    let programs = workspace.program(services::SYNCHRONIZER);
    Ok(Site {
        endpoints: cluster.endpoints().clone(),
        programs: programs.parent().map(Path::to_owned).unwrap_or_default(),
        postgres_pid: pid("postgres"),
        kafka_pid: pid("kafka"),
        registry_pid: pid("registry"),
        kafka_data: Some(layout.kafka().join("data")),
        layout,
    })
}

fn save(results: &Results, path: &Path) -> anyhow::Result<()> {
    let text = serde_json::to_string(results)?;
    std::fs::write(path, text + "\n")
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("The results are in {}.", path.display());
    Ok(())
}
