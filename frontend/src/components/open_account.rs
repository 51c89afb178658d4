//! Opening an account: a user name, a password, and one command that is sent until there is an answer.

use std::time::Duration;

use leptos::prelude::*;

use super::credentials::{CredentialsForm, Entry, Wording};
use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, OpenAccountAnswer},
        response::ErrorCode,
        types::{CommandId, OpenAccountResult, User},
    },
    backoff, browser,
    session::Session,
    validation::{Field, check_new_credentials, new_command_id},
    words,
};

/// The bank may be slow or away: the same request with the same id is sent so many times before the person decides.
const OPEN_ATTEMPTS_MAX: u32 = 5;

/// `has_errors` tells the page, for its title.
#[component]
pub(crate) fn OpenAccountForm(
    checked: RwSignal<Option<Entry>>,
    has_errors: RwSignal<bool>,
) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    // The same name and password keep the same command id until there is an answer. It is not stored: with the name
    // and the password anyone gets in after a reload, and a password is kept nowhere.
    let command = StoredValue::new(None::<(CommandId, String, String)>);
    let submit = move |name: String, word: String| {
        let kept = command
            .get_value()
            .filter(|(_, kept_name, kept_word)| (kept_name, kept_word) == (&name, &word));
        let id = kept.map_or_else(new_command_id, |(id, ..)| id);
        command.set_value(Some((id, name.clone(), word.clone())));
        async move {
            match open(id, &name, &word).await {
                Ok(user) => {
                    announcer.status("Account opened. You are signed in.");
                    session.signed_in(user);
                    Ok(())
                }
                Err(words) => {
                    // The user may exist by now, only the account is late: then the page says so.
                    session.ask();
                    Err(words)
                }
            }
        }
    };
    let wording = Wording {
        entry: Entry::Open,
        id: "open",
        form_id: "open-account",
        title: "Open an account",
        working: "Opening",
        user_name: (
            Field::OpenUserName,
            "User name (8 characters or more)",
            "username",
        ),
        password: (
            Field::OpenPassword,
            "Password (8 characters or more)",
            "new-password",
        ),
    };
    view! {
        <CredentialsForm wording=wording checked=checked has_errors=has_errors check=check_new_credentials submit=submit/>
    }
}

async fn open(id: CommandId, name: &str, word: &str) -> Result<User, String> {
    let mut last = "The bank has not answered yet. Send the same again in a moment.".to_owned();
    for attempt in 1..=OPEN_ATTEMPTS_MAX {
        match http::send::<OpenAccountAnswer>(&operations::open_account(id, name, word)).await {
            Ok(OpenAccountAnswer {
                open_account: OpenAccountResult::SignedIn { user },
            }) => return Ok(user),
            Ok(OpenAccountAnswer {
                open_account: OpenAccountResult::CommandRejected { message },
            }) => {
                return Err(format!(
                    "Rejected: {}. No account was opened.",
                    message.trim_end_matches('.')
                ));
            }
            Ok(OpenAccountAnswer {
                open_account: OpenAccountResult::CommandPending,
            }) => {}
            Err(error) if error.is_passing() && !error.is(ErrorCode::RateLimited) => {
                last = words::open_account_failure(&error);
            }
            Err(error) => return Err(words::open_account_failure(&error)),
        }
        if attempt < OPEN_ATTEMPTS_MAX {
            browser::sleep(
                backoff::delay(attempt, browser::dice()).max(Duration::from_millis(500)),
            )
            .await;
        }
    }
    Err(last)
}
