//! Waiting until a process really answers, with a deadline and an error that shows what it wrote.

use std::time::{Duration, Instant};

use crate::{ClusterError, program::last_lines, supervision::Supervisor};

/// How often a process that is starting is asked.
const POLL: Duration = Duration::from_millis(30);

/// A process that died this often while it should become ready will not.
const DEATHS_TO_GIVE_UP: u32 = 5;

/// Asks `probe` until it says yes.
///
/// # Errors
/// [`ClusterError::NotReady`] after `deadline`, or as soon as the process has died again and again.
pub(crate) async fn wait_until_ready<F>(
    supervisor: &Supervisor,
    name: &str,
    deadline: Duration,
    mut probe: impl FnMut() -> F,
) -> Result<(), ClusterError>
where
    F: Future<Output = Result<(), String>>,
{
    let started = Instant::now();
    let mut reason = "not asked yet".to_owned();
    loop {
        let left = deadline.saturating_sub(started.elapsed());
        match tokio::time::timeout(left, probe()).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(answer)) => reason = answer,
            Err(_) => {}
        }
        let deaths = supervisor.deaths(name);
        if deaths >= DEATHS_TO_GIVE_UP {
            reason = format!("it died {deaths} times");
        }
        if started.elapsed() >= deadline || deaths >= DEATHS_TO_GIVE_UP {
            let log_file = supervisor.layout().log_file(name);
            return Err(ClusterError::NotReady {
                name: name.to_owned(),
                after: started.elapsed(),
                reason,
                last_lines: last_lines(&log_file),
                log_file,
            });
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Asks for `url`; anything but a success is a no.
pub(crate) async fn answers(client: &reqwest::Client, url: &str) -> Result<(), String> {
    let response = client.get(url).send().await.map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        cause.unwrap_or_else(|| error.to_string())
    })?;
    let status = response.status();
    if status.is_success() {
        return Ok(());
    }
    let body = response.text().await.unwrap_or_default();
    Err(format!(
        "{status} {}",
        body.chars().take(200).collect::<String>()
    ))
}
