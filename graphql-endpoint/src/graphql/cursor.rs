//! Cursors: the place after which to go on, as text.

use chrono::{DateTime, Utc};
use topology::{Cents, Iban};

use crate::answer::Refusal;
use crate::store::accounts::{AccountState, AccountsAfter};

use super::types::AccountOrder;

const NEVER: &str = "never";

/// The version a transaction's cursor stands for.
///
/// # Errors
/// VALIDATION for anything that is no cursor of ours.
pub(super) fn version(cursor: &str) -> Result<i64, Refusal> {
    let valid = (1..=19).contains(&cursor.len()) && cursor.bytes().all(|c| c.is_ascii_digit());
    if valid && let Ok(version) = cursor.parse() {
        return Ok(version);
    }
    Err(no_cursor())
}

fn no_cursor() -> Refusal {
    Refusal::validation("`after` is not a cursor of this list")
}

/// The cursor of an account in a list of this order.
pub(super) fn of_account(order: AccountOrder, account: &AccountState) -> String {
    match order {
        AccountOrder::Iban => account.iban.clone(),
        AccountOrder::Balance => format!("{}.{}", account.balance.0, account.iban),
        AccountOrder::NewestChange => {
            let changed = account
                .changed_at
                .map_or_else(|| NEVER.to_owned(), |at| at.timestamp_micros().to_string());
            format!("{changed}.{}", account.iban)
        }
    }
}

/// The place in a list of this order; the beginning without a cursor.
///
/// # Errors
/// VALIDATION for anything that is no cursor of this order.
pub(super) fn accounts_after(
    order: AccountOrder,
    cursor: Option<&str>,
) -> Result<AccountsAfter, Refusal> {
    let iban = |text: &str| {
        Iban::parse(text)
            .map(|iban| iban.as_str().to_owned())
            .map_err(|_| no_cursor())
    };
    let split = || match cursor.map(|cursor| cursor.split_once('.')) {
        None => Ok(None),
        Some(None) => Err(no_cursor()),
        Some(Some((first, last))) => Ok(Some((first, iban(last)?))),
    };
    Ok(match order {
        AccountOrder::Iban => AccountsAfter::Iban(cursor.map(iban).transpose()?),
        AccountOrder::Balance => AccountsAfter::Balance(match split()? {
            None => None,
            Some((balance, iban)) => Some((Cents(balance.parse().map_err(|_| no_cursor())?), iban)),
        }),
        AccountOrder::NewestChange => AccountsAfter::NewestChange(match split()? {
            None => None,
            Some((NEVER, iban)) => Some((None, iban)),
            Some((micros, iban)) => Some((Some(time(micros)?), iban)),
        }),
    })
}

fn time(micros: &str) -> Result<DateTime<Utc>, Refusal> {
    micros
        .parse()
        .ok()
        // Times the database cannot hold are no cursors of ours.
        .filter(|micros| (0..=253_402_300_799_000_000).contains(micros))
        .and_then(DateTime::from_timestamp_micros)
        .ok_or_else(no_cursor)
}

#[cfg(test)]
mod tests {
    use topology::COMPANY_IBAN;

    use super::*;

    #[test]
    fn a_transaction_cursor_is_a_version_and_nothing_else() {
        for (text, read) in [
            ("0", Some(0)),
            ("42", Some(42)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("", None),
            ("-1", None),
            ("4 2", None),
            ("garbage", None),
            ("JyBPUiAxPTE=", None),
        ] {
            assert_eq!(version(text).ok(), read, "{text}");
        }
    }

    #[test]
    fn an_account_cursor_leads_back_to_its_place_and_fits_only_its_order() {
        let never = AccountState::just_opened(COMPANY_IBAN.to_owned());
        let changed = AccountState {
            balance: Cents(-5),
            changed_at: DateTime::from_timestamp_micros(1_700_000_000_123_456),
            ..never.clone()
        };
        for account in [never, changed] {
            let iban = account.iban.clone();
            for (order, place) in [
                (AccountOrder::Iban, AccountsAfter::Iban(Some(iban.clone()))),
                (
                    AccountOrder::Balance,
                    AccountsAfter::Balance(Some((account.balance, iban.clone()))),
                ),
                (
                    AccountOrder::NewestChange,
                    AccountsAfter::NewestChange(Some((account.changed_at, iban.clone()))),
                ),
            ] {
                let cursor = of_account(order, &account);
                assert_eq!(accounts_after(order, Some(&cursor)), Ok(place), "{cursor}");
            }
        }
        for order in [
            AccountOrder::Iban,
            AccountOrder::Balance,
            AccountOrder::NewestChange,
        ] {
            for garbage in ["", ".", "garbage", "1.garbage", "x.NL66OPEN0000000000"] {
                assert!(accounts_after(order, Some(garbage)).is_err(), "{garbage}");
            }
        }
    }
}
