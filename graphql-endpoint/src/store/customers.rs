//! Users, and the way a customer gets an account.

use diesel::QueryableByName;
use diesel::sql_types::{BigInt, Binary, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncConnection, AsyncPgConnection, RunQueryDsl};
use topology::CommandId;
use uuid::Uuid;

use super::sessions::role_of;
use super::{Store, statement};
use crate::error::Error;
use crate::identity::Role;

/// Times a customer's account is asked for when the bank says no; then they are removed.
const CREATION_ATTEMPTS_MAX: i32 = 5;
/// Seconds after which an account command without an outcome is sent again.
const CREATION_RETRY_SECONDS: i32 = 10;
/// Customers whose command is sent again in one go.
const CREATION_RETRY_BATCH: i64 = 100;

/// A user as stored.
#[derive(Clone, Debug)]
pub struct Customer {
    /// Their name.
    pub user_name: String,
    /// The argon2 text.
    pub password_hash: String,
    /// What they may.
    pub role: Role,
    /// The command they signed up with.
    pub sign_up_command_id: Option<CommandId>,
    /// The command the bank was last asked with.
    pub creation_command_id: Option<CommandId>,
    /// Their account, once open.
    pub iban: Option<String>,
    /// Its sealed token.
    pub token_ciphertext: Option<Vec<u8>>,
}

#[derive(QueryableByName)]
struct CustomerRow {
    #[diesel(sql_type = Text)]
    user_name: String,
    #[diesel(sql_type = Text)]
    password_hash: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    sign_up_command_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    creation_command_id: Option<Uuid>,
    #[diesel(sql_type = Nullable<Text>)]
    iban: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    token_ciphertext: Option<Vec<u8>>,
}

impl From<CustomerRow> for Customer {
    fn from(row: CustomerRow) -> Customer {
        Customer {
            role: role_of(&row.role),
            user_name: row.user_name,
            password_hash: row.password_hash,
            sign_up_command_id: row.sign_up_command_id.map(CommandId),
            creation_command_id: row.creation_command_id.map(CommandId),
            iban: row.iban,
            token_ciphertext: row.token_ciphertext,
        }
    }
}

#[derive(QueryableByName)]
struct Id {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// What became of a sign-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignUp {
    /// The customer is new.
    New,
    /// The name is taken: perhaps by the same sign-up, sent before.
    NameTaken,
    /// The command id belongs to another command.
    IdTaken,
}

/// An account the bank has opened for a customer of ours.
#[derive(Clone, Debug)]
pub struct OpenedAccount {
    /// Of this command.
    pub command_id: CommandId,
    /// The account.
    pub iban: String,
    /// Its token, sealed.
    pub token_ciphertext: Vec<u8>,
}

impl Store {
    /// The user with this name.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn customer(&self, user_name: &str) -> Result<Option<Customer>, Error> {
        let asked = statement(
            "SELECT user_name, password_hash, role, sign_up_command_id, creation_command_id,
                    iban, token_ciphertext
             FROM customer WHERE user_name = ?",
        )
        .bind::<Text, _>(user_name.to_owned());
        let row: Option<CustomerRow> = self.row(asked).await?;
        Ok(row.map(Customer::from))
    }

    /// Makes a customer, with the command that is to open their account.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn sign_up(
        &self,
        user_name: &str,
        password_hash: &str,
        command_id: CommandId,
        request_hash: &[u8],
    ) -> Result<SignUp, Error> {
        let command = statement(
            "INSERT INTO command (command_id, user_name, request_hash, kind, status)
             VALUES (?, ?, ?, 'OPEN_ACCOUNT', 'PENDING') ON CONFLICT DO NOTHING",
        )
        .bind::<SqlUuid, _>(command_id.0)
        .bind::<Text, _>(user_name.to_owned())
        .bind::<Binary, _>(request_hash.to_vec());
        let customer = statement(
            "INSERT INTO customer
                 (user_name, password_hash, role, sign_up_command_id, creation_command_id)
             VALUES (?, ?, 'CUSTOMER', ?, ?) ON CONFLICT DO NOTHING",
        )
        .bind::<Text, _>(user_name.to_owned())
        .bind::<Text, _>(password_hash.to_owned())
        .bind::<SqlUuid, _>(command_id.0)
        .bind::<SqlUuid, _>(command_id.0);
        let mut connection = self.connection().await?;
        // An id that means something else must leave no customer behind, and a name that
        // is taken no command: the outcome decides between commit and rollback.
        let outcome = connection
            .transaction::<_, RolledBack, _>(async |connection| {
                if customer.execute(connection).await? == 0 {
                    return Err(RolledBack::As(SignUp::NameTaken));
                }
                if command.execute(connection).await? == 0 {
                    return Err(RolledBack::As(SignUp::IdTaken));
                }
                Ok(())
            })
            .await;
        match outcome {
            Ok(()) => Ok(SignUp::New),
            Err(RolledBack::As(outcome)) => Ok(outcome),
            Err(RolledBack::Failed(error)) => Err(error.into()),
        }
    }

    /// Makes a user for demo mode, unless they are there.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn ensure_demo_user(
        &self,
        user_name: &str,
        password_hash: &str,
        role: Role,
        command_id: Option<CommandId>,
    ) -> Result<(), Error> {
        let role = match role {
            Role::Customer => "CUSTOMER",
            Role::Employee => "EMPLOYEE",
        };
        // Waiting since for ever: the sweeper sends the command at once.
        self.execute(
            statement(
                "INSERT INTO customer (user_name, password_hash, role, sign_up_command_id,
                                       creation_command_id, commanded_at)
                 VALUES (?, ?, ?, ?, ?, '-infinity')
                 ON CONFLICT (user_name) DO UPDATE SET password_hash = excluded.password_hash",
            )
            .bind::<Text, _>(user_name.to_owned())
            .bind::<Text, _>(password_hash.to_owned())
            .bind::<Text, _>(role)
            .bind::<Nullable<SqlUuid>, _>(command_id.map(|id| id.0))
            .bind::<Nullable<SqlUuid>, _>(command_id.map(|id| id.0)),
        )
        .await?;
        Ok(())
    }

    /// Gives customers their accounts; those who have one, or are not ours, are skipped.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn link_accounts(&self, opened: &[OpenedAccount]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        link_accounts(&mut connection, opened).await?;
        Ok(())
    }

    /// After the bank refused these commands: fresh ids, or the end of the sign-up.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn renew_creations(&self, refused: &[CommandId]) -> Result<(), Error> {
        let mut connection = self.connection().await?;
        let refused = refused.iter().map(|id| id.0).collect();
        connection
            .transaction::<_, diesel::result::Error, _>(async |connection| {
                renew_creations(connection, refused).await
            })
            .await?;
        Ok(())
    }

    /// Takes account commands that have waited too long for an outcome; the caller sends
    /// them again.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn take_late_creations(&self) -> Result<Vec<CommandId>, Error> {
        let asked = statement(
            "UPDATE customer SET commanded_at = now()
             WHERE user_name IN (
                 SELECT user_name FROM customer
                 WHERE iban IS NULL AND role = 'CUSTOMER'
                   AND commanded_at < now() - ? * interval '1 second'
                 ORDER BY commanded_at LIMIT ? FOR UPDATE SKIP LOCKED)
             RETURNING creation_command_id AS id",
        )
        .bind::<Integer, _>(CREATION_RETRY_SECONDS)
        .bind::<BigInt, _>(CREATION_RETRY_BATCH);
        let rows: Vec<Id> = self.rows(asked).await?;
        Ok(rows.into_iter().map(|row| CommandId(row.id)).collect())
    }
}

