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
/// Digits of an account number.
const OWN_DIGITS: u32 = 10;
/// Account numbers are ten digits of which the first is always 0, as in the original.
const OWN_NUMBERS: u64 = 1_000_000_000;

/// A valid IBAN, without spaces, in capitals.
///
/// Its characters are kept in place, zeros behind them: it is copied, never allocated, and
/// its order is that of its text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Iban {
    characters: [u8; LENGTH_MAX],
    length: u8,
}

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
        let iban = Iban::of_shape(text).ok_or(IbanError::Shape)?;
        if remainder_97(iban.as_bytes()) != 1 {
            return Err(IbanError::CheckDigits);
        }
        Ok(iban)
    }

    /// Capitals without white space, if they have the shape of some bank's IBAN; the check
    /// digits may be wrong.
    fn of_shape(text: &str) -> Option<Iban> {
        let mut iban = Iban {
            characters: [0; LENGTH_MAX],
            length: 0,
        };
        for character in text.chars().filter(|it| !it.is_whitespace()) {
            let byte = u8::try_from(character).ok()?.to_ascii_uppercase();
            let fits = match iban.length {
                0 | 1 => byte.is_ascii_uppercase(),
                2 | 3 => byte.is_ascii_digit(),
                _ => byte.is_ascii_digit() || byte.is_ascii_uppercase(),
            };
            *iban.characters.get_mut(usize::from(iban.length))? = fits.then_some(byte)?;
            iban.length += 1;
        }
        (iban.as_bytes().len() >= LENGTH_MIN).then_some(iban)
    }

    /// The own-bank IBAN with this account number; only its last nine digits count.
    #[must_use]
    pub fn of_our_bank(number: u64) -> Iban {
        let mut iban = Iban {
            characters: [0; LENGTH_MAX],
            length: 0,
        };
        iban.append(COUNTRY.as_bytes());
        iban.append(b"00");
        iban.append(BANK.as_bytes());
        for place in (0..OWN_DIGITS).rev() {
            iban.append(&[digit(number % OWN_NUMBERS / 10_u64.pow(place))]);
        }
        let check = u64::from(98 - remainder_97(iban.as_bytes()));
        iban.characters[2] = digit(check / 10);
        iban.characters[3] = digit(check);
        iban
    }

    fn append(&mut self, more: &[u8]) {
        for byte in more {
            self.characters[usize::from(self.length)] = *byte;
            self.length += 1;
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.characters[..usize::from(self.length)]
    }

    /// Whether this is an account of our bank (known or not).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_written_like_ours(self.as_str())
    }

    /// The text, without spaces.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).expect("an IBAN is made of ASCII only")
    }

    /// The company's account.
    #[must_use]
    pub fn company() -> Iban {
        Iban::of_our_bank(0)
    }
}

fn digit(number: u64) -> u8 {
    let [low, ..] = (number % 10).to_le_bytes();
    b'0' + low
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

/// ISO 7064 mod 97 of an IBAN: its first four characters count behind the others, and
/// letters count as 10 to 35.
fn remainder_97(iban: &[u8]) -> u32 {
    let (head, tail) = iban.split_at(4);
    tail.iter().chain(head).fold(0, |remainder, character| {
        let (value, shift) = match character {
            b'0'..=b'9' => (character - b'0', 10),
            letter => (letter - b'A' + 10, 100),
        };
        (remainder * shift + u32::from(value)) % 97
    })
}

impl fmt::Display for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Iban {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iban({})", self.as_str())
    }
}

impl AsRef<str> for Iban {
    fn as_ref(&self) -> &str {
        self.as_str()
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
    fn what_has_the_shape_of_an_iban_is_told_alike_everywhere() {
        for text in [
            COMPANY_IBAN,
            "nl66 open 0000 0000 00",
            "NL66OPEN0000000000\u{a0}",
            "NL66OPEN00000",
            "NL66OPEN0000000",
            &format!("NL66{}", "A".repeat(30)),
            &format!("NL66{}", "A".repeat(31)),
            "N66OPEN00000000000",
            "NLA6OPEN0000000000",
            "NL66OPEN-000000000",
            "ÑL66OPEN0000000000",
            "",
            "   ",
        ] {
            let shape = has_iban_shape(&normalise(text));
            assert_eq!(Iban::parse(text) != Err(IbanError::Shape), shape, "{text}");
        }
    }

    #[test]
    fn ibans_are_in_the_order_of_their_texts() {
        let mut ibans: Vec<Iban> = (0..200).map(|n| Iban::of_our_bank(n * 7_919)).collect();
        ibans.push(Iban::parse("DE89370400440532013000").unwrap());
        ibans.push(Iban::parse("GB82WEST12345698765432").unwrap());
        let mut texts: Vec<String> = ibans.iter().map(Iban::to_string).collect();
        ibans.sort_unstable();
        texts.sort_unstable();
        assert!(
            ibans
                .iter()
                .map(Iban::as_str)
                .eq(texts.iter().map(String::as_str))
        );
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
