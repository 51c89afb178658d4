//! A program that asks a running one how it is: for images that hold nothing else that could.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the answer is what it is started for"
)]

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

/// The argument that asks.
pub const ARGUMENT: &str = "healthcheck";
/// Names the address of the program that is asked, as it does for that program itself.
const ADDRESS_VARIABLE: &str = "BANK_OPERATIONS_ADDRESS";
/// To connect, and for each part of the answer.
const TIMEOUT: Duration = Duration::from_secs(2);
/// An answer is a line or two.
const ANSWER_BYTES_MAX: u64 = 16 * 1024;

/// When the program was started with the one argument `healthcheck`: asks /readyz of the
/// program at `BANK_OPERATIONS_ADDRESS`, prints the answer, and returns the exit code: 0
/// ready, 1 not ready or not there, 2 nobody said where.
#[must_use]
pub fn asked_for() -> Option<ExitCode> {
    if !std::env::args().skip(1).eq([ARGUMENT]) {
        return None;
    }
    let address = std::env::var(ADDRESS_VARIABLE).unwrap_or_default();
    let Ok(address) = address.parse::<SocketAddr>() else {
        eprintln!("{ADDRESS_VARIABLE} must be the address of the service, not `{address}`");
        return Some(ExitCode::from(2));
    };
    let (is_ready, words) = ask(address);
    println!("{words}");
    Some(ExitCode::from(u8::from(!is_ready)))
}

/// Whether the program there is ready, and its words.
fn ask(address: SocketAddr) -> (bool, String) {
    match answer(reachable(address)) {
        Ok(answer) => {
            let is_ready =
                answer.starts_with("HTTP/1.1 200 ") || answer.starts_with("HTTP/1.0 200 ");
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            (is_ready, body.trim().to_owned())
        }
        Err(error) => (false, format!("no answer: {error}")),
    }
}

/// A program that listens everywhere is asked on this machine.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(match address.ip() {
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        });
    }
    address
}

fn answer(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let request = format!("GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::operations::{self, Readiness};

    async fn asked(address: SocketAddr) -> (bool, String) {
        tokio::task::spawn_blocking(move || ask(address))
            .await
            .unwrap()
    }

    #[tokio::test]
    async fn given_a_service_then_its_readiness_is_the_answer() {
        let free = TcpListener::bind("0.0.0.0:0").await.unwrap();
        let address = free.local_addr().unwrap();
        let (is_ready, words) = {
            drop(free);
            asked(address).await
        };
        assert!(!is_ready && words.starts_with("no answer: "), "{words}");

        let readiness = Readiness::waiting_for(&["kafka"]);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(operations::serve(
            address,
            readiness.clone(),
            axum::Router::new(),
            stop.clone(),
        ));
        let waiting = loop {
            let (is_ready, words) = asked(address).await;
            assert!(!is_ready);
            if !words.starts_with("no answer: ") {
                break words;
            }
        };
        assert_eq!(waiting, r#"{"ready":false,"waiting_for":["kafka"]}"#);
        readiness.holds("kafka");
        assert_eq!(asked(address).await, (true, r#"{"ready":true}"#.to_owned()));
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}
