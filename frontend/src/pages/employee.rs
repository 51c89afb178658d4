//! Bank employee: all accounts, and one of them live. The chosen account is in the address, so that reload and back
//! keep it.

use leptos::{prelude::*, task::spawn_local};
use leptos_router::hooks::use_params_map;

use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, AccountPage, AccountsAnswer, ErrorCode, ListedAccount, Role},
    },
    browser,
    components::{
        amount::{Balance, BalanceLine},
        frame::name_page,
        iban::Iban,
        sign_in::{DemoUsers, SignInForm, SignedInAs},
        statement::{LoadingLines, Statement},
    },
    following::{Following, Phase},
    iban,
    session::{Session, Who},
    time::LocalTime,
    words,
};

const ACCOUNTS_PER_PAGE: usize = 20;
const ROWS: usize = 25;

#[component]
pub(crate) fn Employee() -> impl IntoView {
    let session: Session = expect_context();
    let params = use_params_map();
    let chosen = Memo::new(move |_| {
        params
            .with(|params| params.get("iban"))
            .map(|iban| iban::compact(&iban))
    });
    let has_errors = RwSignal::new(false);
    let checked = RwSignal::new(None);
    name_page(move || match (has_errors.get(), chosen.get()) {
        (true, _) => "Error: Bank employee".to_owned(),
        (false, Some(iban)) => format!("{} - Bank employee", iban::grouped(&iban)),
        (false, None) => "Bank employee".to_owned(),
    });
    let content = move || {
        has_errors.set(false);
        checked.set(None);
        match session.who.get() {
            Who::Asking => view! { <h1 tabindex="-1">"Accounts"</h1> <LoadingLines/> }.into_any(),
            Who::Unknown(words) => view! {
                <h1 tabindex="-1">"Accounts"</h1>
                <p class="failure">{words}</p>
                <button type="button" on:click=move |_| session.ask()>"Try again"</button>
            }
            .into_any(),
            Who::User(user) if user.role == Role::Employee => view! { <Desk chosen=chosen/> }.into_any(),
            Who::User(_) => view! {
                <div class="section-head">
                    <h1 tabindex="-1">"Accounts"</h1>
                    <SignedInAs/>
                </div>
                <p class="lead">"All accounts of the bank, with any of them to follow live. For bank employees: sign out, then sign in as one."</p>
            }
            .into_any(),
            Who::Nobody => view! {
                <h1 tabindex="-1">"Accounts"</h1>
                <p class="lead">"All accounts of the bank, with any of them to follow live. For bank employees."</p>
                <div class="demo"><DemoUsers role=Role::Employee/></div>
                <SignInForm checked=checked has_errors=has_errors/>
            }
            .into_any(),
        }
    };
    view! { <div class="route employee">{content}</div> }
}

#[component]
fn Desk(chosen: Memo<Option<String>>) -> impl IntoView {
    let account = move || {
        chosen.get().map_or_else(
            || view! { <p class="empty">"Choose an account to follow it."</p> }.into_any(),
            |iban| view! { <ChosenAccount iban=iban/> }.into_any(),
        )
    };
    view! {
        <div class="section-head">
            <h1 tabindex="-1">"Accounts"</h1>
            <SignedInAs/>
        </div>
        <div class="desk" class:has-chosen=move || chosen.with(Option::is_some)>
            <AccountList chosen=chosen/>
            <div class="chosen-account">{account}</div>
        </div>
    }
}

#[component]
fn ChosenAccount(iban: String) -> impl IntoView {
    let following = Following::start(iban.clone(), ROWS);
    view! {
        <p class="back-to-list"><a href="/employee">"All accounts"</a></p>
        <div class="section-head">
            <h2 class="chosen-heading" tabindex="-1" data-heading="true">
                <span class="unseen">"Account "</span>
                <Iban iban=iban/>
            </h2>
            <a class="stop-following" href="/employee">"Stop following"</a>
        </div>
        <Show when=move || following.phase.get() == Phase::Ready>
            <p class="hint">
                {move || {
                    let (limit, version) = (following.limit().as_balance(), words::counted(following.newest_version()));
                    format!("Limit {limit}, {version} changes")
                }}
            </p>
            <BalanceLine cents=Signal::derive(move || following.balance())/>
        </Show>
        <Statement following=following heading="Statement" empty="No transactions yet."/>
    }
}

/// What the list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    Loading,
    Page { page: AccountPage, at: LocalTime },
    Failed(String),
}

