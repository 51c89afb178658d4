//! The books in PostgreSQL.
//!
//! [`books`] is the hot path: one connection, prepared statements, two pipelined round
//! trips a batch. [`debts`] and [`positions`] are the cold paths, through diesel.

pub mod books;
pub mod debts;
pub mod positions;
pub mod schema;

use std::time::Duration;

use diesel_async::{AsyncConnection, AsyncPgConnection};
use tracing::{info, warn};

/// First pause after the database did not answer.
pub const RETRY_FIRST: Duration = Duration::from_millis(50);
/// Longest pause; the database is asked again for as long as it takes.
pub const RETRY_MAX: Duration = Duration::from_secs(2);

/// Pauses that double up to a limit, and one line in the log per change of state.
#[derive(Debug)]
pub struct Backoff {
    what: &'static str,
    pause: Duration,
    told: bool,
}

impl Backoff {
    /// For retrying `what`.
    #[must_use]
    pub fn new(what: &'static str) -> Backoff {
        Backoff {
            what,
            pause: RETRY_FIRST,
            told: false,
        }
    }

    /// Says once that it failed, and waits.
    pub async fn wait(&mut self, error: &(dyn std::error::Error + Sync)) {
        if !self.told {
            let error = topology::service::chain(error);
            warn!(what = self.what, error, "failed, trying again");
            self.told = true;
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_MAX);
    }

    /// Says once that it works again.
    pub fn succeeded(&mut self) {
        if self.told {
            info!(what = self.what, "works again");
        }
        *self = Backoff::new(self.what);
    }
}

/// A diesel connection for the cold paths, waiting for the database as long as it takes.
pub(crate) async fn connect_cold(url: &str, what: &'static str) -> AsyncPgConnection {
    let mut backoff = Backoff::new(what);
    loop {
        match AsyncPgConnection::establish(url).await {
            Ok(connection) => return connection,
            Err(error) => backoff.wait(&error).await,
        }
    }
}
