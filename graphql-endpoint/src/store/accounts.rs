//! Accounts as the read model has them.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use topology::Cents;

use super::{Number, Store, statement};
use crate::error::Error;

/// The lowest balance of an account nobody set another limit for.
pub const LIMIT_DEFAULT: Cents = Cents(-50_000);

/// One account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountState {
    /// Which.
    pub iban: String,
    /// What is on it.
    pub balance: Cents,
    /// The lowest balance allowed.
    pub limit: Cents,
    /// Number of changes so far.
    pub version: i64,
    /// When the last one was.
    pub changed_at: Option<DateTime<Utc>>,
}

impl AccountState {
    /// An account the bank has opened and the read model has not heard of yet.
    #[must_use]
    pub fn just_opened(iban: String) -> AccountState {
        AccountState {
            iban,
            balance: Cents::ZERO,
            limit: LIMIT_DEFAULT,
            version: 0,
            changed_at: None,
        }
    }
}

/// How a list of accounts is ordered, with the place to go on from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountsAfter {
    /// Last changed first; goes on after this time (none: never changed) and IBAN.
    NewestChange(Option<(Option<DateTime<Utc>>, String)>),
    /// By IBAN.
    Iban(Option<String>),
    /// Largest balance first.
    Balance(Option<(Cents, String)>),
}

#[derive(QueryableByName)]
struct AccountRow {
    #[diesel(sql_type = Text)]
    iban: String,
    #[diesel(sql_type = BigInt)]
    balance_cents: i64,
    #[diesel(sql_type = BigInt)]
    limit_cents: i64,
    #[diesel(sql_type = BigInt)]
    version: i64,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    changed_at: Option<DateTime<Utc>>,
}

impl From<AccountRow> for AccountState {
    fn from(row: AccountRow) -> AccountState {
        AccountState {
            iban: row.iban,
            balance: Cents(row.balance_cents),
            limit: Cents(row.limit_cents),
            version: row.version,
            changed_at: row.changed_at,
        }
    }
}

impl Store {
    /// The account with this IBAN.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn account(&self, iban: &str) -> Result<Option<AccountState>, Error> {
        let asked = statement(
            "SELECT iban, balance_cents, limit_cents, version, changed_at
             FROM account WHERE iban = ?",
        )
        .bind::<Text, _>(iban.to_owned());
        let row: Option<AccountRow> = self.row(asked).await?;
        Ok(row.map(AccountState::from))
    }

    /// A page of accounts whose IBAN contains `part`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn accounts(
        &self,
        part: &str,
        after: AccountsAfter,
        limit: i64,
    ) -> Result<Vec<AccountState>, Error> {
        let part = part.to_owned();
        // Never changed sorts last; NULL is compared as the beginning of time.
        let asked = match after {
            AccountsAfter::NewestChange(after) => {
                let (changed_at, iban) = after.unzip();
                statement(
                    "SELECT iban, balance_cents, limit_cents, version, changed_at FROM account
                     WHERE strpos(iban, ?) > 0 AND (? IS NULL
                        OR coalesce(changed_at, '-infinity') < coalesce(?, '-infinity')
                        OR (changed_at IS NOT DISTINCT FROM ? AND iban > ?))
                     ORDER BY coalesce(changed_at, '-infinity') DESC, iban LIMIT ?",
                )
                .bind::<Text, _>(part)
                .bind::<Nullable<Text>, _>(iban.clone())
                .bind::<Nullable<Timestamptz>, _>(changed_at.flatten())
                .bind::<Nullable<Timestamptz>, _>(changed_at.flatten())
                .bind::<Nullable<Text>, _>(iban)
                .bind::<BigInt, _>(limit)
            }
            AccountsAfter::Iban(after) => statement(
                "SELECT iban, balance_cents, limit_cents, version, changed_at FROM account
                 WHERE strpos(iban, ?) > 0 AND iban > ? ORDER BY iban LIMIT ?",
            )
            .bind::<Text, _>(part)
            .bind::<Text, _>(after.unwrap_or_default())
            .bind::<BigInt, _>(limit),
            AccountsAfter::Balance(after) => {
                let (balance, iban) = after.unzip();
                let balance = balance.map(|balance| balance.0);
                statement(
                    "SELECT iban, balance_cents, limit_cents, version, changed_at FROM account
                     WHERE strpos(iban, ?) > 0 AND (? IS NULL OR balance_cents < ?
                        OR (balance_cents = ? AND iban > ?))
                     ORDER BY balance_cents DESC, iban LIMIT ?",
                )
                .bind::<Text, _>(part)
                .bind::<Nullable<Text>, _>(iban.clone())
                .bind::<Nullable<BigInt>, _>(balance)
                .bind::<Nullable<BigInt>, _>(balance)
                .bind::<Nullable<Text>, _>(iban)
                .bind::<BigInt, _>(limit)
            }
        };
        let rows: Vec<AccountRow> = self.rows(asked).await?;
        Ok(rows.into_iter().map(AccountState::from).collect())
    }

    /// How many accounts have an IBAN that contains `part`.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn count_accounts(&self, part: &str) -> Result<i64, Error> {
        let asked = statement("SELECT count(*) AS number FROM account WHERE strpos(iban, ?) > 0")
            .bind::<Text, _>(part.to_owned());
        let row: Option<Number> = self.row(asked).await?;
        Ok(row.map_or(0, |row| row.number))
    }
}
