//! Steps with what they took, on the terminal and in the supervisor's log.

use std::{
    fs::File,
    io::{IsTerminal, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use local_cluster::{Event, Report};

/// Runs a step and says how long it took.
pub(crate) fn step<T>(what: &str, work: impl FnOnce() -> anyhow::Result<T>) -> anyhow::Result<T> {
    let started = Instant::now();
    let result = work()?;
    say(&Event::Step {
        what: what.to_owned(),
        took: started.elapsed(),
    });
    Ok(result)
}

/// Prints one event.
pub(crate) fn say(event: &Event) {
    match event {
        Event::Step { .. } => println!("  {event}"),
        Event::Note(_) => println!("{event}"),
        Event::Died { .. } => println!("{} {event}", now()),
    }
    // Nobody may be listening any more; then there is nobody to tell.
    let _ = std::io::stdout().flush();
}

/// Prints every event, and writes it to `log` as well when standard output is a terminal.
///
/// A detached supervisor's standard output is that log already.
pub(crate) fn report(log: Option<File>) -> Report {
    let log = log
        .filter(|_| std::io::stdout().is_terminal())
        .map(Mutex::new);
    Arc::new(move |event| {
        say(event);
        if let Some(log) = &log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // The terminal has it; a full disk will show elsewhere.
            let _ = writeln!(log, "{} {event}", now());
        }
    })
}

/// The time of day, UTC.
fn now() -> String {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    let seconds = since.as_secs() % 86_400;
    format!(
        "{:02}:{:02}:{:02}Z",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    )
}
