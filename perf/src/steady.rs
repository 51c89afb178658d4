//! A steady load from topic to topic, and what happens when the handler dies under it.

use std::time::Duration;

use serde::Serialize;

use crate::board::Board;
use crate::commands::Commands;
use crate::drain::{Cpu, CpuWatch};
use crate::error::Error;
use crate::generator;
use crate::installation::{Installation, Mode, Running};
use crate::latency::LatencySummary;
use crate::numbers::{float, float_len, ratio, whole};
use crate::procfs::{self, Noise, NoiseWatch};
use crate::workload::{self, Workload};

/// Beyond the length of a step, for what is still on its way.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// A command that waited less is one in a bank that is itself again.
pub(crate) const CAUGHT_UP_NS: u64 = 100_000_000;

/// What a step is to be.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Commands per second.
    pub rate: u32,
    /// Not measured.
    pub warm_up: Duration,
    /// Measured.
    pub measured: Duration,
}

/// What a step gave.
#[derive(Clone, Debug, Serialize)]
pub struct Steady {
    /// How commands were decided.
    pub mode: Mode,
    /// Commands per second that were meant to be sent.
    pub rate: u32,
    /// Commands that were measured.
    pub commands: usize,
    /// Commands per second that were answered, of all.
    pub answered_per_second: f64,
    /// From the intended time to the outcome.
    pub outcome: LatencySummary,
    /// From the intended time to the last of outcome and changed balances.
    pub balance: LatencySummary,
    /// How late the generator was.
    pub send_delay: LatencySummary,
    /// Not sent or not delivered.
    pub dropped: u64,
    /// Whether the generator was on time and dropped nothing.
    pub is_valid: bool,
    /// CPU per command.
    pub cpu: Cpu,
    /// Greatest RssAnon of the handler at the end, in KiB.
    pub rss_anon_kib: u64,
    /// What else went on.
    pub noise: Noise,
}

/// Share of a rate that must be answered in its time for the rate to be kept up.
const KEPT_UP_MIN: f64 = 0.99;

impl Steady {
    /// Whether commands were answered as fast as they were meant to come.
    #[must_use]
    pub fn is_kept_up(&self) -> bool {
        self.dropped == 0 && self.answered_per_second >= KEPT_UP_MIN * f64::from(self.rate)
    }
}

/// Sends at a fixed rate to a handler that works already.
///
/// # Errors
/// When commands stay unanswered.
pub fn step(
    installation: &mut Installation,
    handler: &mut Running,
    mode: Mode,
    step: Step,
) -> Result<Steady, Error> {
    let count = |time: Duration| {
        let commands = whole(time.as_secs_f64() * f64::from(step.rate));
        usize::try_from(commands).unwrap_or(usize::MAX)
    };
    let (warm_up, measured) = (count(step.warm_up), count(step.measured).max(1));
    let total = warm_up + measured;
    let commands = prepare(installation, total);
    let pid = handler.pid();
    let sending = generator::send_steadily(
        &installation.kafka,
        commands,
        step.rate,
        warm_up,
        installation.clock,
    )?;
    installation.pause(step.warm_up)?;
    let noise = NoiseWatch::start(&installation.site.own_pids(Some(pid)));
    let cpu = CpuWatch::now(installation, pid);
    let answered = installation.observer.ask(|board| board.outcomes);
    installation.pause(step.measured)?;
    let answered = installation.observer.ask(|board| board.outcomes) - answered;
    let cpu = CpuWatch::now(installation, pid).since(&cpu, answered);
    let noise = noise.end(&installation.site.own_pids(Some(pid)));
    let rss_anon_kib = procfs::rss_anon_kib(pid);
    let sent = sending.finish()?;
    installation.wait_for_all(handler, total, PATIENCE)?;
    let board = installation.observer.end();
    let (outcome, balance) = board.latencies(warm_up..total, |index| sent.intended_ns(index));
    let (send_delay, is_valid) = sent.judge();
    let seconds = float(board.last_ns.saturating_sub(sent.first_ns)) / 1e9;
    Ok(Steady {
        mode,
        rate: step.rate,
        commands: measured,
        answered_per_second: ratio(float_len(total), seconds).unwrap_or(0.0),
        outcome: outcome.summary(),
        balance: balance.summary(),
        send_delay,
        dropped: sent.dropped,
        is_valid,
        cpu,
        rss_anon_kib,
        noise,
    })
}

fn prepare(installation: &mut Installation, commands: usize) -> Commands {
    let run = installation.next_run();
    let accounts = installation.accounts.len();
    let payments = workload::payments(Workload::Uniform, accounts, commands, u64::from(run));
    installation.observer.begin(Board::new(run, commands, 2));
    Commands::payments(
        &installation.headers,
        &installation.accounts,
        &payments,
        run,
    )
}

/// A handler killed and started again under load.
#[derive(Clone, Debug, Serialize)]
pub struct Recovery {
    /// Commands per second, before and after.
    pub rate: u32,
    /// From the kill to the first outcome of the new process, in milliseconds.
    pub flows_again_ms: f64,
    /// From the kill until no command had waited longer than 100 ms, in milliseconds.
    pub caught_up_ms: f64,
    /// Latencies of all commands, those of the silence included.
    pub balance: LatencySummary,
}

/// Kills the handler after `before`, starts it again at once, and lets the load go on for
/// `after`. Gives the handler that works then.
///
/// # Errors
/// When commands stay unanswered.
pub fn recovery(
    installation: &mut Installation,
    handler: Running,
    rate: u32,
    before: Duration,
    after: Duration,
) -> Result<(Recovery, Running), Error> {
    let total = whole((before + after).as_secs_f64() * f64::from(rate));
    let total = usize::try_from(total).unwrap_or(usize::MAX);
    let commands = prepare(installation, total);
    let clock = installation.clock;
    let sending = generator::send_steadily(&installation.kafka, commands, rate, 0, clock)?;
    installation.pause(before)?;
    let killed_ns = clock.now_ns();
    handler.kill()?;
    let mut handler = installation.start(Mode::Batches, None)?;
    let sent = sending.finish()?;
    installation.wait_for_all(&mut handler, total, PATIENCE)?;
    let board = installation.observer.end();
    let since_kill =
        |at: Option<u64>| at.map_or(0.0, |at| float(at.saturating_sub(killed_ns)) / 1e6);
    let intended = |index| sent.intended_ns(index);
    let (_, balance) = board.latencies(0..total, intended);
    let mut balance = balance.summary();
    balance.histogram_us.clear();
    let recovery = Recovery {
        rate,
        flows_again_ms: since_kill(board.flows_again_ns(killed_ns)),
        caught_up_ms: since_kill(board.caught_up_ns(killed_ns, CAUGHT_UP_NS, intended)),
        balance,
    };
    Ok((recovery, handler))
}
