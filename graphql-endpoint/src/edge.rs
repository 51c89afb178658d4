//! Parsing at the edge: what people and programs send becomes values that carry their
//! rules, or a refusal with words that help.

use topology::iban::{IbanError, has_iban_shape, is_written_like_ours, normalise};
use topology::money::TRANSFER_MAX;
use topology::{CASH, COMPANY_IBAN, Cents, CommandId, Iban};

use crate::answer::Refusal;
use crate::identity::passwords::Password;

/// Characters of a payee or a description.
pub const TEXT_CHARACTERS_MAX: usize = 140;
/// Characters of the longest IBAN.
const IBAN_CHARACTERS_MAX: usize = 34;
/// Characters of a password.
const PASSWORD_CHARACTERS_MAX: usize = 128;
/// Least characters of a password.
const PASSWORD_CHARACTERS_MIN: usize = 15;
/// Least characters of a password where no money is real.
const PASSWORD_CHARACTERS_MIN_DEMO: usize = 8;
/// Characters of a password that must differ from each other: fewer are guessed at once.
const PASSWORD_DISTINCT_MIN: usize = 5;
/// Digits of the longest amount in cents.
const AMOUNT_DIGITS_MAX: usize = 19;
/// Most rows of a page.
pub const PAGE_MAX: i32 = 100;

/// Cents from digits with an optional minus; nothing else is an amount.
#[must_use]
pub fn parse_cents(text: &str) -> Option<Cents> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let valid = (1..=AMOUNT_DIGITS_MAX).contains(&digits.len())
        && digits.bytes().all(|c| c.is_ascii_digit());
    if valid {
        text.parse().ok().map(Cents)
    } else {
        None
    }
}

/// An amount one payment may move.
///
/// # Errors
/// Words for who typed it.
pub fn payment_amount(amount: Cents) -> Result<Cents, Refusal> {
    if amount < Cents(1) {
        return Err(Refusal::validation("the amount must be at least one cent"));
    }
    if amount > TRANSFER_MAX {
        return Err(Refusal::validation(format!(
            "the amount may be at most {TRANSFER_MAX} euros"
        )));
    }
    Ok(amount)
}

/// A command id a client may use.
///
/// # Errors
/// For the all-zero id.
pub fn command_id(id: CommandId) -> Result<CommandId, Refusal> {
    if id.is_nil() {
        return Err(Refusal::validation("the command id must not be all zeros"));
    }
    Ok(id)
}

fn has_control(text: &str) -> bool {
    text.chars()
        .any(|character| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}'))
}

/// The payee of a transfer: a canonical IBAN, or the name of somebody at another bank.
///
/// # Errors
/// Words for who typed it.
pub fn payee(text: &str) -> Result<String, Refusal> {
    let text = text.trim();
    if text.is_empty() {
        return Err(Refusal::validation("say who is to be paid"));
    }
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(Refusal::validation(format!(
            "a payee has at most {TEXT_CHARACTERS_MAX} characters"
        )));
    }
    if has_control(text) {
        return Err(Refusal::validation("a payee has no control characters"));
    }
    if text.eq_ignore_ascii_case(CASH) {
        return Err(Refusal::validation("a transfer cannot pay out cash"));
    }
    match Iban::parse(text) {
        Ok(iban) if has_length_of_its_country(&iban) => Ok(iban.as_str().to_owned()),
        // One in 97 of ours with a digit too many or too few has the right check digits.
        Ok(_) | Err(IbanError::CheckDigits) => Err(Refusal::validation(
            "this is not a valid IBAN; check the digits",
        )),
        Err(IbanError::Shape) => {
            let normal = normalise(text);
            if is_written_like_ours(&normal) || has_iban_shape(&normal) || is_too_long(&normal) {
                return Err(Refusal::validation(
                    "this is not a valid IBAN; check the digits",
                ));
            }
            Ok(text.to_owned())
        }
    }
}

