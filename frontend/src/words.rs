//! What the page says to people. First what happened to the money, then what to do.
//! "Rejected" is the bank's answer; anything else is a fault of form, line or machine.

use crate::{
    api::{
        response::{ApiError, ErrorCode},
        types::{Payment, RejectionReason},
    },
    formats, iban,
    money::Cents,
};

/// What is needed to say why a payment was rejected.
#[derive(Clone, Copy, Debug)]
pub struct Standing {
    /// Of the paying account, now.
    pub balance: Cents,
    /// The lowest balance allowed.
    pub limit: Cents,
}

/// Said while an answer takes long.
pub const STILL_PROCESSING: &str = "Still being processed. The bank has your payment and will answer. Do not pay again; you can leave this page.";

/// Said while the line is cut.
pub const NOT_KNOWN_YET: &str = "Not known yet whether the bank has your payment. We ask again with the same number, \
    so that it cannot be paid twice.";

/// Said when the session ended under way.
pub const SIGN_IN_TO_ASK: &str = "Not known yet whether the bank has your payment. Sign in again, then we ask with the \
    same number, so that it cannot be paid twice.";

/// The bank's no to a payment.
#[must_use]
pub fn rejection(
    reason: RejectionReason,
    message: &str,
    payment: &Payment,
    standing: Option<Standing>,
) -> String {
    let nothing = match payment {
        Payment::Deposit { .. } => "Nothing was deposited.",
        Payment::Transfer { .. } => "Nothing was paid.",
    };
    let payee = match payment {
        Payment::Deposit { .. } => String::new(),
        Payment::Transfer { to, .. } => iban::grouped(to),
    };
    let (why, advice) = match (reason, standing) {
        (RejectionReason::InsufficientFunds, Some(Standing { balance, limit })) => {
            let room = Cents(balance.0.saturating_sub(limit.0).max(0));
            (
                format!("this would take the account below {}", limit.as_balance()),
                format!("You can pay up to {}.", room.as_balance()),
            )
        }
        (RejectionReason::InsufficientFunds, None) => (
            "this would take the account below its limit".to_owned(),
            String::new(),
        ),
        (RejectionReason::TokenInvalid | RejectionReason::PayerInvalid, _) => (
            "the bank does not accept this account for paying".to_owned(),
            "Sign out and in again.".to_owned(),
        ),
        (RejectionReason::PayeeUnknown, _) => (
            format!("{payee} is written like one of our accounts, but is none"),
            "Check the IBAN.".to_owned(),
        ),
        (RejectionReason::PayeeInvalid, _) => (
            format!("{payee} cannot be paid"),
            "Check the IBAN or the name.".to_owned(),
        ),
        (RejectionReason::SameAccount, _) => (
            "payer and payee are the same account".to_owned(),
            String::new(),
        ),
        (RejectionReason::AmountInvalid, _) => (
            "the bank does not take this amount".to_owned(),
            String::new(),
        ),
        (RejectionReason::DescriptionInvalid, _) => (
            "the bank does not take this description".to_owned(),
            "Use a shorter one.".to_owned(),
        ),
        (RejectionReason::BalanceLimitExceeded, _) => (
            "an account would hold more than the bank can count".to_owned(),
            String::new(),
        ),
        (RejectionReason::BothUnknown, _) => {
            ("neither account is one of ours".to_owned(), String::new())
        }
        (RejectionReason::IbanTaken | RejectionReason::Other, _) => {
            (message.trim_end_matches('.').to_owned(), String::new())
        }
    };
    format!("Rejected: {why}. {nothing} {advice}")
        .trim_end()
        .to_owned()
}

/// A payment the gateway did not pass on.
#[must_use]
pub fn payment_refused(error: &ApiError) -> String {
    if error.is(ErrorCode::Conflict) {
        return "Rejected: this payment number was used for another payment. The first one stands."
            .to_owned();
    }
    format!(
        "Not sent to the bank: {}. Nothing was paid.",
        sentence_core(error)
    )
}

/// Sign-in or a new account that did not work.
#[must_use]
pub fn sign_in_failure(error: &ApiError) -> String {
    match error {
        ApiError::Refused {
            code: ErrorCode::Unauthenticated,
            ..
        } => "User name or password is wrong.".to_owned(),
        ApiError::Refused {
            code: ErrorCode::RateLimited,
            ..
        } => too_many_tries(error),
        _ => load_failure(error),
    }
}

/// A new account that did not work.
#[must_use]
pub fn open_account_failure(error: &ApiError) -> String {
    match error {
        ApiError::Refused {
            code: ErrorCode::Conflict,
            ..
        } => "This user name is taken. Choose another, or sign in.".to_owned(),
        ApiError::Refused {
            code: ErrorCode::RateLimited,
            ..
        } => too_many_tries(error),
        _ => load_failure(error),
    }
}

/// Anything that could not be loaded or sent, as a sentence.
#[must_use]
pub fn load_failure(error: &ApiError) -> String {
    match error {
        ApiError::Unreachable => "The bank cannot be reached.".to_owned(),
        ApiError::Malformed(_) => "The bank's answer could not be read.".to_owned(),
        ApiError::Refused {
            code: ErrorCode::Unavailable | ErrorCode::Internal,
            ..
        } => "The bank cannot answer right now.".to_owned(),
        ApiError::Refused {
            code: ErrorCode::Unauthenticated,
            ..
        } => "You are signed out.".to_owned(),
        ApiError::Refused {
            code: ErrorCode::Forbidden,
            ..
        } => "You may not see this.".to_owned(),
        ApiError::Refused { .. } => {
            let core = sentence_core(error);
            let mut letters = core.chars();
            let first = letters
                .next()
                .map(|letter| letter.to_uppercase().to_string())
                .unwrap_or_default();
            format!("{first}{}.", letters.as_str())
        }
    }
}

