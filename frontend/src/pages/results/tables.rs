//! What of a run is no picture: its targets, its machine.

use leptos::prelude::*;

use super::Chosen;
use crate::{figures, formats, results::Floor};

/// What was wanted and what was found.
#[component]
pub(super) fn Targets(chosen: Chosen) -> impl IntoView {
    let rows = move || {
        let run = chosen.run()?;
        let row = |id: String, what: String, wanted: String, found: String, state: &'static str| {
            view! {
                <tr data-state=state>
                    <th scope="row"><span class="serial">{id}</span> " " {what}</th>
                    <td class="figure" data-label="Wanted">{wanted}</td>
                    <td class="figure" data-label="Found">{found}</td>
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
    view! {
        <section aria-labelledby="chart-heading">
            <h2 id="chart-heading" tabindex="-1" data-heading="true">"Targets"</h2>
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
        </section>
    }
}

/// On what it was measured, how quiet that was, and the costs below which nothing can come.
#[component]
pub(super) fn Machine(chosen: Chosen) -> impl IntoView {
    let content = move || {
        let run = chosen.run()?;
        let (machine, noisy) = match (run.bank(), run.handler()) {
            (Some(bank), _) => (bank.machine.clone(), bank.noisy.clone()),
            (_, Some(handler)) => (handler.machine.clone(), handler.noisy.clone()),
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
            <p>
                {format!(
                    "{}, {} cores, {} MiB, {}.",
                    machine.processor,
                    machine.cores,
                    formats::count(machine.memory_mib),
                    machine.kernel
                )}
            </p>
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
