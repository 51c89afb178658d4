//! Every program of the bank: how it is, what it uses, how far it is behind.

use leptos::prelude::*;

use crate::{
    api::status::{ServiceKind, ServiceState, ServiceStatus},
    browser, drawing, figures, formats,
    watching::Watching,
};

#[component]
pub(crate) fn ServiceList() -> impl IntoView {
    let watching: Watching = expect_context();
    let names = Memo::new(move |_| {
        watching
            .status()
            .map(|status| {
                let names = status.services.iter().map(|service| service.name.clone());
                names.collect::<Vec<_>>()
            })
            .unwrap_or_default()
    });
    let row = move |name: String| {
        let id = drawing::panel_id(&name);
        let service = Memo::new(move |_| {
            watching.status().and_then(|status| {
                let found = status.services.iter().find(|service| service.name == name);
                found.cloned()
            })
        });
        // The row stays in the page; the drawing leads to it.
        view! {
            <tr role="row" id=id tabindex="-1" class=move || service.with(|service| service.as_ref().map(class))>
                {move || service.get().map(|service| view! { <Cells service=service/> })}
            </tr>
        }
    };
    view! {
        <section class="services" aria-labelledby="services-heading">
            <h2 id="services-heading">"Services"</h2>
            <table class="plain" role="table">
                <caption class="unseen">"Programs of the bank, and those below them"</caption>
                <thead role="rowgroup">
                    <tr role="row">
                        <th scope="col" role="columnheader">"Program"</th>
                        <th scope="col" role="columnheader">"State"</th>
                        <th scope="col" role="columnheader" class="figure">"Memory"</th>
                        <th scope="col" role="columnheader" class="figure">"CPU"</th>
                        <th scope="col" role="columnheader" class="figure">"Lag"</th>
                    </tr>
                </thead>
                <tbody role="rowgroup"><For each=move || names.get() key=String::clone let(name)>{row(name)}</For></tbody>
            </table>
            <p class="hint">"CPU is of one core. Lag is records still to be read."</p>
        </section>
    }
}

fn class(service: &ServiceStatus) -> &'static str {
    match service.state {
        ServiceState::Up => "up",
        ServiceState::NotReady => "not-ready",
        ServiceState::Gone => "gone",
        ServiceState::Unknown => "unknown",
    }
}

#[component]
fn Cells(service: ServiceStatus) -> impl IntoView {
    let since = service
        .since
        .as_ref()
        .map(|since| browser::local_time(since).clock());
    let state = drawing::state_in_words(&service, since.as_deref());
    let instances = match service.instances {
        0 | 1 => String::new(),
        many => format!(" ×{many}"),
    };
    let known = |figure: Option<String>| figure.unwrap_or_else(|| "–".to_owned());
    let is_ours = service.kind == ServiceKind::Service;
    view! {
        <th scope="row" role="rowheader" class:ours=is_ours>{service.name}{instances}</th>
        <td role="cell" class="state">{state}</td>
        <td role="cell" class="figure" data-label="memory">{known(service.resident_bytes.map(figures::mebibytes))}</td>
        <td role="cell" class="figure" data-label="CPU">{known(service.cpu_percent.map(figures::percent))}</td>
        <td role="cell" class="figure" data-label="lag">{known(service.lag.map(formats::count))}</td>
    }
}
