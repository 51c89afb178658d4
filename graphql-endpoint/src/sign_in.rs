//! Signing up, logging in and out.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use topology::CommandId;
use tracing::info;

use crate::answer::{Code, Refusal};
use crate::commands::{OUTCOME_WAIT, request_hash};
use crate::demo;
use crate::edge;
use crate::gateway::{Caller, Gateway};
use crate::identity::passwords::{BUSY_RETRY_SECONDS, HashError, Password};
use crate::identity::sessions::SESSION_HOURS;
use crate::identity::{SessionToken, UserName, Viewer};
use crate::live::waiters::Outcome;
use crate::steps::Step;
use crate::store::commands::CommandState;
use crate::store::customers::{Customer, OpenedAccount, SignUp};

/// Somebody who is now signed in.
#[derive(Debug)]
pub struct Signed {
    /// Who.
    pub viewer: Viewer,
    /// Their new session.
    pub session: SessionToken,
}

/// What became of a wish for an account.
#[derive(Debug)]
pub enum Opening {
    /// It is open.
    Open(Signed),
    /// The bank has not answered; the customer is there and signed in.
    Pending(Signed),
    /// The bank said no for good, in its words.
    Refused(String),
}

impl From<HashError> for Refusal {
    fn from(error: HashError) -> Refusal {
        match error {
            HashError::Busy => Refusal::rate_limited(Duration::from_secs(BUSY_RETRY_SECONDS)),
            HashError::Failed(error) => error.into(),
        }
    }
}

fn viewer_of(customer: Customer) -> Viewer {
    Viewer {
        user_name: customer.user_name,
        role: customer.role,
        iban: customer.iban,
        token_ciphertext: customer.token_ciphertext,
    }
}

impl Gateway {
    async fn open_session(&self, viewer: Viewer) -> Result<Signed, Refusal> {
        let session = SessionToken::generate()?;
        let ends = Utc::now() + TimeDelta::hours(SESSION_HOURS);
        self.store
            .open_session(&session, &viewer.user_name, ends)
            .await?;
        Ok(Signed { viewer, session })
    }

    /// Logs somebody in. A user who is unknown costs and looks the same as a wrong
    /// password.
    ///
    /// # Errors
    /// UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
    pub async fn log_in(
        &self,
        caller: &Caller,
        user_name: &str,
        password: Password,
    ) -> Result<Signed, Refusal> {
        let wrong = || Refusal::new(Code::Unauthenticated, "user name or password is wrong");
        let now = Instant::now();
        // Names nobody can have are counted by address only: there is nothing to guess.
        let name = UserName::parse(user_name).ok();
        self.log_ins_by_address
            .begin(&caller.address, now)
            .map_err(Refusal::rate_limited)?;
        if let Some(name) = &name {
            self.log_ins_by_user
                .begin(&name.as_str().to_owned(), now)
                .map_err(Refusal::rate_limited)?;
        }
        if !edge::could_be_a_password(password.characters()) {
            return Err(wrong());
        }
        let customer = match &name {
            Some(name) if self.demo_mode || !demo::is_demo_user(name.as_str()) => {
                self.store.customer(name.as_str()).await?
            }
            _ => None,
        };
        let stored = customer.as_ref().map(|it| it.password_hash.clone());
        let fits = self.passwords.verify(password, stored).await?;
        match customer {
            Some(customer) if fits => {
                self.log_ins_by_address.forgive(&caller.address);
                self.log_ins_by_user.forgive(&customer.user_name);
                self.open_session(viewer_of(customer)).await
            }
            _ => {
                info!(event = "log_in_failed", address = %caller.address);
                Err(wrong())
            }
        }
    }

