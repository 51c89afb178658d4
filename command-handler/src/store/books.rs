//! The hot path: what a batch reads and writes, in two pipelined round trips.
//!
//! 1. begin · lock the accounts touched, in IBAN order · read prior outcomes
//! 2. claim and store outcomes · open accounts · book the ledger · update balances ·
//!    move offsets, fenced by their epochs · note the debt · commit
//!
//! Everything commits or nothing does. What is behind a failing statement in the pipeline
//! fails with it, and the commit of a failed transaction is a rollback.

use std::collections::HashMap;
use std::time::Duration;

use bytes::BytesMut;
use futures_util::join;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Row, Statement};
use topology::postgres;
use topology::{Cents, CommandId, Iban, Topic};
use tracing::debug;
use uuid::Uuid;

use super::positions::find_topic;
use crate::batch::{OffsetMove, Plan, Prior, Source};
use crate::domain::{Account, Accounts, Digest};
use crate::frames::{Frames, FramesDamaged, Stored};
use crate::keys::HandlerKey;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A server that vanished without a word is noticed after this long.
const VANISHED_TIMEOUT: Duration = Duration::from_secs(20);
/// Raised by `advance_offsets` when the partitions have another owner.
const FENCED: &str = "BK001";

/// Session settings. A handler that stops in the middle of a transaction, or whose machine
/// vanishes, holds its locks for seconds, not for ever. Generic plans save planning each batch; a generic plan made on an
/// empty table would keep a sequential scan as the table grows, hence no scans.
const SESSION: &str = "set plan_cache_mode = force_generic_plan; \
     set enable_seqscan = off; set enable_hashjoin = off; set enable_mergejoin = off; \
     set statement_timeout = '30s'; \
     set idle_in_transaction_session_timeout = '5s'; \
     set tcp_keepalives_idle = '5s'; set tcp_keepalives_interval = '1s'; \
     set tcp_keepalives_count = 3; \
     set synchronous_commit = on";