/// Whether an IBAN of our own country is as long as each is there; of others nobody says here.
fn has_length_of_its_country(iban: &Iban) -> bool {
    let is_of_our_country = iban.as_str().get(..2) == COMPANY_IBAN.get(..2);
    !is_of_our_country || iban.as_str().len() == COMPANY_IBAN.len()
}

/// Whether it is written like an IBAN, but for its length.
fn is_too_long(normal: &str) -> bool {
    normal.len() > IBAN_CHARACTERS_MAX
        && normal.bytes().all(|c| c.is_ascii_alphanumeric())
        && normal
            .get(..IBAN_CHARACTERS_MAX)
            .is_some_and(has_iban_shape)
}

/// What a transfer is for.
///
/// # Errors
/// Words for who typed it.
pub fn description(text: &str) -> Result<String, Refusal> {
    if text.chars().count() > TEXT_CHARACTERS_MAX {
        return Err(Refusal::validation(format!(
            "a description has at most {TEXT_CHARACTERS_MAX} characters"
        )));
    }
    if has_control(text) {
        return Err(Refusal::validation(
            "a description has no control characters",
        ));
    }
    Ok(text.to_owned())
}

/// Checks the length of a new password, before anything expensive is done with it.
///
/// # Errors
/// Words for who typed it.
pub fn new_password_length(characters: usize, demo_mode: bool) -> Result<(), Refusal> {
    let least = if demo_mode {
        PASSWORD_CHARACTERS_MIN_DEMO
    } else {
        PASSWORD_CHARACTERS_MIN
    };
    if (least..=PASSWORD_CHARACTERS_MAX).contains(&characters) {
        Ok(())
    } else {
        Err(Refusal::validation(format!(
            "a password has {least} to {PASSWORD_CHARACTERS_MAX} characters"
        )))
    }
}

/// Checks that a new password is not among the first that are guessed.
///
/// # Errors
/// Words for who typed it.
pub fn new_password(password: &Password, user_name: &str, demo_mode: bool) -> Result<(), Refusal> {
    new_password_length(password.characters(), demo_mode)?;
    if password.distinct_characters() < PASSWORD_DISTINCT_MIN {
        return Err(Refusal::validation(format!(
            "a password has at least {PASSWORD_DISTINCT_MIN} different characters"
        )));
    }
    if password.contains_name(user_name) {
        return Err(Refusal::validation(
            "a password does not contain the user name",
        ));
    }
    Ok(())
}

/// Whether a password can be anybody's at all.
#[must_use]
pub fn could_be_a_password(characters: usize) -> bool {
    (1..=PASSWORD_CHARACTERS_MAX).contains(&characters)
}

