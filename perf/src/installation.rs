//! A bank to measure: topics, books and accounts of its own, and a handler at a time.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use local_cluster::{Endpoints, Layout, secret_file};
use serde::Serialize;
use tokio::runtime::Handle;
use topology::kafka::{GroupProtocol, KafkaConfig};
use topology::{COMPANY_IBAN, Topic};

use crate::article;
use crate::board::Board;
use crate::clock::{Clock, pause};
use crate::commands::{Account, Commands, RUNS_MAX, RunNumber};
use crate::database::{self, Administrator};
use crate::error::Error;
use crate::generator;
use crate::observer::Observer;
use crate::procfs;
use crate::wire::Headers;

/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(1);
/// A handler has this long to stop; its contract says 10 s.
const STOP_PATIENCE: Duration = Duration::from_secs(15);
/// Opening accounts and filling them.
const SEED_PATIENCE: Duration = Duration::from_secs(120);
/// Cents on each account at the start.
pub const DEPOSIT: i64 = 1_000_000;

/// How commands are decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// The handler as it is.
    Batches,
    /// The handler with `--batch-max 1`.
    OneAtATime,
    /// The baseline of `article`.
    ArticlesWay,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 3] = [Mode::Batches, Mode::OneAtATime, Mode::ArticlesWay];

    /// For tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mode::Batches => "the handler",
            Mode::OneAtATime => "--batch-max 1",
            Mode::ArticlesWay => "the article's way",
        }
    }

    /// The file of its program.
    #[must_use]
    pub fn program(self) -> &'static str {
        match self {
            Mode::Batches | Mode::OneAtATime => "command-handler",
            Mode::ArticlesWay => article::NAME,
        }
    }

    /// Gives number and balance of every account.
    #[must_use]
    pub fn balances_query(self) -> &'static str {
        match self {
            Mode::Batches | Mode::OneAtATime => "select iban, balance_cents from account",
            Mode::ArticlesWay => "select iban, amount from balance",
        }
    }
}

/// Where everything is that is measured.
#[derive(Clone, Debug)]
pub struct Site {
    /// Kafka, registry and PostgreSQL.
    pub endpoints: Endpoints,
    /// The folder with our programs.
    pub programs: PathBuf,
    /// Logs and secrets.
    pub layout: Layout,
    /// The postmaster, when it is known which process it is.
    pub postgres_pid: Option<u32>,
    /// The broker.
    pub kafka_pid: Option<u32>,
    /// The registry.
    pub registry_pid: Option<u32>,
    /// The broker's log directory.
    pub kafka_data: Option<PathBuf>,
}

impl Site {
    /// PostgreSQL with all its sessions.
    #[must_use]
    pub fn postgres_pids(&self) -> Vec<u32> {
        self.postgres_pid.map(procfs::family).unwrap_or_default()
    }

    /// Every process that belongs to the measurement.
    #[must_use]
    pub fn own_pids(&self, handler: Option<u32>) -> Vec<u32> {
        let mut pids = self.postgres_pids();
        pids.push(std::process::id());
        pids.extend(handler);
        pids.extend(self.kafka_pid);
        pids.extend(self.registry_pid);
        pids
    }
}

/// Names of a bank's topics and databases.
#[derive(Clone, Debug)]
pub struct Names {
    /// In front of topics and groups.
    pub topic_prefix: String,
    /// The handler's database.
    pub database: String,
    /// `postgres://…` of its owner.
    pub database_url: String,
    /// A gateway's database, where no gateway runs.
    pub gateway_database: String,
    /// Of the gateway's database, which the synchronizer wants to know.
    pub gateway_database_url: String,
}

/// Whether a measurement was told to end.
pub type Stop = Arc<AtomicBool>;

