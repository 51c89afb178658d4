//! The books in PostgreSQL.
//!
//! [`books`] is the hot path: one connection, prepared statements, two pipelined round
//! trips a batch. [`debts`] and [`positions`] are the cold paths, through diesel.

pub mod books;
pub mod debts;
pub mod positions;
pub mod schema;

use diesel_async::AsyncPgConnection;
use topology::{Backoff, postgres};

/// A diesel connection for the cold paths, waiting for the database as long as it takes.
pub(crate) async fn connect_cold(url: &str, what: &'static str) -> AsyncPgConnection {
    let mut backoff = Backoff::new(what);
    loop {
        match postgres::establish(url).await {
            Ok(connection) => return connection,
            Err(error) => backoff.wait(&error).await,
        }
    }
}
