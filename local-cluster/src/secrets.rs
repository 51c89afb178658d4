//! Passwords and keys: 32 random bytes in hexadecimal, one file each, readable by the owner only.

use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
};

use crate::{ClusterError, Layout};

/// Bytes of randomness in a secret.
const SECRET_BYTES: usize = 32;

/// The file of the secret `name`, made when it is not there.
///
/// # Errors
/// When the file cannot be made.
pub fn secret_file(layout: &Layout, name: &str) -> Result<PathBuf, ClusterError> {
    let path = layout.secrets().join(name);
    if !path.exists() {
        // A half-written secret must not survive a crash: write beside it, then rename.
        let temporary = path.with_extension("new");
        if let Err(error) = fs::remove_file(&temporary)
            && error.kind() != ErrorKind::NotFound
        {
            return Err(ClusterError::io("remove", temporary)(error));
        }
        fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&temporary)
            .and_then(|mut file| writeln!(file, "{}", random_hex()?))
            .and_then(|()| fs::rename(&temporary, &path))
            .map_err(ClusterError::io("write", &path))?;
    }
    Ok(path)
}

/// The secret `name`, made when it is not there.
///
/// # Errors
/// When the file cannot be made or read.
pub fn secret(layout: &Layout, name: &str) -> Result<String, ClusterError> {
    let path = secret_file(layout, name)?;
    let text = fs::read_to_string(&path).map_err(ClusterError::io("read", path))?;
    Ok(text.trim().to_owned())
}

fn random_hex() -> std::io::Result<String> {
    let mut bytes = [0_u8; SECRET_BYTES];
    getrandom::fill(&mut bytes).map_err(std::io::Error::other)?;
    Ok(hex(&bytes))
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn given_a_new_directory_when_a_secret_is_asked_for_then_it_is_made_once_and_protected() {
        let folder = tempfile::tempdir().unwrap();
        let layout = Layout::new(folder.path());
        layout.create().unwrap();
        let first = secret(&layout, "handler.key").unwrap();
        assert_eq!(first.len(), 2 * SECRET_BYTES);
        assert!(
            first
                .bytes()
                .all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        );
        assert_eq!(secret(&layout, "handler.key").unwrap(), first);
        assert_ne!(secret(&layout, "token.key").unwrap(), first);
        let mode = fs::metadata(layout.secrets().join("handler.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
