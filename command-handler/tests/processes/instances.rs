//! Several handlers share the work, and any of them may die or be paused.

use std::time::Duration;

use command_handler::steps::Step;

use crate::process::{self, Action, Process, Settings, Stop};
use crate::world::{Public, World, payment};
use crate::{PATIENCE, eventually};

/// Commands before, between and after each blow.
const PORTION: usize = 300;
/// The group has noticed by then that a member is gone: its session, and a margin.
const SESSION_IS_OVER: Duration = Duration::from_millis(4_500);
/// The same for the classic protocol, whose session is ten seconds.
const CLASSIC_SESSION_IS_OVER: Duration = Duration::from_secs(13);

async fn given_accounts(world: &World, public: &mut Public) {
    world.send_all(&public.newcomers(20)).await;
    world.decides(20).await;
}

/// Sends a portion, some at a time, so that it meets what happens meanwhile.
async fn portion(world: &World, public: &mut Public) {
    for commands in public.transfers(world, PORTION).chunks(20) {
        world.send_all(commands).await;
    }
}

/// Every instance has partitions.
async fn is_shared(instances: &mut [Process]) {
    for instance in instances {
        instance.says("partitions assigned").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_handlers_when_one_is_killed_then_the_other_pays_its_debts_and_takes_its_partitions()
 {
    let world = World::new("two-killed").await;
    let mut public = Public::new(1);
    let mut instances = vec![process::start(&world), process::start(&world)];
    is_shared(&mut instances).await;
    given_accounts(&world, &mut public).await;
    portion(&world, &mut public).await;
    let backlog = public.transfers(&world, PORTION);
    // Before anything is sent: what is decided first may be all of it.
    let before = world.decided().await;
    tokio::join!(world.send_all(&backlog), async {
        world.decides(before + 50).await;
        instances[0].kill();
        world.debts_are_taken_over().await;
    });
    portion(&world, &mut public).await;
    world.is_quiet().await;
    let found = world.check().await;
    assert!(found.commands > 2 * PORTION);
    instances.remove(1).end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_handler_that_dies_in_debt_when_another_lives_then_it_has_paid_within_two_seconds()
{
    let world = World::new("in-debt").await;
    let mut public = Public::new(7);
    let stop = Stop {
        step: Step::Committed,
        action: Action::Abort,
        passing: 3,
    };
    let mut indebted = process::start_with(
        &world,
        Settings {
            stop: Some(stop),
            ..Settings::default()
        },
    );
    indebted.says("partitions assigned").await;
    let mut heir = process::start(&world);
    heir.says("partitions assigned").await;
    eventually("one has died", PATIENCE, async || {
        world.send_all(&public.transfers(&world, 10)).await;
        indebted.has_reached().then_some(())
    })
    .await;
    indebted.reaches(stop).await;
    world.debts_are_taken_over().await;
    heir.says("paying debts").await;
    world.is_quiet().await;
    world.check().await;
    heir.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_three_handlers_when_one_is_killed_and_one_paused_past_its_session_then_nothing_is_lost_or_doubled()
 {
    let world = World::new("three").await;
    let mut public = Public::new(2);
    let mut instances: Vec<Process> = (0..3).map(|_| process::start(&world)).collect();
    is_shared(&mut instances).await;
    given_accounts(&world, &mut public).await;
    portion(&world, &mut public).await;
    instances[0].pause();
    portion(&world, &mut public).await;
    instances[1].kill();
    world.debts_are_taken_over().await;
    portion(&world, &mut public).await;
    tokio::time::sleep(SESSION_IS_OVER).await;
    // All of it is the third one's by now.
    world.is_quiet().await;
    world.check().await;
    instances[0].resume();
    portion(&world, &mut public).await;
    world.is_quiet().await;
    let found = world.check().await;
    assert!(found.commands > 3 * PORTION);
    assert!(instances[0].is_running(), "{}", instances[0].said());
    instances.remove(2).end().await;
    portion(&world, &mut public).await;
    world.is_quiet().await;
    world.check().await;
    // What was a zombie is now the only one.
    instances.remove(0).end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_the_classic_protocol_when_one_of_two_is_paused_then_killed_then_the_other_goes_on() {
    let world = World::new("classic").await;
    let mut public = Public::new(3);
    let classic = Settings {
        classic: true,
        ..Settings::default()
    };
    let mut instances: Vec<Process> = (0..2)
        .map(|_| process::start_with(&world, classic))
        .collect();
    is_shared(&mut instances).await;
    given_accounts(&world, &mut public).await;
    portion(&world, &mut public).await;
    instances[0].pause();
    portion(&world, &mut public).await;
    tokio::time::sleep(CLASSIC_SESSION_IS_OVER).await;
    world.is_quiet().await;
    world.check().await;
    instances[0].resume();
    portion(&world, &mut public).await;
    instances[1].kill();
    world.debts_are_taken_over().await;
    world.is_quiet().await;
    world.check().await;
    instances.remove(0).end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_handlers_that_come_and_go_in_order_when_under_load_then_nothing_is_sent_twice() {
    let world = World::new("come-and-go").await;
    let mut instances = vec![process::start(&world)];
    let mut numbers = 0..;
    for _ in 0..3 {
        let load: Vec<_> = numbers
            .by_ref()
            .take(PORTION)
            .map(|number| payment(number, "Shop").spread())
            .collect();
        let next = process::start(&world);
        world.send_all(&load).await;
        instances.push(next);
        instances[1].says("partitions assigned").await;
        instances.remove(0).end().await;
    }
    world.is_quiet().await;
    let found = world.check().await;
    assert_eq!((found.commands, found.repeated), (3 * PORTION, 0));
    instances.remove(0).end().await;
    world.end().await;
}

/// The group gives a partition to two instances one after the other, but the first takes
/// it in the books after the second: the rightful owner is fenced, and nobody tells it.
#[tokio::test(flavor = "multi_thread")]
async fn given_a_partition_taken_in_the_wrong_order_when_its_owner_is_fenced_then_it_takes_it_back()
{
    let world = World::new("taken-back").await;
    let mut public = Public::new(5);
    let mut handler = process::start(&world);
    given_accounts(&world, &mut public).await;
    portion(&world, &mut public).await;
    world.is_quiet().await;
    let late = "update consumer_offset set owner_epoch = owner_epoch + 1";
    assert!(world.sql().await.execute(late, &[]).await.unwrap() > 0);
    portion(&world, &mut public).await;
    handler.says("fenced").await;
    handler.says("partitions taken back").await;
    portion(&world, &mut public).await;
    world.is_quiet().await;
    world.check().await;
    handler.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_handler_that_is_killed_when_it_is_started_again_then_events_flow_within_seconds() {
    let world = World::new("restart").await;
    let mut public = Public::new(6);
    let mut handler = process::start(&world);
    given_accounts(&world, &mut public).await;
    portion(&world, &mut public).await;
    handler.kill();
    let killed = std::time::Instant::now();
    let handler = process::start(&world);
    let before = world.decided().await;
    portion(&world, &mut public).await;
    eventually("commands are decided again", PATIENCE, async || {
        (world.decided().await > before).then_some(())
    })
    .await;
    let took = killed.elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
    world.is_quiet().await;
    world.check().await;
    handler.end().await;
    world.end().await;
}
