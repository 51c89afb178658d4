//! Who is signed in, and what bank this is.

use leptos::{prelude::*, task::spawn_local};

use crate::{
    api::{
        http,
        line::Line,
        operations::{self, BankAndMe, LogInAnswer, LogOutAnswer},
        response::ApiError,
        types::{Bank, Role, User},
    },
    browser::{self, storage},
    words,
};

/// Touched when someone signs in or out, so that the other tabs ask again.
const CHANGED_KEY: &str = "bank.session";

/// Who is signed in, as far as is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    Asking,
    /// The bank could not be asked; in words.
    Unknown(String),
    Nobody,
    User(User),
}

#[derive(Clone, Copy)]
pub(crate) struct Session {
    pub(crate) who: RwSignal<Who>,
    pub(crate) bank: RwSignal<Option<Bank>>,
    line: Line,
}

impl Session {
    pub(crate) fn provide(line: Line) -> Self {
        let session = Self {
            who: RwSignal::new(Who::Asking),
            bank: RwSignal::new(None),
            line,
        };
        provide_context(session);
        // The session is one for all tabs: what another tab does to it counts here too, before anything is paid.
        window_event_listener(leptos::ev::storage, move |event| {
            if event.key().as_deref() == Some(CHANGED_KEY) {
                session.ask();
            }
        });
        session.ask();
        session
    }

    /// Asks the gateway again.
    pub(crate) fn ask(self) {
        spawn_local(async move {
            match http::send::<BankAndMe>(&operations::bank_and_me()).await {
                Ok(BankAndMe { bank, me }) => {
                    self.bank.set(Some(bank));
                    self.set_who(me.map_or(Who::Nobody, Who::User));
                }
                Err(error)
                    if self
                        .who
                        .with_untracked(|who| matches!(who, Who::Asking | Who::Unknown(_))) =>
                {
                    self.set_who(Who::Unknown(words::load_failure(&error)));
                }
                // What was known stays; whatever is tried next says what is wrong.
                Err(_) => {}
            }
        });
    }

    /// Signs in.
    ///
    /// # Errors
    /// What to tell the person.
    pub(crate) async fn sign_in(self, user_name: &str, password: &str) -> Result<(), String> {
        let answer: Result<LogInAnswer, ApiError> =
            http::send(&operations::log_in(user_name, password)).await;
        match answer {
            Ok(LogInAnswer { log_in }) => {
                self.signed_in(log_in.user);
                Ok(())
            }
            Err(error) => Err(words::sign_in_failure(&error)),
        }
    }

    pub(crate) fn signed_in(self, user: User) {
        self.set_who(Who::User(user));
        storage::put(CHANGED_KEY, &browser::rfc3339_now());
    }

    /// The gateway no longer knows this session.
    pub(crate) fn signed_out(self) {
        self.set_who(Who::Nobody);
        storage::put(CHANGED_KEY, &browser::rfc3339_now());
    }

    /// Signs out, here or on every device.
    ///
    /// # Errors
    /// What to tell the person: then they are still signed in.
    pub(crate) async fn sign_out(self, everywhere: bool) -> Result<(), String> {
        let operation = if everywhere {
            operations::log_out_everywhere()
        } else {
            operations::log_out()
        };
        match http::send::<LogOutAnswer>(&operation).await {
            Ok(LogOutAnswer { .. }) => {
                self.signed_out();
                Ok(())
            }
            Err(error) => Err(words::load_failure(&error)),
        }
    }

    pub(crate) fn user(self) -> Option<User> {
        self.who.with(|who| {
            if let Who::User(user) = who {
                Some(user.clone())
            } else {
                None
            }
        })
    }

    pub(crate) fn user_name_untracked(self) -> Option<String> {
        self.who.with_untracked(|who| {
            if let Who::User(user) = who {
                Some(user.user_name.clone())
            } else {
                None
            }
        })
    }

    pub(crate) fn is_employee(self) -> bool {
        self.user().is_some_and(|user| user.role == Role::Employee)
    }

    fn set_who(self, who: Who) {
        let known = self.who.get_untracked();
        if known == who {
            return;
        }
        if matches!(known, Who::Nobody | Who::User(_)) {
            // The line belongs to the session it was opened in.
            self.line.begin_anew();
        }
        self.who.set(who);
    }
}
