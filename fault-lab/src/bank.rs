//! The bank under test: a cluster and services of the lab's own, on ports and in a directory of their own, with a
//! proxy in every connection.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use local_cluster::{
    Cluster, Event, ProcessIdentity, Program, Report, secret_file, testing::create_named_database,
};
use rustix::process::Signal;
use serde_json::json;

use crate::{
    article,
    disk::SmallDisk,
    error::LabError,
    load::Gateways,
    part::{Link, Part},
    proxy::Proxy,
    scenario::Need,
    seed::Seed,
};

/// From the start of the services until each says that it is ready.
const READY_DEADLINE: Duration = Duration::from_secs(60);
/// One question to a service.
const QUESTION: Duration = Duration::from_secs(1);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// A process that was killed a moment ago is up again within this.
const UP_AGAIN: Duration = Duration::from_secs(15);

/// Port purposes beside those of the infrastructure.
const PURPOSES: [&str; 11] = [
    "kafka-handler",
    "kafka-gateway",
    "command-handler",
    "command-handler-2",
    "command-handler-3",
    "graphql-endpoint",
    "graphql-endpoint-2",
    "page",
    "page-2",
    "command-generator",
    "heartbeat",
];

/// Who decides the commands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The bank as it is.
    Bank,
    /// The article's way to emit, in the handler's place, and nothing around it: to see that the lab sees.
    ArticlesWay,
}

/// Where the lab may do what.
#[derive(Clone, Debug)]
pub struct Site {
    /// The folder with the services' programs.
    pub programs: PathBuf,
    /// Made by the lab for itself.
    pub directory: PathBuf,
}

/// A running bank.
pub struct Bank {
    /// What it stands on.
    pub cluster: Cluster,
    /// Where its gateways answer now.
    pub gateways: Gateways,
    /// In front of its topics.
    pub topic_prefix: &'static str,
    /// Who decides.
    pub subject: Subject,
    /// What the article's way keeps its tables in; else the handler's database.
    pub books_url: String,
    proxies: BTreeMap<Link, Proxy>,
    site: Site,
    http: reqwest::Client,
    paused: Mutex<Vec<ProcessIdentity>>,
    disk: Option<SmallDisk>,
}

impl Bank {
    /// Starts everything and waits until it is ready.
    ///
    /// # Errors
    /// When a part does not start; what did start has been stopped.
    pub async fn start(
        site: &Site,
        subject: Subject,
        need: Need,
        seed: &Seed,
        report: Report,
    ) -> Result<Bank, LabError> {
        let disk = SmallDisk::mount_for(need, &site.directory)?;
        let mut cluster = Cluster::open(&site.directory, &PURPOSES, report).await?;
        let proxies = proxies(&mut cluster, seed).await?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .timeout(QUESTION)
            .build()
            .map_err(LabError::http("a client"))?;
        let mut bank = Bank {
            cluster,
            gateways: Gateways::default(),
            topic_prefix: match subject {
                Subject::Bank => "",
                Subject::ArticlesWay => article::PREFIX,
            },
            subject,
            books_url: String::new(),
            proxies,
            site: site.clone(),
            http,
            paused: Mutex::default(),
            disk,
        };
        match bank.start_all().await {
            Ok(()) => Ok(bank),
            Err(error) => {
                bank.stop().await;
                Err(error)
            }
        }
    }