/// From whom, or to whom: how it begins, and the IBAN in groups or the name, if any.
#[must_use]
pub fn other_side(counterparty: &str, change: Cents) -> (&'static str, String) {
    match (counterparty, change.0 < 0) {
        ("cash", false) => ("Cash deposit", String::new()),
        ("cash", true) => ("Cash withdrawal", String::new()),
        (other, false) => ("From ", iban::grouped(other)),
        (other, true) => ("To ", iban::grouped(other)),
    }
}

/// What the payer wrote; what the gateway writes for cash only repeats what the row says already.
#[must_use]
pub fn description(counterparty: &str, description: String) -> String {
    if counterparty == "cash" && description == "deposit" {
        String::new()
    } else {
        description
    }
}

/// What came in while the line was cut.
#[must_use]
pub fn back_again(changes: usize) -> String {
    match changes {
        0 => "Back. Nothing was missed.".to_owned(),
        1 => "Back. 1 change came in meanwhile.".to_owned(),
        _ => format!("Back. {changes} changes came in meanwhile."),
    }
}

/// A count with its thing: `1 new transaction`, `12 new transactions`.
#[must_use]
pub fn new_transactions(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} new transaction{plural}", counted(count))
}

/// A count with its thing: `1 transaction`, `12 transactions`.
#[must_use]
pub fn transactions(count: u64) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{} transaction{plural}", counted(count))
}

/// A count with marks between the thousands.
#[must_use]
pub fn counted(count: u64) -> String {
    formats::count(count)
}

fn too_many_tries(error: &ApiError) -> String {
    match error {
        ApiError::Refused {
            retry_after_seconds: Some(seconds),
            ..
        } => {
            format!("Too many tries. Try again in {seconds} seconds.")
        }
        _ => "Too many tries. Try again in a minute.".to_owned(),
    }
}

fn sentence_core(error: &ApiError) -> String {
    error.to_string().trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transfer(to: &str) -> Payment {
        Payment::Transfer {
            to: to.to_owned(),
            amount: Cents(100),
            description: "x".to_owned(),
        }
    }

    #[test]
    fn every_rejection_says_that_nothing_was_paid() {
        use RejectionReason::*;
        let reasons = [
            AmountInvalid,
            PayerInvalid,
            PayeeInvalid,
            PayeeUnknown,
            SameAccount,
            TokenInvalid,
            InsufficientFunds,
            BalanceLimitExceeded,
            DescriptionInvalid,
            BothUnknown,
            IbanTaken,
            Other,
        ];
        for reason in reasons {
            let words = rejection(
                reason,
                "the bank said no",
                &transfer("NL66OPEN0000000000"),
                None,
            );
            assert!(
                words.starts_with("Rejected: ") && words.contains("Nothing was paid."),
                "{words}"
            );
            assert!(words.ends_with('.') && !words.contains(".."), "{words}");
        }
    }

    #[test]
    fn insufficient_funds_say_how_much_can_be_paid() {
        let standing = Standing {
            balance: Cents(84_726),
            limit: Cents(-50_000),
        };
        let words = rejection(
            RejectionReason::InsufficientFunds,
            "",
            &transfer("x"),
            Some(standing),
        );
        let expected = "Rejected: this would take the account below € -500,00. Nothing was paid. \
                        You can pay up to € 1.347,26.";
        assert_eq!(words.replace('\u{a0}', " "), expected);
    }

    #[test]
    fn a_failure_is_a_sentence_and_gives_no_internals_away() {
        let refused = |code, message: &str| ApiError::Refused {
            code,
            message: message.to_owned(),
            retry_after_seconds: Some(30),
        };
        for (error, words) in [
            (
                refused(ErrorCode::Unauthenticated, "bad password"),
                "User name or password is wrong.",
            ),
            (
                refused(ErrorCode::RateLimited, "slow"),
                "Too many tries. Try again in 30 seconds.",
            ),
            (
                refused(ErrorCode::Internal, "panic at line 3"),
                "The bank cannot answer right now.",
            ),
            (
                refused(ErrorCode::Validation, "user name has a space."),
                "User name has a space.",
            ),
            (ApiError::Unreachable, "The bank cannot be reached."),
        ] {
            assert_eq!(sign_in_failure(&error), words);
        }
    }

    #[test]
    fn the_other_side_is_named_by_direction() {
        for (counterparty, change, words) in [
            ("cash", 100, ("Cash deposit", "")),
            (
                "NL66OPEN0000000000",
                100,
                ("From ", "NL66 OPEN 0000 0000 00"),
            ),
            ("Energy supplier", -100, ("To ", "Energy supplier")),
        ] {
            let (begins, name) = other_side(counterparty, Cents(change));
            assert_eq!((begins, name.as_str()), words);
        }
    }

    #[test]
    fn counts_agree_with_their_nouns() {
        assert_eq!(back_again(0), "Back. Nothing was missed.");
        assert_eq!(back_again(1), "Back. 1 change came in meanwhile.");
        assert_eq!(new_transactions(1_200), "1.200 new transactions");
        assert_eq!(transactions(1), "1 transaction");
    }
}
