//! A backlog worked off: commands wait, a handler starts, and the clock runs from its
//! first outcome on the topic to its last.

use std::time::Duration;

use serde::Serialize;
use topology::Topic;

use crate::board::Board;
use crate::commands::Commands;
use crate::error::Error;
use crate::generator;
use crate::installation::{Installation, Mode, Running};
use crate::kafka_log;
use crate::numbers::{float, float_len, per, ratio};
use crate::observer::WRITTEN;
use crate::pgwire::Traffic;
use crate::procfs::{self, CpuSample, Noise, NoiseWatch};
use crate::proxy::{self, Proxy};
use crate::workload::{self, Workload};

const PATIENCE: Duration = Duration::from_secs(300);
/// How long a handler is watched while it cannot work.
const HELD_FOR: Duration = Duration::from_secs(3);
/// How often memory is looked at.
const MEMORY_LOOK: Duration = Duration::from_millis(20);

/// CPU time per command, in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Cpu {
    /// Of the handler.
    pub handler_us: f64,
    /// Of PostgreSQL with all its processes.
    pub postgres_us: f64,
    /// Of the broker.
    pub kafka_us: f64,
    /// Of the benchmark itself.
    pub benchmark_us: f64,
}

/// CPU of everything involved, at one time.
pub struct CpuWatch {
    handler: CpuSample,
    postgres: CpuSample,
    kafka: CpuSample,
    benchmark: CpuSample,
}

impl CpuWatch {
    /// Now.
    #[must_use]
    pub fn now(installation: &Installation, handler: u32) -> CpuWatch {
        let site = &installation.site;
        let kafka: Vec<u32> = site.kafka_pid.into_iter().collect();
        CpuWatch {
            handler: CpuSample::of(&[handler]),
            postgres: CpuSample::of(&site.postgres_pids()),
            kafka: CpuSample::of(&kafka),
            benchmark: CpuSample::of(&[std::process::id()]),
        }
    }

    /// Since an earlier one, for each of so many commands.
    #[must_use]
    pub fn since(&self, earlier: &CpuWatch, commands: usize) -> Cpu {
        let us = |now: &CpuSample, before| per(now.since(before), commands) / 1_000.0;
        Cpu {
            handler_us: us(&self.handler, &earlier.handler),
            postgres_us: us(&self.postgres, &earlier.postgres),
            kafka_us: us(&self.kafka, &earlier.kafka),
            benchmark_us: us(&self.benchmark, &earlier.benchmark),
        }
    }
}

/// What a drain is to be.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// How commands are decided.
    pub mode: Mode,
    /// Who pays whom.
    pub workload: Workload,
    /// How many wait.
    pub commands: usize,
    /// Count at the socket; no time of this drain means anything then.
    pub through_proxy: bool,
}

/// What a drain gave.
#[derive(Clone, Debug, Serialize)]
pub struct Drain {
    /// How commands were decided.
    pub mode: Mode,
    /// Who paid whom.
    pub workload: Workload,
    /// How many waited.
    pub commands: usize,
    /// From the first outcome to the last, without the first batch.
    pub commands_per_second: f64,
    /// From the start of the process to its first outcome, in milliseconds.
    pub start_ms: f64,
    /// Commands per transaction of the handler's database, its housekeeping included.
    pub commands_per_commit: f64,
    /// Transactions per command, housekeeping and start included.
    pub commits_per_command: f64,
    /// Forced writes of the log per command.
    pub syncs_per_command: f64,
    /// Bytes of the write-ahead log per command.
    pub wal_bytes_per_command: f64,
    /// Of them, bytes of whole pages, at 8 KiB each before compression.
    pub wal_full_page_bytes_per_command: f64,
    /// Record batches in the topics written to, per command; `None` without access to
    /// the broker's files.
    pub produce_requests_per_command: Option<f64>,
    /// CPU per command.
    pub cpu: Cpu,
    /// Greatest RssAnon of the handler, in KiB.
    pub rss_anon_max_kib: u64,
    /// What went over the sockets to PostgreSQL, when it was counted.
    pub sockets: Option<Sockets>,
    /// What else went on.
    pub noise: Noise,
}

/// What went over the sockets to PostgreSQL during a drain.
#[derive(Clone, Debug, Serialize)]
pub struct Sockets {
    /// Of the connection that decides, in the middle batch; per command where there are
    /// no batches.
    pub round_trips_per_batch: f64,
    /// Batches with more than that: see [`crate::pgwire::Batch`].
    pub batches_with_more_percent: f64,
    /// Of the same connection.
    pub statements_per_batch: f64,
    /// Of the same connection, from the first outcome on.
    pub batches: u64,
    /// Commands in the middle batch.
    pub batch_median: f64,
    /// Commands in the largest batch.
    pub batch_max: u64,
    /// Of all connections, per command.
    pub round_trips_per_command: f64,
    /// Statements prepared from the first outcome on, by all connections, per 10,000 commands.
    pub prepares_per_10_000: f64,
    /// Statements prepared before.
    pub prepares_at_start: u64,
}

