//! Questions.

use async_graphql::{Context, Object};
use topology::iban::normalise;

use super::cursor;
use super::live_status::{BenchmarkResult, wanted_records};
use super::scalars::{CommandKey, IbanText};
use super::trails::{Trail, TrailRecord, trail};
use super::types::{
    Account, AccountConnection, AccountEdge, AccountOrder, Bank, Command, DemoUser, Load, PageInfo,
    TRANSACTIONS_DEFAULT, TransactionConnection, TransactionFilter, User, own_account, page,
    page_cost,
};
use super::{caller, gateway};
use crate::answer::Refusal;
use crate::authorisation::{Seen, may_see, sign_in_first};
use crate::demo;
use crate::edge::page_size;
use crate::status::Status;

/// Rows of a page of accounts when the client does not say.
const ACCOUNTS_DEFAULT: i32 = 20;
/// Characters of an IBAN to look for.
const SEARCH_CHARACTERS_MAX: usize = 42;

/// The root of all queries.
pub struct Query;

#[Object]
impl Query {
    async fn bank(&self, context: &Context<'_>) -> Bank {
        let gateway = gateway(context);
        let demo_users = if gateway.demo_mode {
            &demo::USERS[..]
        } else {
            &[]
        };
        Bank {
            company_iban: IbanText(topology::COMPANY_IBAN.to_owned()),
            demo_mode: gateway.demo_mode,
            demo_users: demo_users
                .iter()
                .map(|user| DemoUser {
                    user_name: user.user_name.to_owned(),
                    password: user.password.to_owned(),
                    role: user.role.into(),
                })
                .collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: gateway.started_at,
        }
    }

    /// Null when nobody is signed in.
    async fn me(&self, context: &Context<'_>) -> Result<Option<User>, Refusal> {
        let viewer = caller(context).viewer(&gateway(context).store).await?;
        Ok(viewer.cloned().map(User))
    }

    /// Own account for a customer, any for an employee, the company's for everyone in demo mode. Null when unknown.
    async fn account(
        &self,
        context: &Context<'_>,
        iban: IbanText,
    ) -> Result<Option<Account>, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::Account(&iban.0), gateway.demo_mode)?;
        if viewer.is_some_and(|viewer| viewer.iban.as_ref() == Some(&iban.0)) {
            return Ok(Some(own_account(gateway, &iban.0).await?));
        }
        Ok(gateway.store.account(&iban.0).await?.map(Account::from))
    }

    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn transactions(
        &self,
        context: &Context<'_>,
        iban: IbanText,
        #[graphql(default = 25)] first: Option<i32>,
        after: Option<String>,
        filter: Option<TransactionFilter>,
    ) -> Result<TransactionConnection, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::Account(&iban.0), gateway.demo_mode)?;
        page(gateway, &iban.0, first, after.as_deref(), filter).await
    }

    /// For employees. `search` is an IBAN or a part of it.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn accounts(
        &self,
        context: &Context<'_>,
        #[graphql(default = 20)] first: Option<i32>,
        after: Option<String>,
        search: Option<String>,
        #[graphql(default_with = "Some(AccountOrder::NewestChange)")] order: Option<AccountOrder>,
    ) -> Result<AccountConnection, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::AllAccounts, gateway.demo_mode)?;
        let size = page_size(first, ACCOUNTS_DEFAULT)?;
        let order = order.unwrap_or(AccountOrder::NewestChange);
        let place = cursor::accounts_after(order, after.as_deref())?;
        let part = searched(&search.unwrap_or_default())?;
        let limit = i64::try_from(size + 1).unwrap_or(i64::MAX);
        let (rows, total_count) = tokio::try_join!(
            gateway.store.accounts(&part, place, limit),
            gateway.store.count_accounts(&part),
        )?;
        let has_next_page = rows.len() > size;
        let edges: Vec<AccountEdge> = rows
            .into_iter()
            .take(size)
            .map(|state| AccountEdge {
                cursor: cursor::of_account(order, &state),
                node: state.into(),
            })
            .collect();
        Ok(AccountConnection {
            page_info: PageInfo {
                has_previous_page: after.is_some(),
                has_next_page,
                start_cursor: edges.first().map(|edge| edge.cursor.clone()),
                end_cursor: edges.last().map(|edge| edge.cursor.clone()),
            },
            nodes: edges.iter().map(|edge| edge.node.clone()).collect(),
            edges,
            total_count,
        })
    }

    /// State of one of your own commands; null when never seen.
    async fn command(
        &self,
        context: &Context<'_>,
        id: CommandKey,
    ) -> Result<Option<Command>, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::OwnCommands, gateway.demo_mode)?;
        let viewer = viewer.ok_or_else(sign_in_first)?;
        let state = gateway.command_state(id.0, &viewer.user_name).await?;
        Ok(state.map(|state| Command::new(id.0, state)))
    }

    /// How fast the simulated public is; for employees, and everyone in demo mode.
    async fn load(&self, context: &Context<'_>) -> Result<Load, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::Load, gateway.demo_mode)?;
        let heartbeats_per_second = gateway.pace_maker.rate().await?;
        Ok(Load {
            heartbeats_per_second,
        })
    }

    /// The way of one of your own commands through the topics; for employees, of any that was given here. Null when never seen.
    async fn trail(
        &self,
        context: &Context<'_>,
        command_id: CommandKey,
    ) -> Result<Option<Trail>, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::OwnCommands, gateway.demo_mode)?;
        let viewer = viewer.ok_or_else(sign_in_first)?;
        gateway.throttle_reads(caller)?;
        trail(gateway, viewer, command_id.0).await
    }

    /// How the bank is; for employees, and everyone in demo mode.
    async fn status(&self, context: &Context<'_>) -> Result<Status, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        may_see(viewer, Seen::Status, gateway.demo_mode)?;
        let status = gateway.board.now().await?;
        Ok(Status::clone(&status))
    }

    /// The newest records of a topic, newest first; with the rights of `status`. `contains` is an IBAN, an account's key or a command id; then as many as are found in the newest stretch of the topic.
    #[graphql(complexity = "page_cost(first, child_complexity)")]
    async fn topic_records(
        &self,
        context: &Context<'_>,
        topic: String,
        #[graphql(default = 25)] first: Option<i32>,
        contains: Option<String>,
    ) -> Result<Vec<TrailRecord>, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::Status, gateway.demo_mode)?;
        let count = page_size(first, TRANSACTIONS_DEFAULT)?;
        let (topic, wanted) = wanted_records(gateway, &topic, contains)?;
        gateway.throttle_reads(caller)?;
        let found = gateway.records.newest(topic, count, wanted).await?;
        Ok(found.into_iter().map(TrailRecord::from).collect())
    }

    /// Results of benchmarks, newest first.
    async fn results(&self, context: &Context<'_>) -> Vec<BenchmarkResult> {
        let listed = gateway(context).results.list().await;
        let budget = BenchmarkResult::budget();
        let results = listed.into_iter();
        results
            .map(|summary| BenchmarkResult::new(summary, &budget))
            .collect()
    }
}

/// The text to look for, written as IBANs are.
fn searched(text: &str) -> Result<String, Refusal> {
    let part = normalise(text);
    let legal = part.chars().all(|c| c.is_ascii_alphanumeric());
    if part.chars().count() > SEARCH_CHARACTERS_MAX || !legal {
        return Err(Refusal::validation("`search` is an IBAN or a part of it"));
    }
    Ok(part)
}
