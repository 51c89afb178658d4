//! Live.

use std::sync::Arc;

use async_graphql::{Context, Subscription as SubscriptionObject};
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt};
use tokio::time::{MissedTickBehavior, interval};

use super::cursor;
use super::live_status::wanted_records;
use super::scalars::IbanText;
use super::trails::TrailRecord;
use super::types::{Transaction, TransactionFilter};
use super::{caller, gateway};
use crate::answer::{Code, Refusal};
use crate::authorisation::{Seen, may_see};
use crate::gateway::{Caller, Gateway};
use crate::live::follow::{Request, Start, follow};
use crate::status::Status;

/// The root of all subscriptions.
pub struct Subscription;

#[SubscriptionObject]
impl Subscription {
    /// Every transaction of the account after the cursor, oldest first, then live; from now on when no cursor is given.
    async fn transactions(
        &self,
        context: &Context<'_>,
        iban: IbanText,
        after: Option<String>,
        filter: Option<TransactionFilter>,
    ) -> Result<impl Stream<Item = Result<Transaction, Refusal>> + use<>, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::Account(&iban.0), gateway.demo_mode)?;
        let start = match after.as_deref() {
            Some(after) => Start::After(cursor::version(after)?),
            None => Start::Now,
        };
        let request = Request {
            iban: iban.0,
            start,
            filter: filter.unwrap_or_default().checked()?,
            session: viewer.and(caller.session.clone()),
            session_check: gateway.limits.session_check,
            steps: gateway.steps.clone(),
            meter: Arc::clone(&gateway.board.meter),
            journeys: Arc::clone(&gateway.journeys),
        };
        let changes = follow(&gateway.hub, &gateway.store, request).await?;
        Ok(changes.map(|change| change.map(Transaction::from)))
    }

    /// How the bank is, now and then each second; for employees, and everyone in demo mode.
    async fn status(
        &self,
        context: &Context<'_>,
    ) -> Result<impl Stream<Item = Result<Status, Refusal>> + use<>, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::Status, gateway.demo_mode)?;
        let seen = gateway.board.watch().map(|status| Status::clone(&status));
        Ok(while_seen(gateway, caller, seen.boxed()))
    }

    /// The records of a topic as they come, beginning with the newest few, at most four groups a second and the newest 50 of each; with the rights of `status`. `contains` is an IBAN, an account's key or a command id.
    async fn topic_records(
        &self,
        context: &Context<'_>,
        topic: String,
        contains: Option<String>,
    ) -> Result<impl Stream<Item = Result<Vec<TrailRecord>, Refusal>> + use<>, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::Status, gateway.demo_mode)?;
        let (topic, wanted) = wanted_records(gateway, &topic, contains)?;
        let groups = gateway.records.live(topic, wanted)?;
        let groups = groups.map(|group| group.into_iter().map(TrailRecord::from).collect());
        Ok(while_seen(gateway, caller, groups.boxed()))
    }
}

/// The stream, for as long as its viewer may see it.
fn while_seen<T: Send + 'static>(
    gateway: &Arc<Gateway>,
    caller: &Caller,
    stream: BoxStream<'static, T>,
) -> impl Stream<Item = Result<T, Refusal>> + use<T> {
    let mut check = interval(gateway.limits.session_check);
    check.set_missed_tick_behavior(MissedTickBehavior::Delay);
    check.reset();
    let state = Some((Arc::clone(gateway), caller.again(), check, stream));
    stream::unfold(state, |state| async {
        let (gateway, caller, mut check, mut stream) = state?;
        loop {
            tokio::select! {
                item = stream.next() => {
                    return Some((Ok(item?), Some((gateway, caller, check, stream))));
                }
                _ = check.tick() => {
                    let again = caller.again();
                    let viewer = match again.viewer(&gateway.store).await {
                        Ok(viewer) => viewer,
                        // A database that is away says nothing about the session.
                        Err(_) => continue,
                    };
                    if may_see(viewer, Seen::Status, gateway.demo_mode).is_err() {
                        let ended = Refusal::new(Code::Unauthenticated, "your session has ended");
                        return Some((Err(ended), None));
                    }
                }
            }
        }
    })
}
