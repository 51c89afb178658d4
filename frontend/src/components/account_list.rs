//! The employee's list of accounts: search, order, pages; each leads to its statement.

use std::collections::BTreeMap;

use leptos::{prelude::*, task::spawn_local};

use super::{
    amount::{Balance, BalanceLine},
    frame::going,
    statement::LoadingLines,
};
use crate::{
    announcer::Announcer,
    api::{
        http,
        operations::{self, ACCOUNT_ORDERS, AccountsAnswer},
        response::ErrorCode,
        types::{AccountPage, ListedAccount},
    },
    browser,
    desk::{ACCOUNTS_PER_PAGE, Desk},
    iban,
    money::Cents,
    session::Session,
    time::LocalTime,
    words,
};

/// What the list shows.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Listed {
    Loading,
    Page {
        page: AccountPage,
        at: LocalTime,
        /// Accounts before this page.
        before: usize,
    },
    Failed(String),
}

/// What the list is asked for; choosing an account changes none of it.
#[derive(Clone, PartialEq, Eq)]
struct Question {
    find: String,
    order: usize,
    after: Option<String>,
    before: usize,
    asked: u32,
}

#[component]
pub(crate) fn AccountList(desk: Memo<Desk>) -> impl IntoView {
    let session: Session = expect_context();
    let announcer: Announcer = expect_context();
    let typed = RwSignal::new(desk.with_untracked(|desk| desk.find.clone()));
    let listed = RwSignal::new(Listed::Loading);
    let asked = RwSignal::new(0_u32);
    let question = Memo::new(move |_| {
        let asked = asked.get();
        desk.with(|desk| Question {
            find: desk.find.clone(),
            order: desk.order,
            after: desk.after.clone(),
            before: desk.before,
            asked,
        })
    });
    Effect::new(move |_| {
        let asked_for = question.get();
        let Question {
            find, order, after, ..
        } = &asked_for;
        typed.set(find.clone());
        let search = (!find.is_empty()).then_some(find.as_str());
        let order = ACCOUNT_ORDERS[*order].0;
        let operation = operations::accounts(ACCOUNTS_PER_PAGE, after.as_deref(), search, order);
        spawn_local(async move {
            let answer = http::send::<AccountsAnswer>(&operation).await;
            // A later question is under way, or the page has moved on.
            if question.try_get_untracked().as_ref() != Some(&asked_for) {
                return;
            }
            match answer {
                Ok(AccountsAnswer { accounts: page }) => {
                    announcer.status(count_in_words(page.total_count));
                    listed.set(Listed::Page {
                        page,
                        at: browser::local_now(),
                        before: asked_for.before,
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
    let go = going();
    let ask_again = move || asked.update(|asked| *asked += 1);
    let find = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        go.run(desk.with_untracked(|desk| desk.finding(&typed.get_untracked()).address()));
    };
    let show_all = move |_| go.run(desk.with_untracked(|desk| desk.finding("").address()));
    let order = move |event| {
        if let Ok(order) = event_target_value(&event).parse() {
            go.run(desk.with_untracked(|desk| desk.ordered(order).address()));
        }
    };
    let heading = move || match listed.get() {
        Listed::Page { page, at, .. } => {
            format!("{}, as of {}", count_in_words(page.total_count), at.clock())
        }
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
            <p class="empty">"No account matches. " <button type="button" class="small" on:click=show_all>"Show all accounts"</button></p>
        }
        .into_any(),
        Listed::Page { page, .. } => {
            let sum = page.nodes.iter().fold(0_i64, |sum, account| sum.saturating_add(account.balance.0));
            let entry = |account: ListedAccount| view! { <ListedRow account=account desk=desk go=go/> };
            view! {
                <ul id="account-list" class="account-list">{page.nodes.into_iter().map(entry).collect_view()}</ul>
                <BalanceLine cents=Signal::stored(Cents(sum)) id="page-total" label="Balances on this page"/>
            }
            .into_any()
        }
    }
    };
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
                        maxlength="42"
                        prop:value=move || typed.get()
                        on:input=move |event| typed.set(event_target_value(&event))
                    />
                    <button type="submit">"Find"</button>
                </div>
            </form>
            <div class="list-head">
                <label class="inline">
                    <span>"Order "</span>
                    <select id="account-order" on:change=order prop:value=move || desk.with(|desk| desk.order).to_string()>
                        {ACCOUNT_ORDERS.iter().enumerate().map(|(place, (.., name))| view! {
                            <option value=place.to_string() selected=move || desk.with(|desk| desk.order) == place>{*name}</option>
                        }).collect_view()}
                    </select>
                </label>
                <button type="button" class="small" on:click=move |_| ask_again()>"Refresh"</button>
                <p class="hint">{heading}</p>
            </div>
            {body}
            <Pager desk=desk listed=listed go=go/>
        </section>
    }
}

#[component]
fn Pager(desk: Memo<Desk>, listed: RwSignal<Listed>, go: Callback<String>) -> impl IntoView {
    let is_first = Signal::derive(move || desk.with(|desk| desk.after.is_none()));
    let next_cursor = move || match listed.get() {
        Listed::Page { page, .. } if page.page_info.has_next_page => page.page_info.end_cursor,
        _ => None,
    };
    let range = move || match listed.get() {
        Listed::Page { page, before, .. } if !page.nodes.is_empty() => {
            let ends =
                [before + 1, before + page.nodes.len()].map(|place| words::counted(place as u64));
            ends.join("–")
        }
        _ => String::new(),
    };
    let button = move |id: &'static str,
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
    let first = Callback::new(move |()| go.run(desk.with_untracked(|desk| desk.first().address())));
    // The gateway's cursors lead forward only: where the pages before began is remembered. After a reload it is not,
    // and the page before is the first.
    let beginnings = StoredValue::new(BTreeMap::<usize, Option<String>>::new());
    Effect::new(move |known: Option<(String, usize)>| {
        let list = desk.with(|desk| (desk.find.clone(), desk.order));
        beginnings.update_value(|beginnings| {
            if known.as_ref().is_some_and(|known| *known != list) {
                beginnings.clear();
            }
            let (before, after) = desk.with(|desk| (desk.before, desk.after.clone()));
            beginnings.insert(before, after);
        });
        list
    });
    let previous = Callback::new(move |()| {
        let to = desk.with_untracked(|desk| {
            let before = desk.before.saturating_sub(ACCOUNTS_PER_PAGE);
            let after = beginnings.with_value(|beginnings| beginnings.get(&before).cloned());
            desk.at(before, after.flatten())
        });
        go.run(to.address());
    });
    let next = Callback::new(move |()| {
        if let Some(cursor) = untrack(next_cursor) {
            go.run(desk.with_untracked(|desk| {
                desk.at(desk.before + ACCOUNTS_PER_PAGE, Some(cursor))
                    .address()
            }));
        }
    });
    view! {
        <nav class="pager" aria-label="Pages of accounts">
            {button("accounts-first", "First", is_first, first)}
            {button("accounts-previous", "Previous", is_first, previous)}
            <span>{range}</span>
            {button("accounts-next", "Next", Signal::derive(move || next_cursor().is_none()), next)}
        </nav>
    }
}

#[component]
fn ListedRow(account: ListedAccount, desk: Memo<Desk>, go: Callback<String>) -> impl IntoView {
    let ListedAccount {
        iban,
        balance,
        changed_at,
        ..
    } = account;
    let account = StoredValue::new(iban.clone());
    let is_followed =
        Memo::new(move |_| desk.with(|desk| account.with_value(|iban| desk.follows(iban))));
    let toggle = move |_| {
        go.run(desk.with_untracked(|desk| account.with_value(|iban| desk.toggled(iban).address())))
    };
    let is_full = move || !is_followed.get() && !desk.with(Desk::has_room);
    let only = move || desk.with(|desk| account.with_value(|iban| desk.only(iban).address()));
    let changed = changed_at.map(|at| {
        let moment = browser::local_time(&at);
        view! { <time datetime=at title=move || moment.in_full()>{moment.clock()}</time> }
    });
    view! {
        <li class:followed=move || is_followed.get()>
            <input
                type="checkbox"
                aria-label=format!("Follow {} too", iban::grouped(&iban))
                prop:checked=move || is_followed.get()
                disabled=is_full
                on:change=toggle
            />
            <a href=only data-iban=iban.clone() aria-current=move || is_followed.get().then_some("true")>
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
