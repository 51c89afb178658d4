//! Where reading starts: the consumer offsets in the books, taken with a new epoch.

use diesel::sql_types::{Array, BigInt, Integer, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::RunQueryDsl;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use topology::Backoff;
use topology::consumer::{Position, Positions, PositionsError};
use topology::topics::DEFINITIONS;
use topology::{Topic, Topics};

use super::connect_cold;
use crate::steps::{Step, Steps};

/// The handler's positions.
pub struct BookedPositions {
    database_url: String,
    steps: Steps,
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    topic: String,
    #[diesel(sql_type = Integer)]
    partition: i32,
    #[diesel(sql_type = BigInt)]
    next_offset: i64,
    #[diesel(sql_type = BigInt)]
    owner_epoch: i64,
}

impl BookedPositions {
    /// In this database.
    #[must_use]
    pub fn new(database_url: &str) -> BookedPositions {
        BookedPositions {
            database_url: database_url.to_owned(),
            steps: Steps::default(),
        }
    }

    /// The same, watched.
    #[must_use]
    pub fn watched(self, steps: Steps) -> BookedPositions {
        BookedPositions { steps, ..self }
    }

    async fn take(&self, mut partitions: Vec<(Topic, i32)>) -> Vec<Position> {
        // One order for all instances, so that two assignments never wait for each other.
        partitions.sort_unstable();
        let mut backoff = Backoff::new("taking over partitions");
        loop {
            match self.try_take(&partitions).await {
                Ok(rows) => {
                    backoff.succeeded();
                    return rows.into_iter().filter_map(position).collect();
                }
                Err(error) => backoff.wait(&error).await,
            }
        }
    }

    async fn try_take(
        &self,
        partitions: &[(Topic, i32)],
    ) -> Result<Vec<Row>, diesel::result::Error> {
        let mut connection = connect_cold(&self.database_url, "connecting for positions").await;
        let topics: Vec<&str> = partitions
            .iter()
            .map(|(topic, _)| topic.definition().name)
            .collect();
        let numbers: Vec<i32> = partitions.iter().map(|(_, partition)| *partition).collect();
        sql_query(
            "insert into consumer_offset (topic, partition, next_offset, owner_epoch) \
             select topic, partition, 0, 1 from unnest($1, $2) as given(topic, partition) \
             order by topic, partition \
             on conflict (topic, partition) \
             do update set owner_epoch = consumer_offset.owner_epoch + 1 \
             returning topic, partition, next_offset, owner_epoch",
        )
        .bind::<Array<Text>, _>(topics)
        .bind::<Array<Integer>, _>(numbers)
        .load(&mut connection)
        .await
    }
}

fn position(row: Row) -> Option<Position> {
    Some(Position {
        topic: find_topic(&row.topic)?,
        partition: row.partition,
        next_offset: row.next_offset,
        epoch: row.owner_epoch,
    })
}

/// The topic with this bare name.
#[must_use]
pub fn find_topic(name: &str) -> Option<Topic> {
    debug_assert!(DEFINITIONS.iter().any(|it| it.name == name));
    Topics::default().find(name)
}

impl Positions for BookedPositions {
    fn assigned(
        &self,
        partitions: Vec<(Topic, i32)>,
    ) -> BoxFuture<'_, Result<Vec<Position>, PositionsError>> {
        async move {
            let positions = self.take(partitions).await;
            self.steps.pass(Step::PartitionsTaken)?;
            Ok(positions)
        }
        .boxed()
    }
}
