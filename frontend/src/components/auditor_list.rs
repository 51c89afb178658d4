//! What the auditor judges, invariant by invariant.

use leptos::prelude::*;

use super::auditor_lamp::LampShape;
use crate::{api::status::AuditorFinding, figures, lamp, watching::Watching};

#[component]
pub(crate) fn AuditorList() -> impl IntoView {
    let watching: Watching = expect_context();
    let findings = Memo::new(move |_| {
        watching
            .status()
            .map(|status| status.auditor.findings.clone())
            .unwrap_or_default()
    });
    let ids = Memo::new(move |_| {
        findings.with(|findings| {
            let ids = findings.iter().map(|finding| finding.invariant.clone());
            ids.collect::<Vec<_>>()
        })
    });
    let records = move || {
        let records = watching.status()?.auditor.records?;
        Some(format!("{} records read.", figures::count(records)))
    };
    let verdict = Memo::new(move |_| watching.lamp.with(|lamp| lamp.verdict));
    let row = move |id: String| {
        let finding = Memo::new(move |_| {
            findings.with(|findings| {
                findings
                    .iter()
                    .find(|finding| finding.invariant == id)
                    .cloned()
            })
        });
        move || {
            finding
                .get()
                .map(|finding| view! { <Row finding=finding/> })
        }
    };
    view! {
        <section id="auditor" class="auditor" tabindex="-1" aria-labelledby="auditor-heading">
            <div class="section-head">
                <h2 id="auditor-heading">"Auditor"</h2>
                <p class="verdict" data-state=move || watching.lamp.with(|lamp| lamp.state())>
                    {move || view! { <LampShape verdict=verdict.get()/> }}
                    {move || watching.lamp.with(|lamp| lamp.in_words())}
                </p>
            </div>
            <p class="lead">
                "A program that shares no code with the services reads every topic and both databases, and checks what must \
                be so. " {records}
            </p>
            <Show when=move || !ids.with(Vec::is_empty)>
                <table class="plain invariants" role="table">
                    <caption class="unseen">"Invariants"</caption>
                    <thead role="rowgroup">
                        <tr role="row">
                            <th scope="col" role="columnheader">"Id"</th>
                            <th scope="col" role="columnheader">"What must be so"</th>
                            <th scope="col" role="columnheader" class="figure">"Checked"</th>
                            <th scope="col" role="columnheader" class="figure">"Wrong"</th>
                            <th scope="col" role="columnheader">"Result"</th>
                        </tr>
                    </thead>
                    <tbody role="rowgroup"><For each=move || ids.get() key=String::clone let(id)>{row(id)}</For></tbody>
                </table>
            </Show>
        </section>
    }
}

#[component]
fn Row(finding: AuditorFinding) -> impl IntoView {
    let AuditorFinding {
        invariant,
        what,
        checked,
        violations,
        state,
        first_offender,
    } = finding;
    let is_wrong = violations > 0.0;
    let offender =
        first_offender.map(|first| view! { <span class="offender">"First: " {first}</span> });
    view! {
        <tr role="row" class:wrong=is_wrong data-invariant=invariant.clone()>
            <th scope="row" role="rowheader" class="serial">{invariant.clone()}</th>
            <td role="cell" class="what">{what} {offender}</td>
            <td role="cell" class="figure">{figures::count(checked)}</td>
            <td role="cell" class="figure">{figures::count(violations)}</td>
            <td role="cell" class="state">{lamp::in_small_words(&state)}</td>
        </tr>
    }
}
