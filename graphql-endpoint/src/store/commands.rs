//! Commands given through the API: which id means what, and what became of it.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use topology::CommandId;

use super::{Store, statement};
use crate::error::Error;
use crate::identity::SessionToken;

/// What a command asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// An account for somebody new.
    OpenAccount,
    /// Cash into an account.
    Deposit,
    /// Money to somebody else.
    Transfer,
}

impl CommandKind {
    /// The word in the table.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            CommandKind::OpenAccount => "OPEN_ACCOUNT",
            CommandKind::Deposit => "DEPOSIT",
            CommandKind::Transfer => "TRANSFER",
        }
    }
}

/// How far a command is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandState {
    /// The bank has not answered.
    Pending,
    /// It was done.
    Confirmed,
    /// The bank said no, in its own words.
    Rejected(String),
}

/// A command as it was given.
#[derive(Clone, Debug)]
pub struct GivenCommand {
    /// By whom.
    pub user_name: String,
    /// What it asks for.
    pub kind: CommandKind,
    /// When, by the database's clock.
    pub given_at: DateTime<Utc>,
}

/// A command to be noted.
#[derive(Clone, Debug)]
pub(super) struct NewCommand {
    command_id: CommandId,
    user_name: String,
    request_hash: Vec<u8>,
    kind: CommandKind,
    session_hash: Option<Vec<u8>>,
}

#[derive(QueryableByName)]
struct InsertedRow {
    #[diesel(sql_type = SqlUuid)]
    command_id: uuid::Uuid,
}

#[derive(QueryableByName)]
struct GivenRow {
    #[diesel(sql_type = Text)]
    user_name: String,
    #[diesel(sql_type = Text)]
    kind: String,
    #[diesel(sql_type = Timestamptz)]
    created_at: DateTime<Utc>,
}

/// What a claim of a command id found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Claim {
    /// Nobody used the id before.
    New,
    /// The same command was given before.
    Same(CommandState),
    /// The id means something else, or is somebody else's.
    Taken,
    /// The session that was to hold does not; nothing was claimed.
    SessionEnded,
}

#[derive(QueryableByName)]
struct CommandRow {
    #[diesel(sql_type = Text)]
    user_name: String,
    #[diesel(sql_type = Binary)]
    request_hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Nullable<Text>)]
    reason: Option<String>,
}

impl CommandRow {
    fn state(self) -> CommandState {
        match self.status.as_str() {
            "CONFIRMED" => CommandState::Confirmed,
            "REJECTED" => CommandState::Rejected(self.reason.unwrap_or_default()),
            _ => CommandState::Pending,
        }
    }
}

impl Store {
    /// Claims an id for a command, or says what it already means. Where `session` is given,
    /// the same statement asks whether it still is a session of this user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn claim_command(
        &self,
        command_id: CommandId,
        user_name: &str,
        kind: CommandKind,
        request_hash: &[u8],
        session: Option<&SessionToken>,
    ) -> Result<Claim, Error> {
        let command = NewCommand {
            command_id,
            user_name: user_name.to_owned(),
            request_hash: request_hash.to_vec(),
            kind,
            session_hash: session.map(SessionToken::digest),
        };
        if self.claims.ask(command).await? {
            return Ok(Claim::New);
        }
        if let Some(session) = session
            && self.viewer(session).await?.is_none()
        {
            return Ok(Claim::SessionEnded);
        }
        Ok(match self.command_row(command_id).await? {
            Some(row) if row.user_name == user_name && row.request_hash == request_hash => {
                Claim::Same(row.state())
            }
            _ => Claim::Taken,
        })
    }

    /// Notes commands whose session holds; tells of each whether it was noted, which an id
    /// that is not free is not either. Of two with the same id the first has it.
    pub(super) async fn insert_commands(
        &self,
        mut commands: Vec<NewCommand>,
    ) -> Result<Vec<bool>, Error> {
        let asked: Vec<CommandId> = commands.iter().map(|it| it.command_id).collect();
        let mut seen = HashSet::new();
        commands.retain(|it| seen.insert(it.command_id.0));
        // In the same order everywhere, so that two statements cannot wait for each other.
        commands.sort_by_key(|it| it.command_id.0);
        let (mut ids, mut users, mut hashes, mut kinds, mut sessions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for command in commands {
            ids.push(command.command_id.0);
            users.push(command.user_name);
            hashes.push(command.request_hash);
            kinds.push(command.kind.as_str());
            sessions.push(command.session_hash);
        }
        let inserted: Vec<InsertedRow> = self
            .rows(
                statement(
                    "INSERT INTO command (command_id, user_name, request_hash, kind, status)
                     SELECT command_id, user_name, request_hash, kind, 'PENDING'
                     FROM unnest(?, ?, ?, ?, ?)
                         AS given (command_id, user_name, request_hash, kind, session_hash)
                     WHERE session_hash IS NULL OR EXISTS (
                         SELECT FROM session WHERE token_hash = session_hash
                             AND session.user_name = given.user_name AND expires_at > now())
                     ON CONFLICT DO NOTHING RETURNING command_id",
                )
                .bind::<Array<SqlUuid>, _>(ids)
                .bind::<Array<Text>, _>(users)
                .bind::<Array<Binary>, _>(hashes)
                .bind::<Array<Text>, _>(kinds)
                .bind::<Array<Nullable<Binary>>, _>(sessions),
            )
            .await?;
        let mut free: HashSet<_> = inserted.into_iter().map(|row| row.command_id).collect();
        Ok(asked.into_iter().map(|id| free.remove(&id.0)).collect())
    }

    /// Who gave a command, and when; `None` when nobody did here.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn given_command(
        &self,
        command_id: CommandId,
    ) -> Result<Option<GivenCommand>, Error> {
        let asked =
            statement("SELECT user_name, kind, created_at FROM command WHERE command_id = ?")
                .bind::<SqlUuid, _>(command_id.0);
        let row: Option<GivenRow> = self.row(asked).await?;
        Ok(row.map(|row| GivenCommand {
            user_name: row.user_name,
            kind: match row.kind.as_str() {
                "DEPOSIT" => CommandKind::Deposit,
                "TRANSFER" => CommandKind::Transfer,
                _ => CommandKind::OpenAccount,
            },
            given_at: row.created_at,
        }))
    }

    async fn command_row(&self, command_id: CommandId) -> Result<Option<CommandRow>, Error> {
        self.row(
            statement(
                "SELECT user_name, request_hash, status, reason FROM command
                 WHERE command_id = ?",
            )
            .bind::<SqlUuid, _>(command_id.0),
        )
        .await
    }

    /// The state of a user's own command.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn command_state(
        &self,
        command_id: CommandId,
        user_name: &str,
    ) -> Result<Option<CommandState>, Error> {
        let row = self.command_row(command_id).await?;
        Ok(row
            .filter(|row| row.user_name == user_name)
            .map(CommandRow::state))
    }
}
