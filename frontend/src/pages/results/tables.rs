//! What of a run is no picture: its targets, its machine.

use leptos::prelude::*;

use super::Chosen;
use crate::{figures, formats, results::Floor};

/// Words of a document: figures the way the reader has chosen, and what stands between back quotes as code.
fn words(text: &str) -> impl IntoView + use<> {
    let rewritten = formats::rewritten(text);
    let parts = rewritten.split('`').enumerate().map(|(place, part)| {
        let part = part.to_owned();
        if place % 2 == 0 {
            part.into_any()
        } else {
            view! { <code>{part}</code> }.into_any()
        }
    });
    parts.collect_view()
}

/// What was wanted and what was found.
#[component]
pub(super) fn Targets(chosen: Chosen) -> impl IntoView {
    let rows = move || {
        let run = chosen.run()?;
        let row = |id: String, what: String, wanted: String, found: String, state: &'static str| {
            view! {
                <tr data-state=state>
                    <th scope="row"><span class="serial">{id}</span> " " {words(&what)}</th>
                    <td class="figure" data-label="Wanted">{words(&wanted)}</td>
                    <td class="figure" data-label="Found">{words(&found)}</td>
                    <td data-label="">{state}</td>
                </tr>
            }
        };
        let of_bank = run.bank().map(|bank| {
            let targets = bank.targets.iter().cloned().map(|target| {
                let state = match target.state.as_str() {
                    "reached" => "reached",
                    "not_reached" => "not reached",
                    _ => "not measured",
                };
                row(target.id, target.what, target.wanted, target.found, state)
            });
            targets.collect_view()
        });
        let of_handler = run.handler().map(|handler| {
            let targets = handler.verdict.iter().cloned().map(|target| {
                let state = if target.reached {
                    "reached"
                } else {
                    "not reached"
                };
                row(
                    String::new(),
                    target.what,
                    target.target,
                    target.figure,
                    state,
                )
            });
            targets.collect_view()
        });
        Some((of_bank, of_handler))
    };
    let has_targets = move || chosen.run().is_some_and(|run| run.target_count() > 0);
    let none = || view! { <p class="empty">"This run was measured against no target."</p> };
    view! {
        <section aria-labelledby="chart-heading">
            <h2 id="chart-heading" tabindex="-1" data-heading="true">"Targets"</h2>
            <Show when=has_targets fallback=none>
                <table class="plain compared targets">
                    <caption class="unseen">"What was wanted of this run, and found"</caption>
                    <thead>
                        <tr>
                            <th scope="col">"Target"</th>
                            <th scope="col" class="figure">"Wanted"</th>
                            <th scope="col" class="figure">"Found"</th>
                            <th scope="col">"State"</th>
                        </tr>
                    </thead>
                    <tbody>{rows}</tbody>
                </table>
            </Show>
        </section>
    }
}

/// On what it was measured, how quiet that was, and the costs below which nothing can come.
#[component]
pub(super) fn Machine(chosen: Chosen) -> impl IntoView {
    let content = move || {
        let run = chosen.run()?;
        let noisy = match (run.bank(), run.handler()) {
            (Some(bank), _) => bank.noisy.clone(),
            (_, Some(handler)) => handler.noisy.clone(),
            _ => return None,
        };
        let noise = if noisy.is_empty() {
            "The machine was quiet.".to_owned()
        } else {
            format!("Noisy: {}.", noisy.join("; "))
        };
        let bank = run.bank().cloned().unwrap_or_default();
        let floor = |floor: &Floor| {
            view! {
                <tr>
                    <th scope="row">{floor.what.clone()}</th>
                    <td class="figure" data-label="Before">{figures::milliseconds(floor.before_p50_ms)}</td>
                    <td class="figure" data-label="After">{figures::milliseconds(floor.after_p50_ms)}</td>
                </tr>
            }
        };
        let floors = (!bank.floors.is_empty()).then(|| {
            view! {
                <table class="plain compared">
                    <caption>"Floors, p50, measured bare before and after the run"</caption>
                    <thead><tr><th scope="col">"What"</th><th scope="col" class="figure">"Before"</th><th scope="col" class="figure">"After"</th></tr></thead>
                    <tbody>{bank.floors.iter().map(floor).collect_view()}</tbody>
                </table>
            }
        });
        let versions = bank
            .versions
            .iter()
            .map(|(part, version)| format!("{part} {version}"))
            .collect::<Vec<_>>()
            .join(", ");
        let settings = (!bank.settings.is_empty()).then(|| {
            let row = |(part, name, value): &(String, String, String)| {
                view! { <tr><th scope="row">{part.clone()}</th><td><code>{name.clone()}</code></td><td><code>{value.clone()}</code></td></tr> }
            };
            view! {
                <details>
                    <summary>"Settings that were chosen"</summary>
                    <div class="scrolls" tabindex="0" role="region" aria-label="Settings">
                        <table class="plain"><tbody>{bank.settings.iter().map(row).collect_view()}</tbody></table>
                    </div>
                </details>
            }
        });
        Some(view! {
            <p>{run.machine()} "."</p>
            <p>{noise}</p>
            {(!versions.is_empty()).then(|| view! { <p class="hint">{versions}</p> })}
            {floors}
            {settings}
        })
    };
    view! {
        <section aria-labelledby="chart-heading" class="machine">
            <h2 id="chart-heading" tabindex="-1" data-heading="true">"Machine, noise"</h2>
            {content}
        </section>
    }
}
