//! Ways in and out: sign in, take a demo user, sign out.

use leptos::{prelude::*, task::spawn_local};

use super::{
    credentials::{CredentialsForm, Entry, Wording},
    failure::Failure,
};
use crate::{
    announcer::Announcer,
    api::types::{DemoUser, Role},
    session::Session,
    validation::{Field, check_sign_in},
};

/// `has_errors` tells the page, for its title.
#[component]
pub(crate) fn SignInForm(
    checked: RwSignal<Option<Entry>>,
    has_errors: RwSignal<bool>,
) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let submit = move |name: String, word: String| async move {
        session.sign_in(&name, &word).await?;
        announcer.status("Signed in.");
        Ok(())
    };
    let wording = Wording {
        entry: Entry::SignIn,
        id: "sign-in",
        form_id: "sign-in",
        title: "Sign in",
        working: "Signing in",
        user_name: (Field::SignInUserName, "User name", "username"),
        password: (Field::SignInPassword, "Password", "current-password"),
    };
    view! {
        <CredentialsForm wording=wording checked=checked has_errors=has_errors check=check_sign_in submit=submit/>
    }
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
                    "Sign in as " <span class="whole">{user_name}</span>
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

/// Who is signed in, with the way out.
#[component]
pub(crate) fn SignedInAs() -> impl IntoView {
    let session: Session = expect_context();
    let failure = RwSignal::new(None::<String>);
    let leave = way_out(false, failure);
    view! {
        <div class="signed-in">
            <span>{move || session.user().map(|user| user.user_name)}</span>
            <button type="button" id="sign-out" on:click=leave>"Sign out"</button>
            <Failure words=failure/>
        </div>
    }
}

/// The way out of every device at once.
#[component]
pub(crate) fn SignOutEverywhere() -> impl IntoView {
    let failure = RwSignal::new(None::<String>);
    let leave = way_out(true, failure);
    view! {
        <div class="everywhere">
            <button type="button" id="sign-out-everywhere" class="small" on:click=leave>"Sign out on all devices"</button>
            <Failure words=failure/>
        </div>
    }
}

fn way_out(
    everywhere: bool,
    failure: RwSignal<Option<String>>,
) -> impl Fn(web_sys::MouseEvent) + Copy {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    move |_| {
        spawn_local(async move {
            match session.sign_out(everywhere).await {
                Ok(()) => announcer.status("Signed out."),
                Err(words) => {
                    let words = format!("You are still signed in. {words}");
                    announcer.alert(words.clone());
                    failure.try_set(Some(words));
                }
            }
        });
    }
}
