//! A small file system in memory, for the data of the database or the log of the broker, that can be filled.

use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{error::LabError, scenario::Need};

/// Enough for a bank of a minute, little enough to be filled in a moment.
const SIZE: &str = "size=512m,mode=0755";
/// Written at once.
const PIECE_BYTES: usize = 1024 * 1024;

/// A mounted file system of a fixed size.
#[derive(Debug)]
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounts what a scenario needs into the directory of a bank that has not started yet.
    ///
    /// # Errors
    /// When it cannot be mounted; see [`SmallDisk::missing`].
    pub fn mount_for(need: Need, directory: &Path) -> Result<Option<SmallDisk>, LabError> {
        let path = match need {
            Need::SmallDatabaseDisk => directory.join("postgres"),
            Need::SmallBrokerDisk => directory.join("kafka"),
            Need::Nothing | Need::FakeTime => return Ok(None),
        };
        fs::create_dir_all(&path).map_err(LabError::io("create", &path))?;
        mount(&path).map_err(LabError::io("mount a file system on", &path))?;
        Ok(Some(SmallDisk { path }))
    }

    /// Why such a file system cannot be had here; none when it can.
    #[must_use]
    pub fn missing() -> Option<String> {
        if !rustix::process::geteuid().is_root() {
            return Some("a file system in memory can be mounted by root only".to_owned());
        }
        let path = std::env::temp_dir().join(format!("fault-lab-mount-{}", std::process::id()));
        let tried = fs::create_dir_all(&path)
            .and_then(|()| mount(&path))
            .map(|()| SmallDisk { path: path.clone() }.unmount());
        // It was empty, or it is not there.
        let _ = fs::remove_dir(&path);
        tried.err().map(|error| error.to_string())
    }

    /// Writes until not a byte is free, what was written before included.
    ///
    /// # Errors
    /// When the file cannot be made at all.
    pub fn fill(&self) -> Result<(), LabError> {
        let path = self.filler();
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(LabError::io("create", &path))?;
        let piece = vec![0_u8; PIECE_BYTES];
        let mut length = piece.len();
        while length > 0 {
            match file.write_all(&piece[..length]) {
                Ok(()) => {}
                // The last bytes one by one, as it were.
                Err(error) if error.kind() == ErrorKind::StorageFull => length /= 2,
                Err(error) => return Err(LabError::io("fill", path)(error)),
            }
        }
        Ok(())
    }

    /// Makes room again.
    ///
    /// # Errors
    /// When the file is not there.
    pub fn empty(&self) -> Result<(), LabError> {
        let path = self.filler();
        fs::remove_file(&path).map_err(LabError::io("remove", path))
    }

    /// Unmounts it, also while somebody looks at it.
    pub fn unmount(&self) {
        let mut command = Command::new("umount");
        command
            .arg("--lazy")
            .arg(&self.path)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // What cannot be unmounted is gone with the machine's next start.
        let _ = command.status();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }
}

fn mount(path: &Path) -> std::io::Result<()> {
    let output = Command::new("mount")
        .args(["-t", "tmpfs", "-o", SIZE, "fault-lab"])
        .arg(path)
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(std::io::Error::other(said))
}
