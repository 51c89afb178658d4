//! Bank employee: all accounts, and some of them live. What is chosen is in the address, so that reload and back keep
//! it.

use leptos::prelude::*;
use leptos_router::hooks::{use_params_map, use_query_map};

use crate::{
    api::types::Role,
    choices::Choices,
    components::{
        account_list::AccountList, amount::BalanceLine, frame::name_page, gate::Gate, iban::Iban,
        load_slider::LoadSlider, sign_in::SignedInAs, statement::Statement,
        statement_tools::Filtering,
    },
    desk::Desk,
    following::{Following, Phase},
    formats, iban,
    money::Cents,
    words,
};

#[component]
pub(crate) fn Employee() -> impl IntoView {
    let (params, query) = (use_params_map(), use_query_map());
    let desk = Memo::new(move |_| {
        let accounts = params.with(|params| params.get("iban"));
        query.with(|query| Desk::read(accounts.as_deref(), &|name| query.get(name)))
    });
    let has_errors = RwSignal::new(false);
    name_page(move || {
        let chosen = desk.with(|desk| desk.followed.first().map(|iban| iban::grouped(iban)));
        match (has_errors.get(), chosen) {
            (true, _) => "Error: Bank employee".to_owned(),
            (false, Some(iban)) => format!("{iban} - Bank employee"),
            (false, None) => "Bank employee".to_owned(),
        }
    });
    view! {
        <div class="route employee">
            <Gate
                title="Accounts"
                sentence="All accounts of the bank, with any of them to follow live. For bank employees."
                role=Role::Employee
                has_errors=has_errors
            >
                <AllAccounts desk=desk/>
            </Gate>
        </div>
    }
}

#[component]
fn AllAccounts(desk: Memo<Desk>) -> impl IntoView {
    let followed = Memo::new(move |_| desk.with(|desk| desk.followed.clone()));
    let balances = RwSignal::new(Vec::<(String, Cents)>::new());
    let entry =
        move |iban: String| view! { <FollowedAccount iban=iban desk=desk balances=balances/> };
    let together = Signal::derive(move || {
        balances.with(|balances| {
            let sum = balances
                .iter()
                .fold(0_i64, |sum, (_, balance)| sum.saturating_add(balance.0));
            Cents(sum)
        })
    });
    let is_several = Memo::new(move |_| followed.with(|followed| followed.len() > 1));
    let is_none = Memo::new(move |_| followed.with(Vec::is_empty));
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Accounts"</h1>
            <SignedInAs/>
        </div>
        <div class="desk" class:has-chosen=move || !is_none.get()>
            <AccountList desk=desk/>
            <LoadSlider/>
            <div class="chosen-accounts">
                <Show when=move || is_none.get()>
                    <p class="empty">"Choose an account to follow it. Tick boxes to follow up to four at once."</p>
                </Show>
                <Show when=move || is_several.get()>
                    <BalanceLine cents=together id="together" label="Balances together"/>
                </Show>
                <For each=move || followed.get() key=String::clone children=entry/>
            </div>
        </div>
    }
}

#[component]
fn FollowedAccount(
    iban: String,
    desk: Memo<Desk>,
    balances: RwSignal<Vec<(String, Cents)>>,
) -> impl IntoView {
    let choices: Choices = expect_context();
    let rows = Signal::derive(move || choices.preferences.with(|preferences| preferences.rows));
    let following = Following::start(iban.clone(), rows);
    // One filter for all accounts that are followed, as the rows and columns are.
    let filtering = Filtering::begin(following, Some(desk));
    let account = StoredValue::new(iban.clone());
    Effect::new(move |_| {
        let balance = following.current_balance();
        balances.update(|balances| {
            let account = account.get_value();
            balances.retain(|(known, _)| *known != account);
            balances.push((account, balance));
        });
    });
    on_cleanup(move || {
        let account = account.try_get_value();
        balances
            .try_update(|balances| balances.retain(|(known, _)| Some(known) != account.as_ref()));
    });
    // The first has the names that everything else knows; the others have their own.
    let is_first = desk.with_untracked(|desk| desk.followed.first() == Some(&iban));
    let named = |name: &str| {
        if is_first {
            name.to_owned()
        } else {
            format!("{name}-{iban}")
        }
    };
    let (statement_id, balance_id) = (named("statement"), named("balance"));
    let stop = move || desk.with(|desk| desk.toggled(&account.get_value()).address());
    let back = move || desk.with(|desk| desk.none().address());
    let about = move || {
        let (limit, version) = (following.limit().as_balance(), following.newest_version());
        format!(
            "Limit {limit}, versions 1–{}",
            words::counted(version.max(1))
        )
    };
    let totals = move || {
        let (count, received, paid) = following.totals();
        format!(
            "{} shown: {} received, {} paid",
            words::transactions(count),
            formats::change(received.0),
            formats::change(paid.0)
        )
    };
    view! {
        <article class="chosen-account" aria-label=format!("Account {}", iban::grouped(&iban))>
            <p class="back-to-list"><a href=back>"All accounts"</a></p>
            <div class="section-head">
                <h2 class="chosen-heading" tabindex="-1" data-heading=is_first.then_some("true")>
                    <span class="unseen">"Account "</span>
                    <Iban iban=iban.clone()/>
                </h2>
                <p class="follow-state">
                    <span>"Following"</span>
                    <a class="stop-following" href=stop>"Stop"<span class="unseen">{format!(" following {}", iban::ending(&iban))}</span></a>
                </p>
            </div>
            <Show when=move || following.phase.get() == Phase::Ready>
                <p class="hint">{about}</p>
                <BalanceLine cents=Signal::derive(move || following.balance()) id=balance_id.clone()/>
            </Show>
            <Statement following=following heading="Statement" empty="No transactions yet." id=statement_id filtering=filtering/>
            <Show when=move || following.phase.get() == Phase::Ready && (following.totals().0 > 0)>
                <p class="hint totals">{totals}</p>
            </Show>
        </article>
    }
}
