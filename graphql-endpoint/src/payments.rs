//! Deposits and transfers: claimed once, sent, waited for.

use topology::records::ConfirmMoneyTransfer;
use topology::{CASH, Cents, CommandId, Token};

use crate::answer::{Code, Refusal};
use crate::authorisation::{may_pay, sign_in_first};
use crate::commands::request_hash;
use crate::edge;
use crate::gateway::{Caller, Gateway};
use crate::identity::{SessionToken, Viewer};
use crate::live::waiters::Outcome;
use crate::steps::Step;
use crate::store::commands::{Claim, CommandKind, CommandState};

/// What a deposit is for, as its transaction shows it.
const DEPOSIT_DESCRIPTION: &str = "deposit";

struct Payer<'a> {
    user_name: String,
    iban: String,
    token: Token,
    /// Where it was not looked up for this payment: the claim asks whether it holds.
    session: Option<&'a SessionToken>,
}

impl Gateway {
    /// Cash into the caller's own account.
    ///
    /// # Errors
    /// A refusal; nothing was sent then, unless it says to send the same again.
    pub async fn deposit(
        &self,
        caller: &Caller,
        command_id: CommandId,
        amount: Cents,
    ) -> Result<CommandState, Refusal> {
        let command_id = edge::command_id(command_id)?;
        let amount = edge::payment_amount(amount)?;
        let payer = self.payer(caller).await?;
        let transfer = ConfirmMoneyTransfer {
            id: command_id,
            token: Token::new(CASH.to_owned()),
            amount,
            from: CASH.to_owned(),
            to: payer.iban.clone(),
            description: DEPOSIT_DESCRIPTION.to_owned(),
        };
        self.pay(caller, &payer, CommandKind::Deposit, transfer)
            .await
    }

    /// Money from the caller's own account to somebody else.
    ///
    /// # Errors
    /// A refusal; nothing was sent then, unless it says to send the same again.
    pub async fn transfer(
        &self,
        caller: &Caller,
        command_id: CommandId,
        to: &str,
        amount: Cents,
        description: &str,
    ) -> Result<CommandState, Refusal> {
        let command_id = edge::command_id(command_id)?;
        let amount = edge::payment_amount(amount)?;
        let to = edge::payee(to)?;
        let description = edge::description(description)?;
        let payer = self.payer(caller).await?;
        let transfer = ConfirmMoneyTransfer {
            id: command_id,
            token: payer.token.clone(),
            amount,
            from: payer.iban.clone(),
            to,
            description,
        };
        self.pay(caller, &payer, CommandKind::Transfer, transfer)
            .await
    }

    /// The state of one of a user's own commands; `None` when never seen.
    ///
    /// # Errors
    /// UNAVAILABLE when the database does not answer.
    pub async fn command_state(
        &self,
        command_id: CommandId,
        user_name: &str,
    ) -> Result<Option<CommandState>, Refusal> {
        let stored = self.store.command_state(command_id, user_name).await?;
        Ok(match stored {
            Some(CommandState::Pending) => Some(
                self.commands
                    .decided(command_id)
                    .unwrap_or(CommandState::Pending),
            ),
            other => other,
        })
    }

    async fn payer<'a>(&self, caller: &'a Caller) -> Result<Payer<'a>, Refusal> {
        if let Some((session, viewer)) = caller.known()
            && viewer.iban.is_some()
        {
            // One question of the database instead of two: who holds a session never changes,
            // nor their account; whether it still is one is asked with the claim.
            return self.payer_of(may_pay(Some(viewer))?, Some(session));
        }
        self.payer_of(may_pay(caller.viewer(&self.store).await?)?, None)
    }

    fn payer_of<'a>(
        &self,
        viewer: &Viewer,
        session: Option<&'a SessionToken>,
    ) -> Result<Payer<'a>, Refusal> {
        let account = viewer.iban.as_ref().zip(viewer.token_ciphertext.as_ref());
        let Some((iban, ciphertext)) = account else {
            return Err(Refusal::new(
                Code::Unavailable,
                "your account is not open yet; try again in a moment",
            ));
        };
        Ok(Payer {
            user_name: viewer.user_name.clone(),
            token: self.vault.open(iban, ciphertext)?,
            iban: iban.clone(),
            session,
        })
    }

    async fn pay(
        &self,
        caller: &Caller,
        payer: &Payer<'_>,
        kind: CommandKind,
        transfer: ConfirmMoneyTransfer,
    ) -> Result<CommandState, Refusal> {
        self.commands.check()?;
        self.steps.pass(Step::Validated)?;
        let request = request_hash(&[
            kind.as_str(),
            &payer.user_name,
            &transfer.from,
            &transfer.to,
            &transfer.amount.0.to_string(),
            &transfer.description,
        ]);
        let claim = self
            .store
            .claim_command(transfer.id, &payer.user_name, kind, &request, payer.session)
            .await?;
        match claim {
            Claim::SessionEnded => return Err(sign_in_first()),
            Claim::Taken => {
                return Err(Refusal::new(
                    Code::Conflict,
                    "this command id was used for something else",
                ));
            }
            Claim::Same(state) if state != CommandState::Pending => return Ok(state),
            Claim::Same(_) => {
                if let Some(state) = self.commands.decided(transfer.id) {
                    return Ok(state);
                }
                // Sent again, it gets the same outcome again.
            }
            Claim::New => {}
        }
        self.steps.pass(Step::Claimed)?;
        // One account's commands keep their order: its IBAN is the key.
        let sent = self
            .commands
            .transfer(&payer.iban, transfer, &caller.origin);
        let outcome = sent.await?;
        self.steps.pass(Step::OutcomeHeard)?;
        Ok(match outcome {
            None => CommandState::Pending,
            Some(Outcome::Confirmed) => CommandState::Confirmed,
            Some(Outcome::Refused(said)) => CommandState::Rejected(said),
            Some(Outcome::AccountOpened { .. } | Outcome::AccountRefused(_)) => {
                return Err(Refusal::new(
                    Code::Conflict,
                    "this command id was used for something else",
                ));
            }
        })
    }
}
