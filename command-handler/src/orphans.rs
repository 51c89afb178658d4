//! Debts that nobody pays: of instances that are dead, or that do not move.
//!
//! Once a second each handler looks for debts whose owner's session is gone and takes them
//! over; what stands for too long it pays though its owner seems to live. Readers may see
//! such records twice, with the same bytes.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use diesel_async::AsyncPgConnection;
use tokio_util::sync::CancellationToken;
use topology::Backoff;
use tracing::warn;

use crate::emission::{Debt, Emitter};
use crate::handler::Error;
use crate::keys::HandlerKey;
use crate::steps::{Step, Steps};
use crate::store::connect_cold;
use crate::store::debts::{self, DebtError};

/// How often debts of dead instances are looked for.
const ORPHAN_INTERVAL: Duration = Duration::from_secs(1);
/// A debt that stands this long is paid by whoever sees it: its owner may be paused, which
/// to its database session looks like life.
const STALE_AFTER: Duration = Duration::from_secs(10);

/// Takes over debts of dead instances, now and then.
pub(crate) struct Orphans {
    database_url: String,
    key: HandlerKey,
    emitter: Emitter,
    /// Kept open: a connection a second would cost more than all the rest at idle.
    session: Option<Session>,
    standing: Standing,
    steps: Steps,
}

/// What it takes over is its session's, not the hot path's: if anything fails on the way,
/// the session goes, and the debts are orphans again.
struct Session {
    connection: AsyncPgConnection,
    owner: i64,
}

impl Orphans {
    pub(crate) fn new(
        database_url: &str,
        key: HandlerKey,
        emitter: Emitter,
        steps: Steps,
    ) -> Orphans {
        Orphans {
            database_url: database_url.to_owned(),
            key,
            emitter,
            session: None,
            standing: Standing::default(),
            steps,
        }
    }

    pub(crate) async fn run(mut self, stop: CancellationToken) -> Result<(), Error> {
        loop {
            tokio::select! {
                () = tokio::time::sleep(ORPHAN_INTERVAL) => self.adopt_once().await?,
                () = stop.cancelled() => return Ok(()),
            }
        }
    }

    pub(crate) async fn adopt_once(&mut self) -> Result<(), Error> {
        let mut backoff = Backoff::new("looking for orphaned debts");
        let adopted = loop {
            match self.try_adopt().await {
                Ok(adopted) => break adopted,
                Err(DebtError::Database(error)) => {
                    self.session = None;
                    backoff.wait(&error).await;
                }
                Err(damaged) => return Err(damaged.into()),
            }
        };
        if adopted.is_empty() {
            return Ok(());
        }
        warn!(
            debts = adopted.len(),
            "paying debts of an instance that died or does not move"
        );
        self.steps.pass(Step::Adopted)?;
        for debt in adopted {
            self.emitter.pay(debt).await?;
        }
        Ok(())
    }

    async fn try_adopt(&mut self) -> Result<Vec<Debt>, DebtError> {
        let session = match &mut self.session {
            Some(open) => open,
            none => {
                let what = "connecting for orphaned debts";
                let mut connection = connect_cold(&self.database_url, what).await;
                let owner = debts::take_owner(&mut connection).await?;
                none.insert(Session { connection, owner })
            }
        };
        let in_flight = self.emitter.in_flight().snapshot();
        let Session { connection, owner } = session;
        let mut debts = debts::adopt_orphans(connection, *owner, &in_flight, &self.key).await?;
        let stale = self
            .standing
            .still_standing(debts::standing(connection).await?, &in_flight);
        if !stale.is_empty() {
            debts.extend(debts::read(connection, &stale, &self.key).await?);
        }
        Ok(debts)
    }
}

/// Debts that others owe, and since when they are seen.
#[derive(Default)]
struct Standing(HashMap<i64, Instant>);

impl Standing {
    /// Takes in what stands now, and returns what has stood for too long.
    fn still_standing(&mut self, now: Vec<i64>, ours: &HashSet<i64>) -> Vec<i64> {
        self.0.retain(|debt, _| now.contains(debt));
        let mut stale = Vec::new();
        for debt in now {
            let since = self.0.entry(debt).or_insert_with(Instant::now);
            if since.elapsed() >= STALE_AFTER {
                // Not again at once: it is on its way.
                *since = Instant::now();
                if !ours.contains(&debt) {
                    stale.push(debt);
                }
            }
        }
        stale
    }
}
