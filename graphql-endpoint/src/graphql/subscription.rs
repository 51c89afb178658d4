//! Live.

use async_graphql::{Context, Subscription as SubscriptionObject};
use futures_util::{Stream, StreamExt};

use super::cursor;
use super::scalars::IbanText;
use super::types::{Transaction, TransactionFilter};
use super::{caller, gateway};
use crate::answer::Refusal;
use crate::authorisation::{Seen, may_see};
use crate::live::follow::{Request, Start, follow};

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
        };
        let changes = follow(&gateway.hub, &gateway.store, request).await?;
        Ok(changes.map(|change| change.map(Transaction::from)))
    }
}
