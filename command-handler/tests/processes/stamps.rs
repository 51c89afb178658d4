//! Times that travel with a command: what it gives carries them on, and a copy does not.

use rdkafka::Message;
use rdkafka::message::OwnedMessage;
use topology::Topic;
use topology::stamps::{Stamp, Stamps, Trace};

use crate::process;
use crate::world::{World, payment};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn trace(message: &OwnedMessage) -> Option<Trace> {
    message.headers().and_then(Trace::of)
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_command_with_times_when_handled_then_what_it_gives_has_them_and_more() {
    let world = World::new("stamps").await;
    let handler = process::start(&world);
    let asked = Trace {
        parent: Some(PARENT.to_owned()),
        stamps: Stamps::default()
            .with(Stamp::Accepted, 1)
            .with(Stamp::Sent, 2),
    };
    world.send(&payment(1, "Shop"), &asked.headers()).await;
    world.send(&payment(2, "Shop"), &[]).await;
    world.is_quiet().await;

    let answers = world.records(Topic::MoneyTransferFeedback);
    let changes = world.records(Topic::BalanceChanged);
    let traced: Vec<Trace> = [&answers, &changes]
        .map(|records| {
            let mut traced = records.iter().filter_map(trace);
            let first = traced.next().unwrap();
            assert_eq!(traced.next(), None, "only one command asked");
            first
        })
        .to_vec();
    assert_eq!(traced[0], traced[1]);
    assert_eq!(traced[0].parent.as_deref(), Some(PARENT));
    let times: Vec<i64> = Stamp::ALL
        .into_iter()
        .filter(|stamp| *stamp != Stamp::Batch)
        .map(|stamp| traced[0].stamps.get(stamp).unwrap())
        .collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(traced[0].stamps.get(Stamp::Batch).unwrap() >= 1);

    // The same command at another place in the log: answered from the books.
    world.send(&payment(1, "Shop"), &asked.headers()).await;
    world.is_quiet().await;
    let answers = world.records(Topic::MoneyTransferFeedback);
    assert_eq!(answers.len(), 3);
    assert_eq!(answers.iter().filter_map(trace).count(), 1);
    world.check().await;
    handler.end().await;
    world.end().await;
}
