//! The gateway stopped between any two of its steps: dead, failing, or paused past its
//! session, alone or beside a second one. After each: the promises.
//!
//! The standard run dies at every step once, and fails or pauses at some. With
//! `BANK_TEST_FULL=1` every step meets every action, with one and two gateways and three
//! seeds.

use std::sync::Arc;
use std::time::Duration;

use graphql_endpoint::steps::Step;
use local_cluster::testing::{
    free_address,
    watched::{full, run_all},
};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clients::{Customer, Directory, Seen};
use crate::process::{self, Action, Stop};
use crate::world::World;
use crate::{PATIENCE, eventually};

/// Worlds at a time: most of a scenario is waiting.
const SIDE_BY_SIDE: usize = 9;
const CUSTOMERS: u64 = 4;
/// Payments of each customer after the stop.
const PAYMENTS_AFTER: usize = 5;
/// The group has noticed by then that a member is gone: its session, and a margin.
const SESSION_IS_OVER: Duration = Duration::from_millis(4_500);
/// Between two kills.
const KILL_INTERVAL: Duration = Duration::from_secs(5);
/// Between two payments of a customer whose gateways are killed.
const PACE: Duration = Duration::from_millis(50);
/// Longest wait for a word on whether a gateway is ready.
const ANSWER_WAIT: Duration = Duration::from_secs(1);
/// Between two records that nobody can read.
const TRICKLE: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
struct Scenario {
    step: Step,
    action: Action,
    gateways: usize,
    seed: u64,
}

/// Passed once in a life, or few times.
fn is_rare(step: Step) -> bool {
    matches!(
        step,
        Step::SignedUp
            | Step::AccountHeard
            | Step::AccountLinked
            | Step::LateTaken
            | Step::TailStarted
            | Step::PartitionsTaken
            | Step::Buried
            | Step::Following
    )
}

/// The second gateway might be the only one that passes it.
fn is_for_the_first(step: Step) -> bool {
    matches!(step, Step::LateTaken)
}

/// A failure after it ends the process; after another, only the request, the stream or the
/// transaction.
fn ends_the_process(step: Step) -> bool {
    matches!(
        step,
        Step::HandedOver
            | Step::Acknowledged
            | Step::LateTaken
            | Step::TailStarted
            | Step::TailPolled
            | Step::OutcomeRead
            | Step::ChangeRead
            | Step::Published
            | Step::PartitionsTaken
            | Step::Polled
            | Step::Buried
            | Step::Understood
            | Step::Committed
            | Step::Marked
    )
}

impl Scenario {
    fn stop(self) -> Stop {
        let passing = if is_rare(self.step) {
            1
        } else {
            1 + self.seed % 3
        };
        Stop {
            step: self.step,
            action: self.action,
            passing,
        }
    }

    /// Dies, fails or pauses, recovers, and keeps the promises.
    async fn run(self) {
        let name = format!("{:?}-{}-{}", self.step, self.gateways, self.seed);
        let world = Arc::new(World::new(&name).await);
        let addresses: Vec<String> = (0..self.gateways).map(|_| free_address()).collect();
        let stop = self.stop();
        let mut watched = process::start(&world, &addresses[0], Some(stop));
        let mut others = Vec::new();
        if self.gateways == 2 && !is_for_the_first(self.step) {
            others.push(process::start(&world, &addresses[1], None));
        }
        // So that each has its share of the customers, whichever is ready first.
        eventually(
            "the gateways are ready, or one has stopped",
            PATIENCE,
            async || {
                let ready = addresses[..=others.len()].iter().map(|it| is_ready(it));
                let ready = futures_util::future::join_all(ready).await;
                (watched.has_reached() || ready.into_iter().all(|ready| ready)).then_some(())
            },
        )
        .await;
        let (healed, is_healed) = watch::channel(false);
        let directory = Directory::default();
        let mut customers = JoinSet::new();
        for number in 0..CUSTOMERS {
            let customer = Customer::new(number, self.seed, &addresses, directory.clone());
            customers.spawn(live(customer, is_healed.clone(), Duration::ZERO));
        }
        let poisoning = tokio::spawn(poison(Arc::clone(&world), self.step, is_healed));
        watched.reaches(stop).await;
        if self.gateways == 2 && others.is_empty() {
            others.push(process::start(&world, &addresses[1], None));
        }
        match self.action {
            Action::Abort => {}
            Action::Error if ends_the_process(self.step) => {
                let status = watched.exit().await;
                assert_eq!(status.code(), Some(1), "{}", watched.said());
                assert!(watched.said().contains("stopped after the step"));
            }
            Action::Error => {}
            Action::Pause => {
                tokio::time::sleep(SESSION_IS_OVER).await;
                watched.resume();
            }
        }
        let is_alone = others.is_empty();
        if is_alone && !watched.is_running() {
            others.push(process::start(&world, &addresses[0], None));
        }
        healed.send(true).unwrap();
        poisoning.await.unwrap();
        judge(&world, customers).await;
        if self.action == Action::Pause {
            assert!(watched.is_running(), "{}", watched.said());
        }
        for other in others {
            other.end().await;
        }
        drop(watched);
        Arc::into_inner(world)
            .expect("nobody else uses it")
            .end()
            .await;
    }
}

