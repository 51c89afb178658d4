//! What stands where someone may not see a route: its title, what it shows, and the way in.

use leptos::prelude::*;

use super::{
    credentials::Entry,
    sign_in::{DemoUsers, SignInForm, SignedInAs},
    statement::LoadingLines,
};
use crate::{
    api::types::Role,
    session::{Session, Who},
};

/// Shows its children to those who may see them.
#[component]
pub(crate) fn Gate(
    /// Of the route, and its heading.
    title: &'static str,
    /// What it shows, for whom, in a sentence or two.
    sentence: &'static str,
    /// Who may see it; employees may see everything.
    role: Role,
    /// Whether everyone may see it in demo mode.
    #[prop(optional)]
    demo: bool,
    /// Tells the page that the sign-in form has errors, for its title.
    has_errors: RwSignal<bool>,
    children: ChildrenFn,
) -> impl IntoView {
    let session: Session = expect_context();
    let checked = RwSignal::new(None::<Entry>);
    let is_public =
        Memo::new(move |_| demo && session.bank.get().is_some_and(|bank| bank.demo_mode));
    let content = move || {
        // Errors belong to a form that is gone now.
        has_errors.set(false);
        checked.set(None);
        match session.who.get() {
            Who::Asking => view! { <h1 tabindex="-1">{title}</h1> <LoadingLines/> }.into_any(),
            Who::Unknown(words) => view! {
                <h1 tabindex="-1">{title}</h1>
                <p class="failure">{words}</p>
                <button type="button" on:click=move |_| session.ask()>"Try again"</button>
            }
            .into_any(),
            Who::User(user) if user.role == role || user.role == Role::Employee || is_public.get() => children().into_any(),
            Who::Nobody if is_public.get() => children().into_any(),
            Who::User(_) => view! {
                <div class="section-head">
                    <h1 tabindex="-1">{title}</h1>
                    <SignedInAs/>
                </div>
                <p class="lead">{sentence}</p>
                <p>"You may not see this as who you are. Sign out, then sign in as someone who may."</p>
            }
            .into_any(),
            Who::Nobody => view! {
                <h1 tabindex="-1">{title}</h1>
                <p class="lead">{sentence}</p>
                <div class="demo"><DemoUsers role=role/></div>
                <SignInForm checked=checked has_errors=has_errors/>
            }
            .into_any(),
        }
    };
    view! { {content} }
}
