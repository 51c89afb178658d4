//! What nobody waits for any more: account commands without an outcome, ended sessions.

use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use topology::service::chain;
use tracing::{debug, info};

use crate::error::Error;
use crate::gateway::Gateway;
use crate::steps::Step;

/// Time between two looks at waiting customers.
const INTERVAL: Duration = Duration::from_secs(1);
/// Time between two removals of ended sessions.
const SESSIONS_INTERVAL: Duration = Duration::from_secs(600);

impl Gateway {
    /// Looks until told to stop. A database that is away is waited for.
    ///
    /// # Errors
    /// When commands can no longer be sent.
    pub async fn sweep(&self, stop: CancellationToken) -> Result<(), Error> {
        let mut interval = tokio::time::interval(INTERVAL);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut sessions_removed: Option<Instant> = None;
        loop {
            tokio::select! {
                () = stop.cancelled() => return Ok(()),
                _ = interval.tick() => {}
            }
            if !self.store.is_up() || self.commands.check().is_err() {
                continue;
            }
            self.resend_late_creations().await?;
            if sessions_removed.is_none_or(|at| at.elapsed() >= SESSIONS_INTERVAL) {
                match self.store.remove_ended_sessions().await {
                    Ok(()) => sessions_removed = Some(Instant::now()),
                    Err(error) => debug!(error = chain(&error), "ended sessions stay"),
                }
            }
        }
    }

    async fn resend_late_creations(&self) -> Result<(), Error> {
        let late = match self.store.take_late_creations().await {
            Ok(late) => late,
            Err(error) => {
                debug!(error = chain(&error), "late account commands have to wait");
                return Ok(());
            }
        };
        if !late.is_empty() {
            self.steps.pass(Step::LateTaken)?;
        }
        for command_id in late {
            info!(%command_id, "asking for an account again");
            self.commands.send_account_creation(command_id).await?;
        }
        Ok(())
    }
}
