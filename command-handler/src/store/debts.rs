//! Debts: batches whose records are decided but not known to be in Kafka.
//!
//! Each names the database session that owes it. A session holds an advisory lock on its
//! own number for as long as it lives, so a debt whose owner's lock is free is an orphan
//! and whoever finds it pays it.

use std::collections::{HashMap, HashSet};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool};
use diesel::{QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use topology::CommandId;
use uuid::Uuid;

use super::schema::{emission_debt, outcome};
use crate::emission::Debt;
use crate::frames::{Frames, FramesDamaged};
use crate::keys::HandlerKey;

/// Most debts taken over in one step.
const ADOPTED_MAX: i64 = 64;

/// Why debts could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DebtError {
    /// The database did not do it. Retried.
    #[error("could not read or move debts")]
    Database(#[from] diesel::result::Error),
    /// A debt names frames that are not as they were written.
    #[error("could not read the frames of debt {debt_id}")]
    Damaged {
        /// Which debt.
        debt_id: i64,
        /// What is wrong.
        #[source]
        source: FramesDamaged,
    },
}

#[derive(QueryableByName)]
struct Owner {
    #[diesel(sql_type = BigInt)]
    owner: i64,
}

#[derive(QueryableByName)]
struct Locked {
    #[diesel(sql_type = Bool)]
    locked: bool,
}

/// Takes a number for this session to own debts under, for as long as it lives.
///
/// # Errors
/// When the database did not do it.
pub async fn take_owner(connection: &mut AsyncPgConnection) -> Result<i64, diesel::result::Error> {
    let owner = sql_query("select nextval('debt_owner') as owner")
        .get_result::<Owner>(connection)
        .await?
        .owner;
    sql_query("select true as locked from pg_advisory_lock($1)")
        .bind::<BigInt, _>(owner)
        .get_result::<Locked>(connection)
        .await?;
    Ok(owner)
}

/// Takes over debts whose owner is dead, makes `me` their owner and returns them oldest
/// first, but for those in `in_flight`, which this process is sending already.
///
/// `me` should be the number of this very session: should anything fail on the way, the
/// session is dropped, and the debts are orphans again.
///
/// # Errors
/// [`DebtError`].
pub async fn adopt_orphans(
    connection: &mut AsyncPgConnection,
    me: i64,
    in_flight: &HashSet<i64>,
    key: &HandlerKey,
) -> Result<Vec<Debt>, DebtError> {
    let owners: Vec<i64> = emission_debt::table
        .filter(emission_debt::owner.ne(me))
        .select(emission_debt::owner)
        .distinct()
        .load(connection)
        .await?;
    let mut debts = Vec::new();
    for owner in owners {
        let lock = sql_query("select pg_try_advisory_lock($1) as locked")
            .bind::<BigInt, _>(owner)
            .get_result::<Locked>(connection)
            .await?;
        if !lock.locked {
            continue;
        }
        let adopted = adopt(connection, owner, me).await;
        sql_query("select pg_advisory_unlock($1) as locked")
            .bind::<BigInt, _>(owner)
            .get_result::<Locked>(connection)
            .await?;
        for row in adopted? {
            if !in_flight.contains(&row.0) {
                debts.push(load(connection, row, key).await?);
            }
        }
    }
    debts.sort_by_key(|debt| debt.id);
    Ok(debts)
}

type Row = (i64, Vec<Uuid>, Option<Vec<u8>>);

async fn adopt(
    connection: &mut AsyncPgConnection,
    owner: i64,
    me: i64,
) -> Result<Vec<Row>, diesel::result::Error> {
    let oldest: Vec<i64> = emission_debt::table
        .filter(emission_debt::owner.eq(owner))
        .order(emission_debt::debt_id)
        .limit(ADOPTED_MAX)
        .select(emission_debt::debt_id)
        .load(connection)
        .await?;
    diesel::update(emission_debt::table)
        .filter(emission_debt::debt_id.eq_any(oldest))
        .filter(emission_debt::owner.eq(owner))
        .set(emission_debt::owner.eq(me))
        .returning((
            emission_debt::debt_id,
            emission_debt::command_ids,
            emission_debt::dead_letters,
        ))
        .get_results(connection)
        .await
}

/// The debts there are, whoever owes them, oldest first.
///
/// # Errors
/// [`DebtError`].
pub async fn standing(connection: &mut AsyncPgConnection) -> Result<Vec<i64>, DebtError> {
    Ok(emission_debt::table
        .order(emission_debt::debt_id)
        .limit(ADOPTED_MAX)
        .select(emission_debt::debt_id)
        .load(connection)
        .await?)
}

/// What these debts owe; those that are paid meanwhile are left out.
///
/// # Errors
/// [`DebtError`].
pub async fn read(
    connection: &mut AsyncPgConnection,
    debt_ids: &[i64],
    key: &HandlerKey,
) -> Result<Vec<Debt>, DebtError> {
    let rows: Vec<Row> = emission_debt::table
        .filter(emission_debt::debt_id.eq_any(debt_ids))
        .order(emission_debt::debt_id)
        .select((
            emission_debt::debt_id,
            emission_debt::command_ids,
            emission_debt::dead_letters,
        ))
        .load(connection)
        .await?;
    let mut debts = Vec::new();
    for row in rows {
        debts.push(load(connection, row, key).await?);
    }
    Ok(debts)
}

async fn load(
    connection: &mut AsyncPgConnection,
    (debt_id, command_ids, dead_letters): Row,
    key: &HandlerKey,
) -> Result<Debt, DebtError> {
    let damaged = |source| DebtError::Damaged { debt_id, source };
    let stored: HashMap<Uuid, Vec<u8>> = outcome::table
        .filter(outcome::command_id.eq_any(&command_ids))
        .select((outcome::command_id, outcome::frames))
        .load::<(Uuid, Vec<u8>)>(connection)
        .await?
        .into_iter()
        .collect();
    let mut owed = Frames::default();
    for id in command_ids {
        if let Some(bytes) = stored.get(&id) {
            owed.restore(bytes, CommandId(id), key).map_err(damaged)?;
        }
    }
    if let Some(bytes) = dead_letters {
        let nobody = CommandId(Uuid::nil());
        owed.restore(&bytes, nobody, key).map_err(damaged)?;
    }
    Ok(Debt {
        id: debt_id,
        frames: owed,
        journeys: Vec::new(),
    })
}

/// Removes debts that are paid.
///
/// # Errors
/// When the database did not do it.
pub async fn remove(
    connection: &mut AsyncPgConnection,
    paid: &[i64],
) -> Result<(), diesel::result::Error> {
    diesel::delete(emission_debt::table.filter(emission_debt::debt_id.eq_any(paid)))
        .execute(connection)
        .await
        .map(|_| ())
}
