//! A way to the database that can be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::world::World;

/// Passes bytes on, or nothing.
pub(crate) struct Proxy {
    up: Arc<watch::Sender<bool>>,
    /// The books by way of this proxy.
    pub(crate) database_url: String,
}

impl Proxy {
    pub(crate) async fn to_the_books_of(world: &World) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let here = listener.local_addr().unwrap();
        let postgres = &world.cluster.postgres;
        let there = format!("{}:{}", postgres.host, postgres.port);
        let database_url = world.books.url.replace(&there, &here.to_string());
        assert_ne!(database_url, world.books.url);
        let up = Arc::new(watch::Sender::new(true));
        tokio::spawn(listen(listener, there, up.subscribe()));
        Proxy { up, database_url }
    }

    /// Every connection ends and none is let in.
    pub(crate) fn cut(&self) {
        self.up.send_replace(false);
    }

    pub(crate) fn mend(&self) {
        self.up.send_replace(true);
    }
}

async fn listen(listener: TcpListener, there: String, up: watch::Receiver<bool>) {
    loop {
        let (client, _): (TcpStream, SocketAddr) = listener.accept().await.unwrap();
        let (there, mut up) = (there.clone(), up.clone());
        tokio::spawn(async move {
            let pass_on = async {
                let mut client = client;
                let mut server = TcpStream::connect(there).await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            };
            tokio::select! {
                () = pass_on => {}
                _ = up.wait_for(|up| !up) => {}
            }
        });
    }
}
