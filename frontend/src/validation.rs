//! What a form says before anything is sent. The same words stand under the field and in the summary.

use crate::{
    api::types::{CommandId, Payment},
    iban::{Payee, read_payee},
    money::{AmountError, Cents},
};

/// User names and passwords have at least so many letters.
pub const CREDENTIAL_LETTERS_MIN: usize = 8;

/// The gateway takes no larger payment: ten million euros.
pub const AMOUNT_MAX: Cents = Cents(1_000_000_000);

/// The gateway takes no longer description.
pub const DESCRIPTION_LETTERS_MAX: usize = 140;

/// A field with its id in the document, where the summary leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Field {
    /// Payee of a payment.
    PayTo,
    /// Amount of a payment.
    PayAmount,
    /// Description of a payment.
    PayDescription,
    /// User name of a new account.
    OpenUserName,
    /// Password of a new account.
    OpenPassword,
    /// User name at sign-in.
    SignInUserName,
    /// Password at sign-in.
    SignInPassword,
}

impl Field {
    /// Its id in the document.
    #[must_use]
    pub fn id(self) -> &'static str {
        match self {
            Self::PayTo => "pay-to",
            Self::PayAmount => "pay-amount",
            Self::PayDescription => "pay-description",
            Self::OpenUserName => "open-user-name",
            Self::OpenPassword => "open-password",
            Self::SignInUserName => "sign-in-user-name",
            Self::SignInPassword => "sign-in-password",
        }
    }
}

/// One thing to correct.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldError {
    /// Where.
    pub field: Field,
    /// What to do, as a sentence.
    pub words: &'static str,
}

/// The pay form as typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PayForm {
    /// IBAN or name.
    pub to: String,
    /// Euros.
    pub amount: String,
    /// Free text.
    pub description: String,
}

impl PayForm {
    /// The payment meant, or all there is to correct, in field order.
    ///
    /// # Errors
    /// One entry for each field that cannot be used.
    pub fn read(&self) -> Result<Payment, Vec<FieldError>> {
        let mut errors = Vec::new();
        let mut wrong = |field, words| errors.push(FieldError { field, words });
        let to = match read_payee(&self.to) {
            Payee::Iban(iban) => iban,
            Payee::Name(name) => {
                if name.is_empty() {
                    wrong(Field::PayTo, "Enter who you pay.");
                }
                name
            }
            Payee::WrongIban => {
                wrong(Field::PayTo, "This IBAN is not right: check the digits.");
                String::new()
            }
        };
        let amount = Cents::parse_typed(&self.amount);
        let amount = amount.and_then(|amount| {
            if amount > AMOUNT_MAX {
                Err(AmountError::TooLarge)
            } else {
                Ok(amount)
            }
        });
        let amount = amount.unwrap_or_else(|error| {
            wrong(
                Field::PayAmount,
                match error {
                    AmountError::Malformed => "Enter an amount, such as 12,30.",
                    AmountError::NotPositive => "The amount must be more than zero.",
                    AmountError::TooLarge => "The amount can be ten million euros at most.",
                },
            );
            Cents(0)
        });
        let description = self.description.trim().to_owned();
        if description.is_empty() {
            wrong(Field::PayDescription, "Enter a description.");
        } else if description.chars().count() > DESCRIPTION_LETTERS_MAX {
            wrong(Field::PayDescription, "Use 140 characters or fewer.");
        }
        if errors.is_empty() {
            Ok(Payment::Transfer {
                to,
                amount,
                description,
            })
        } else {
            Err(errors)
        }
    }

    /// What the amount is read as, for the echo beside it.
    #[must_use]
    pub fn reading(&self) -> Option<Cents> {
        Cents::parse_typed(&self.amount).ok()
    }
}

/// User name and password, checked for a new account.
#[must_use]
pub fn check_new_credentials(user_name: &str, password: &str) -> Vec<FieldError> {
    let fields = [
        (Field::OpenUserName, user_name),
        (Field::OpenPassword, password),
    ];
    let short = |text: &str| text.chars().count() < CREDENTIAL_LETTERS_MIN;
    let error = |field| FieldError {
        field,
        words: "Use 8 characters or more.",
    };
    fields
        .into_iter()
        .filter(|(_, text)| short(text))
        .map(|(field, _)| error(field))
        .collect()
}

/// User name and password, checked at sign-in: whether they are long enough is the bank's to know.
#[must_use]
pub fn check_sign_in(user_name: &str, password: &str) -> Vec<FieldError> {
    let mut errors = Vec::new();
    if user_name.trim().is_empty() {
        errors.push(FieldError {
            field: Field::SignInUserName,
            words: "Enter your user name.",
        });
    }
    if password.is_empty() {
        errors.push(FieldError {
            field: Field::SignInPassword,
            words: "Enter your password.",
        });
    }
    errors
}

/// The heading over the things to correct.
#[must_use]
pub fn summary_heading(errors: usize) -> String {
    if errors == 1 {
        "1 thing to correct".to_owned()
    } else {
        format!("{errors} things to correct")
    }
}

/// A new identity for a command.
#[must_use]
pub fn new_command_id() -> CommandId {
    CommandId(uuid::Uuid::now_v7())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(to: &str, amount: &str, description: &str) -> PayForm {
        PayForm {
            to: to.to_owned(),
            amount: amount.to_owned(),
            description: description.to_owned(),
        }
    }

    #[test]
    fn a_right_form_is_a_payment_in_canonical_writing() {
        let read = form(" nl66 open 0000 0000 00", "€ 1.234,56", "  Book ").read();
        let (to, description) = ("NL66OPEN0000000000".to_owned(), "Book".to_owned());
        assert_eq!(
            read,
            Ok(Payment::Transfer {
                to,
                amount: Cents(123_456),
                description
            })
        );
    }

    #[test]
    fn every_wrong_field_is_told_once_and_in_order() {
        for (form, expected) in [
            (
                form("", "", ""),
                vec![
                    "Enter who you pay.",
                    "Enter an amount, such as 12,30.",
                    "Enter a description.",
                ],
            ),
            (
                form("NL67OPEN0000000000", "1", "x"),
                vec!["This IBAN is not right: check the digits."],
            ),
            (
                form("Energy supplier", "0", "x"),
                vec!["The amount must be more than zero."],
            ),
            (
                form("Energy supplier", "-5", " "),
                vec!["The amount must be more than zero.", "Enter a description."],
            ),
            (
                form("Energy supplier", "10.000.000,01", &"x".repeat(141)),
                vec![
                    "The amount can be ten million euros at most.",
                    "Use 140 characters or fewer.",
                ],
            ),
            (
                form("Energy supplier", "99999999999999999999", "x"),
                vec!["The amount can be ten million euros at most."],
            ),
        ] {
            let errors = form.read().unwrap_err();
            assert_eq!(
                errors.iter().map(|error| error.words).collect::<Vec<_>>(),
                expected,
                "{form:?}"
            );
        }
    }

    #[test]
    fn a_new_user_needs_eight_letters_of_any_alphabet() {
        assert_eq!(check_new_credentials("short", "1234567").len(), 2);
        assert_eq!(check_new_credentials("åsa-berg", "wachtwoord"), vec![]);
        assert_eq!(check_sign_in(" ", "").len(), 2);
        assert_eq!(check_sign_in("demo", "demo"), vec![]);
    }

    #[test]
    fn a_summary_counts_in_words_people_use() {
        assert_eq!(summary_heading(1), "1 thing to correct");
        assert_eq!(summary_heading(3), "3 things to correct");
    }
}
