//! What a trail is made of, besides its hops: what was asked, the entries, the records.

use leptos::prelude::*;

use crate::{
    api::records::TopicRecord,
    browser,
    components::{amount::Change, iban::Party, record::RecordFields},
    figures,
    hops::{self, Answer, Asked, Entry},
    iban,
    money::Cents,
};

#[component]
pub(super) fn Summary(
    asked: Option<Asked>,
    standing: String,
    answer: Answer,
    command: Option<TopicRecord>,
) -> impl IntoView {
    let at = command.as_ref().map(|record| {
        let moment = browser::local_time(&record.sent_at);
        view! { <time datetime=record.sent_at.clone() title=format!("{} UTC", record.sent_at)>{moment.in_full()}</time> }
    });
    let class = match answer {
        Answer::Rejected(_) => "standing rejected",
        _ => "standing",
    };
    let what = match asked {
        Some(Asked { from, to, amount, description }) => view! {
            <p class="transfer">
                <strong>"Transfer " {move || amount.as_balance()}</strong>
                " from " <Party account=from/> " to " <Party account=to/>
                <span class="hint with-space">{(!description.is_empty()).then(|| format!("“{description}”"))} " " {at}</span>
            </p>
        }
        .into_any(),
        None => view! { <p class="transfer"><strong>"Opening of an account"</strong> " " <span class="hint">{at}</span></p> }
            .into_any(),
    };
    view! {
        <div class="trail-summary">
            <p id="trail-standing" class=class>{standing}</p>
            {what}
        </div>
    }
}

/// The two entries in the ledger, and their sum.
#[component]
pub(super) fn Entries(entries: Vec<Entry>, answer: Answer) -> impl IntoView {
    let sum = Cents(
        entries
            .iter()
            .map(|entry| entry.change.0)
            .fold(0, i64::saturating_add),
    );
    let empty = match answer {
        Answer::None => "None yet: the bank has not answered.",
        Answer::Rejected(_) => "None: a rejected command moves no money.",
        Answer::Confirmed => "None: this command moved no money.",
    };
    let is_empty = entries.is_empty();
    let row = |(place, entry): (usize, Entry)| {
        let known = match entry.record {
            Some(record) => format!(
                "v{}, balance {}, record {}",
                record.version,
                record.new_balance.as_balance(),
                record.serial
            ),
            None if iban::is_valid(&entry.account) => "no record that you may see".to_owned(),
            None => "a ledger account without a record of its own".to_owned(),
        };
        view! {
            <tr role="row" data-changed-by=entry.change.to_string()>
                <th scope="row" role="rowheader"><span class="serial entry-place">{format!("entry {}", place + 1)}</span> <Party account=entry.account/> <span class="hint">{known}</span></th>
                <td role="cell" class="figure"><Change cents=entry.change/></td>
            </tr>
        }
    };
    let rows = entries.into_iter().enumerate().map(row).collect_view();
    view! {
        <section class="entries" aria-labelledby="entries-heading">
            <h2 id="entries-heading">"Ledger"</h2>
            {is_empty.then(|| view! { <p class="empty">{empty}</p> })}
            {(!is_empty).then(|| view! {
                // Its rows are lines in a narrow window, and would else be no rows any more.
                <table class="plain" role="table">
                    <caption class="unseen">"Entries of this transfer"</caption>
                    <tbody role="rowgroup">{rows}</tbody>
                    <tfoot role="rowgroup">
                        <tr role="row" id="entries-sum" data-sum=sum.to_string()>
                            <th scope="row" role="rowheader">"Sum"</th>
                            <td role="cell" class="figure"><data class="amount" value=sum.to_string()>{move || sum.as_balance()}</data></td>
                        </tr>
                    </tfoot>
                </table>
            })}
        </section>
    }
}

#[component]
pub(super) fn Records(
    command: Option<TopicRecord>,
    outcome: Option<TopicRecord>,
    changes: Vec<TopicRecord>,
) -> impl IntoView {
    let all: Vec<TopicRecord> = command.into_iter().chain(outcome).chain(changes).collect();
    let count = figures::counted(all.len() as u64, "record", "records");
    let row = |record: TopicRecord| {
        let (name, serial, topic) = (
            hops::short_name(&record).to_owned(),
            hops::serial(&record),
            record.topic.clone(),
        );
        view! {
            <li>
                <details>
                    <summary>
                        <span class="name">{name}</span> " in " <code>{topic.clone()}</code> " "
                        <span class="serial">{serial}</span>
                    </summary>
                    <RecordFields record=record/>
                </details>
            </li>
        }
    };
    view! {
        <section class="trail-records" aria-labelledby="records-heading">
            <h2 id="records-heading">{count} " on the topics"</h2>
            <ul>{all.into_iter().map(row).collect_view()}</ul>
        </section>
    }
}
