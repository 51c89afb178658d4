//! Payments that have left the form. Each keeps its command id until there is an answer, so that it can be sent again
//! after a reload or a cut line without being paid twice.

use serde_json::{Value, json};

use crate::{
    api::types::{CommandId, Payment},
    readable::{Names, Readable, Reader},
};

/// How far a payment has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Sent, not answered.
    #[default]
    Waiting,
    /// Not answered for longer than people expect.
    StillProcessing,
    /// Whether the bank has it is not known; it is sent again.
    Unreachable,
    /// Nobody, or someone else, is signed in: it waits for its owner.
    SignInNeeded,
    /// Confirmed; its row is on the way.
    Confirmed,
    /// The bank's no, in words; stays until dismissed.
    Rejected(String),
}

impl Progress {
    /// Whether there is an answer.
    #[must_use]
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Confirmed | Self::Rejected(_))
    }
}

/// A payment that has left the form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its identity, the same at every try.
    pub id: CommandId,
    /// Who pays: nobody else's session may send it.
    pub user_name: String,
    /// What was asked.
    pub payment: Payment,
    /// RFC 3339.
    pub sent_at: String,
    /// Known again after a reload by asking.
    pub progress: Progress,
}

impl Sent {
    /// For storage.
    #[must_use]
    pub fn encode(&self) -> String {
        let payment = match &self.payment {
            Payment::Deposit { amount } => {
                json!({ "kind": "deposit", "amount": amount.to_string() })
            }
            Payment::Transfer {
                to,
                amount,
                description,
            } => {
                json!({ "kind": "transfer", "to": to, "amount": amount.to_string(), "description": description })
            }
        };
        json!({
            "id": self.id.to_string(),
            "user_name": self.user_name,
            "payment": payment,
            "sent_at": self.sent_at,
        })
        .to_string()
    }

    /// From storage; None when it is not understood.
    #[must_use]
    pub fn decode(text: &str) -> Option<Self> {
        let kept: Value = serde_json::from_str(text).ok()?;
        let mut reader = Reader::new(Names::Snake);
        let sent = Self::read(&kept, &mut reader);
        reader.fault().is_none().then_some(sent)
    }
}

impl Readable for Sent {
    fn read(value: &Value, reader: &mut Reader) -> Self {
        let payment = &value["payment"];
        let amount = reader.field(payment, "amount");
        let payment = if payment["kind"] == "deposit" {
            Payment::Deposit { amount }
        } else {
            Payment::Transfer {
                to: reader.field(payment, "to"),
                amount,
                description: reader.field(payment, "description"),
            }
        };
        Self {
            id: reader.field(value, "id"),
            user_name: reader.field(value, "user_name"),
            payment,
            sent_at: reader.field(value, "sent_at"),
            progress: Progress::Waiting,
        }
    }
}

/// All payments of this page that are not yet in a statement, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outbox {
    sent: Vec<Sent>,
}

impl Outbox {
    /// Takes a payment in, once.
    pub fn add(&mut self, sent: Sent) {
        if self.get(sent.id).is_none() {
            self.sent.push(sent);
        }
    }

    /// The payment with this id.
    #[must_use]
    pub fn get(&self, id: CommandId) -> Option<&Sent> {
        self.sent.iter().find(|sent| sent.id == id)
    }

    /// Notes how far a payment has come. An answer is never taken back.
    pub fn note(&mut self, id: CommandId, progress: Progress) {
        if let Some(sent) = self
            .sent
            .iter_mut()
            .find(|sent| sent.id == id && !sent.progress.is_final())
        {
            sent.progress = progress;
        }
    }

    /// Takes a payment out: it is in the statement, or was dismissed.
    pub fn remove(&mut self, id: CommandId) -> Option<Sent> {
        let place = self.sent.iter().position(|sent| sent.id == id)?;
        Some(self.sent.remove(place))
    }

    /// What one user has to see, newest first.
    #[must_use]
    pub fn of_user(&self, user_name: &str) -> Vec<Sent> {
        self.sent
            .iter()
            .rev()
            .filter(|sent| sent.user_name == user_name)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{money::Cents, validation::new_command_id};

    fn sent(user_name: &str) -> Sent {
        Sent {
            id: new_command_id(),
            user_name: user_name.to_owned(),
            payment: Payment::Deposit {
                amount: Cents(1_000),
            },
            sent_at: "2026-11-21T12:00:00Z".to_owned(),
            progress: Progress::Waiting,
        }
    }

    #[test]
    fn a_payment_survives_a_reload_with_its_id_and_content() {
        for payment in [
            Payment::Deposit {
                amount: Cents(1_000),
            },
            Payment::Transfer {
                to: "NL66OPEN0000000000".to_owned(),
                amount: Cents(99_999_999_876_543_211),
                description: "a \"book\"".to_owned(),
            },
        ] {
            let before = Sent {
                payment,
                progress: Progress::StillProcessing,
                ..sent("demo-customer")
            };
            let after = Sent {
                progress: Progress::Waiting,
                ..before.clone()
            };
            assert_eq!(Sent::decode(&before.encode()), Some(after));
        }
    }

    #[test]
    fn what_is_kept_in_another_form_is_left_alone() {
        let whole = sent("demo-customer").encode();
        for wrong in [
            "",
            "{}",
            &whole.replace("1000", "ten"),
            &whole.replace("user_name", "user"),
        ] {
            assert_eq!(Sent::decode(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_payment_is_held_once_and_an_answer_stands() {
        let mut outbox = Outbox::default();
        let payment = sent("demo-customer");
        outbox.add(payment.clone());
        outbox.add(payment.clone());
        assert_eq!(outbox.of_user("demo-customer").len(), 1);
        outbox.note(payment.id, Progress::Rejected("no".to_owned()));
        outbox.note(payment.id, Progress::Waiting);
        assert_eq!(
            outbox.get(payment.id).unwrap().progress,
            Progress::Rejected("no".to_owned())
        );
        assert!(outbox.remove(payment.id).is_some());
        assert!(outbox.remove(payment.id).is_none());
    }

    #[test]
    fn nobody_sees_or_sends_the_payments_of_another() {
        let mut outbox = Outbox::default();
        let (first, second) = (sent("demo-customer"), sent("demo-customer"));
        outbox.add(first.clone());
        outbox.add(sent("someone-else"));
        outbox.add(second.clone());
        let ids: Vec<_> = outbox
            .of_user("demo-customer")
            .iter()
            .map(|sent| sent.id)
            .collect();
        assert_eq!(ids, [second.id, first.id]);
    }
}
