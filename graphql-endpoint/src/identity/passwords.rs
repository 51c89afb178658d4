//! Passwords: argon2id with OWASP's parameters, on one thread with a short queue.
//!
//! A hash takes 19 MiB and tens of milliseconds by intent. One thread does them in turn,
//! so that neither many tries at once nor the allocator's per-thread pools can make the
//! gateway grow.

use std::collections::BTreeSet;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use argon2::password_hash::phc::{Output, ParamsString, PasswordHash, Salt};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use tokio::sync::oneshot;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use crate::error::Error;

/// Memory of one hash, in KiB.
const MEMORY_KIB: u32 = 19_456;
const PASSES: u32 = 2;
const LANES: u32 = 1;
const SALT_BYTES: usize = 16;
/// Room asked for, of which a hash touches its 19 MiB: what is larger than 32 MiB is always
/// mapped and given back by glibc's allocator, while smaller blocks of this kind pile up.
const RESERVED_KIB: usize = 33 * 1024;
/// Hashes waiting; beyond it the caller is told to come back.
const WAITING_MAX: usize = 32;
/// Seconds after which a caller who found the queue full may try again.
pub const BUSY_RETRY_SECONDS: u64 = 2;

/// A password on its way to be checked; wiped when dropped.
#[derive(Clone)]
pub struct Password(Zeroizing<String>);

impl Password {
    /// Wraps a password. However its accents were typed, it is the same one.
    #[must_use]
    pub fn new(text: String) -> Password {
        let text = Zeroizing::new(text);
        Password(Zeroizing::new(text.nfkc().collect()))
    }

    /// How many of its characters differ.
    #[must_use]
    pub fn distinct_characters(&self) -> usize {
        self.0.chars().collect::<BTreeSet<char>>().len()
    }

    /// Whether it tells the user's name.
    #[must_use]
    pub fn contains_name(&self, user_name: &str) -> bool {
        Zeroizing::new(self.0.to_lowercase()).contains(user_name)
    }

    /// Its length in characters.
    #[must_use]
    pub fn characters(&self) -> usize {
        self.0.chars().count()
    }
}

enum Job {
    Hash(Password, oneshot::Sender<Result<String, Error>>),
    Verify(Password, Option<String>, oneshot::Sender<bool>),
}

/// Why a password was not looked at.
#[derive(Debug)]
pub enum HashError {
    /// Too many are waiting.
    Busy,
    /// The hasher failed.
    Failed(Error),
}

/// The hashing thread.
#[derive(Clone)]
pub struct Passwords {
    jobs: SyncSender<Job>,
}

impl Passwords {
    /// Starts the thread.
    ///
    /// # Errors
    /// When the system gives no thread or no random bytes.
    pub fn start() -> Result<Passwords, Error> {
        // Somebody unknown is checked against this, so that their answer costs the same.
        let nobody = hash(b"the password of nobody at all")?;
        let (jobs, queue) = sync_channel(WAITING_MAX);
        std::thread::Builder::new()
            .name("passwords".to_owned())
            .spawn(move || work(&queue, &nobody))
            .map_err(Error::Serve)?;
        Ok(Passwords { jobs })
    }

    /// The text to store for a password.
    ///
    /// # Errors
    /// [`HashError`]
    pub async fn hash(&self, password: Password) -> Result<String, HashError> {
        let (answer, wait) = oneshot::channel();
        self.give(Job::Hash(password, answer))?;
        match wait.await {
            Ok(hash) => hash.map_err(HashError::Failed),
            Err(_) => Err(HashError::Failed(Error::PartEnded("passwords"))),
        }
    }

    /// Whether the password fits the stored text; never for `None`, at the same cost.
    ///
    /// # Errors
    /// [`HashError`]
    pub async fn verify(
        &self,
        password: Password,
        stored: Option<String>,
    ) -> Result<bool, HashError> {
        let (answer, wait) = oneshot::channel();
        self.give(Job::Verify(password, stored, answer))?;
        wait.await
            .map_err(|_| HashError::Failed(Error::PartEnded("passwords")))
    }

    fn give(&self, job: Job) -> Result<(), HashError> {
        self.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => HashError::Busy,
            TrySendError::Disconnected(_) => HashError::Failed(Error::PartEnded("passwords")),
        })
    }
}

fn work(queue: &Receiver<Job>, nobody: &str) {
    // Ends when the last `Passwords` is dropped. Who asked may have gone: no matter.
    while let Ok(job) = queue.recv() {
        match job {
            Job::Hash(password, answer) => {
                let _ = answer.send(hash(password.0.as_bytes()));
            }
            Job::Verify(password, stored, answer) => {
                let known = stored.is_some();
                let fits = verify(password.0.as_bytes(), stored.as_deref().unwrap_or(nobody));
                let _ = answer.send(fits && known);
            }
        }
    }
}

fn hash(password: &[u8]) -> Result<String, Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None).map_err(failed)?;
    let mut salt = [0; SALT_BYTES];
    getrandom::fill(&mut salt).map_err(Error::Random)?;
    let hash = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(failed)?,
        salt: Some(Salt::new(&salt).map_err(failed)?),
        hash: Some(compute(password, &salt, params).map_err(failed)?),
    };
    Ok(hash.to_string())
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::PasswordHash(error.to_string())
}

fn verify(password: &[u8], stored: &str) -> bool {
    let Ok(stored) = PasswordHash::new(stored) else {
        return false;
    };
    let (Ok(params), Some(salt), Some(hash)) =
        (Params::try_from(&stored), stored.salt, stored.hash)
    else {
        return false;
    };
    // Outputs compare in constant time.
    params.m_cost() <= MEMORY_KIB
        && compute(password, &salt, params).is_ok_and(|computed| computed == hash)
}

fn compute(
    password: &[u8],
    salt: &[u8],
    params: Params,
) -> Result<Output, argon2::password_hash::Error> {
    let mut memory: Vec<Block> = Vec::with_capacity(RESERVED_KIB);
    memory.resize(params.block_count(), Block::new());
    let mut out = [0; Params::DEFAULT_OUTPUT_LEN];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
        password,
        salt,
        &mut out,
        &mut memory,
    )?;
    Ok(Output::new(&out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_of_a_known_user_fits() {
        let passwords = Passwords::start().unwrap();
        let password = |text: &str| Password::new(text.to_owned());
        let stored = passwords.hash(password("correct horse")).await.unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"));
        for (tried, hash, fits) in [
            ("correct horse", Some(stored.clone()), true),
            ("correct horsf", Some(stored.clone()), false),
            ("", Some(stored.clone()), false),
            ("correct horse", None, false),
            ("the password of nobody at all", None, false),
            ("correct horse", Some("no hash at all".to_owned()), false),
        ] {
            let answer = passwords.verify(password(tried), hash).await.unwrap();
            assert_eq!(answer, fits, "{tried}");
        }
    }
}
