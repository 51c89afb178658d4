//! Secrets derived, not stored: account numbers and tokens come from the command id and
//! the handler's key, so that a second delivery gives the same bytes and no plain token
//! rests in the database.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use topology::{CommandId, Iban};

use crate::domain::Digest;

/// Account numbers tried for one new account before the bank says no.
pub const IBAN_CANDIDATES: u8 = 4;
/// Characters of a token: 130 bits in base 32.
pub const TOKEN_CHARACTERS: usize = 26;

const BASE_32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";

/// The handler's key.
#[derive(Clone)]
pub struct HandlerKey(Hmac<Sha256>);

impl HandlerKey {
    /// From the content of the key file.
    #[must_use]
    pub fn new(secret: &str) -> HandlerKey {
        let mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())
            .expect("HMAC takes a key of any length");
        HandlerKey(mac)
    }

    fn derive(&self, purpose: &str, id: CommandId, probe: u8) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(purpose.as_bytes());
        mac.update(&id.to_bytes());
        mac.update(&[probe]);
        mac.finalize().into_bytes().into()
    }

    /// Account numbers for the account this command opens, in the order they are tried.
    #[must_use]
    pub fn iban_candidates(&self, id: CommandId) -> Vec<Iban> {
        (0..IBAN_CANDIDATES)
            .map(|probe| {
                let bytes = self.derive("iban", id, probe);
                let (number, _) = bytes.split_first_chunk().expect("a MAC has 32 bytes");
                Iban::of_our_bank(u64::from_be_bytes(*number))
            })
            .collect()
    }

    /// The token of the account this command opens.
    #[must_use]
    pub fn token(&self, id: CommandId) -> String {
        let bytes = self.derive("token", id, 0);
        // Five bits a character; 26 characters read the first 130 bits.
        (0..TOKEN_CHARACTERS)
            .map(|position| {
                let bit = position * 5;
                let pair = u16::from_be_bytes([bytes[bit / 8], bytes[bit / 8 + 1]]);
                let index = (pair >> (11 - bit % 8)) & 0x1f;
                char::from(BASE_32[usize::from(index)])
            })
            .collect()
    }
}

/// What is kept of a token: BLAKE3, since tokens have enough entropy for a fast hash, and
/// each payment needs one.
#[must_use]
pub fn digest(token: &str) -> Digest {
    Digest(*blake3::hash(token.as_bytes()).as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_command_gives_the_same_secrets_and_another_gives_others() {
        let key = HandlerKey::new("a key");
        let one = CommandId::from_bytes([1; 16]);
        let two = CommandId::from_bytes([2; 16]);
        assert_eq!(key.token(one), key.token(one));
        assert_eq!(key.token(one).len(), TOKEN_CHARACTERS);
        assert_ne!(key.token(one), key.token(two));
        assert_ne!(key.token(one), HandlerKey::new("another").token(one));
        let candidates = key.iban_candidates(one);
        assert_eq!(candidates, key.iban_candidates(one));
        assert_eq!(candidates.len(), usize::from(IBAN_CANDIDATES));
        assert!(candidates.iter().all(Iban::is_ours));
        assert_ne!(candidates[0], candidates[1]);
    }
}
