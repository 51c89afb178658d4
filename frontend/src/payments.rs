//! Takes payments from the forms to the bank, each with the same command id until there is an answer.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use leptos::{prelude::*, task::spawn_local};

use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, CommandAnswer, PaymentAnswer},
        response::{ApiError, ErrorCode},
        types::{CommandId, CommandState, CommandStatus, Payment, PaymentResult, RejectionReason},
    },
    backoff,
    browser::{self, storage},
    outbox::{Outbox, Progress, Sent},
    session::Session,
    time::duration_in_words,
    validation::new_command_id,
    words::{self, Standing},
};

const STORAGE_PREFIX: &str = "bank.payment.";
/// From here on people wonder.
const STILL_PROCESSING_AFTER: Duration = Duration::from_secs(5);
/// How long "Confirmed in 5,2 ms" stands beside a row.
const TIMING_SHOWN_FOR: Duration = Duration::from_secs(10);
/// A confirmed payment whose row cannot be told (2019 records carry no command id) leaves the list then.
const ROW_EXPECTED_WITHIN: Duration = Duration::from_secs(5);
/// Every so many questions the command itself is sent again, in case the gateway lost it.
const SEND_EVERY: u32 = 3;

#[derive(Clone, Copy)]
pub(crate) struct Payments {
    pub(crate) outbox: RwSignal<Outbox>,
    /// How long own payments took, for a while.
    pub(crate) timings: RwSignal<BTreeMap<CommandId, String>>,
    /// Of the own account, as far as the page knows.
    pub(crate) standing: RwSignal<Option<Standing>>,
    sent_at_microseconds: StoredValue<BTreeMap<CommandId, u64>>,
    under_way: StoredValue<BTreeSet<CommandId>>,
    session: Session,
    announcer: Announcer,
}

enum Answer {
    Confirmed,
    Rejected(RejectionReason, String),
    Pending,
    /// The gateway has never seen it.
    Unseen,
}

impl Payments {
    pub(crate) fn provide(session: Session, announcer: Announcer) -> Self {
        let payments = Self {
            outbox: RwSignal::default(),
            timings: RwSignal::default(),
            standing: RwSignal::new(None),
            sent_at_microseconds: StoredValue::default(),
            under_way: StoredValue::default(),
            session,
            announcer,
        };
        provide_context(payments);
        payments.outbox.update(|outbox| {
            let mut kept: Vec<Sent> = storage::values(STORAGE_PREFIX)
                .iter()
                .filter_map(|text| Sent::decode(text))
                .collect();
            kept.sort_by(|one, other| one.sent_at.cmp(&other.sent_at));
            kept.into_iter().for_each(|sent| outbox.add(sent));
        });
        // What was left open by a reload, or by a session that ended, goes on as soon as its owner is signed in.
        Effect::new(move |_| {
            if let Some(user) = session.user() {
                payments.resume(&user.user_name);
            }
        });
        payments
    }

    /// Sends a payment of the one who is signed in. The id tells what becomes of it.
    pub(crate) fn send(self, payment: Payment) -> Option<CommandId> {
        let user_name = self.session.user_name_untracked()?;
        let id = new_command_id();
        let sent = Sent {
            id,
            user_name,
            payment,
            sent_at: browser::rfc3339_now(),
            progress: Progress::Waiting,
        };
        storage::put(&storage_key(id), &sent.encode());
        self.sent_at_microseconds
            .update_value(|times| _ = times.insert(id, browser::microseconds()));
        self.outbox.update(|outbox| outbox.add(sent));
        self.announcer.status("Payment sent. Waiting for the bank.");
        self.deliver(id);
        Some(id)
    }

    /// Takes an answered payment out of sight.
    pub(crate) fn dismiss(self, id: CommandId) {
        self.outbox.update(|outbox| _ = outbox.remove(id));
    }

    /// A row with this command id is in the statement: the best answer there is.
    pub(crate) fn seen_in_statement(self, id: CommandId) {
        if self
            .outbox
            .with_untracked(|outbox| outbox.get(id).is_some())
        {
            self.confirmed(id);
            self.dismiss(id);
        }
    }

    fn resume(self, user_name: &str) {
        let open = self
            .outbox
            .with_untracked(|outbox| outbox.of_user(user_name));
        for sent in open.into_iter().filter(|sent| !sent.progress.is_final()) {
            self.deliver(sent.id);
        }
    }

    fn deliver(self, id: CommandId) {
        let mut is_new = false;
        self.under_way
            .update_value(|under_way| is_new = under_way.insert(id));
        if !is_new {
            return;
        }
        spawn_local(async move {
            self.ask_until_answered(id).await;
            self.under_way
                .update_value(|under_way| _ = under_way.remove(&id));
        });
        spawn_local(async move {
            browser::sleep(STILL_PROCESSING_AFTER).await;
            if self.progress(id) == Some(Progress::Waiting) {
                self.note(id, Progress::StillProcessing);
                self.announcer.status(words::STILL_PROCESSING);
            }
        });
    }

