//! Migrations, as the databases remember them.

use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration as _, MigrationSource};
use diesel::pg::Pg;
use diesel::result::{DatabaseErrorKind, Error as DieselError};
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{QueryableByName, sql_query};
use diesel_async::async_connection_wrapper::AsyncConnectionWrapper;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use tracing::info;

use crate::config::Config;
use crate::error::{Failure, SynchronizerError};
use crate::plan::{DesiredDatabase, Migration};

const COMMAND_HANDLER: EmbeddedMigrations = embed_migrations!("migrations/command_handler");
const GRAPHQL_ENDPOINT: EmbeddedMigrations = embed_migrations!("migrations/graphql_endpoint");

/// Number of the advisory lock that keeps two synchronizers apart: "bank" as bytes.
const LOCK: i64 = 0x6261_6e6b;
/// Longest wait for a connection: a host that is away may not even refuse.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// One database, with the migrations this build has for it.
pub(crate) struct Database {
    name: &'static str,
    url: String,
    party: String,
    embedded: fn() -> EmbeddedMigrations,
}

/// Held while a synchronizer works; given up with its connection, however that ends.
pub(crate) struct Lock {
    _connection: AsyncPgConnection,
}

#[derive(QueryableByName)]
struct Flag {
    #[diesel(sql_type = Bool)]
    flag: bool,
}

#[derive(QueryableByName)]
struct Applied {
    #[diesel(sql_type = Text)]
    version: String,
}

/// The databases the configuration names.
pub(crate) fn of(config: &Config) -> [Database; 2] {
    [
        Database::new(
            "command_handler",
            &config.command_handler_database_url,
            || COMMAND_HANDLER,
        ),
        Database::new(
            "graphql_endpoint",
            &config.graphql_endpoint_database_url,
            || GRAPHQL_ENDPOINT,
        ),
    ]
}

impl Database {
    fn new(name: &'static str, url: &str, embedded: fn() -> EmbeddedMigrations) -> Database {
        Database {
            name,
            url: url.to_owned(),
            party: format!("database {name}"),
            embedded,
        }
    }

    pub(crate) fn name(&self) -> &'static str {
        self.name
    }

    pub(crate) fn party(&self) -> &str {
        &self.party
    }

    /// What this build wants of it.
    pub(crate) fn desired(&self) -> Result<DesiredDatabase, SynchronizerError> {
        let mut migrations: Vec<Migration> = MigrationSource::<Pg>::migrations(&(self.embedded)())
            .map_err(|error| {
                SynchronizerError::Contract(format!("migrations of {}: {error}", self.name))
            })?
            .iter()
            .map(|migration| Migration {
                version: migration.name().version().to_string(),
                name: migration.name().to_string(),
            })
            .collect();
        migrations.sort_by(|one, other| one.version.cmp(&other.version));
        Ok(DesiredDatabase {
            name: self.name,
            migrations,
        })
    }

    async fn connect(&self) -> Result<AsyncPgConnection, Failure> {
        let connecting = topology::postgres::establish(&self.url);
        match tokio::time::timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(Failure::away(&self.party, error)),
            Err(_) => Err(Failure::away(&self.party, "no connection in time")),
        }
    }

    /// Takes the lock, or says that somebody else has it.
    pub(crate) async fn lock(&self) -> Result<Lock, Failure> {
        let mut connection = self.connect().await?;
        let Flag { flag } = sql_query("SELECT pg_try_advisory_lock($1) AS flag")
            .bind::<BigInt, _>(LOCK)
            .get_result(&mut connection)
            .await
            .map_err(|error| self.failure(&error))?;
        if flag {
            Ok(Lock {
                _connection: connection,
            })
        } else {
            Err(Failure::away(
                &self.party,
                "another synchronizer is at work",
            ))
        }
    }

    /// Versions of the migrations applied; asks without changing anything.
    pub(crate) async fn read(&self) -> Result<Vec<String>, Failure> {
        let mut connection = self.connect().await?;
        let failure = |error| self.failure(&error);
        let Flag { flag: is_migrated } =
            sql_query("SELECT to_regclass('__diesel_schema_migrations') IS NOT NULL AS flag")
                .get_result(&mut connection)
                .await
                .map_err(failure)?;
        if !is_migrated {
            return Ok(Vec::new());
        }
        let applied: Vec<Applied> =
            sql_query("SELECT version FROM __diesel_schema_migrations ORDER BY version")
                .load(&mut connection)
                .await
                .map_err(failure)?;
        Ok(applied.into_iter().map(|it| it.version).collect())
    }

    /// Runs what is missing, each migration in its own transaction.
    pub(crate) async fn apply(&self) -> Result<(), Failure> {
        let connection = self.connect().await?;
        let embedded = self.embedded;
        let party = self.party.clone();
        // Diesel's migrations are blocking code; they get a thread where they may block.
        let running = tokio::task::spawn_blocking(move || {
            let mut connection = AsyncConnectionWrapper::<AsyncPgConnection>::from(connection);
            let run = connection
                .run_pending_migrations(embedded())
                .map(|versions| versions.iter().map(ToString::to_string).collect::<Vec<_>>())
                .map_err(|error| error.to_string());
            run.map_err(|said| {
                // Diesel does not tell its errors apart: a database that still answers has
                // understood the migration and said no.
                match SimpleConnection::batch_execute(&mut connection, "SELECT 1") {
                    Ok(()) => Failure::refused(&party, said),
                    Err(_) => Failure::away(&party, said),
                }
            })
        });
        let versions = running
            .await
            .map_err(|error| Failure::away(&self.party, error))??;
        for version in versions {
            info!(database = self.name, version, "migrated");
        }
        Ok(())
    }

    fn failure(&self, error: &DieselError) -> Failure {
        if is_lasting(error) {
            Failure::refused(&self.party, error)
        } else {
            Failure::away(&self.party, error)
        }
    }
}

/// Whether the database understood and said no.
fn is_lasting(error: &DieselError) -> bool {
    match error {
        DieselError::DatabaseError(kind, _) => !matches!(
            kind,
            DatabaseErrorKind::ClosedConnection
                | DatabaseErrorKind::SerializationFailure
                | DatabaseErrorKind::UnableToSendCommand
        ),
        _ => false,
    }
}
