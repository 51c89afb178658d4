//! One subscriber's stream of an account: replay from the read model, then live.
//!
//! It follows the account before it reads, so nothing falls between. A hole between
//! what is live and what was given out is filled from the read model, which may be a
//! moment behind: it is asked again until it is not.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::time::{Interval, MissedTickBehavior, interval};
use topology::stamps::now_us;
use tracing::warn;

use super::hub::{Hub, Live, Subscription};
use super::join::Join;
use crate::answer::{Code, Refusal};
use crate::error::Error;
use crate::facts::Change;
use crate::filter::Filter;
use crate::identity::SessionToken;
use crate::journeys::{Journeys, Moment};
use crate::status::Meter;
use crate::steps::{Step, Steps};
use crate::store::Store;
use crate::store::projection::Reached;

/// Rows of one read.
const PAGE: i64 = 200;
/// Wait before the read model is asked again.
const RETRY_FIRST: Duration = Duration::from_millis(2);
const RETRY_MAX: Duration = Duration::from_secs(1);
/// How long a missing version is waited for once its successor is there.
const GAP_PATIENCE: Duration = Duration::from_secs(10);
/// How long the database may be away before the stream ends; its client resumes.
const DATABASE_PATIENCE: Duration = Duration::from_secs(30);
/// Versions by which a cursor may be ahead of the read model.
const CURSOR_AHEAD_MAX: i64 = 1_000;

/// Where a stream starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// After this version, which the client has seen.
    After(i64),
    /// With what comes next.
    Now,
}

/// What a stream needs.
pub struct Request {
    /// The account.
    pub iban: String,
    /// Where to start.
    pub start: Start,
    /// What to let pass.
    pub filter: Filter,
    /// The session it depends on, if any.
    pub session: Option<SessionToken>,
    /// Time between two looks whether it still holds.
    pub session_check: Duration,
    /// Watched in tests only.
    pub steps: Steps,
    /// Counts what is handed out.
    pub meter: Arc<Meter>,
    /// Of the commands of this gateway.
    pub journeys: Arc<Journeys>,
}

/// Starts a stream.
///
/// # Errors
/// A refusal when the stream cannot start now.
pub async fn follow(
    hub: &Arc<Hub>,
    store: &Store,
    request: Request,
) -> Result<impl Stream<Item = Result<Change, Refusal>> + use<>, Refusal> {
    let subscription = hub.subscribe(&request.iban).ok_or_else(|| {
        Refusal::new(Code::Unavailable, "too many subscriptions; try again later")
    })?;
    // After subscribing: whatever the tail handed out before is below this.
    let target = hub.tail().ok_or_else(|| {
        Refusal::new(
            Code::Unavailable,
            "live updates are starting; try again soon",
        )
    })?;
    request.steps.pass(Step::Following)?;
    let (last, claimed) = match request.start {
        Start::After(version) => (version, Some(version)),
        Start::Now => {
            let account = store.account(&request.iban).await?;
            (account.map_or(0, |account| account.version), None)
        }
    };
    let mut session_check = interval(request.session_check);
    session_check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    session_check.reset();
    let follower = Follower {
        hub: Arc::clone(hub),
        store: store.clone(),
        subscription,
        iban: request.iban,
        filter: request.filter,
        session: request.session,
        steps: request.steps,
        meter: request.meter,
        journeys: request.journeys,
        session_check,
        join: Join::after(last),
        claimed,
        target: Some(target),
        pause: RETRY_FIRST,
        gap_since: None,
        away_since: None,
        is_ended: false,
    };
    Ok(unfold(follower, |mut follower| async {
        let item = follower.next().await?;
        Some((item, follower))
    }))
}

struct Follower {
    hub: Arc<Hub>,
    store: Store,
    subscription: Subscription,
    iban: String,
    filter: Filter,
    session: Option<SessionToken>,
    steps: Steps,
    meter: Arc<Meter>,
    journeys: Arc<Journeys>,
    session_check: Interval,
    join: Join,
    /// The version the client says it has seen, until the read model has confirmed it.
    claimed: Option<i64>,
    /// What the read model must have reached before the live changes alone will do.
    target: Option<Reached>,
    pause: Duration,
    gap_since: Option<Instant>,
    away_since: Option<Instant>,
    is_ended: bool,
}

impl Follower {
    async fn next(&mut self) -> Option<Result<Change, Refusal>> {
        loop {
            while let Some(change) = self.join.give() {
                self.pause = RETRY_FIRST;
                if self.filter.lets_pass(&change) {
                    if let Err(interrupted) = self.steps.pass(Step::GivenOut) {
                        self.is_ended = true;
                        return Some(Err(interrupted.into()));
                    }
                    self.count(&change);
                    return Some(Ok(change));
                }
            }
            if self.is_ended {
                return None;
            }
            if let Err(refusal) = self.advance().await {
                self.is_ended = true;
                return Some(Err(refusal));
            }
        }
    }

    fn count(&self, change: &Change) {
        let now = now_us();
        self.meter.pushed(change.accepted_us, now);
        if let Some(heard) = &change.heard {
            heard.again().end(now);
        }
        if change.accepted_us.is_some()
            && let Some(command_id) = change.command_id
        {
            self.journeys.note(command_id, Moment::Pushed, now);
        }
    }

