//! Who a text in a command names.

use std::borrow::Cow;

use crate::iban::{CASH, Own, is_valid, looks_like_one, own};

/// The longest name of an account elsewhere, in characters.
pub const NAME_MAX_CHARACTERS: usize = 140;

/// One side of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Party<'a> {
    /// The counter.
    Cash,
    /// A valid account number of this bank, opened or not.
    Own(Own),
    /// Somebody else's account: a name without the spaces around it, or a valid IBAN of
    /// another bank.
    Other(Cow<'a, str>),
    /// Nobody.
    Nobody,
}

impl<'a> Party<'a> {
    /// Reads it: an IBAN as people write it, with spaces and in small letters; `cash` only in
    /// that spelling; a name of one to 140 characters.
    #[must_use]
    pub fn of(text: &'a str) -> Self {
        if text == CASH {
            return Self::Cash;
        }
        let plain: Cow<'a, str> = if looks_like_one(text) {
            Cow::Borrowed(text)
        } else {
            let letters = text.chars().filter(|letter| !letter.is_whitespace());
            Cow::Owned(letters.map(|letter| letter.to_ascii_uppercase()).collect())
        };
        if looks_like_one(&plain) {
            return match own(&plain) {
                Some(iban) => Self::Own(iban),
                None if is_valid(&plain) => Self::Other(plain),
                None => Self::Nobody,
            };
        }
        let name = text.trim();
        if name.is_empty()
            || name.eq_ignore_ascii_case(CASH)
            || !may_stand(name, NAME_MAX_CHARACTERS)
        {
            return Self::Nobody;
        }
        Self::Other(Cow::Borrowed(name))
    }

    /// As the records of the other side have it.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Cash => CASH,
            Self::Own(iban) => {
                std::str::from_utf8(iban).expect("own numbers are letters and digits")
            }
            Self::Other(name) => name,
            Self::Nobody => "",
        }
    }
}

/// Whether a text is short enough and free of control characters.
#[must_use]
pub fn may_stand(text: &str, max_characters: usize) -> bool {
    text.chars().count() <= max_characters && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_what_people_write_when_read_then_each_text_names_who_it_means() {
        let company = || Party::Own(own("NL66OPEN0000000000").unwrap());
        let other = |name: &'static str| Party::Other(name.into());
        let longest = "x".repeat(NAME_MAX_CHARACTERS);
        let too_long = "x".repeat(NAME_MAX_CHARACTERS + 1);
        let longest_in_bytes = "\u{e9}".repeat(NAME_MAX_CHARACTERS);
        for (text, party) in [
            ("cash", Party::Cash),
            ("Cash", Party::Nobody),
            (" cash", Party::Nobody),
            ("cashier", other("cashier")),
            ("NL66OPEN0000000000", company()),
            ("nl66 open 0000 0000 00", company()),
            ("NL66\u{a0}OPEN0000000000\t", company()),
            ("NL67OPEN0000000000", Party::Nobody),
            ("NL 67 OPEN 0000000000", Party::Nobody),
            ("DE89370400440532013000", other("DE89370400440532013000")),
            (
                "de89 3704 0044 0532 0130 00",
                other("DE89370400440532013000"),
            ),
            ("DE88370400440532013000", Party::Nobody),
            ("Albert Heijn BV", other("Albert Heijn BV")),
            ("  Albert Heijn BV ", other("Albert Heijn BV")),
            ("", Party::Nobody),
            (" \t ", Party::Nobody),
            ("a\0b", Party::Nobody),
            ("a\u{85}b", Party::Nobody),
            (&longest, Party::Other(longest.as_str().into())),
            (
                &longest_in_bytes,
                Party::Other(longest_in_bytes.as_str().into()),
            ),
            (&too_long, Party::Nobody),
        ] {
            assert_eq!(Party::of(text), party, "{text:?}");
        }
    }
}
