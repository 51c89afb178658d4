//! Being told to stop: once politely, twice at once.

use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// A service that has not stopped by then is ended: a closing Kafka client may hang.
pub const DEADLINE: Duration = Duration::from_secs(9);

/// A token that is cancelled at SIGTERM or SIGINT. A second signal, or the deadline,
/// ends the process with code 1.
///
/// # Errors
/// When the system does not let signals be caught.
pub fn on_signal() -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let cancel = token.clone();
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        info!("stopping");
        cancel.cancel();
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = tokio::time::sleep(DEADLINE) => {}
        }
        error!("did not stop in time");
        std::process::exit(1);
    });
    Ok(token)
}