    fn is_behind(&self) -> bool {
        self.target.is_some() || self.join.has_gap()
    }

    /// Waits for, or fetches, whatever may let the stream go on.
    async fn advance(&mut self) -> Result<(), Refusal> {
        if self.subscription.missed() {
            self.aim_at_tail();
        }
        self.subscription.reads_store(self.is_behind());
        if !self.is_behind() {
            self.gap_since = None;
            self.pause = RETRY_FIRST;
            return self.wait_live(None).await;
        }
        match self.read().await {
            Ok(()) => self.away_since = None,
            Err(error) => {
                let since = *self.away_since.get_or_insert_with(Instant::now);
                if !matches!(error, Error::DatabaseAway(_)) || since.elapsed() > DATABASE_PATIENCE {
                    return Err(error.into());
                }
            }
        }
        if let Some(version) = self.claimed
            && self.target.is_none()
        {
            self.confirm(version).await?;
            self.claimed = None;
        }
        if !self.is_behind() || self.join.has_next() {
            return Ok(());
        }
        self.mind_the_gap();
        let until = tokio::time::Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(RETRY_MAX);
        // What is live meanwhile is taken in, but asks the read model no more often.
        while tokio::time::Instant::now() < until && !self.join.has_next() {
            self.wait_live(Some(until)).await?;
        }
        Ok(())
    }

    /// One page from the read model. How far it has come is asked first, so that the rows
    /// read after are at least as new.
    async fn read(&mut self) -> Result<(), Error> {
        let reached = match &self.target {
            Some(target) => {
                let reached = self.store.reached().await?;
                target
                    .iter()
                    .all(|(at, offset)| reached.get(at).copied().unwrap_or(0) >= *offset)
            }
            None => false,
        };
        let after = self.join.last();
        let rows = self
            .store
            .transactions_after(&self.iban, after, PAGE)
            .await?;
        self.steps.pass(Step::Replayed)?;
        let is_last_page = i64::try_from(rows.len()).is_ok_and(|rows| rows < PAGE);
        let mut all_fit = true;
        for row in rows {
            all_fit &= self.join.take(row);
        }
        if !all_fit {
            self.aim_at_tail();
        } else if reached && is_last_page {
            self.target = None;
        }
        Ok(())
    }

    /// A cursor of the future is a client's mistake, not something to wait for.
    async fn confirm(&self, version: i64) -> Result<(), Refusal> {
        let account = self.store.account(&self.iban).await?;
        let known = account.map_or(0, |account| account.version);
        // A little ahead is another gateway's news that has not come here yet.
        if version > known.saturating_add(CURSOR_AHEAD_MAX) {
            return Err(Refusal::validation("the cursor is of no known transaction"));
        }
        Ok(())
    }

    /// A hole the read model has as well, although it has read past it and answers, is
    /// waited for and then left behind.
    fn mind_the_gap(&mut self) {
        if !self.join.has_gap() || self.target.is_some() || self.away_since.is_some() {
            self.gap_since = None;
            return;
        }
        let since = *self.gap_since.get_or_insert_with(Instant::now);
        if since.elapsed() > GAP_PATIENCE {
            warn!(
                iban = self.iban,
                after = self.join.last(),
                "a version is missing, going on"
            );
            self.join.skip_gap();
            self.gap_since = None;
        }
    }

    async fn wait_live(&mut self, until: Option<tokio::time::Instant>) -> Result<(), Refusal> {
        let pause = async {
            match until {
                Some(until) => tokio::time::sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            live = self.subscription.next() => match live {
                Some(Live::Change(change)) => {
                    let had_gap = self.join.has_gap();
                    let fits = self.join.take(Change::clone(&change));
                    if !fits || (self.join.has_gap() && !had_gap) {
                        self.aim_at_tail();
                    }
                    Ok(())
                }
                Some(Live::Unnumbered { partition, offset }) => {
                    self.aim_at(Reached::from([(partition, offset + 1)]));
                    Ok(())
                }
                None => Err(Refusal::new(
                    Code::Unavailable,
                    "you read too slowly; resume after the last cursor you have seen",
                )),
            },
            () = pause => Ok(()),
            _ = self.session_check.tick(), if self.session.is_some() => self.check_session().await,
        }
    }

    fn aim_at_tail(&mut self) {
        self.aim_at(self.hub.tail().unwrap_or_default());
    }

    fn aim_at(&mut self, further: Reached) {
        let target = self.target.get_or_insert_default();
        for (partition, offset) in further {
            let aimed = target.entry(partition).or_insert(0);
            *aimed = offset.max(*aimed);
        }
    }

    async fn check_session(&self) -> Result<(), Refusal> {
        let Some(session) = &self.session else {
            return Ok(());
        };
        match self.store.viewer(session).await {
            Ok(None) => Err(Refusal::new(
                Code::Unauthenticated,
                "your session has ended",
            )),
            // A database that is away says nothing about the session.
            Ok(Some(_)) | Err(_) => Ok(()),
        }
    }
}
