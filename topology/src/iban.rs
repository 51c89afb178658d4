//! Account numbers: IBANs of our own bank and of others.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

use arrayvec::ArrayString;

/// The account of the simulated company that pays salaries.
pub const COMPANY_IBAN: &str = "NL66OPEN0000000000";

const COUNTRY: &str = "NL";
const BANK: &str = "OPEN";
/// Country, check digits, bank and ten digits.
const OWN_LENGTH: usize = 18;
const LENGTH_MIN: usize = 15;
const LENGTH_MAX: usize = 34;
/// They have the remainder of 97, 98 and 02, which are what the rule gives; with these, each
/// such account would have a second number.
const NEVER_CHECK_DIGITS: [&str; 3] = ["00", "01", "99"];
/// Account numbers are ten digits of which the first is always 0, as in the original.
const OWN_NUMBERS: u64 = 1_000_000_000;

/// A valid IBAN, without spaces, in capitals.
///
/// Its text is kept in place: it is copied, never allocated. Its order is that of its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Iban(ArrayString<LENGTH_MAX>);

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
        // Programs write it plainly.
        if let Some(remainder) = remainder_97(text) {
            return Iban::checked(text, remainder);
        }
        let normal = normalise(text);
        let remainder = remainder_97(&normal).ok_or(IbanError::Shape)?;
        Iban::checked(&normal, remainder)
    }

    fn checked(text: &str, remainder: u64) -> Result<Iban, IbanError> {
        if remainder != 1 || NEVER_CHECK_DIGITS.contains(&&text[2..4]) {
            return Err(IbanError::CheckDigits);
        }
        let text = ArrayString::from(text).map_err(|_| IbanError::Shape)?;
        Ok(Iban(text))
    }

    /// The own-bank IBAN with this account number; only its last nine digits count.
    #[must_use]
    pub fn of_our_bank(number: u64) -> Iban {
        let number = format!("{:010}", number % OWN_NUMBERS);
        let unchecked = format!("{COUNTRY}00{BANK}{number}");
        let check = 98 - remainder_97(&unchecked).expect("our IBANs have the shape of one");
        let text = format!("{COUNTRY}{check:02}{BANK}{number}");
        Iban(ArrayString::from(&text).expect("our IBANs have eighteen characters"))
    }

    /// Whether this is an account of our bank (known or not).
    #[must_use]
    pub fn is_ours(&self) -> bool {
        is_written_like_ours(self.as_str())
    }

    /// The text, without spaces.
    #[must_use]
    #[inline]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The company's account.
    #[must_use]
    pub fn company() -> Iban {
        Iban::of_our_bank(0)
    }
}

impl Ord for Iban {
    /// The first sixteen characters as one number: they nearly always decide.
    #[inline]
    fn cmp(&self, other: &Iban) -> Ordering {
        let (one, other) = (self.0.as_bytes(), other.0.as_bytes());
        match (one.split_first_chunk(), other.split_first_chunk()) {
            (Some((one, one_rest)), Some((other, other_rest))) => u128::from_be_bytes(*one)
                .cmp(&u128::from_be_bytes(*other))
                .then_with(|| one_rest.cmp(other_rest)),
            _ => one.cmp(other),
        }
    }
}

impl PartialOrd for Iban {
    #[inline]
    fn partial_cmp(&self, other: &Iban) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for Iban {
    /// The last eight characters, in which accounts of one bank differ.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        let last = self.0.as_bytes().last_chunk().copied().unwrap_or_default();
        state.write_u64(u64::from_ne_bytes(last));
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
    let text = normal.as_bytes();
    text.len() == OWN_LENGTH
        && text.starts_with(COUNTRY.as_bytes())
        && text[2..4].iter().all(u8::is_ascii_digit)
        && text[4..].starts_with(BANK.as_bytes())
        && text[8..].iter().all(u8::is_ascii_digit)
}

/// Whether a normalised text has the shape of some bank's IBAN, right or wrong check digits.
#[must_use]
pub fn has_iban_shape(normal: &str) -> bool {
    remainder_97(normal).is_some()
}

/// ISO 7064 mod 97 of a text in the shape of an IBAN, `None` of any other: the first four
/// characters count behind the others, and letters count as 10 to 35.
fn remainder_97(normal: &str) -> Option<u64> {
    /// Room for one more letter behind any number below this one.
    const REDUCED_FROM: u64 = u64::MAX / 1_000;
    let text = normal.as_bytes();
    if !(LENGTH_MIN..=LENGTH_MAX).contains(&text.len()) {
        return None;
    }
    let (head, tail) = text.split_at(4);
    if !(head[..2].iter().all(u8::is_ascii_uppercase) && head[2..].iter().all(u8::is_ascii_digit)) {
        return None;
    }
    let mut number = 0;
    for part in [tail, head] {
        for character in part {
            let (value, shift) = match character {
                b'0'..=b'9' => (character - b'0', 10),
                b'A'..=b'Z' => (character - b'A' + 10, 100),
                _ => return None,
            };
            if number >= REDUCED_FROM {
                number %= 97;
            }
            number = number * shift + u64::from(value);
        }
    }
    Some(number % 97)
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
            ("NL02OPEN0000000085", Ok("NL02OPEN0000000085")),
            ("NL99OPEN0000000085", Err(IbanError::CheckDigits)),
            ("NL97OPEN0000000024", Ok("NL97OPEN0000000024")),
            ("NL00OPEN0000000024", Err(IbanError::CheckDigits)),
            ("NL98OPEN0000000006", Ok("NL98OPEN0000000006")),
            ("NL01OPEN0000000006", Err(IbanError::CheckDigits)),
            ("DE99000000000000000030", Err(IbanError::CheckDigits)),
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