    async fn start_all(&mut self) -> Result<(), LabError> {
        self.cluster.start().await?;
        self.synchronizer()?.run_once(self.cluster.layout()).await?;
        if self.subject == Subject::ArticlesWay {
            let database =
                create_named_database(self.cluster.endpoints(), article::DATABASE).await?;
            self.books_url = database.url;
            // Its tables come with its accounts; it is started after them.
            return Ok(());
        }
        self.books_url = self.cluster.database_url("command_handler")?;
        for program in [
            self.handler(1)?,
            self.gateway(1)?,
            self.generator()?,
            self.heartbeat(),
        ] {
            self.cluster.start_program(program);
        }
        self.gateways.set(vec![self.proxied(Link::ClientGateway)]);
        let deadline = Instant::now() + READY_DEADLINE;
        while let Err(waiting_for) = self.is_ready().await {
            if Instant::now() > deadline {
                return Err(LabError::TooLate {
                    what: waiting_for,
                    seconds: READY_DEADLINE.as_secs(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Stops everything, also what is paused.
    pub async fn stop(&self) {
        for process in std::mem::take(&mut *self.paused()) {
            process.signal(Signal::CONT);
        }
        self.cluster.stop().await;
        if let Some(disk) = &self.disk {
            disk.unmount();
        }
    }

    /// The small file system of the database or of the broker, if it has one.
    #[must_use]
    pub fn disk(&self) -> Option<&SmallDisk> {
        self.disk.as_ref()
    }

    /// The proxy of a connection.
    ///
    /// # Panics
    /// Never: every connection has one.
    #[must_use]
    pub fn proxy(&self, link: Link) -> &Proxy {
        self.proxies
            .get(&link)
            .expect("every connection has a proxy")
    }

    /// Remembers that these are stopped, so that they are let go whatever happens.
    pub fn remember_paused(&self, processes: &[ProcessIdentity]) {
        self.paused().extend_from_slice(processes);
    }

    /// The opposite.
    pub fn forget_paused(&self, processes: &[ProcessIdentity]) {
        self.paused().retain(|it| !processes.contains(it));
    }

    fn paused(&self) -> std::sync::MutexGuard<'_, Vec<ProcessIdentity>> {
        self.paused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The process of a program, as soon as it has one.
    ///
    /// # Errors
    /// When it has none for a while.
    pub async fn process(&self, program: &str) -> Result<ProcessIdentity, LabError> {
        let deadline = Instant::now() + UP_AGAIN;
        loop {
            if let Some(process) = self.cluster.process(program).filter(|it| it.is_alive()) {
                return Ok(process);
            }
            if Instant::now() > deadline {
                return Err(LabError::TooLate {
                    what: format!("{program} runs"),
                    seconds: UP_AGAIN.as_secs(),
                });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Whether every part says that it is ready.
    ///
    /// # Errors
    /// The first that does not.
    pub async fn is_ready(&self) -> Result<(), String> {
        if self.subject == Subject::ArticlesWay {
            return Ok(());
        }
        let mut urls = vec![format!(
            "{}/subjects",
            self.cluster.endpoints().schema_registry_url
        )];
        for part in [Part::Handler, Part::Gateway, Part::Generator] {
            urls.push(format!("http://{}/readyz", self.operations(part.program())));
        }
        urls.push(format!("http://{}/readyz", self.operations("heartbeat")));
        for url in urls {
            let answer = self.http.get(&url).send().await;
            if !answer.is_ok_and(|it| it.status().is_success()) {
                return Err(format!("{url} answers"));
            }
        }
        Ok(())
    }

    /// Lets the simulated public do so many things a second.
    ///
    /// # Errors
    /// When the heartbeat does not answer.
    pub async fn set_heartbeats(&self, per_second: u32) -> Result<(), LabError> {
        if self.subject == Subject::ArticlesWay {
            return Ok(());
        }
        let url = format!("http://{}/rate", self.operations("heartbeat"));
        let asked = self
            .http
            .put(&url)
            .json(&json!({ "heartbeats_per_second": per_second }))
            .send()
            .await;
        asked
            .and_then(reqwest::Response::error_for_status)
            .map_err(LabError::http(url))?;
        Ok(())
    }

    fn operations(&self, name: &str) -> String {
        format!("127.0.0.1:{}", self.cluster.port(name).unwrap_or_default())
    }

    fn proxied(&self, link: Link) -> SocketAddr {
        self.proxy(link).address()
    }

    /// A handler; all share the proxies.
    ///
    /// # Errors
    /// When its secrets cannot be read.
    pub fn handler(&self, number: u32) -> Result<Program, LabError> {
        let database = self.through("command_handler", Link::HandlerPostgres)?;
        let program = self.service(
            &numbered(Part::Handler.program(), number),
            Part::Handler.program(),
            self.proxied(Link::HandlerKafka),
        );
        Ok(program
            .variable("BANK_DATABASE_URL", database)
            .variable("BANK_HANDLER_KEY_FILE", self.secret("handler.key")?)
            .variable("BANK_COMPANY_TOKEN_FILE", self.secret("company.token")?))
    }

    /// A gateway; the clients' proxy leads to the first one.
    ///
    /// # Errors
    /// When its secrets cannot be read.
    pub fn gateway(&self, number: u32) -> Result<Program, LabError> {
        let database = self.through("graphql_endpoint", Link::GatewayPostgres)?;
        let program = self.service(
            &numbered(Part::Gateway.program(), number),
            Part::Gateway.program(),
            self.proxied(Link::GatewayKafka),
        );
        Ok(program
            .variable("BANK_DATABASE_URL", database)
            .variable("BANK_LISTEN_ADDRESS", self.page(number).to_string())
            .variable("BANK_TOKEN_KEY_FILE", self.secret("token.key")?))
    }

    /// Where a gateway listens.
    #[must_use]
    pub fn page(&self, number: u32) -> SocketAddr {
        let port = self.cluster.port(&numbered("page", number));
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_default()))
    }

    /// Where clients find a gateway.
    #[must_use]
    pub fn entrance(&self, number: u32) -> SocketAddr {
        if number == 1 {
            self.proxied(Link::ClientGateway)
        } else {
            self.page(number)
        }
    }

    /// Whether this gateway says that it is ready.
    pub async fn is_gateway_ready(&self, number: u32) -> bool {
        let name = numbered(Part::Gateway.program(), number);
        let url = format!("http://{}/readyz", self.operations(&name));
        let answer = self.http.get(url).send().await;
        answer.is_ok_and(|it| it.status().is_success())
    }

    fn generator(&self) -> Result<Program, LabError> {
        let name = Part::Generator.program();
        let program = self.service(name, name, self.broker());
        Ok(program.variable("BANK_COMPANY_TOKEN_FILE", self.secret("company.token")?))
    }

    fn heartbeat(&self) -> Program {
        self.service("heartbeat", "heartbeat", self.broker())
            .variable("BANK_HEARTBEATS_PER_SECOND", "0")
    }

    /// The article's way in the handler's place, under its name.
    #[must_use]
    pub fn articles_way(&self) -> Program {
        let directory = self.cluster.layout().directory().to_owned();
        let executable = self.site.programs.join(article::PROGRAM);
        let program = Program::service(Part::Handler.program(), executable, directory);
        self.common(program, self.proxied(Link::HandlerKafka))
            .variable("BANK_DATABASE_URL", &self.books_url)
    }

    fn synchronizer(&self) -> Result<Program, LabError> {
        let directory = self.cluster.layout().directory().to_owned();
        let executable = self.site.programs.join("synchronizer");
        let program = Program::service("synchronizer", executable, directory);
        Ok(self
            .common(program, self.broker())
            .variable(
                "BANK_COMMAND_HANDLER_DATABASE_URL",
                self.cluster.database_url("command_handler")?,
            )
            .variable(
                "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
                self.cluster.database_url("graphql_endpoint")?,
            ))
    }

    fn service(&self, name: &str, program: &str, brokers: SocketAddr) -> Program {
        let directory = self.cluster.layout().directory().to_owned();
        let program = Program::service(name, self.site.programs.join(program), directory);
        self.common(program, brokers)
            .variable("BANK_OPERATIONS_ADDRESS", self.operations(name))
    }

    fn common(&self, program: Program, brokers: SocketAddr) -> Program {
        let registry = self.proxied(Link::ServicesRegistry);
        program
            .variable("BANK_KAFKA_BROKERS", brokers.to_string())
            .variable("BANK_TOPIC_PREFIX", self.topic_prefix)
            .variable(
                "BANK_SCHEMA_REGISTRY_URL",
                format!("http://{registry}/apis/ccompat/v7"),
            )
            .variable("MALLOC_ARENA_MAX", "2")
    }

    fn broker(&self) -> SocketAddr {
        let port = self.cluster.port(Part::Kafka.program());
        SocketAddr::from(([127, 0, 0, 1], port.unwrap_or_default()))
    }

    fn secret(&self, name: &str) -> Result<String, LabError> {
        let path = secret_file(self.cluster.layout(), name)?;
        Ok(path.display().to_string())
    }

    fn through(&self, database: &str, link: Link) -> Result<String, LabError> {
        let postgres = &self.cluster.endpoints().postgres;
        let direct = format!("@{}:{}/", postgres.host, postgres.port);
        let url = self.cluster.database_url(database)?;
        Ok(url.replace(&direct, &format!("@{}/", self.proxied(link))))
    }
}

/// Tells nobody.
#[must_use]
pub fn silent() -> Report {
    Arc::new(|_: &Event| {})
}

/// The name of an instance: the first one has the plain name.
#[must_use]
pub fn numbered(name: &str, number: u32) -> String {
    if number == 1 {
        name.to_owned()
    } else {
        format!("{name}-{number}")
    }
}

async fn proxies(cluster: &mut Cluster, seed: &Seed) -> Result<BTreeMap<Link, Proxy>, LabError> {
    let registry = cluster.endpoints().schema_registry_url.clone();
    let registry_port = registry
        .split(['/', ':'])
        .find_map(|piece| piece.parse::<u16>().ok());
    let port = |purpose| cluster.port(purpose).unwrap_or_default();
    let upstreams = [
        (Link::HandlerKafka, port("kafka-handler")),
        (Link::HandlerPostgres, cluster.endpoints().postgres.port),
        (Link::GatewayKafka, port("kafka-gateway")),
        (Link::GatewayPostgres, cluster.endpoints().postgres.port),
        (Link::ClientGateway, port("page")),
        (Link::ServicesRegistry, registry_port.unwrap_or_default()),
    ];
    let mut proxies = BTreeMap::new();
    for (link, upstream) in upstreams {
        let proxy = Proxy::start(upstream, seed.fork(link.name())).await?;
        proxies.insert(link, proxy);
    }
    // A broker tells its clients where it is: to each class of them, that it is at their proxy.
    for (link, listener, purpose) in [
        (Link::HandlerKafka, "HANDLER", "kafka-handler"),
        (Link::GatewayKafka, "GATEWAY", "kafka-gateway"),
    ] {
        if let Some(proxy) = proxies.get(&link) {
            cluster.advertise(listener, purpose, proxy.address().port());
        }
    }
    Ok(proxies)
}

/// The folder of the lab's own bank, under the folder for such things.
#[must_use]
pub fn directory(target: &Path) -> PathBuf {
    target.join(format!("fault-lab-{}", std::process::id()))
}
