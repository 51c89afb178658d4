//! Whatever a stranger writes into a topic: it is answered, put aside or passed over as
//! [`table`] says, what stands behind it is handled, and no service minds.
//!
//! All cases are sent to one bank, then all are checked.

mod bytes;
mod check;
mod special;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use uuid::Uuid;

use crate::bytes::Datum;
use crate::check::Found;
use crate::table::{CASES, Case, How, table};
use crate::world::{
    ACCOUNT_ANSWERS, Bad, CHANGES, HEARTBEAT, OPENINGS, Place, TRANSFER_ANSWERS, TRANSFERS, World,
};

/// Everything is dealt with within this after it was sent.
const DEALT_WITH: Duration = Duration::from_secs(120);
/// Resident memory a service may have gained when all is over: its queues (`CONSUMER_KIB_MAX`
/// and `PRODUCER_KIB_MAX` of the topology, 36 MiB), and what an allocator keeps.
const MEMORY_GAINED_MAX_KIB: u64 = 64 * 1024;
/// Bad records a reader puts aside in a second, at least. Each of the second kind is a
/// question to the registry, which takes its time on a busy machine.
const FLOODS: [(&str, u128); 2] = [
    ("ten thousand bad records", 1_000),
    ("two thousand schemas nobody has", 20),
];
/// Money of the witness, in cents: more than all cases pay.
const FUNDS_CENTS: i64 = 1_000_000_000;
const SERVICES: [&str; 4] = [
    "command-handler",
    "graphql-endpoint",
    "command-generator",
    "heartbeat",
];

/// A case, where its records came to stand, and the good record behind them.
struct SentCase {
    case: Case,
    records: Vec<Bad>,
    places: Vec<Result<Place, String>>,
    good: Good,
}

/// A good record and what shows that it was handled.
enum Good {
    Command(Uuid),
    Change(String),
    /// Nothing comes of it but that its offset is passed.
    Other,
}

fn partitions(topic: &str) -> usize {
    match topic {
        TRANSFERS | TRANSFER_ANSWERS | CHANGES => 9,
        _ => 1,
    }
}

/// A good record for the same topic and partition.
fn good(world: &World, topic: &'static str, partition: i32) -> (Bad, Good) {
    let id = Uuid::new_v4();
    let (record, good) = match topic {
        TRANSFERS => {
            let (id, record) = world.transfer_with(|_| {});
            (record, Good::Command(id))
        }
        OPENINGS => (Bad::to(OPENINGS, world.opening(id)), Good::Command(id)),
        CHANGES => {
            let change = world.change();
            (world.change_record(&change), Good::Change(change.iban))
        }
        TRANSFER_ANSWERS => {
            let value = Datum::default()
                .raw(id.as_bytes())
                .framed(world.schema("moved"));
            (Bad::to(TRANSFER_ANSWERS, value), Good::Other)
        }
        ACCOUNT_ANSWERS => {
            let datum = Datum::default().raw(id.as_bytes()).text("no reason");
            let value = datum.framed(world.schema("not opened"));
            (Bad::to(ACCOUNT_ANSWERS, value), Good::Other)
        }
        _ => {
            let value = Datum::default()
                .long(1_000_001)
                .framed(world.schema("heartbeat"));
            (Bad::to(HEARTBEAT, value), Good::Other)
        }
    };
    (record.in_partition(partition), good)
}

/// Sends a case and a good record behind it, into a partition chosen by its number.
async fn send(world: &World, number: usize, case: Case) -> Result<SentCase> {
    let (How::Sent(records) | How::Unwritable(records)) = &case.how else {
        return special::send(world, number, case).await;
    };
    let records: Vec<Bad> = records
        .iter()
        .map(|record| {
            let partition = i32::try_from(number % partitions(record.topic)).unwrap_or(0);
            record.clone().in_partition(partition)
        })
        .collect();
    let last = records.last().context("a case without records")?;
    let (follower, good) = good(world, last.topic, last.partition.unwrap_or(0));
    let places = world.send(records.clone()).await?;
    // By itself: a broker refuses a batch for any record in it.
    let follower = world.send(vec![follower]).await?;
    ensure!(
        follower.iter().all(Result::is_ok),
        "{}: {follower:?}",
        case.name
    );
    Ok(SentCase {
        case,
        records,
        places,
        good,
    })
}

