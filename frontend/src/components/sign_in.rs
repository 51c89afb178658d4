//! Ways in: sign in, open an account, or take a demo user.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use super::{
    error_summary::{ErrorSummary, focus_summary},
    field::TextField,
};
use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, DemoUser, OpenAccountAnswer, OpenAccountResult, Role},
    },
    backoff, browser,
    session::Session,
    validation::{Field, FieldError, check_new_credentials, check_sign_in, new_command_id},
    words,
};

/// The bank may be slow or away: the same request with the same id is sent so many times before the person decides.
const OPEN_ATTEMPTS_MAX: u32 = 5;

/// The form that was submitted last: only that one tells what there is to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    SignIn,
    Open,
}

/// `has_errors` tells the page, for its title.
#[component]
pub(crate) fn SignInForm(
    checked: RwSignal<Option<Entry>>,
    has_errors: RwSignal<bool>,
) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let [user_name, password] = [(); 2].map(|()| RwSignal::new(String::new()));
    let errors: Memo<Vec<FieldError>> = Memo::new(move |_| match checked.get() {
        Some(Entry::SignIn) => check_sign_in(&user_name.get(), &password.get()),
        _ => Vec::new(),
    });
    Effect::new(move |_| {
        if !errors.with(Vec::is_empty) {
            has_errors.set(true);
        } else if checked.get().is_none_or(|entry| entry == Entry::SignIn) {
            has_errors.set(false);
        }
    });
    let failure = RwSignal::new(None::<String>);
    let is_working = RwSignal::new(false);
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if is_working.get_untracked() {
            return;
        }
        checked.set(Some(Entry::SignIn));
        failure.set(None);
        if !errors.with_untracked(Vec::is_empty) {
            return focus_summary();
        }
        is_working.set(true);
        spawn_local(async move {
            let outcome = session
                .sign_in(user_name.get_untracked().trim(), &password.get_untracked())
                .await;
            match outcome {
                Ok(()) => announcer.status("Signed in."),
                Err(words) => {
                    announcer.alert(words.clone());
                    failure.try_set(Some(words));
                }
            }
            is_working.try_set(false);
        });
    };
    view! {
        <section aria-labelledby="sign-in-heading">
            <h2 id="sign-in-heading">"Sign in"</h2>
            <ErrorSummary errors=errors/>
            <form id="sign-in" novalidate=true on:submit=submit>
                <TextField field=Field::SignInUserName label="User name" value=user_name errors=errors autocomplete="username" literal=true/>
                <TextField
                    field=Field::SignInPassword
                    label="Password"
                    value=password
                    errors=errors
                    autocomplete="current-password"
                    kind="password"
                    literal=true
                />
                <Failure words=failure/>
                <button type="submit" id="sign-in-submit" class="main" aria-disabled=move || is_working.get().then_some("true")>
                    {move || if is_working.get() { "Signing in" } else { "Sign in" }}
                </button>
            </form>
        </section>
    }
}

/// `has_errors` tells the page, for its title.
#[component]
pub(crate) fn OpenAccountForm(
    checked: RwSignal<Option<Entry>>,
    has_errors: RwSignal<bool>,
) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let [user_name, password] = [(); 2].map(|()| RwSignal::new(String::new()));
    let errors: Memo<Vec<FieldError>> = Memo::new(move |_| match checked.get() {
        Some(Entry::Open) => check_new_credentials(user_name.get().trim(), &password.get()),
        _ => Vec::new(),
    });
    Effect::new(move |_| {
        if !errors.with(Vec::is_empty) {
            has_errors.set(true);
        } else if checked.get().is_none_or(|entry| entry == Entry::Open) {
            has_errors.set(false);
        }
    });
    let failure = RwSignal::new(None::<String>);
    let is_working = RwSignal::new(false);
    // The same name and password keep the same command id until there is an answer. It is not stored: with the name
    // and the password anyone gets in after a reload, and a password is kept nowhere.
    let command = StoredValue::new(None::<(operations::CommandId, String, String)>);
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if is_working.get_untracked() {
            return;
        }
        checked.set(Some(Entry::Open));
        failure.set(None);
        if !errors.with_untracked(Vec::is_empty) {
            return focus_summary();
        }
        let (name, word) = (
            user_name.get_untracked().trim().to_owned(),
            password.get_untracked(),
        );
        let kept = command
            .get_value()
            .filter(|(_, kept_name, kept_word)| (kept_name, kept_word) == (&name, &word));
        let id = kept.map_or_else(new_command_id, |(id, ..)| id);
        command.set_value(Some((id, name.clone(), word.clone())));
        is_working.set(true);
        spawn_local(async move {
            let outcome = open(id, &name, &word).await;
            match outcome {
                Ok(user) => {
                    announcer.status("Account opened. You are signed in.");
                    session.signed_in(user);
                }
                Err(words) => {
                    announcer.alert(words.clone());
                    failure.try_set(Some(words));
                    // The user may exist by now, only the account is late: then the page says so.
                    session.ask();
                }
            }
            is_working.try_set(false);
        });
    };
    view! {
        <section aria-labelledby="open-heading">
            <h2 id="open-heading">"Open an account"</h2>
            <ErrorSummary errors=errors/>
            <form id="open-account" novalidate=true on:submit=submit>
                <TextField
                    field=Field::OpenUserName
                    label="User name (8 characters or more)"
                    value=user_name
                    errors=errors
                    autocomplete="username"
                    literal=true
                />
                <TextField
                    field=Field::OpenPassword
                    label="Password (8 characters or more)"
                    value=password
                    errors=errors
                    autocomplete="new-password"
                    kind="password"
                    literal=true
                />
                <Failure words=failure/>
                <button type="submit" id="open-submit" class="main" aria-disabled=move || is_working.get().then_some("true")>
                    {move || if is_working.get() { "Opening" } else { "Open an account" }}
                </button>
            </form>
        </section>
    }
}

