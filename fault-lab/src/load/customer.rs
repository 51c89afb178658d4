//! A customer: opens an account once, then pays others through the gateway, one payment after the other. After any
//! failure the same command id is sent again until there is an answer.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use auditor::history::{Operation, Phase};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::{
    Common,
    graphql::{Answer, Api, Question},
};
use crate::{error::LabError, seed::Seed};

/// Long enough for the gateway, and nobody's.
const PASSWORD: &str = "a password of the fault lab";
/// Between a failure and the next try.
const RETRY_PAUSE: Duration = Duration::from_millis(150);
/// Between an answer and the next payment.
const THINKING: Duration = Duration::from_millis(60);
/// A customer without an answer for so long gives up, which is a finding.
const GIVE_UP: Duration = Duration::from_secs(120);
/// In cents; enough for years of payments.
const FIRST_DEPOSIT_CENTS: i64 = 1_000_000_000;
/// In cents.
const LARGEST_PAYMENT_CENTS: u64 = 500;

/// A customer with an account.
pub struct Customer {
    name: String,
    number: usize,
    /// The customer's account.
    pub iban: String,
    /// Signs requests.
    pub session: String,
    api: Api,
    common: Arc<Common>,
    failures: AtomicUsize,
}

/// A payment and the answer.
#[derive(Clone, Copy, Debug)]
pub struct Paid {
    /// The command.
    pub id: [u8; 16],
    /// Yes or no; none when it was given up.
    pub is_confirmed: Option<bool>,
}

impl Customer {
    /// Opens an account and fills it.
    ///
    /// # Errors
    /// When the bank does not do that in time; nothing is broken yet.
    pub async fn join(
        common: Arc<Common>,
        number: usize,
        seed: &mut Seed,
    ) -> Result<Customer, LabError> {
        let api = Api::new()?;
        let name = format!("customer-{number}");
        let id = Uuid::from_bytes(seed.command_id());
        let input = json!({
            "commandId": id, "userName": format!("lab-{name}"), "password": PASSWORD, "bearer": true,
        });
        let mut customer = Customer {
            name,
            number,
            iban: String::new(),
            session: String::new(),
            api,
            common,
            failures: AtomicUsize::new(0),
        };
        let opening = Operation::OpenAccount { command_id: id };
        let opened = customer
            .until_answered(&opening, Question::OpenAccount, &input)
            .await;
        let text = |path: &str| {
            let value = opened.as_ref().and_then(|it| it.pointer(path));
            value.and_then(Value::as_str).map(str::to_owned)
        };
        let (Some(iban), Some(session)) = (text("/user/account/iban"), text("/sessionToken"))
        else {
            return Err(too_late(format!(
                "{} has an account: {opened:?}",
                customer.name
            )));
        };
        customer.iban = iban;
        customer.session = session;
        let id = Uuid::from_bytes(seed.command_id());
        let deposit = Operation::Transfer {
            command_id: id,
            from: "cash".to_owned(),
            to: customer.iban.clone(),
            amount_cents: FIRST_DEPOSIT_CENTS,
        };
        let input = json!({ "commandId": id, "amount": FIRST_DEPOSIT_CENTS.to_string() });
        let deposited = customer
            .until_answered(&deposit, Question::Deposit, &input)
            .await;
        if deposited.is_none() {
            return Err(too_late(format!("{} has money", customer.name)));
        }
        Ok(customer)
    }

    /// Pays one of `others` after the other until told to stop, and until the last one is answered.
    pub async fn pay(
        &self,
        others: &[String],
        mut seed: Seed,
        stop: CancellationToken,
    ) -> Vec<Paid> {
        let mut all_paid = Vec::new();
        while !stop.is_cancelled() {
            let id = seed.command_id();
            let payee = &others[seed.index(others.len())];
            let amount = i64::try_from(seed.between(1, LARGEST_PAYMENT_CENTS)).unwrap_or(1);
            if *payee != self.iban {
                all_paid.push(self.pay_once(id, payee, amount).await);
            }
            tokio::select! {
                () = tokio::time::sleep(THINKING) => {}
                () = stop.cancelled() => {}
            }
        }
        all_paid
    }

    async fn pay_once(&self, id: [u8; 16], payee: &str, amount: i64) -> Paid {
        let command_id = Uuid::from_bytes(id);
        let input = json!({
            "commandId": command_id,
            "to": payee,
            "amount": amount.to_string(),
            "description": command_id.to_string(),
        });
        let transfer = Operation::Transfer {
            command_id,
            from: self.iban.clone(),
            to: payee.to_owned(),
            amount_cents: amount,
        };
        let began_us = self.common.clock.now_us();
        let answer = self
            .until_answered(&transfer, Question::Transfer, &input)
            .await;
        if answer.is_some() {
            self.common.answered(began_us);
        }
        let is_confirmed = answer.map(|it| it["__typename"] == "PaymentConfirmed");
        Paid { id, is_confirmed }
    }

    /// Sends the same until it is answered with yes or no; the no is a value without a type.
    async fn until_answered(
        &self,
        operation: &Operation,
        question: Question,
        input: &Value,
    ) -> Option<Value> {
        let record = |phase, reason| {
            self.common
                .record(&self.name, phase, operation.clone(), reason)
        };
        let give_up = Instant::now() + GIVE_UP;
        let mut last = String::new();
        while Instant::now() < give_up {
            record(Phase::Invoke, None);
            let turn = self.number + self.failures.load(Ordering::Relaxed);
            let gateway = self.common.gateways.choose(turn);
            // None before it is signed in.
            let session = Some(self.session.as_str()).filter(|it| !it.is_empty());
            match self.api.ask(gateway, session, question, input).await {
                Answer::Confirmed(answer) => {
                    record(Phase::Ok, None);
                    return Some(answer);
                }
                Answer::Rejected(reason) => {
                    record(Phase::Fail, Some(reason.clone()));
                    // Every payment is covered, and every payee exists.
                    self.common.find(format!(
                        "{}: {operation:?} was refused: {reason}",
                        self.name
                    ));
                    return Some(json!({ "refused": reason }));
                }
                Answer::Unclear(why) => {
                    record(Phase::Info, Some(why.clone()));
                    last = why;
                }
                Answer::Wrong(what) => {
                    record(Phase::Info, Some(what.clone()));
                    self.common
                        .find(format!("{}: {operation:?} was answered {what}", self.name));
                    last = what;
                }
            }
            self.failures.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        self.common.find(format!(
            "{}: {operation:?} had no answer for {} s; last {last}",
            self.name,
            GIVE_UP.as_secs()
        ));
        None
    }
}

fn too_late(what: String) -> LabError {
    LabError::TooLate {
        what,
        seconds: GIVE_UP.as_secs(),
    }
}
