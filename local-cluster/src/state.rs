//! What a supervisor remembers in `state.json`, and the lock that makes it the only one.

use std::{
    collections::BTreeMap,
    fs::{self, File, TryLockError},
    io::{ErrorKind, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};

use crate::{ClusterError, Layout, ProcessIdentity};

/// What is remembered of a cluster between starts, and told to the command line meanwhile.
///
/// Only the supervisor that holds the lock writes it.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// The supervisor that wrote this.
    pub supervisor: Option<ProcessIdentity>,
    /// True once everything that was asked for has been ready.
    pub ready: bool,
    /// The TCP ports on 127.0.0.1, by purpose; chosen once and kept.
    pub ports: BTreeMap<String, u16>,
    /// Every process the directory owns, by name, in no order.
    pub programs: BTreeMap<String, ProgramState>,
}

/// What is remembered of one process.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct ProgramState {
    /// The running process; none between a death and the restart, or when stopped.
    pub process: Option<ProcessIdentity>,
    /// How often it was started again after it died, since its supervisor started.
    pub restarts: u32,
}

impl State {
    /// What is remembered under `layout`; none when nothing is.
    ///
    /// # Errors
    /// When the file cannot be read or is damaged.
    pub fn load(layout: &Layout) -> Result<Option<Self>, ClusterError> {
        let path = layout.state_file();
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|source| ClusterError::State { path, source }),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(ClusterError::io("read", path)(error)),
        }
    }

    /// Replaces what is remembered; a reader sees the old or the new, never a half.
    pub(crate) fn save(&self, layout: &Layout) -> Result<(), ClusterError> {
        let path = layout.state_file();
        let text = serde_json::to_vec_pretty(self).map_err(|source| ClusterError::State {
            path: path.clone(),
            source,
        })?;
        write_atomically(&path, &text)
    }

    /// True when the supervisor that wrote this still runs.
    #[must_use]
    pub fn is_supervised(&self) -> bool {
        self.supervisor.is_some_and(ProcessIdentity::is_alive)
    }
}

/// Replaces a file by way of a temporary one beside it.
///
/// # Errors
/// When the file cannot be written.
pub fn write_atomically(path: &Path, content: &[u8]) -> Result<(), ClusterError> {
    let temporary = path.with_extension("new");
    File::create(&temporary)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::rename(&temporary, path))
        .map_err(ClusterError::io("write", path))
}

/// Held by the one supervisor of a directory; released by the kernel when that process ends, however it ends.
#[derive(Debug)]
pub struct DirectoryLock {
    _file: File,
}

impl DirectoryLock {
    /// Takes the lock of `layout`.
    ///
    /// # Errors
    /// [`ClusterError::Locked`] when another process has it.
    pub fn acquire(layout: &Layout) -> Result<Self, ClusterError> {
        let path = layout.lock_file();
        let file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ClusterError::io("open", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => Err(ClusterError::Locked {
                directory: layout.directory().to_owned(),
            }),
            Err(TryLockError::Error(error)) => Err(ClusterError::io("lock", path)(error)),
        }
    }
}
