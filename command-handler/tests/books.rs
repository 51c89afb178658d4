//! The books against a real PostgreSQL: what two instances, zombies and deaths may do.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::HashSet;

use command_handler::batch::{self, Item, Plan, Source, Tools};
use command_handler::domain::{Command, Transfer};
use command_handler::frames::Frames;
use command_handler::keys::{self, HandlerKey};
use command_handler::opening;
use command_handler::request::Request;
use command_handler::steps::Steps;
use command_handler::store::books::{Books, BooksError};
use command_handler::store::debts;
use command_handler::store::positions::BookedPositions;
use diesel_async::{AsyncConnection, AsyncPgConnection};
use local_cluster::testing;
use tokio_postgres::NoTls;
use topology::consumer::{Consumed, Positions};
use topology::records::RecordKind as Kind;
use topology::{Cents, Codec, CommandId, Iban, Token, Topic, Topics};

const SCHEMA: &str =
    include_str!("../../synchronizer/migrations/command_handler/2026-11-21-000000_books/up.sql");
const COMPANY_TOKEN: &str = "the company's token";
const AT: (Topic, i32) = (Topic::ConfirmMoneyTransfer, 3);

/// Books of its own for one test, opened.
struct Given {
    url: String,
    key: HandlerKey,
    codec: Codec,
}

impl Given {
    async fn opened_books() -> Given {
        let cluster = tokio::task::spawn_blocking(testing::shared_cluster)
            .await
            .unwrap();
        let database = testing::create_database(cluster, "books").await.unwrap();
        let given = Given {
            url: database.url,
            key: HandlerKey::new("a key"),
            codec: Codec::with_ids(&[
                (
                    Topic::MoneyTransferFeedback,
                    Kind::MoneyTransferConfirmed,
                    3,
                ),
                (Topic::MoneyTransferFeedback, Kind::MoneyTransferFailed, 4),
                (Topic::BalanceChanged, Kind::BalanceChanged, 5),
            ]),
        };
        given
            .query_client()
            .await
            .batch_execute(SCHEMA)
            .await
            .unwrap();
        let books = given.books().await;
        let token = Token::new(COMPANY_TOKEN.to_owned());
        let steps = Steps::default();
        let debt = opening::book(&books, &token, &given.key, &given.codec, &steps).await;
        let debt = debt.unwrap().expect("the opening is owed");
        debts::remove(&mut given.cold().await, &[debt.id])
            .await
            .unwrap();
        given
    }

    async fn books(&self) -> Books {
        Books::connect(&self.url).await.unwrap()
    }

    async fn cold(&self) -> AsyncPgConnection {
        AsyncPgConnection::establish(&self.url).await.unwrap()
    }

    async fn query_client(&self) -> tokio_postgres::Client {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await.unwrap();
        tokio::spawn(connection);
        client
    }

    /// Takes the partition over and returns the new epoch.
    async fn assign(&self) -> i64 {
        let positions = BookedPositions::new(&self.url).assigned(vec![AT]).await;
        positions.unwrap()[0].epoch
    }

    /// A payment of one euro by the company, read at this offset under this epoch.
    fn payment(id: u8, offset: i64, epoch: i64) -> Item {
        Item {
            record: Consumed {
                topic: AT.0,
                partition: AT.1,
                offset,
                epoch,
                timestamp_ms: 0,
                key: None,
                value: None,
                trace: None,
            },
            request: Ok(Request {
                id: CommandId::from_bytes([id; 16]),
                hash: [id; 16],
                account_type: None,
                command: Command::Transfer(Transfer::read(
                    Cents(100),
                    Iban::company().as_str(),
                    "Shop",
                    keys::digest(COMPANY_TOKEN),
                    "",
                )),
            }),
        }
    }

    async fn plan(&self, books: &Books, items: &[Item]) -> Result<Plan, BooksError> {
        let ibans = batch::touched_ibans(items, &self.key);
        let ids = batch::command_ids(items);
        let known = books.begin(&ibans, &ids, &self.key).await?;
        let tools = Tools {
            key: &self.key,
            codec: &self.codec,
            topics: &Topics::default(),
        };
        let plan = batch::plan(items, known.accounts, known.priors, tools);
        Ok(plan.unwrap())
    }

    /// Both round trips; rolls back what is refused.
    async fn write(
        &self,
        books: &Books,
        items: &[Item],
    ) -> Result<(Plan, Option<i64>), BooksError> {
        let written = async {
            let plan = self.plan(books, items).await?;
            let debt = books.commit(&plan).await?;
            Ok((plan, debt))
        }
        .await;
        if written.is_err() {
            books.abandon().await.unwrap();
        }
        written
    }

    async fn number(&self, query: &str) -> i64 {
        let row = self.query_client().await.query_one(query, &[]).await;
        row.unwrap().get(0)
    }

