//! One statement for all who ask the same at the same time.
//!
//! Who asks alone is answered at once. While the database works, others gather, and the
//! next statement is for all of them: under load a payment costs a share of a round trip
//! and of a wait for the disk, not one of its own.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::sync::{Mutex, mpsc, oneshot};
use topology::pace::{Pace, Paced};
use topology::service::chain;

use crate::error::Error;

/// Questions that may wait.
const QUESTIONS_MAX: usize = 4_096;
/// Questions of one statement.
const BATCH_MAX: usize = 256;
/// Statements under way: while one waits for the disk, the next is at work.
const STATEMENTS_MAX: usize = 2;

/// A statement costs as much as ten questions in one.
const PACE: Pace = Pace {
    per_item: Duration::from_millis(1),
    pause_max: Duration::from_millis(4),
    enough: 32,
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
enum Unanswered {
    #[error("too many questions wait")]
    TooMany,
    #[error("nobody answers any more")]
    Over,
    #[error("{0}")]
    Away(String),
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Error {
        Error::DatabaseAway(Box::new(unanswered))
    }
}

struct Waiting<Q, A> {
    question: Q,
    answer: oneshot::Sender<Result<A, Error>>,
}

/// Questions of one kind, and who answers them.
pub(super) struct Together<Q, A> {
    questions: mpsc::Sender<Waiting<Q, A>>,
    asked: Arc<Mutex<Asked<Q, A>>>,
}

/// What was asked, and from when on the next may be taken.
struct Asked<Q, A> {
    questions: mpsc::Receiver<Waiting<Q, A>>,
    paced: Paced,
}

impl<Q, A> Clone for Together<Q, A> {
    fn clone(&self) -> Together<Q, A> {
        Together {
            questions: self.questions.clone(),
            asked: Arc::clone(&self.asked),
        }
    }
}

impl<Q, A> Default for Together<Q, A> {
    fn default() -> Together<Q, A> {
        let (questions, asked) = mpsc::channel(QUESTIONS_MAX);
        Together {
            questions,
            asked: Arc::new(Mutex::new(Asked {
                questions: asked,
                paced: Paced::new(PACE, BATCH_MAX),
            })),
        }
    }
}

impl<Q: Clone + Send, A: Send> Together<Q, A> {
    /// Asks, together with whoever else does.
    pub(super) async fn ask(&self, question: Q) -> Result<A, Error> {
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting { question, answer };
        self.questions
            .try_send(waiting)
            .map_err(|_| Unanswered::TooMany)?;
        answered.await.map_err(|_| Unanswered::Over)?
    }

    /// Answers for ever: `look_up` gives one answer for each question, in their order.
    pub(super) async fn serve(
        &self,
        look_up: impl Fn(Vec<Q>) -> BoxFuture<'static, Result<Vec<A>, Error>> + Send + Sync,
    ) {
        let one = || async {
            loop {
                let batch = self.next_batch().await;
                let questions: Vec<Q> = batch.iter().map(|it| it.question.clone()).collect();
                match look_up(questions).await {
                    Ok(answers) => {
                        for (waiting, answer) in batch.into_iter().zip(answers) {
                            // Who has gone needs no answer.
                            let _ = waiting.answer.send(Ok(answer));
                        }
                    }
                    Err(Error::DatabaseAway(error)) => {
                        let said = chain(error.as_ref());
                        for waiting in batch {
                            let away = Unanswered::Away(said.clone());
                            let _ = waiting.answer.send(Err(away.into()));
                        }
                    }
                    // One of them may be at fault: each is asked alone, so that it is
                    // nobody else's.
                    Err(_) => {
                        for waiting in batch {
                            let answer = look_up(vec![waiting.question]).await;
                            let answer = answer.and_then(|mut answers| {
                                answers.pop().ok_or_else(|| Unanswered::Over.into())
                            });
                            let _ = waiting.answer.send(answer);
                        }
                    }
                }
            }
        };
        let all: [_; STATEMENTS_MAX] = std::array::from_fn(|_| one());
        futures_util::future::join_all(all).await;
    }

    async fn next_batch(&self) -> Vec<Waiting<Q, A>> {
        let mut asked = self.asked.lock().await;
        asked.paced.turn().await;
        let mut batch = Vec::new();
        // The sender is here too: there is always a next one, or a wait for it.
        asked.questions.recv_many(&mut batch, BATCH_MAX).await;
        asked.paced.begin(batch.len());
        batch
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use futures_util::future::join_all;

    use super::*;

    #[tokio::test]
    async fn given_many_who_ask_at_once_then_a_few_statements_answer_each_with_its_own() {
        let together: Together<u32, u32> = Together::default();
        let statements = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&statements);
        let serving = together.serve(move |questions| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                tokio::task::yield_now().await;
                Ok(questions.into_iter().map(|it| it * 2).collect())
            }
            .boxed()
        });
        let asking = join_all((0..1_000).map(|number| together.ask(number)));
        let answers = tokio::select! {
            () = serving => unreachable!("it serves for ever"),
            answers = asking => answers,
        };
        for (number, answer) in (0..1_000).zip(answers) {
            assert_eq!(answer.unwrap(), number * 2);
        }
        assert!(statements.load(Ordering::Relaxed) <= 10);
    }

    #[tokio::test]
    async fn given_one_question_at_fault_then_the_others_are_answered() {
        let together: Together<u32, u32> = Together::default();
        let serving = together.serve(|questions| {
            async move {
                if questions.contains(&7) {
                    return Err(Error::TokenSealed);
                }
                Ok(questions)
            }
            .boxed()
        });
        let asking = join_all((0..10).map(|number| together.ask(number)));
        let answers = tokio::select! {
            () = serving => unreachable!("it serves for ever"),
            answers = asking => answers,
        };
        for (number, answer) in (0..10).zip(answers) {
            assert_eq!(answer.is_err(), number == 7, "{number}");
        }
    }

    #[tokio::test]
    async fn given_a_database_that_is_away_then_everybody_is_told() {
        let together: Together<u32, u32> = Together::default();
        let serving = together.serve(|_| async { Err(Error::DatabaseAway("gone".into())) }.boxed());
        let asking = join_all((0..10).map(|number| together.ask(number)));
        let answers = tokio::select! {
            () = serving => unreachable!("it serves for ever"),
            answers = asking => answers,
        };
        let is_away = |answer: &Result<u32, Error>| matches!(answer, Err(Error::DatabaseAway(_)));
        assert!(answers.iter().all(is_away));
    }
}