async fn open(
    id: operations::CommandId,
    name: &str,
    word: &str,
) -> Result<operations::User, String> {
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
            Err(error) if error.is_passing() && !error.is(operations::ErrorCode::RateLimited) => {
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

/// Demo users of the given roles, one click away. `then` runs once signed in.
#[component]
pub(crate) fn DemoUsers(
    role: Role,
    #[prop(optional, into)] then: Option<Callback<()>>,
) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let failure = RwSignal::new(None::<String>);
    let is_working = RwSignal::new(false);
    let users = Memo::new(move |_| {
        let users = session
            .bank
            .get()
            .filter(|bank| bank.demo_mode)
            .map(|bank| bank.demo_users)
            .unwrap_or_default();
        users
            .into_iter()
            .filter(|user| user.role == role)
            .collect::<Vec<_>>()
    });
    let entry = move |(place, user): (usize, DemoUser)| {
        let id = match (place, user.role) {
            (0, Role::Customer) => Some("demo-customer"),
            (0, Role::Employee) => Some("demo-employee"),
            _ => None,
        };
        let DemoUser {
            user_name,
            password,
            ..
        } = user;
        let (name, word) = (user_name.clone(), password.clone());
        let enter = move |_| {
            if is_working.get_untracked() {
                return;
            }
            is_working.set(true);
            failure.set(None);
            let (name, word) = (name.clone(), word.clone());
            spawn_local(async move {
                match session.sign_in(&name, &word).await {
                    Ok(()) => {
                        announcer.status("Signed in.");
                        if let Some(then) = then {
                            then.try_run(());
                        }
                    }
                    Err(words) => {
                        announcer.alert(words.clone());
                        failure.try_set(Some(words));
                    }
                }
                is_working.try_set(false);
            });
        };
        view! {
            <li>
                <button type="button" id=id on:click=enter aria-disabled=move || is_working.get().then_some("true")>
                    {format!("Sign in as {user_name}")}
                </button>
                <details>
                    <summary>"Show the password"</summary>
                    <code translate="no">{password}</code>
                </details>
            </li>
        }
    };
    view! {
        <Show when=move || !users.with(Vec::is_empty)>
            <div class="demo-users">
                <ul>{move || users.get().into_iter().enumerate().map(entry).collect_view()}</ul>
                <Failure words=failure/>
            </div>
        </Show>
    }
}

/// A no that belongs to the form as a whole. Spoken by the alert region of the page.
#[component]
pub(crate) fn Failure(words: RwSignal<Option<String>>) -> impl IntoView {
    move || {
        words
            .get()
            .map(|words| view! { <p class="failure">{words}</p> })
    }
}

/// Who is signed in, with the way out.
#[component]
pub(crate) fn SignedInAs() -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let failure = RwSignal::new(None::<String>);
    let leave = move |_| {
        spawn_local(async move {
            match session.sign_out().await {
                Ok(()) => announcer.status("Signed out."),
                Err(words) => {
                    let words = format!("You are still signed in. {words}");
                    announcer.alert(words.clone());
                    failure.try_set(Some(words));
                }
            }
        });
    };
    view! {
        <div class="signed-in">
            <span>{move || session.user().map(|user| user.user_name)}</span>
            <button type="button" id="sign-out" on:click=leave>"Sign out"</button>
            <Failure words=failure/>
        </div>
    }
}
