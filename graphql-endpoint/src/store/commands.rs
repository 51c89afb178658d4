//! Commands given through the API: which id means what, and what became of it.

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Binary, Bool, Nullable, Text, Timestamptz, Uuid as SqlUuid};
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

/// What became of a command to be noted.
#[derive(QueryableByName)]
pub(super) struct Noted {
    #[diesel(sql_type = Bool)]
    session_holds: bool,
    #[diesel(sql_type = Bool)]
    is_new: bool,
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
        let noted = self.claims.ask(command).await?;
        if !noted.session_holds {
            return Ok(Claim::SessionEnded);
        }
        if noted.is_new {
            return Ok(Claim::New);
        }
        Ok(match self.command_row(command_id).await? {
            Some(row) if row.user_name == user_name && row.request_hash == request_hash => {
                Claim::Same(row.state())
            }
            _ => Claim::Taken,
        })
    }

    /// Notes commands whose session holds; tells of each what became of it. Of two with the
    /// same id the first has it.
    pub(super) async fn note_commands(
        &self,
        commands: Vec<NewCommand>,
    ) -> Result<Vec<Noted>, Error> {
        let (mut ids, mut users, mut hashes, mut kinds, mut sessions) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for command in commands {
            ids.push(command.command_id.0);
            users.push(command.user_name);
            hashes.push(command.request_hash);
            kinds.push(command.kind.as_str());
            sessions.push(command.session_hash);
        }
        // Written in the order of their ids everywhere, so that two statements cannot wait
        // for each other.
        self.rows(
            statement(
                "WITH asked AS (
                     SELECT command.*, session_hash IS NULL OR EXISTS (
                         SELECT FROM session
                         WHERE token_hash = session_hash AND expires_at > now()
                           AND session.user_name = command.user_name) AS session_holds
                     FROM unnest(?, ?, ?, ?, ?) WITH ORDINALITY AS command
                         (command_id, user_name, request_hash, kind, session_hash, place)
                 ), first AS (
                     SELECT DISTINCT ON (command_id) * FROM asked
                     WHERE session_holds ORDER BY command_id, place
                 ), claimed AS (
                     INSERT INTO command (command_id, user_name, request_hash, kind, status)
                     SELECT command_id, user_name, request_hash, kind, 'PENDING' FROM first
                     ON CONFLICT DO NOTHING RETURNING command_id
                 )
                 SELECT asked.session_holds, claimed.command_id IS NOT NULL AS is_new
                 FROM asked LEFT JOIN first USING (place)
                     LEFT JOIN claimed ON claimed.command_id = first.command_id
                 ORDER BY asked.place",
            )
            .bind::<Array<SqlUuid>, _>(ids)
            .bind::<Array<Text>, _>(users)
            .bind::<Array<Binary>, _>(hashes)
            .bind::<Array<Text>, _>(kinds)
            .bind::<Array<Nullable<Binary>>, _>(sessions),
        )
        .await
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
