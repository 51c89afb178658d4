//! What the bank knows of an account.

use std::collections::BTreeMap;

use topology::{Cents, Iban};

use super::command::Digest;

/// An account of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub iban: Iban,
    /// Digest of the token that pays from it.
    pub token_digest: Digest,
    /// What is on it.
    pub balance: Cents,
    /// The lowest balance allowed.
    pub limit: Cents,
    /// How many changes its balance has had.
    pub version: i64,
}

/// The accounts a batch of commands touches, and which of them it has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accounts(BTreeMap<Iban, Known>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    account: Account,
    is_changed: bool,
}

impl Accounts {
    /// The account with this number, if it is known.
    #[must_use]
    pub fn get(&self, iban: &Iban) -> Option<&Account> {
        self.0.get(iban).map(|known| &known.account)
    }

    /// Adds or replaces an account.
    pub fn put(&mut self, account: Account) {
        let known = Known {
            account,
            is_changed: false,
        };
        self.0.insert(known.account.iban, known);
    }

    /// Changes an account if it is known.
    pub(super) fn change(&mut self, iban: &Iban, change: impl FnOnce(&mut Account)) {
        if let Some(known) = self.0.get_mut(iban) {
            change(&mut known.account);
            known.is_changed = true;
        }
    }

    /// The accounts that have changed since they were put here, in the order of their
    /// numbers.
    pub fn changed(&self) -> impl Iterator<Item = &Account> {
        let changed = self.0.values().filter(|known| known.is_changed);
        changed.map(|known| &known.account)
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