    /// Makes a customer and opens their account; the same again gives the same answer.
    ///
    /// # Errors
    /// VALIDATION, CONFLICT, RATE_LIMITED, UNAVAILABLE.
    pub async fn open_account(
        &self,
        caller: &Caller,
        command_id: CommandId,
        user_name: &str,
        password: Password,
    ) -> Result<Opening, Refusal> {
        let command_id = edge::command_id(command_id)?;
        let name = UserName::parse_new(user_name).map_err(Refusal::validation)?;
        edge::new_password(&password, name.as_str(), self.demo_mode)?;
        self.commands.check()?;
        self.sign_ups_by_address
            .begin(&caller.address, Instant::now())
            .map_err(Refusal::rate_limited)?;
        let deadline = tokio::time::Instant::now() + OUTCOME_WAIT;
        let customer = match self.store.customer(name.as_str()).await? {
            Some(customer) => customer,
            None => match self.sign_up(&name, &password, command_id).await? {
                Some(customer) => {
                    return self
                        .await_account(caller, customer, command_id, deadline)
                        .await;
                }
                // Somebody was faster.
                None => self.store.customer(name.as_str()).await?.ok_or_else(|| {
                    Refusal::new(
                        Code::Conflict,
                        "this command id was used for something else",
                    )
                })?,
            },
        };
        // Trying passwords here is trying to log in.
        self.log_ins_by_user
            .begin(&customer.user_name, Instant::now())
            .map_err(Refusal::rate_limited)?;
        let stored = Some(customer.password_hash.clone());
        let fits = self.passwords.verify(password, stored).await?;
        if !fits || customer.sign_up_command_id != Some(command_id) {
            return Err(Refusal::new(Code::Conflict, "this user name is taken"));
        }
        self.log_ins_by_user.forgive(&customer.user_name);
        self.await_account(caller, customer, command_id, deadline)
            .await
    }

    /// The new customer, or `None` when name or id are taken.
    async fn sign_up(
        &self,
        name: &UserName,
        password: &Password,
        command_id: CommandId,
    ) -> Result<Option<Customer>, Refusal> {
        let password_hash = self.passwords.hash(password.clone()).await?;
        let request = request_hash(&["OPEN_ACCOUNT", name.as_str()]);
        let outcome = self
            .store
            .sign_up(name.as_str(), &password_hash, command_id, &request)
            .await?;
        match outcome {
            SignUp::New => {
                self.steps.pass(Step::SignedUp)?;
                Ok(self.store.customer(name.as_str()).await?)
            }
            SignUp::NameTaken => Ok(None),
            SignUp::IdTaken => Err(Refusal::new(
                Code::Conflict,
                "this command id was used for something else",
            )),
        }
    }

    /// Asks the bank until it has opened the account, said no for good, or time is up.
    async fn await_account(
        &self,
        caller: &Caller,
        mut customer: Customer,
        sign_up_id: CommandId,
        deadline: tokio::time::Instant,
    ) -> Result<Opening, Refusal> {
        loop {
            let Some(creation_id) = customer.creation_command_id else {
                return Err(Refusal::new(Code::Conflict, "this user name is taken"));
            };
            if customer.iban.is_some() {
                return Ok(Opening::Open(self.open_session(viewer_of(customer)).await?));
            }
            let asked = self
                .commands
                .open_account(creation_id, &caller.origin, deadline);
            match asked.await? {
                Some(Outcome::AccountOpened {
                    iban,
                    token,
                    is_manual: true,
                }) => {
                    self.steps.pass(Step::AccountHeard)?;
                    let opened = OpenedAccount {
                        command_id: creation_id,
                        token_ciphertext: self.vault.seal(&iban, &token)?,
                        iban,
                    };
                    self.store.link_accounts(&[opened]).await?;
                    self.steps.pass(Step::AccountLinked)?;
                }
                // Refused; or an account of the simulated public, or an outcome of another
                // kind, whose id is not the customer's to use.
                Some(_) => self.store.renew_creations(&[creation_id]).await?,
                None => {
                    return Ok(Opening::Pending(
                        self.open_session(viewer_of(customer)).await?,
                    ));
                }
            }
            let user_name = customer.user_name.clone();
            customer = match self.store.customer(&user_name).await? {
                Some(customer) => customer,
                None => {
                    let state = self.store.command_state(sign_up_id, &user_name).await?;
                    let said = match state {
                        Some(CommandState::Rejected(said)) => said,
                        _ => String::new(),
                    };
                    return Ok(Opening::Refused(said));
                }
            };
            let linked = customer.iban.is_some();
            let renewed = customer.creation_command_id != Some(creation_id);
            if !linked && !renewed {
                // The account belongs to somebody else: nothing will change by asking.
                return Err(Refusal::new(
                    Code::Conflict,
                    "this command id was used for something else",
                ));
            }
        }
    }
}
