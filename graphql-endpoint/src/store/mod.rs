//! The read model and the users, in PostgreSQL.
//!
//! Reads are single statements; whatever takes several runs in a transaction that no
//! caller can cut off half-way. A database that is away is an answer of its own
//! ([`Error::DatabaseAway`]): requests say so, background work waits.

mod statement;

mod together;

pub mod accounts;

pub mod commands;

pub mod customers;

pub mod projection;

pub mod sessions;

pub mod transactions;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::QueryableByName;
use diesel::sql_types::BigInt;
use diesel_async::pooled_connection::deadpool::{Object, Pool};
use diesel_async::pooled_connection::{
    AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection};
use futures_util::FutureExt;
use topology::Token;
use topology::service::chain;
use tracing::{info, warn};

use crate::error::Error;
use crate::identity::Viewer;
use crate::steps::Steps;
use commands::NewCommand;
pub(crate) use statement::{Statement, statement};
use together::Together;

/// Connections at most; each is a PostgreSQL process.
const CONNECTIONS_MAX: usize = 8;
/// Wait for a free or a new connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(3);
/// Pause between two questions whether the database is there.
const WATCH_INTERVAL: Duration = Duration::from_secs(2);
/// Keeps a hung statement or a forgotten transaction from holding locks.
const CONNECTION_SETUP: &str = "SET statement_timeout = '5s'; SET lock_timeout = '4s'; \
     SET idle_in_transaction_session_timeout = '10s'; SET application_name = 'graphql-endpoint'";

type Connection = Object<AsyncPgConnection>;

/// The database.
#[derive(Clone)]
pub struct Store {
    pool: Pool<AsyncPgConnection>,
    up: Arc<AtomicBool>,
    steps: Steps,
    viewers: Together<Vec<u8>, Option<Viewer>>,
    claims: Together<NewCommand, bool>,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

impl Store {
    /// Names the database; nothing is connected yet.
    #[must_use]
    pub fn new(url: &Token, steps: Steps) -> Store {
        Store::with_setup(url, steps, CONNECTION_SETUP.to_owned())
    }

    /// The same database, with the tables of this schema before all others. Its commits wait
    /// for the disk: whoever fills the tables reads on from memory, and would not see that a
    /// crash of the database took some of it back.
    #[must_use]
    pub fn within(url: &Token, schema: &'static str) -> Store {
        let setup = format!("{CONNECTION_SETUP}; SET search_path = {schema}, public");
        Store::with_setup(url, Steps::default(), setup)
    }

    fn with_setup(url: &Token, steps: Steps, setup: String) -> Store {
        let mut config = ManagerConfig::default();
        // A check that costs no round trip; a connection that died is noticed in use.
        config.recycling_method = RecyclingMethod::Fast;
        config.custom_setup = Box::new(move |url| {
            let (url, setup) = (url.to_owned(), setup.clone());
            async move {
                let mut connection = topology::postgres::establish(&url).await?;
                connection
                    .batch_execute(&setup)
                    .await
                    .map_err(diesel::ConnectionError::CouldntSetupConfiguration)?;
                Ok(connection)
            }
            .boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config(url.expose(), config);
        let pool = Pool::builder(manager)
            .max_size(CONNECTIONS_MAX)
            .build()
            .expect("a pool without timeouts of its own needs no runtime");
        Store {
            pool,
            up: Arc::new(AtomicBool::new(false)),
            steps,
            viewers: Together::default(),
            claims: Together::default(),
        }
    }

    /// Answers those who ask the same at the same time. Never ends.
    pub async fn answer_together(&self) {
        let (store, other) = (self.clone(), self.clone());
        tokio::join!(
            self.viewers.serve(move |tokens| {
                let store = store.clone();
                async move { store.viewers_of(tokens).await }.boxed()
            }),
            self.claims.serve(move |commands| {
                let store = other.clone();
                async move { store.insert_commands(commands).await }.boxed()
            }),
        );
    }

    /// Whether the database answered last time.
    #[must_use]
    pub fn is_up(&self) -> bool {
        AtomicBool::load(&self.up, Ordering::Relaxed)
    }

    async fn connection(&self) -> Result<Connection, Error> {
        match tokio::time::timeout(CONNECTION_TIMEOUT, self.pool.get()).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Error::DatabaseAway(Box::new(error))),
            Err(elapsed) => Err(Error::DatabaseAway(Box::new(elapsed))),
        }
    }

    async fn rows<R>(&self, statement: Statement) -> Result<Vec<R>, Error>
    where
        R: QueryableByName<diesel::pg::Pg> + Send + 'static,
    {
        // In a place of its own, which is given back with the answer: a payment waits for its
        // outcome and a follower for ever with the size of the largest thing they did before.
        let asked = async {
            let mut connection = self.connection().await?;
            Ok(statement.load(&mut connection).await?)
        };
        Box::pin(asked).await
    }

    async fn row<R>(&self, statement: Statement) -> Result<Option<R>, Error>
    where
        R: QueryableByName<diesel::pg::Pg> + Send + 'static,
    {
        Ok(self.rows(statement).await?.into_iter().next())
    }

    async fn execute(&self, statement: Statement) -> Result<usize, Error> {
        let asked = async {
            let mut connection = self.connection().await?;
            Ok(statement.execute(&mut connection).await?)
        };
        Box::pin(asked).await
    }

    /// Asks the database now and then whether it is there; says each change once.
    /// Never ends.
    pub async fn watch(&self) -> Result<(), Error> {
        let mut told_away = false;
        loop {
            // Asks a table, so that a database without its migrations is not "up".
            let asked = statement("SELECT count(*) AS number FROM projection_offset");
            let answer = self.row::<Number>(asked).await;
            let up = answer
                .as_ref()
                .is_ok_and(|row| row.as_ref().is_some_and(|row| row.number >= 0));
            let was_up = self.up.swap(up, Ordering::Relaxed);
            match answer {
                Err(error) if was_up || !told_away => {
                    told_away = true;
                    warn!(error = chain(&error), "the database is not ready, waiting");
                }
                Ok(_) if !was_up => info!("the database is there"),
                _ => {}
            }
            tokio::time::sleep(WATCH_INTERVAL).await;
        }
    }
}
