//! IBANs as people paste them and as they are shown.

/// Letters in a group when an IBAN is shown.
const GROUP_LETTERS: usize = 4;
/// Country and check digits.
const HEAD_LETTERS: usize = 4;
const SHORTEST: usize = 15;
const LONGEST: usize = 34;
/// An IBAN of the Netherlands has 18 letters.
const DUTCH_LETTERS: usize = 18;
/// From here on something that starts like an IBAN is taken for one, so that a missing digit is told.
const ATTEMPT_LETTERS: usize = 9;
const CHECK_MODULUS: u32 = 97;
/// Check digits are 02 to 98: these have the same remainder as 97, 98 and 02, which they are taken for by mistake.
const NO_CHECK_DIGITS: [&str; 3] = ["00", "01", "99"];

/// What a person may have meant in the payee field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payee {
    /// A right IBAN, without spaces, in capitals.
    Iban(String),
    /// Someone at another bank, by name.
    Name(String),
    /// Meant as an IBAN, but its digits are wrong.
    WrongIban,
}

/// Reads the payee field: an IBAN in any writing, else a name.
#[must_use]
pub fn read_payee(typed: &str) -> Payee {
    let compact = compact(typed);
    if is_valid(&compact) {
        Payee::Iban(compact)
    } else if starts_like_an_iban(&compact) && compact.len() >= ATTEMPT_LETTERS {
        Payee::WrongIban
    } else {
        Payee::Name(typed.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// In groups of four: `NL66 OPEN 0000 0000 00`. A name stays as it is.
#[must_use]
pub fn grouped(text: &str) -> String {
    if !is_valid(text) {
        return text.to_owned();
    }
    let letters: Vec<char> = text.chars().collect();
    letters
        .chunks(GROUP_LETTERS)
        .map(String::from_iter)
        .collect::<Vec<_>>()
        .join(" ")
}

/// The last two groups, enough to tell one's accounts apart by ear.
#[must_use]
pub fn ending(iban: &str) -> String {
    let grouped = grouped(iban);
    let groups: Vec<&str> = grouped.split(' ').collect();
    groups[groups.len().saturating_sub(2)..].join(" ")
}

/// Without spaces, in capitals.
#[must_use]
pub fn compact(typed: &str) -> String {
    typed
        .chars()
        .filter(|letter| !letter.is_whitespace())
        .collect::<String>()
        .to_ascii_uppercase()
}

/// Whether a compact IBAN has the right form and check digits.
#[must_use]
pub fn is_valid(compact: &str) -> bool {
    let right_length = if compact.starts_with("NL") {
        compact.len() == DUTCH_LETTERS
    } else {
        (SHORTEST..=LONGEST).contains(&compact.len())
    };
    right_length
        && starts_like_an_iban(compact)
        && !NO_CHECK_DIGITS.contains(&&compact[2..HEAD_LETTERS])
        && remainder(compact) == 1
}

fn starts_like_an_iban(compact: &str) -> bool {
    let bytes = compact.as_bytes();
    bytes.len() >= HEAD_LETTERS
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..HEAD_LETTERS].iter().all(u8::is_ascii_digit)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}

/// ISO 7064: the head moves to the end, letters count from 10, the whole modulo 97.
fn remainder(compact: &str) -> u32 {
    let (head, rest) = compact.split_at(HEAD_LETTERS);
    rest.chars()
        .chain(head.chars())
        .filter_map(|letter| letter.to_digit(36))
        .fold(0, |sum, value| {
            let shift = if value < 10 { 10 } else { 100 };
            (sum * shift + value) % CHECK_MODULUS
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_iban_is_read_in_any_writing() {
        for typed in [
            "NL66OPEN0000000000",
            "nl66 open 0000 0000 00",
            " NL66 OPEN\u{a0}0000000000 ",
        ] {
            assert_eq!(
                read_payee(typed),
                Payee::Iban("NL66OPEN0000000000".to_owned()),
                "{typed}"
            );
        }
        for foreign in [
            "DE89 3704 0044 0532 0130 00",
            "GB82 WEST 1234 5698 7654 32",
            "BE68 5390 0754 7034",
            "NL97 OPEN 0000 0000 24",
            "NL98 OPEN 0000 0000 06",
            "NL02 OPEN 0000 0000 85",
        ] {
            assert!(matches!(read_payee(foreign), Payee::Iban(_)), "{foreign}");
        }
    }

    #[test]
    fn wrong_digits_are_told_and_names_are_names() {
        for typed in [
            "NL67OPEN0000000000",
            "NL66OPEN000000000",
            "NL66 OPEN 0000 0000 001",
            "DE89370400440532013001",
            // The remainder is right, but no IBAN has these check digits.
            "NL00OPEN0000000024",
            "NL01OPEN0000000006",
            "NL99OPEN0000000085",
        ] {
            assert_eq!(read_payee(typed), Payee::WrongIban, "{typed}");
        }
        for (typed, name) in [
            ("Energy supplier", "Energy supplier"),
            ("  J.  de Vries ", "J. de Vries"),
            ("NL12", "NL12"),
        ] {
            assert_eq!(read_payee(typed), Payee::Name(name.to_owned()), "{typed}");
        }
    }

    #[test]
    fn ibans_are_shown_in_groups_of_four() {
        assert_eq!(grouped("NL66OPEN0000000000"), "NL66 OPEN 0000 0000 00");
        assert_eq!(grouped("cash"), "cash");
        assert_eq!(ending("NL66OPEN0000000000"), "0000 00");
    }
}
