//! A cluster from its first start to its stop.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use serde::{Deserialize, Serialize};

use crate::{
    ClusterError, DirectoryLock, Event, Layout, ProcessIdentity, Program, Report, State,
    java::Java, kafka, ports, postgres, readiness, registry, secrets::secret,
    supervision::Supervisor,
};

/// How long a process that an earlier supervisor left behind may take to end by itself.
const LEFT_BEHIND_DEADLINE: Duration = Duration::from_secs(10);

/// One request to a service that is starting.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Where a running cluster is reached.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoints {
    /// `host:port` of the broker.
    pub kafka_brokers: String,
    /// The registry's Confluent API, without a slash at the end.
    pub schema_registry_url: String,
    /// The PostgreSQL server and its administrator.
    pub postgres: PostgresEndpoint,
}

/// A PostgreSQL server and its administrator.
#[derive(Clone, Serialize, Deserialize)]
pub struct PostgresEndpoint {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The superuser.
    pub administrator: String,
    /// The superuser's password.
    pub password: String,
}

impl std::fmt::Debug for PostgresEndpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "PostgresEndpoint({}@{}:{})",
            self.administrator, self.host, self.port
        )
    }
}

impl PostgresEndpoint {
    /// The URL of `database` for the role `user`.
    #[must_use]
    pub fn url(&self, user: &str, password: &str, database: &str) -> String {
        format!(
            "postgres://{user}:{password}@{}:{}/{database}",
            self.host, self.port
        )
    }
}

/// A cluster that this process owns.
pub struct Cluster {
    supervisor: Supervisor,
    endpoints: Endpoints,
    listeners: Vec<kafka::Listener>,
    /// Dropped last: nobody else may have the directory while anything of it still runs.
    _lock: DirectoryLock,
}

impl Cluster {
    /// Takes the directory: locks it, ends what a killed supervisor left running in it, settles ports and
    /// secrets. Nothing is started yet.
    ///
    /// `services` are the names of programs beside the infrastructure that need a port, see [`Cluster::port`].
    ///
    /// # Errors
    /// When the directory is in use or cannot be used.
    pub async fn open(
        directory: &Path,
        services: &[&str],
        report: Report,
    ) -> Result<Self, ClusterError> {
        let layout = Layout::new(directory);
        layout.create()?;
        let lock = DirectoryLock::acquire(&layout)?;
        let mut state = State::load(&layout)?.unwrap_or_default();
        let left_behind = end_left_behind(&layout, &mut state).await?;
        if !left_behind.is_empty() {
            report(&Event::Note(format!(
                "ended what an earlier run left behind: {}",
                left_behind.join(", ")
            )));
        }
        let mut purposes = vec![
            kafka::NAME,
            kafka::CONTROLLER,
            postgres::NAME,
            registry::NAME,
        ];
        purposes.extend(services);
        ports::assign(&mut state.ports, &purposes)?;
        let endpoints = endpoints(&layout, &state.ports)?;
        Ok(Self {
            supervisor: Supervisor::new(layout, state, report)?,
            endpoints,
            listeners: Vec::new(),
            _lock: lock,
        })
    }

    /// Gives Kafka a listener more, at the port of the purpose `purpose` that [`Cluster::open`] was told of, whose
    /// clients are told that the broker is at `advertised_port`: somebody who listens there stands between them.
    /// Only before [`Cluster::start`]; `name` is of capital letters.
    pub fn advertise(&mut self, name: &str, purpose: &str, advertised_port: u16) {
        let port = self.port(purpose).unwrap_or_default();
        self.listeners.push(kafka::Listener {
            name: name.to_owned(),
            port,
            advertised_port,
        });
    }

    /// Starts PostgreSQL, Kafka and the registry side by side and waits until each answers.
    ///
    /// On an error everything that was started still runs: call [`Cluster::stop`].
    ///
    /// # Errors
    /// When a part is missing on the machine or does not become ready.
    pub async fn start(&self) -> Result<(), ClusterError> {
        let layout = self.supervisor.layout();
        let log_file = layout.log_file("maven");
        let started = Instant::now();
        let java = tokio::task::spawn_blocking(move || Java::prepare(&log_file));
        let java = java.await.map_err(|error| ClusterError::Io {
            action: "prepare",
            path: "Java".into(),
            source: std::io::Error::other(error),
        })??;
        if started.elapsed() > Duration::from_secs(1) {
            self.step("fetched Kafka and the registry with Maven", started);
        }
        let stored = async {
            self.start_postgres().await?;
            self.start_registry(&java).await
        };
        tokio::try_join!(stored, self.start_kafka(&java))?;
        Ok(())
    }

    /// Starts a program and keeps it running; it is not waited for.
    pub fn start_program(&self, program: Program) {
        self.supervisor.start(program);
    }

    /// Ends the program `name` with `signal` and keeps it ended; it is killed when it takes too long.
    /// Returns how it is started again, none when it did not run.
    pub async fn stop_program(&self, name: &str, signal: Signal) -> Option<Program> {
        self.supervisor.stop_program(name, signal).await
    }

    /// The process of the program `name`; none while it is down.
    #[must_use]
    pub fn process(&self, name: &str) -> Option<ProcessIdentity> {
        self.supervisor.state().programs.get(name)?.process
    }

    /// Waits until `url` answers with success, which the program `name` is to make it do.
    ///
    /// # Errors
    /// [`ClusterError::NotReady`] after `deadline` or when the program keeps dying.
    pub async fn wait_until_answers(
        &self,
        name: &str,
        url: &str,
        deadline: Duration,
    ) -> Result<(), ClusterError> {
        let client = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .no_proxy()
            .build();
        let client = client.map_err(|error| ClusterError::Io {
            action: "ask",
            path: url.into(),
            source: std::io::Error::other(error),
        })?;
        readiness::wait_until_ready(&self.supervisor, name, deadline, || {
            readiness::answers(&client, url)
        })
        .await
    }