fn memory_kib(world: &World) -> Result<BTreeMap<&'static str, u64>> {
    let mut memory = BTreeMap::new();
    for service in SERVICES {
        let pid = world.bank.service(service)?["pid"].clone();
        let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
        let resident = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse().ok());
        memory.insert(service, resident.context("no VmRSS")?);
    }
    Ok(memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_112_kinds_of_records_nobody_should_write_when_written_then_each_has_its_answer()
-> Result<()> {
    let world = World::start().await?;
    let cases = table(&world);
    let names: BTreeSet<_> = cases.iter().map(|case| (case.row, case.name)).collect();
    ensure!(names.len() == CASES, "{} names", names.len());
    ensure!(cases.len() == CASES, "{} cases", cases.len());

    let funds = world.transfer_with(|it| {
        "cash".clone_into(&mut it.from);
        it.to.clone_from(&world.iban);
        it.amount_cents = FUNDS_CENTS;
    });
    world.send(vec![funds.1]).await?;
    world.bank.wait_until_quiet(DEALT_WITH).await?;
    let before = memory_kib(&world)?;

    let started = Instant::now();
    let mut sent = Vec::with_capacity(CASES);
    let mut last = Vec::new();
    for (number, case) in cases.into_iter().enumerate() {
        match case.how {
            How::Unwritable(_) => last.push((number, case)),
            _ => sent.push(send(&world, number, case).await?),
        }
    }
    // What ends a transaction is a record too, which nobody reads: something has to stand
    // behind it, or the partition seems to lag for ever.
    let ends = (0..9).map(|partition| good(&world, TRANSFERS, partition).0);
    world.send(ends.collect()).await?;
    let all_sent = started.elapsed();
    let mut wrong = Vec::new();
    if let Err(error) = world.bank.wait_until_quiet(DEALT_WITH).await {
        wrong.push(format!("{error:#}"));
        // What the last ones are about can only be seen on a bank that is well.
        last.clear();
    }
    let dealt_with = started.elapsed();
    for (number, case) in last {
        let forbidden = special::forbid_dead_letters(&world).await?;
        let case = send(&world, number, case).await?;
        // The good one behind them is handled although they have nowhere to go.
        check::wait_for_good(&world, &case.good, DEALT_WITH).await?;
        let found = Found::read(&world).await?;
        let mut places = case.places.iter().flatten();
        ensure!(
            places.all(|place| !found.is_dead(place)),
            "it took dead letters"
        );
        forbidden.allow().await?;
        sent.push(case);
        world.bank.wait_until_quiet(DEALT_WITH).await?;
    }

    let found = Found::read(&world).await?;
    for sent in &sent {
        let name = format!("{}: {}", sent.case.row, sent.case.name);
        if let Err(error) = check::case(&found, sent) {
            wrong.push(format!("{name}: {error:#}"));
        }
        if let Err(error) = check::good(&found, &sent.good) {
            wrong.push(format!("{name}: the good one behind it: {error:#}"));
        }
    }
    wrong.extend(check::nothing_dropped(&world, &found));
    wrong.extend(check::services_untouched(&world)?);
    wrong.extend(check::books(&world).await?);
    for (service, after) in memory_kib(&world)? {
        let gained = after.saturating_sub(before[service]);
        if gained > MEMORY_GAINED_MAX_KIB {
            wrong.push(format!("{service} has gained {gained} KiB"));
        }
    }
    let mut rates = BTreeMap::new();
    for (name, least) in FLOODS {
        let flood = sent.iter().find(|sent| sent.case.name == name);
        let flood = flood.context("no flood")?;
        let per_second = found.put_aside_per_second(flood).unwrap_or(0);
        if per_second < least {
            wrong.push(format!("{name}: only {per_second} put aside in a second"));
        }
        rates.insert(name, per_second);
    }
    let after = memory_kib(&world)?;
    tell(&format!(
        "sent in {all_sent:?}, dealt with in {dealt_with:?}, put aside in a second {rates:?}, \
         resident KiB before {before:?}, after {after:?}"
    ));
    ensure!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    Ok(())
}

#[expect(clippy::print_stderr, reason = "figures for whoever runs it by hand")]
fn tell(figures: &str) {
    eprintln!("{figures}");
}
