//! One bank with its clients, and the life of a scenario in it: load, faults, recovery, quiet, verdict.

use std::{
    fs,
    io::Write,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use auditor::history::{Event, Phase, Recorder};
use local_cluster::Report;
use serde_json::Value;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    article,
    bank::{Bank, Site, Subject},
    clock::Clock,
    error::LabError,
    fault::{Fault, Step},
    inject::{Injector, Timeline},
    judge,
    latency::Phases,
    load::{
        Common,
        customer::{Customer, Paid},
        direct::Direct,
        follower::Follower,
    },
    observer::Observer,
    report::{Outcome, RECOVERY_LIMIT_MS, Verdict},
    scenario::{CALM_MS, Need},
    seed::Seed,
    wire::Schemas,
};

/// Commands a second straight into the topics.
const DIRECT_RATE: u32 = 80;
/// Heartbeats a second for the simulated public.
const HEARTBEATS: u32 = 15;
/// Accounts between which the direct commands move money.
const DIRECT_ACCOUNTS: u32 = 20;
/// Customers at the gateway, each with a follower.
const CUSTOMERS: usize = 4;
/// The load goes on for so long after the recovery.
const AFTERWARDS: Duration = Duration::from_millis(2_000);
/// A bank that is not back after this is given up.
const RECOVERY_PATIENCE: Duration = Duration::from_secs(60);
/// How often is looked whether it is back.
const LOOK: Duration = Duration::from_millis(100);
/// What the clients recorded, in the bank's directory.
const HISTORY: &str = "history.jsonl";

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Name of the scenario.
    pub name: String,
    /// The promises it attacks.
    pub promises: String,
    /// What it takes.
    pub need: Need,
    /// The number behind the schedule.
    pub seed: u64,
    /// The faults.
    pub schedule: Vec<Step>,
}

/// Told what is going on, a line each.
pub type Progress = Arc<dyn Fn(&str) + Send + Sync>;

/// A bank with its clients.
pub struct Lab {
    bank: Arc<Bank>,
    clock: Clock,
    observer: Arc<Observer>,
    common: Arc<Common>,
    direct: Arc<Direct>,
    customers: Vec<Arc<Customer>>,
    followers: Vec<Follower>,
    history: PathBuf,
    seed: Seed,
    /// What was found once stays in the books: the next scenario needs another bank.
    is_spoilt: bool,
}

/// The clients at work.
struct Load {
    stop: CancellationToken,
    stop_following: CancellationToken,
    direct: JoinHandle<()>,
    customers: Vec<JoinHandle<Vec<Paid>>>,
    followers: Vec<JoinHandle<Follower>>,
}

impl Lab {
    /// Starts a bank and lets the clients join.
    ///
    /// # Errors
    /// When it does not start; nothing is broken yet.
    pub async fn open(
        site: &Site,
        subject: Subject,
        need: Need,
        seed: u64,
        report: Report,
    ) -> Result<Lab, LabError> {
        let seed = Seed::new(seed).fork("lab");
        let bank = Arc::new(Bank::start(site, subject, need, &seed, report).await?);
        match Lab::join(Arc::clone(&bank), seed).await {
            Ok(lab) => Ok(lab),
            Err(error) => {
                bank.stop().await;
                Err(error)
            }
        }
    }

    async fn join(bank: Arc<Bank>, mut seed: Seed) -> Result<Lab, LabError> {
        let clock = Clock::start();
        let endpoints = bank.cluster.endpoints();
        let prefix = bank.topic_prefix;
        let schemas = Schemas::fetch(&endpoints.schema_registry_url, prefix).await?;
        let observer = Observer::start(&endpoints.kafka_brokers, prefix, schemas.clone(), clock)?;
        let observer = Arc::new(observer);
        let history = bank.cluster.layout().directory().join(HISTORY);
        let recorder = Recorder::create(&history).map_err(LabError::io("create", &history))?;
        let common = Arc::new(Common::new(
            clock,
            Arc::clone(&observer),
            bank.gateways.clone(),
            recorder,
        ));
        let brokers = &endpoints.kafka_brokers;
        let mut direct = Direct::new(brokers, prefix, schemas, Arc::clone(&observer), clock)?;
        let mut customers = Vec::new();
        let mut followers = Vec::new();
        match bank.subject {
            Subject::Bank => {
                let count = usize::try_from(DIRECT_ACCOUNTS).unwrap_or(1);
                direct.open_accounts(count, &mut seed).await?;
                for number in 0..CUSTOMERS {
                    let customer = Customer::join(Arc::clone(&common), number, &mut seed).await?;
                    followers.push(Follower::new(
                        Arc::clone(&common),
                        number,
                        &customer.iban,
                        &customer.session,
                    ));
                    customers.push(Arc::new(customer));
                }
            }
            Subject::ArticlesWay => {
                direct.accounts =
                    article::write_accounts(&bank.books_url, DIRECT_ACCOUNTS, &mut seed).await?;
                bank.cluster.start_program(bank.articles_way());
                // It reads from the end of what it has committed, which is nothing, once it is there.
                direct.pay_once(&mut seed).await;
                judge::until_quiet(&bank, &observer).await.ok();
            }
        }
        Ok(Lab {
            bank,
            clock,
            observer,
            common,
            direct: Arc::new(direct),
            customers,
            followers,
            history,
            seed,
            is_spoilt: false,
        })
    }

