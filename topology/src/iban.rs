//! Account numbers: IBANs of our own bank and of others.

use std::fmt;

/// The account of the simulated company that pays salaries.
pub const COMPANY_IBAN: &str = "NL66OPEN0000000000";

const COUNTRY: &str = "NL";
const BANK: &str = "OPEN";
/// Country, check digits, bank and ten digits.
const OWN_LENGTH: usize = 18;
const LENGTH_MIN: usize = 15;
const LENGTH_MAX: usize = 34;
/// Account numbers are ten digits of which the first is always 0, as in the original.
const OWN_NUMBERS: u64 = 1_000_000_000;

/// A valid IBAN, without spaces, in capitals.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iban(String);

/// Why a text is not an IBAN.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IbanError {
    /// Not two letters, two digits and 11 to 30 letters or digits.
    #[error("not the shape of an IBAN")]
    Shape,
    /// The shape is right; the check digits are not.
    #[error("the check digits are wrong")]
    CheckDigits,
}

impl Iban {
    /// Reads an IBAN as people write it: spaces and small letters are allowed.
    ///
    /// # Errors
    /// [`IbanError`] when it has not the shape, or the check digits are wrong.
    pub fn parse(text: &str) -> Result<Iban, IbanError> {
        let normal = normalise(text);
        if !has_iban_shape(&normal) {
            return Err(IbanError::Shape);
        }
        if remainder_97(normal[4..].chars().chain(normal[..4].chars())) != 1 {
            return Err(IbanError::CheckDigits);
        }
        Ok(Iban(normal))
    }

    /// The own-bank IBAN with this account number; only its last nine digits count.
    #[must_use]
    pub fn of_our_bank(number: u64) -> Iban {
        let number = format!("{:010}", number % OWN_NUMBERS);
        let rearranged = format!("{BANK}{number}{COUNTRY}00");
        let check = 98 - remainder_97(rearranged.chars());
        Iban(format!("{COUNTRY}{check:02}{BANK}{number}"))
    }

    /// Whether this is an account of our bank (known or not).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_written_like_ours(&self.0)
    }

    /// The text, without spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The company's account.
    #[must_use]
    pub fn company() -> Iban {
        Iban(COMPANY_IBAN.to_owned())
    }
}

/// Capitals, without white space.
#[must_use]
pub fn normalise(text: &str) -> String {
    text.chars()
        .filter(|character| !character.is_whitespace())
        .map(|character| character.to_ascii_uppercase())
        .collect()
}

/// Whether a normalised text looks like an IBAN of our bank, right or wrong check digits.
#[must_use]
pub fn is_written_like_ours(normal: &str) -> bool {
    normal.len() == OWN_LENGTH
        && normal.is_ascii()
        && normal.starts_with(COUNTRY)
        && normal[2..4].chars().all(|c| c.is_ascii_digit())
        && &normal[4..8] == BANK
        && normal[8..].chars().all(|c| c.is_ascii_digit())
}

/// Whether a normalised text has the shape of some bank's IBAN, right or wrong check digits.
#[must_use]
pub fn has_iban_shape(normal: &str) -> bool {
    (LENGTH_MIN..=LENGTH_MAX).contains(&normal.len())
        && normal.is_ascii()
        && normal[..2].chars().all(|c| c.is_ascii_uppercase())
        && normal[2..4].chars().all(|c| c.is_ascii_digit())
        && normal[4..]
            .chars()
            .all(|c| c.is_ascii_digit() || c.is_ascii_uppercase())
}

/// ISO 7064 mod 97: letters count as 10 to 35.
fn remainder_97(characters: impl Iterator<Item = char>) -> u32 {
    characters.fold(0, |remainder, character| {
        let value = character.to_digit(36).unwrap_or(0);
        let shift = if value > 9 { 100 } else { 10 };
        (remainder * shift + value) % 97
    })
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({})", self.0)
    }
}

impl AsRef<str> for Iban {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_company_account_is_number_zero_of_our_bank() {
        assert_eq!(Iban::of_our_bank(0), Iban::company());
        assert_eq!(Iban::parse(COMPANY_IBAN), Ok(Iban::company()));
    }

    #[test]
    fn an_iban_is_read_as_people_write_it() {
        for (written, read) in [
            ("NL66OPEN0000000000", Ok("NL66OPEN0000000000")),
            ("nl66 open 0000 0000 00", Ok("NL66OPEN0000000000")),
            ("DE89 3704 0044 0532 0130 00", Ok("DE89370400440532013000")),
            ("GB82 WEST 1234 5698 7654 32", Ok("GB82WEST12345698765432")),
            ("NL67OPEN0000000000", Err(IbanError::CheckDigits)),
            ("DE88370400440532013000", Err(IbanError::CheckDigits)),
            ("NL66OPEN000000000€", Err(IbanError::Shape)),
            ("Albert Heijn BV", Err(IbanError::Shape)),
            ("cash", Err(IbanError::Shape)),
            ("", Err(IbanError::Shape)),
        ] {
            assert_eq!(
                Iban::parse(written).as_ref().map(Iban::as_str),
                read.as_ref().copied(),
                "{written}"
            );
        }
    }

    #[test]
    fn each_number_gives_an_iban_that_is_valid_and_ours() {
        for number in [0, 1, 96, 97, 123_456_789, 999_999_999, u64::MAX] {
            let iban = Iban::of_our_bank(number);
            assert_eq!(Iban::parse(iban.as_str()).as_ref(), Ok(&iban));
            assert!(iban.is_ours(), "{iban}");
            assert_eq!(&iban.as_str()[8..9], "0", "first digit of {iban}");
        }
    }

    #[test]
    fn one_wrong_digit_never_passes() {
        let iban = Iban::of_our_bank(412_883_157);
        for position in (2..4).chain(8..18) {
            for digit in '0'..='9' {
                let mut wrong = iban.as_str().to_owned();
                wrong.replace_range(position..=position, &digit.to_string());
                let same = wrong == iban.as_str();
                assert_eq!(Iban::parse(&wrong).is_ok(), same, "{wrong}");
            }
        }
    }
}
