//! One line of a statement: confirmed, or still in the outbox.

use std::sync::Arc;

use leptos::{either::Either, prelude::*};

use super::amount::{Balance, Change, is_wide};
use crate::{
    api::types::{CommandId, Payment, Role},
    browser, iban,
    money::Cents,
    outbox::{Progress, Sent},
    payments::Payments,
    session::Session,
    statement::{Origin, Row},
    words,
};

#[component]
pub(crate) fn TransactionRow(row: Arc<Row>) -> impl IntoView {
    let payments: Payments = expect_context();
    let Row {
        transaction,
        origin,
    } = (*row).clone();
    let moment = browser::local_time(&transaction.occurred_at);
    let description = words::description(&transaction.counterparty, transaction.description);
    let timing = move || {
        let words = transaction
            .command_id
            .and_then(|id| payments.timings.with(|timings| timings.get(&id).cloned()));
        words.map(|words| view! { <span class="timing">{words}</span> })
    };
    let version = transaction.version;
    let trail = transaction
        .command_id
        .filter(|_| may_follow(&transaction.iban, transaction.changed_by));
    let class = match origin {
        Origin::Loaded => "transaction",
        Origin::Live => "transaction arrived",
        Origin::Missed => "transaction arrived missed",
    };
    view! {
        <tr
            role="row"
            class=class
            class:wide=is_wide(transaction.new_balance)
            data-state="confirmed"
            data-version=transaction.version.to_string()
            data-changed-by=transaction.changed_by.to_string()
        >
            <td role="cell" class="time">
                <time datetime=transaction.occurred_at.clone() title=format!("{} UTC", transaction.occurred_at)>
                    {moment.clock()}
                </time>
            </td>
            <td role="cell" class="what">
                <span class="own iban" translate="no">{iban::grouped(&transaction.iban)}</span>
                <OtherSide counterparty=transaction.counterparty change=transaction.changed_by/>
                <span class="description">{description}</span>
                {timing}
                {(origin == Origin::Missed).then(|| view! { <span class="unseen">"arrived while you were away"</span> })}
            </td>
            <td role="cell" class="serial" title=format!("record {}", transaction.serial)>
                <Serial version=version trail=trail/>
            </td>
            <td role="cell" class="amounts">
                <Change cents=transaction.changed_by/>
                <span class="after"><span class="unseen">", balance then "</span><Balance cents=transaction.new_balance/></span>
            </td>
        </tr>
    }
}

/// Whether the one who is signed in may see the trail of the command behind a change.
fn may_follow(iban: &str, change: Cents) -> bool {
    let session: Session = expect_context();
    let user = untrack(|| session.user());
    user.is_some_and(|user| match (user.role, user.account) {
        (Role::Employee, _) => true,
        // What came in from others is their command.
        (Role::Customer, Some(account)) => account.iban == iban && change.0 < 0,
        (Role::Customer, None) => false,
    })
}

/// The version of a change, which leads to the trail of its command.
#[component]
fn Serial(version: u64, trail: Option<CommandId>) -> impl IntoView {
    let number = move || words::counted(version);
    match trail {
        Some(id) => Either::Left(view! {
            <a href=format!("/trail/{}", id.0) title="Follow the record">
                <span class="unseen">"Follow the record, version "</span>
                <span aria-hidden="true">"v"</span>
                {number}
            </a>
        }),
        None => Either::Right(view! {
            <span class="unseen">"version "</span>
            <span aria-hidden="true">"v"</span>
            {number}
        }),
    }
}

/// From whom, or to whom.
#[component]
fn OtherSide(counterparty: String, change: Cents) -> impl IntoView {
    let (begins, name) = words::other_side(&counterparty, change);
    let class = if iban::is_valid(&counterparty) {
        "iban"
    } else {
        "name"
    };
    view! {
        <span class="who">
            {begins}
            <span class=class translate="no">{name}</span>
        </span>
    }
}

/// A payment on its way, or refused.
#[component]
pub(crate) fn SentRow(sent: Sent) -> impl IntoView {
    let payments: Payments = expect_context();
    let moment = browser::local_time(&sent.sent_at);
    let id = sent.id;
    let change = sent.payment.change();
    let (counterparty, description) = match &sent.payment {
        Payment::Deposit { .. } => ("cash".to_owned(), String::new()),
        Payment::Transfer {
            to, description, ..
        } => (to.clone(), description.clone()),
    };
    let (state, note) = match &sent.progress {
        Progress::Waiting => ("pending", "Pending".to_owned()),
        Progress::Confirmed => ("pending", "Confirmed, coming in".to_owned()),
        Progress::StillProcessing => ("pending", words::STILL_PROCESSING.to_owned()),
        Progress::Unreachable => ("pending", words::NOT_KNOWN_YET.to_owned()),
        Progress::SignInNeeded => ("pending", words::SIGN_IN_TO_ASK.to_owned()),
        Progress::Rejected(words) => ("rejected", words.clone()),
    };
    let dismiss = (state == "rejected").then(|| {
        view! { <button type="button" class="small" on:click=move |_| payments.dismiss(id)>"Dismiss"</button> }
    });
    let amount = match state {
        "rejected" => Either::Left(view! { <s><Change cents=change/></s> }),
        _ => Either::Right(view! { <Change cents=change/> }),
    };
    view! {
        <tr role="row" class=format!("transaction {state}") data-state=state data-changed-by=change.to_string() data-command-id=id.0.to_string()>
            <td role="cell" class="time">
                <time datetime=sent.sent_at.clone()>{moment.clock()}</time>
            </td>
            <td role="cell" class="what">
                <OtherSide counterparty=counterparty change=change/>
                <span class="description">{description}</span>
                <span class="note">{note}</span>
                {dismiss}
            </td>
            <td role="cell" class="serial"><span class="mark" aria-hidden="true"></span></td>
            <td role="cell" class="amounts">{amount}</td>
        </tr>
    }
}
