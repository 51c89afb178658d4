//! Where everything is under a cluster's directory.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use crate::ClusterError;

/// The folders and files under a cluster's directory.
#[derive(Debug, Clone)]
pub struct Layout {
    directory: PathBuf,
}

impl Layout {
    /// The layout under `directory`, which need not exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned()),
        }
    }

    /// Makes the folders that are not there yet.
    ///
    /// # Errors
    /// When a folder cannot be made.
    pub fn create(&self) -> Result<(), ClusterError> {
        for folder in [
            self.directory.clone(),
            self.kafka(),
            self.postgres(),
            self.registry(),
            self.logs(),
        ] {
            fs::create_dir_all(&folder).map_err(ClusterError::io("create", &folder))?;
        }
        let secrets = self.secrets();
        if !secrets.is_dir() {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&secrets)
                .map_err(ClusterError::io("create", &secrets))?;
        }
        fs::set_permissions(&secrets, fs::Permissions::from_mode(0o700))
            .map_err(ClusterError::io("protect", &secrets))
    }

    /// The directory itself, absolute.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Everything of Kafka: its configuration and its log directories.
    #[must_use]
    pub fn kafka(&self) -> PathBuf {
        self.directory.join("kafka")
    }

    /// Everything of PostgreSQL.
    #[must_use]
    pub fn postgres(&self) -> PathBuf {
        self.directory.join("postgres")
    }

    /// The registry's working directory; what it stores is in PostgreSQL.
    #[must_use]
    pub fn registry(&self) -> PathBuf {
        self.directory.join("registry")
    }

    /// Passwords and keys, readable by the owner only.
    #[must_use]
    pub fn secrets(&self) -> PathBuf {
        self.directory.join("secrets")
    }

    /// What every process wrote.
    #[must_use]
    pub fn logs(&self) -> PathBuf {
        self.directory.join("logs")
    }

    /// What the process `name` wrote.
    #[must_use]
    pub fn log_file(&self, name: &str) -> PathBuf {
        self.logs().join(format!("{name}.log"))
    }

    /// What the supervisor remembers.
    #[must_use]
    pub fn state_file(&self) -> PathBuf {
        self.directory.join("state.json")
    }

    /// Locked by the supervisor that owns the directory.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.directory.join("lock")
    }
}
