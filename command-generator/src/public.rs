//! The simulated public: who is known, who pays whom, how much and what for.
//!
//! Pure: chance, ids and the time are given to it.

use std::collections::HashMap;

use rand::{Rng, RngExt as _};
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer};
use topology::{CASH, COMPANY_IBAN, Cents, CommandId, Token};

/// Most accounts known; beyond it a new one takes the place of a random one.
pub const ACCOUNTS_MAX: usize = 10_000;
/// The first beats open an account each, so that there is somebody to pay.
const FIRST_BEATS: i64 = 20;
/// Later every beat divisible by this opens one.
const BEATS_PER_ACCOUNT: i64 = 200;
/// Who takes most of the money.
const SHOP: &str = "Albert Heijn BV";
/// What a machine gives and takes, in cents; small notes are asked for more often.
const MACHINE_AMOUNTS: [i64; 8] = [2_000, 2_000, 2_000, 3_000, 5_000, 5_000, 10_000, 20_000];

/// What a payment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The company pays a known account.
    Salary,
    /// Cash is brought to a known account.
    Deposit,
    /// A known account takes cash.
    Withdraw,
    /// A known account pays the shop.
    AhPin,
    /// A known account pays another one.
    Transfer,
}

/// How often each kind is drawn, of the sum of all.
pub const SHARES: [(Kind, u32); 5] = [
    (Kind::Salary, 1),
    (Kind::Deposit, 3),
    (Kind::Withdraw, 10),
    (Kind::AhPin, 40),
    (Kind::Transfer, 16),
];

impl Kind {
    /// The word in the description.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Kind::Salary => "salary",
            Kind::Deposit => "deposit",
            Kind::Withdraw => "withdraw",
            Kind::AhPin => "ah-pin",
            Kind::Transfer => "transfer",
        }
    }

    fn draw(random: &mut impl Rng) -> Kind {
        let sum: u32 = SHARES.iter().map(|(_, share)| share).sum();
        let mut drawn = random.random_range(0..sum);
        for (kind, share) in SHARES {
            match drawn.checked_sub(share) {
                Some(rest) => drawn = rest,
                None => return kind,
            }
        }
        // Not reached: what is drawn is less than the sum.
        Kind::Transfer
    }

    fn amount(self, random: &mut impl Rng) -> Cents {
        Cents(match self {
            Kind::Salary => random.random_range(220_000..=269_999),
            Kind::Deposit | Kind::Withdraw => {
                MACHINE_AMOUNTS[random.random_range(0..MACHINE_AMOUNTS.len())]
            }
            Kind::AhPin | Kind::Transfer => random.random_range(1_000..=10_999),
        })
    }
}

/// An account, and what is needed to pay from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its number.
    pub iban: String,
    /// Its secret.
    pub token: Token,
}

/// What a beat leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open an account.
    Open(ConfirmAccountCreation),
    /// Move money.
    Move(ConfirmMoneyTransfer),
}

impl Command {
    /// Decides the order: the account that pays, or receives when cash pays.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Command::Open(command) => command.id.to_string(),
            Command::Move(command) if command.from == CASH => command.to.clone(),
            Command::Move(command) => command.from.clone(),
        }
    }
}

/// What makes one command differ from the next, besides chance.
#[derive(Clone, Debug)]
pub struct Occasion {
    /// Id of the command.
    pub id: CommandId,
    /// The local time, as it stands in descriptions.
    pub time: String,
}

/// Everybody who is known.
pub struct Public {
    company: Account,
    accounts: Vec<Account>,
    places: HashMap<String, usize>,
    accounts_max: usize,
}

impl Public {
    /// Only the company, so far.
    #[must_use]
    pub fn new(company_token: Token) -> Public {
        Public {
            company: Account {
                iban: COMPANY_IBAN.to_owned(),
                token: company_token,
            },
            accounts: Vec::new(),
            places: HashMap::new(),
            accounts_max: ACCOUNTS_MAX,
        }
    }

    /// How many accounts are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Whether only the company is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty()
    }

    /// Takes in an account; says whether it is a new one.
    pub fn welcome(&mut self, account: Account, random: &mut impl Rng) -> bool {
        if let Some(place) = self.places.get(&account.iban) {
            self.accounts[*place] = account;
            return false;
        }
        let place = if self.accounts.len() < self.accounts_max {
            self.accounts.push(account.clone());
            self.accounts.len() - 1
        } else {
            let place = random.random_range(0..self.accounts.len());
            let gone = std::mem::replace(&mut self.accounts[place], account.clone());
            self.places.remove(&gone.iban);
            place
        };
        self.places.insert(account.iban, place);
        true
    }

    /// What a beat leads to.
    pub fn command(&self, beat: i64, occasion: Occasion, random: &mut impl Rng) -> Command {
        if beat < FIRST_BEATS || beat % BEATS_PER_ACCOUNT == 0 {
            return Command::Open(ConfirmAccountCreation {
                id: occasion.id,
                account_type: AccountType::Auto,
            });
        }
        let kind = match Kind::draw(random) {
            // Nobody is known whom the company could pay.
            Kind::Salary | Kind::Transfer if self.is_empty() => Kind::AhPin,
            kind => kind,
        };
        let (from, to) = match kind {
            Kind::Salary => (&self.company, self.anybody(random).iban.as_str()),
            Kind::Deposit => {
                let to = &self.anybody(random).iban;
                return pay(
                    kind,
                    CASH,
                    Token::new(CASH.to_owned()),
                    to,
                    occasion,
                    random,
                );
            }
            Kind::Withdraw => (self.anybody(random), CASH),
            Kind::AhPin => (self.anybody(random), SHOP),
            Kind::Transfer => {
                let from = self.anybody(random);
                (from, self.anybody_but(from, random).iban.as_str())
            }
        };
        pay(kind, &from.iban, from.token.clone(), to, occasion, random)
    }

    /// The first salary of a new account.
    pub fn salary(&self, iban: &str, occasion: Occasion, random: &mut impl Rng) -> Command {
        let Account { iban: from, token } = &self.company;
        pay(Kind::Salary, from, token.clone(), iban, occasion, random)
    }

    /// A known account; the company while there is none.
    fn anybody(&self, random: &mut impl Rng) -> &Account {
        if self.accounts.is_empty() {
            return &self.company;
        }
        &self.accounts[random.random_range(0..self.accounts.len())]
    }

    /// A known account that is another one; the company while there is none.
    fn anybody_but(&self, other: &Account, random: &mut impl Rng) -> &Account {
        let Some(place) = self.places.get(&other.iban) else {
            return self.anybody(random);
        };
        match self.accounts.len() {
            0 | 1 => &self.company,
            count => {
                let step = random.random_range(1..count);
                &self.accounts[(place + step) % count]
            }
        }
    }
}

fn pay(
    kind: Kind,
    from: &str,
    token: Token,
    to: &str,
    occasion: Occasion,
    random: &mut impl Rng,
) -> Command {
    Command::Move(ConfirmMoneyTransfer {
        id: occasion.id,
        token,
        amount: kind.amount(random),
        from: from.to_owned(),
        to: to.to_owned(),
        description: format!("{} {}", kind.word(), occasion.time),
    })
}

#[cfg(test)]
#[path = "public_tests.rs"]
mod tests;
