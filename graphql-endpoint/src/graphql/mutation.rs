//! Wishes.

use async_graphql::{Context, Object};
use topology::CommandId;

use super::scalars::CommandKey;
use super::types::{
    CommandPending, CommandRejected, DepositInput, Load, LogInInput, OpenAccountInput,
    OpenAccountResult, PaymentConfirmed, PaymentResult, SignedIn, TransferInput, User,
};
use super::{caller, gateway};
use crate::answer::Refusal;
use crate::authorisation::{Seen, may_see, sign_in_first};
use crate::identity::passwords::Password;
use crate::identity::sessions::removed_cookie;
use crate::sign_in::{Opening, Signed};
use crate::store::commands::CommandState;

const SET_COOKIE: &str = "set-cookie";

/// The root of all mutations.
pub struct Mutation;

fn signed_in(context: &Context<'_>, signed: Signed, bearer: Option<bool>) -> SignedIn {
    // A program that takes the token itself gets no cookie beside it.
    let bearer = bearer.unwrap_or(false);
    if !bearer {
        context.append_http_header(SET_COOKIE, signed.session.to_cookie());
    }
    SignedIn {
        session_token: bearer.then(|| signed.session.expose().to_owned()),
        user: User(signed.viewer),
    }
}

fn payment(id: CommandId, state: CommandState) -> PaymentResult {
    match state {
        CommandState::Confirmed => PaymentResult::Confirmed(PaymentConfirmed {
            command_id: CommandKey(id),
        }),
        CommandState::Rejected(said) => PaymentResult::Rejected(CommandRejected::new(id, &said)),
        CommandState::Pending => PaymentResult::Pending(CommandPending {
            command_id: CommandKey(id),
            message: "The bank has not answered yet. Ask for the command later, or send the \
                      same again."
                .to_owned(),
        }),
    }
}

#[Object]
impl Mutation {
    /// Makes a user and opens their account. Signed in at once; CommandPending when the bank has not answered yet: log in, or send the same again.
    async fn open_account(
        &self,
        context: &Context<'_>,
        input: OpenAccountInput,
    ) -> Result<OpenAccountResult, Refusal> {
        let id = input.command_id.0;
        let password = Password::new(input.password);
        let opening = gateway(context)
            .open_account(caller(context), id, &input.user_name, password)
            .await?;
        Ok(match opening {
            Opening::Open(signed) => {
                OpenAccountResult::SignedIn(signed_in(context, signed, input.bearer))
            }
            Opening::Pending(signed) => {
                signed_in(context, signed, Some(false));
                OpenAccountResult::Pending(CommandPending {
                    command_id: CommandKey(id),
                    message: "Your account is being opened. Log in, or send the same again."
                        .to_owned(),
                })
            }
            Opening::Refused(said) => OpenAccountResult::Rejected(CommandRejected::new(id, &said)),
        })
    }

    async fn log_in(&self, context: &Context<'_>, input: LogInInput) -> Result<SignedIn, Refusal> {
        let password = Password::new(input.password);
        let signed = gateway(context)
            .log_in(caller(context), &input.user_name, password)
            .await?;
        Ok(signed_in(context, signed, input.bearer))
    }

    async fn log_out(&self, context: &Context<'_>) -> Result<bool, Refusal> {
        context.append_http_header(SET_COOKIE, removed_cookie());
        if let Some(session) = &caller(context).session {
            gateway(context).store.close_session(session).await?;
        }
        Ok(true)
    }

    /// Ends all your sessions, on every device. Live updates that depend on them end soon after.
    async fn log_out_everywhere(&self, context: &Context<'_>) -> Result<bool, Refusal> {
        let gateway = gateway(context);
        let viewer = caller(context).viewer(&gateway.store).await?;
        let viewer = viewer.ok_or_else(sign_in_first)?;
        gateway.store.close_sessions_of(&viewer.user_name).await?;
        context.append_http_header(SET_COOKIE, removed_cookie());
        Ok(true)
    }

    /// Sets the pace of the simulated public, until it is set again; for employees, and everyone in demo mode.
    async fn set_load(
        &self,
        context: &Context<'_>,
        heartbeats_per_second: u32,
    ) -> Result<Load, Refusal> {
        let gateway = gateway(context);
        let caller = caller(context);
        let viewer = caller.viewer(&gateway.store).await?;
        may_see(viewer, Seen::Load, gateway.demo_mode)?;
        gateway.throttle_knob(caller)?;
        let heartbeats_per_second = gateway.pace_maker.set_rate(heartbeats_per_second).await?;
        Ok(Load {
            heartbeats_per_second,
        })
    }

    /// Cash into your own account.
    async fn deposit(
        &self,
        context: &Context<'_>,
        input: DepositInput,
    ) -> Result<PaymentResult, Refusal> {
        let id = input.command_id.0;
        let state = gateway(context)
            .deposit(caller(context), id, input.amount.0)
            .await?;
        Ok(payment(id, state))
    }

    async fn transfer(
        &self,
        context: &Context<'_>,
        input: TransferInput,
    ) -> Result<PaymentResult, Refusal> {
        let id = input.command_id.0;
        let amount = input.amount.0;
        let state = gateway(context)
            .transfer(caller(context), id, &input.to, amount, &input.description)
            .await?;
        Ok(payment(id, state))
    }
}
