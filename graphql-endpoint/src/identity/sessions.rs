//! Session tokens: 256 random bits; the database knows only their SHA-256.

use std::fmt;

use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::error::Error;

const TOKEN_BYTES: usize = 32;
/// How long a session lives.
pub const SESSION_HOURS: i64 = 12;
/// Name of the page's cookie.
pub const COOKIE: &str = "bank_session";

/// What a client shows to be recognised; prints as nothing.
#[derive(Clone)]
pub struct SessionToken(Zeroizing<String>);

impl SessionToken {
    /// A new one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn generate() -> Result<SessionToken, Error> {
        let mut bytes = Zeroizing::new([0; TOKEN_BYTES]);
        getrandom::fill(&mut *bytes).map_err(Error::Random)?;
        Ok(SessionToken(Zeroizing::new(to_hex(&*bytes))))
    }

    /// A token as a client sent it; `None` when it cannot be one.
    #[must_use]
    pub fn parse(text: &str) -> Option<SessionToken> {
        let valid = text.len() == TOKEN_BYTES * 2 && text.bytes().all(|c| c.is_ascii_hexdigit());
        valid.then(|| SessionToken(Zeroizing::new(text.to_ascii_lowercase())))
    }

    /// The token of an `Authorization: Bearer` value.
    #[must_use]
    pub fn from_authorization(value: &str) -> Option<SessionToken> {
        let (scheme, token) = value.trim().split_once(' ')?;
        if scheme.eq_ignore_ascii_case("bearer") {
            SessionToken::parse(token.trim())
        } else {
            None
        }
    }

    /// The token among the cookies of a request.
    #[must_use]
    pub fn from_cookies(header: &str) -> Option<SessionToken> {
        header
            .split(';')
            .filter_map(|cookie| cookie.trim().split_once('='))
            .find(|(name, _)| *name == COOKIE)
            .and_then(|(_, value)| SessionToken::parse(value))
    }

    /// The value of the header that sets the page's cookie.
    #[must_use]
    pub fn to_cookie(&self) -> String {
        format!(
            "{COOKIE}={}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}",
            &*self.0,
            SESSION_HOURS * 3600
        )
    }

    /// What is stored of it.
    #[must_use]
    pub fn digest(&self) -> Vec<u8> {
        Sha256::digest(self.0.as_bytes()).to_vec()
    }

    /// The token itself: for the client it was made for.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SessionToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionToken(…)")
    }
}

/// The value of the header that removes the page's cookie.
#[must_use]
pub fn removed_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0")
}

fn to_hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_found_in_cookie_and_bearer_and_nowhere_else() {
        let token = SessionToken::generate().unwrap();
        let text = token.expose().to_owned();
        let digest = Some(token.digest());
        let of = |found: Option<SessionToken>| found.map(|token| token.digest());
        let cookies = format!("a=b; {COOKIE}={text}; c=d");
        assert_eq!(of(SessionToken::from_cookies(&cookies)), digest);
        let bearer = format!("Bearer {text}");
        assert_eq!(of(SessionToken::from_authorization(&bearer)), digest);
        for wrong in ["", "Basic abc", "Bearer", "Bearer ", "Bearer short"] {
            assert_eq!(of(SessionToken::from_authorization(wrong)), None, "{wrong}");
        }
        for wrong in ["", "bank_session", "bank_session=", "other=1"] {
            assert_eq!(of(SessionToken::from_cookies(wrong)), None, "{wrong}");
        }
        assert!(!format!("{token:?}").contains(&text));
    }
}