    async fn company_version(&self) -> i64 {
        self.number("select version from account").await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn given_open_books_when_opened_again_then_nothing_is_booked_a_second_time() {
    let given = Given::opened_books().await;
    let books = given.books().await;
    let token = Token::new(COMPANY_TOKEN.to_owned());
    let steps = Steps::default();
    let again = opening::book(&books, &token, &given.key, &given.codec, &steps);
    assert!(again.await.unwrap().is_none());
    assert_eq!(given.company_version().await, 1);
    let sum = "select sum(delta_cents)::bigint from ledger_entry";
    assert_eq!(given.number(sum).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_new_company_token_when_opened_again_then_the_old_one_pays_no_more() {
    let given = Given::opened_books().await;
    let books = given.books().await;
    let token = Token::new("another token".to_owned());
    let steps = Steps::default();
    let again = opening::book(&books, &token, &given.key, &given.codec, &steps);
    assert!(again.await.unwrap().is_none());
    let epoch = given.assign().await;
    let (plan, _) = given
        .write(&books, &[Given::payment(1, 0, epoch)])
        .await
        .unwrap();
    assert_eq!(
        plan.outcomes[0].rejection.unwrap().reason(),
        "invalid token"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_committed_batch_when_its_records_come_again_then_nothing_changes() {
    let given = Given::opened_books().await;
    let books = given.books().await;
    let epoch = given.assign().await;
    let items = [Given::payment(1, 0, epoch), Given::payment(2, 1, epoch)];
    let (first, _) = given.write(&books, &items).await.unwrap();
    let (again, debt) = given.write(&books, &items).await.unwrap();
    assert!(again.outcomes.is_empty() && again.frames.is_empty() && debt.is_none());
    assert_eq!(given.company_version().await, 3);

    // The same commands at other offsets: the same bytes, no second effect.
    let retried = [Given::payment(1, 2, epoch), Given::payment(2, 3, epoch)];
    let (retried, debt) = given.write(&books, &retried).await.unwrap();
    assert!(retried.outcomes.is_empty() && debt.is_some());
    assert_eq!(retried.frames, first.frames);
    assert_eq!(given.company_version().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_a_lost_partition_when_its_zombie_commits_then_it_is_refused_whole() {
    let given = Given::opened_books().await;
    let zombie = given.books().await;
    let old_epoch = given.assign().await;
    let new_epoch = given.assign().await;
    assert!(new_epoch > old_epoch);
    let refused = given
        .write(&zombie, &[Given::payment(1, 0, old_epoch)])
        .await;
    assert!(matches!(refused, Err(BooksError::Fenced)));
    assert_eq!(given.company_version().await, 1);
    assert_eq!(given.number("select count(*) from outcome").await, 1);
    assert_eq!(given.number("select count(*) from emission_debt").await, 0);

    let owner = given.books().await;
    given
        .write(&owner, &[Given::payment(1, 0, new_epoch)])
        .await
        .unwrap();
    assert_eq!(given.company_version().await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_an_offset_that_is_dealt_with_when_moved_back_then_it_is_refused() {
    let given = Given::opened_books().await;
    let books = given.books().await;
    let epoch = given.assign().await;
    given
        .write(&books, &[Given::payment(1, 7, epoch)])
        .await
        .unwrap();
    let back = given.write(&books, &[Given::payment(2, 3, epoch)]).await;
    assert!(matches!(back, Err(BooksError::Fenced)));
    let stands = books
        .owned(&batch_offsets(&[Given::payment(2, 3, epoch)]))
        .await
        .unwrap();
    assert_eq!(stands[0].next_offset, 8);
}

fn batch_offsets(items: &[Item]) -> Vec<batch::OffsetMove> {
    items
        .iter()
        .map(|item| {
            let Source {
                topic,
                partition,
                offset,
            } = Source::of(&item.record);
            batch::OffsetMove {
                topic,
                partition,
                next_offset: offset,
                epoch: item.record.epoch,
            }
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn given_two_instances_when_both_pay_from_one_account_then_every_payment_is_booked_once() {
    const PAYMENTS: u8 = 40;
    let given = std::sync::Arc::new(Given::opened_books().await);
    // Each has a partition of its own, and half of the commands reach both.
    let instance = |partition: i32| {
        let given = std::sync::Arc::clone(&given);
        async move {
            let books = given.books().await;
            let positions = BookedPositions::new(&given.url);
            let taken = positions.assigned(vec![(AT.0, partition)]).await.unwrap();
            for number in 0..PAYMENTS {
                let shared = number % 2 == 0;
                let id = if shared {
                    number + 1
                } else {
                    number + 100 * u8::try_from(partition).unwrap()
                };
                let mut item = Given::payment(id, number.into(), taken[0].epoch);
                item.record.partition = partition;
                while let Err(error) = given.write(&books, std::slice::from_ref(&item)).await {
                    // Losing the race for a claim is no answer: the batch goes again.
                    assert!(matches!(error, BooksError::Passing(_)), "{error:?}");
                }
            }
        }
    };
    let (one, two) = tokio::join!(tokio::spawn(instance(1)), tokio::spawn(instance(2)));
    one.and(two).unwrap();
    let booked = i64::from(PAYMENTS / 2 + PAYMENTS / 2 * 2);
    assert_eq!(given.company_version().await, 1 + booked);
    assert_eq!(
        given.number("select count(*) from outcome").await,
        1 + booked
    );
    let holes = "select max(version) - count(*) from ledger_entry where version is not null";
    assert_eq!(given.number(holes).await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn given_debts_when_their_owner_lives_then_they_are_its_own_and_when_it_dies_anyones() {
    let given = Given::opened_books().await;
    let epoch = given.assign().await;
    let owner = given.books().await;
    let (plan, debt) = given
        .write(&owner, &[Given::payment(1, 0, epoch)])
        .await
        .unwrap();
    let mut living = given.cold().await;
    let heir = given.books().await;
    let nothing = HashSet::new();
    let adopted = debts::adopt_orphans(&mut living, heir.owner(), &nothing, &given.key).await;
    assert!(adopted.unwrap().is_empty(), "its owner lives");

    drop(owner);
    let adopted: Frames = loop {
        let found = debts::adopt_orphans(&mut living, heir.owner(), &nothing, &given.key).await;
        let mut found = found.unwrap();
        // The server needs a moment to notice that the session is gone.
        if let Some(found) = found.pop() {
            assert_eq!(Some(found.id), debt);
            break found.frames;
        }
    };
    assert_eq!(adopted, plan.frames, "the same bytes in the same order");
    let mine = format!(
        "select count(*) from emission_debt where owner = {}",
        heir.owner()
    );
    assert_eq!(given.number(&mine).await, 1);
}
