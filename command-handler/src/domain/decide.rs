//! The rule book.

use topology::Cents;
use topology::money::{BALANCE_MAX, TRANSFER_MAX};

use super::account::{Account, Accounts};
use super::command::{Command, Facts, Party, Transfer};
use super::rejection::Rejection;
use super::{DESCRIPTION_CHARACTERS_MAX, LIMIT};

/// What happened: a fact, never edited. A command that is accepted gives one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// An account came to be, empty.
    AccountOpened(Account),
    /// Money went from one party to another.
    MoneyMoved {
        /// Who paid.
        from: Party,
        /// Who got it.
        to: Party,
        /// How much, always positive.
        amount: Cents,
    },
}

/// Answers a command from what is known.
///
/// # Errors
/// The first rejection that applies, in the order of the rule book: form (amount, payer,
/// payee, same account, description), then the payer (token, funds), then the payee.
pub fn decide(accounts: &Accounts, command: &Command, facts: &Facts) -> Result<Event, Rejection> {
    match command {
        Command::OpenAccount => open_account(accounts, facts),
        Command::Transfer(transfer) => move_money(accounts, transfer),
    }
}

fn open_account(accounts: &Accounts, facts: &Facts) -> Result<Event, Rejection> {
    let free = facts
        .iban_candidates
        .iter()
        .find(|iban| accounts.get(iban).is_none());
    match (free, facts.new_token_digest) {
        (Some(iban), Some(token_digest)) => Ok(Event::AccountOpened(Account {
            iban: *iban,
            token_digest,
            balance: Cents::ZERO,
            limit: LIMIT,
            version: 0,
        })),
        _ => Err(Rejection::IbanTaken),
    }
}

fn move_money(accounts: &Accounts, transfer: &Transfer) -> Result<Event, Rejection> {
    let amount = transfer.amount;
    if amount <= Cents::ZERO || amount > TRANSFER_MAX {
        return Err(Rejection::AmountInvalid);
    }
    let from = transfer.from.clone()?;
    let to = transfer.to.clone()?;
    if from == to {
        return Err(Rejection::SameAccount);
    }
    let description = &transfer.description;
    if description.chars().count() > DESCRIPTION_CHARACTERS_MAX
        || description.chars().any(char::is_control)
    {
        return Err(Rejection::DescriptionInvalid);
    }
    if let Party::Own(iban) = &from {
        let payer = accounts.get(iban).ok_or(Rejection::TokenInvalid)?;
        if !payer.token_digest.matches(&transfer.token_digest) {
            return Err(Rejection::TokenInvalid);
        }
        match payer.balance.checked_sub(amount) {
            Some(left) if left >= payer.limit => {}
            _ => return Err(Rejection::InsufficientFunds),
        }
    }
    match &to {
        Party::Own(iban) => {
            let payee = accounts.get(iban).ok_or(Rejection::PayeeUnknown)?;
            match payee.balance.checked_add(amount) {
                Some(balance) if balance <= BALANCE_MAX => {}
                _ => return Err(Rejection::BalanceLimitExceeded),
            }
        }
        _ if from.own().is_none() => return Err(Rejection::BothUnknown),
        Party::Cash | Party::Foreign(_) | Party::Named(_) => {}
    }
    Ok(Event::MoneyMoved { from, to, amount })
}

/// What is known after an event.
#[must_use]
pub fn evolve(mut accounts: Accounts, event: &Event) -> Accounts {
    match event {
        Event::AccountOpened(account) => accounts.put(account.clone()),
        Event::MoneyMoved { from, to, amount } => {
            // `decide` has checked both sums; overflow checks stay on in release.
            for (party, delta) in [(from, -amount.0), (to, amount.0)] {
                if let Some(iban) = party.own() {
                    accounts.change(iban, |account| {
                        account.balance = Cents(account.balance.0 + delta);
                        account.version += 1;
                    });
                }
            }
        }
    }
    accounts
}

#[cfg(test)]
mod tests;
