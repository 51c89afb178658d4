//! The handler stopped between any two of its steps: dead, failing, or paused past its
//! session, alone or beside a second instance. After each: the promises.
//!
//! The standard run dies at every step once, and fails or pauses at some. With
//! `BANK_TEST_FULL=1` every step meets every action, with one and two instances and three
//! seeds.

use std::time::Duration;

use command_handler::steps::Step;
use local_cluster::testing::watched::{full, run_all};

use crate::process::{self, Action, Settings, Stop};
use crate::world::{Public, World};
use crate::{PATIENCE, eventually};

/// Worlds at a time: most of a scenario is waiting for a session to end.
const SIDE_BY_SIDE: usize = 6;
/// Few, so that there are several batches.
const BATCH_MAX: u64 = 8;
const PORTION: usize = 60;
/// Between two handfuls of commands.
const TRICKLE: Duration = Duration::from_millis(100);
/// The group has noticed by then that a member is gone: its session, and a margin.
const SESSION_IS_OVER: Duration = Duration::from_millis(4_500);

#[derive(Clone, Copy, Debug)]
struct Scenario {
    step: Step,
    action: Action,
    instances: usize,
    seed: u64,
}

impl Scenario {
    fn stop(self) -> Stop {
        let once = matches!(
            self.step,
            Step::OpeningDecided
                | Step::OpeningCommitted
                | Step::PartitionsTaken
                | Step::Clearing
                | Step::Cleared
                | Step::Adopted
        );
        Stop {
            step: self.step,
            action: self.action,
            passing: if once { 1 } else { 1 + self.seed % 3 },
        }
    }

    /// Dies, fails or pauses, recovers, and keeps the promises.
    async fn run(self) {
        let name = format!("{:?}-{}-{}", self.step, self.instances, self.seed);
        let world = World::new(&name).await;
        let mut public = Public::new(self.seed);
        let settings = |stop| Settings {
            batch_max: Some(BATCH_MAX),
            stop,
            ..Settings::default()
        };
        world.send_all(&public.newcomers(6)).await;
        world.send_all(&public.transfers(&world, PORTION)).await;
        if self.step == Step::Adopted {
            // Somebody must have died in debt.
            let stop = Stop {
                step: Step::Committed,
                action: Action::Abort,
                passing: 2,
            };
            let mut indebted = process::start_with(&world, settings(Some(stop)));
            indebted.reaches(stop).await;
        }
        let stop = self.stop();
        let mut watched = process::start_with(&world, settings(Some(stop)));
        let mut others = Vec::new();
        if self.instances == 2 && watched_is_surely_hit(self.step) {
            others.push(process::start_with(&world, settings(None)));
        }
        // With two, there may be nothing left for it in what was sent before.
        eventually("the step", PATIENCE, async || {
            world.send_all(&public.transfers(&world, 10)).await;
            tokio::time::sleep(TRICKLE).await;
            watched.has_reached().then_some(())
        })
        .await;
        watched.reaches(stop).await;
        if self.instances == 2 && others.is_empty() {
            others.push(process::start_with(&world, settings(None)));
        }
        world.send_all(&public.transfers(&world, PORTION)).await;
        match self.action {
            Action::Abort => {}
            Action::Error => {
                // Either it goes on, or it has said why it cannot.
                watched.says("stopped after the step").await;
            }
            Action::Pause => {
                tokio::time::sleep(SESSION_IS_OVER).await;
                match (self.instances, self.step) {
                    // What it owes is paid by the other after a while.
                    (2, Step::Committed | Step::Queued) => world.is_quiet().await,
                    (2, _) => world.is_decided().await,
                    _ => {}
                }
                watched.resume();
                if self.instances == 2 && is_under_way(self.step) {
                    watched.says("fenced").await;
                }
            }
        }
        if others.is_empty() {
            others.push(process::start_with(&world, settings(None)));
        }
        world.send_all(&public.transfers(&world, PORTION)).await;
        world.is_quiet().await;
        let found = world.check().await;
        assert!(found.commands > PORTION, "{found:?}");
        let conflict = |reason: &String| reason == "IDEMPOTENCY_CONFLICT";
        assert!(found.dead_letters.iter().all(conflict), "{found:?}");
        if self.action == Action::Pause {
            assert!(watched.is_running(), "{}", watched.said());
        }
        for other in others {
            other.end().await;
        }
        drop(watched);
        world.end().await;
    }
}

/// A batch is in hand that is not committed.
fn is_under_way(step: Step) -> bool {
    matches!(
        step,
        Step::Polled | Step::Decoded | Step::Locked | Step::Decided
    )
}

/// With two instances from the start, some steps may only ever be the other's.
fn watched_is_surely_hit(step: Step) -> bool {
    !matches!(
        step,
        Step::OpeningDecided | Step::OpeningCommitted | Step::Adopted
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn given_any_step_when_the_handler_dies_after_it_then_its_successor_keeps_every_promise() {
    let scenarios = Step::ALL
        .into_iter()
        .zip(0..)
        .map(|(step, seed)| Scenario {
            step,
            action: Action::Abort,
            instances: 1,
            seed,
        })
        .collect();
    run_all(scenarios, SIDE_BY_SIDE, Scenario::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_instances_when_one_dies_fails_or_pauses_then_both_keep_every_promise() {
    let some = [
        (Step::Polled, Action::Pause),
        (Step::Decided, Action::Pause),
        (Step::CommitSent, Action::Error),
        (Step::CommitSent, Action::Pause),
        (Step::Committed, Action::Pause),
        (Step::PartlyHandedOver, Action::Pause),
        (Step::Clearing, Action::Error),
        (Step::Adopted, Action::Abort),
    ];
    let scenarios = some
        .into_iter()
        .zip(10..)
        .map(|((step, action), seed)| Scenario {
            step,
            action,
            instances: 2,
            seed,
        })
        .collect();
    run_all(scenarios, SIDE_BY_SIDE, Scenario::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_any_step_when_the_next_one_fails_then_the_handler_goes_on_or_says_why_it_ends() {
    let some = [
        Step::OpeningDecided,
        Step::OpeningCommitted,
        Step::PartitionsTaken,
        Step::Locked,
        Step::Decided,
        Step::CommitSent,
        Step::HandedOver,
        Step::Cleared,
    ];
    let scenarios = some
        .into_iter()
        .zip(20..)
        .map(|(step, seed)| Scenario {
            step,
            action: Action::Error,
            instances: 1,
            seed,
        })
        .collect();
    run_all(scenarios, SIDE_BY_SIDE, Scenario::run).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_full_matrix_when_asked_for_then_every_cell_keeps_every_promise() {
    if !full() {
        return;
    }
    let mut scenarios = Vec::new();
    for seed in 100..103 {
        for step in Step::ALL {
            for action in [Action::Abort, Action::Error, Action::Pause] {
                for instances in [1, 2] {
                    scenarios.push(Scenario {
                        step,
                        action,
                        instances,
                        seed,
                    });
                }
            }
        }
    }
    run_all(scenarios, SIDE_BY_SIDE, Scenario::run).await;
}
