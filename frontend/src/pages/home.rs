//! Home: what it is, that it is alive, what to do first.

use leptos::prelude::*;

use crate::{
    api::types::Role,
    components::{
        amount::BalanceLine,
        four_figures::FourFigures,
        frame::{going, name_page},
        iban::Iban,
        settings::Settings,
        sign_in::DemoUsers,
        statement::Statement,
    },
    following::{Following, Phase},
    session::{Session, Who},
};

/// Fit on the first screen beside the first steps.
const ROWS: usize = 5;

#[component]
pub(crate) fn Home() -> impl IntoView {
    name_page(String::new);
    let session: Session = expect_context();
    let go = going();
    let to_client = Callback::new(move |()| go.run("/client".to_owned()));
    let is_signed_in = Memo::new(move |_| session.user().is_some());
    let company = Memo::new(move |_| {
        let may_see = session.is_employee();
        session
            .bank
            .get()
            .filter(|bank| bank.demo_mode || may_see)
            .map(|bank| (bank.company_iban, bank.demo_mode))
    });
    let nothing_to_show = move || match (session.who.get(), session.bank.get()) {
        (Who::Unknown(words), _) => Some(
            view! {
                <p class="failure">{words}</p>
                <button type="button" on:click=move |_| session.ask()>"Try again"</button>
            }
            .into_any(),
        ),
        (_, Some(_)) if company.get().is_none() => Some(
            view! { <p>"In demo mode the bank's own account is shown here, live."</p> }.into_any(),
        ),
        _ => None,
    };
    view! {
        <div class="route home">
            <div class="intro">
                <div>
                    <h1 tabindex="-1">"A bank built on events, in Rust on Apache Kafka"</h1>
                    <p>
                        "Click through it, put it under load, kill parts of it: the auditor says whether a cent was lost."
                    </p>
                </div>
                <Settings place="home"/>
            </div>
            <FourFigures/>
            <section class="start" aria-labelledby="start-heading">
                <h2 id="start-heading">"Start here"</h2>
                <ol>
                    <li>
                        <a href="/client">{move || if is_signed_in.get() { "Go to your account" } else { "Open an account" }}</a>
                        <Show when=move || !is_signed_in.get()>
                            <DemoUsers role=Role::Customer then=to_client/>
                        </Show>
                    </li>
                    <li><p><a href="/client">"Pay someone"</a>", then follow the record through every hop"</p></li>
                    <li><p><a href="/live">"Put it under load"</a>", then stop a handler and watch"</p></li>
                </ol>
                <p><a href="/how-it-works">"How it works"</a>", in eight steps"</p>
            </section>
            <div class="company">
                {move || company.get().map(|(iban, is_public)| view! { <Company iban=iban is_public=is_public/> })}
                {nothing_to_show}
            </div>
        </div>
    }
}

#[component]
fn Company(iban: String, is_public: bool) -> impl IntoView {
    let following = Following::start(iban.clone(), Signal::stored(ROWS));
    view! {
        <Statement following=following heading="The bank's own account, live" empty="No transactions yet.">
            <p class="account-line">
                <Iban iban=iban/>
                {is_public.then(|| view! { <span class="hint">"public in this demo"</span> })}
            </p>
        </Statement>
        <Show when=move || following.phase.get() == Phase::Ready>
            <BalanceLine cents=Signal::derive(move || following.balance())/>
        </Show>
    }
}