    /// Where the parts are reached.
    #[must_use]
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// Where everything is on disk.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        self.supervisor.layout()
    }

    /// The port of a purpose that [`Cluster::open`] was told of.
    #[must_use]
    pub fn port(&self, purpose: &str) -> Option<u16> {
        self.supervisor.state().ports.get(purpose).copied()
    }

    /// The URL of one of the [`postgres::DATABASES`] for its owner.
    ///
    /// # Errors
    /// When the owner's password cannot be read.
    pub fn database_url(&self, name: &str) -> Result<String, ClusterError> {
        let password = secret(self.layout(), &format!("{name}.password"))?;
        Ok(self.endpoints.postgres.url(name, &password, name))
    }

    /// Writes down that everything that was asked for is ready.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn declare_ready(&self) -> Result<(), ClusterError> {
        self.supervisor.update(|state| state.ready = true)
    }

    /// Writes down a port that was chosen by somebody else, so that the command line can show it.
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn remember_port(&self, purpose: &str, port: u16) -> Result<(), ClusterError> {
        self.supervisor.update(|state| {
            state.ports.insert(purpose.to_owned(), port);
        })
    }

    /// The opposite of [`Cluster::remember_port`].
    ///
    /// # Errors
    /// When the state file cannot be written.
    pub fn forget_port(&self, purpose: &str) -> Result<(), ClusterError> {
        self.supervisor.update(|state| {
            state.ports.remove(purpose);
        })
    }

    /// The processes that run now.
    #[must_use]
    pub fn processes(&self) -> Vec<ProcessIdentity> {
        self.supervisor
            .state()
            .programs
            .values()
            .filter_map(|program| program.process)
            .collect()
    }

    /// Stops everything in order: services, registry, Kafka, PostgreSQL.
    pub async fn stop(&self) {
        self.supervisor.stop().await;
    }

    async fn start_postgres(&self) -> Result<(), ClusterError> {
        let started = Instant::now();
        let program = postgres::prepare(self.layout(), self.endpoints.postgres.port).await?;
        self.supervisor.start(program);
        postgres::complete(&self.supervisor, &self.endpoints.postgres).await?;
        self.step("PostgreSQL answers", started);
        Ok(())
    }

    async fn start_registry(&self, java: &Java) -> Result<(), ClusterError> {
        let started = Instant::now();
        let port = self.port(registry::NAME).unwrap_or_default();
        let program = registry::prepare(self.layout(), java, port, &self.endpoints.postgres)?;
        self.supervisor.start(program);
        registry::ready(&self.supervisor, &self.endpoints.schema_registry_url).await?;
        self.step("the schema registry answers", started);
        Ok(())
    }

    async fn start_kafka(&self, java: &Java) -> Result<(), ClusterError> {
        let started = Instant::now();
        let port = self.port(kafka::NAME).unwrap_or_default();
        let controller_port = self.port(kafka::CONTROLLER).unwrap_or_default();
        let program =
            kafka::prepare(self.layout(), java, port, controller_port, &self.listeners).await?;
        self.supervisor.start(program);
        kafka::ready(&self.supervisor, &self.endpoints.kafka_brokers).await?;
        self.step("Kafka answers", started);
        Ok(())
    }

    fn step(&self, what: &str, started: Instant) {
        self.supervisor.report(&Event::Step {
            what: what.to_owned(),
            took: started.elapsed(),
        });
    }
}

/// Ends every process that `layout` owns although no supervisor runs; says which they were.
///
/// # Errors
/// [`ClusterError::Locked`] when a supervisor does run.
pub async fn clean_up(layout: &Layout) -> Result<Vec<String>, ClusterError> {
    let Some(mut state) = State::load(layout)? else {
        return Ok(Vec::new());
    };
    let _lock = DirectoryLock::acquire(layout)?;
    end_left_behind(layout, &mut state).await
}

/// The caller holds the lock.
async fn end_left_behind(layout: &Layout, state: &mut State) -> Result<Vec<String>, ClusterError> {
    let mut ended = Vec::new();
    let mut leaving = tokio::task::JoinSet::new();
    for (name, program) in &state.programs {
        if let Some(process) = program.process.filter(|process| process.is_alive()) {
            ended.push(name.clone());
            // SIGINT is what PostgreSQL calls a fast shutdown and a clean end to all others.
            leaving.spawn(process.terminate(Signal::INT, LEFT_BEHIND_DEADLINE));
        }
    }
    leaving.join_all().await;
    postgres::clear_after_kill(&layout.postgres().join("data")).await;
    state.programs.clear();
    state.supervisor = None;
    state.ready = false;
    state.save(layout)?;
    Ok(ended)
}

fn endpoints(layout: &Layout, ports: &BTreeMap<String, u16>) -> Result<Endpoints, ClusterError> {
    let port = |purpose: &str| ports.get(purpose).copied().unwrap_or_default();
    Ok(Endpoints {
        kafka_brokers: format!("127.0.0.1:{}", port(kafka::NAME)),
        schema_registry_url: format!("http://127.0.0.1:{}/apis/ccompat/v7", port(registry::NAME)),
        postgres: PostgresEndpoint {
            host: "127.0.0.1".to_owned(),
            port: port(postgres::NAME),
            administrator: postgres::ADMINISTRATOR.to_owned(),
            password: secret(layout, postgres::ADMINISTRATOR)?,
        },
    })
}
