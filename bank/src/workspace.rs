//! Where the workspace and its build are.

use std::{env, path::PathBuf};

use crate::failure::Failure;

/// The folders of the workspace this program was built from.
#[derive(Debug, Clone)]
pub(crate) struct Workspace {
    /// The repository.
    pub(crate) root: PathBuf,
    /// Cargo's target directory.
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// The workspace of the running program: where it was built, or the current directory after a move.
    pub(crate) fn find() -> anyhow::Result<Self> {
        let built_in = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let current = env::current_dir()?;
        let root = built_in
            .parent()
            .into_iter()
            .chain(current.ancestors())
            .find(|folder| folder.join("local-cluster/maven/pom.xml").is_file())
            .ok_or_else(|| Failure::Usage("run this inside the bank's repository".to_owned()))?
            .to_owned();
        let target = env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| root.join("target"), |target| root.join(target));
        Ok(Self { root, target })
    }

    /// The program of a service.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.target.join("release").join(name)
    }

    /// The built page.
    pub(crate) fn site(&self) -> PathBuf {
        self.target.join("site")
    }

    /// What benchmarks have measured.
    pub(crate) fn results(&self) -> PathBuf {
        self.root.join("perf/results")
    }

    /// Cargo, run in the workspace without what `cargo run` tells this very program about its package.
    pub(crate) fn cargo(&self) -> std::process::Command {
        let mut command =
            std::process::Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        local_cluster::withhold(&mut command);
        command.current_dir(&self.root);
        command
    }
}
