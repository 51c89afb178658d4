//! The read model made anew while the gateway serves the old one.

#[path = "support/mod.rs"]
#[allow(dead_code, reason = "each test binary uses its own part of it")]
mod support;

use std::io::Write as _;
use std::time::Instant;

use graphql_endpoint::rebuild::{Rebuilt, rebuild};
use serde_json::{Value, json};
use topology::producer::Outgoing;
use topology::records::BalanceChanged;
use topology::{COMPANY_IBAN, Iban, Record, Topic};

use support::{Follower, Program, World, change, eventually};

const CHANGES: i64 = 1_000;
/// For the speed: accounts, and changes of each.
const ACCOUNTS: u64 = 500;
const CHANGES_EACH: i64 = 300;
/// A tenth of what a quiet machine of two cores should do, for one that has other work.
const ROWS_PER_SECOND_MIN: u128 = 5_000;
const ACCOUNT: &str = "query ($iban: Iban!) { account(iban: $iban) { version balance } }";

async fn account(world: &World) -> Value {
    let variables = json!({ "iban": COMPANY_IBAN });
    let answer = Program::default().ask(world, ACCOUNT, variables).await;
    answer["data"]["account"].clone()
}

async fn is_at(world: &World, version: i64) {
    eventually("the read model has the change", async || {
        (account(world).await["version"] == version).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_running_gateway_when_the_read_model_is_rebuilt_then_nobody_misses_anything() {
    let world = World::start("rebuild").await;
    for version in 1..=CHANGES {
        world.send_change(change(version)).await;
    }
    // What nobody can read is no dead letter a second time.
    world
        .send(topology::Topic::BalanceChanged, "key", b"no record")
        .await;
    is_at(&world, CHANGES).await;
    let mut follower = Follower::of(&world, None, COMPANY_IBAN, Some("0")).await;

    let rebuilt = rebuild(&world.config()).await.expect("a rebuild");
    let (rows, was_equal) = (CHANGES, true);
    assert_eq!(rebuilt, Rebuilt { rows, was_equal });
    assert_eq!(account(&world).await["version"], CHANGES);

    // The projection goes on where the new tables are, and the follower has seen it all.
    for version in CHANGES + 1..=CHANGES + 10 {
        world.send_change(change(version)).await;
    }
    let seen = follower.versions(1_010).await;
    assert_eq!(seen, (1..=CHANGES + 10).collect::<Vec<i64>>());
    is_at(&world, CHANGES + 10).await;

    // Somebody has changed the read model by hand: told, and mended.
    world
        .read_model(
            "UPDATE account_transaction SET description = 'forged' WHERE version = 500;
             UPDATE account SET balance_cents = 1;
             DELETE FROM account_transaction WHERE version = 7",
        )
        .await;
    let rebuilt = rebuild(&world.config()).await.expect("a rebuild");
    let (rows, was_equal) = (CHANGES + 10, false);
    assert_eq!(rebuilt, Rebuilt { rows, was_equal });
    assert_eq!(account(&world).await["balance"], "101000");
    world.send_change(change(CHANGES + 11)).await;
    is_at(&world, CHANGES + 11).await;
    let dead = world
        .read_until(topology::Topic::DeadLetters, |records| !records.is_empty())
        .await;
    assert_eq!(dead.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_long_history_when_the_read_model_is_rebuilt_then_it_takes_seconds() {
    let mut world = World::start("rebuild-speed").await;
    world.stop_gateway().await;
    for version in 1..=CHANGES_EACH {
        let changes: Vec<(String, Vec<u8>)> = (1..=ACCOUNTS)
            .map(|account| {
                let iban = Iban::of_our_bank(account).as_str().to_owned();
                let changed = BalanceChanged {
                    iban: iban.clone(),
                    ..change(version)
                };
                let record = Record::BalanceChanged(changed);
                let value = world.codec.encode(Topic::BalanceChanged, &record);
                (iban, value.expect("a change"))
            })
            .collect();
        let records: Vec<Outgoing<'_>> = changes
            .iter()
            .map(|(iban, value)| Outgoing {
                topic: Topic::BalanceChanged,
                key: iban.as_bytes(),
                value: Some(value),
                headers: &[],
            })
            .collect();
        let sent = world.producer.send_all(&records).await;
        sent.expect("a producer").wait().await.expect("a broker");
    }
    let begun_at = Instant::now();
    rebuild(&world.config()).await.expect("a rebuild");
    let took = begun_at.elapsed();
    let rows = u128::from(ACCOUNTS) * u128::try_from(CHANGES_EACH).expect("a number");
    let per_second = rows * 1_000 / took.as_millis().max(1);
    // Past the harness, which keeps what a passing test prints to itself.
    writeln!(
        std::io::stderr(),
        "rebuilt {rows} rows in {took:?}: {per_second} rows a second"
    )
    .expect("a place to write to");
    assert!(
        per_second >= ROWS_PER_SECOND_MIN,
        "{per_second} rows a second"
    );
}
