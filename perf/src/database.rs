//! What PostgreSQL counts, and what stands in the books of a handler.

use std::collections::HashMap;

use local_cluster::PostgresEndpoint;
use serde::Serialize;
use tokio_postgres::{Client, NoTls};

use crate::error::Error;

/// PostgreSQL 18 counts syncs of the log in another view.
const SYNCS_MOVED_VERSION: i32 = 180_000;

/// Counters of the server and of one database, since it was started.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Counters {
    /// Bytes of write-ahead log, of everybody on the server.
    pub wal_bytes: u64,
    /// Of them, whole pages written after a checkpoint: how many.
    pub wal_full_pages: u64,
    /// Times the log was forced to disk.
    pub wal_syncs: u64,
    /// Transactions committed in the handler's database, by all its connections.
    pub commits: u64,
}

impl Counters {
    /// What was added since an earlier reading.
    #[must_use]
    pub fn since(&self, earlier: &Counters) -> Counters {
        Counters {
            wal_bytes: self.wal_bytes.saturating_sub(earlier.wal_bytes),
            wal_full_pages: self.wal_full_pages.saturating_sub(earlier.wal_full_pages),
            wal_syncs: self.wal_syncs.saturating_sub(earlier.wal_syncs),
            commits: self.commits.saturating_sub(earlier.commits),
        }
    }
}

/// A connection of the administrator, to the database that belongs to nobody.
pub struct Administrator {
    client: Client,
    endpoint: PostgresEndpoint,
}

impl Administrator {
    /// Connects.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn connect(endpoint: &PostgresEndpoint) -> Result<Administrator, Error> {
        Ok(Administrator {
            client: connect(&administrator_url(endpoint, "postgres")).await?,
            endpoint: endpoint.clone(),
        })
    }

    /// The counters now. Sessions report what they did when they end, so read it while no
    /// handler runs.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn counters(&self, database: &str) -> Result<Counters, Error> {
        let refused = Error::postgres("read its statistics");
        let read = async {
            self.client
                .batch_execute("select pg_stat_clear_snapshot()")
                .await?;
            let version: i32 = self
                .client
                .query_one("select current_setting('server_version_num')::integer", &[])
                .await?
                .get(0);
            let syncs = if version >= SYNCS_MOVED_VERSION {
                "(select sum(fsyncs) from pg_stat_io where object = 'wal')"
            } else {
                "wal_sync"
            };
            let query = format!(
                "select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint, \
                        wal_fpi::bigint, {syncs}::bigint, \
                        (select xact_commit from pg_stat_database where datname = $1)::bigint \
                 from pg_stat_wal"
            );
            self.client.query_one(&query, &[&database]).await
        };
        let row = read.await.map_err(refused)?;
        let count = |column| u64::try_from(row.get::<_, i64>(column)).unwrap_or(0);
        Ok(Counters {
            wal_bytes: count(0),
            wal_full_pages: count(1),
            wal_syncs: count(2),
            commits: count(3),
        })
    }

    /// Writes all changed pages, so that each measurement begins alike: with the same
    /// whole pages to log, and no checkpoint due.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn checkpoint(&self) -> Result<(), Error> {
        let done = self.client.batch_execute("checkpoint").await;
        done.map_err(Error::postgres("write a checkpoint"))
    }

    /// Sessions in a database.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn sessions(&self, database: &str) -> Result<i64, Error> {
        // A worker of autovacuum is there too, for as long as it likes.
        let query = "select count(*) from pg_stat_activity \
                     where datname = $1 and backend_type = 'client backend'";
        let row = self.client.query_one(query, &[&database]).await;
        Ok(row.map_err(Error::postgres("list sessions"))?.get(0))
    }

    /// Connects to another database.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn open(&self, database: &str) -> Result<Client, Error> {
        connect(&administrator_url(&self.endpoint, database)).await
    }

    /// Makes a copy of a database that nobody is connected to.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn copy(&self, from: &str, to: &str) -> Result<(), Error> {
        let copy = format!("create database \"{to}\" template \"{from}\"");
        let done = self.client.batch_execute(&copy).await;
        done.map_err(Error::postgres("copy a database"))
    }

    /// Removes a database that [`Administrator::copy`] made.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn drop(&self, database: &str) -> Result<(), Error> {
        let drop = format!("drop database if exists \"{database}\" with (force)");
        let done = self.client.batch_execute(&drop).await;
        done.map_err(Error::postgres("drop a database"))
    }

    /// Version, and the settings that somebody chose.
    ///
    /// # Errors
    /// When PostgreSQL refuses.
    pub async fn settings(&self) -> Result<(String, Vec<(String, String)>), Error> {
        let refused = Error::postgres("show its settings");
        let read = async {
            let version: String = self
                .client
                .query_one("select current_setting('server_version')", &[])
                .await?
                .get(0);
            let query = "select name, setting from pg_settings \
                         where source = 'command line' and name not in \
                         ('data_directory', 'port', 'config_file', 'hba_file', 'ident_file') \
                         order by name";
            let rows = self.client.query(query, &[]).await?;
            let settings = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
            Ok((version, settings))
        };
        read.await.map_err(refused)
    }
}

fn administrator_url(endpoint: &PostgresEndpoint, database: &str) -> String {
    endpoint.url(&endpoint.administrator, &endpoint.password, database)
}

/// Connects; the connection ends with the client.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn connect(url: &str) -> Result<Client, Error> {
    let connected = tokio_postgres::connect(url, NoTls).await;
    let (client, connection) = connected.map_err(Error::postgres("let the benchmark in"))?;
    // What goes wrong on it comes back from the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// Reads the balance of every account, in cents.
///
/// # Errors
/// When PostgreSQL refuses.
pub async fn balances(client: &Client, query: &str) -> Result<HashMap<String, i64>, Error> {
    let rows = client.query(query, &[]).await;
    let rows = rows.map_err(Error::postgres("show the balances"))?;
    Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
}
