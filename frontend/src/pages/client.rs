//! Client: one's own account. Left what I can do, right the statement.

use std::time::Duration;

use leptos::{prelude::*, task::spawn_local};

use crate::{
    api::types::{Role, User},
    browser,
    choices::Choices,
    components::{
        amount::BalanceLine,
        credentials::Entry,
        deposit::Deposit,
        frame::name_page,
        iban::Iban,
        open_account::OpenAccountForm,
        pay_form::PayForm,
        sign_in::{DemoUsers, SignInForm, SignOutEverywhere, SignedInAs},
        statement::{LoadingLines, Statement},
        statement_tools::Filtering,
    },
    following::{Following, Phase},
    payments::Payments,
    session::{Session, Who},
    words::Standing,
};

/// How often to ask whether a new account is there.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(1);

#[component]
pub(crate) fn Client() -> impl IntoView {
    let session: Session = expect_context();
    let has_errors = RwSignal::new(false);
    let checked = RwSignal::new(None);
    name_page(move || {
        if has_errors.get() {
            "Error: Client".to_owned()
        } else {
            "Client".to_owned()
        }
    });
    let content = move || {
        // Errors belong to forms that are gone now.
        has_errors.set(false);
        checked.set(None);
        match session.who.get() {
            Who::Asking => view! { <h1 tabindex="-1">"Client"</h1> <LoadingLines/> }.into_any(),
            Who::Unknown(words) => view! {
                <h1 tabindex="-1">"Client"</h1>
                <p class="failure">{words}</p>
                <button type="button" on:click=move |_| session.ask()>"Try again"</button>
            }
            .into_any(),
            Who::Nobody => view! { <SignedOut checked=checked has_errors=has_errors/> }.into_any(),
            Who::User(user) => match user {
                User { role: Role::Employee, .. } => view! { <NoAccount/> }.into_any(),
                User { account: None, .. } => view! { <Opening/> }.into_any(),
                User { account: Some(account), user_name, .. } => {
                    view! { <OwnAccount iban=account.iban user_name=user_name has_errors=has_errors/> }.into_any()
                }
            },
        }
    };
    view! { <div class="route client">{content}</div> }
}

#[component]
fn SignedOut(checked: RwSignal<Option<Entry>>, has_errors: RwSignal<bool>) -> impl IntoView {
    let session: Session = expect_context();
    let is_demo = move || session.bank.get().is_some_and(|bank| bank.demo_mode);
    view! {
        <h1 tabindex="-1">"Client"</h1>
        <p class="lead">"Your balance, your payments as they happen, and a form to pay with."</p>
        <Show when=is_demo>
            <section class="demo" aria-labelledby="demo-heading">
                <h2 id="demo-heading">"Look around with a demo user"</h2>
                <p>"Demo mode: this account is public and no money is real."</p>
                <DemoUsers role=Role::Customer/>
            </section>
        </Show>
        <div class="two-forms">
            <OpenAccountForm checked=checked has_errors=has_errors/>
            <SignInForm checked=checked has_errors=has_errors/>
        </div>
    }
}

#[component]
fn NoAccount() -> impl IntoView {
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Client"</h1>
            <SignedInAs/>
        </div>
        <p>"A bank employee has no account of their own. " <a href="/employee">"See all accounts."</a> " To pay, sign out and sign in as a customer."</p>
    }
}

#[component]
fn Opening() -> impl IntoView {
    let session: Session = expect_context();
    let is_here = StoredValue::new(true);
    spawn_local(async move {
        while is_here.try_get_value().is_some() {
            browser::sleep(ASK_AGAIN_AFTER).await;
            session.ask();
        }
    });
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"My account"</h1>
            <SignedInAs/>
        </div>
        <p>"The bank is opening your account. It is shown here as soon as it is there."</p>
    }
}

#[component]
fn OwnAccount(iban: String, user_name: String, has_errors: RwSignal<bool>) -> impl IntoView {
    let payments: Payments = expect_context();
    let choices: Choices = expect_context();
    let rows = Signal::derive(move || choices.preferences.with(|preferences| preferences.rows));
    let following = Following::start(iban.clone(), rows);
    let filtering = Filtering::begin(following, None);
    let standing = Signal::derive(move || Standing {
        balance: following.current_balance(),
        limit: following.limit(),
    });
    Effect::new(move |_| payments.standing.set(Some(standing.get())));
    let sent = Signal::derive(move || payments.outbox.with(|outbox| outbox.of_user(&user_name)));
    let is_known = Memo::new(move |_| {
        following.phase.get() == Phase::Ready || following.newest_version() != 0
    });
    // A statement that stands still would hide the answer to one's own payment.
    Effect::new(move |_| {
        if !sent.with(Vec::is_empty) {
            following.pause(false);
        }
    });
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"My account"</h1>
            <SignedInAs/>
        </div>
        <div class="account">
            <Iban iban=iban id="own-iban"/>
            <Show when=move || is_known.get()>
                <p class="hint">{move || format!("You can go to {}", following.limit().as_balance())}</p>
            </Show>
        </div>
        <div class="standing">
            <Show when=move || is_known.get()>
                <BalanceLine cents=Signal::derive(move || following.balance())/>
            </Show>
        </div>
        <Acts has_errors=has_errors/>
        <Statement following=following heading="Statement" empty="No transactions yet. Deposit cash to start." sent=sent filtering=filtering/>
        <SignOutEverywhere/>
    }
}

/// What a narrow window shows only when asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    Pay,
    Deposit,
}

/// Pay and deposit. In a narrow window the statement comes first, and each form is behind its button.
#[component]
fn Acts(has_errors: RwSignal<bool>) -> impl IntoView {
    let open = RwSignal::new(None::<Act>);
    let choice = move |act: Act, name: &'static str, id: &'static str| {
        let is_open = move || open.get() == Some(act);
        let toggle = move |_| {
            let was_open = open.get_untracked() == Some(act);
            open.set((!was_open).then_some(act));
            if act == Act::Pay && !was_open {
                browser::focus_next_frame("#pay-to");
            }
        };
        view! {
            <button type="button" class:main=act == Act::Pay aria-expanded=move || is_open().to_string() aria-controls=id on:click=toggle>
                {name}
            </button>
        }
    };
    view! {
        <div class="acts">
            <div class="act-choice">
                {choice(Act::Pay, "Pay", "act-pay")}
                {choice(Act::Deposit, "Deposit", "act-deposit")}
            </div>
            <div id="act-pay" class="act" class:open=move || open.get() == Some(Act::Pay)>
                <PayForm has_errors=has_errors/>
            </div>
            <div id="act-deposit" class="act" class:open=move || open.get() == Some(Act::Deposit)>
                <Deposit/>
            </div>
        </div>
    }
}