/// Why a batch was not written.
#[derive(Debug, thiserror::Error)]
pub enum BooksError {
    /// The connection is of no more use. Reconnect, then again.
    #[error("lost the database")]
    Connection(#[source] tokio_postgres::Error),
    /// Some partition belongs to another assignment now. Drop its records, then again.
    #[error("partitions are owned by another assignment")]
    Fenced,
    /// A lost race or a passing state of the database. Again.
    #[error("the transaction was refused for now")]
    Passing(#[source] tokio_postgres::Error),
    /// The data cannot be written. Split the batch until the record stands alone.
    #[error("the database refuses the data")]
    Refused(#[source] tokio_postgres::Error),
    /// Stored frames cannot be read back.
    #[error("could not read a stored outcome")]
    Damaged(#[from] FramesDamaged),
    /// A row holds what this program never writes.
    #[error("the books hold something unreadable: {0}")]
    Unreadable(&'static str),
    /// No outcome for the insert of a debt.
    #[error("the debt was not noted")]
    NoDebt,
}

impl BooksError {
    fn of(error: tokio_postgres::Error) -> BooksError {
        let Some(code) = error.code() else {
            return BooksError::Connection(error);
        };
        if code.code() == FENCED {
            return BooksError::Fenced;
        }
        // A unique violation is a race on a claim, won by another instance: its outcome
        // is seen when the batch is tried again.
        if *code == SqlState::UNIQUE_VIOLATION {
            return BooksError::Passing(error);
        }
        match code.code().get(..2) {
            Some("57" | "08") => BooksError::Connection(error),
            // Data, constraints, and what is too large for an index or a row.
            Some("22" | "23" | "54") => BooksError::Refused(error),
            _ => BooksError::Passing(error),
        }
    }
}

/// What the books say about a batch, with the accounts locked.
pub struct Snapshot {
    /// The accounts touched.
    pub accounts: Accounts,
    /// Decisions made before on the same command ids.
    pub priors: HashMap<CommandId, Prior>,
}

struct Statements {
    lock_accounts: Statement,
    read_priors: Statement,
    insert_outcomes: Statement,
    insert_accounts: Statement,
    insert_entries: Statement,
    update_accounts: Statement,
    advance_offsets: Statement,
    insert_debt: Statement,
}

/// The one connection of the hot path.
pub struct Books {
    client: Client,
    statements: Statements,
    owner: i64,
}

impl Books {
    /// Connects, prepares, and takes the number under which debts are noted.
    ///
    /// # Errors
    /// Any error of the database, also while its migrations have not run yet.
    pub async fn connect(database_url: &str) -> Result<Books, tokio_postgres::Error> {
        let mut config: Config = database_url.parse()?;
        config
            .application_name("command-handler")
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_user_timeout(VANISHED_TIMEOUT)
            .keepalives_idle(VANISHED_TIMEOUT);
        let (client, connection) = postgres::connect(&config).await?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                // Whoever uses the client is told too; this is for the reader of the log.
                debug!(%error, "database connection ended");
            }
        });
        client.batch_execute(SESSION).await?;
        let owner: i64 = client
            .query_one("select nextval('debt_owner')", &[])
            .await?
            .get(0);
        client
            .query_one("select pg_advisory_lock($1)", &[&owner])
            .await?;
        let statements = prepare(&client).await?;
        Ok(Books {
            client,
            statements,
            owner,
        })
    }

    /// The number under which this session notes its debts.
    #[must_use]
    pub fn owner(&self) -> i64 {
        self.owner
    }

    /// Round trip 1: begins, locks, reads.
    ///
    /// # Errors
    /// [`BooksError`]; the transaction is to be abandoned then.
    pub async fn begin(
        &self,
        ibans: &[Iban],
        ids: &[CommandId],
        key: &HandlerKey,
    ) -> Result<Snapshot, BooksError> {
        let ibans: Vec<&str> = ibans.iter().map(Iban::as_str).collect();
        let ids: Vec<Uuid> = ids.iter().map(|id| id.0).collect();
        let parameters_ibans: [&(dyn ToSql + Sync); 1] = [&ibans];
        let parameters_ids: [&(dyn ToSql + Sync); 1] = [&ids];
        // Locks first: a twin that committed while we waited is seen by the second read.
        let (begun, accounts, priors) = join!(
            self.client.batch_execute("begin"),
            self.client
                .query(&self.statements.lock_accounts, &parameters_ibans),
            self.client
                .query(&self.statements.read_priors, &parameters_ids),
        );
        begun.map_err(BooksError::of)?;
        let accounts = accounts.map_err(BooksError::of)?;
        let priors = priors.map_err(BooksError::of)?;
        let mut known = Accounts::with_capacity(accounts.len());
        for row in &accounts {
            known.put(read_account(row)?);
        }
        Ok(Snapshot {
            accounts: known,
            priors: priors
                .iter()
                .map(|row| read_prior(row, key))
                .collect::<Result<_, _>>()?,
        })
    }

    /// Round trip 2: writes everything and commits. Returns the number of the debt, if
    /// anything is owed.
    ///
    /// # Errors
    /// [`BooksError`]; nothing was written then, or, when the connection was lost, it is
    /// not known whether it was: trying again finds out.
    pub async fn commit(&self, plan: &Plan) -> Result<Option<i64>, BooksError> {
        let (outcomes, accounts, entries, updates, offsets, debt, committed) = join!(
            self.insert_outcomes(plan),
            self.insert_accounts(plan),
            self.insert_entries(plan),
            self.update_accounts(plan),
            self.advance_offsets(&plan.offsets),
            self.insert_debt(plan),
            self.client.batch_execute("commit"),
        );
        for (written, expected) in [
            (outcomes, plan.outcomes.len()),
            (accounts, plan.opened.len()),
            (entries, plan.entries.len()),
            (updates, plan.changed.len()),
        ] {
            let written = written.map_err(BooksError::of)?;
            // Locked rows cannot vanish and inserts cannot be skipped.
            assert_eq!(written, expected as u64, "rows written");
        }
        offsets.map_err(BooksError::of)?;
        let debt = debt.map_err(BooksError::of)?;
        committed.map_err(BooksError::of)?;
        Ok(debt)
    }

    /// Gives up a transaction that failed or was never to be written.
    ///
    /// # Errors
    /// [`BooksError::Connection`] when the connection is gone, and the transaction with it.
    pub async fn abandon(&self) -> Result<(), BooksError> {
        self.client
            .batch_execute("rollback")
            .await
            .map_err(BooksError::Connection)
    }

    /// Within a transaction: gives an account another token.
    ///
    /// # Errors
    /// [`BooksError`].
    pub async fn replace_token(&self, iban: &Iban, digest: Digest) -> Result<(), BooksError> {
        self.client
            .execute(
                "update account set token_digest = $2 where iban = $1",
                &[&iban.as_str(), &digest.0.as_slice()],
            )
            .await
            .map(|_| ())
            .map_err(BooksError::of)
    }

    /// Of these partitions, those this assignment still owns, with where they stand.
    ///
    /// # Errors
    /// [`BooksError`].
    pub async fn owned(&self, partitions: &[OffsetMove]) -> Result<Vec<OffsetMove>, BooksError> {
        let rows = self
            .client
            .query(
                "select topic, partition, next_offset, owner_epoch from consumer_offset",
                &[],
            )
            .await
            .map_err(BooksError::of)?;
        Ok(rows
            .iter()
            .filter_map(|row| {
                let stands = OffsetMove {
                    topic: find_topic(row.get(0))?,
                    partition: row.get(1),
                    next_offset: row.get(2),
                    epoch: row.get(3),
                };
                partitions
                    .iter()
                    .any(|it| {
                        (it.topic, it.partition, it.epoch)
                            == (stands.topic, stands.partition, stands.epoch)
                    })
                    .then_some(stands)
            })
            .collect())
    }

    async fn insert_outcomes(&self, plan: &Plan) -> Result<u64, tokio_postgres::Error> {
        let rows = &plan.outcomes;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = rows.iter().map(|it| it.id.0).collect();
        let hashes: Vec<&[u8]> = rows.iter().map(|it| it.hash.as_slice()).collect();
        let kinds: Vec<&str> = rows.iter().map(|it| it.kind).collect();
        let rejections: Vec<Option<&str>> = rows
            .iter()
            .map(|it| it.rejection.map(|rejection| rejection.reason()))
            .collect();
        let observed: Vec<Option<i64>> = rows.iter().map(|it| it.observed_version).collect();
        let sources = || rows.iter().map(|it| it.source);
        let topics: Vec<&str> = sources()
            .map(|it| it.map_or("", |it| it.topic.definition().name))
            .collect();
        let partitions: Vec<i32> = sources()
            .map(|it| it.map_or(0, |it| it.partition))
            .collect();
        let offsets: Vec<i64> = sources().map(|it| it.map_or(0, |it| it.offset)).collect();
        let frames: Vec<Stored<'_>> = rows
            .iter()
            .map(|it| plan.frames.stored(it.frames.clone()))
            .collect();
        self.client
            .execute(
                &self.statements.insert_outcomes,
                &[
                    &ids,
                    &hashes,
                    &kinds,
                    &rejections,
                    &observed,
                    &topics,
                    &partitions,
                    &offsets,
                    &frames,
                ],
            )
            .await
    }

    async fn insert_accounts(&self, plan: &Plan) -> Result<u64, tokio_postgres::Error> {
        let rows = &plan.opened;
        if rows.is_empty() {
            return Ok(0);
        }
        let ibans: Vec<&str> = rows.iter().map(|(_, it)| it.iban.as_str()).collect();
        let ids: Vec<Uuid> = rows.iter().map(|(id, _)| id.0).collect();
        let digests: Vec<&[u8]> = rows
            .iter()
            .map(|(_, it)| it.token_digest.0.as_slice())
            .collect();
        let limits: Vec<i64> = rows.iter().map(|(_, it)| it.limit.0).collect();
        self.client
            .execute(
                &self.statements.insert_accounts,
                &[&ibans, &ids, &digests, &limits],
            )
            .await
    }

    async fn insert_entries(&self, plan: &Plan) -> Result<u64, tokio_postgres::Error> {
        let rows = &plan.entries;
        if rows.is_empty() {
            return Ok(0);
        }
        let ids: Vec<Uuid> = rows.iter().map(|it| it.command_id.0).collect();
        let accounts: Vec<&str> = rows.iter().map(|it| it.account.name()).collect();
        let versions: Vec<Option<i64>> = rows.iter().map(|it| it.after.map(|it| it.0)).collect();
        let deltas: Vec<i64> = rows.iter().map(|it| it.delta.0).collect();
        let balances: Vec<Option<i64>> = rows.iter().map(|it| it.after.map(|it| it.1.0)).collect();
        self.client
            .execute(
                &self.statements.insert_entries,
                &[&ids, &accounts, &versions, &deltas, &balances],
            )
            .await
    }

    async fn update_accounts(&self, plan: &Plan) -> Result<u64, tokio_postgres::Error> {
        let rows = &plan.changed;
        if rows.is_empty() {
            return Ok(0);
        }
        let ibans: Vec<&str> = rows.iter().map(|it| it.iban.as_str()).collect();
        let balances: Vec<i64> = rows.iter().map(|it| it.balance.0).collect();
        let versions: Vec<i64> = rows.iter().map(|it| it.version).collect();
        self.client
            .execute(
                &self.statements.update_accounts,
                &[&ibans, &balances, &versions],
            )
            .await
    }

    async fn advance_offsets(&self, offsets: &[OffsetMove]) -> Result<(), tokio_postgres::Error> {
        let topics: Vec<&str> = offsets
            .iter()
            .map(|it| it.topic.definition().name)
            .collect();
        let partitions: Vec<i32> = offsets.iter().map(|it| it.partition).collect();
        let next: Vec<i64> = offsets.iter().map(|it| it.next_offset).collect();
        let epochs: Vec<i64> = offsets.iter().map(|it| it.epoch).collect();
        self.client
            .query_one(
                &self.statements.advance_offsets,
                &[&topics, &partitions, &next, &epochs],
            )
            .await
            .map(|_| ())
    }

    async fn insert_debt(&self, plan: &Plan) -> Result<Option<i64>, tokio_postgres::Error> {
        if plan.owed.is_empty() && plan.dead_letters.is_empty() {
            return Ok(None);
        }
        let ids: Vec<Uuid> = plan.owed.iter().map(|id| id.0).collect();
        let dead_letters = (!plan.dead_letters.is_empty())
            .then(|| plan.dead_letters.stored(0..plan.dead_letters.len()));
        self.client
            .query_one(
                &self.statements.insert_debt,
                &[&self.owner, &ids, &dead_letters],
            )
            .await
            .map(|row| Some(row.get(0)))
    }
}

async fn prepare(client: &Client) -> Result<Statements, tokio_postgres::Error> {
    Ok(Statements {
        lock_accounts: client
            .prepare(
                "select iban, token_digest, balance_cents, limit_cents, version \
                 from account where iban = any($1) order by iban for no key update",
            )
            .await?,
        read_priors: client
            .prepare(
                "select command_id, request_hash, source_topic, source_partition, \
                        source_offset, frames \
                 from outcome where command_id = any($1)",
            )
            .await?,
        insert_outcomes: client
            .prepare(
                "insert into outcome (command_id, request_hash, kind, rejection, \
                     observed_version, source_topic, source_partition, source_offset, frames) \
                 select * from unnest($1::uuid[], $2::bytea[], $3::text[], $4::text[], \
                     $5::bigint[], $6::text[], $7::integer[], $8::bigint[], $9::bytea[])",
            )
            .await?,
        insert_accounts: client
            .prepare(
                "insert into account (iban, command_id, token_digest, limit_cents) \
                 select * from unnest($1::text[], $2::uuid[], $3::bytea[], $4::bigint[])",
            )
            .await?,
        insert_entries: client
            .prepare(
                "insert into ledger_entry (command_id, account, version, delta_cents, \
                     balance_after_cents) \
                 select * from unnest($1::uuid[], $2::text[], $3::bigint[], $4::bigint[], \
                     $5::bigint[])",
            )
            .await?,
        update_accounts: client
            .prepare(
                "update account set balance_cents = given.balance, version = given.version \
                 from unnest($1::text[], $2::bigint[], $3::bigint[]) \
                     as given(iban, balance, version) \
                 where account.iban = given.iban",
            )
            .await?,
        advance_offsets: client
            .prepare("select advance_offsets($1, $2, $3, $4)")
            .await?,
        insert_debt: client
            .prepare(
                "insert into emission_debt (owner, command_ids, dead_letters) \
                 values ($1, $2, $3) returning debt_id",
            )
            .await?,
    })
}

fn read_account(row: &Row) -> Result<Account, BooksError> {
    let iban: &str = row.get(0);
    let digest: &[u8] = row.get(1);
    Ok(Account {
        iban: Iban::parse(iban).map_err(|_| BooksError::Unreadable("an account's number"))?,
        token_digest: Digest(
            digest
                .try_into()
                .map_err(|_| BooksError::Unreadable("a token's digest"))?,
        ),
        balance: Cents(row.get(2)),
        limit: Cents(row.get(3)),
        version: row.get(4),
    })
}

fn read_prior(row: &Row, key: &HandlerKey) -> Result<(CommandId, Prior), BooksError> {
    let id = CommandId(row.get(0));
    let hash: &[u8] = row.get(1);
    let topic: Option<Topic> = match row.get::<_, &str>(2) {
        "" => None,
        name => Some(find_topic(name).ok_or(BooksError::Unreadable("a topic's name"))?),
    };
    let mut frames = Frames::default();
    frames.restore(row.get(5), id, key)?;
    let prior = Prior {
        hash: hash
            .try_into()
            .map_err(|_| BooksError::Unreadable("a request's hash"))?,
        source: topic.map(|topic| Source {
            topic,
            partition: row.get(3),
            offset: row.get(4),
        }),
        frames,
    };
    Ok((id, prior))
}

/// Frames go to the database as they stand in their buffer.
impl ToSql for Stored<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        for piece in self.pieces() {
            out.extend_from_slice(piece);
        }
        Ok(IsNull::No)
    }

    fn accepts(ty: &Type) -> bool {
        *ty == Type::BYTEA
    }

    to_sql_checked!();
}
