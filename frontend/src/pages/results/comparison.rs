//! Every figure in one table.

use std::sync::Arc;

use leptos::prelude::*;

use super::Chosen;
use crate::results::{self, Against, BankDocument, Published, Run};

/// Every figure in one table: beside 2019, or beside another run.
#[component]
pub(super) fn Comparison(chosen: Chosen) -> impl IntoView {
    let table = move || {
        let run = chosen.run();
        let bank = run.as_deref().and_then(Run::bank);
        match chosen.against() {
            Against::Published => {
                view! { <Published2019 bank=bank.cloned() published=chosen.published.get_value()/> }
                    .into_any()
            }
            Against::Run(_) => {
                let other = chosen.other();
                match bank {
                    Some(bank) => view! { <TwoRuns this=bank.clone() other=other.as_deref().and_then(Run::bank).cloned()/> }.into_any(),
                    None => view! { <p class="empty">"Only runs of the whole bank are compared."</p> }.into_any(),
                }
            }
            Against::Nothing => match bank {
                Some(bank) => view! { <TwoRuns this=bank.clone() other=None/> }.into_any(),
                None => ().into_any(),
            },
        }
    };
    view! { <section class="comparison" aria-labelledby="comparison-heading"><h2 id="comparison-heading">"Figures"</h2>{table}</section> }
}

#[component]
fn Published2019(bank: Option<BankDocument>, published: Arc<Published>) -> impl IntoView {
    let rows = results::against_published(bank.as_ref(), &published);
    let rows = rows.into_iter().map(|row| {
        let ours = row.ours.unwrap_or_else(|| "not measured".to_owned());
        view! {
            <tr>
                <th scope="row">{row.what}</th>
                <td class="figure ours" data-label="the Bank">{ours}</td>
                <td class="figure" data-label="2019 best">{row.best}</td>
                <td class="figure" data-label="2019 range">{row.range}</td>
                <td class="figure" data-label="Factor">{row.factor.unwrap_or_else(|| "–".to_owned())}</td>
            </tr>
        }
    });
    let (article, data) = (
        published.source.article.clone(),
        published.source.data.clone(),
    );
    view! {
        <table class="plain compared">
            <caption class="unseen">"The Bank beside the article of 2019"</caption>
            <thead>
                <tr>
                    <th scope="col">"Figure"</th>
                    <th scope="col" class="figure">"the Bank"</th>
                    <th scope="col" class="figure">"2019 best"</th>
                    <th scope="col" class="figure">"2019 range"</th>
                    <th scope="col" class="figure">"Factor"</th>
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
        <p class="hint">"2019: " <a href=article rel="noreferrer">{published.title.clone()}</a> "; " {data} "."</p>
    }
}

#[component]
fn TwoRuns(this: BankDocument, other: Option<BankDocument>) -> impl IntoView {
    let rows = results::against_run(&this, other.as_ref());
    if rows.is_empty() {
        return view! { <p class="empty">"This run has no figures to compare."</p> }.into_any();
    }
    let has_other = other.is_some();
    let rows = rows.into_iter().map(|row| {
        let verdict = match row.is_better {
            Some(true) => "better",
            Some(false) => "worse",
            None => "within the spread",
        };
        let beside = has_other.then(|| {
            let known = row.other.is_some();
            view! {
                <td class="figure" data-label="Other run">{row.other.unwrap_or_else(|| "not measured".to_owned())}</td>
                <td class="figure" data-label="Factor">{row.factor.unwrap_or_else(|| "–".to_owned())}</td>
                <td data-label="Judged">{known.then_some(verdict)}</td>
            }
        });
        view! { <tr><th scope="row">{row.what}</th><td class="figure ours" data-label="This run">{row.this}</td>{beside}</tr> }
    });
    view! {
        <table class="plain compared">
            <caption class="unseen">"Figures of this run"</caption>
            <thead>
                <tr>
                    <th scope="col">"Figure"</th>
                    <th scope="col" class="figure">"This run"</th>
                    {has_other.then(|| view! {
                        <th scope="col" class="figure">"Other run"</th>
                        <th scope="col" class="figure">"Factor"</th>
                        <th scope="col">"Judged"</th>
                    })}
                </tr>
            </thead>
            <tbody>{rows.collect_view()}</tbody>
        </table>
    }
    .into_any()
}
