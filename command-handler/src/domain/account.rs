//! What the bank knows of an account.

use std::collections::BTreeMap;

use topology::{Cents, Iban};

use super::command::Digest;

/// An account of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub iban: Iban,
    /// SHA-256 of the token that pays from it.
    pub token_digest: Digest,
    /// What is on it.
    pub balance: Cents,
    /// The lowest balance allowed.
    pub limit: Cents,
    /// How many changes its balance has had.
    pub version: i64,
}

/// The accounts a batch of commands touches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(BTreeMap<Iban, Account>);

impl Accounts {
    /// The account with this number, if it is known.
    #[must_use]
    pub fn get(&self, iban: &Iban) -> Option<&Account> {
        self.0.get(iban)
    }

    pub(super) fn get_mut(&mut self, iban: &Iban) -> Option<&mut Account> {
        self.0.get_mut(iban)
    }

    /// Adds or replaces an account.
    pub fn put(&mut self, account: Account) {
        self.0.insert(account.iban.clone(), account);
    }
}

impl FromIterator<Account> for Accounts {
    fn from_iter<I: IntoIterator<Item = Account>>(accounts: I) -> Accounts {
        let mut known = Accounts::default();
        for account in accounts {
            known.put(account);
        }
        known
    }
}
