//! The loop: beats and new accounts in, commands out, done once they are delivered.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;
use topology::consumer::{BatchConsumer, Consumed};
use topology::producer::{Delivery, Outgoing, Producer, SendError};
use topology::records::AccountType;
use topology::{Codec, CommandId, Iban, Record, Topic, Topics};
use tracing::{debug, warn};
use uuid::Uuid;

use crate::error::GeneratorError;
use crate::public::{Account, Command, Occasion, Public};
use crate::reading::{Useless, decode, put_aside};

/// Batches whose commands are on their way; beyond it reading waits.
const BATCHES_IN_FLIGHT_MAX: usize = 8;
/// Longest wait at the end for commands on their way.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(3);

/// The new account an outcome tells of, if it is one of the simulated public's.
pub(crate) fn account_of(record: Record) -> Result<Option<Account>, Useless> {
    let Record::AccountCreationConfirmed(confirmed) = record else {
        return Ok(None);
    };
    if confirmed.account_type != AccountType::Auto {
        return Ok(None);
    }
    let is_ours = Iban::parse(&confirmed.iban)
        .is_ok_and(|iban| iban.is_ours() && iban.as_str() == confirmed.iban);
    if !is_ours {
        return Err(Useless {
            reason: "INVALID_IBAN",
            detail: format!("`{}` is no account of ours", confirmed.iban),
        });
    }
    Ok(Some(Account {
        iban: confirmed.iban,
        token: confirmed.token,
    }))
}

/// Everything commands are made of and with.
pub(crate) struct Generator {
    pub(crate) codec: Codec,
    pub(crate) producer: Producer,
    pub(crate) topics: Topics,
    pub(crate) public: Public,
    pub(crate) random: StdRng,
}

/// The end of a batch in each partition.
type Marks = BTreeMap<(Topic, i32), i64>;

impl Generator {
    /// Until told to stop: commands for each beat, a salary for each new account. A beat
    /// counts as done when its command is delivered; a crash before may repeat it, as
    /// another command, and a crash between an outcome and its salary may lose the salary.
    pub(crate) async fn run(
        mut self,
        mut consumer: BatchConsumer,
        stop: CancellationToken,
    ) -> Result<(), GeneratorError> {
        let mut in_flight = FuturesOrdered::new();
        let working = async {
            loop {
                tokio::select! {
                    batch = consumer.next(), if in_flight.len() < BATCHES_IN_FLIGHT_MAX => {
                        let batch = batch?;
                        let marks = marks(&batch);
                        let deliveries = self.answer(&batch).await?;
                        in_flight.push_back(delivered(deliveries, marks));
                    }
                    Some(marks) = in_flight.next() => mark(&consumer, marks?),
                }
            }
        };
        let outcome: Option<Result<(), GeneratorError>> = stop.run_until_cancelled(working).await;
        outcome.transpose()?;
        let draining = async {
            while let Some(marks) = in_flight.next().await {
                mark(&consumer, marks?);
            }
            Ok::<(), SendError>(())
        };
        match tokio::time::timeout(DRAIN_TIMEOUT, draining).await {
            Ok(drained) => drained?,
            Err(_) => warn!("commands on their way were given up"),
        }
        consumer.close().await;
        Ok(())
    }

    async fn answer(&mut self, batch: &[Consumed]) -> Result<Vec<Delivery>, GeneratorError> {
        let mut deliveries = Vec::with_capacity(batch.len());
        for consumed in batch {
            let command = match decode(&self.codec, consumed).await {
                Ok(Record::Heartbeat(heartbeat)) => {
                    let random = &mut self.random;
                    Ok(Some(self.public.command(
                        heartbeat.beat,
                        occasion(),
                        random,
                    )))
                }
                Ok(record) => account_of(record).map(|account| self.welcome(account)),
                Err(useless) => Err(useless),
            };
            match command {
                Ok(Some(command)) => deliveries.push(self.send(command).await?),
                Ok(None) => {}
                Err(useless) => {
                    let aside = put_aside(&self.producer, &self.topics, consumed, &useless);
                    deliveries.push(aside.await?);
                }
            }
        }
        Ok(deliveries)
    }

    fn welcome(&mut self, account: Option<Account>) -> Option<Command> {
        let account = account?;
        let iban = account.iban.clone();
        let is_new = self.public.welcome(account, &mut self.random);
        debug!(iban, is_new, accounts = self.public.len(), "account");
        is_new.then(|| self.public.salary(&iban, occasion(), &mut self.random))
    }

    async fn send(&self, command: Command) -> Result<Delivery, GeneratorError> {
        let key = command.key();
        let (topic, record) = match command {
            Command::Open(command) => (
                Topic::ConfirmAccountCreation,
                Record::ConfirmAccountCreation(command),
            ),
            Command::Move(command) => (
                Topic::ConfirmMoneyTransfer,
                Record::ConfirmMoneyTransfer(command),
            ),
        };
        let value = self.codec.encode(topic, &record)?;
        let delivery = self
            .producer
            .send(Outgoing {
                topic,
                key: key.as_bytes(),
                value: Some(&value),
                headers: &[],
            })
            .await?;
        Ok(delivery)
    }
}

fn occasion() -> Occasion {
    Occasion {
        id: CommandId(Uuid::now_v7()),
        time: chrono::Local::now()
            .format("%Y-%m-%dT%H:%M:%S%.3f")
            .to_string(),
    }
}

fn marks(batch: &[Consumed]) -> Marks {
    batch
        .iter()
        .map(|it| ((it.topic, it.partition), it.offset + 1))
        .collect()
}

async fn delivered(deliveries: Vec<Delivery>, marks: Marks) -> Result<Marks, SendError> {
    for delivery in deliveries {
        delivery.wait().await?;
    }
    Ok(marks)
}

fn mark(consumer: &BatchConsumer, marks: Marks) {
    for ((topic, partition), next_offset) in marks {
        consumer.mark_done(topic, partition, next_offset);
    }
}

#[cfg(test)]
mod tests {
    use topology::Token;
    use topology::records::{AccountCreationConfirmed, AccountCreationFailed};

    use super::*;

    fn confirmed(iban: &str, account_type: AccountType) -> Record {
        Record::AccountCreationConfirmed(AccountCreationConfirmed {
            id: CommandId::from_bytes([1; 16]),
            iban: iban.to_owned(),
            token: Token::new("secret".to_owned()),
            account_type,
        })
    }

    #[test]
    fn only_accounts_of_the_simulated_public_are_taken_in() {
        let iban = Iban::of_our_bank(7);
        let account = account_of(confirmed(iban.as_str(), AccountType::Auto));
        assert_eq!(account.unwrap().unwrap().iban, iban.as_str());
        let persons = account_of(confirmed(iban.as_str(), AccountType::Manual));
        assert_eq!(persons.unwrap(), None);
        let failed = account_of(Record::AccountCreationFailed(AccountCreationFailed {
            id: CommandId::from_bytes([1; 16]),
            reason: "generated iban already exists, try again".to_owned(),
        }));
        assert_eq!(failed.unwrap(), None);
        for wrong in ["", "cash", "NL00OPEN0000000007", "DE89370400440532013000"] {
            let useless = account_of(confirmed(wrong, AccountType::Auto)).unwrap_err();
            assert_eq!(useless.reason, "INVALID_IBAN", "{wrong}");
        }
    }
}
