//! A way to PostgreSQL that counts what passes. It costs time, so nothing is timed on it.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::pgwire::{Connection, Traffic};

/// Large enough for what a client sends in one go: a cut would look like a second go.
const PIECE_BYTES: usize = 1024 * 1024;

type Shared = Arc<Mutex<Connection>>;

/// A listening proxy; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    connections: Arc<Mutex<Vec<Shared>>>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port and passes every connection on to `server`.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(server: SocketAddr) -> Result<Proxy, Error> {
        let listen = async {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) = listen.await.map_err(Error::io("listen on", "127.0.0.1"))?;
        let connections: Arc<Mutex<Vec<Shared>>> = Arc::default();
        let opened = Arc::clone(&connections);
        let listening = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let shared = Shared::default();
                lock(&opened).push(Arc::clone(&shared));
                // An end of the connection is the business of its two ends.
                tokio::spawn(pass_on(client, server, shared));
            }
        });
        Ok(Proxy {
            address,
            connections,
            listening,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What has passed: over the connection with the most transactions, and over all.
    #[must_use]
    pub fn traffic(&self) -> (Traffic, Traffic) {
        let connections = lock(&self.connections);
        let mut hot = Traffic::default();
        let mut all = Traffic::default();
        for connection in connections.iter() {
            let connection = lock(connection);
            let traffic = connection.traffic();
            if traffic.round_trips >= hot.round_trips {
                hot = traffic.clone();
            }
            all = all.plus(traffic);
        }
        (hot, all)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn pass_on(client: TcpStream, server: SocketAddr, shared: Shared) -> std::io::Result<()> {
    let server = TcpStream::connect(server).await?;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let mut bytes = vec![0; PIECE_BYTES];
        loop {
            let length = from_client.read(&mut bytes).await?;
            if length == 0 {
                return to_server.shutdown().await;
            }
            lock(&shared).from_client(&bytes[..length]);
            to_server.write_all(&bytes[..length]).await?;
        }
    };
    let down = async {
        let mut bytes = vec![0; PIECE_BYTES];
        loop {
            let length = from_server.read(&mut bytes).await?;
            if length == 0 {
                return to_client.shutdown().await;
            }
            lock(&shared).from_server(&bytes[..length]);
            to_client.write_all(&bytes[..length]).await?;
        }
    };
    tokio::try_join!(up, down).map(|_| ())
}

/// A server's address from its parts.
///
/// # Errors
/// When the host is no address.
pub fn address(host: &str, port: u16) -> Result<SocketAddr, Error> {
    format!("{host}:{port}")
        .parse()
        .map_err(|_| Error::Wrong(format!("{host}:{port} is no address")))
}