/// Lets commands wait, starts a handler, and watches until all are answered.
///
/// # Errors
/// When they are not, or something could not be measured.
pub fn drain(installation: &mut Installation, order: Order) -> Result<Drain, Error> {
    let Order { mode, commands, .. } = order;
    let produced_before = produced(installation)?;
    let_wait(installation, order)?;
    let database = installation.names.database.clone();
    let runtime = installation.runtime.clone();
    runtime.block_on(installation.administrator.checkpoint())?;
    let counters = runtime.block_on(installation.administrator.counters(&database))?;
    let proxy = if order.through_proxy {
        let server = &installation.site.endpoints.postgres;
        let address = proxy::address(&server.host, server.port)?;
        Some(runtime.block_on(Proxy::start(address))?)
    } else {
        None
    };

    let mut handler = installation.start(mode, proxy.as_ref().map(Proxy::address))?;
    let pid = handler.pid();
    installation.wait(
        &mut handler,
        PATIENCE,
        |board| board.first_ns.is_some(),
        |_| "the first outcome".to_owned(),
    )?;
    let (cpu, noise) = (
        CpuWatch::now(installation, pid),
        NoiseWatch::start(&installation.site.own_pids(Some(pid))),
    );
    let answered = installation.observer.ask(|board| board.outcomes);
    let sockets = proxy.as_ref().map(Proxy::traffic);
    let memory = wait_watching_memory(installation, &mut handler, commands)?;
    let cpu = CpuWatch::now(installation, pid).since(&cpu, commands - answered.min(commands));
    let noise = noise.end(&installation.site.own_pids(Some(pid)));
    let sockets = sockets.zip(proxy.as_ref().map(Proxy::traffic));
    let started_ns = handler.started_ns;
    handler.stop()?;
    installation.wait_until_nobody_is_connected()?;
    let counters = runtime
        .block_on(installation.administrator.counters(&database))?
        .since(&counters);
    let board = installation.observer.end();
    if board.confirmed != commands {
        return Err(Error::Wrong(format!(
            "{} of {commands} payments were refused: the drain measured something else",
            commands - board.confirmed
        )));
    }
    let commits_per_command = per(counters.commits, commands);
    let first_batch = ratio(1.0, commits_per_command).unwrap_or(1.0);
    let first_ns = board.first_ns.unwrap_or_default();
    let seconds = float(board.last_ns - first_ns) / 1e9;
    Ok(Drain {
        mode,
        workload: order.workload,
        commands,
        commands_per_second: ratio(float_len(commands) - first_batch, seconds).unwrap_or(0.0),
        start_ms: float(first_ns - started_ns) / 1e6,
        commands_per_commit: first_batch,
        commits_per_command,
        syncs_per_command: per(counters.wal_syncs, commands),
        wal_bytes_per_command: per(counters.wal_bytes, commands),
        wal_full_page_bytes_per_command: per(counters.wal_full_pages * 8_192, commands),
        produce_requests_per_command: produced(installation)?
            .zip(produced_before)
            .map(|(after, before)| per(after - before, commands)),
        cpu,
        rss_anon_max_kib: memory,
        sockets: sockets.map(|(before, after)| {
            Sockets::between(&before, &after, commands, commands - answered)
        }),
        noise,
    })
}

/// Sends the commands while nobody reads them, and opens a board for them.
fn let_wait(installation: &mut Installation, order: Order) -> Result<(), Error> {
    let run = installation.next_run();
    let payments = workload::payments(
        order.workload,
        installation.accounts.len(),
        order.commands,
        u64::from(run),
    );
    let (headers, accounts) = (&installation.headers, &installation.accounts);
    let commands = Commands::payments(headers, accounts, &payments, run);
    installation
        .observer
        .begin(Board::new(run, commands.len(), 2));
    generator::send_all(&installation.kafka, Topic::ConfirmMoneyTransfer, &commands)
}

fn wait_watching_memory(
    installation: &Installation,
    handler: &mut Running,
    commands: usize,
) -> Result<u64, Error> {
    let pid = handler.pid();
    let greatest = std::cell::Cell::new((std::time::Instant::now(), procfs::rss_anon_kib(pid)));
    installation.wait(
        handler,
        PATIENCE,
        |board| {
            let (looked, most) = greatest.get();
            if looked.elapsed() >= MEMORY_LOOK {
                let now = procfs::rss_anon_kib(pid);
                greatest.set((std::time::Instant::now(), most.max(now)));
            }
            board.is_complete(commands)
        },
        |board| format!("{commands} outcomes ({} are there)", board.outcomes),
    )?;
    Ok(greatest.get().1.max(procfs::rss_anon_kib(pid)))
}

