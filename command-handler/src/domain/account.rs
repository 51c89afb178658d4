//! What the bank knows of an account.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;
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
pub struct Accounts {
    /// In the order they were put here.
    known: Vec<Known>,
    /// Numbers of our accounts are drawn by us: nobody can make many collide.
    places: HashMap<Iban, usize, RandomState>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Known {
    account: Account,
    is_changed: bool,
}

impl Accounts {
    /// None yet, with room for this many.
    #[must_use]
    pub fn with_capacity(count: usize) -> Accounts {
        Accounts {
            known: Vec::with_capacity(count),
            places: HashMap::with_capacity_and_hasher(count, RandomState::default()),
        }
    }

    /// The account with this number, if it is known.
    #[must_use]
    pub fn get(&self, iban: &Iban) -> Option<&Account> {
        let place = self.places.get(iban)?;
        Some(&self.known[*place].account)
    }

    /// Adds or replaces an account.
    pub fn put(&mut self, account: Account) {
        let place = self.known.len();
        let known = Known {
            account,
            is_changed: false,
        };
        match self.places.entry(known.account.iban) {
            Entry::Occupied(of) => self.known[*of.get()] = known,
            Entry::Vacant(free) => {
                free.insert(place);
                self.known.push(known);
            }
        }
    }

    /// Changes an account if it is known.
    pub(super) fn change(&mut self, iban: &Iban, change: impl FnOnce(&mut Account)) {
        if let Some(place) = self.places.get(iban) {
            let known = &mut self.known[*place];
            change(&mut known.account);
            known.is_changed = true;
        }
    }

    /// The accounts that have changed since they were put here, in that order.
    pub fn changed(&self) -> impl Iterator<Item = &Account> {
        let changed = self.known.iter().filter(|known| known.is_changed);
        changed.map(|known| &known.account)
    }
}

impl FromIterator<Account> for Accounts {
    fn from_iter<I: IntoIterator<Item = Account>>(accounts: I) -> Accounts {
        let accounts = accounts.into_iter();
        let (least, _) = accounts.size_hint();
        let mut known = Accounts::with_capacity(least);
        for account in accounts {
            known.put(account);
        }
        known
    }
}
