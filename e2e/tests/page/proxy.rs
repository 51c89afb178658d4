//! A line between the browser and the bank that a test can cut.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Passes everything on.
    Open,
    /// Passes what the browser says, and swallows every answer.
    Deaf,
    /// Passes nothing; what was open is closed.
    Cut,
}

/// Stands between the browser and a bank.
pub(crate) struct Proxy {
    /// Address of the page through it, without a slash at its end.
    pub(crate) page: String,
    line: Arc<watch::Sender<State>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    line: Line,
    /// How often it was cut: a connection does not outlive a cut.
    cuts: u32,
}

impl Proxy {
    /// Stands before this bank.
    pub(crate) async fn before(page: &str) -> Result<Proxy> {
        let bank: SocketAddr = page
            .strip_prefix("http://")
            .context("no address")?
            .parse()?;
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let page = format!("http://{}", listener.local_addr()?);
        let line = Arc::new(watch::Sender::new(State {
            line: Line::Open,
            cuts: 0,
        }));
        let state = Arc::clone(&line);
        tokio::spawn(async move {
            while let Ok((browser, _)) = listener.accept().await {
                tokio::spawn(carry(browser, bank, state.subscribe()));
            }
        });
        Ok(Proxy { page, line })
    }

    /// Sets how the line is; what is open feels it too.
    pub(crate) fn set(&self, line: Line) {
        self.line.send_modify(|state| {
            state.cuts += u32::from(line == Line::Cut);
            state.line = line;
        });
    }
}

/// Carries one connection until an end closes it or the line is cut. A browser that is cut off is told by the closing.
async fn carry(browser: TcpStream, bank: SocketAddr, mut line: watch::Receiver<State>) {
    let begun = *line.borrow_and_update();
    if begun.line == Line::Cut {
        return;
    }
    let Ok(gateway) = TcpStream::connect(bank).await else {
        return;
    };
    let (mut from_browser, mut to_browser) = browser.into_split();
    let (mut from_gateway, mut to_gateway) = gateway.into_split();
    let state = line.clone();
    let forth = async move {
        tokio::io::copy(&mut from_browser, &mut to_gateway)
            .await
            .map(drop)
    };
    let back = async move {
        let mut buffer = vec![0; 16 * 1024];
        loop {
            let count = from_gateway.read(&mut buffer).await?;
            if count == 0 {
                return std::io::Result::Ok(());
            }
            let hears = state.borrow().line == Line::Open;
            if hears {
                to_browser.write_all(&buffer[..count]).await?;
            }
        }
    };
    tokio::select! {
        _ = forth => {}
        _ = back => {}
        _ = line.wait_for(|state| state.cuts != begun.cuts) => {}
    }
}
