//! A byte to another thread and back, over TCP on this machine: what every message pays.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use crate::clock::nanoseconds;
use crate::error::Error;
use crate::latency::Latencies;

/// So many round trips, one after the other.
///
/// # Errors
/// When the machine does not let us.
pub fn round_trips(count: usize) -> Result<Latencies, Error> {
    let failed = || Error::io("use", "the loopback");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0; 1];
        // Ends when the other side does.
        while stream.read(&mut byte)? > 0 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut latencies = Latencies::default();
    {
        let mut stream = TcpStream::connect(address).map_err(failed())?;
        stream.set_nodelay(true).map_err(failed())?;
        let mut byte = [7; 1];
        for _ in 0..count {
            let started = Instant::now();
            stream.write_all(&byte).map_err(failed())?;
            stream.read_exact(&mut byte).map_err(failed())?;
            latencies.record(0, nanoseconds(started.elapsed()));
        }
    }
    match echo.join() {
        Ok(ended) => ended.map_err(failed())?,
        Err(_) => return Err(Error::Wrong("the echo died".to_owned())),
    }
    Ok(latencies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_comes_back() {
        assert_eq!(round_trips(100).unwrap().summary().samples, 100);
    }
}
