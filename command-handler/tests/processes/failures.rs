//! What surrounds the handler fails: the database, the broker, the data.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use local_cluster::{Cluster, testing};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier};
use rdkafka::client::DefaultClientContext;

use rustix::process::{Pid, Signal, kill_process};
use topology::{COMPANY_IBAN, Topic};

use crate::process::{self, Process, Settings};
use crate::proxy::Proxy;
use crate::world::{Public, World, payment};
use crate::{PATIENCE, eventually};

/// A stop takes no longer, whatever is away.
const STOPS_WITHIN: Duration = Duration::from_secs(10);
/// Long enough for a loop that goes on to be seen going on.
const A_WHILE: Duration = Duration::from_secs(2);
/// Debts that may wait for a broker: those queued, those under way, and one in hand.
const DEBTS_MAX: i64 = 4 + 16 + 1;

async fn exits_saying(mut handler: Process, words: &[&str]) {
    let status = handler.exit().await;
    let said = handler.said();
    assert_eq!(status.code(), Some(1), "{said}");
    for word in words {
        assert!(said.contains(word), "`{word}` is not in:\n{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_record_the_database_refuses_when_it_stands_in_a_batch_then_it_alone_is_a_dead_letter()
 {
    let world = World::new("poison").await;
    // No text of a command is known to be refused; a rule of the database's own is.
    world
        .sql()
        .await
        .batch_execute("alter table ledger_entry add check (account <> 'Poison')")
        .await
        .unwrap();
    let commands: Vec<_> = (0..100)
        .map(|number| {
            payment(
                number,
                if number == 37 || number == 38 {
                    "Poison"
                } else {
                    "Shop"
                },
            )
        })
        .collect();
    world.send_all(&commands).await;
    let mut handler = process::start(&world);
    world.is_quiet().await;
    let found = world.check().await;
    assert_eq!(found.dead_letters, ["REFUSED_BY_DATABASE"; 2]);
    assert_eq!(world.decided().await, 98);
    assert_eq!(found.repeated, 0);
    // Those around it were not done one by one.
    let debts = world
        .number("select last_value from emission_debt_debt_id_seq")
        .await;
    assert!(debts < 40, "{debts} batches");
    handler.says("dead letter").await;
    handler.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_database_that_goes_away_when_it_is_back_then_nothing_was_half_done() {
    let world = World::new("database-away").await;
    let proxy = Proxy::to_the_books_of(&world).await;
    let settings = Settings {
        database_url: Some(&proxy.database_url),
        batch_max: Some(8),
        ..Settings::default()
    };
    let mut public = Public::new(1);
    let mut handler = process::start_with(&world, settings);
    world.send_all(&public.newcomers(10)).await;
    for round in 1..=3 {
        let load = public.transfers(&world, 300);
        tokio::join!(world.send_all(&load), async {
            world.decides(60 * round).await;
            proxy.cut();
            let decided = world.decided().await;
            // A commit that was on its way may still arrive.
            eventually("nothing is decided without it", PATIENCE, async || {
                tokio::time::sleep(A_WHILE / 4).await;
                (world.decided().await <= decided + 8).then_some(())
            })
            .await;
            assert!(handler.is_running());
            proxy.mend();
        });
    }
    world.is_quiet().await;
    world.check().await;
    handler.says("failed, trying again").await;
    handler.says("works again").await;

    // It may also be told to stop meanwhile.
    proxy.cut();
    world.send_all(&public.transfers(&world, 20)).await;
    tokio::time::sleep(A_WHILE / 4).await;
    handler.terminate();
    let status = tokio::time::timeout(STOPS_WITHIN, handler.exit()).await;
    assert!(status.unwrap().success(), "{}", handler.said());
    world.end().await;
}

/// The handler has begun to wait for somebody's lock.
async fn waits_for_a_lock(world: &World) {
    let sql = world.sql().await;
    eventually("the handler waits for a lock", PATIENCE, async || {
        let waits = "select count(*) from pg_stat_activity where wait_event_type = 'Lock' \
                     and datname = current_database() and application_name = 'command-handler'";
        let waits: i64 = sql.query_one(waits, &[]).await.unwrap().get(0);
        (waits > 0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_deadlock_when_the_database_ends_it_at_our_cost_then_the_batch_is_tried_again() {
    let world = World::new("deadlock").await;
    let mut public = Public::new(2);
    let mut handler = process::start(&world);
    world.send_all(&public.newcomers(1)).await;
    world.decides(1).await;
    let sql = world.sql().await;
    let ibans: Vec<String> = sql
        .query("select iban from account order by iban", &[])
        .await
        .unwrap()
        .iter()
        .map(|row| row.get(0))
        .collect();
    // The handler locks in order, so it has the first when it waits for the last.
    let [first, last] = ibans.as_slice() else {
        panic!("the company and a customer, not {ibans:?}");
    };
    let customer = ibans.iter().find(|it| *it != COMPANY_IBAN).unwrap();
    sql.batch_execute("begin").await.unwrap();
    let lock = "select from account where iban = $1 for update";
    sql.query(lock, &[last]).await.unwrap();
    world.send_all(&[payment(1, customer)]).await;
    waits_for_a_lock(&world).await;
    // Now we wait for the handler. It began to wait first, and so finds the deadlock first.
    sql.query(lock, &[first]).await.unwrap();
    sql.batch_execute("rollback").await.unwrap();
    world.is_quiet().await;
    world.check().await;
    handler.says("deadlock detected").await;
    handler.end().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_stricter_isolation_when_transactions_cannot_be_serialised_then_they_are_tried_again()
 {
    let world = World::new("serialisation").await;
    let name = &world.books.name;
    let strict =
        format!("alter database \"{name}\" set default_transaction_isolation = 'repeatable read'");
    world.sql().await.batch_execute(&strict).await.unwrap();
    let mut handler = process::start(&world);
    world.send_all(&[payment(1, "Shop")]).await;
    world.decides(1).await;
    let sql = world.sql().await;
    // Changes nothing, but the handler's snapshot is older than it.
    sql.batch_execute("begin; update account set limit_cents = limit_cents")
        .await
        .unwrap();
    world.send_all(&[payment(2, "Shop")]).await;
    waits_for_a_lock(&world).await;
    sql.batch_execute("commit").await.unwrap();
    world.is_quiet().await;
    world.check().await;
    handler.says("could not serialize access").await;
    handler.end().await;
    world.end().await;
}

/// A cluster of its own, whose broker may be harmed.
struct OwnCluster {
    cluster: Cluster,
    directory: PathBuf,
}

impl OwnCluster {
    async fn start(test: &str) -> OwnCluster {
        let name = testing::unique_prefix(test);
        let directory = std::env::temp_dir().join(format!("{name}cluster"));
        let cluster = Cluster::open(&directory, &[], Arc::new(|_| {}))
            .await
            .unwrap();
        cluster.start().await.unwrap();
        OwnCluster { cluster, directory }
    }

    fn signal_broker(&self, signal: Signal) {
        let layout = local_cluster::Layout::new(&self.directory);
        let state = local_cluster::State::load(&layout).unwrap().unwrap();
        let broker = state.programs["kafka"].process.unwrap();
        let pid = i32::try_from(broker.pid).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
    }

    async fn end(self) {
        self.cluster.stop().await;
        std::fs::remove_dir_all(&self.directory).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_silent_broker_when_the_debts_reach_their_bound_then_the_loop_waits_and_goes_on_later()
 {
    let own = OwnCluster::start("silent-broker").await;
    let world = World::on(own.cluster.endpoints().clone(), "silent").await;
    let commands: Vec<_> = (0..2_000).map(|number| payment(number, "Shop")).collect();
    world.send_all(&commands).await;
    let settings = Settings {
        batch_max: Some(8),
        ..Settings::default()
    };
    let mut handler = process::start_with(&world, settings);
    // The loop is held while it reads ahead, so that there is something left to decide.
    world.decides(8).await;
    let sql = world.sql().await;
    sql.batch_execute("begin; lock table account in access exclusive mode")
        .await
        .unwrap();
    tokio::time::sleep(A_WHILE / 2).await;
    own.signal_broker(Signal::STOP);
    sql.batch_execute("rollback").await.unwrap();
    let owed = "select count(*) from emission_debt";
    eventually("the debts reach their bound", PATIENCE, async || {
        (world.number(owed).await == DEBTS_MAX).then_some(())
    })
    .await;
    tokio::time::sleep(A_WHILE).await;
    assert_eq!(world.number(owed).await, DEBTS_MAX);
    assert!(world.decided().await < 2_000, "the loop did not wait");
    assert!(handler.is_running());
    own.signal_broker(Signal::CONT);
    world.is_quiet().await;
    world.check().await;

    // The same with a broker that is gone, and a stop meanwhile.
    own.signal_broker(Signal::KILL);
    handler.terminate();
    let status = tokio::time::timeout(STOPS_WITHIN, handler.exit()).await;
    assert!(status.unwrap().success(), "{}", handler.said());
    // And a start meanwhile: it waits.
    let more: Vec<_> = (2_000..2_100)
        .map(|number| payment(number, "Shop"))
        .collect();
    let handler = process::start_with(&world, settings);
    world.send_all(&more).await;
    world.is_quiet().await;
    world.check().await;
    handler.end().await;
    world.end().await;
    own.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_topic_that_refuses_for_good_when_a_debt_is_sent_then_the_handler_stops_and_names_it()
 {
    let world = World::new("refusing-topic").await;
    let topic = world.kafka.topics().name(Topic::BalanceChanged);
    set(&world, &topic, "max.message.bytes", "64").await;
    world.send_all(&[payment(1, "Shop")]).await;
    let handler = process::start(&world);
    exits_saying(handler, &["cannot go on", &topic]).await;
    // Nothing is skipped: the next start tries the same.
    let handler = process::start(&world);
    exits_saying(handler, &["cannot go on", &topic]).await;
    set(&world, &topic, "max.message.bytes", "1048576").await;
    let handler = process::start(&world);
    world.is_quiet().await;
    let found = world.check().await;
    assert_eq!(found.commands, 1);
    handler.end().await;
    world.end().await;
}

async fn set(world: &World, topic: &str, name: &str, value: &str) {
    let admin: AdminClient<DefaultClientContext> = world.kafka.client("admin").create().unwrap();
    let change = AlterConfig::new(ResourceSpecifier::Topic(topic)).set(name, value);
    let changed = admin
        .alter_configs([&change], &AdminOptions::new())
        .await
        .unwrap();
    assert!(changed.iter().all(Result::is_ok), "{changed:?}");
    eventually("the broker has the setting", PATIENCE, async || {
        let described = admin
            .describe_configs([&ResourceSpecifier::Topic(topic)], &AdminOptions::new())
            .await
            .unwrap();
        let settings = described[0].as_ref().unwrap();
        (settings.get(name)?.value.as_deref() == Some(value)).then_some(())
    })
    .await;
}

/// A copy of the books as they are now, and a way to make them the books again.
struct Backup {
    name: String,
    copy: String,
}

impl Backup {
    async fn of(world: &World) -> Backup {
        let backup = Backup {
            name: world.books.name.clone(),
            copy: format!("{}_copy_{}", world.books.name, world.next_process()),
        };
        let Backup { name, copy } = &backup;
        // A template must have no sessions.
        world.admin_sql(&terminate(name)).await;
        world
            .admin_sql(&format!(
                "create database \"{copy}\" template \"{name}\" owner \"{name}\""
            ))
            .await;
        backup
    }

    async fn restore(&self, world: &World) {
        let Backup { name, copy } = self;
        world
            .admin_sql(&format!("drop database \"{name}\" with (force)"))
            .await;
        world
            .admin_sql(&format!(
                "create database \"{name}\" template \"{copy}\" owner \"{name}\""
            ))
            .await;
    }

    async fn drop(&self, world: &World) {
        let copy = &self.copy;
        world.admin_sql(&format!("drop database \"{copy}\"")).await;
    }
}

fn terminate(database: &str) -> String {
    format!("select pg_terminate_backend(pid) from pg_stat_activity where datname = '{database}'")
}

#[tokio::test(flavor = "multi_thread")]
async fn given_books_restored_from_a_backup_when_the_handler_starts_then_it_refuses_and_says_why() {
    let world = World::new("restored").await;
    let mut public = Public::new(4);
    let handler = process::start(&world);
    world.send_all(&public.newcomers(5)).await;
    world.is_quiet().await;
    handler.end().await;
    let backup = Backup::of(&world).await;
    let handler = process::start(&world);
    world.send_all(&public.transfers(&world, 50)).await;
    world.is_quiet().await;
    handler.end().await;
    let newest = Backup::of(&world).await;

    backup.restore(&world).await;
    let before = world.decided().await;
    exits_saying(
        process::start(&world),
        &[
            "the database is older than the log",
            "were dealt with up to offset",
            "restore a newer backup",
        ],
    )
    .await;
    assert_eq!(world.decided().await, before, "nothing was decided");

    // Empty books are as old as can be.
    world
        .sql()
        .await
        .batch_execute("truncate account, outcome, ledger_entry, consumer_offset, emission_debt")
        .await
        .unwrap();
    exits_saying(
        process::start(&world),
        &["the database is older than the log"],
    )
    .await;
    assert_eq!(
        world.number("select count(*) from outcome").await,
        0,
        "nothing was opened"
    );

    newest.restore(&world).await;
    let handler = process::start(&world);
    world.send_all(&public.transfers(&world, 50)).await;
    world.is_quiet().await;
    world.check().await;
    handler.end().await;
    backup.drop(&world).await;
    newest.drop(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_running_handler_when_its_books_are_replaced_by_older_ones_then_it_stops_and_says_why()
 {
    let world = World::new("replaced").await;
    let mut public = Public::new(5);
    let handler = process::start(&world);
    world.send_all(&public.newcomers(5)).await;
    world.is_quiet().await;
    let backup = Backup::of(&world).await;
    world.send_all(&public.transfers(&world, 50)).await;
    world.is_quiet().await;
    backup.restore(&world).await;
    world.send_all(&public.transfers(&world, 5)).await;
    exits_saying(handler, &["the database is older than the log"]).await;
    backup.drop(&world).await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_log_that_is_shorter_than_the_books_when_the_handler_reads_then_it_stops_and_says_why()
 {
    let world = World::new("short-log").await;
    let handler = process::start(&world);
    world.send_all(&[payment(1, "Shop")]).await;
    world.is_quiet().await;
    handler.end().await;
    let ahead = "update consumer_offset set next_offset = next_offset + 1000";
    world.sql().await.batch_execute(ahead).await.unwrap();
    exits_saying(
        process::start(&world),
        &["the log and the stored positions do not fit"],
    )
    .await;
    world.end().await;
}
