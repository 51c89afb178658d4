//! The bank's own no, from the words of its rule book to a reason a program can use.

/// Why the bank refused a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named for the rule of the same name")]
pub enum Reason {
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
}

/// What the rule book says, the reason, and words for people.
const RULES: [(&str, Reason, &str); 11] = [
    (
        "amount is invalid",
        Reason::AmountInvalid,
        "The amount is not allowed.",
    ),
    (
        "from is invalid",
        Reason::PayerInvalid,
        "The paying account is not valid.",
    ),
    (
        "to is invalid",
        Reason::PayeeInvalid,
        "The payee is not valid.",
    ),
    (
        "from and to can't be same for transfer",
        Reason::SameAccount,
        "Payer and payee are the same account.",
    ),
    (
        "invalid token",
        Reason::TokenInvalid,
        "This account may not be used to pay.",
    ),
    (
        "insufficient funds",
        Reason::InsufficientFunds,
        "There is not enough money on the account.",
    ),
    (
        "to is not known at this bank",
        Reason::PayeeUnknown,
        "This bank has no account with this IBAN.",
    ),
    (
        "both to and from not known at this bank",
        Reason::BothUnknown,
        "Neither account is known at this bank.",
    ),
    (
        "balance limit exceeded",
        Reason::BalanceLimitExceeded,
        "The balance would become larger than the bank allows.",
    ),
    (
        "description is invalid",
        Reason::DescriptionInvalid,
        "The description is not allowed.",
    ),
    (
        "generated iban already exists, try again",
        Reason::IbanTaken,
        "No account could be opened; try again.",
    ),
];
/// What is stored when a sign-up ended without an account.
const NO_ACCOUNT: &str = "no account could be opened";

/// The reason and the words for what the bank said.
#[must_use]
pub fn explain(said: &str) -> (Reason, String) {
    if said == NO_ACCOUNT {
        return (
            Reason::IbanTaken,
            "No account could be opened; try again.".to_owned(),
        );
    }
    RULES.iter().find(|(rule, _, _)| *rule == said).map_or_else(
        || (Reason::Other, said.to_owned()),
        |(_, reason, words)| (*reason, (*words).to_owned()),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sentence_of_the_rule_book_has_its_reason_and_others_keep_their_words() {
        for (said, reason) in [
            ("amount is invalid", Reason::AmountInvalid),
            ("from is invalid", Reason::PayerInvalid),
            ("to is invalid", Reason::PayeeInvalid),
            (
                "from and to can't be same for transfer",
                Reason::SameAccount,
            ),
            ("invalid token", Reason::TokenInvalid),
            ("insufficient funds", Reason::InsufficientFunds),
            ("to is not known at this bank", Reason::PayeeUnknown),
            (
                "both to and from not known at this bank",
                Reason::BothUnknown,
            ),
            ("balance limit exceeded", Reason::BalanceLimitExceeded),
            ("description is invalid", Reason::DescriptionInvalid),
            (
                "generated iban already exists, try again",
                Reason::IbanTaken,
            ),
            ("no account could be opened", Reason::IbanTaken),
        ] {
            assert_eq!(explain(said).0, reason, "{said}");
        }
        assert_eq!(
            explain("the moon is full"),
            (Reason::Other, "the moon is full".to_owned())
        );
    }
}
