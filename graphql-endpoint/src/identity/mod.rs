//! Who is there and what they may: passwords, sessions, the vault of account tokens, throttles.

pub mod passwords;

pub mod sessions;

pub mod token_vault;

pub mod throttle;

pub mod user_name;

pub use passwords::Passwords;
pub use sessions::SessionToken;
pub use throttle::Throttle;
pub use token_vault::TokenVault;
pub use user_name::UserName;

/// What a user may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Has one account and sees only that.
    Customer,
    /// Sees every account and has none.
    Employee,
}

/// Somebody who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Viewer {
    /// Their name.
    pub user_name: String,
    /// What they may.
    pub role: Role,
    /// Their account, once the bank has opened it.
    pub iban: Option<String>,
    /// Its token, sealed.
    pub token_ciphertext: Option<Vec<u8>>,
}
