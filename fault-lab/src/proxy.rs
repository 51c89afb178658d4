//! A TCP proxy between a service and what it needs: it cuts, swallows, slows and slices what passes, as told.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

use crate::{error::LabError, seed::Seed};

/// Read at once, at most; what is slowed is so much in so long.
const PIECE_BYTES: usize = 16 * 1024;
/// An accept that failed, for want of descriptors, is tried again after this.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What becomes of that which passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    /// It passes.
    Clear,
    /// Connections are reset, new ones at once.
    Cut,
    /// Nothing passes until the weather changes; connections stand.
    BlackHole,
    /// Each piece waits so long, and up to half as long again.
    Slow {
        /// At least.
        delay_ms: u64,
    },
    /// Each byte is a write of its own.
    Slice,
}

/// A listening proxy; ends when dropped.
pub struct Proxy {
    address: SocketAddr,
    weather: watch::Sender<Weather>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and passes every connection on to the port `upstream` there.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(upstream: u16, seed: Seed) -> Result<Proxy, LabError> {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .map_err(LabError::io("listen on", "127.0.0.1"))?;
        let address = listener
            .local_addr()
            .map_err(LabError::io("listen on", "127.0.0.1"))?;
        let (weather, forecast) = watch::channel(Weather::Clear);
        let seed = Arc::new(Mutex::new(seed));
        let listening = tokio::spawn(async move {
            loop {
                let Ok((client, _)) = listener.accept().await else {
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                };
                let own = lock(&seed).draw();
                tokio::spawn(pass_on(client, upstream, forecast.clone(), Seed::new(own)));
            }
        });
        Ok(Proxy {
            address,
            weather,
            listening,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what becomes of that which passes, from now on.
    pub fn set(&self, weather: Weather) {
        self.weather.send_replace(weather);
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

/// One connection, until an end closes it or it is cut. What goes wrong on it is the business of its two ends.
async fn pass_on(
    client: TcpStream,
    upstream: u16,
    mut forecast: watch::Receiver<Weather>,
    mut seed: Seed,
) {
    // A reset instead of an orderly end: a connection that is cut is not closed.
    let _ = client.set_zero_linger();
    if *forecast.borrow_and_update() == Weather::Cut {
        return;
    }
    let Ok(server) = TcpStream::connect(("127.0.0.1", upstream)).await else {
        return;
    };
    let _ = server.set_zero_linger();
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let up = pump(
        from_client,
        to_server,
        forecast.clone(),
        Seed::new(seed.draw()),
    );
    let down = pump(from_server, to_client, forecast, Seed::new(seed.draw()));
    // The first end that breaks, breaks both; an orderly end waits for the other direction.
    let _ = tokio::try_join!(up, down);
}

/// Says that the connection is over.
struct Broken;

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut forecast: watch::Receiver<Weather>,
    mut seed: Seed,
) -> Result<(), Broken> {
    let mut bytes = vec![0; PIECE_BYTES];
    loop {
        let length = tokio::select! {
            read = from.read(&mut bytes) => read.map_err(|_| Broken)?,
            () = until_cut(&mut forecast) => return Err(Broken),
        };
        wait_for_light(&mut forecast).await?;
        if length == 0 {
            return to.shutdown().await.map_err(|_| Broken);
        }
        let weather = *forecast.borrow_and_update();
        let passing = pass(&mut to, &bytes[..length], weather, &mut seed);
        tokio::select! {
            passed = passing => passed.map_err(|_| Broken)?,
            () = until_cut(&mut forecast) => return Err(Broken),
        }
    }
}

async fn pass(
    to: &mut OwnedWriteHalf,
    piece: &[u8],
    weather: Weather,
    seed: &mut Seed,
) -> std::io::Result<()> {
    match weather {
        Weather::Slow { delay_ms } => {
            let delay = seed.between(delay_ms, delay_ms + delay_ms / 2);
            tokio::time::sleep(Duration::from_millis(delay)).await;
            to.write_all(piece).await
        }
        Weather::Slice => {
            for byte in piece {
                to.write_all(std::slice::from_ref(byte)).await?;
            }
            Ok(())
        }
        Weather::Clear | Weather::Cut | Weather::BlackHole => to.write_all(piece).await,
    }
}

/// Ends when the connection is to be cut, or the proxy is gone.
async fn until_cut(forecast: &mut watch::Receiver<Weather>) {
    // An error means that the proxy was dropped, and its connections with it.
    let _ = forecast
        .wait_for(|weather| *weather == Weather::Cut)
        .await
        .map(drop);
}

/// Waits while nothing may pass.
async fn wait_for_light(forecast: &mut watch::Receiver<Weather>) -> Result<(), Broken> {
    let weather = forecast
        .wait_for(|weather| *weather != Weather::BlackHole)
        .await
        .map_err(|_| Broken)?;
    if *weather == Weather::Cut {
        Err(Broken)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says back what it hears.
    async fn echo() -> u16 {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    let _ = tokio::io::copy(&mut read, &mut write).await;
                });
            }
        });
        port
    }

    async fn there_and_back(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
        stream.write_all(text).await?;
        let mut heard = vec![0; text.len()];
        stream.read_exact(&mut heard).await?;
        Ok(heard)
    }

    #[tokio::test]
    async fn given_any_weather_but_a_cut_when_bytes_pass_then_they_come_as_they_were() {
        let proxy = Proxy::start(echo().await, Seed::new(1)).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        for weather in [
            Weather::Clear,
            Weather::Slow { delay_ms: 2 },
            Weather::Slice,
            Weather::Clear,
        ] {
            proxy.set(weather);
            let text = b"a record of some length, again and again";
            assert_eq!(there_and_back(&mut stream, text).await.unwrap(), text);
        }
    }

    #[tokio::test]
    async fn given_a_black_hole_when_it_is_over_then_what_it_held_comes_out() {
        let proxy = Proxy::start(echo().await, Seed::new(1)).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(
            there_and_back(&mut stream, b"before").await.unwrap(),
            b"before"
        );
        proxy.set(Weather::BlackHole);
        stream.write_all(b"during").await.unwrap();
        let mut byte = [0];
        let silence = Duration::from_millis(200);
        assert!(
            tokio::time::timeout(silence, stream.read(&mut byte))
                .await
                .is_err()
        );
        proxy.set(Weather::Clear);
        let mut heard = [0; 6];
        stream.read_exact(&mut heard).await.unwrap();
        assert_eq!(&heard, b"during");
    }

    #[tokio::test]
    async fn given_a_cut_when_somebody_speaks_then_the_connection_is_reset_and_new_ones_too() {
        let proxy = Proxy::start(echo().await, Seed::new(1)).await.unwrap();
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(
            there_and_back(&mut stream, b"before").await.unwrap(),
            b"before"
        );
        proxy.set(Weather::Cut);
        let mut byte = [0];
        assert!(!matches!(stream.read(&mut byte).await, Ok(length) if length > 0));
        if let Ok(mut new) = TcpStream::connect(proxy.address()).await {
            assert!(there_and_back(&mut new, b"new").await.is_err());
        }
        proxy.set(Weather::Clear);
        let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(
            there_and_back(&mut stream, b"after").await.unwrap(),
            b"after"
        );
    }
}