    /// Whether another scenario would be judged by what this one left behind.
    #[must_use]
    pub fn is_spoilt(&self) -> bool {
        self.is_spoilt
    }

    /// Stops everything.
    pub async fn close(self) {
        self.bank.stop().await;
    }

    /// Runs a scenario from the first to the last command.
    ///
    /// # Errors
    /// When a fault could not be injected: then nothing is known.
    pub async fn run(&mut self, plan: &Plan, progress: &Progress) -> Result<Outcome, LabError> {
        self.is_spoilt = true;
        let (samples_from, payments_from, repeats_before, dead_before, commands_before) = {
            let board = self.observer.board();
            (
                board.samples(0).len(),
                self.common.answers(),
                board.repeats,
                board.dead_letters(),
                board.commands(),
            )
        };
        self.bank.set_heartbeats(HEARTBEATS).await?;
        let load = self.start_load(plan);
        let timeline = Arc::new(Timeline::begin(self.clock));
        tokio::time::sleep(Duration::from_millis(CALM_MS)).await;
        let first_fault_us = self.clock.now_us();
        for step in &plan.schedule {
            let (at_ms, lasts_ms, fault) = (step.at_ms, step.lasts_ms, step.fault);
            progress(&format!("  at {at_ms} ms: {fault}, for {lasts_ms} ms"));
        }
        let injector = Injector {
            bank: Arc::clone(&self.bank),
            direct: Arc::clone(&self.direct),
            timeline: Arc::clone(&timeline),
            seed: self.seed.fork(&plan.name),
        };
        let injected = Arc::new(injector).run(&plan.schedule).await;
        let healed_us = self.clock.now_us();
        let recovered = match &injected {
            Ok(()) => self.until_recovered(healed_us).await,
            Err(error) => Err(error.in_a_line()),
        };
        let recovered_us = self.clock.now_us();
        if recovered.is_ok() {
            tokio::time::sleep(AFTERWARDS).await;
        }
        let mut findings = Vec::new();
        self.stop_load(load, &mut findings).await;
        if let Err(waiting_for) = &recovered {
            findings.push(format!("not back: {waiting_for}"));
        }
        findings.extend(self.common.take_findings());
        injected?;
        let (tally, duplicates, commands, dead_letters, topic_latency) = {
            let board = self.observer.board();
            let duplicates = crate::board::Repeats {
                outcomes: board.repeats.outcomes - repeats_before.outcomes,
                changes: board.repeats.changes - repeats_before.changes,
            };
            let samples = board.samples(samples_from);
            let phases = Phases::of(samples, first_fault_us, recovered_us);
            let dead_letters = board.dead_letters() - dead_before;
            let commands = board.commands() - commands_before;
            (board.tally(), duplicates, commands, dead_letters, phases)
        };
        findings.extend(tally.first.iter().cloned());
        let wanted = dead_letters_wanted(&plan.schedule);
        if wanted > dead_letters {
            findings.push(format!("{dead_letters} dead letters of {wanted}"));
        }
        let history = self.history_until_now();
        let history = history.unwrap_or_else(|error| {
            findings.push(error.in_a_line());
            self.history.clone()
        });
        let payments = self.common.samples(payments_from);
        let gateway_latency = Phases::of(&payments, first_fault_us, recovered_us);
        let audited = judge::audit(&self.bank, history).await;
        let recovery_ms = recovered
            .is_ok()
            .then(|| recovered_us.saturating_sub(healed_us) / 1_000);
        let is_wrong = !findings.is_empty() || audited.as_ref().is_some_and(|it| it.is_violated);
        let verdict = if is_wrong {
            Verdict::Violated
        } else if audited.as_ref().is_some_and(|it| !it.holds) {
            Verdict::Unchecked
        } else if recovery_ms.is_none_or(|ms| ms > RECOVERY_LIMIT_MS) {
            Verdict::Slow
        } else {
            Verdict::Holds
        };
        if let Some(audited) = &audited {
            findings.extend(audited.complaints.iter().cloned());
        }
        self.is_spoilt = verdict == Verdict::Violated;
        let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Ok(Outcome {
            scenario: plan.name.clone(),
            seed: plan.seed,
            promises: plan.promises.clone(),
            verdict,
            findings,
            schedule: plan.schedule.clone(),
            timeline: timeline.happened(),
            recovery_ms,
            commands: number(commands),
            payments: number(payments.len()),
            dead_letters: number(dead_letters),
            duplicates,
            tally,
            topic_latency,
            gateway_latency,
            audit: audited.map_or(Value::Null, |it| it.report),
        })
    }