/// Why a transaction was rolled back: on purpose, or by an error.
enum RolledBack {
    As(SignUp),
    Failed(diesel::result::Error),
}

impl From<diesel::result::Error> for RolledBack {
    fn from(error: diesel::result::Error) -> RolledBack {
        RolledBack::Failed(error)
    }
}

/// See [`Store::link_accounts`]; also part of the projection's transaction.
pub(super) async fn link_accounts(
    connection: &mut AsyncPgConnection,
    opened: &[OpenedAccount],
) -> Result<(), diesel::result::Error> {
    use diesel::sql_types::Array;
    if opened.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = opened.iter().map(|it| it.command_id.0).collect();
    let ibans: Vec<String> = opened.iter().map(|it| it.iban.clone()).collect();
    let tokens: Vec<Vec<u8>> = opened
        .iter()
        .map(|it| it.token_ciphertext.clone())
        .collect();
    statement(
        "WITH opened AS (
             SELECT * FROM unnest(?, ?, ?) AS opened (command_id, iban, token_ciphertext)
         ), linked AS (
             UPDATE customer SET iban = opened.iban, token_ciphertext = opened.token_ciphertext
             FROM opened
             WHERE customer.creation_command_id = opened.command_id AND customer.iban IS NULL
               AND NOT EXISTS (SELECT FROM customer other WHERE other.iban = opened.iban)
             RETURNING customer.sign_up_command_id
         )
         UPDATE command SET status = 'CONFIRMED'
         FROM linked WHERE command.command_id = linked.sign_up_command_id",
    )
    .bind::<Array<SqlUuid>, _>(ids)
    .bind::<Array<Text>, _>(ibans)
    .bind::<Array<Binary>, _>(tokens)
    .execute(connection)
    .await?;
    Ok(())
}

/// See [`Store::renew_creations`]; also part of the projection's transaction.
pub(super) async fn renew_creations(
    connection: &mut AsyncPgConnection,
    refused: Vec<Uuid>,
) -> Result<(), diesel::result::Error> {
    use diesel::sql_types::Array;
    if refused.is_empty() {
        return Ok(());
    }
    statement(
        "WITH gone AS (
             DELETE FROM customer
             WHERE creation_command_id = ANY (?) AND iban IS NULL AND creation_attempts >= ?
             RETURNING sign_up_command_id
         )
         UPDATE command SET status = 'REJECTED', reason = 'no account could be opened'
         FROM gone WHERE command.command_id = gone.sign_up_command_id",
    )
    .bind::<Array<SqlUuid>, _>(refused.clone())
    .bind::<Integer, _>(CREATION_ATTEMPTS_MAX)
    .execute(connection)
    .await?;
    statement(
        "UPDATE customer SET creation_command_id = gen_random_uuid(), commanded_at = '-infinity',
                             creation_attempts = creation_attempts + 1
         WHERE creation_command_id = ANY (?) AND iban IS NULL",
    )
    .bind::<Array<SqlUuid>, _>(refused)
    .execute(connection)
    .await?;
    Ok(())
}
