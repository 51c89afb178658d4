//! Who said it and who may: command ids and account tokens.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Identity of a command, made by its client before it sends.
///
/// All 16 bytes count as they are: no version bits are read or set, so that every
/// client's ids stay distinct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommandId(pub Uuid);

impl CommandId {
    /// The id with these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> CommandId {
        CommandId(Uuid::from_bytes(bytes))
    }

    /// The id as it stands in a record.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.into_bytes()
    }

    /// Whether this is the all-zero id, which no client may use.
    #[must_use]
    pub fn is_nil(self) -> bool {
        self.0.is_nil()
    }
}

/// As one number, which is the order of the bytes and much less work.
impl Ord for CommandId {
    #[inline]
    fn cmp(&self, other: &CommandId) -> Ordering {
        self.0.as_u128().cmp(&other.0.as_u128())
    }
}

impl PartialOrd for CommandId {
    #[inline]
    fn partial_cmp(&self, other: &CommandId) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for CommandId {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u128(self.0.as_u128());
    }
}

impl fmt::Display for CommandId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The secret that lets its holder pay from an account.
///
/// It prints as nothing, compares in constant time, and is wiped when dropped.
#[derive(Clone)]
pub struct Token(Zeroizing<String>);

impl Token {
    /// Wraps a secret.
    #[must_use]
    pub fn new(secret: String) -> Token {
        Token(Zeroizing::new(secret))
    }

    /// The secret itself: for the record that carries it, never for a log.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for Token {}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_never_shows_its_secret() {
        let token = Token::new("canary-4711".to_owned());
        assert!(!format!("{token:?}").contains("canary"));
    }

    #[test]
    fn a_command_id_keeps_every_bit_of_its_client() {
        let bytes = [0xff; 16];
        assert_eq!(CommandId::from_bytes(bytes).to_bytes(), bytes);
    }
}