    /// The history as it would be if the clients went away now: every follower has seen everything. They stay, for
    /// the next scenario, so that this is said in a copy.
    fn history_until_now(&self) -> Result<PathBuf, LabError> {
        let copy = self.history.with_extension("until-now.jsonl");
        let write = || {
            self.common.recorder.flush()?;
            fs::copy(&self.history, &copy)?;
            let mut file = fs::File::options().append(true).open(&copy)?;
            for follower in &self.followers {
                let (client, operation) = follower.caught_up();
                let event = Event {
                    client,
                    phase: Phase::Ok,
                    operation,
                    reason: None,
                    wall_clock_us: 0,
                    // Behind all others.
                    monotonic_ns: u64::MAX,
                };
                serde_json::to_writer(&mut file, &event)?;
                file.write_all(b"\n")?;
            }
            file.flush()
        };
        write().map_err(LabError::io("write", &copy))?;
        Ok(copy)
    }

    fn start_load(&mut self, plan: &Plan) -> Load {
        let seed = self.seed.fork(&format!("{} {} load", plan.name, plan.seed));
        let stop = CancellationToken::new();
        let stop_following = CancellationToken::new();
        let direct = Arc::clone(&self.direct);
        let ibans: Vec<String> = self.customers.iter().map(|it| it.iban.clone()).collect();
        let mut customers = Vec::new();
        for (number, customer) in self.customers.iter().enumerate() {
            let (customer, ibans) = (Arc::clone(customer), ibans.clone());
            let (seed, stop) = (seed.fork(&format!("customer {number}")), stop.clone());
            customers.push(tokio::spawn(async move {
                customer.pay(&ibans, seed, stop).await
            }));
        }
        let followers = self.followers.drain(..).map(|follower| {
            let stop = stop_following.clone();
            tokio::spawn(follower.follow(stop))
        });
        let followers = followers.collect();
        let direct = {
            let (seed, stop) = (seed.fork("direct"), stop.clone());
            tokio::spawn(async move { direct.pay(DIRECT_RATE, seed, stop).await })
        };
        Load {
            stop,
            stop_following,
            direct,
            customers,
            followers,
        }
    }

    /// Lets the clients come to an end, waits until all is quiet, and lets the followers see the last of it.
    async fn stop_load(&mut self, load: Load, findings: &mut Vec<String>) {
        load.stop.cancel();
        if let Err(error) = self.bank.set_heartbeats(0).await {
            findings.push(error.in_a_line());
        }
        if let Err(error) = load.direct.await {
            findings.push(format!("a client died: {error}"));
        }
        let mut paid = Vec::new();
        for customer in load.customers {
            match customer.await {
                Ok(payments) => paid.extend(payments),
                Err(error) => findings.push(format!("a client died: {error}")),
            }
        }
        if let Err(reason) = judge::until_quiet(&self.bank, &self.observer).await {
            findings.push(format!("never quiet: {reason}"));
        }
        load.stop_following.cancel();
        for follower in load.followers {
            match follower.await {
                Ok(follower) => self.followers.push(follower),
                Err(error) => findings.push(format!("a client died: {error}")),
            }
        }
        let board = self.observer.board();
        for Paid { id, is_confirmed } in paid {
            if is_confirmed.is_some() && board.answer(&id) != is_confirmed {
                let id = uuid::Uuid::from_bytes(id);
                findings.push(format!(
                    "the client of {id} was told {is_confirmed:?}, its topic says otherwise"
                ));
            }
        }
    }

    /// Waits until everything sent before the heal is answered, everybody says that they are ready, and what is sent
    /// from now on is answered, too.
    async fn until_recovered(&self, healed_us: u64) -> Result<(), String> {
        let deadline = Instant::now() + RECOVERY_PATIENCE;
        let probe_us = self.clock.now_us();
        loop {
            let waiting_for = match self.is_recovered(healed_us, probe_us).await {
                Ok(()) => return Ok(()),
                Err(waiting_for) => waiting_for,
            };
            if Instant::now() > deadline {
                return Err(waiting_for);
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    async fn is_recovered(&self, healed_us: u64, probe_us: u64) -> Result<(), String> {
        self.bank.is_ready().await?;
        {
            let board = self.observer.board();
            let unanswered = board.unanswered(healed_us);
            if unanswered > 0 {
                return Err(format!(
                    "{unanswered} commands sent before the heal are answered"
                ));
            }
            let is_new = |it: &crate::latency::Sample| it.began_us >= probe_us;
            if !board.samples(0).iter().rev().take(100).any(is_new) {
                return Err("a command sent after the heal is answered".to_owned());
            }
        }
        let answered = self.common.samples(0);
        let is_new = |it: &crate::latency::Sample| it.began_us >= probe_us;
        if !self.customers.is_empty() && !answered.iter().rev().take(100).any(is_new) {
            return Err("a payment begun after the heal is answered".to_owned());
        }
        Ok(())
    }
}

/// What every poison record must become.
fn dead_letters_wanted(schedule: &[Step]) -> usize {
    schedule
        .iter()
        .map(|step| match step.fault {
            Fault::Poison { records } => usize::try_from(records).unwrap_or(usize::MAX),
            _ => 0,
        })
        .sum()
}
