//! Account numbers.

/// The country and the bank of every account of ours.
const COUNTRY: &str = "NL";
/// See [`COUNTRY`].
const BANK: &str = "OPEN";
/// Country, check digits, bank, ten digits of the account.
pub const OWN_LENGTH: usize = 18;
/// The bank's own account.
pub const COMPANY: &str = "NL66OPEN0000000000";
/// The counter: pays deposits, takes withdrawals.
pub const CASH: &str = "cash";
/// The shortest IBAN there is (Norway) and the longest ISO 13616 allows.
const IBAN_LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;
/// The check digits the rule of ISO 7064 gives; 00, 01 and 99 have the same remainder as others.
const CHECK_DIGITS: std::ops::RangeInclusive<u32> = 2..=98;

/// An account number of ours, as its 18 letters.
pub type Own = [u8; OWN_LENGTH];

/// The remainder of ISO 7064: country and check digits go to the end, a letter is two digits.
fn remainder(text: &[u8]) -> u32 {
    text[4..]
        .iter()
        .chain(&text[..4])
        .fold(0, |sum, &letter| match letter {
            b'0'..=b'9' => (sum * 10 + u32::from(letter - b'0')) % 97,
            _ => (sum * 100 + u32::from(letter - b'A') + 10) % 97,
        })
}

/// Whether the text has the shape of an IBAN: two capitals, two digits, capitals and digits.
#[must_use]
pub fn looks_like_one(text: &str) -> bool {
    let bytes = text.as_bytes();
    IBAN_LENGTHS.contains(&bytes.len())
        && bytes[..2].iter().all(u8::is_ascii_uppercase)
        && bytes[2..4].iter().all(u8::is_ascii_digit)
        && bytes[4..]
            .iter()
            .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit())
}

/// Whether the text is an IBAN of any bank, by shape and check digits.
#[must_use]
pub fn is_valid(text: &str) -> bool {
    let bytes = text.as_bytes();
    looks_like_one(text)
        && CHECK_DIGITS.contains(&(u32::from(bytes[2] - b'0') * 10 + u32::from(bytes[3] - b'0')))
        && remainder(bytes) == 1
}

/// The text as an account number of ours, if it is a valid one.
#[must_use]
pub fn own(text: &str) -> Option<Own> {
    let ours = text.len() == OWN_LENGTH
        && text.starts_with(COUNTRY)
        && is_valid(text)
        && &text[4..8] == BANK
        && text.as_bytes()[8..].iter().all(u8::is_ascii_digit);
    ours.then(|| text.as_bytes().try_into().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_account_numbers_when_judged_then_only_ours_are_own_and_only_checked_ones_valid() {
        for (text, valid, ours) in [
            (COMPANY, true, true),
            ("NL67OPEN0000000000", false, false),
            ("NL66OPEN000000000", false, false),
            ("NL66OPEN00000000000", false, false),
            ("nl66open0000000000", false, false),
            ("NL66 OPEN 0000 0000 00", false, false),
            ("DE89370400440532013000", true, false),
            ("DE88370400440532013000", false, false),
            ("NO9386011117947", true, false),
            ("GB82WEST12345698765432", true, false),
            ("NL91ABNA0417164300", true, false),
            ("NL66OPEN00000000\u{e9}", false, false),
            ("", false, false),
        ] {
            assert_eq!(is_valid(text), valid, "{text}");
            assert_eq!(own(text).is_some(), ours, "{text}");
        }
    }

    #[test]
    fn given_each_account_number_when_its_check_digits_vary_then_exactly_one_pair_is_valid() {
        for account in [0_u64, 1, 4_711, 999_999_999, 9_999_999_999] {
            let valid = (0..100)
                .filter(|check| own(&format!("NL{check:02}OPEN{account:010}")).is_some())
                .count();
            assert_eq!(valid, 1, "{account}");
        }
    }
}
