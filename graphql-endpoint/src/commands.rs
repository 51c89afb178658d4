//! Commands to the bank: encoded, sent, and waited for.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use topology::producer::{Outgoing, Producer};
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer};
use topology::stamps::now_us;
use topology::{Codec, CommandId, Record, Topic};

use crate::answer::{Code, Refusal};
use crate::error::Error;
use crate::journeys::{Journeys, Moment};
use crate::live::waiters::{Outcome, Waiters};
use crate::origin::{Origin, Sent};
use crate::steps::{Step, Steps};
use crate::store::commands::CommandState;

/// How long a request waits for its outcome; then the answer is "pending".
pub const OUTCOME_WAIT: Duration = Duration::from_secs(5);
/// Topics this service writes commands to.
pub const WRITTEN: [Topic; 2] = [Topic::ConfirmAccountCreation, Topic::ConfirmMoneyTransfer];

/// The way to the bank.
pub struct Commands {
    producer: Producer,
    codec: OnceLock<Arc<Codec>>,
    waiters: Arc<Waiters>,
    broken: mpsc::Sender<Error>,
    steps: Steps,
    journeys: Arc<Journeys>,
}

impl Commands {
    /// Through this producer; a producer that is broken for good is reported to `broken`.
    #[must_use]
    pub fn new(
        producer: Producer,
        waiters: Arc<Waiters>,
        broken: mpsc::Sender<Error>,
        steps: Steps,
        journeys: Arc<Journeys>,
    ) -> Commands {
        Commands {
            producer,
            codec: OnceLock::new(),
            waiters,
            broken,
            steps,
            journeys,
        }
    }

    /// The registry was reached: commands can be written from now on.
    pub fn start(&self, codec: Arc<Codec>) {
        // A second start keeps the first: both know the same schemas.
        let _ = self.codec.set(codec);
    }

    /// Refuses early while commands cannot be written yet.
    ///
    /// # Errors
    /// UNAVAILABLE
    pub fn check(&self) -> Result<&Arc<Codec>, Refusal> {
        self.codec.get().ok_or_else(|| {
            Refusal::new(
                Code::Unavailable,
                "the bank is starting: its schema registry is not reached yet",
            )
        })
    }

    /// What was lately told of a command, where the read model may be behind.
    #[must_use]
    pub fn decided(&self, command_id: CommandId) -> Option<CommandState> {
        self.waiters.decided(command_id)
    }

    /// Sends a payment and waits for its outcome; `None`: there is none yet.
    ///
    /// # Errors
    /// A refusal when it could not be sent.
    pub async fn transfer(
        &self,
        key: &str,
        transfer: ConfirmMoneyTransfer,
        origin: &Origin,
    ) -> Result<Option<Outcome>, Refusal> {
        let id = transfer.id;
        let record = Record::ConfirmMoneyTransfer(transfer);
        let deadline = Instant::now() + OUTCOME_WAIT;
        let command = Command {
            topic: Topic::ConfirmMoneyTransfer,
            key,
            record: &record,
            id,
        };
        self.ask(command, origin, deadline).await
    }

    /// Asks for an account and waits for the outcome until the deadline; `None`: there is
    /// none yet.
    ///
    /// # Errors
    /// A refusal when it could not be sent.
    pub async fn open_account(
        &self,
        id: CommandId,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Option<Outcome>, Refusal> {
        let (key, record) = account_creation(id);
        let command = Command {
            topic: Topic::ConfirmAccountCreation,
            key: &key,
            record: &record,
            id,
        };
        self.ask(command, origin, deadline).await
    }

    /// Asks for an account without waiting: the projection hears the outcome.
    ///
    /// # Errors
    /// When it could not be sent.
    pub async fn send_account_creation(&self, id: CommandId) -> Result<(), Error> {
        let Some(codec) = self.codec.get() else {
            return Ok(());
        };
        let (key, record) = account_creation(id);
        let bytes = codec.encode(Topic::ConfirmAccountCreation, &record)?;
        let _delivery = self
            .producer
            .send(Outgoing {
                topic: Topic::ConfirmAccountCreation,
                key: key.as_bytes(),
                value: Some(&bytes),
                headers: &[],
            })
            .await?;
        Ok(())
    }

    async fn ask(
        &self,
        command: Command<'_>,
        origin: &Origin,
        deadline: Instant,
    ) -> Result<Option<Outcome>, Refusal> {
        let Command {
            topic,
            key,
            record,
            id,
        } = command;
        let bytes = self
            .check()?
            .encode(topic, record)
            .map_err(|error| Refusal::from(Error::from(error)))?;
        let mut waiter = self.waiters.register(id).ok_or_else(|| {
            Refusal::new(Code::Unavailable, "the bank is busy; try again in a moment")
        })?;
        self.journeys.begin(id);
        let Sent { headers, span } = origin.send(id, topic, key);
        let asked = async {
            let delivery = self
                .producer
                .send(Outgoing {
                    topic,
                    key: key.as_bytes(),
                    value: Some(&bytes),
                    headers: &headers,
                })
                .await?;
            self.steps.pass(Step::HandedOver)?;
            let undelivered = async {
                let delivered = delivery.wait().await;
                self.journeys.note(id, Moment::Acknowledged, now_us());
                match delivered {
                    Ok(()) => match self.steps.pass(Step::Acknowledged) {
                        Ok(()) => std::future::pending().await,
                        Err(interrupted) => interrupted.into(),
                    },
                    Err(error) => Error::from(error),
                }
            };
            tokio::select! {
                // Looked at first, so that its time is noted when both are there.
                biased;
                error = undelivered => Err(error),
                outcome = waiter.outcome() => Ok(outcome),
            }
        };
        let asked = timeout_at(deadline, asked).await;
        if let Some(span) = span {
            // The outcome may be here before the word of the broker.
            let acknowledged_us = self.journeys.of(id).at(Moment::Acknowledged);
            span.end(acknowledged_us.unwrap_or_else(now_us));
        }
        match asked {
            Ok(Ok(outcome)) => Ok(Some(outcome)),
            Err(_) => Ok(None),
            Ok(Err(error)) => {
                // This producer will not recover; a new process will. The command is
                // claimed, so the same id can be sent again.
                let _ = self.broken.try_send(error);
                Err(Refusal::new(
                    Code::Unavailable,
                    "the command could not be sent; send the same again",
                ))
            }
        }
    }
}

/// A command on its way.
struct Command<'a> {
    topic: Topic,
    key: &'a str,
    record: &'a Record,
    id: CommandId,
}

fn account_creation(id: CommandId) -> (String, Record) {
    let record = Record::ConfirmAccountCreation(ConfirmAccountCreation {
        id,
        account_type: AccountType::Manual,
    });
    (id.to_string(), record)
}

/// What makes two commands the same: every part, told apart by its length.
#[must_use]
pub fn request_hash(parts: &[&str]) -> Vec<u8> {
    let mut hasher = Sha256::new();
    for part in parts {
        hasher.update(part.len().to_be_bytes());
        hasher.update(part.as_bytes());
    }
    hasher.finalize().to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moving_a_letter_between_two_fields_makes_another_command() {
        assert_eq!(request_hash(&["a", "bc"]), request_hash(&["a", "bc"]));
        assert_ne!(request_hash(&["a", "bc"]), request_hash(&["ab", "c"]));
        assert_ne!(request_hash(&["a", ""]), request_hash(&["a"]));
    }
}