async fn is_ready(address: &str) -> bool {
    let asked = reqwest::get(format!("http://{address}/readyz"));
    // One that has stopped may take the question and never answer it.
    let answer = tokio::time::timeout(ANSWER_WAIT, asked).await;
    answer.is_ok_and(|answer| answer.is_ok_and(|answer| answer.status().is_success()))
}

/// Waits for the customers and the read model, and judges both.
async fn judge(world: &World, mut customers: JoinSet<Life>) {
    let mut lives: Vec<Life> = Vec::new();
    while let Some(life) = customers.join_next().await {
        lives.push(life.unwrap());
    }
    let log = world.settled().await;
    for life in lives {
        log.judge(&life.customer);
        world.keeps_secret(&life.customer.secrets());
        let last = log.last_version(&life.customer.iban);
        life.last.send(Some(last)).unwrap();
        let seen = tokio::time::timeout(PATIENCE, life.following);
        let seen = seen.await.expect("a follower sees the end").unwrap();
        log.judge_seen(&life.customer.iban, &seen);
    }
}

/// A customer at the end, still followed.
struct Life {
    customer: Customer,
    following: tokio::task::JoinHandle<Vec<Seen>>,
    last: watch::Sender<Option<i64>>,
}

/// Signs up, follows the account, and pays at this pace until all is well again, and a
/// little longer.
async fn live(mut customer: Customer, healed: watch::Receiver<bool>, pace: Duration) -> Life {
    customer.sign_up().await;
    let (last, is_last) = watch::channel(None);
    let follower = customer.follower();
    let following = tokio::spawn(async move { follower.follow(is_last).await });
    customer.deposit().await;
    let mut after = 0;
    while after < PAYMENTS_AFTER {
        if *healed.borrow() {
            after += 1;
        }
        customer.pay().await;
        tokio::time::sleep(pace).await;
    }
    customer.ask_for_all().await;
    Life {
        customer,
        following,
        last,
    }
}

/// For the step after a dead letter, something must be one.
async fn poison(world: Arc<World>, step: Step, healed: watch::Receiver<bool>) {
    let mut number = 0;
    while step == Step::Buried && !*healed.borrow() {
        world.poison(&format!("key {number}")).await;
        number += 1;
        tokio::time::sleep(TRICKLE).await;
    }
}

fn some(stops: &[(Step, Action)], gateways: usize, seed: u64) -> Vec<Scenario> {
    let numbered = stops.iter().zip(seed..);
    numbered
        .map(|((step, action), seed)| Scenario {
            step: *step,
            action: *action,
            gateways,
            seed,
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_any_step_when_the_gateway_dies_after_it_then_its_successor_keeps_every_promise() {
    let stops = Step::ALL.map(|step| (step, Action::Abort));
    run_all(some(&stops, 1, 0), SIDE_BY_SIDE, Scenario::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_gateways_when_one_dies_fails_or_pauses_then_clients_of_both_miss_nothing() {
    let stops = [
        (Step::Acknowledged, Action::Abort),
        (Step::Written, Action::Pause),
        (Step::Understood, Action::Pause),
        (Step::Published, Action::Abort),
        (Step::GivenOut, Action::Pause),
        (Step::OutcomeRead, Action::Error),
    ];
    run_all(some(&stops, 2, 100), SIDE_BY_SIDE, Scenario::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_step_when_the_next_one_fails_then_the_gateway_goes_on_or_says_why_it_ends() {
    let stops = [
        (Step::Claimed, Action::Error),
        (Step::HandedOver, Action::Error),
        (Step::SignedUp, Action::Error),
        (Step::Written, Action::Error),
        (Step::Replayed, Action::Error),
        (Step::Committed, Action::Error),
    ];
    run_all(some(&stops, 1, 200), SIDE_BY_SIDE, Scenario::run).await;
}

/// Every five seconds; for a minute when everything is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn given_two_gateways_when_one_after_the_other_is_killed_then_every_client_gets_everything_once()
 {
    let kills = if full() { 12 } else { 4 };
    let world = Arc::new(World::new("kills").await);
    let addresses = [free_address(), free_address()];
    let mut gateways = addresses
        .each_ref()
        .map(|it| process::start(&world, it, None));
    let (ended, is_ended) = watch::channel(false);
    let directory = Directory::default();
    let mut customers = JoinSet::new();
    for number in 0..CUSTOMERS {
        let customer = Customer::new(number, 300, &addresses, directory.clone());
        customers.spawn(live(customer, is_ended.clone(), PACE));
    }
    for kill in 0..kills {
        tokio::time::sleep(KILL_INTERVAL).await;
        let at = kill % gateways.len();
        gateways[at].kill();
        gateways[at] = process::start(&world, &addresses[at], None);
    }
    ended.send(true).unwrap();
    judge(&world, customers).await;
    for gateway in gateways {
        gateway.end().await;
    }
    Arc::into_inner(world)
        .expect("nobody else uses it")
        .end()
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_full_matrix_when_asked_for_then_every_cell_keeps_every_promise() {
    if !full() {
        return;
    }
    let mut scenarios = Vec::new();
    for seed in 1_000..1_003 {
        for step in Step::ALL {
            for action in Action::ALL {
                for gateways in [1, 2] {
                    scenarios.push(Scenario {
                        step,
                        action,
                        gateways,
                        seed,
                    });
                }
            }
        }
    }
    run_all(scenarios, SIDE_BY_SIDE, Scenario::run).await;
}