/// How many rows a page has.
///
/// # Errors
/// When it is not 1 to 100.
pub fn page_size(first: Option<i32>, default: i32) -> Result<usize, Refusal> {
    let first = first.unwrap_or(default);
    if !(1..=PAGE_MAX).contains(&first) {
        return Err(Refusal::validation(format!(
            "`first` must be 1 to {PAGE_MAX}"
        )));
    }
    Ok(usize::try_from(first).unwrap_or(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_with_an_optional_minus_are_an_amount() {
        for (text, cents) in [
            ("1", Some(1)),
            ("-1230", Some(-1230)),
            ("007", Some(7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("99999999999999999999", None),
            ("", None),
            ("-", None),
            ("--1", None),
            ("+1", None),
            (" 1", None),
            ("1.5", None),
            ("1,50", None),
            ("1e3", None),
            ("0x10", None),
            ("NaN", None),
            ("ten", None),
            ("١٢", None),
        ] {
            assert_eq!(parse_cents(text), cents.map(Cents), "{text:?}");
        }
    }

    #[test]
    fn a_payment_moves_at_least_a_cent_and_at_most_the_limit() {
        for (cents, valid) in [
            (i64::MIN, false),
            (-1, false),
            (0, false),
            (1, true),
            (TRANSFER_MAX.0, true),
            (TRANSFER_MAX.0 + 1, false),
            (i64::MAX, false),
        ] {
            assert_eq!(payment_amount(Cents(cents)).is_ok(), valid, "{cents}");
        }
    }

    #[test]
    fn an_account_of_ours_with_a_digit_more_or_less_is_no_payee_whatever_its_check_digits() {
        let mut with_right_check_digits = 0;
        for number in 0..1_000 {
            let ours = Iban::of_our_bank(number);
            assert!(payee(ours.as_str()).is_ok());
            let digits = (0..10).map(|digit| format!("{}{digit}", ours.as_str()));
            for text in digits.chain([ours.as_str()[..17].to_owned()]) {
                with_right_check_digits += usize::from(Iban::parse(&text).is_ok());
                assert!(payee(&text).is_err(), "{text}");
            }
        }
        assert!(with_right_check_digits > 50, "{with_right_check_digits}");
    }

    #[test]
    fn a_payee_is_a_valid_iban_or_a_name_and_never_cash() {
        for (text, read) in [
            ("NL66OPEN0000000000", Some("NL66OPEN0000000000")),
            (" nl66 open 0000 0000 00 ", Some("NL66OPEN0000000000")),
            (
                "DE89 3704 0044 0532 0130 00",
                Some("DE89370400440532013000"),
            ),
            ("Albert Heijn BV", Some("Albert Heijn BV")),
            ("  Ann ", Some("Ann")),
            ("NL67OPEN0000000000", None),
            ("nl67 open 0000 0000 00", None),
            ("DE88370400440532013000", None),
            ("DE893704004405320130000000000000000", None),
            ("cash", None),
            ("CASH", None),
            (" Cash ", None),
            ("", None),
            ("   ", None),
            ("a\nb", None),
            ("a\0b", None),
            (&"a".repeat(140), Some(&*"a".repeat(140))),
            (&"a".repeat(141), None),
        ] {
            assert_eq!(payee(text).ok().as_deref(), read, "{text:?}");
        }
    }

    #[test]
    fn a_description_is_short_and_has_no_control_characters() {
        for (text, valid) in [
            ("", true),
            ("=cmd() <script>", true),
            (&*"😀".repeat(140), true),
            (&*"😀".repeat(141), false),
            ("a\r\nb", false),
            ("a\0b", false),
            ("a\u{2028}b", false),
        ] {
            assert_eq!(description(text).is_ok(), valid, "{text:?}");
        }
    }

    #[test]
    fn a_password_is_never_cut_and_never_too_short() {
        for (characters, demo, live) in [
            (0, false, false),
            (7, false, false),
            (8, true, false),
            (14, true, false),
            (15, true, true),
            (128, true, true),
            (129, false, false),
        ] {
            assert_eq!(new_password_length(characters, true).is_ok(), demo);
            assert_eq!(new_password_length(characters, false).is_ok(), live);
        }
    }

    #[test]
    fn a_password_is_not_among_the_first_that_are_guessed() {
        for (text, valid) in [
            ("correct horse battery", true),
            ("               ", false),
            ("aaaaaaaaaaaaaaaaaaaa", false),
            ("1212121212121212", false),
            ("abcdabcdabcdabcd", false),
            ("this is Ann.Bell's!", false),
        ] {
            let password = Password::new(text.to_owned());
            assert_eq!(
                new_password(&password, "ann.bell", false).is_ok(),
                valid,
                "{text}"
            );
        }
    }

    #[test]
    fn a_page_has_1_to_100_rows() {
        for (first, size) in [
            (None, Some(25)),
            (Some(1), Some(1)),
            (Some(100), Some(100)),
            (Some(0), None),
            (Some(-1), None),
            (Some(101), None),
            (Some(i32::MAX), None),
        ] {
            assert_eq!(page_size(first, 25).ok(), size, "{first:?}");
        }
    }
}
