//! The form that asks for a user name and a password; signing in and opening an account share it.

use leptos::{prelude::*, task::spawn_local};

use super::{
    error_summary::{ErrorSummary, focus_summary},
    failure::Failure,
    field::TextField,
};
use crate::{
    announcer::Announcer,
    validation::{Field, FieldError},
};

/// The form that was submitted last: only that one tells what there is to correct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    SignIn,
    Open,
}

/// What one form says and what the browser is told of it.
pub(crate) struct Wording {
    pub(crate) entry: Entry,
    /// Also begins the ids of the heading and of the button.
    pub(crate) id: &'static str,
    pub(crate) form_id: &'static str,
    pub(crate) title: &'static str,
    pub(crate) working: &'static str,
    pub(crate) user_name: (Field, &'static str, &'static str),
    pub(crate) password: (Field, &'static str, &'static str),
}

/// `check` tells what is wrong with a name and a password, `submit` sends them and answers with the words of a
/// failure. `has_errors` tells the page, for its title.
#[component]
pub(crate) fn CredentialsForm<Check, Submit, Sent>(
    wording: Wording,
    checked: RwSignal<Option<Entry>>,
    has_errors: RwSignal<bool>,
    check: Check,
    submit: Submit,
) -> impl IntoView
where
    Check: Fn(&str, &str) -> Vec<FieldError> + Send + Sync + 'static,
    Submit: Fn(String, String) -> Sent + 'static,
    Sent: Future<Output = Result<(), String>> + 'static,
{
    let announcer: Announcer = expect_context();
    let entry = wording.entry;
    let [user_name, password] = [(); 2].map(|()| RwSignal::new(String::new()));
    let errors: Memo<Vec<FieldError>> = Memo::new(move |_| {
        if checked.get() == Some(entry) {
            check(user_name.get().trim(), &password.get())
        } else {
            Vec::new()
        }
    });
    Effect::new(move |_| {
        if !errors.with(Vec::is_empty) {
            has_errors.set(true);
        } else if checked.get().is_none_or(|last| last == entry) {
            has_errors.set(false);
        }
    });
    let failure = RwSignal::new(None::<String>);
    let is_working = RwSignal::new(false);
    let on_submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if is_working.get_untracked() {
            return;
        }
        checked.set(Some(entry));
        failure.set(None);
        if !errors.with_untracked(Vec::is_empty) {
            return focus_summary();
        }
        is_working.set(true);
        let name = user_name.get_untracked().trim().to_owned();
        let sent = submit(name, password.get_untracked());
        spawn_local(async move {
            if let Err(words) = sent.await {
                announcer.alert(words.clone());
                failure.try_set(Some(words));
            }
            is_working.try_set(false);
        });
    };
    let Wording {
        id,
        form_id,
        title,
        working,
        user_name: (name_field, name_label, name_hint),
        password: (password_field, password_label, password_hint),
        ..
    } = wording;
    view! {
        <section class="credentials" aria-labelledby=format!("{id}-heading")>
            <h2 id=format!("{id}-heading")>{title}</h2>
            <ErrorSummary errors=errors/>
            <form id=form_id novalidate=true on:submit=on_submit>
                <TextField field=name_field label=name_label value=user_name errors=errors autocomplete=name_hint literal=true/>
                <TextField
                    field=password_field
                    label=password_label
                    value=password
                    errors=errors
                    autocomplete=password_hint
                    kind="password"
                    literal=true
                />
                <Failure words=failure/>
                <button
                    type="submit"
                    id=format!("{id}-submit")
                    class="main"
                    aria-disabled=move || is_working.get().then_some("true")
                >
                    {move || if is_working.get() { working } else { title }}
                </button>
            </form>
        </section>
    }
}
