//! Java: the machine's runtime, the jars from Maven in a cache, and class-data-sharing archives that halve
//! the time a Java program takes to start.

use std::{
    env,
    ffi::OsString,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::SystemTime,
};

use sha2::{Digest, Sha256};

use crate::{ClusterError, program, secrets::hex};

/// Names the versions of all jars.
const POM: &str = include_str!("../maven/pom.xml");

/// The oldest Java that runs both Kafka 4 and the registry.
pub const OLDEST_JAVA: u32 = 17;

/// The Java runtime and the jars of the cluster.
#[derive(Debug, Clone)]
pub(crate) struct Java {
    pub(crate) executable: PathBuf,
    cache: PathBuf,
}

/// A file of loaded classes that a Java program maps at its start and leaves behind at its first clean end.
///
/// Only ever a help: without it, or with one that does not fit, the program starts all the same.
#[derive(Debug, Clone)]
pub(crate) struct ClassArchive {
    path: PathBuf,
    new: PathBuf,
}

/// The Java program of this machine: `JAVA_HOME`, else the `PATH`.
#[must_use]
pub fn find_java() -> Option<PathBuf> {
    let at_home = env::var_os("JAVA_HOME").map(|home| PathBuf::from(home).join("bin/java"));
    at_home
        .filter(|path| path.is_file())
        .or_else(|| find_program("java"))
}

/// The major version of a Java program; none when it does not say.
#[must_use]
pub fn java_version(executable: &Path) -> Option<u32> {
    let output = Command::new(executable)
        .arg("-version")
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let version = text.split('"').nth(1)?;
    // Java 8 and older call themselves 1.8.
    version
        .trim_start_matches("1.")
        .split(['.', '-', '+'])
        .next()?
        .parse()
        .ok()
}

/// The first `name` on the `PATH`.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|candidate| candidate.is_file())
}

/// True when the jars are in the cache, so that Maven is not needed.
#[must_use]
pub fn jars_are_cached() -> bool {
    cache_directory().join("jars").is_dir()
}

/// `$XDG_CACHE_HOME/the-bank/<digest of the pom>`.
fn cache_directory() -> PathBuf {
    let digest = hex(&Sha256::digest(POM.as_bytes()));
    let caches = env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")))
        .unwrap_or_else(env::temp_dir);
    caches.join("the-bank").join(&digest[..16])
}

impl Java {
    /// Finds Java, and has Maven fetch the jars when they are not in the cache.
    pub(crate) fn prepare(log_file: &Path) -> Result<Self, ClusterError> {
        let executable = find_java().ok_or_else(|| ClusterError::Missing {
            what: "Java",
            hint: format!("install Java {OLDEST_JAVA} or newer, or set JAVA_HOME"),
        })?;
        let cache = cache_directory();
        if !cache.join("jars").is_dir() {
            fetch_jars(&cache, log_file)?;
        }
        Ok(Self { executable, cache })
    }

    /// The class path of Kafka, always in the same order: an archive fits only the class path it was made with.
    pub(crate) fn kafka_class_path(&self) -> Result<OsString, ClusterError> {
        let folder = self.cache.join("jars/kafka");
        let mut jars: Vec<PathBuf> = fs::read_dir(&folder)
            .map_err(ClusterError::io("read", &folder))?
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|extension| extension == "jar"))
            .collect();
        jars.sort();
        env::join_paths(jars).map_err(|error| ClusterError::Io {
            action: "put on a class path",
            path: folder,
            source: std::io::Error::other(error),
        })
    }

    /// The folder of the registry and its runner jar.
    pub(crate) fn registry_jar(&self) -> Result<PathBuf, ClusterError> {
        let folder = self.cache.join("jars/registry");
        fs::read_dir(&folder)
            .map_err(ClusterError::io("read", &folder))?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| {
                path.to_str()
                    .is_some_and(|path| path.ends_with("-runner.jar"))
            })
            .ok_or_else(|| ClusterError::Missing {
                what: "the registry's runner jar",
                hint: format!("remove {} and start again", folder.display()),
            })
    }

    /// The archive of the program `name`, another one for each Java runtime.
    pub(crate) fn class_archive(&self, name: &str) -> ClassArchive {
        let identity = fs::canonicalize(&self.executable)
            .ok()
            .and_then(|path| {
                let metadata = fs::metadata(&path).ok()?;
                let changed = metadata
                    .modified()
                    .ok()?
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .ok()?;
                Some(format!(
                    "{} {} {}",
                    path.display(),
                    metadata.size(),
                    changed.as_secs()
                ))
            })
            .unwrap_or_default();
        let digest = hex(&Sha256::digest(identity.as_bytes()));
        ClassArchive {
            path: self.cache.join(format!("{name}-{}.jsa", &digest[..8])),
            new: self.cache.join(format!(
                "{name}-{}.{}.new",
                &digest[..8],
                std::process::id()
            )),
        }
    }
}

