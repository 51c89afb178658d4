//! Payments that have left the form. Each keeps its command id until there is an answer, so that it can be sent again
//! after a reload or a cut line without being paid twice.

use serde::{Deserialize, Serialize};

use crate::api::operations::{CommandId, Payment};

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    #[serde(skip)]
    pub progress: Progress,
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
        let before = Sent {
            progress: Progress::StillProcessing,
            ..sent("demo-customer")
        };
        let after: Sent = serde_json::from_str(&serde_json::to_string(&before).unwrap()).unwrap();
        assert_eq!(
            after,
            Sent {
                progress: Progress::Waiting,
                ..before
            }
        );
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
