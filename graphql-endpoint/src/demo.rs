//! Demo mode: two users whose passwords everybody may know, because no money is real.

use topology::CommandId;
use topology::service::chain;
use tracing::{info, warn};

use crate::answer::Code;
use crate::error::Error;
use crate::gateway::Gateway;
use crate::identity::Role;
use crate::identity::passwords::{HashError, Password};

/// Pause before the users are tried again while the database is away.
const RETRY_PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// A user everybody may be.
#[derive(Clone, Copy, Debug)]
pub struct DemoUser {
    /// Their name.
    pub user_name: &'static str,
    /// Their password, on the page for all to see.
    pub password: &'static str,
    /// What they may.
    pub role: Role,
}

/// All of them.
pub const USERS: [DemoUser; 2] = [
    DemoUser {
        user_name: "demo-customer",
        password: "demo-customer-password",
        role: Role::Customer,
    },
    DemoUser {
        user_name: "demo-employee",
        password: "demo-employee-password",
        role: Role::Employee,
    },
];

/// Whether this name belongs to demo mode.
#[must_use]
pub fn is_demo_user(user_name: &str) -> bool {
    USERS.iter().any(|user| user.user_name == user_name)
}

impl Gateway {
    /// In demo mode makes the demo users; otherwise ends whatever sessions they have.
    /// Waits for the database as long as it takes.
    pub async fn settle_demo_users(&self) {
        let mut told = false;
        loop {
            match self.try_settle_demo_users().await {
                Ok(()) => break,
                Err(error) if !told => {
                    told = true;
                    warn!(error = chain(&error), "demo users have to wait");
                }
                Err(_) => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        if self.demo_mode {
            info!("demo mode: demo users have visible passwords");
        }
    }

    async fn try_settle_demo_users(&self) -> Result<(), Error> {
        for user in USERS {
            if !self.demo_mode {
                self.store.close_sessions_of(user.user_name).await?;
                continue;
            }
            if self.store.customer(user.user_name).await?.is_some() {
                continue;
            }
            let password = Password::new(user.password.to_owned());
            let hash = match self.passwords.hash(password).await {
                Ok(hash) => hash,
                Err(HashError::Failed(error)) => return Err(error),
                Err(HashError::Busy) => {
                    return Err(Error::PasswordHash(Code::RateLimited.as_str().to_owned()));
                }
            };
            let command_id = (user.role == Role::Customer).then(|| CommandId(uuid::Uuid::new_v4()));
            self.store
                .ensure_demo_user(user.user_name, &hash, user.role, command_id)
                .await?;
        }
        Ok(())
    }
}