impl ClassArchive {
    /// Use the archive, or make it at the end of this run.
    pub(crate) fn flags(&self) -> Vec<OsString> {
        let (option, path) = if self.path.is_file() {
            ("-XX:SharedArchiveFile=", &self.path)
        } else {
            ("-XX:ArchiveClassesAtExit=", &self.new)
        };
        let mut flag = OsString::from(option);
        flag.push(path);
        // The virtual machine says at length which classes it could not put into an archive.
        vec![
            flag,
            "-Xshare:auto".into(),
            "-Xlog:disable".into(),
            "-Xlog:all=error:stderr".into(),
        ]
    }

    /// After a clean end: what was left behind is the archive from now on.
    pub(crate) fn keep(&self) {
        // There is nothing to keep when this run used an archive.
        let _ = fs::rename(&self.new, &self.path);
    }

    /// After a kill: what was left behind may be half an archive.
    pub(crate) fn discard_new(&self) {
        let _ = fs::remove_file(&self.new);
    }

    /// It may be what killed the program: the next start does without and makes a new one.
    pub(crate) fn discard(&self) {
        self.discard_new();
        let _ = fs::remove_file(&self.path);
    }
}

/// Lays out the jars beside the cache and moves them in whole, so that an interrupted fetch leaves no half cache.
fn fetch_jars(cache: &Path, log_file: &Path) -> Result<(), ClusterError> {
    let maven = find_program("mvn").ok_or_else(|| ClusterError::Missing {
        what: "Maven",
        hint: "install Maven (mvn)".to_owned(),
    })?;
    fs::create_dir_all(cache).map_err(ClusterError::io("create", cache))?;
    let temporary = cache.join(format!("fetch-{}", std::process::id()));
    fs::create_dir_all(&temporary).map_err(ClusterError::io("create", &temporary))?;
    let pom = temporary.join("pom.xml");
    fs::write(&pom, POM).map_err(ClusterError::io("write", &pom))?;
    let mut jars = OsString::from("-Djars.directory=");
    jars.push(temporary.join("jars"));
    let log = program::open_log(log_file)?;
    let log_too = log
        .try_clone()
        .map_err(ClusterError::io("open", log_file))?;
    let status = Command::new(&maven)
        .args(["--batch-mode", "--no-transfer-progress", "--file"])
        .arg(&pom)
        .arg(jars)
        .arg("process-resources")
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(log_too)
        .status()
        .map_err(ClusterError::io("start", maven))?;
    if !status.success() {
        let _ = fs::remove_dir_all(&temporary);
        return Err(ClusterError::Failed {
            program: "Maven".to_owned(),
            status,
            log_file: log_file.to_owned(),
            last_lines: program::last_lines(log_file),
        });
    }
    let moved = fs::rename(temporary.join("jars"), cache.join("jars"));
    let _ = fs::remove_dir_all(&temporary);
    // Another process may have been first; its jars are the same.
    if cache.join("jars").is_dir() {
        Ok(())
    } else {
        moved.map_err(ClusterError::io("fill", cache))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_an_archive_when_there_is_none_yet_then_it_is_made_and_used_next_time() {
        let folder = tempfile::tempdir().unwrap();
        let archive = ClassArchive {
            path: folder.path().join("a.jsa"),
            new: folder.path().join("a.new"),
        };
        assert!(
            archive.flags()[0]
                .to_str()
                .unwrap()
                .starts_with("-XX:ArchiveClassesAtExit=")
        );
        fs::write(&archive.new, "classes").unwrap();
        archive.keep();
        assert!(
            archive.flags()[0]
                .to_str()
                .unwrap()
                .starts_with("-XX:SharedArchiveFile=")
        );
        archive.discard();
        assert!(
            archive.flags()[0]
                .to_str()
                .unwrap()
                .starts_with("-XX:ArchiveClassesAtExit=")
        );
    }
}
