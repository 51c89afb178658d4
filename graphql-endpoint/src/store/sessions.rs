//! Sessions: opaque tokens, stored as digests, revocable.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use diesel::QueryableByName;
use diesel::sql_types::{Array, Binary, Nullable, Text, Timestamptz};

use super::{Store, statement};
use crate::error::Error;
use crate::identity::{Role, SessionToken, Viewer};

#[derive(QueryableByName)]
struct ViewerRow {
    #[diesel(sql_type = Binary)]
    token_hash: Vec<u8>,
    #[diesel(sql_type = Text)]
    user_name: String,
    #[diesel(sql_type = Text)]
    role: String,
    #[diesel(sql_type = Nullable<Text>)]
    iban: Option<String>,
    #[diesel(sql_type = Nullable<Binary>)]
    token_ciphertext: Option<Vec<u8>>,
}

pub(super) fn role_of(text: &str) -> Role {
    if text == "EMPLOYEE" {
        Role::Employee
    } else {
        Role::Customer
    }
}

impl Store {
    /// Who holds this session, if it is one and has not ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn viewer(&self, token: &SessionToken) -> Result<Option<Viewer>, Error> {
        self.viewers.ask(token.digest()).await
    }

    /// Who holds each of these sessions, by their digests.
    pub(super) async fn viewers_of(
        &self,
        digests: Vec<Vec<u8>>,
    ) -> Result<Vec<Option<Viewer>>, Error> {
        let asked = statement(
            "SELECT session.token_hash, customer.user_name, customer.role, customer.iban,
                    customer.token_ciphertext
             FROM session JOIN customer USING (user_name)
             WHERE session.token_hash = ANY(?) AND session.expires_at > now()",
        )
        .bind::<Array<Binary>, _>(digests.clone());
        let rows: Vec<ViewerRow> = self.rows(asked).await?;
        let viewers: HashMap<Vec<u8>, Viewer> = rows
            .into_iter()
            .map(|row| {
                let viewer = Viewer {
                    user_name: row.user_name,
                    role: role_of(&row.role),
                    iban: row.iban,
                    token_ciphertext: row.token_ciphertext,
                };
                (row.token_hash, viewer)
            })
            .collect();
        let of_each = digests.iter().map(|digest| viewers.get(digest).cloned());
        Ok(of_each.collect())
    }

    /// Opens a session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn open_session(
        &self,
        token: &SessionToken,
        user_name: &str,
        expires_at: DateTime<Utc>,
    ) -> Result<(), Error> {
        self.execute(
            statement("INSERT INTO session (token_hash, user_name, expires_at) VALUES (?, ?, ?)")
                .bind::<Binary, _>(token.digest())
                .bind::<Text, _>(user_name.to_owned())
                .bind::<Timestamptz, _>(expires_at),
        )
        .await?;
        Ok(())
    }

    /// Ends a session.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_session(&self, token: &SessionToken) -> Result<(), Error> {
        self.execute(
            statement("DELETE FROM session WHERE token_hash = ?").bind::<Binary, _>(token.digest()),
        )
        .await?;
        Ok(())
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn close_sessions_of(&self, user_name: &str) -> Result<(), Error> {
        self.execute(
            statement("DELETE FROM session WHERE user_name = ?")
                .bind::<Text, _>(user_name.to_owned()),
        )
        .await?;
        Ok(())
    }

    /// Removes the sessions that have ended.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn remove_ended_sessions(&self) -> Result<(), Error> {
        self.execute(statement("DELETE FROM session WHERE expires_at <= now()"))
            .await?;
        Ok(())
    }
}
