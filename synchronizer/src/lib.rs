//! Makes the world what this build needs, once, before all services: the topics of
//! [`topology::topics::DEFINITIONS`] with their settings, every version of every schema
//! under its subject with FULL_TRANSITIVE compatibility, and the migrations of both
//! databases.
//!
//! It reads everything first, plans, and only then changes: drift a program must not
//! repair is named before anything is touched. It deletes nothing, and leaves alone what
//! it does not know. Run twice, the second run has nothing to do. An advisory lock in the
//! handler's database keeps two from working at once; where that is not enough (two
//! installations on one broker), whoever comes second reads again.
//!
//! Reading order: [`contract`] (what should be), [`plan`] (what must be done; pure),
//! `brokers`, `registry`, `databases` (what is, and doing it), `patience` (waiting),
//! [`config`], [`error`].

pub mod config;
pub mod contract;
pub mod error;
pub mod plan;

mod brokers;
mod databases;
mod patience;
mod registry;

use std::io::Write as _;
use std::time::Duration;

use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::brokers::Brokers;
pub use crate::config::Config;
use crate::databases::Database;
use crate::error::Failure;
pub use crate::error::SynchronizerError;
use crate::patience::Deadline;
use crate::plan::{Actual, Desired, Plan};
use crate::registry::Registry;

/// Said when the second run finds everything in place.
pub const NOTHING_TO_DO: &str = "nothing to do";
/// Pause before reading again after changes that did not all succeed.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

/// The program: applies, or with `--dry-run` prints what would be applied.
///
/// # Errors
/// [`SynchronizerError`]: the world is not what this build needs.
pub async fn run(config: Config, stop: CancellationToken) -> Result<(), SynchronizerError> {
    let work = async {
        if config.dry_run {
            print(&plan(&config).await?)
        } else {
            apply(&config).await.map(|_| ())
        }
    };
    tokio::select! {
        outcome = work => outcome,
        () = stop.cancelled() => Err(SynchronizerError::Stopped),
    }
}

fn print(plan: &Plan) -> Result<(), SynchronizerError> {
    let mut lines = plan.lines();
    if lines.is_empty() {
        lines.push(NOTHING_TO_DO.to_owned());
    }
    let text = lines.join("\n") + "\n";
    match std::io::stdout().write_all(text.as_bytes()) {
        // Whoever read it has read enough.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(SynchronizerError::Output),
    }
}

/// What [`apply`] would do; changes nothing.
///
/// # Errors
/// [`SynchronizerError`]: drift, or something stayed away.
pub async fn plan(config: &Config) -> Result<Plan, SynchronizerError> {
    let world = World::new(config)?;
    let actual = world.read().await?;
    plan::plan(&world.desired, &actual).map_err(SynchronizerError::Drift)
}

/// Makes the world what this build needs and says what that took: an empty plan when
/// there was nothing to do.
///
/// # Errors
/// [`SynchronizerError`]: drift, a refusal, or something stayed away.
pub async fn apply(config: &Config) -> Result<Plan, SynchronizerError> {
    let world = World::new(config)?;
    let _lock = world.lock().await?;
    loop {
        let actual = world.read().await?;
        let plan = plan::plan(&world.desired, &actual).map_err(SynchronizerError::Drift)?;
        if plan.is_empty() {
            info!("{NOTHING_TO_DO}");
            return Ok(plan);
        }
        let failures = world.execute(&plan).await;
        if failures.is_empty() {
            info!(changes = plan.lines().len(), "done");
            return Ok(plan);
        }
        if world.deadline.is_over() || failures.iter().any(|failure| failure.lasting) {
            return Err(world.give_up(failures));
        }
        for failure in failures {
            warn!(reason = failure.reason, "not done yet, reading again");
        }
        tokio::time::sleep(RETRY_PAUSE).await;
    }
}

/// What should be, and the clients to find out what is.
struct World {
    desired: Desired,
    brokers: Brokers,
    registry: Registry,
    databases: [Database; 2],
    deadline: Deadline,
}

impl World {
    fn new(config: &Config) -> Result<World, SynchronizerError> {
        let databases = databases::of(config);
        let migrations = databases
            .iter()
            .map(Database::desired)
            .collect::<Result<Vec<_>, _>>()?;
        Ok(World {
            desired: contract::desired(&config.common.kafka.topics(), migrations)?,
            brokers: Brokers::new(&config.common.kafka)?,
            registry: Registry::new(&config.common.schema_registry_url)?,
            databases,
            deadline: Deadline::after(Duration::from_secs(config.deadline_seconds)),
        })
    }

    async fn lock(&self) -> Result<databases::Lock, SynchronizerError> {
        let [database, _] = &self.databases;
        self.deadline
            .patiently(database.party(), async || database.lock().await)
            .await
            .map_err(|failure| self.give_up(vec![failure]))
    }

    /// Reads all parts side by side, waiting for those that are away.
    async fn read(&self) -> Result<Actual, SynchronizerError> {
        let topics = self.deadline.patiently(self.brokers.party(), async || {
            self.brokers.read(&self.desired.topics).await
        });
        let subjects = self.deadline.patiently(self.registry.party(), async || {
            self.registry.read(&self.desired.subjects).await
        });
        let databases = join_all(self.databases.iter().map(|database| {
            self.deadline
                .patiently(database.party(), async || database.read().await)
        }));
        let (topics, subjects, databases) = tokio::join!(topics, subjects, databases);
        let mut actual = Actual::default();
        let mut failures = Vec::new();
        match topics {
            Ok(topics) => actual.topics = topics,
            Err(failure) => failures.push(failure),
        }
        match subjects {
            Ok(subjects) => actual.subjects = subjects,
            Err(failure) => failures.push(failure),
        }
        for (database, applied) in self.databases.iter().zip(databases) {
            match applied {
                Ok(applied) => {
                    actual.databases.insert(database.name(), applied);
                }
                Err(failure) => failures.push(failure),
            }
        }
        if failures.is_empty() {
            Ok(actual)
        } else {
            Err(self.give_up(failures))
        }
    }

    /// Changes all parts side by side.
    async fn execute(&self, plan: &Plan) -> Vec<Failure> {
        let topics = self.deadline.bound(
            self.brokers.party(),
            self.brokers.apply(&plan.topics, &self.desired.topics),
        );
        let subjects = self
            .deadline
            .bound(self.registry.party(), self.registry.apply(&plan.subjects));
        let concerned = self.databases.iter().filter(|database| {
            let mut planned = plan.databases.iter();
            planned.any(|it| it.database == database.name())
        });
        let databases = join_all(
            concerned.map(|database| self.deadline.bound(database.party(), database.apply())),
        );
        let (topics, subjects, databases) = tokio::join!(topics, subjects, databases);
        let outcomes = [topics, subjects].into_iter().chain(databases);
        outcomes.filter_map(Result::err).collect()
    }

    fn give_up(&self, failures: Vec<Failure>) -> SynchronizerError {
        let (refused, away): (Vec<_>, Vec<_>) =
            failures.into_iter().partition(|failure| failure.lasting);
        let reasons = |failures: Vec<Failure>| failures.into_iter().map(|it| it.reason).collect();
        if refused.is_empty() {
            SynchronizerError::Deadline {
                waited: self.deadline.waited(),
                parties: reasons(away),
            }
        } else {
            SynchronizerError::Refused(reasons(refused))
        }
    }
}
