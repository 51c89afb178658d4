//! User names: a short allow-list, so that no two of them look alike.

use topology::Iban;

const CHARACTERS_MIN: usize = 3;
const CHARACTERS_MAX: usize = 32;
/// Names that mean something else here.
const RESERVED: [&str; 6] = ["cash", "external", "admin", "administrator", "bank", "root"];
/// Names that start so belong to demo mode.
const RESERVED_START: &str = "demo-";

/// A valid user name, in small letters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserName(String);

impl UserName {
    /// Reads a name of somebody who may exist; capitals count as small letters.
    ///
    /// # Errors
    /// Words for who typed it.
    pub fn parse(text: &str) -> Result<UserName, &'static str> {
        let name = text.to_ascii_lowercase();
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "_.-".contains(c);
        if !name.chars().all(legal) {
            return Err("a user name has letters a to z, digits, dots, hyphens and underscores");
        }
        if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&name.len()) {
            return Err("a user name has 3 to 32 characters");
        }
        Ok(UserName(name))
    }

    /// Reads a name for somebody new.
    ///
    /// # Errors
    /// Words for who typed it.
    pub fn parse_new(text: &str) -> Result<UserName, &'static str> {
        let name = UserName::parse(text)?;
        let reserved = RESERVED.contains(&name.0.as_str())
            || name.0.starts_with(RESERVED_START)
            || Iban::parse(&name.0).is_ok();
        if reserved {
            return Err("this user name is reserved");
        }
        Ok(name)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_mistaken_are_taken() {
        for (text, read) in [
            ("ann", Some("ann")),
            ("Ann.van-Dam_3", Some("ann.van-dam_3")),
            ("a", None),
            ("", None),
            (&"a".repeat(32), Some(&*"a".repeat(32))),
            (&"a".repeat(33), None),
            ("ann ", None),
            (" ann", None),
            ("an n", None),
            ("ann\n", None),
            ("ann\0", None),
            ("аnn", None),
            ("änn", None),
            ("ann\u{200b}", None),
            ("\u{202e}ann", None),
            ("😀😀😀", None),
            ("'; drop table customer", None),
            ("<b>ann</b>", None),
            ("cash", None),
            ("CASH", None),
            ("admin", None),
            ("external", None),
            ("demo-customer", None),
            ("nl66open0000000000", None),
        ] {
            let name = UserName::parse_new(text).ok();
            assert_eq!(name.as_ref().map(UserName::as_str), read, "{text:?}");
        }
    }

    #[test]
    fn a_reserved_name_may_still_log_in() {
        assert!(UserName::parse("demo-customer").is_ok());
    }
}
