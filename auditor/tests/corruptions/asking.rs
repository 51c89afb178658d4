//! Everything the bank is asked for.

use command_handler::keys::HandlerKey;
use topology::kafka::KafkaConfig;
use topology::producer::{Outgoing, Producer};
use topology::records::{AccountType, ConfirmAccountCreation, ConfirmMoneyTransfer};
use topology::{CASH, COMPANY_IBAN, Cents, Codec, CommandId, Record, Token, Topic};

use crate::bank::COMPANY_TOKEN;

/// Somebody with an account.
#[derive(Clone)]
pub(crate) struct Customer {
    pub(crate) iban: String,
    token: String,
}

/// Everything the bank is asked for.
pub(crate) struct Asking {
    pub(crate) kafka: KafkaConfig,
    pub(crate) codec: Codec,
    pub(crate) producer: Producer,
    pub(crate) customers: Vec<Customer>,
    pub(crate) next: u8,
    pub(crate) sent: Vec<ConfirmMoneyTransfer>,
}

impl Asking {
    fn id(&mut self) -> CommandId {
        self.next += 1;
        let mut bytes = [0xa0; 16];
        bytes[8..].fill(self.next);
        CommandId::from_bytes(bytes)
    }

    async fn send_bytes(&self, topic: Topic, key: &str, value: &[u8]) {
        let outgoing = Outgoing {
            topic,
            key: key.as_bytes(),
            value: Some(value),
            headers: &[],
        };
        let delivery = self.producer.send(outgoing).await.unwrap();
        delivery.wait().await.unwrap();
    }

    pub(crate) async fn newcomer(&mut self, key: &HandlerKey) -> CommandId {
        let id = self.id();
        let record = Record::ConfirmAccountCreation(ConfirmAccountCreation {
            id,
            account_type: AccountType::Manual,
        });
        let value = self
            .codec
            .encode(Topic::ConfirmAccountCreation, &record)
            .unwrap();
        self.send_bytes(Topic::ConfirmAccountCreation, &id.to_string(), &value)
            .await;
        self.customers.push(Customer {
            iban: key.iban_candidates(id)[0].to_string(),
            token: key.token(id),
        });
        id
    }

    async fn transfer(&mut self, from: &str, to: &str, cents: i64) {
        let token = match self.customers.iter().find(|it| it.iban == from) {
            Some(customer) => customer.token.clone(),
            None if from == COMPANY_IBAN => COMPANY_TOKEN.to_owned(),
            None => "nothing".to_owned(),
        };
        self.transfer_with(&token, from, to, cents, "for the test")
            .await;
    }

    async fn transfer_with(&mut self, token: &str, from: &str, to: &str, cents: i64, what: &str) {
        let transfer = ConfirmMoneyTransfer {
            id: self.id(),
            token: Token::new(token.to_owned()),
            amount: Cents(cents),
            from: from.to_owned(),
            to: to.to_owned(),
            description: what.to_owned(),
        };
        self.again(&transfer).await;
        self.sent.push(transfer);
    }

    async fn again(&self, transfer: &ConfirmMoneyTransfer) {
        let key = if transfer.from == CASH {
            &transfer.to
        } else {
            &transfer.from
        };
        let record = Record::ConfirmMoneyTransfer(transfer.clone());
        let value = self
            .codec
            .encode(Topic::ConfirmMoneyTransfer, &record)
            .unwrap();
        self.send_bytes(Topic::ConfirmMoneyTransfer, key, &value)
            .await;
    }

    /// Money back and forth, every kind of no, repeats, reused ids and no records at all.
    pub(crate) async fn everything(&mut self) {
        let [one, two, three, four] = [0, 1, 2, 3].map(|it| self.customers[it].iban.clone());
        for round in 1..=4 {
            self.transfer(COMPANY_IBAN, &one, 10_000 * round).await;
            self.transfer(&one, &two, 500 + round).await;
            self.transfer(&two, &one, 20 + round).await;
            self.transfer(CASH, &three, 700).await;
            self.transfer(&three, "Shop on the corner", 10).await;
            self.transfer(&one, "DE89 3704 0044 0532 0130 00", 77).await;
        }
        self.transfer(&four, &one, 30_000).await;
        self.transfer(&four, &one, 30_000).await;
        self.transfer(&four, &two, 1).await;
        self.transfer_with("wrong", &one, &two, 5, "").await;
        self.transfer(&one, "NL66OPEN0000000001", 5).await;
        self.transfer(&one, &testing_iban(), 5).await;
        self.transfer(CASH, "nobody here", 5).await;
        self.transfer(&one, &two, 0).await;
        self.transfer(&one, &one, 5).await;
        self.transfer("nobody", &one, 5).await;
        self.transfer_with("x", &one, &two, 5, "two\nlines").await;
        let repeated = self.sent[1].clone();
        self.again(&repeated).await;
        let reused = ConfirmMoneyTransfer {
            amount: Cents(9),
            ..self.sent[2].clone()
        };
        self.again(&reused).await;
        self.send_bytes(Topic::ConfirmMoneyTransfer, &one, b"no record")
            .await;
        self.send_bytes(
            Topic::ConfirmAccountCreation,
            "x",
            &[0, 0xff, 0xff, 0xff, 0xfe, 1],
        )
        .await;
        self.transfer(&two, &three, 3).await;
        // One more of each kind that stands last, for what is cut off there.
        self.transfer(&three, &two, 2).await;
    }
}

/// An account of ours that nobody has.
fn testing_iban() -> String {
    topology::Iban::of_our_bank(987_654_321).to_string()
}
