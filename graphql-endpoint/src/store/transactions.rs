//! Transactions as the read model has them.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, BigInt, Integer, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use topology::{Cents, CommandId};
use uuid::Uuid;

use super::{Store, statement};
use crate::error::Error;
use crate::facts::Change;
use crate::filter::{Direction, Filter};

#[derive(QueryableByName)]
pub(super) struct ChangeRow {
    #[diesel(sql_type = Text)]
    iban: String,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = BigInt)]
    new_balance_cents: i64,
    #[diesel(sql_type = BigInt)]
    changed_by_cents: i64,
    #[diesel(sql_type = Text)]
    from_to: String,
    #[diesel(sql_type = Text)]
    description: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    command_id: Option<Uuid>,
    #[diesel(sql_type = Timestamptz)]
    occurred_at: DateTime<Utc>,
    #[diesel(sql_type = Integer)]
    source_partition: i32,
    #[diesel(sql_type = BigInt)]
    source_offset: i64,
}

impl From<ChangeRow> for Change {
    fn from(row: ChangeRow) -> Change {
        Change {
            iban: row.iban,
            version: row.version,
            new_balance: Cents(row.new_balance_cents),
            changed_by: Cents(row.changed_by_cents),
            from_to: row.from_to,
            description: row.description,
            command_id: row.command_id.map(CommandId),
            occurred_at: row.occurred_at,
            partition: row.source_partition,
            offset: row.source_offset,
            accepted_us: None,
            heard: None,
        }
    }
}

impl Store {
    /// A page of an account's transactions, newest first, older than version `before`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn transactions(
        &self,
        iban: &str,
        before: Option<i64>,
        filter: &Filter,
        limit: i64,
    ) -> Result<Vec<Change>, Error> {
        let sign = filter.direction.map(|direction| match direction {
            Direction::Credit => 1,
            Direction::Debit => -1,
        });
        // The collation, since the database's own may know the letters of English only, while
        // live updates are filtered by the letters of all.
        let asked = statement(
            "SELECT iban, version, new_balance_cents, changed_by_cents, from_to, description,
                    command_id, occurred_at, source_partition, source_offset
             FROM account_transaction
             WHERE iban = ? AND version < ?
               AND (? IS NULL OR sign(changed_by_cents) = ?)
               AND abs(changed_by_cents::numeric) BETWEEN ? AND ?
               AND (? IS NULL OR strpos(lower(description COLLATE \"und-x-icu\"),
                                        lower(? COLLATE \"und-x-icu\")) > 0)
             ORDER BY version DESC LIMIT ?",
        )
        .bind::<Text, _>(iban.to_owned())
        .bind::<BigInt, _>(before.unwrap_or(i64::MAX))
        .bind::<Nullable<Integer>, _>(sign)
        .bind::<Nullable<Integer>, _>(sign)
        .bind::<BigInt, _>(filter.amount_min.map_or(0, |amount| amount.0))
        .bind::<BigInt, _>(filter.amount_max.map_or(i64::MAX, |amount| amount.0))
        .bind::<Nullable<Text>, _>(filter.text.clone())
        .bind::<Nullable<Text>, _>(filter.text.clone())
        .bind::<BigInt, _>(limit);
        let rows: Vec<ChangeRow> = self.rows(asked).await?;
        Ok(rows.into_iter().map(Change::from).collect())
    }

    /// What a command changed on these accounts.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn transactions_of(
        &self,
        command_id: CommandId,
        ibans: Vec<String>,
    ) -> Result<Vec<Change>, Error> {
        let asked = statement(
            "SELECT iban, version, new_balance_cents, changed_by_cents, from_to, description,
                    command_id, occurred_at, source_partition, source_offset
             FROM account_transaction
             WHERE iban = ANY (?) AND command_id = ? ORDER BY iban, version LIMIT 10",
        )
        .bind::<Array<Text>, _>(ibans)
        .bind::<SqlUuid, _>(command_id.0);
        let rows: Vec<ChangeRow> = self.rows(asked).await?;
        Ok(rows.into_iter().map(Change::from).collect())
    }

    /// An account's transactions after a version, oldest first, whatever they are.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn transactions_after(
        &self,
        iban: &str,
        version: i64,
        limit: i64,
    ) -> Result<Vec<Change>, Error> {
        let asked = statement(
            "SELECT iban, version, new_balance_cents, changed_by_cents, from_to, description,
                    command_id, occurred_at, source_partition, source_offset
             FROM account_transaction
             WHERE iban = ? AND version > ? ORDER BY version LIMIT ?",
        )
        .bind::<Text, _>(iban.to_owned())
        .bind::<BigInt, _>(version)
        .bind::<BigInt, _>(limit);
        let rows: Vec<ChangeRow> = self.rows(asked).await?;
        Ok(rows.into_iter().map(Change::from).collect())
    }
}
