//! Account tokens at rest: encrypted with the gateway's own key, bound to their account.

use std::fmt;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use topology::Token;
use zeroize::Zeroizing;

use crate::error::Error;

const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The key; prints as nothing.
#[derive(Clone)]
pub struct TokenKey(Zeroizing<[u8; KEY_BYTES]>);

impl TokenKey {
    /// Reads 64 hexadecimal characters.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<TokenKey> {
        if text.len() != KEY_BYTES * 2 || !text.is_ascii() {
            return None;
        }
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        for (byte, digits) in key.iter_mut().zip(text.as_bytes().chunks(2)) {
            let digits = std::str::from_utf8(digits).ok()?;
            *byte = u8::from_str_radix(digits, 16).ok()?;
        }
        Some(TokenKey(key))
    }
}

impl fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenKey(…)")
    }
}

/// Seals and opens account tokens.
pub struct TokenVault {
    cipher: XChaCha20Poly1305,
}

impl TokenVault {
    /// With this key.
    #[must_use]
    pub fn new(key: &TokenKey) -> TokenVault {
        TokenVault {
            cipher: XChaCha20Poly1305::new(Key::from_slice(&*key.0)),
        }
    }

    /// What to store: nonce, then ciphertext; it opens only for the same account.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn seal(&self, iban: &str, token: &Token) -> Result<Vec<u8>, Error> {
        let mut nonce = [0; NONCE_BYTES];
        getrandom::fill(&mut nonce).map_err(Error::Random)?;
        let payload = Payload {
            msg: token.expose().as_bytes(),
            aad: iban.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(XNonce::from_slice(&nonce), payload)
            .map_err(|_| Error::TokenSealed)?;
        let mut stored = nonce.to_vec();
        stored.extend(sealed);
        Ok(stored)
    }

    /// The token again.
    ///
    /// # Errors
    /// [`Error::TokenSealed`] when key, account or bytes do not fit.
    pub fn open(&self, iban: &str, stored: &[u8]) -> Result<Token, Error> {
        let (nonce, sealed) = stored
            .split_at_checked(NONCE_BYTES)
            .ok_or(Error::TokenSealed)?;
        let payload = Payload {
            msg: sealed,
            aad: iban.as_bytes(),
        };
        let opened = self
            .cipher
            .decrypt(XNonce::from_slice(nonce), payload)
            .map_err(|_| Error::TokenSealed)?;
        String::from_utf8(opened)
            .map(Token::new)
            .map_err(|_| Error::TokenSealed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_opens_only_with_its_key_for_its_account_unchanged() {
        let vault = TokenVault::new(&TokenKey::from_hex(&"17".repeat(32)).unwrap());
        let other = TokenVault::new(&TokenKey::from_hex(&"18".repeat(32)).unwrap());
        let token = Token::new("canary-4711".to_owned());
        let stored = vault.seal("NL66OPEN0000000000", &token).unwrap();
        assert!(!String::from_utf8_lossy(&stored).contains("canary"));
        assert_eq!(vault.open("NL66OPEN0000000000", &stored).unwrap(), token);
        assert!(vault.open("NL39OPEN0000000001", &stored).is_err());
        assert!(other.open("NL66OPEN0000000000", &stored).is_err());
        let mut changed = stored.clone();
        changed[30] ^= 1;
        assert!(vault.open("NL66OPEN0000000000", &changed).is_err());
        assert!(vault.open("NL66OPEN0000000000", &stored[..10]).is_err());
    }

    #[test]
    fn a_key_is_64_hexadecimal_characters() {
        for (text, valid) in [
            ("ab".repeat(32), true),
            ("ab".repeat(31), false),
            ("zz".repeat(32), false),
            (String::new(), false),
        ] {
            assert_eq!(TokenKey::from_hex(&text).is_some(), valid, "{text}");
        }
    }
}
