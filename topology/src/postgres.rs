//! Connections to PostgreSQL: by TLS where this process has it (see [`crate::tls`]), never where it has not.

use tokio_postgres::config::SslMode;
use tokio_postgres::{Client, Config, Connection, Error, Socket};

/// What a connection reads and writes.
#[cfg(feature = "tls")]
pub type Stream = postgres_native_tls::TlsStream<Socket>;
/// What a connection reads and writes.
#[cfg(not(feature = "tls"))]
pub type Stream = tokio_postgres::tls::NoTlsStream;

/// Connects; the second part is to be driven, as in `tokio::spawn`.
///
/// # Errors
/// As the database says, or the certificate it shows.
///
/// # Panics
/// When the certificates, which were read at the start, can no longer be used.
pub async fn connect(config: &Config) -> Result<(Client, Connection<Socket, Stream>), Error> {
    let mut config = config.clone();
    #[cfg(feature = "tls")]
    {
        let (connector, is_wanted) =
            crate::tls::built_in::for_postgres().expect("certificates that were read are good");
        config.ssl_mode(if is_wanted {
            SslMode::Require
        } else {
            SslMode::Disable
        });
        config.connect(connector).await
    }
    #[cfg(not(feature = "tls"))]
    {
        config.ssl_mode(SslMode::Disable);
        config.connect(tokio_postgres::NoTls).await
    }
}

/// As [`connect`], for diesel.
///
/// # Errors
/// As [`connect`], and when the URL is none.
#[cfg(feature = "diesel")]
pub async fn establish(url: &str) -> diesel::ConnectionResult<diesel_async::AsyncPgConnection> {
    let refused =
        |error: Error| diesel::ConnectionError::BadConnection(crate::service::chain(&error));
    let config: Config = url.parse().map_err(refused)?;
    let (client, connection) = connect(&config).await.map_err(refused)?;
    diesel_async::AsyncPgConnection::try_from_client_and_connection(client, connection).await
}
