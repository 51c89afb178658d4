//! The rate that outlives a restart: a file with one number in it.

use std::path::{Path, PathBuf};

use tracing::{info, warn};

use crate::pace::BEATS_PER_SECOND_MAX;

/// Where the rate is kept; nowhere, and every start is a new one.
#[derive(Clone, Debug, Default)]
pub struct Kept(Option<PathBuf>);

impl Kept {
    /// In this file, if any.
    #[must_use]
    pub fn new(file: Option<PathBuf>) -> Kept {
        Kept(file)
    }

    /// The rate that was set last, or this one when none is kept.
    #[must_use]
    pub fn read(&self, otherwise: u32) -> u32 {
        let Some(path) = &self.0 else {
            return otherwise;
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                if error.kind() != std::io::ErrorKind::NotFound {
                    warn!(path = %path.display(), %error, "cannot read the rate that was set last");
                }
                return otherwise;
            }
        };
        let kept = text.trim().parse().ok();
        match kept.filter(|rate| *rate <= BEATS_PER_SECOND_MAX) {
            Some(rate) => {
                info!(
                    heartbeats_per_second = rate,
                    "going on at the rate set last"
                );
                rate
            }
            None => {
                warn!(path = %path.display(), "holds no rate");
                otherwise
            }
        }
    }

    /// Keeps a rate. One that cannot be kept is set all the same: only a restart forgets it.
    pub fn write(&self, rate: u32) {
        let Some(path) = &self.0 else {
            return;
        };
        if let Err(error) = replace(path, rate) {
            warn!(path = %path.display(), %error, "cannot keep the rate for the next start");
        }
    }
}

/// All of it or nothing: who is killed meanwhile must not find half a number.
fn replace(path: &Path, rate: u32) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    std::fs::write(&beside, rate.to_string())?;
    std::fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_a_file_when_it_holds_a_rate_then_it_is_taken_and_else_the_one_given() {
        let folder = std::env::temp_dir().join(format!("heartbeat-kept-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("rate");
        let kept = Kept::new(Some(file.clone()));
        assert_eq!(kept.read(7), 7, "there is no file yet");
        for (text, expected) in [
            ("0", 0),
            ("200\n", 200),
            ("2000", 2_000),
            ("2001", 7),
            ("-1", 7),
            ("many", 7),
            ("", 7),
        ] {
            std::fs::write(&file, text).unwrap();
            assert_eq!(kept.read(7), expected, "{text:?}");
        }
        kept.write(300);
        assert_eq!(kept.read(7), 300);
        Kept::new(Some(folder.join("nowhere/rate"))).write(1);
        assert_eq!(Kept::default().read(5), 5);
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