/// A bank with accounts.
pub struct Installation {
    /// Where.
    pub site: Site,
    /// What its things are called.
    pub names: Names,
    /// Clients' settings.
    pub kafka: KafkaConfig,
    /// Of its records.
    pub headers: Headers,
    /// What sees its topics.
    pub observer: Observer,
    /// The accounts; the company is the last.
    pub accounts: Vec<Account>,
    /// The server's administrator.
    pub administrator: Administrator,
    /// Runs asynchronous work for the blocking thread that measures.
    pub runtime: Handle,
    /// The clock of all its figures.
    pub clock: Clock,
    runs: RunNumber,
    stop: Stop,
}

/// A handler that runs; it is killed when dropped.
pub struct Running {
    child: Child,
    mode: Mode,
    log: PathBuf,
    /// When it was started.
    pub started_ns: u64,
}

impl Running {
    /// Its process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would: it gets no word in.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<(), Error> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed
            .map(|_| ())
            .map_err(Error::io("kill", self.mode.program()))
    }

    /// Stops it. The article's way knows no clean stop and is killed.
    ///
    /// # Errors
    /// When it does not end, or not well.
    pub fn stop(mut self) -> Result<(), Error> {
        if self.mode == Mode::ArticlesWay {
            return self.kill();
        }
        let pid = i32::try_from(self.pid())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended by itself: then its status says so.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        let deadline = Instant::now() + STOP_PATIENCE;
        loop {
            match self.ended()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => return Err(self.ended_badly(status)),
                None if Instant::now() > deadline => {
                    return Err(Error::TooLate {
                        what: format!("{} has stopped", self.mode.program()),
                        patience: STOP_PATIENCE,
                    });
                }
                None => std::thread::sleep(LOOK),
            }
        }
    }

    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, Error> {
        let status = self.child.try_wait();
        status.map_err(Error::io("wait for", self.mode.program()))
    }

    fn ended_badly(&self, status: std::process::ExitStatus) -> Error {
        Error::Ended {
            program: self.mode.program(),
            status,
            log: self.log.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already in all good cases.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Installation {
    /// Makes topics, schemas and tables; there is no account yet.
    ///
    /// # Errors
    /// When a part of it refuses.
    pub fn prepare(
        site: Site,
        names: Names,
        runtime: Handle,
        clock: Clock,
        stop: Stop,
    ) -> Result<Installation, Error> {
        let kafka = KafkaConfig {
            brokers: site.endpoints.kafka_brokers.clone(),
            group_protocol: GroupProtocol::Consumer,
            topic_prefix: names.topic_prefix.clone(),
            kafka_statistics_directory: None,
        };
        synchronize(&site, &names)?;
        let registry = &site.endpoints.schema_registry_url;
        let headers = runtime.block_on(Headers::fetch(registry, &kafka.topics()))?;
        let administrator = runtime.block_on(Administrator::connect(&site.endpoints.postgres))?;
        let observer = Observer::start(&kafka, headers, clock)?;
        Ok(Installation {
            site,
            names,
            kafka,
            headers,
            observer,
            accounts: Vec::new(),
            administrator,
            runtime,
            clock,
            runs: 0,
            stop,
        })
    }

    /// A number no run has had.
    ///
    /// # Panics
    /// After four thousand runs.
    pub fn next_run(&mut self) -> RunNumber {
        assert!(self.runs < RUNS_MAX, "a benchmark has few runs");
        self.runs += 1;
        self.runs
    }

    /// Opens accounts and fills them, by commands, through the handler as it is: what is
    /// measured later is what a bank in use would hold.
    ///
    /// # Errors
    /// When not every account was opened and filled.
    pub fn seed(&mut self, accounts: u32) -> Result<(), Error> {
        let run = self.next_run();
        let creations = Commands::creations(&self.headers, accounts, run);
        self.observer.begin(Board::new(run, creations.len(), 0));
        generator::send_all(&self.kafka, Topic::ConfirmAccountCreation, &creations)?;
        let mut handler = self.start(Mode::Batches, None)?;
        self.wait_for_all(&mut handler, creations.len(), SEED_PATIENCE)?;
        let opened = self.observer.end().opened;
        self.accounts = opened.into_iter().flatten().collect();
        if self.accounts.len() != creations.len() {
            return Err(Error::Wrong(format!(
                "{} of {accounts} accounts were opened",
                self.accounts.len()
            )));
        }
        let run = self.next_run();
        let deposits = Commands::deposits(&self.headers, &self.accounts, DEPOSIT, run);
        self.observer.begin(Board::new(run, deposits.len(), 1));
        generator::send_all(&self.kafka, Topic::ConfirmMoneyTransfer, &deposits)?;
        self.wait_for_all(&mut handler, deposits.len(), SEED_PATIENCE)?;
        let board = self.observer.end();
        if board.confirmed != deposits.len() {
            return Err(Error::Wrong("a deposit was refused".to_owned()));
        }
        handler.stop()?;
        let token = secret_file(&self.site.layout, "company.token")?;
        let token = std::fs::read_to_string(&token).map_err(Error::io("read", token))?;
        self.accounts.push(Account {
            iban: COMPANY_IBAN.to_owned(),
            token: token.trim().to_owned(),
        });
        Ok(())
    }

    /// Gives the article's way its tables, with the accounts another bank has opened, all
    /// with the same balance, written straight into them.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub fn copy_accounts(&mut self, accounts: &[Account]) -> Result<(), Error> {
        self.accounts = accounts.to_vec();
        let ibans: Vec<&str> = accounts.iter().map(|it| it.iban.as_str()).collect();
        let tokens: Vec<&str> = accounts.iter().map(|it| it.token.as_str()).collect();
        let url = self.names.database_url.clone();
        self.runtime.block_on(async {
            let client = database::connect(&url).await?;
            let write = async {
                client.batch_execute(article::SCHEMA).await?;
                let insert = "insert into balance (iban, token, amount, lmt) \
                              select iban, token, $3, -50000 \
                              from unnest($1::text[], $2::text[]) as given(iban, token)";
                client
                    .execute(insert, &[&ibans, &tokens, &(DEPOSIT * 10)])
                    .await
            };
            write.await.map_err(Error::postgres("take the accounts"))?;
            Ok(())
        })
    }

    /// Starts a handler; `through` is another address for PostgreSQL.
    ///
    /// # Errors
    /// When its program cannot be started.
    pub fn start(&self, mode: Mode, through: Option<SocketAddr>) -> Result<Running, Error> {
        let program = self.site.programs.join(mode.program());
        let log = self
            .site
            .layout
            .log_file(&format!("perf-{}", mode.program()));
        let file = local_cluster::open_log(&log)?;
        let file_too = file.try_clone().map_err(Error::io("open", &log))?;
        let mut command = Command::new(&program);
        local_cluster::withhold(&mut command);
        command
            .stdin(Stdio::null())
            .stdout(file)
            .stderr(file_too)
            .env("MALLOC_ARENA_MAX", "2")
            .env("BANK_KAFKA_BROKERS", &self.kafka.brokers)
            .env("BANK_TOPIC_PREFIX", &self.kafka.topic_prefix)
            .env(
                "BANK_SCHEMA_REGISTRY_URL",
                &self.site.endpoints.schema_registry_url,
            )
            .env("BANK_DATABASE_URL", self.database_url(through));
        if mode != Mode::ArticlesWay {
            let secret = |name| secret_file(&self.site.layout, name);
            command
                .env("BANK_HANDLER_KEY_FILE", secret("handler.key")?)
                .env("BANK_COMPANY_TOKEN_FILE", secret("company.token")?);
        }
        if mode == Mode::OneAtATime {
            command.env("BANK_BATCH_MAX", "1");
        }
        let started_ns = self.clock.now_ns();
        let child = command.spawn().map_err(Error::io("start", program))?;
        Ok(Running {
            child,
            mode,
            log,
            started_ns,
        })
    }

    fn database_url(&self, through: Option<SocketAddr>) -> String {
        let url = &self.names.database_url;
        let postgres = &self.site.endpoints.postgres;
        let direct = format!("@{}:{}/", postgres.host, postgres.port);
        match through {
            None => url.clone(),
            Some(address) => url.replace(&direct, &format!("@{address}/")),
        }
    }

    /// Waits until the first `commands` commands of the run on the board are answered.
    ///
    /// # Errors
    /// When they are not in time, or the handler ends.
    pub fn wait_for_all(
        &self,
        handler: &mut Running,
        commands: usize,
        patience: Duration,
    ) -> Result<(), Error> {
        self.wait(
            handler,
            patience,
            |board| board.is_complete(commands),
            |board| {
                format!(
                    "{commands} outcomes ({} are there, {} changes for {} confirmed)",
                    board.outcomes, board.changes, board.confirmed
                )
            },
        )
    }

    /// Waits until a handler works: until one command goes through.
    ///
    /// # Errors
    /// When it does not in time.
    pub fn wait_until_it_works(&mut self, handler: &mut Running) -> Result<(), Error> {
        let run = self.next_run();
        let payments = crate::workload::payments(
            crate::workload::Workload::Uniform,
            self.accounts.len(),
            1,
            u64::from(run),
        );
        let commands = Commands::payments(&self.headers, &self.accounts, &payments, run);
        self.observer.begin(Board::new(run, 1, 2));
        generator::send_all(&self.kafka, Topic::ConfirmMoneyTransfer, &commands)?;
        self.wait_for_all(handler, 1, SEED_PATIENCE)?;
        self.observer.end();
        Ok(())
    }

    /// Waits for something on the board.
    ///
    /// # Errors
    /// When it does not come in time, the handler ends, or somebody wants to stop.
    pub fn wait(
        &self,
        handler: &mut Running,
        patience: Duration,
        condition: impl Fn(&Board) -> bool,
        describe: impl Fn(&Board) -> String,
    ) -> Result<(), Error> {
        let deadline = Instant::now() + patience;
        loop {
            let holds = self.observer.ask(|board| {
                let holds = condition(board);
                let late = !holds && Instant::now() > deadline;
                (holds, late.then(|| describe(board)))
            });
            match holds {
                (true, _) => return Ok(()),
                (false, Some(what)) => return Err(Error::TooLate { what, patience }),
                (false, None) => {}
            }
            if let Some(status) = handler.ended()? {
                return Err(handler.ended_badly(status));
            }
            self.pause(LOOK)?;
        }
    }

    /// Sleeps, unless somebody wants to stop.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub fn pause(&self, time: Duration) -> Result<(), Error> {
        pause(time, &self.stop)
    }

    /// Waits until the handler's sessions have ended and PostgreSQL has their counters.
    ///
    /// # Errors
    /// When they do not end.
    pub fn wait_until_nobody_is_connected(&self) -> Result<(), Error> {
        let deadline = Instant::now() + STOP_PATIENCE;
        let database = &self.names.database;
        while self
            .runtime
            .block_on(self.administrator.sessions(database))?
            > 0
        {
            if Instant::now() > deadline {
                return Err(Error::TooLate {
                    what: format!("nobody is connected to {database}"),
                    patience: STOP_PATIENCE,
                });
            }
            self.pause(Duration::from_millis(10))?;
        }
        Ok(())
    }
}

fn synchronize(site: &Site, names: &Names) -> Result<(), Error> {
    let program = site.programs.join("synchronizer");
    let log = site.layout.log_file("perf-synchronizer");
    let file = local_cluster::open_log(&log)?;
    let mut command = Command::new(&program);
    local_cluster::withhold(&mut command);
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .env("BANK_KAFKA_BROKERS", &site.endpoints.kafka_brokers)
        .env("BANK_TOPIC_PREFIX", &names.topic_prefix)
        .env(
            "BANK_SCHEMA_REGISTRY_URL",
            &site.endpoints.schema_registry_url,
        )
        .env("BANK_COMMAND_HANDLER_DATABASE_URL", &names.database_url)
        .env(
            "BANK_GRAPHQL_ENDPOINT_DATABASE_URL",
            &names.gateway_database_url,
        )
        .status()
        .map_err(Error::io("start", program))?;
    if status.success() {
        return Ok(());
    }
    Err(Error::Ended {
        program: "synchronizer",
        status,
        log,
    })
}
