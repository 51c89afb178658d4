//! The page's one line to the gateway: a WebSocket that carries every subscription of the page. It connects while
//! something is subscribed, comes back after a cut, notices when nobody answers, and begins anew for another session.

use std::{
    cell::RefCell,
    collections::{BTreeMap, VecDeque},
    rc::Rc,
    task::Waker,
};

use leptos::{prelude::*, task::spawn_local};

use super::{operations::Operation, protocol::Envelope, response::ApiError};
use crate::{backoff, browser, connection::Connection, readable::Readable};

mod conversation;

/// What a subscriber is told.
pub(crate) enum Heard<Answer> {
    /// From now on answers are pushed; after a cut, first what was missed meanwhile.
    Subscribed,
    /// An answer.
    Next(Answer),
    /// No more will come, and trying again by itself would not help.
    Refused(ApiError),
}

/// A subscription; ends when dropped.
pub(crate) struct Subscription {
    line: Line,
    id: u32,
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.line.end(self.id);
    }
}

#[derive(Clone, Copy)]
pub(crate) struct Line {
    state: StoredValue<Rc<RefCell<State>>, LocalStorage>,
    connection: Connection,
}

#[derive(Default)]
struct State {
    subscribers: BTreeMap<u32, Subscriber>,
    last_id: u32,
    is_running: bool,
    wishes: VecDeque<Wish>,
    waker: Option<Waker>,
}

#[derive(Clone)]
struct Subscriber {
    operation: Rc<dyn Fn() -> Operation>,
    listener: Rc<dyn Fn(Raw<'_>)>,
    was_live: bool,
}

enum Raw<'a> {
    Subscribed,
    Message(&'a Envelope),
    Refused(ApiError),
}

enum Wish {
    Begin(u32),
    End(u32),
    Anew,
}

enum End {
    /// Trying again may help.
    Lost { was_live: bool },
    /// It will not.
    Refused(ApiError),
    /// Someone else is signed in now.
    Anew,
    /// Nothing is subscribed any more.
    Quiet,
}

impl Line {
    pub(crate) fn provide(connection: Connection) -> Self {
        let line = Self {
            state: StoredValue::new_local(Rc::default()),
            connection,
        };
        provide_context(line);
        line
    }

    /// Subscribes. `operation` is asked for again after each cut, so that it can go on from where it was.
    pub(crate) fn subscribe<Answer: Readable + 'static>(
        self,
        operation: impl Fn() -> Operation + 'static,
        listener: impl Fn(Heard<Answer>) + 'static,
    ) -> Subscription {
        let listener = move |raw: Raw<'_>| {
            listener(match raw {
                Raw::Subscribed => Heard::Subscribed,
                Raw::Refused(error) => Heard::Refused(error),
                Raw::Message(envelope) => match envelope.answer() {
                    Ok(answer) => Heard::Next(answer),
                    Err(error) => Heard::Refused(error),
                },
            });
        };
        let state = self.state.get_value();
        let mut state = state.borrow_mut();
        state.last_id += 1;
        let id = state.last_id;
        let subscriber = Subscriber {
            operation: Rc::new(operation),
            listener: Rc::new(listener),
            was_live: false,
        };
        state.subscribers.insert(id, subscriber);
        state.wish(Wish::Begin(id));
        if !std::mem::replace(&mut state.is_running, true) {
            spawn_local(self.run());
        }
        Subscription { line: self, id }
    }

    /// Begins anew: the session is another one.
    pub(crate) fn begin_anew(self) {
        self.state.get_value().borrow_mut().wish(Wish::Anew);
        self.connection.try_now();
    }

    fn end(self, id: u32) {
        // The page itself may be gone.
        let Some(state) = self.state.try_get_value() else {
            return;
        };
        let mut state = state.borrow_mut();
        if state.subscribers.remove(&id).is_some() {
            state.wish(Wish::End(id));
        }
    }

    async fn run(self) {
        let state = self.state.get_value();
        let mut attempt = 0;
        loop {
            self.connection.connecting();
            match conversation::converse(&state, self.connection).await {
                End::Quiet => break,
                End::Anew => {
                    attempt = 0;
                    continue;
                }
                End::Refused(error) => {
                    let refused = std::mem::take(&mut state.borrow_mut().subscribers);
                    for subscriber in refused.values() {
                        (subscriber.listener)(Raw::Refused(error.clone()));
                    }
                    if state.borrow().subscribers.is_empty() {
                        break;
                    }
                }
                End::Lost { was_live: true } => attempt = 0,
                End::Lost { was_live: false } => {}
            }
            attempt += 1;
            self.connection
                .wait(attempt, backoff::delay(attempt, browser::dice()))
                .await;
            if state.borrow().subscribers.is_empty() {
                break;
            }
        }
        state.borrow_mut().is_running = false;
        self.connection.idle();
    }
}

impl State {
    fn wish(&mut self, wish: Wish) {
        self.wishes.push_back(wish);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}