#[component]
fn AccountList(chosen: Memo<Option<String>>) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let typed = RwSignal::new(String::new());
    let search = RwSignal::new(String::new());
    // Cursors of the pages before this one; the first page has none.
    let cursors = RwSignal::new(Vec::<String>::new());
    let listed = RwSignal::new(Listed::Loading);
    let asked = RwSignal::new(0_u32);
    Effect::new(move |_| {
        let ask = asked.get();
        let search = search.get_untracked();
        let cursor = cursors.with_untracked(|cursors| cursors.last().cloned());
        let search = (!search.is_empty()).then_some(search);
        let operation =
            operations::accounts(ACCOUNTS_PER_PAGE, cursor.as_deref(), search.as_deref());
        spawn_local(async move {
            let answer = http::send::<AccountsAnswer>(&operation).await;
            // A later question is under way, or the page has moved on.
            if asked.try_get_untracked() != Some(ask) {
                return;
            }
            match answer {
                Ok(AccountsAnswer { accounts: page }) => {
                    announcer.status(count_in_words(page.total_count));
                    listed.set(Listed::Page {
                        page,
                        at: browser::local_now(),
                    });
                }
                Err(error) => {
                    if error.is(ErrorCode::Unauthenticated) {
                        session.ask();
                    }
                    listed.set(Listed::Failed(words::load_failure(&error)));
                }
            }
        });
    });
    let ask_again = move || asked.update(|asked| *asked += 1);
    let go_to = move |change: &dyn Fn(&mut Vec<String>)| {
        cursors.update(change);
        ask_again();
    };
    let find = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        search.set(iban::compact(&typed.get_untracked()));
        go_to(&|cursors| cursors.clear());
    };
    let show_all = move |_| {
        typed.set(String::new());
        search.set(String::new());
        go_to(&|cursors| cursors.clear());
    };
    let heading = move || match listed.get() {
        Listed::Page { page, at } => format!(
            "{}, newest change first, as of {}",
            count_in_words(page.total_count),
            at.clock()
        ),
        Listed::Loading | Listed::Failed(_) => String::new(),
    };
    let body = move || {
        match listed.get() {
        Listed::Loading => view! { <LoadingLines/> }.into_any(),
        Listed::Failed(words) => view! {
            <p class="failure">{words}</p>
            <button type="button" on:click=move |_| ask_again()>"Try again"</button>
        }
        .into_any(),
        Listed::Page { page, .. } if page.nodes.is_empty() => view! {
            <p class="empty">"No account matches. " <button type="button" on:click=show_all>"Show all accounts"</button></p>
        }
        .into_any(),
        Listed::Page { page, .. } => {
            let entry = |account: ListedAccount| view! { <ListedRow account=account chosen=chosen/> };
            view! { <ul id="account-list" class="account-list">{page.nodes.into_iter().map(entry).collect_view()}</ul> }.into_any()
        }
    }
    };
    let range = move || match listed.get() {
        Listed::Page { page, .. } if !page.nodes.is_empty() => {
            let before = cursors.with(Vec::len) * ACCOUNTS_PER_PAGE;
            format!("{}–{}", before + 1, before + page.nodes.len())
        }
        _ => String::new(),
    };
    let is_first = move || cursors.with(Vec::is_empty);
    let next_cursor = move || match listed.get() {
        Listed::Page { page, .. } if page.page_info.has_next_page => page.page_info.end_cursor,
        _ => None,
    };
    let pager = move |id: &'static str,
                      name: &'static str,
                      off: Signal<bool>,
                      act: Callback<()>| {
        let press = move |_| {
            if !off.get_untracked() {
                act.run(());
            }
        };
        view! { <button type="button" id=id aria-disabled=move || off.get().then_some("true") on:click=press>{name}</button> }
    };
    let first = Callback::new(move |()| go_to(&|cursors| cursors.clear()));
    let previous = Callback::new(move |()| go_to(&|cursors| _ = cursors.pop()));
    let next = Callback::new(move |()| {
        if let Some(cursor) = untrack(next_cursor) {
            go_to(&|cursors| cursors.push(cursor.clone()));
        }
    });
    view! {
        <section class="accounts" aria-labelledby="accounts-heading">
            <h2 id="accounts-heading" class="unseen">"List of accounts"</h2>
            <form class="find" role="search" on:submit=find>
                <label for="account-search">"IBAN, or a part of it"</label>
                <div class="find-line">
                    <input
                        id="account-search"
                        type="search"
                        autocomplete="off"
                        autocapitalize="off"
                        spellcheck="false"
                        prop:value=move || typed.get()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                    <button type="submit">"Find"</button>
                </div>
            </form>
            <div class="section-head">
                <p class="hint">{heading}</p>
                <button type="button" class="small" on:click=move |_| ask_again()>"Refresh"</button>
            </div>
            {body}
            <nav class="pager" aria-label="Pages of accounts">
                {pager("accounts-first", "First", Signal::derive(is_first), first)}
                {pager("accounts-previous", "Previous", Signal::derive(is_first), previous)}
                <span>{range}</span>
                {pager("accounts-next", "Next", Signal::derive(move || next_cursor().is_none()), next)}
            </nav>
        </section>
    }
}

#[component]
fn ListedRow(account: ListedAccount, chosen: Memo<Option<String>>) -> impl IntoView {
    let ListedAccount {
        iban,
        balance,
        changed_at,
        ..
    } = account;
    let is_chosen = {
        let iban = iban.clone();
        move || {
            chosen
                .with(|chosen| chosen.as_ref() == Some(&iban))
                .then_some("true")
        }
    };
    let changed = changed_at.map(|at| {
        let moment = browser::local_time(&at);
        view! { <time datetime=at title=moment.in_full()>{moment.clock()}</time> }
    });
    view! {
        <li>
            <a href=format!("/employee/{iban}") data-iban=iban.clone() aria-current=is_chosen>
                <span class="iban" translate="no">{iban::grouped(&iban)}</span>
                <span class="changed">{changed}</span>
                <Balance cents=balance/>
            </a>
        </li>
    }
}

fn count_in_words(count: u64) -> String {
    if count == 1 {
        "1 account".to_owned()
    } else {
        format!("{} accounts", words::counted(count))
    }
}
