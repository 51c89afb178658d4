//! Account numbers, read by the auditor's own rules.

/// Shortest and longest IBAN of any country.
const LENGTHS: std::ops::RangeInclusive<usize> = 15..=34;

/// How a party of a transfer is written in the ledger, from how its sender wrote it:
/// `cash` as it is, account numbers in capitals without spaces, names without white
/// space around them.
pub(crate) fn ledger_name(written: &str) -> String {
    if written == "cash" {
        return written.to_owned();
    }
    let compact = compact(written);
    if has_shape(&compact) {
        compact
    } else {
        written.trim().to_owned()
    }
}

/// Capitals, without white space.
fn compact(written: &str) -> String {
    let visible = written.chars().filter(|it| !it.is_whitespace());
    visible.map(|it| it.to_ascii_uppercase()).collect()
}

/// Two letters, two digits, and up to thirty letters or digits.
fn has_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    LENGTHS.contains(&bytes.len())
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            0 | 1 => byte.is_ascii_uppercase(),
            2 | 3 => byte.is_ascii_digit(),
            _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        })
}

/// What a text is, as an account number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// A valid one of our bank.
    Ours,
    /// A valid one of another bank.
    Foreign,
    /// The shape of one, with wrong check digits.
    Wrong,
    /// Something else.
    NoNumber,
}

/// Reads a text as an account number, however it is spaced and capitalised.
pub(crate) fn read(written: &str) -> Reading {
    let text = compact(written);
    if !has_shape(&text) {
        return Reading::NoNumber;
    }
    // ISO 13616: the first four characters go to the end, letters are 10 to 35, and the
    // whole number leaves 1 when divided by 97; digit by digit it fits in few bits.
    let (head, tail) = text.split_at(4);
    let mut remainder = 0_u32;
    for character in tail.chars().chain(head.chars()) {
        let value = character.to_digit(36).unwrap_or_default();
        remainder = if value < 10 {
            (remainder * 10 + value) % 97
        } else {
            (remainder * 100 + value) % 97
        };
    }
    match remainder {
        1 if is_ours(&text) => Reading::Ours,
        1 => Reading::Foreign,
        _ => Reading::Wrong,
    }
}

/// Whether this is a valid account number of our bank exactly as we write them.
pub(crate) fn is_ours_as_written(text: &str) -> bool {
    is_ours(text) && read(text) == Reading::Ours
}

fn is_ours(text: &str) -> bool {
    text.len() == 18
        && text.starts_with("NL")
        && text[4..].starts_with("OPEN")
        && text.bytes().skip(8).all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn given_texts_when_read_then_each_is_what_the_standard_says() {
        for (text, reading) in [
            ("NL66OPEN0000000000", Reading::Ours),
            ("nl66 open 0000 0000 00", Reading::Ours),
            ("NL67OPEN0000000000", Reading::Wrong),
            ("DE89370400440532013000", Reading::Foreign),
            ("GB82 WEST 1234 5698 7654 32", Reading::Foreign),
            ("DE88370400440532013000", Reading::Wrong),
            ("cash", Reading::NoNumber),
            ("Albert Heijn BV", Reading::NoNumber),
            ("NLÖÖ66OPEN000000000", Reading::NoNumber),
            ("", Reading::NoNumber),
        ] {
            assert_eq!(read(text), reading, "{text}");
        }
    }

    #[test]
    fn given_parties_as_people_write_them_when_named_then_the_ledger_has_one_name_for_each() {
        for (written, name) in [
            ("cash", "cash"),
            ("nl66 open 0000 0000 00", "NL66OPEN0000000000"),
            ("  Shop on the corner ", "Shop on the corner"),
            ("de89 3704 0044 0532 0130 00", "DE89370400440532013000"),
        ] {
            assert_eq!(ledger_name(written), name);
        }
    }

    #[test]
    fn given_our_number_written_otherwise_when_asked_then_it_is_not_as_we_write_it() {
        assert!(is_ours_as_written("NL66OPEN0000000000"));
        for other in [
            "nl66OPEN0000000000",
            "NL66 OPEN0000000000",
            "NL67OPEN0000000000",
            "é",
        ] {
            assert!(!is_ours_as_written(other), "{other}");
        }
    }
}