fn produced(installation: &Installation) -> Result<Option<u64>, Error> {
    let Some(data) = &installation.site.kafka_data else {
        return Ok(None);
    };
    let topics = installation.kafka.topics();
    let mut batches = 0;
    for topic in WRITTEN {
        let counted = kafka_log::batches(data, &topics.name(topic));
        batches += counted.map_err(Error::io("count record batches in", data))?;
    }
    Ok(Some(batches))
}

impl Sockets {
    fn between(
        before: &(Traffic, Traffic),
        after: &(Traffic, Traffic),
        commands: usize,
        commands_between: usize,
    ) -> Sockets {
        // What opens a connection and the books is no batch.
        let hot = after.0.since(&before.0);
        let all = after.1.since(&before.1);
        let mut rows: Vec<u64> = hot.batches.iter().map(|batch| batch.rows).collect();
        rows.sort_unstable();
        let mut trips: Vec<u64> = hot.batches.iter().map(|batch| batch.round_trips).collect();
        trips.sort_unstable();
        let middle = |sorted: &[u64]| sorted.get(sorted.len() / 2).copied();
        let more = middle(&trips).map_or(0, |middle| {
            trips.iter().filter(|trips| **trips > middle).count()
        });
        // Without batches every statement is a command's, and where the first outcome is
        // seen late, as behind a linger, only the whole life of the connections tells.
        let has_batches = hot.transactions > 0;
        let (round_trips, statements) = if has_batches {
            (
                per(all.round_trips, commands_between),
                ratio(float(hot.statements), float(hot.transactions)).unwrap_or(0.0),
            )
        } else {
            (
                per(after.1.round_trips, commands),
                per(after.1.statements, commands),
            )
        };
        Sockets {
            round_trips_per_batch: middle(&trips).map_or(round_trips, float),
            batches_with_more_percent: 100.0 * per(more as u64, trips.len()),
            statements_per_batch: statements,
            batches: hot.transactions,
            batch_median: float(middle(&rows).unwrap_or(1)),
            batch_max: rows.last().copied().unwrap_or(1),
            round_trips_per_command: round_trips,
            prepares_per_10_000: 10_000.0 * per(all.parses, commands),
            prepares_at_start: before.1.parses,
        }
    }
}

/// Memory of a handler, in KiB of RssAnon.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// At work with nothing to do.
    pub idle_kib: u64,
    /// While it could not work and this many commands waited.
    pub waiting_kib: u64,
    /// How many.
    pub waiting_commands: usize,
    /// While it worked them off: the greatest.
    pub loaded_kib: u64,
}

/// Watches a handler's memory: idle; with a backlog it cannot work on, since somebody
/// holds the accounts locked; and at work.
///
/// # Errors
/// When it does not work the backlog off afterwards.
pub fn memory(installation: &mut Installation, commands: usize) -> Result<Memory, Error> {
    let mut handler = installation.start(Mode::Batches, None)?;
    installation.wait_until_it_works(&mut handler)?;
    installation.pause(HELD_FOR)?;
    let idle_kib = procfs::rss_anon_kib(handler.pid());
    handler.stop()?;
    installation.wait_until_nobody_is_connected()?;

    let order = Order {
        mode: Mode::Batches,
        workload: Workload::Uniform,
        commands,
        through_proxy: false,
    };
    let_wait(installation, order)?;
    let runtime = installation.runtime.clone();
    let database = installation.names.database.clone();
    let holder = runtime.block_on(installation.administrator.open(&database))?;
    // Not the company, whose row a handler locks when it opens the books.
    let lock = format!(
        "begin; select count(*) from (select 1 from account where iban <> '{}' for update) as held",
        topology::COMPANY_IBAN
    );
    let locked = runtime.block_on(holder.batch_execute(&lock));
    locked.map_err(Error::postgres("lock the accounts"))?;
    let mut handler = installation.start(Mode::Batches, None)?;
    let mut waiting_kib = 0;
    let steps = HELD_FOR.as_millis() / MEMORY_LOOK.as_millis();
    for _ in 0..steps {
        installation.pause(MEMORY_LOOK)?;
        waiting_kib = waiting_kib.max(procfs::rss_anon_kib(handler.pid()));
    }
    let unlocked = runtime.block_on(holder.batch_execute("rollback"));
    unlocked.map_err(Error::postgres("unlock the accounts"))?;
    drop(holder);
    let loaded_kib = wait_watching_memory(installation, &mut handler, commands)?;
    handler.stop()?;
    installation.wait_until_nobody_is_connected()?;
    installation.observer.end();
    Ok(Memory {
        idle_kib,
        waiting_kib,
        waiting_commands: commands,
        loaded_kib,
    })
}
