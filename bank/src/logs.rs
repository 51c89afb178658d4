//! Showing what the processes wrote.

use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use local_cluster::Layout;

use crate::failure::Failure;

/// Only the end of a log is shown at first.
const SHOWN_BYTES: u64 = 32 * 1024;

/// The same, of each, when all are shown.
const SHOWN_BYTES_OF_EACH: u64 = 4 * 1024;

/// How often a followed log is looked at.
const POLL: Duration = Duration::from_millis(200);

/// The command `logs`.
pub(crate) fn logs(
    directory: &Path,
    service: Option<&str>,
    follow: bool,
) -> anyhow::Result<ExitCode> {
    let folder = Layout::new(directory).logs();
    let names = names(&folder)?;
    let chosen: Vec<&String> = names
        .iter()
        .filter(|name| service.is_none_or(|service| service == *name))
        .collect();
    if chosen.is_empty() {
        let text = match service {
            Some(service) => format!(
                "there is no log of `{service}`; there are: {}",
                names.join(", ")
            ),
            None => format!("there are no logs in {} yet", folder.display()),
        };
        return Err(Failure::Usage(text).into());
    }
    let many = chosen.len() > 1;
    let shown = if many {
        SHOWN_BYTES_OF_EACH
    } else {
        SHOWN_BYTES
    };
    let mut followed = Vec::with_capacity(chosen.len());
    for name in chosen {
        let path = folder.join(format!("{name}.log"));
        let position = fs::metadata(&path)?.len().saturating_sub(shown);
        let prefix = if many {
            format!("{name:<18} ")
        } else {
            String::new()
        };
        followed.push(Followed {
            path,
            prefix,
            position,
            at_line_start: position == 0,
        });
    }
    loop {
        for log in &mut followed {
            match log.show_more() {
                // Whoever read this has seen enough.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                    return Ok(ExitCode::SUCCESS);
                }
                other => other?,
            }
        }
        if !follow {
            return Ok(ExitCode::SUCCESS);
        }
        std::thread::sleep(POLL);
    }
}

/// Every process that has written something, in alphabetical order.
fn names(folder: &Path) -> anyhow::Result<Vec<String>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut names: Vec<String> = entries
        .flatten()
        .filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".log")?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

struct Followed {
    path: PathBuf,
    prefix: String,
    position: u64,
    /// False in the middle of a line: the rest of that line is not shown.
    at_line_start: bool,
}

impl Followed {
    /// Shows the whole lines that were added.
    fn show_more(&mut self) -> std::io::Result<()> {
        let mut file = File::open(&self.path)?;
        if file.metadata()?.len() < self.position {
            // The log was put aside and begun anew.
            self.position = 0;
        }
        file.seek(SeekFrom::Start(self.position))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        let Some(end) = bytes.iter().rposition(|byte| *byte == b'\n') else {
            return Ok(());
        };
        let whole = String::from_utf8_lossy(&bytes[..end]);
        let mut terminal = std::io::stdout().lock();
        let skipped = usize::from(!self.at_line_start);
        for line in whole.split('\n').skip(skipped) {
            writeln!(terminal, "{}{line}", self.prefix)?;
        }
        self.at_line_start = true;
        self.position += u64::try_from(end + 1).unwrap_or(u64::MAX);
        terminal.flush()
    }
}
