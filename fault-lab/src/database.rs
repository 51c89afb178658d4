//! What is done to PostgreSQL from inside, and what the lab asks it.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use local_cluster::PostgresEndpoint;
use tokio_postgres::{Client, NoTls};

use crate::{error::LabError, observer::Place};

/// To let us in.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A server that was killed is back within this.
const ADMINISTRATOR_PATIENCE: Duration = Duration::from_secs(20);
/// Between two rounds of terminations.
const TERMINATE_INTERVAL: Duration = Duration::from_millis(250);
/// Between two rounds of taking what has become free.
const TAKE_INTERVAL: Duration = Duration::from_millis(20);
/// Connections asked for at once.
const TAKEN_AT_ONCE: usize = 24;
/// The databases of our services.
const SERVICES: &str = "('command_handler', 'graphql_endpoint', 'articles_way')";

/// Connects to a database by its URL.
///
/// # Errors
/// When it does not let us in.
pub async fn connect(url: &str) -> Result<Client, LabError> {
    let refused = LabError::postgres("let the lab in");
    let mut config: tokio_postgres::Config = match url.parse() {
        Ok(config) => config,
        Err(error) => return Err(refused(error)),
    };
    config.connect_timeout(CONNECT_TIMEOUT);
    let (client, connection) = config.connect(NoTls).await.map_err(refused)?;
    // Ends with the client; what goes wrong on it comes back from the client's calls.
    tokio::spawn(connection);
    Ok(client)
}

/// Connects as the administrator, also to a server that is just coming back from the fault before.
///
/// # Errors
/// When the server does not let us in for a while.
pub async fn administrator(
    endpoint: &PostgresEndpoint,
    database: &str,
) -> Result<Client, LabError> {
    let url = endpoint.url(&endpoint.administrator, &endpoint.password, database);
    let give_up = Instant::now() + ADMINISTRATOR_PATIENCE;
    loop {
        match connect(&url).await {
            Err(_) if Instant::now() < give_up => tokio::time::sleep(TERMINATE_INTERVAL).await,
            connected => return connected,
        }
    }
}

/// Ends every session of the services again and again.
///
/// # Errors
/// When the server refuses.
pub async fn terminate_sessions(
    endpoint: &PostgresEndpoint,
    lasts: Duration,
) -> Result<(), LabError> {
    let client = administrator(endpoint, "postgres").await?;
    let end = Instant::now() + lasts;
    loop {
        terminate(&client).await?;
        if Instant::now() >= end {
            return Ok(());
        }
        tokio::time::sleep(TERMINATE_INTERVAL).await;
    }
}

async fn terminate(client: &Client) -> Result<(), LabError> {
    client
        .batch_execute(&format!(
            "select pg_terminate_backend(pid) from pg_stat_activity where datname in {SERVICES}"
        ))
        .await
        .map_err(LabError::postgres("terminate sessions"))
}

/// Locks the accounts of handler and gateway against everybody.
///
/// # Errors
/// When the server refuses.
pub async fn lock_tables(endpoint: &PostgresEndpoint, lasts: Duration) -> Result<(), LabError> {
    let mut clients = Vec::new();
    for database in ["command_handler", "graphql_endpoint"] {
        let client = administrator(endpoint, database).await?;
        client
            .batch_execute("begin; lock table account in access exclusive mode")
            .await
            .map_err(LabError::postgres("lock a table"))?;
        clients.push(client);
    }
    tokio::time::sleep(lasts).await;
    for client in clients {
        client
            .batch_execute("rollback")
            .await
            .map_err(LabError::postgres("unlock a table"))?;
    }
    Ok(())
}

/// Makes transactions read only unless they say otherwise.
///
/// # Errors
/// When the server refuses.
pub async fn read_only(endpoint: &PostgresEndpoint, lasts: Duration) -> Result<(), LabError> {
    let client = administrator(endpoint, "postgres").await?;
    for statement in [
        // This session goes on writing.
        "set default_transaction_read_only = off",
        "alter system set default_transaction_read_only = on",
        "select pg_reload_conf()",
    ] {
        run(&client, statement).await?;
    }
    tokio::time::sleep(lasts).await;
    run(&client, "alter system reset default_transaction_read_only").await?;
    run(&client, "select pg_reload_conf()").await
}

async fn run(client: &Client, statement: &str) -> Result<(), LabError> {
    client
        .batch_execute(statement)
        .await
        .map_err(LabError::postgres(statement))
}

/// Ends the services' sessions and takes every connection there is, as a user who is nobody special.
///
/// # Errors
/// When the server refuses the administrator.
pub async fn use_up_connections(
    endpoint: &PostgresEndpoint,
    url: &str,
    lasts: Duration,
) -> Result<(), LabError> {
    let administrator = administrator(endpoint, "postgres").await?;
    let end = Instant::now() + lasts;
    let mut taken = Vec::new();
    while Instant::now() < end {
        // Many at once, to be quicker than the services are.
        let attempts = (0..TAKEN_AT_ONCE).map(|_| connect(url));
        let before = taken.len();
        taken.extend(join_all(attempts).await.into_iter().flatten());
        if taken.len() > before {
            continue;
        }
        // There is none left but those of the services.
        let held = administrator
            .query_one(
                &format!("select count(*) from pg_stat_activity where datname in {SERVICES}"),
                &[],
            )
            .await
            .map_err(LabError::postgres("count sessions"))?
            .get::<_, i64>(0);
        if held > 0 {
            terminate(&administrator).await?;
        } else {
            tokio::time::sleep(TAKE_INTERVAL).await;
        }
    }
    Ok(())
}

/// Makes the server write to new files of its log, for which there may be no room.
pub async fn switch_log(endpoint: &PostgresEndpoint) {
    let url = endpoint.url(&endpoint.administrator, &endpoint.password, "postgres");
    if let Ok(client) = connect(&url).await {
        // It fails, and the server with it: that is what it is for.
        let _ = run(
            &client,
            "create table if not exists lab_filler (text text); \
             insert into lab_filler select repeat(md5(random()::text), 60) from generate_series(1, 2000)",
        )
        .await;
        let _ = run(&client, "select pg_switch_wal()").await;
    }
}

/// How far a table of offsets says that its owner has come.
///
/// # Errors
/// When the database does not answer.
pub async fn positions(url: &str, table: &str) -> Result<BTreeMap<Place, i64>, LabError> {
    let client = connect(url).await?;
    let rows = client
        .query(
            &format!("select topic, partition, next_offset from {table}"),
            &[],
        )
        .await
        .map_err(LabError::postgres("say how far it is"))?;
    Ok(rows
        .iter()
        .map(|row| ((row.get(0), row.get(1)), row.get(2)))
        .collect())
}

/// Batches that the handler has not emitted yet.
///
/// # Errors
/// When the database does not answer.
pub async fn debts(url: &str) -> Result<i64, LabError> {
    let client = connect(url).await?;
    let row = client
        .query_one("select count(*) from emission_debt", &[])
        .await
        .map_err(LabError::postgres("count the debts"))?;
    Ok(row.get(0))
}