    async fn ask_until_answered(self, id: CommandId) {
        let mut attempt = 0;
        let mut send_now = true;
        loop {
            let Some(sent) = self.outbox.with_untracked(|outbox| outbox.get(id).cloned()) else {
                return;
            };
            if sent.progress.is_final() {
                return;
            }
            if self.session.user_name_untracked().as_ref() != Some(&sent.user_name) {
                return self.note(id, Progress::SignInNeeded);
            }
            let answer = if send_now {
                pay(&sent).await
            } else {
                look_up(id).await
            };
            send_now = false;
            match answer {
                Ok(Answer::Confirmed) => return self.confirmed(id),
                Ok(Answer::Rejected(reason, message)) => {
                    let standing = self.standing.get_untracked();
                    return self.rejected(
                        id,
                        words::rejection(reason, &message, &sent.payment, standing),
                    );
                }
                Ok(Answer::Pending) => {
                    if sent.progress != Progress::Waiting {
                        self.note(id, Progress::StillProcessing);
                    }
                }
                Ok(Answer::Unseen) => send_now = true,
                Err(error) if error.is(ErrorCode::Unauthenticated) => {
                    self.note(id, Progress::SignInNeeded);
                    return self.session.signed_out();
                }
                Err(error) if error.is_passing() => {
                    if sent.progress != Progress::Unreachable {
                        self.note(id, Progress::Unreachable);
                        self.announcer.status(words::NOT_KNOWN_YET);
                    }
                    send_now = true;
                }
                Err(error) => return self.rejected(id, words::payment_refused(&error)),
            }
            attempt += 1;
            send_now |= attempt % SEND_EVERY == 0;
            browser::sleep(backoff::delay(attempt, browser::dice())).await;
        }
    }

    fn progress(self, id: CommandId) -> Option<Progress> {
        self.outbox
            .with_untracked(|outbox| outbox.get(id).map(|sent| sent.progress.clone()))
    }

    fn note(self, id: CommandId, progress: Progress) {
        self.outbox.update(|outbox| outbox.note(id, progress));
    }

    fn confirmed(self, id: CommandId) {
        let Some(sent) = self.outbox.with_untracked(|outbox| outbox.get(id).cloned()) else {
            return;
        };
        if sent.progress.is_final() {
            return;
        }
        storage::remove(&storage_key(id));
        self.note(id, Progress::Confirmed);
        let amount = sent.payment.amount().as_balance();
        self.announcer.status(match sent.payment {
            Payment::Deposit { .. } => format!("Deposit of {amount} confirmed."),
            Payment::Transfer { .. } => format!("Payment of {amount} confirmed."),
        });
        self.show_timing(id);
        spawn_local(async move {
            browser::sleep(ROW_EXPECTED_WITHIN).await;
            self.dismiss(id);
        });
    }

    fn rejected(self, id: CommandId, words: String) {
        storage::remove(&storage_key(id));
        self.announcer.alert(words.clone());
        self.note(id, Progress::Rejected(words));
    }

    fn show_timing(self, id: CommandId) {
        let mut sent_at = None;
        self.sent_at_microseconds
            .update_value(|times| sent_at = times.remove(&id));
        // After a reload nobody knows when it was sent.
        let Some(sent_at) = sent_at else { return };
        let took = duration_in_words(browser::microseconds().saturating_sub(sent_at));
        self.timings
            .update(|timings| _ = timings.insert(id, format!("Confirmed in {took}")));
        spawn_local(async move {
            browser::sleep(TIMING_SHOWN_FOR).await;
            self.timings.update(|timings| _ = timings.remove(&id));
        });
    }
}

async fn pay(sent: &Sent) -> Result<Answer, ApiError> {
    let PaymentAnswer { payment } = http::send(&operations::pay(sent.id, &sent.payment)).await?;
    Ok(match payment {
        PaymentResult::PaymentConfirmed => Answer::Confirmed,
        PaymentResult::CommandPending => Answer::Pending,
        PaymentResult::CommandRejected { reason, message } => Answer::Rejected(reason, message),
    })
}

async fn look_up(id: CommandId) -> Result<Answer, ApiError> {
    let CommandAnswer { command } = http::send(&operations::command(id)).await?;
    Ok(match command {
        None => Answer::Unseen,
        Some(CommandState {
            status: CommandStatus::Pending,
            ..
        }) => Answer::Pending,
        Some(CommandState {
            status: CommandStatus::Confirmed,
            ..
        }) => Answer::Confirmed,
        Some(CommandState {
            status: CommandStatus::Rejected,
            reason,
            message,
        }) => Answer::Rejected(
            reason.unwrap_or(RejectionReason::Other),
            message.unwrap_or_default(),
        ),
    })
}

fn storage_key(id: CommandId) -> String {
    format!("{STORAGE_PREFIX}{}", id.0)
}
